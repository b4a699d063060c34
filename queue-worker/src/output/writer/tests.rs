//! The writer against the readers that watch it, with the disk in the three conditions it can be in:
//! one that takes holes, one that does not, and one that takes nothing.

use tempfile::TempDir;

use super::*;
use crate::log::{Entry, Follower, Reader};

const CAP: u64 = 128 * 1024;

struct Log {
    _dir: TempDir,
    path: PathBuf,
    writer: LogWriter,
    next: u64,
}

impl Log {
    fn new(can_punch: bool) -> Self {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("log");
        let mut writer = LogWriter::open(&path, CAP).unwrap();
        writer.can_punch &= can_punch;
        Self {
            _dir: dir,
            path,
            writer,
            next: 0,
        }
    }

    /// Writes `count` lines, numbered through, a hundred to a batch.
    fn write(&mut self, count: u64) {
        for batch in (0..count).step_by(100) {
            let size = 100.min(count - batch);
            let text: String = (self.next..self.next + size)
                .map(|number| format!("{number:08}\n"))
                .collect();
            self.next += size;
            self.writer
                .take(Stream::Stdout, text.as_bytes(), Utc::now());
            self.writer.flush();
        }
    }

    /// Makes the file one that cannot be written, and gives back the other.
    fn lose_disk(&mut self) -> File {
        std::mem::replace(&mut self.writer.file, File::open(&self.path).unwrap())
    }
}

/// Bytes of the job's that one line of [`Log::write`] holds.
const LINE: u64 = 9;

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Seen {
    Number(u64),
    Gap(u64),
}

fn seen(entry: Entry) -> Seen {
    match entry {
        Entry::Line(line) => Seen::Number(String::from_utf8(line.text).unwrap().parse().unwrap()),
        Entry::Omitted { bytes } => Seen::Gap(bytes),
        damaged @ Entry::Damaged { .. } => panic!("{damaged:?}"),
    }
}

fn read(path: &Path) -> Vec<Seen> {
    Reader::open(path)
        .unwrap()
        .map(|entry| seen(entry.unwrap()))
        .collect()
}

fn catch_up(follower: &mut Follower) -> Vec<Seen> {
    std::iter::from_fn(|| follower.next_entry().unwrap())
        .map(seen)
        .collect()
}

/// Numbers go up by one, but over gaps; a gap of `told` is as wide as it says.
fn assert_head_gap_tail(all: &[Seen], next: u64) {
    let gap = all
        .iter()
        .position(|seen| matches!(seen, Seen::Gap(_)))
        .expect("a gap");
    let Seen::Gap(bytes) = all[gap] else {
        unreachable!()
    };
    let head = gap as u64;
    assert!(
        all[..gap].iter().copied().eq((0..head).map(Seen::Number)),
        "the head is whole"
    );
    let first = head + bytes / LINE;
    assert_eq!(bytes % LINE, 0);
    assert!(
        all[gap + 1..]
            .iter()
            .copied()
            .eq((first..next).map(Seen::Number)),
        "the tail is whole"
    );
}

// L1
#[test]
fn the_cap_keeps_head_and_tail_while_writing_and_in_the_end() {
    for can_punch in [true, false] {
        let mut log = Log::new(can_punch);
        for _ in 0..50 {
            log.write(3000);
            let disk = disk_used(&log.path);
            assert!(disk < 2 * CAP, "punch {can_punch}: {disk} bytes");
            if log.writer.cut.is_some() {
                assert_head_gap_tail(&read(&log.path), log.next);
            }
        }
        let (path, next) = (log.path.clone(), log.next);
        let summary = log.writer.finish();
        let all = read(&path);
        assert_head_gap_tail(&all, next);
        let kept = (all.len() as u64 - 1) * LINE;
        assert_eq!(summary.output_bytes, next * LINE);
        assert_eq!(summary.omitted_bytes, next * LINE - kept);
        assert_eq!(summary.file_bytes, std::fs::metadata(&path).unwrap().len());
        assert!(
            summary.file_bytes < 2 * CAP && summary.trouble.is_none(),
            "{summary:?}"
        );
    }
}

