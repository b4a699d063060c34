//! Durations, rates, byte sizes and processors as people write them: `2h30m`, `60/min`, `64MiB`, `1.5`.
//!
//! Owns both directions of each text form; the command line, the configuration and the stored policies all read and
//! write them here. What is written reads back as exactly the same value, and what cannot be read is refused with an
//! error that shows the input and the accepted forms, never guessed.

mod bytes;
mod cpus;
mod rate;
mod tokens;

use std::fmt::Write as _;
use std::time::Duration;

pub use bytes::{about_bytes, format_bytes, parse_bytes};
pub use cpus::{format_cpus, parse_cpus};
pub use rate::Rate;
pub use tokens::{about_tokens, parse_tokens};

/// The forms of a duration, as error texts show them.
const DURATION_FORMS: &str =
    "a duration such as 200ms, 30s, 2h30m or 1d (units: ms, s, m, h, d, w)";

/// Units of a duration with their milliseconds, longest first, each under every name it may have.
const DURATION_UNITS: [(&[&str], u64); 6] = [
    (&["w", "week", "weeks"], 7 * DAY),
    (&["d", "day", "days"], DAY),
    (&["h", "hr", "hour", "hours"], HOUR),
    (&["m", "min", "minute", "minutes"], MINUTE),
    (&["s", "sec", "second", "seconds"], SECOND),
    (&["ms"], 1),
];
const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Why a text is not the duration, rate or size it should be. The text names the input and shows accepted forms.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Nothing was given.
    #[error("nothing given: write {expected}")]
    Empty {
        /// The accepted forms.
        expected: &'static str,
    },
    /// A number stands alone.
    #[error("`{input}` lacks a unit: write {expected}")]
    MissingUnit {
        /// What was given.
        input: String,
        /// The accepted forms.
        expected: &'static str,
    },
    /// A number is followed by a word that is no unit.
    #[error("`{input}` has the unknown unit `{unit}`: write {expected}")]
    UnknownUnit {
        /// What was given.
        input: String,
        /// The word after the number.
        unit: String,
        /// The accepted forms.
        expected: &'static str,
    },
    /// The text has another shape altogether (a sign, a fraction, a word).
    #[error("`{input}` cannot be read: write {expected}")]
    Malformed {
        /// What was given.
        input: String,
        /// The accepted forms.
        expected: &'static str,
    },
    /// A duration names a unit twice, or a smaller one before a larger one.
    #[error(
        "`{input}` names its units out of order: write each once, the largest first, as in 2h30m"
    )]
    OutOfOrder {
        /// What was given.
        input: String,
    },
    /// The value is beyond what can be stored.
    #[error("`{input}` is too large: the most is {most}")]
    TooLarge {
        /// What was given.
        input: String,
        /// The largest accepted value.
        most: String,
    },
    /// A rate that grants nothing, or something in no time.
    #[error("`{input}` has a zero: write {expected}")]
    Zero {
        /// What was given.
        input: String,
        /// The accepted forms.
        expected: &'static str,
    },
}

/// Reads a count: a whole number from 1 up, into one of the `NonZero` types.
///
/// # Errors
/// [`UnitError::Malformed`] for zero, a sign, a fraction, a word, and what the type cannot hold.
pub fn parse_count<T: std::str::FromStr>(input: &str) -> Result<T, UnitError> {
    input.trim().parse().map_err(|_| UnitError::Malformed {
        input: input.to_owned(),
        expected: "a whole number from 1 up",
    })
}

/// Reads a duration: numbers with units, the largest unit first, as in `200ms`, `30s`, `2h30m` or `1d 12h`.
///
/// The most is `i64::MAX` milliseconds (some 292 million years), so every result can be stored.
///
/// # Errors
/// [`UnitError`] for everything else: a number without a unit, fractions, signs, unknown units, units out of order.
pub fn parse_duration(input: &str) -> Result<Duration, UnitError> {
    let text = input.trim();
    if text.is_empty() {
        return Err(UnitError::Empty {
            expected: DURATION_FORMS,
        });
    }
    let too_large = || UnitError::TooLarge {
        input: input.to_owned(),
        most: format_duration(Duration::from_millis(i64::MAX.unsigned_abs())),
    };
    let mut rest = text;
    let mut units_left = DURATION_UNITS.as_slice();
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (digits, unit, after) =
            split_component(rest).ok_or_else(|| malformed(input, DURATION_FORMS))?;
        if unit.is_empty() && after.is_empty() {
            return Err(UnitError::MissingUnit {
                input: input.to_owned(),
                expected: DURATION_FORMS,
            });
        }
        let (position, millis) =
            find_unit(units_left, unit).ok_or_else(|| wrong_unit(input, unit))?;
        units_left = &units_left[position + 1..];
        let number: u64 = digits.parse().map_err(|_| too_large())?;
        total = number
            .checked_mul(millis)
            .and_then(|part| total.checked_add(part))
            .ok_or_else(too_large)?;
        rest = after.trim_start();
    }
    if i64::try_from(total).is_err() {
        return Err(too_large());
    }
    Ok(Duration::from_millis(total))
}

