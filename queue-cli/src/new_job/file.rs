//! A file of jobs, one JSON object per line: read, put in order, checked as a whole.
//!
//! Owns the numbers of lines and what a name in `after` means: another line of the same file where one has that name,
//! else a job that is in the store. [`plan`] puts parents before their dependants, and finds the lines that wait for
//! themselves. Nothing is added here; `enqueue --from-file` does that with the plan.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, BufRead};

use queue_core::job::{After, ParentEnd};
use queue_core::{JobId, NewJob};

use super::line::LineJob;
use super::parse::AfterArg;
use crate::error::CliError;
use crate::selector::Selector;

/// A line that cannot be used, and why.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    /// Its number in the file, from 1.
    pub(crate) line: usize,
    /// Why.
    pub(crate) error: CliError,
}

/// A line that was understood.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Its number in the file, from 1.
    pub(crate) line: usize,
    /// The job, without its parents.
    pub(crate) job: NewJob,
    /// The jobs it comes after, as the line names them; none where it does not.
    pub(crate) after: Option<Vec<AfterArg>>,
}

/// Reads all lines; empty ones are passed over. `look` is told how many bytes were read after each.
///
/// # Errors
/// When the file cannot be read on. What is wrong with a line is a [`Problem`].
pub(crate) fn read(
    mut source: impl BufRead,
    mut understand: impl FnMut(&[u8]) -> Result<LineJob, CliError>,
    mut look: impl FnMut(u64),
) -> io::Result<(Vec<Entry>, Vec<Problem>)> {
    let (mut entries, mut problems) = (Vec::new(), Vec::new());
    let mut text = Vec::new();
    for line in 1.. {
        text.clear();
        let bytes = source.read_until(b'\n', &mut text)?;
        if bytes == 0 {
            break;
        }
        look(bytes as u64);
        if text.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        match understand(&text) {
            Ok(LineJob { job, after }) => entries.push(Entry { line, job, after }),
            Err(error) => problems.push(Problem { line, error }),
        }
    }
    Ok((entries, problems))
}

/// An entry with everything it comes after.
#[derive(Debug)]
pub(crate) struct Planned {
    /// Its number in the file.
    pub(crate) line: usize,
    /// The job, its parents in the store filled in.
    pub(crate) job: NewJob,
    /// Its parents in the file: their places in the plan, all before its own.
    pub(crate) parents: Vec<(usize, ParentEnd)>,
}

/// Finds all parents and puts the entries in an order in which each stands after those of its own file. Without such
/// parents the order is that of the file.
///
/// `find` looks a job up in the store; `defaults` are the parents of lines that name none.
pub(crate) fn plan(
    entries: Vec<Entry>,
    defaults: &[After],
    mut find: impl FnMut(&Selector) -> Result<JobId, CliError>,
) -> (Vec<Planned>, Vec<Problem>) {
    let mut graph = Graph::new(&entries);
    let mut stored: Vec<Vec<After>> = Vec::with_capacity(entries.len());
    for (at, entry) in entries.iter().enumerate() {
        let parents = match &entry.after {
            None => Ok(defaults.to_vec()),
            Some(after) => graph.connect(at, after, &mut find),
        };
        match parents {
            Ok(parents) => stored.push(parents),
            Err(error) => {
                graph.refuse(at, error);
                stored.push(Vec::new());
            }
        }
    }
    let order = graph.order(&entries);
    let mut place = vec![usize::MAX; entries.len()];
    for (position, &at) in order.iter().enumerate() {
        place[at] = position;
    }
    let mut taken: Vec<Option<Entry>> = entries.into_iter().map(Some).collect();
    let planned = order
        .iter()
        .map(|&at| {
            let entry = taken[at].take().expect("an order names each entry once");
            let mut job = entry.job;
            job.after = std::mem::take(&mut stored[at]);
            let parents = graph.parents[at]
                .iter()
                .map(|&(parent, end)| (place[parent], end))
                .collect();
            Planned {
                line: entry.line,
                job,
                parents,
            }
        })
        .collect();
    (planned, graph.problems(&taken))
}

/// Which entry comes after which.
struct Graph {
    /// Entries by name.
    names: HashMap<String, Vec<usize>>,
    /// The lines of the entries.
    lines: Vec<usize>,
    /// For each entry its parents in the file.
    parents: Vec<Vec<(usize, ParentEnd)>>,
    /// For each entry why it is refused.
    refused: Vec<Option<CliError>>,
    /// Jobs that were looked up in the store.
    known: HashMap<Selector, Result<JobId, CliError>>,
}

