//! Reads an agent's output from the attempt's log while it grows.
//!
//! Used by the worker that runs the attempt and by one that adopted it. What always holds: the facts
//! name how far the log was read, so that whoever has them goes on there, and neither reads a line
//! twice nor leaves one out.

use std::io;
use std::path::Path;

use super::facts::Facts;
use super::stream::{Format, Reader};
use crate::log::Follower;

/// The growing output of one attempt.
#[derive(Debug)]
pub struct Tail {
    log: Follower,
    reader: Reader,
}

impl Tail {
    /// Reads the log at `path` from where `facts` stopped: from the beginning, where they are fresh. A
    /// log that is not there yet is an empty one.
    #[must_use]
    pub fn new(path: &Path, format: Format, facts: Facts) -> Self {
        Self {
            log: Follower::from_offset(path, facts.offset.start()),
            reader: Reader::new(format, facts),
        }
    }

    /// Reads what is new, and tells whether there was anything.
    ///
    /// # Errors
    /// When the log is there but cannot be read; what was read before stays.
    pub fn advance(&mut self) -> io::Result<bool> {
        let mut is_new = false;
        while let Some(entry) = self.log.next_entry()? {
            self.reader.feed_entry(&entry, self.log.offset()?);
            is_new = true;
        }
        Ok(is_new)
    }

    /// What is known so far. To be saved by who wants to go on from here later.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        self.reader.facts()
    }

    /// The process has ended: reads the rest, also a last line without an end.
    ///
    /// # Errors
    /// When the log is there but cannot be read.
    pub fn finish(mut self) -> io::Result<Facts> {
        self.advance()?;
        Ok(self.reader.into_facts())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::agent::facts::Offset;

    /// Lines of both streams, some of them in parts that lines of the other stream divide.
    fn log() -> Vec<String> {
        let stamp = "2026-01-02T03:04:05.000000000Z";
        let init = r#"{"type":"system","subtype":"init","session_id":"s","model":"opus"}"#;
        let said = r#"{"type":"assistant","message":{"id":"m1","model":"opus","content":[],"usage":{"input_tokens":7,"output_tokens":5}}}"#;
        let more = r#"{"type":"assistant","message":{"id":"m2","model":"opus","content":[],"usage":{"input_tokens":11,"output_tokens":3}}}"#;
        let mut lines = Vec::new();
        let mut push = |stream: &str, tag: &str, text: &str| {
            lines.push(format!("{stamp} {stream} {tag} {text}\n"));
        };
        push("stdout", "F", init);
        push("stderr", "P", "warn");
        push("stdout", "P", &said[..20]);
        push("stderr", "F", "ing: odd");
        push("stdout", "F", &said[20..]);
        push("stdout", "F", "{");
        push("stdout", "F", "  \"type\": \"nothing known\"");
        push("stderr", "F", "second");
        push("stdout", "F", "}");
        push("stdout", "F", more);
        push(
            "stdout",
            "P",
            r#"{"type":"result","subtype":"success","is_error":false,"result":"done"}"#,
        );
        lines
    }

    fn read_all(path: &Path) -> Facts {
        let facts = Facts::of("claude");
        let facts = Tail::new(path, Format::Claude, facts).finish().unwrap();
        without_offset(facts)
    }

    fn without_offset(facts: Facts) -> Facts {
        Facts {
            offset: Offset::default(),
            ..facts
        }
    }

    proptest! {
        /// A worker may die at any moment: another one that goes on from saved facts knows the same.
        #[test]
        fn whoever_goes_on_from_saved_facts_knows_the_same(cuts in prop::collection::vec(0_usize..1500, 1..5)) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("log");
            let whole = log().concat();
            std::fs::write(&path, &whole).unwrap();
            let expected = read_all(&path);
            prop_assert_eq!((expected.turns, expected.tokens()), (2, 26));
            prop_assert_eq!(expected.stderr_tail.as_str(), "warning: odd\nsecond\n");

            let mut cuts = cuts;
            cuts.sort_unstable();
            let mut facts = Facts::of("claude");
            for cut in cuts {
                std::fs::write(&path, &whole[..cut.min(whole.len())]).unwrap();
                let mut tail = Tail::new(&path, Format::Claude, facts);
                tail.advance().unwrap();
                // As the store keeps them.
                let saved = serde_json::to_string(tail.facts()).unwrap();
                facts = serde_json::from_str(&saved).unwrap();
            }
            std::fs::write(&path, &whole).unwrap();
            let facts = Tail::new(&path, Format::Claude, facts).finish().unwrap();
            prop_assert_eq!(without_offset(facts), expected);
        }
    }

    #[test]
    fn a_log_that_is_not_there_yet_is_empty_and_then_read_from_its_beginning() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut tail = Tail::new(&path, Format::Claude, Facts::of("claude"));
        assert!(!tail.advance().unwrap());
        std::fs::write(&path, log().concat()).unwrap();
        assert!(tail.advance().unwrap() && !tail.advance().unwrap());
        assert_eq!(tail.facts().session_id.as_deref(), Some("s"));
        assert!(tail.facts().result.is_none(), "its line has not ended");
        assert!(tail.finish().unwrap().result.is_some());
    }
}
