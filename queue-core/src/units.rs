//! Durations, rates and byte sizes as people write them: `2h30m`, `60/min`, `64MiB`.
//!
//! Owns both directions of each text form; the command line, the configuration and the stored policies all read and
//! write them here. What is written reads back as exactly the same value, and what cannot be read is refused with an
//! error that shows the input and the accepted forms, never guessed.

use std::fmt::{self, Write as _};
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The forms of a duration, as error texts show them.
const DURATION_FORMS: &str =
    "a duration such as 200ms, 30s, 2h30m or 1d (units: ms, s, m, h, d, w)";
/// The forms of a rate, as error texts show them.
const RATE_FORMS: &str = "a rate such as 20/s, 60/min, 5/h, 100/d or 10/30s";
/// The forms of a byte size, as error texts show them.
const BYTES_FORMS: &str =
    "a size such as 512B, 64KiB, 10MiB, 1GiB or 5MB (units: B, KiB, MiB, GiB, TiB, kB, MB, GB, TB)";

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

/// Units of a byte size. A bare letter means the binary unit, as it does for most tools that take sizes.
const BYTE_UNITS: [(&[&str], u64); 9] = [
    (&["B"], 1),
    (&["KiB", "K", "k"], 1 << 10),
    (&["MiB", "M"], 1 << 20),
    (&["GiB", "G"], 1 << 30),
    (&["TiB", "T"], 1 << 40),
    (&["kB", "KB"], 1_000),
    (&["MB"], 1_000_000),
    (&["GB"], 1_000_000_000),
    (&["TB"], 1_000_000_000_000),
];

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

/// Cuts `12min rest` into `12`, `min`, ` rest`. `None` when it does not start with a digit.
fn split_component(text: &str) -> Option<(&str, &str, &str)> {
    let digits_end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(digits_end);
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

/// So many in so long: `60/min` is sixty in any minute, spread evenly.
///
/// The period is in whole milliseconds, at least one; the rate is at most a million a second, so that the time between
/// two grants (kept in whole nanoseconds) is within 0.1 % of the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rate {
    count: NonZeroU32,
    per: Duration,
}

impl Rate {
    /// The most grants a second.
    pub const MOST_PER_SECOND: u32 = 1_000_000;

    /// Makes a rate of `count` in each `per`. Parts of a millisecond of `per` are dropped.
    ///
    /// # Errors
    /// [`UnitError::Zero`] when `per` is shorter than a millisecond; [`UnitError::TooLarge`] when the rate is beyond
    /// [`Rate::MOST_PER_SECOND`] or `per` is beyond what [`parse_duration`] reads.
    pub fn new(count: NonZeroU32, per: Duration) -> Result<Self, UnitError> {
        let input = || format!("{count}/{}", format_duration(per));
        let millis = per.as_millis();
        if millis == 0 {
            return Err(UnitError::Zero {
                input: input(),
                expected: RATE_FORMS,
            });
        }
        let too_large = |most: String| UnitError::TooLarge {
            input: input(),
            most,
        };
        let longest = i64::MAX.unsigned_abs();
        let millis = u64::try_from(millis)
            .ok()
            .filter(|millis| *millis <= longest)
            .ok_or_else(|| {
                too_large(format!(
                    "one in {}",
                    format_duration(Duration::from_millis(longest))
                ))
            })?;
        if u128::from(count.get()) * 1_000 > u128::from(millis) * u128::from(Self::MOST_PER_SECOND)
        {
            return Err(too_large(format!("{}/s", Self::MOST_PER_SECOND)));
        }
        Ok(Self {
            count,
            per: Duration::from_millis(millis),
        })
    }

    /// How many there are in each period.
    #[must_use]
    pub const fn count(&self) -> NonZeroU32 {
        self.count
    }

    /// The period, whole milliseconds.
    #[must_use]
    pub const fn per(&self) -> Duration {
        self.per
    }
}

impl FromStr for Rate {
    type Err = UnitError;

    /// Reads `COUNT/UNIT` or `COUNT/DURATION`: `20/s`, `60/min`, `5/h`, `100/d`, `10/30s`.
    fn from_str(input: &str) -> Result<Self, UnitError> {
        let text = input.trim();
        if text.is_empty() {
            return Err(UnitError::Empty {
                expected: RATE_FORMS,
            });
        }
        let Some((count, per)) = text.split_once('/') else {
            let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
            return Err(if is_number {
                UnitError::MissingUnit {
                    input: input.to_owned(),
                    expected: RATE_FORMS,
                }
            } else {
                malformed(input, RATE_FORMS)
            });
        };
        let count = read_count(input, count.trim())?;
        let per = read_period(input, per.trim())?;
        Self::new(count, per).map_err(|error| match error {
            UnitError::Zero { expected, .. } => UnitError::Zero {
                input: input.to_owned(),
                expected,
            },
            UnitError::TooLarge { most, .. } => UnitError::TooLarge {
                input: input.to_owned(),
                most,
            },
            other => other,
        })
    }
}