#[test]
fn a_follower_that_keeps_up_sees_each_line_once_whatever_is_cut() {
    for can_punch in [true, false] {
        let mut log = Log::new(can_punch);
        let mut follower = Follower::new(&log.path, None);
        let mut all = Vec::new();
        for _ in 0..100 {
            log.write(700);
            all.extend(catch_up(&mut follower));
        }
        assert!(log.writer.cut.is_some());
        let next = log.next;
        log.writer.finish();
        all.extend(catch_up(&mut follower));
        assert!(
            all.iter().copied().eq((0..next).map(Seen::Number)),
            "punch {can_punch}"
        );
    }
}

#[test]
fn a_follower_that_falls_behind_goes_on_at_the_tail() {
    for can_punch in [true, false] {
        for read_before in [0, 100, 2000, 3500, 5000] {
            let mut log = Log::new(can_punch);
            log.write(read_before);
            let mut follower = Follower::new(&log.path, None);
            let mut all = catch_up(&mut follower);
            log.write(30_000);
            all.extend(catch_up(&mut follower));
            log.write(50);
            all.extend(catch_up(&mut follower));
            log.write(30_000);
            let next = log.next;
            log.writer.finish();
            all.extend(catch_up(&mut follower));

            let numbers: Vec<_> = all
                .iter()
                .filter_map(|seen| {
                    if let Seen::Number(number) = seen {
                        Some(*number)
                    } else {
                        None
                    }
                })
                .collect();
            let case = format!("punch {can_punch}, {read_before} lines before");
            assert!(
                numbers.is_sorted_by(|a, b| a < b),
                "{case}: nothing comes twice"
            );
            assert_eq!(numbers.last(), Some(&(next - 1)), "{case}");
            assert!(numbers.contains(&30_049) || read_before != 0, "{case}");
            let jumps = numbers
                .windows(2)
                .filter(|pair| pair[0] + 1 != pair[1])
                .count();
            let gaps = all.len() - numbers.len();
            assert_eq!(jumps, gaps, "{case}: each jump is told");
        }
    }
}

#[test]
fn an_offset_names_the_same_line_before_and_after_the_cut() {
    for can_punch in [true, false] {
        let mut log = Log::new(can_punch);
        let (mut offsets, mut follower) = (Vec::new(), Reader::open(&log.path).unwrap());
        log.write(1000);
        loop {
            let offset = follower.offset().unwrap();
            let Some(entry) = follower.next_whole().unwrap() else {
                break;
            };
            offsets.push((offset, seen(entry)));
        }
        log.write(29_000);
        let mut tail = Reader::open_tail(&log.path, 500, None).unwrap();
        loop {
            let offset = tail.offset().unwrap();
            let Some(entry) = tail.next_whole().unwrap() else {
                break;
            };
            offsets.push((offset, seen(entry)));
        }
        assert_eq!(offsets.len(), 1500);
        let path = log.path.clone();
        log.writer.finish();
        for (offset, line) in offsets.into_iter().step_by(37) {
            let mut reader = Reader::open_at(&path, offset).unwrap();
            assert_eq!(
                seen(reader.next().unwrap().unwrap()),
                line,
                "punch {can_punch}"
            );
            assert!(reader.offset().unwrap() > offset);
        }
    }
}

#[test]
fn an_offset_that_is_cut_out_begins_with_the_gap() {
    let mut log = Log::new(true);
    log.write(5000);
    let mut reader = Reader::open_tail(&log.path, 1, None).unwrap();
    let offset = reader.offset().unwrap();
    log.write(30_000);
    let mut reader = Reader::open_at(&log.path, offset).unwrap();
    assert!(matches!(
        seen(reader.next().unwrap().unwrap()),
        Seen::Gap(_)
    ));
    assert!(
        matches!(seen(reader.next().unwrap().unwrap()), Seen::Number(number) if number > 30_000)
    );
}

