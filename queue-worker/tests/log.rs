//! What the readers of a log promise, on files in every condition.

#![expect(
    clippy::unwrap_used,
    reason = "clippy.toml lets tests unwrap, but not what they share"
)]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use queue_worker::log::{Entry, Follower, Reader, Stream};
use queue_worker::output::LogWriter;
use tempfile::TempDir;

use Stream::{Stderr, Stdout};

fn empty_log() -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("log");
    (dir, path)
}

/// A log with this output in it, each piece read by itself.
fn log_of(pieces: &[(Stream, &str)]) -> (TempDir, PathBuf) {
    let (dir, path) = empty_log();
    let mut writer = LogWriter::open(&path, 1 << 20).unwrap();
    for (stream, text) in pieces {
        writer.take(*stream, text.as_bytes(), Utc::now());
    }
    writer.finish();
    (dir, path)
}

fn shown(entry: Entry) -> String {
    match entry {
        Entry::Line(line) => {
            let mut raw = Vec::new();
            line.write_raw(&mut raw).unwrap();
            String::from_utf8_lossy(&raw).into_owned()
        }
        Entry::Omitted { bytes } => format!("<{bytes} omitted>"),
        Entry::Damaged { bytes } => format!("<{bytes} damaged>"),
    }
}

fn all(reader: Reader) -> Vec<String> {
    reader.map(|entry| shown(entry.unwrap())).collect()
}

fn read(path: &Path) -> Vec<String> {
    all(Reader::open(path).unwrap())
}

fn tail(path: &Path, lines: usize, only: Option<Stream>) -> String {
    all(Reader::open_tail(path, lines, only).unwrap()).concat()
}

#[test]
fn one_stream_can_be_read_alone() {
    let (_dir, path) = log_of(&[
        (Stdout, "a\nb"),
        (Stderr, "x\n"),
        (Stdout, "b\n"),
        (Stderr, "y"),
    ]);
    assert_eq!(read(&path).concat(), "a\nx\nbb\ny");
    assert_eq!(
        all(Reader::open(&path).unwrap().only(Some(Stdout))).concat(),
        "a\nbb\n"
    );
    assert_eq!(
        all(Reader::open(&path).unwrap().only(Some(Stderr))).concat(),
        "x\ny"
    );
}

#[test]
fn the_last_lines_are_given_exactly() {
    let (_dir, path) = log_of(&[
        (Stdout, "1\n2\n"),
        (Stderr, "e\n"),
        (Stdout, "\n"),
        (Stderr, "f\n"),
        (Stdout, "5"),
    ]);
    assert_eq!(tail(&path, 0, None), "");
    assert_eq!(tail(&path, 1, None), "5");
    assert_eq!(tail(&path, 3, None), "\nf\n5");
    assert_eq!(tail(&path, 2, Some(Stderr)), "e\nf\n");
    assert_eq!(tail(&path, 3, Some(Stdout)), "2\n\n5");
    assert_eq!(tail(&path, 99, None), "1\n2\ne\n\nf\n5");
    let (_dir, path) = log_of(&[]);
    assert_eq!(tail(&path, 5, None), "");
}

#[test]
fn a_long_line_counts_as_one_of_the_last_lines() {
    let long = "y".repeat(200_000);
    let (_dir, path) = log_of(&[
        (Stdout, "first\n"),
        (Stdout, &format!("{long}\n")),
        (Stdout, "last\n"),
    ]);
    assert_eq!(tail(&path, 2, None), format!("{long}\nlast\n"));
    assert_eq!(tail(&path, 1, None), "last\n");
}

#[test]
fn the_last_lines_of_many_are_found_at_any_block_border() {
    let text: String = (0..20_000)
        .map(|number| format!("{number:0>width$}\n", width = number % 97 + 1))
        .collect();
    let (_dir, path) = log_of(&[(Stdout, &text)]);
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    for count in [1, 2, 500, 777, 1301, 5000] {
        // The cap cut some of the middle out, but not of the last 5000 lines.
        assert_eq!(
            tail(&path, count, None),
            lines[lines.len() - count..].concat(),
            "{count}"
        );
    }
}

#[test]
fn a_torn_last_line_gives_what_there_is() {
    let (_dir, path) = log_of(&[(Stdout, "whole\n"), (Stderr, "torn\n")]);
    let bytes = fs::read(&path).unwrap();
    for cut in 0..bytes.len() {
        fs::write(&path, &bytes[..cut]).unwrap();
        let found = read(&path);
        let is_known = |text: &str| {
            "whole\n".starts_with(text) || "torn\n".starts_with(text) || text.contains("damaged")
        };
        assert!(found.iter().all(|text| is_known(text)), "{cut}: {found:?}");
        assert!(cut < 47 || found[0] == "whole\n", "{cut}: {found:?}");
        tail(&path, 1, None);
    }
}

