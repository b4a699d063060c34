//! Numbers of tokens as people write them: `5M`, `200k`, `1.5M`, `750000`.
//!
//! Owns both directions of the text form, for the command line and for what it shows. What is read is
//! exact: a part of a token is refused.

use super::UnitError;

const TOKENS_FORMS: &str = "a number of tokens such as 750000, 200k, 1.5M or 2G";

const TOKEN_UNITS: [(char, u64); 3] = [('G', 1_000_000_000), ('M', 1_000_000), ('k', 1_000)];

/// Reads a number of tokens, at least one: `750000`, `200k`, `1.5M`.
///
/// # Errors
/// [`UnitError`] for everything else: signs, other units, parts of a token, none at all.
pub fn parse_tokens(input: &str) -> Result<u64, UnitError> {
    let text = input.trim();
    if text.is_empty() {
        return Err(UnitError::Empty {
            expected: TOKENS_FORMS,
        });
    }
    read(text)
        .filter(|number| *number > 0)
        .ok_or_else(|| super::malformed(input, TOKENS_FORMS))
}

fn read(text: &str) -> Option<u64> {
    let unit = TOKEN_UNITS.iter().find_map(|(letter, size)| {
        let digits = text.strip_suffix([*letter, letter.to_ascii_lowercase()])?;
        Some((digits.trim_end(), *size))
    });
    let unit = unit.or_else(|| Some((text.strip_suffix('K')?.trim_end(), 1_000)));
    let (digits, size) = unit.unwrap_or((text, 1));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(part) || digits.ends_with('.') {
        return None;
    }
    let mut number = whole.parse::<u64>().ok()?.checked_mul(size)?;
    let mut place = size;
    for digit in part.bytes() {
        let value = u64::from(digit - b'0');
        if !place.is_multiple_of(10) && value > 0 {
            return None;
        }
        place /= 10;
        number = number.checked_add(value * place)?;
    }
    // Beyond that no sum of them would fit a column of the store.
    (number <= i64::MAX.unsigned_abs()).then_some(number)
}

/// Writes a number of tokens for people, short: `12.3k`, `1.5M`, `950`. Digits are lost.
#[must_use]
pub fn about_tokens(tokens: u64) -> String {
    for (letter, size) in TOKEN_UNITS {
        if tokens >= size {
            let tenths = tokens / (size / 10);
            return match tenths % 10 {
                0 => format!("{}{letter}", tenths / 10),
                part => format!("{}.{part}{letter}", tenths / 10),
            };
        }
    }
    tokens.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_exactly_or_not_at_all() {
        for (text, number) in [
            ("1", 1),
            ("750000", 750_000),
            ("200k", 200_000),
            ("200 K", 200_000),
            ("1.5M", 1_500_000),
            ("0.25m", 250_000),
            ("2g", 2_000_000_000),
            ("1.500", 0),
        ] {
            assert_eq!(parse_tokens(text).unwrap_or(0), number, "{text}");
        }
        for bad in [
            "",
            "0",
            "-1",
            "1.0001k",
            "k",
            "1e6",
            "5MB",
            "1.",
            "99999999999G",
        ] {
            assert!(parse_tokens(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn tokens_for_people_are_short_and_never_say_too_much() {
        for (tokens, words) in [
            (0, "0"),
            (999, "999"),
            (12_399, "12.3k"),
            (5_000_000, "5M"),
            (1_999_999, "1.9M"),
        ] {
            assert_eq!(about_tokens(tokens), words);
        }
    }
}