impl Graph {
    fn new(entries: &[Entry]) -> Self {
        let mut names: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, entry) in entries.iter().enumerate() {
            if let Some(name) = &entry.job.name {
                names.entry(name.clone()).or_default().push(at);
            }
        }
        Self {
            names,
            lines: entries.iter().map(|entry| entry.line).collect(),
            parents: vec![Vec::new(); entries.len()],
            refused: vec![None; entries.len()],
            known: HashMap::new(),
        }
    }

    /// Notes the parents of an entry in the file and gives those in the store.
    fn connect(
        &mut self,
        at: usize,
        after: &[AfterArg],
        find: &mut impl FnMut(&Selector) -> Result<JobId, CliError>,
    ) -> Result<Vec<After>, CliError> {
        let mut stored = Vec::new();
        for AfterArg { job, end } in after {
            match self.in_file(job)? {
                Some(parent) => self.parents[at].push((parent, *end)),
                None => {
                    let known = self.known.entry(job.clone()).or_insert_with(|| find(job));
                    let parent = known.clone()?;
                    stored.push(After { parent, end: *end });
                }
            }
        }
        Ok(stored)
    }

    fn in_file(&self, job: &Selector) -> Result<Option<usize>, CliError> {
        let Selector::Name(name) = job else {
            return Ok(None);
        };
        match self.names.get(name).map(Vec::as_slice) {
            None | Some([]) => Ok(None),
            Some([one]) => Ok(Some(*one)),
            Some(several) => {
                let lines: Vec<_> = several
                    .iter()
                    .take(5)
                    .map(|&at| self.lines[at].to_string())
                    .collect();
                Err(CliError::usage(format!(
                    "it comes after `{name}`, which names {} lines: {}",
                    several.len(),
                    lines.join(", ")
                )))
            }
        }
    }

    fn refuse(&mut self, at: usize, error: CliError) {
        self.refused[at] = Some(error);
    }

    /// Orders the entries, always taking the first one in the file whose parents are all there. What never gets its turn
    /// waits for itself, or for something refused, and is refused too.
    fn order(&mut self, entries: &[Entry]) -> Vec<usize> {
        let count = self.parents.len();
        let mut waiting: Vec<usize> = self.parents.iter().map(Vec::len).collect();
        let mut children: Vec<Vec<usize>> = vec![Vec::new(); count];
        for (at, parents) in self.parents.iter().enumerate() {
            for (parent, _) in parents {
                children[*parent].push(at);
            }
        }
        let is_free = |at: &usize| waiting[*at] == 0 && self.refused[*at].is_none();
        let mut free: BTreeSet<usize> = (0..count).filter(is_free).collect();
        let mut order = Vec::with_capacity(count);
        while let Some(at) = free.pop_first() {
            order.push(at);
            for &child in &children[at] {
                waiting[child] -= 1;
                if waiting[child] == 0 && self.refused[child].is_none() {
                    free.insert(child);
                }
            }
        }
        let mut ordered = vec![false; count];
        for &at in &order {
            ordered[at] = true;
        }
        for at in (0..count).filter(|&at| !ordered[at]) {
            if self.refused[at].is_none() {
                self.refused[at] = Some(self.why_never(at, &ordered, entries));
            }
        }
        order
    }

    /// Follows the parents that never get their turn until one comes twice, or was refused for a reason of its own.
    fn why_never(&self, from: usize, ordered: &[bool], entries: &[Entry]) -> CliError {
        let mut path = vec![from];
        let mut seen: HashMap<usize, usize> = HashMap::from([(from, 0)]);
        let mut at = from;
        loop {
            let Some(&(parent, _)) = self.parents[at]
                .iter()
                .find(|(parent, _)| !ordered[*parent])
            else {
                return CliError::usage(format!(
                    "it comes after line {}, which is refused",
                    self.lines[at]
                ));
            };
            if let Some(&begin) = seen.get(&parent) {
                path.push(parent);
                return self.cycle(from, begin, &path, entries);
            }
            seen.insert(parent, path.len());
            path.push(parent);
            at = parent;
        }
    }

    fn cycle(&self, from: usize, begin: usize, path: &[usize], entries: &[Entry]) -> CliError {
        let steps: Vec<_> = path[begin..]
            .iter()
            .map(|&at| {
                let name = entries[at].job.name.as_deref().unwrap_or_default();
                format!("{name} (line {})", self.lines[at])
            })
            .collect();
        let whole = steps.join(" after ");
        if path[begin] == from {
            CliError::usage(format!("it would wait for itself: {whole}"))
        } else {
            CliError::usage(format!(
                "it comes after lines that wait for each other: {whole}"
            ))
        }
    }

    /// The refused entries, which are those that nobody took, in the order of the file.
    fn problems(&mut self, left: &[Option<Entry>]) -> Vec<Problem> {
        left.iter()
            .enumerate()
            .filter_map(|(at, entry)| {
                entry.as_ref()?;
                let error = self.refused[at].take()?;
                Some(Problem {
                    line: self.lines[at],
                    error,
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use queue_core::Command;

    /// Lines as `name` or `name after a,b`; a number names a job of the store, in which 41 alone is.
    fn planned(lines: &[&str]) -> (Vec<String>, Vec<String>) {
        let entries = lines
            .iter()
            .enumerate()
            .map(|(at, text)| {
                let (name, after) = text.split_once(" after ").unzip();
                let mut job = NewJob::new(Command::Shell("true".into()));
                job.name = Some(name.unwrap_or(text).to_owned());
                Entry {
                    line: at + 1,
                    job,
                    after: after
                        .map(|after| after.split(',').map(|one| one.parse().unwrap()).collect()),
                }
            })
            .collect();
        let find = |job: &Selector| match job {
            Selector::Id(41) => Ok(JobId(41)),
            other => Err(CliError::not_found(format!("there is no job {other}"))),
        };
        let (planned, problems) = plan(entries, &[], find);
        for (place, entry) in planned.iter().enumerate() {
            assert!(entry.parents.iter().all(|(parent, _)| *parent < place));
        }
        (
            planned
                .iter()
                .map(|entry| entry.job.name.clone().unwrap())
                .collect(),
            problems
                .iter()
                .map(|problem| format!("{}: {}", problem.line, problem.error))
                .collect(),
        )
    }

    #[test]
    fn parents_go_first_and_all_else_stays_in_order() {
        let (order, problems) = planned(&["c after b", "x", "b after a,41", "a", "y"]);
        assert_eq!(order, ["x", "a", "b", "c", "y"]);
        assert!(problems.is_empty(), "{problems:?}");
    }

    #[test]
    fn a_cycle_is_told_with_its_path() {
        let (order, problems) = planned(&["a after c", "b after a", "c after b", "d after c", "e"]);
        assert_eq!(order, ["e"]);
        assert_eq!(
            problems[0],
            "1: it would wait for itself: a (line 1) after c (line 3) after b (line 2) after a (line 1)"
        );
        assert!(
            problems[3].starts_with("4: it comes after lines that wait for each other: c (line 3)"),
            "{problems:?}"
        );
        assert_eq!(planned(&["a after a"]).1.len(), 1);
    }

    #[test]
    fn what_comes_after_a_refused_line_is_refused_too() {
        let (order, problems) = planned(&[
            "a after 42",
            "b after a",
            "c after twice",
            "twice",
            "twice",
            "d",
        ]);
        assert_eq!(order, ["twice", "twice", "d"]);
        assert_eq!(
            problems,
            [
                "1: there is no job 42",
                "2: it comes after line 1, which is refused",
                "3: it comes after `twice`, which names 2 lines: 4, 5",
            ]
        );
    }

    #[test]
    fn lines_keep_their_numbers_over_empty_ones() {
        let text = "one\n\n  \nfour\nbad\n";
        let understand = |text: &[u8]| match text {
            b"bad\n" => Err(CliError::usage("bad")),
            _ => Ok(LineJob {
                job: NewJob::argv(["true"]),
                after: None,
            }),
        };
        let mut bytes = 0;
        let (entries, problems) = read(text.as_bytes(), understand, |more| bytes += more).unwrap();
        assert_eq!(
            entries.iter().map(|entry| entry.line).collect::<Vec<_>>(),
            [1, 4]
        );
        assert_eq!(problems[0].line, 5);
        assert_eq!(bytes, text.len() as u64);
    }
}
