//! Cuts a stream of bytes into lines of the log.
//!
//! Used by the log's writer, one [`Framer`] per stream. What always holds: the texts of its lines,
//! joined, with a line feed after each full one, are the bytes it was given.

use crate::log::MAX_TEXT;

/// The beginning of a line whose end has not come yet.
#[derive(Debug, Default)]
pub(super) struct Framer {
    part: Vec<u8>,
}

impl Framer {
    /// Whether the beginning of a line waits for its end.
    pub(super) fn has_part(&self) -> bool {
        !self.part.is_empty()
    }

    /// Takes bytes and gives out the lines they complete: text, and whether a line feed ended it.
    pub(super) fn take(&mut self, bytes: &[u8], line: &mut impl FnMut(&[u8], bool)) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let text = &rest[..end];
            if self.part.is_empty() {
                give(text, true, line);
            } else {
                self.part.extend_from_slice(text);
                give(&self.part, true, line);
                self.part.clear();
            }
            rest = &rest[end + 1..];
        }
        self.part.extend_from_slice(rest);
        while self.part.len() > MAX_TEXT {
            let cut = cut_for(&self.part);
            line(&self.part[..cut], false);
            self.part.drain(..cut);
        }
    }

    /// Gives out what waits, as a part.
    pub(super) fn give_part(&mut self, line: &mut impl FnMut(&[u8], bool)) {
        if !self.part.is_empty() {
            give(&self.part, false, line);
            self.part.clear();
        }
    }
}

/// Gives out one line of any length, in parts if it is long.
fn give(mut text: &[u8], is_full: bool, line: &mut impl FnMut(&[u8], bool)) {
    while text.len() > MAX_TEXT {
        let (part, rest) = text.split_at(cut_for(text));
        line(part, false);
        text = rest;
    }
    line(text, is_full);
}

/// Where to cut a text longer than a line: not inside a character, if these are characters.
fn cut_for(text: &[u8]) -> usize {
    let continues = |index: usize| text[index] & 0xC0 == 0x80;
    (MAX_TEXT - 3..=MAX_TEXT)
        .rev()
        .find(|index| !continues(*index))
        .unwrap_or(MAX_TEXT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(chunks: &[&[u8]]) -> Vec<(Vec<u8>, bool)> {
        let mut framer = Framer::default();
        let mut lines = Vec::new();
        let mut line = |text: &[u8], is_full| lines.push((text.to_vec(), is_full));
        for chunk in chunks {
            framer.take(chunk, &mut line);
        }
        framer.give_part(&mut line);
        lines
    }

    fn join(lines: &[(Vec<u8>, bool)]) -> Vec<u8> {
        let ends = |is_full: bool| if is_full { &b"\n"[..] } else { b"" };
        lines
            .iter()
            .flat_map(|(text, is_full)| [text.as_slice(), ends(*is_full)].concat())
            .collect()
    }

    #[test]
    fn bytes_come_out_as_they_went_in_wherever_they_are_cut() {
        let text = "eins\n\nzw\u{f6}lf \u{1f600}\r\nlast".as_bytes();
        for cut in 0..=text.len() {
            let lines = frame(&[&text[..cut], &text[cut..]]);
            assert_eq!(join(&lines), text);
            assert_eq!(lines.len(), 4);
        }
    }

    #[test]
    fn a_long_line_comes_in_parts_that_end_between_characters() {
        let text = "\u{20ac}".repeat(MAX_TEXT) + "\nx\n";
        for chunk in [1000, 65_536] {
            let chunks: Vec<_> = text.as_bytes().chunks(chunk).collect();
            let lines = frame(&chunks);
            assert_eq!(join(&lines), text.as_bytes());
            assert!(lines.iter().all(|(part, _)| part.len() <= MAX_TEXT));
            assert!(
                lines
                    .iter()
                    .all(|(part, _)| std::str::from_utf8(part).is_ok())
            );
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_cut_anywhere() {
        let junk = vec![0x80; 3 * MAX_TEXT];
        assert_eq!(join(&frame(&[&junk])), junk);
    }
}
