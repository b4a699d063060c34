//! Makes text that came from a job harmless for a terminal.
//!
//! Owns the list of characters that a terminal or a reader's eye takes for more than text: control bytes, escape
//! sequences, and marks that turn the direction of writing or cannot be seen. Tables, errors and JSON pass through it
//! always, log lines on a terminal unless `--raw` is given. What it returns holds none of these characters, so passing a
//! text through twice changes nothing.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Makes one field of text harmless: a name, an argument, a path.
///
/// Every control character, line breaks and tabs included, is shown as an escape (`\n`, `\x1b`, `\u{202e}`), so the
/// text stays one line.
#[must_use]
pub fn sanitize(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        push_visible(&mut clean, c);
    }
    Cow::Owned(clean)
}

/// Makes one line of a log harmless, without its line break.
///
/// Escape sequences (colours, cursor moves, window titles) are left out as a whole, tabs stay, a carriage return at
/// the end is dropped, and any other control character is shown as an escape. Bytes that are not UTF-8 become U+FFFD.
#[must_use]
pub fn sanitize_log_line(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = String::from_utf8_lossy(line);
    let mut clean = String::with_capacity(text.len());
    let mut rest = text.as_ref();
    while let Some(c) = rest.chars().next() {
        if let Some(length) = escape_sequence(rest) {
            rest = &rest[length..];
            continue;
        }
        if c == '\t' {
            clean.push(c);
        } else {
            push_visible(&mut clean, c);
        }
        rest = &rest[c.len_utf8()..];
    }
    clean
}

/// Escapes the harmful characters that JSON leaves as they are. In JSON these can only stand inside of strings, so the
/// result means the same.
pub(crate) fn sanitize_json(json: &str) -> Cow<'_, str> {
    let harmful = |c: char| is_harmful(c) && c != '\n';
    if !json.chars().any(harmful) {
        return Cow::Borrowed(json);
    }
    let mut clean = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if harmful(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(clean, "\\u{unit:04x}").expect("writing to a String cannot fail");
            }
        } else {
            clean.push(c);
        }
    }
    Cow::Owned(clean)
}

/// Tells whether a character does more than stand in the text.
fn is_harmful(c: char) -> bool {
    // `is_control` covers C0, DEL and the C1 controls, which some terminals obey as they do ESC [.
    c.is_control()
        || matches!(c,
            '\u{061c}' | '\u{200e}' | '\u{200f}'            // marks of direction
            | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' // embeddings, overrides, isolates
            | '\u{2028}' | '\u{2029}'                       // line and paragraph separators
            | '\u{200b}' | '\u{2060}' | '\u{feff}'          // without any width
            | '\u{e0000}'..='\u{e007f}') // tags: letters that nobody sees
}

fn push_visible(clean: &mut String, c: char) {
    match c {
        '\n' => clean.push_str("\\n"),
        '\r' => clean.push_str("\\r"),
        '\t' => clean.push_str("\\t"),
        c if c.is_ascii_control() => {
            write!(clean, "\\x{:02x}", u32::from(c)).expect("writing to a String cannot fail");
        }
        c if is_harmful(c) => clean.extend(c.escape_unicode()),
        c => clean.push(c),
    }
}

/// Measures the escape sequence that `text` begins with, in bytes. An unfinished one is none, so that a lone ESC cannot
/// swallow the text behind it.
fn escape_sequence(text: &str) -> Option<usize> {
    let (introducer, body) = match text.strip_prefix('\u{1b}') {
        Some(rest) => (rest.chars().next()?, rest.get(1..)?),
        None => match text.chars().next()? {
            '\u{9b}' => ('[', &text[2..]),
            '\u{9d}' => (']', &text[2..]),
            _ => return None,
        },
    };
    let start = text.len() - body.len();
    match introducer {
        '[' => control_sequence(body).map(|length| start + length),
        ']' | 'P' | 'X' | '^' | '_' => control_string(body).map(|length| start + length),
        // Two or three bytes: charset choices (`ESC ( B`), keypad modes, cursor save.
        ' '..='/' => {
            let last = body.chars().next()?;
            ('0'..='~').contains(&last).then_some(start + 1)
        }
        '0'..='~' => Some(start),
        _ => None,
    }
}

/// Measures parameters, intermediates and the final byte of a control sequence (ECMA-48, 5.4).
fn control_sequence(body: &str) -> Option<usize> {
    let end = body.find(|c: char| !(' '..='?').contains(&c))?;
    let last = body[end..].chars().next()?;
    ('@'..='~').contains(&last).then_some(end + 1)
}