#[test]
fn the_last_lines_are_found_behind_a_hole_and_across_it() {
    for can_punch in [true, false] {
        let mut log = Log::new(can_punch);
        log.write(60_000);
        for lines in [0, 1, 10, 1000] {
            let tail: Vec<_> = Reader::open_tail(&log.path, lines, None)
                .unwrap()
                .map(|entry| seen(entry.unwrap()))
                .collect();
            let first = log.next - lines as u64;
            assert!(
                tail.iter().copied().eq((first..log.next).map(Seen::Number)),
                "{lines}"
            );
        }
        let whole = read(&log.path);
        let across = whole.len() - 100;
        let tail: Vec<_> = Reader::open_tail(&log.path, across, None)
            .unwrap()
            .map(|entry| seen(entry.unwrap()))
            .collect();
        assert_eq!(tail, whole[99..], "punch {can_punch}");
    }
}

// S4
#[test]
fn what_a_full_disk_did_not_take_is_written_when_it_does_again() {
    let mut log = Log::new(true);
    log.write(10);
    let disk = log.lose_disk();
    log.write(500);
    assert!(log.writer.is_behind());
    log.writer.file = disk;
    log.write(10);
    assert!(!log.writer.is_behind());
    let path = log.path.clone();
    let summary = log.writer.finish();
    assert!(read(&path).iter().copied().eq((0..520).map(Seen::Number)));
    assert!(summary.trouble.is_some_and(|text| text.contains("log")));
    assert_eq!(summary.omitted_bytes, 0);
}

#[test]
fn a_disk_that_stays_full_costs_bounded_memory_and_the_log_tells_what_is_missing() {
    let mut log = Log::new(true);
    log.writer.sheet.cap = Cap::new(64 << 20);
    log.write(10);
    let disk = log.lose_disk();
    log.write(100_000);
    assert!(log.writer.sheet.buffer.len() < 2 * WAITING_ROOM);
    log.writer.file = disk;
    log.writer.flush();
    log.write(10);
    let (path, next) = (log.path.clone(), log.next);
    let summary = log.writer.finish();
    assert_head_gap_tail(&read(&path), next);
    assert!(summary.omitted_bytes > 0);
    let told = read(&path)
        .into_iter()
        .find(|seen| matches!(seen, Seen::Gap(_)));
    assert_eq!(told, Some(Seen::Gap(summary.omitted_bytes)));
}

#[test]
fn more_than_the_cap_waiting_for_a_full_disk_is_cut_when_it_takes_bytes_again() {
    for can_punch in [true, false] {
        for lines in [5000, 100_000] {
            let mut log = Log::new(can_punch);
            log.write(10);
            let disk = log.lose_disk();
            log.write(lines);
            log.writer.file = disk;
            log.writer.flush();
            log.write(20);
            let (path, next) = (log.path.clone(), log.next);
            let summary = log.writer.finish();
            let all = read(&path);
            let numbers = all
                .iter()
                .filter(|seen| matches!(seen, Seen::Number(_)))
                .count() as u64;
            assert_eq!(summary.omitted_bytes, (next - numbers) * LINE);
            assert_eq!(all.last(), Some(&Seen::Number(next - 1)));
            assert!(summary.file_bytes < CAP + 4096, "{summary:?}");
        }
    }
}

#[test]
fn a_log_that_is_there_is_continued_behind_its_torn_line() {
    let mut log = Log::new(true);
    log.write(3);
    let path = log.path.clone();
    log.writer.finish();
    let torn = std::fs::read(&path).unwrap();
    std::fs::write(&path, &torn[..torn.len() - 5]).unwrap();
    let mut writer = LogWriter::open(&path, CAP).unwrap();
    writer.take(Stream::Stdout, b"00000007\n", Utc::now());
    writer.finish();
    let expected = [
        Seen::Number(0),
        Seen::Number(1),
        Seen::Number(0),
        Seen::Number(7),
    ];
    assert_eq!(read(&path), expected, "the torn 00000002 reads 0000");
}

fn disk_used(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).unwrap().blocks() * 512
}
