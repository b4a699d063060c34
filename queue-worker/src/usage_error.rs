//! Tells a program that refused its arguments from one that failed at its work.
//!
//! Asked when an attempt ended with one of the codes that programs use for it. What always holds:
//! the code alone proves nothing (`grep` and `make` say 2 of any trouble), so the last lines on
//! standard error have to say so in words known from argument parsers, soon after the start.

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;

use crate::log::{Entry, Reader, Stream};

/// Exit codes that programs use when they refuse their arguments: 2 by custom of argument parsers,
/// 64 by sysexits(3), 1 by many others.
const CODES: [i32; 3] = [1, 2, 64];

/// How many of the last lines are looked at: a message and the usage text after it.
const LINES: usize = 12;

/// Arguments are read first: who worked for longer failed at something else.
const SOON: Duration = Duration::from_secs(10);

/// The words of getopt, argparse, clap, cobra, Go's flag, click, commander and yargs.
///
/// `invalid argument` is not among them: it is what the system says of errno 22.
static MESSAGE: LazyLock<Regex> = LazyLock::new(|| {
    let words = [
        r"(unrecognized|unrecognised|unknown|illegal|invalid|unexpected|no such) (command[- ]line )?(option|flag|switch)s?\b",
        r"(unrecognized|unrecognised|unknown|unexpected) (command[- ]line )?arguments?\b",
        r"(unrecognized|unrecognised|unknown) (sub-?command|command) ",
        r"option (.{1,80} )?(requires an argument|is not recognized)",
        r"flag provided but not defined",
        r"the following (required )?arguments (are required|were not provided)",
        r"bad option",
    ];
    Regex::new(&format!("(?i)({})", words.join("|"))).expect("the pattern is a constant")
});

/// The line in which the program refused its arguments, if that is why it ended.
#[must_use]
pub fn refusal(exit_code: i32, ran_for: Duration, log: &Path) -> Option<String> {
    if !CODES.contains(&exit_code) || ran_for > SOON {
        return None;
    }
    let reader = Reader::open_tail(log, LINES, Some(Stream::Stderr)).ok()?;
    reader
        .map_while(Result::ok)
        .filter_map(|entry| match entry {
            Entry::Line(line) => Some(String::from_utf8_lossy(&line.text).into_owned()),
            Entry::Omitted { .. } | Entry::Damaged { .. } => None,
        })
        .find(|line| is_refusal(line))
        .map(|line| line.trim().to_owned())
}

fn is_refusal(line: &str) -> bool {
    MESSAGE.is_match(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_common_parsers_are_known() {
        // T25
        for line in [
            "ls: unrecognized option '--frob'",
            "ls: invalid option -- 'Y'",
            "sh: 0: Illegal option -y",
            "error: unexpected argument '--frob' found",
            "prog.py: error: unrecognized arguments: --frob",
            "Error: unknown flag: --frob",
            "flag provided but not defined: -frob",
            "Error: No such option: --frob",
            "error: unknown option '--frob'",
            "gcc: error: unrecognized command-line option '-frob'",
            "error: the following required arguments were not provided:",
            "Error: unknown command \"frob\" for \"gh\"",
            "head: option requires an argument -- 'n'",
        ] {
            assert!(is_refusal(line), "{line}");
        }
    }

    #[test]
    fn failures_at_work_are_not_taken_for_it() {
        for line in [
            "mount: /mnt: Invalid argument",
            "error: connection refused",
            "3 tests failed",
            "fatal: unknown revision",
            "unexpected end of file",
            "make: *** [all] Error 2",
        ] {
            assert!(!is_refusal(line), "{line}");
        }
    }

    #[test]
    fn only_the_known_codes_soon_after_the_start_count() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("1-1.log");
        let mut log = crate::output::LogWriter::open(&path, 1 << 20).unwrap();
        let now = chrono::Utc::now();
        log.take(
            Stream::Stderr,
            b"ls: unrecognized option '--frob'\nTry 'ls --help'\n",
            now,
        );
        log.finish();
        let second = Duration::from_secs(1);
        assert_eq!(
            refusal(2, second, &path).as_deref(),
            Some("ls: unrecognized option '--frob'")
        );
        assert_eq!(refusal(3, second, &path), None);
        assert_eq!(refusal(2, Duration::from_secs(60), &path), None);
        assert_eq!(refusal(2, second, &dir.path().join("gone")), None);
    }
}