/// Measures a string such as a window title, its end (BEL or ST) included. One that another sequence breaks off, or that
/// does not end within `LONGEST_STRING` bytes, is none: a hostile line costs no more than its length times that.
fn control_string(body: &str) -> Option<usize> {
    const LONGEST_STRING: usize = 4096;
    let bytes = body.as_bytes();
    for (at, &byte) in bytes.iter().enumerate().take(LONGEST_STRING) {
        match (byte, bytes.get(at + 1)) {
            (0x07, _) => return Some(at + 1),
            (0x1b, Some(b'\\')) | (0xc2, Some(0x9c)) => return Some(at + 2),
            (0x1b, _) => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_passes_untouched_and_uncopied() {
        for text in ["", "make -j8", "héllo wörld", "日本語", "👩‍💻", "a\\nb"] {
            assert!(
                matches!(sanitize(text), Cow::Borrowed(same) if same == text),
                "{text}"
            );
        }
    }

    #[test]
    fn a_field_stays_one_line_and_shows_its_control_characters() {
        assert_eq!(sanitize("a\nb\tc\rd"), "a\\nb\\tc\\rd");
        assert_eq!(sanitize("\u{1b}[2J\u{7}\0"), "\\x1b[2J\\x07\\x00");
        assert_eq!(sanitize("\u{7f}\u{9b}31m"), "\\x7f\\u{9b}31m");
    }

    #[test]
    fn marks_that_turn_or_hide_text_become_visible() {
        assert_eq!(sanitize("gpj.\u{202e}exe"), "gpj.\\u{202e}exe");
        assert_eq!(sanitize("\u{2066}a\u{2069}"), "\\u{2066}a\\u{2069}");
        assert_eq!(
            sanitize("ad\u{200b}min\u{e0041}"),
            "ad\\u{200b}min\\u{e0041}"
        );
    }

    // L4
    #[test]
    fn a_log_line_loses_whole_escape_sequences() {
        let cases: [(&[u8], &str); 8] = [
            (b"\x1b[1;31mred\x1b[0m ok", "red ok"),
            (b"\x1b]0;title\x07text", "text"),
            (b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
            (b"\x1b[?25l\x1b[2K\x1b[1Gstep 1", "step 1"),
            (b"\x1b(Bplain\x1b7\x1b=", "plain"),
            (b"\x1bPq#0;2\x1b\\sixel", "sixel"),
            ("\u{9b}31mc1\u{9d}0;t\u{9c}!".as_bytes(), "c1!"),
            (b"col1\tcol2\r", "col1\tcol2"),
        ];
        for (line, clean) in cases {
            assert_eq!(sanitize_log_line(line), clean, "{line:?}");
        }
    }

    #[test]
    fn an_unfinished_sequence_is_shown_and_swallows_nothing() {
        assert_eq!(sanitize_log_line(b"\x1b"), "\\x1b");
        assert_eq!(sanitize_log_line(b"\x1b[12"), "\\x1b[12");
        assert_eq!(sanitize_log_line(b"\x1b]0;no end"), "\\x1b]0;no end");
        assert_eq!(
            sanitize_log_line(b"\x1b]0;broken\x1b[1moff\x07"),
            "\\x1b]0;brokenoff\\x07"
        );
        assert_eq!(sanitize_log_line("\u{1b}é".as_bytes()), "\\x1bé");
        assert_eq!(sanitize_log_line("\u{1b}[é".as_bytes()), "\\x1b[é");
        assert_eq!(sanitize_log_line(b"10%\r20%\x08"), "10%\\r20%\\x08");
    }

    #[test]
    fn bytes_that_are_not_utf8_are_replaced() {
        assert_eq!(sanitize_log_line(b"a\xff\xfeb"), "a\u{fffd}\u{fffd}b");
    }

    #[test]
    fn nothing_harmful_is_left_whatever_comes_in() {
        // Every pair of a sequence opener and any byte, and every character of the planes that matter.
        for opener in [
            "\u{1b}", "\u{1b}[", "\u{1b}]", "\u{1b}P", "\u{9b}", "\u{9d}", "",
        ] {
            for c in (0..0x2100)
                .chain(0xe0000..0xe0080)
                .filter_map(char::from_u32)
            {
                let text = format!("{opener}{c}{opener}x");
                assert!(!sanitize(&text).chars().any(is_harmful), "{text:?}");
                let line = sanitize_log_line(text.as_bytes());
                assert!(
                    !line.chars().any(|c| is_harmful(c) && c != '\t'),
                    "{text:?} gave {line:?}"
                );
            }
        }
    }

    #[test]
    fn json_means_the_same_after_it() {
        let value = serde_json::json!({"name": "a\u{202e}b\u{9b}\u{7f}\u{e0041}\n\u{1b}"});
        let text = serde_json::to_string_pretty(&value).unwrap();
        let clean = sanitize_json(&text);
        assert!(
            !clean.chars().any(|c| is_harmful(c) && c != '\n'),
            "{clean}"
        );
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&clean).unwrap(),
            value
        );
    }
}