/// The number before the slash of a rate.
fn read_count(input: &str, digits: &str) -> Result<NonZeroU32, UnitError> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(malformed(input, RATE_FORMS));
    }
    let count: u32 = digits.parse().map_err(|_| UnitError::TooLarge {
        input: input.to_owned(),
        most: format!("{} in one period", u32::MAX),
    })?;
    NonZeroU32::new(count).ok_or_else(|| UnitError::Zero {
        input: input.to_owned(),
        expected: RATE_FORMS,
    })
}

/// The period after the slash of a rate: a unit alone, or a duration.
fn read_period(input: &str, period: &str) -> Result<Duration, UnitError> {
    if let Some((_, millis)) = find_unit(&DURATION_UNITS, period) {
        return Ok(Duration::from_millis(millis));
    }
    if period.starts_with(|c: char| c.is_ascii_digit()) {
        return parse_duration(period);
    }
    if !period.is_empty() && period.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return Err(UnitError::UnknownUnit {
            input: input.to_owned(),
            unit: period.to_owned(),
            expected: RATE_FORMS,
        });
    }
    Err(malformed(input, RATE_FORMS))
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per = match u64::try_from(self.per.as_millis()) {
            Ok(1) => "ms".to_owned(),
            Ok(SECOND) => "s".to_owned(),
            Ok(MINUTE) => "min".to_owned(),
            Ok(HOUR) => "h".to_owned(),
            Ok(DAY) => "d".to_owned(),
            _ => format_duration(self.per),
        };
        f.pad(&format!("{}/{per}", self.count))
    }
}

impl TryFrom<String> for Rate {
    type Error = UnitError;

    fn try_from(text: String) -> Result<Self, UnitError> {
        text.parse()
    }
}

impl From<Rate> for String {
    fn from(rate: Rate) -> Self {
        rate.to_string()
    }
}

/// Reads a byte size: a whole number with a unit, binary (`64MiB`, `64M`) or decimal (`5MB`). The most is `u64::MAX`.
///
/// # Errors
/// [`UnitError`] for everything else: a number without a unit, fractions, signs, unknown units.
pub fn parse_bytes(input: &str) -> Result<u64, UnitError> {
    let text = input.trim();
    if text.is_empty() {
        return Err(UnitError::Empty {
            expected: BYTES_FORMS,
        });
    }
    let digits_end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(digits_end);
    let unit = unit.trim_start();
    if digits.is_empty() {
        return Err(malformed(input, BYTES_FORMS));
    }
    if unit.is_empty() {
        return Err(UnitError::MissingUnit {
            input: input.to_owned(),
            expected: BYTES_FORMS,
        });
    }
    let Some((_, size)) = find_unit(&BYTE_UNITS, unit) else {
        let is_word = unit.bytes().all(|byte| byte.is_ascii_alphabetic());
        return Err(if is_word {
            UnitError::UnknownUnit {
                input: input.to_owned(),
                unit: unit.to_owned(),
                expected: BYTES_FORMS,
            }
        } else {
            malformed(input, BYTES_FORMS)
        });
    };
    digits
        .parse()
        .ok()
        .and_then(|number: u64| number.checked_mul(size))
        .ok_or_else(|| UnitError::TooLarge {
            input: input.to_owned(),
            most: format_bytes(u64::MAX),
        })
}

