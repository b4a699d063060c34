//! Cuts a stream into lines.
//!
//! Used by the reader, one for each stream. What always holds: no more than [`MAX_LINE`] bytes are
//! kept; a line that is longer or lacks a piece is given as `None`, once.

use std::borrow::Cow;

use super::MAX_LINE;

/// The beginning of a line whose end has not come yet.
#[derive(Debug, Default)]
pub(super) struct Lines {
    begun: Vec<u8>,
    /// Whether the line is too long, or lacks a piece: its bytes are not kept.
    is_torn: bool,
}

/// A line, `None` for one that cannot be given; and the bytes behind it.
type Taken<'a> = (Option<Cow<'a, [u8]>>, &'a [u8]);

impl Lines {
    /// Takes the next line off the bytes; `None` where it does not end in them, and they are kept.
    pub(super) fn take<'a>(&mut self, bytes: &'a [u8]) -> Option<Taken<'a>> {
        let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
            self.keep(bytes);
            return None;
        };
        let rest = &bytes[end + 1..];
        if self.begun.is_empty() && !self.is_torn && end <= MAX_LINE {
            return Some((Some(Cow::Borrowed(&bytes[..end])), rest));
        }
        self.keep(&bytes[..end]);
        Some((self.end_line(), rest))
    }

    /// Takes what no line end follows.
    pub(super) fn take_rest(&mut self) -> Option<Option<Cow<'static, [u8]>>> {
        (!self.is_between()).then(|| self.end_line())
    }

    /// Bytes are missing here.
    pub(super) fn tear(&mut self) {
        if !self.begun.is_empty() {
            self.is_torn = true;
            self.begun = Vec::new();
        }
    }

    /// Whether no line is begun.
    pub(super) fn is_between(&self) -> bool {
        self.begun.is_empty() && !self.is_torn
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.is_torn {
            return;
        }
        if self.begun.len() + bytes.len() > MAX_LINE {
            self.is_torn = true;
            self.begun = Vec::new();
            return;
        }
        self.begun.extend_from_slice(bytes);
    }

    fn end_line(&mut self) -> Option<Cow<'static, [u8]>> {
        let line = std::mem::take(&mut self.begun);
        let is_torn = std::mem::take(&mut self.is_torn);
        (!is_torn).then_some(Cow::Owned(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(pieces: &[&[u8]]) -> Vec<Option<Vec<u8>>> {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        for piece in pieces {
            let mut bytes: &[u8] = piece;
            while let Some((line, rest)) = lines.take(bytes) {
                found.push(line.map(Cow::into_owned));
                bytes = rest;
            }
        }
        found.extend(lines.take_rest().map(|line| line.map(Cow::into_owned)));
        found
    }

    fn some(lines: &[&str]) -> Vec<Option<Vec<u8>>> {
        lines
            .iter()
            .map(|it| Some(it.as_bytes().to_vec()))
            .collect()
    }

    #[test]
    fn lines_are_the_same_however_they_are_cut() {
        assert_eq!(cut(&[b"ab\n\ncd"]), some(&["ab", "", "cd"]));
        assert_eq!(cut(&[b"a", b"b\n", b"\nc", b"d"]), some(&["ab", "", "cd"]));
        assert_eq!(cut(&[b"ab\n"]), some(&["ab"]));
        assert_eq!(cut(&[]), some(&[]));
    }

    #[test]
    fn a_line_that_is_too_long_is_given_up_and_the_next_one_is_read() {
        let long = vec![b'x'; MAX_LINE + 1];
        let expected = vec![None, Some(b"next".to_vec())];
        assert_eq!(cut(&[&long, b"yy\nnext"]), expected);
        let mut whole = long;
        whole.extend(b"\nnext");
        assert_eq!(cut(&[&whole]), expected);
    }

    #[test]
    fn a_torn_line_is_given_up_but_not_the_one_behind_it() {
        let mut lines = Lines::default();
        assert!(lines.take(b"half").is_none());
        lines.tear();
        assert_eq!(lines.take(b"rest\nx"), Some((None, &b"x"[..])));
        lines.tear();
        assert!(lines.is_between());
    }
}
