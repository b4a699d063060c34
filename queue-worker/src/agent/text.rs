//! Texts in the one form in which rules compare them.
//!
//! Used by the rules, the reset times and whoever keeps the end of a text. What always holds: the
//! same words in another typographic dress (curly apostrophe, narrow space, bullet operator, colours)
//! give the same text, and a cut never splits a character.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization as _;

/// Gives the text as rules see it: NFKC, without ANSI sequences, with plain apostrophes, quotes and
/// dashes, and `·` for every kind of separator dot. Upper and lower case stay.
#[must_use]
pub fn normalized(text: &str) -> String {
    let plain = without_ansi(text);
    plain.nfkc().filter_map(plain_char).collect()
}

/// Gives [`normalized`] in lower case.
#[must_use]
pub fn folded(text: &str) -> String {
    normalized(text).to_lowercase()
}

fn plain_char(c: char) -> Option<char> {
    Some(match c {
        '\u{2018}' | '\u{2019}' | '\u{201b}' | '\u{2032}' | '\u{02bc}' => '\'',
        '\u{201c}' | '\u{201d}' => '"',
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        '\u{2219}' | '\u{2022}' | '\u{22c5}' | '\u{2027}' => '\u{b7}',
        // A line is not ended by these, and a word is not divided by them.
        '\r' | '\u{200b}' | '\u{200c}' | '\u{200d}' | '\u{feff}' => return None,
        other => other,
    })
}

/// Removes terminal sequences: colours, cursor moves, titles and links.
#[must_use]
pub fn without_ansi(text: &str) -> Cow<'_, str> {
    if !text.contains('\u{1b}') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\u{1b}' {
            plain.push(c);
            continue;
        }
        match chars.next() {
            // CSI: parameters, then one byte from `@` to `~`.
            Some('[') => while chars.next().is_some_and(|c| !('@'..='~').contains(&c)) {},
            // OSC: up to BEL or ST.
            Some(']') => {
                let mut last = ' ';
                for c in chars.by_ref() {
                    if c == '\u{7}' || (last == '\u{1b}' && c == '\\') {
                        break;
                    }
                    last = c;
                }
            }
            _ => {}
        }
    }
    Cow::Owned(plain)
}

/// The first `limit` bytes, or a few less so that no character is split.
#[must_use]
pub fn truncated(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

/// Appends a line and keeps the last `limit` bytes, from the beginning of a character.
pub(super) fn push_tail(tail: &mut String, line: &str, limit: usize) {
    let line = &line[line.ceil_char_boundary(line.len().saturating_sub(limit))..];
    tail.push_str(line);
    tail.push('\n');
    if tail.len() > limit {
        let cut = tail.ceil_char_boundary(tail.len() - limit);
        tail.drain(..cut);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typographic_dress_makes_no_difference() {
        let plain = "you've hit your limit \u{b7} resets 3:51 pm";
        for dressed in [
            "You\u{2019}ve hit your limit \u{2219} resets 3:51\u{202f}PM",
            "You\u{2019}ve hit your limit \u{2022} resets 3:51\u{a0}PM\r",
            "\u{1b}[31mYou've hit\u{1b}[0m your limit \u{b7} resets \u{ff13}:51 PM",
            "\u{1b}]8;;https://example.org/\u{1b}\\You've\u{1b}]8;;\u{7} hit your limit \u{b7} resets 3:51 PM",
        ] {
            assert_eq!(folded(dressed), plain, "{dressed:?}");
        }
    }

    #[test]
    fn a_torn_sequence_at_the_end_is_no_trouble() {
        for torn in ["x\u{1b}", "x\u{1b}[", "x\u{1b}[31", "x\u{1b}]0;title"] {
            assert_eq!(without_ansi(torn), "x");
        }
    }

    #[test]
    fn a_tail_keeps_whole_characters_and_its_limit() {
        let mut tail = String::new();
        for _ in 0..100 {
            push_tail(&mut tail, "äöü", 20);
            assert!(tail.len() <= 20, "{tail:?}");
        }
        assert!(tail.ends_with("äöü\n"));
        push_tail(&mut tail, &"ß".repeat(50), 20);
        assert!(tail.len() <= 20 && tail.ends_with("ß\n"));
    }
}
