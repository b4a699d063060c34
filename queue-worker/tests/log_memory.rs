//! Reading a long log takes no more memory than reading a short one. Alone in its file, because the
//! peak it looks at is that of the whole process.

#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    reason = "clippy.toml lets tests unwrap, but not what they share"
)]

use std::fs;
use std::io::Write;

use chrono::Utc;
use queue_worker::log::{Entry, Reader, Stream};
use queue_worker::output::LogWriter;

/// The most memory this process ever took, MiB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

// L2
#[test]
fn a_long_log_is_read_in_constant_memory() {
    let dir = tempfile::tempdir().unwrap();
    let (path, piece) = (dir.path().join("log"), dir.path().join("piece"));
    let mut writer = LogWriter::open(&piece, 64 << 20).unwrap();
    let text = format!("{}\n", "x".repeat(15_000)).repeat(64);
    writer.take(Stream::Stdout, text.as_bytes(), Utc::now());
    writer.finish();
    let piece = fs::read(piece).unwrap();
    let mut file = fs::File::create(&path).unwrap();
    let repeats = (100 << 20) / piece.len();
    (0..repeats).for_each(|_| file.write_all(&piece).unwrap());
    // At last one endless line that is no log at all.
    (0..32).for_each(|_| file.write_all(&vec![b'z'; 1 << 20]).unwrap());

    let before = peak();
    assert_eq!(count_lines(Reader::open(&path).unwrap()), repeats * 64);
    let half = repeats * 32;
    assert_eq!(
        count_lines(Reader::open_tail(&path, half, None).unwrap()),
        half
    );
    let grown = peak() - before;
    assert!(grown < 16, "{grown} MiB for a log of 132 MiB");
}

fn count_lines(reader: Reader) -> usize {
    reader
        .filter(|entry| matches!(entry, Ok(Entry::Line(_))))
        .count()
}
