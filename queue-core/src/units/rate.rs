//! Rates as people write them: `20/s`, `60/min`, `10/30s`.
//!
//! Owns [`Rate`], made by the command line and the configuration and spent by `bucket.rs`. A rate that exists grants
//! something, in some time, at a pace that nanoseconds can express.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    DAY, DURATION_UNITS, HOUR, MINUTE, SECOND, UnitError, find_unit, format_duration, malformed,
    parse_duration,
};

/// The forms of a rate, as error texts show them.
const RATE_FORMS: &str = "a rate such as 20/s, 60/min, 5/h, 100/d or 10/30s";

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rate(text: &str) -> Rate {
        text.parse().unwrap()
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
        assert_eq!(rate("10/30s").per(), Duration::from_secs(30));
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

    proptest! {
        #[test]
        fn a_written_rate_reads_back(count in 1..=u32::MAX, per in 1..=i64::MAX.unsigned_abs()) {
            if let Ok(rate) = Rate::new(NonZeroU32::new(count).unwrap(), Duration::from_millis(per)) {
                prop_assert_eq!(rate.to_string().parse(), Ok(rate));
            }
        }
    }
}