/// Writes a byte size exactly, in the largest binary unit that divides it: `64MiB`, `1536KiB`, `1001B`.
///
/// [`parse_bytes`] reads it back as the same number.
#[must_use]
pub fn format_bytes(bytes: u64) -> String {
    for (shift, unit) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")] {
        let size = 1_u64 << shift;
        if bytes >= size && bytes.is_multiple_of(size) {
            return format!("{}{unit}", bytes / size);
        }
    }
    format!("{bytes}B")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn millis(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    fn rate(text: &str) -> Rate {
        text.parse().unwrap()
    }

    #[test]
    fn durations_read_as_people_write_them() {
        for (text, expected) in [
            ("200ms", millis(200)),
            ("30s", millis(30 * SECOND)),
            ("2h30m", millis(2 * HOUR + 30 * MINUTE)),
            ("1d", millis(DAY)),
            ("1w", millis(7 * DAY)),
            (" 1d 12h ", millis(DAY + 12 * HOUR)),
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
            "-5s", "1.5h", "soon", "s", "5 s", "1h,5m", "5s!", "٣s", "1e3s",
        ] {
            let error = parse_duration(text).unwrap_err();
            assert!(error.to_string().contains(text), "{error}");
        }
        assert!(matches!(parse_duration(" "), Err(UnitError::Empty { .. })));
        assert!(matches!(
            parse_duration("5 parsecs"),
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

    #[test]
    fn rates_read_and_write_the_usual_forms() {
        for text in [
            "20/s",
            "60/min",
            "5/h",
            "100/d",
            "10/30s",
            "1/ms",
            "1000000/s",
            "1/7d",
        ] {
            assert_eq!(rate(text).to_string(), text);
        }
        assert_eq!(rate("10/30s").per(), millis(30 * SECOND));
        assert_eq!(rate(" 60 / m ").to_string(), "60/min");
        assert_eq!(rate("5/1h"), rate("5/hour"));
    }

    #[test]
    fn rates_that_mean_nothing_are_refused() {
        assert!(matches!("".parse::<Rate>(), Err(UnitError::Empty { .. })));
        assert!(matches!(
            "20".parse::<Rate>(),
            Err(UnitError::MissingUnit { .. })
        ));
        assert!(matches!("0/s".parse::<Rate>(), Err(UnitError::Zero { .. })));
        assert!(
            matches!("5/0s".parse::<Rate>(), Err(UnitError::Zero { input, .. }) if input == "5/0s")
        );
        assert!(matches!(
            "5/fortnight".parse::<Rate>(),
            Err(UnitError::UnknownUnit { .. })
        ));
        assert!(matches!(
            "4294967296/h".parse::<Rate>(),
            Err(UnitError::TooLarge { .. })
        ));
        assert!(
            matches!("1000001/s".parse::<Rate>(), Err(UnitError::TooLarge { most, .. }) if most == "1000000/s")
        );
        for text in ["5/", "/s", "-5/s", "5.5/s", "fast", "5//s", "5/-1s"] {
            let error = text.parse::<Rate>().unwrap_err();
            assert!(error.to_string().contains(RATE_FORMS), "{error}");
        }
    }

    #[test]
    fn rates_are_strings_in_json() {
        assert_eq!(
            serde_json::to_string(&rate("60/min")).unwrap(),
            r#""60/min""#
        );
        assert_eq!(
            serde_json::from_str::<Rate>(r#""60/m""#).unwrap(),
            rate("60/min")
        );
        assert!(
            serde_json::from_str::<Rate>(r#""60""#)
                .unwrap_err()
                .to_string()
                .contains("lacks a unit")
        );
    }

    #[test]
    fn byte_sizes_read_and_write() {
        for (text, bytes, written) in [
            ("64MiB", 64 << 20, "64MiB"),
            ("64M", 64 << 20, "64MiB"),
            ("512B", 512, "512B"),
            ("1536 KiB", 1536 << 10, "1536KiB"),
            ("5MB", 5_000_000, "5000000B"),
            ("0B", 0, "0B"),
        ] {
            assert_eq!(parse_bytes(text), Ok(bytes));
            assert_eq!(format_bytes(bytes), written);
        }
        assert!(matches!(
            parse_bytes("4096"),
            Err(UnitError::MissingUnit { .. })
        ));
        assert!(matches!(
            parse_bytes("1.5GiB"),
            Err(UnitError::Malformed { .. })
        ));
        assert!(matches!(
            parse_bytes("5 bananas"),
            Err(UnitError::UnknownUnit { .. })
        ));
        assert!(matches!(
            parse_bytes("-1B"),
            Err(UnitError::Malformed { .. })
        ));
        assert!(matches!(
            parse_bytes("16777216TiB"),
            Err(UnitError::TooLarge { .. })
        ));
    }

    proptest! {
        #[test]
        fn a_written_duration_reads_back(count in 0..=i64::MAX.unsigned_abs()) {
            prop_assert_eq!(parse_duration(&format_duration(millis(count))), Ok(millis(count)));
        }

        #[test]
        fn a_written_rate_reads_back(count in 1..=u32::MAX, per in 1..=i64::MAX.unsigned_abs()) {
            if let Ok(rate) = Rate::new(NonZeroU32::new(count).unwrap(), millis(per)) {
                prop_assert_eq!(rate.to_string().parse(), Ok(rate));
            }
        }

        #[test]
        fn a_written_size_reads_back(bytes in any::<u64>(), shift in 0..50_u32) {
            let bytes = bytes >> shift << shift;
            prop_assert_eq!(parse_bytes(&format_bytes(bytes)), Ok(bytes));
        }

        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in "[0-9a-zA-Z /.µ-]{0,12}") {
            let _ = (parse_duration(&text), parse_bytes(&text), text.parse::<Rate>());
        }
    }
}
