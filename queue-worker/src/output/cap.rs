//! Decides which part of a log the cap cuts out.
//!
//! Asked by the log's writer; does no I/O. What always holds: the beginning up to half the cap stays
//! for ever, the end up to the other half; what is cut begins and ends between lines. Offsets here
//! are those of the uncut log, which only grow, so a reader's place stays true.

use std::collections::VecDeque;

use crate::log::GAP_LINE;

/// The smallest cap: below it a long line would not fit twice.
const LEAST: u64 = 128 * 1024;

/// The beginning of a line: where it stands, and how many bytes of the job's came before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) offset: u64,
    pub(super) bytes_before: u64,
}

/// What is cut out: from the end of the head to where the log goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) head_end: u64,
    pub(super) resume: Place,
    /// Bytes of the job's output between them.
    pub(super) bytes: u64,
}

/// Follows a log as it grows.
#[derive(Debug)]
pub(super) struct Cap {
    half: u64,
    head_end: Option<Place>,
    /// Some beginnings of lines behind the head, a granule apart.
    places: VecDeque<Place>,
}

impl Cap {
    pub(super) fn new(cap: u64) -> Self {
        Self {
            half: cap.max(LEAST) / 2,
            head_end: None,
            places: VecDeque::new(),
        }
    }

    /// The most that the end may take.
    pub(super) fn half(&self) -> u64 {
        self.half
    }

    /// Notes that a line of `length` bytes will stand at `place`.
    pub(super) fn note_line(&mut self, place: Place, length: u64) {
        let Some(head_end) = self.head_end else {
            if place.offset + length > self.half {
                self.head_end = Some(place);
            }
            return;
        };
        // The line that stands for the middle needs room before the place the log goes on at.
        let last = self
            .places
            .back()
            .map_or(head_end.offset + GAP_LINE as u64, |last| {
                last.offset + self.granule()
            });
        if place.offset >= last {
            self.places.push_back(place);
        }
    }

    /// What to cut of a log that ends at `end`, once its end has grown `slack` beyond its half.
    pub(super) fn cut(&mut self, end: u64, slack: u64) -> Option<Cut> {
        let head_end = self.head_end?;
        let tail_start = self.places.front()?.offset;
        // Lines that the disk has not taken yet may be noted behind the end.
        if end.saturating_sub(tail_start) <= self.half + slack {
            return None;
        }
        while self.places.len() > 1 && end.saturating_sub(self.places[1].offset) >= self.half {
            self.places.pop_front();
        }
        let resume = *self.places.front()?;
        let bytes = resume.bytes_before - head_end.bytes_before;
        Some(Cut {
            head_end: head_end.offset,
            resume,
            bytes,
        })
    }

    fn granule(&self) -> u64 {
        (self.half / 64).min(64 * 1024)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_and_tail_stay_and_the_middle_goes() {
        let mut cap = Cap::new(1 << 20);
        let mut last = None;
        for line in 0..40_000_u64 {
            cap.note_line(
                Place {
                    offset: line * 100,
                    bytes_before: line * 60,
                },
                100,
            );
            let end = (line + 1) * 100;
            if let Some(cut) = cap.cut(end, 100_000) {
                assert!(cut.head_end <= 1 << 19 && cut.head_end > (1 << 19) - 100);
                assert_eq!(cut.resume.offset % 100, 0);
                assert!(
                    end - cut.resume.offset >= 1 << 19,
                    "the tail keeps its half"
                );
                assert!(end - cut.resume.offset <= (1 << 19) + cap.granule() + 100);
                assert_eq!(cut.bytes, (cut.resume.offset - cut.head_end) / 100 * 60);
                last = Some(cut);
            }
        }
        assert!(last.is_some());
        assert!(cap.places.len() < 100, "memory is bounded");
    }

    #[test]
    fn a_log_within_its_cap_is_left_alone() {
        let mut cap = Cap::new(1 << 20);
        for line in 0..10_000_u64 {
            cap.note_line(
                Place {
                    offset: line * 100,
                    bytes_before: 0,
                },
                100,
            );
            assert_eq!(cap.cut((line + 1) * 100, 0), None);
        }
    }
}