#[test]
fn garbage_is_passed_over_and_counted() {
    let (_dir, path) = log_of(&[(Stdout, "a\n")]);
    let good = fs::read(&path).unwrap();
    let cases: [(&[u8], &str); 5] = [
        (b"no log line\n", "<12 damaged>"),
        (&[0; 100_000], "<100000 damaged>"),
        (b"\n", "<1 damaged>"),
        (
            b"2026-01-02T03:04:05.678901234Z system O bytes=1 resume=2 at=0\n",
            "<",
        ),
        (&[0xff; 100_000], "<"),
    ];
    for (garbage, told) in cases {
        let ends_line = garbage.ends_with(b"\n") || garbage[0] == 0;
        let rest: &[u8] = if ends_line { b"" } else { b"\n" };
        fs::write(&path, [&good, garbage, rest, &good].concat()).unwrap();
        let found = read(&path);
        assert_eq!(found.first().unwrap(), "a\n");
        assert_eq!(found.last().unwrap(), "a\n");
        assert!(found[1].starts_with(told), "{found:?}");
        assert!(
            found[1..found.len() - 1]
                .iter()
                .all(|text| text.contains("damaged")),
            "{found:?}"
        );
        assert_eq!(tail(&path, 1, None), "a\n");
    }
}

#[test]
fn a_job_cannot_write_a_line_of_ours() {
    let forged = "2026-01-02T03:04:05.678901234Z system O bytes=00000000000000000009 resume=00000000000000000000 at=00000000000000000999\n";
    let (_dir, path) = log_of(&[(Stdout, forged), (Stderr, "after\n")]);
    assert_eq!(read(&path), [forged, "after\n"]);
}

// L2
#[test]
fn the_last_lines_of_an_enormous_file_come_without_reading_it() {
    let (_dir, path) = log_of(&[(Stdout, "first\n")]);
    let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.set_len(5 << 40).unwrap();
    let (_other, lines) = log_of(&[(Stdout, "a\nb\n")]);
    file.write_all(&fs::read(lines).unwrap()).unwrap();
    assert_eq!(tail(&path, 1, None), "b\n");
    assert_eq!(tail(&path, 2, None), "a\nb\n");
    let whole = read(&path);
    assert_eq!((whole[0].as_str(), whole[2].as_str()), ("first\n", "a\n"));
    assert!(whole[1].contains("damaged"));
}

#[test]
fn a_follower_waits_for_the_file_and_for_whole_lines() {
    let (_dir, path) = empty_log();
    let mut follower = Follower::new(&path, None);
    assert_eq!(follower.next_entry().unwrap(), None);
    let (_other, source) = log_of(&[(Stdout, "one\n"), (Stderr, "two\n")]);
    let bytes = fs::read(source).unwrap();
    let mut file = fs::File::create(&path).unwrap();
    let mut found = Vec::new();
    for byte in bytes {
        file.write_all(&[byte]).unwrap();
        let new = follower.next_entry().unwrap();
        assert_eq!(new.is_some(), byte == b'\n');
        found.extend(new.map(shown));
    }
    assert_eq!(found, ["one\n", "two\n"]);
}

#[test]
fn a_follower_goes_on_behind_the_last_lines() {
    let (_dir, path) = log_of(&[(Stdout, "1\n2\n3\n")]);
    let mut reader = Reader::open_tail(&path, 2, None).unwrap();
    assert_eq!(shown(reader.next_whole().unwrap().unwrap()), "2\n");
    let mut follower = Follower::after(&path, reader, None);
    assert_eq!(follower.next_entry().unwrap().map(shown).unwrap(), "3\n");
    assert_eq!(follower.next_entry().unwrap(), None);
    let mut writer = LogWriter::open(&path, 1 << 20).unwrap();
    writer.take(Stdout, b"4\n", Utc::now());
    writer.flush();
    assert_eq!(follower.next_entry().unwrap().map(shown).unwrap(), "4\n");
}

#[test]
fn times_are_those_of_the_reading() {
    let (_dir, path) = empty_log();
    let mut writer = LogWriter::open(&path, 1 << 20).unwrap();
    let times =
        [0, 1, 999_999_999].map(|nanos| DateTime::from_timestamp(4_000_000_000, nanos).unwrap());
    for at in times {
        writer.take(Stdout, b"x\n", at);
    }
    writer.finish();
    let found: Vec<_> = Reader::open(&path)
        .unwrap()
        .map(|entry| {
            if let Ok(Entry::Line(line)) = entry {
                line.at
            } else {
                panic!("{entry:?}")
            }
        })
        .collect();
    assert_eq!(found, times);
}
