//! What jobs wrote down about themselves while they ran.
//!
//! Read from the effect file of one job, which only grows. What always holds: lines are in the
//! order in which they were written, so a line of an older epoch behind a newer one's `begin`
//! proves that two attempts were alive at once.

use std::{collections::BTreeSet, fs, path::Path};

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    what: String,
    epoch: i64,
    number: Option<i64>,
}

/// The lines of one job.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    lines: Vec<Line>,
    unreadable: Vec<String>,
}

impl Effects {
    /// Reads the file; one that is not there is empty.
    pub(crate) fn read(path: &Path) -> Self {
        let mut effects = Self::default();
        for text in fs::read_to_string(path).unwrap_or_default().lines() {
            match parse(text) {
                Some(line) => effects.lines.push(line),
                None => effects.unreadable.push(text.to_owned()),
            }
        }
        effects
    }

    /// Whether the attempt of this epoch wrote such a line.
    pub(crate) fn has(&self, what: &str, epoch: i64) -> bool {
        let mut lines = self.lines.iter();
        lines.any(|line| line.what == what && line.epoch == epoch)
    }

    /// The epochs that began, in their order.
    pub(crate) fn begun(&self) -> Vec<i64> {
        let begins = self.lines.iter().filter(|line| line.what == "begin");
        begins.map(|line| line.epoch).collect()
    }

    /// What contradicts the promises, told by the lines alone.
    pub(crate) fn contradictions(&self) -> Vec<String> {
        let mut found = self
            .unreadable
            .iter()
            .map(|text| format!("an unreadable line: {text}"))
            .collect::<Vec<_>>();
        let (mut newest, mut begun, mut saved) = (0, BTreeSet::new(), 0);
        for line in &self.lines {
            let Line {
                what,
                epoch,
                number,
            } = line;
            match what.as_str() {
                "overlap" => {
                    found.push(format!("epoch {epoch} began while an older one was alive"));
                }
                "begin" if !begun.insert(*epoch) => {
                    found.push(format!("epoch {epoch} began twice"));
                }
                "resume" if *number < Some(saved) => {
                    found.push(format!(
                        "epoch {epoch} resumes at {number:?}, but {saved} was saved"
                    ));
                }
                "saved" => saved = saved.max(number.unwrap_or(0)),
                _ => {}
            }
            if *epoch < newest {
                found.push(format!(
                    "epoch {epoch} wrote `{what}` after epoch {newest} began"
                ));
            }
            newest = newest.max(*epoch);
        }
        found.dedup();
        found
    }
}

fn parse(text: &str) -> Option<Line> {
    let mut words = text.split(' ');
    Some(Line {
        what: words.next()?.to_owned(),
        epoch: words.next()?.parse().ok()?,
        number: words.next().and_then(|word| word.parse().ok()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("effects");
        fs::write(&path, text).unwrap();
        Effects::read(&path).contradictions()
    }

    #[test]
    fn attempts_one_after_the_other_contradict_nothing() {
        assert_eq!(
            of("begin 1 7\nsaved 1 3\nbegin 3 8\nresume 3 3\nend 3\nbeat 3\n"),
            [""; 0]
        );
    }

    #[test]
    fn every_contradiction_is_found() {
        for (text, words) in [
            (
                "begin 1 7\nbegin 2 8\nbeat 1\n",
                "epoch 1 wrote `beat` after epoch 2 began",
            ),
            ("begin 1 7\nbegin 1 8\n", "epoch 1 began twice"),
            (
                "begin 1 7\noverlap 2 8\n",
                "epoch 2 began while an older one was alive",
            ),
            (
                "saved 1 4\nbegin 2 8\nresume 2 3\n",
                "epoch 2 resumes at Some(3), but 4 was saved",
            ),
            ("nonsense\n", "an unreadable line: nonsense"),
        ] {
            assert_eq!(of(text), [words]);
        }
    }
}