/// Cuts `12min rest` (or `12 min rest`) into `12`, `min`, ` rest`. `None` when it does not start with a digit.
fn split_component(text: &str) -> Option<(&str, &str, &str)> {
    let digits_end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(digits_end);
    let rest = rest.trim_start();
    let unit_end = rest
        .find(|c: char| !c.is_ascii_alphabetic())
        .unwrap_or(rest.len());
    let (unit, after) = rest.split_at(unit_end);
    (!digits.is_empty()).then_some((digits, unit, after))
}

/// Finds a unit by one of its names: its position in `units` and its size.
fn find_unit(units: &[(&[&str], u64)], name: &str) -> Option<(usize, u64)> {
    units
        .iter()
        .enumerate()
        .find_map(|(position, (names, size))| names.contains(&name).then_some((position, *size)))
}

/// Tells a unit of a duration that stands in the wrong place from a word that is none.
fn wrong_unit(input: &str, unit: &str) -> UnitError {
    if unit.is_empty() {
        malformed(input, DURATION_FORMS)
    } else if find_unit(&DURATION_UNITS, unit).is_some() {
        UnitError::OutOfOrder {
            input: input.to_owned(),
        }
    } else {
        UnitError::UnknownUnit {
            input: input.to_owned(),
            unit: unit.to_owned(),
            expected: DURATION_FORMS,
        }
    }
}

fn malformed(input: &str, expected: &'static str) -> UnitError {
    UnitError::Malformed {
        input: input.to_owned(),
        expected,
    }
}

/// Writes a duration compactly: `2h30m`, `40s`, `200ms`, `1d12h`, `0s`. Parts of a millisecond are dropped.
///
/// [`parse_duration`] reads it back as the same whole milliseconds.
#[must_use]
pub fn format_duration(span: Duration) -> String {
    let mut rest = span.as_millis();
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (size, unit) in [
        (DAY, "d"),
        (HOUR, "h"),
        (MINUTE, "m"),
        (SECOND, "s"),
        (1, "ms"),
    ] {
        let size = u128::from(size);
        if rest >= size {
            write!(text, "{}{unit}", rest / size)
                .expect("a string takes whatever is written to it");
            rest %= size;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn millis(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn durations_read_as_people_write_them() {
        for (text, expected) in [
            ("200ms", millis(200)),
            ("30s", millis(30 * SECOND)),
            ("2h30m", millis(2 * HOUR + 30 * MINUTE)),
            ("1d", millis(DAY)),
            ("1w", millis(7 * DAY)),
            (" 1d 12 h ", millis(DAY + 12 * HOUR)),
            ("90min", millis(90 * MINUTE)),
            ("0s", Duration::ZERO),
            ("1s5ms", millis(1_005)),
        ] {
            assert_eq!(parse_duration(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_number_without_unit_is_told_so() {
        let error = parse_duration("90").unwrap_err();
        assert_eq!(
            error,
            UnitError::MissingUnit {
                input: "90".into(),
                expected: DURATION_FORMS
            }
        );
        assert_eq!(
            error.to_string(),
            format!("`90` lacks a unit: write {DURATION_FORMS}")
        );
        assert!(matches!(
            parse_duration("2h30"),
            Err(UnitError::MissingUnit { .. })
        ));
    }

    #[test]
    fn nonsense_durations_are_refused_by_name() {
        for text in [
            "-5s", "1.5h", "soon", "s", "5 4s", "1h,5m", "5s!", "٣s", "1e3s",
        ] {
            let error = parse_duration(text).unwrap_err();
            assert!(error.to_string().contains(text), "{error}");
        }
        assert!(matches!(parse_duration(" "), Err(UnitError::Empty { .. })));
        assert!(matches!(
            parse_duration("5 4s"),
            Err(UnitError::Malformed { .. })
        ));
        assert!(
            matches!(parse_duration("5parsecs"), Err(UnitError::UnknownUnit { unit, .. }) if unit == "parsecs")
        );
        assert!(matches!(
            parse_duration("30m2h"),
            Err(UnitError::OutOfOrder { .. })
        ));
        assert!(matches!(
            parse_duration("2h2h"),
            Err(UnitError::OutOfOrder { .. })
        ));
    }

    #[test]
    fn durations_too_large_to_store_are_refused() {
        let most = millis(i64::MAX.unsigned_abs());
        assert_eq!(parse_duration(&format_duration(most)), Ok(most));
        for text in [
            "9223372036854775808ms",
            "106751991168d",
            "99999999999999999999999s",
            "18446744073709551615w",
        ] {
            assert!(
                matches!(parse_duration(text), Err(UnitError::TooLarge { .. })),
                "{text}"
            );
        }
        assert_eq!(format_duration(Duration::MAX), "213503982334601d7h15s999ms");
    }

    #[test]
    fn durations_are_written_compactly() {
        for text in [
            "2h30m",
            "40s",
            "200ms",
            "1d12h",
            "1d1ms",
            "0s",
            "59m59s999ms",
        ] {
            assert_eq!(format_duration(parse_duration(text).unwrap()), text);
        }
    }

    proptest! {
        #[test]
        fn a_written_duration_reads_back(count in 0..=i64::MAX.unsigned_abs()) {
            prop_assert_eq!(parse_duration(&format_duration(millis(count))), Ok(millis(count)));
        }

        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in "[0-9a-zA-Z /.µ-]{0,12}") {
            let _ = (parse_duration(&text), parse_bytes(&text), text.parse::<Rate>());
        }
    }
}
