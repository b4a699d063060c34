//! Processors as people write them: `2`, `0.5`, `1.25`.
//!
//! Owns both directions of the text form, for the command line and the configuration. A share is kept in thousandths of
//! one processor. What is written is exact and reads back as the same share.

use super::{UnitError, malformed};

/// The forms of a share, as error texts show them.
const CPUS_FORMS: &str = "a number of processors from 0.01 up, such as 2, 0.5 or 1.25";

/// The least share. Less than a hundredth is below what the kernel counts out (1 ms in each 100 ms).
const LEAST: u32 = 10;

/// Reads a number of processors with at most three decimals, as in `2`, `0.5` or `1.25`, in thousandths of one.
///
/// # Errors
/// [`UnitError`] for everything else: nothing, less than a hundredth, signs, units.
pub fn parse_cpus(input: &str) -> Result<u32, UnitError> {
    let text = input.trim();
    if text.is_empty() {
        return Err(UnitError::Empty {
            expected: CPUS_FORMS,
        });
    }
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit());
    if !is_number(whole) || !is_number(part) || part.len() > 3 {
        return Err(malformed(input, CPUS_FORMS));
    }
    let thousandths: u32 = format!("{part:0<3}")
        .parse()
        .map_err(|_| malformed(input, CPUS_FORMS))?;
    let share = whole
        .parse()
        .ok()
        .and_then(|whole: u32| whole.checked_mul(1_000)?.checked_add(thousandths));
    match share {
        None => Err(UnitError::TooLarge {
            input: input.to_owned(),
            most: format_cpus(u32::MAX),
        }),
        Some(share) if share < LEAST => Err(UnitError::Zero {
            input: input.to_owned(),
            expected: CPUS_FORMS,
        }),
        Some(share) => Ok(share),
    }
}

/// Writes thousandths of one processor as a number of processors: `2`, `0.5`, `1.25`.
///
/// [`parse_cpus`] reads it back as the same share.
#[must_use]
pub fn format_cpus(millis: u32) -> String {
    let text = format!("{}.{:03}", millis / 1_000, millis % 1_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn shares_read_and_write() {
        for (text, millis, written) in [
            ("2", 2_000, "2"),
            ("0.5", 500, "0.5"),
            (" 1.250 ", 1_250, "1.25"),
            ("0.01", 10, "0.01"),
            ("10", 10_000, "10"),
        ] {
            assert_eq!(parse_cpus(text), Ok(millis), "{text}");
            assert_eq!(format_cpus(millis), written);
        }
        for text in ["", "x", "1,5", "-1", "50%", ".5", "1.", "0.0001", "1e3"] {
            assert!(parse_cpus(text).is_err(), "{text}");
        }
        assert!(matches!(parse_cpus("0"), Err(UnitError::Zero { .. })));
        assert!(matches!(
            parse_cpus("9999999"),
            Err(UnitError::TooLarge { .. })
        ));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(millis in LEAST..) {
            prop_assert_eq!(parse_cpus(&format_cpus(millis)), Ok(millis));
        }
    }
}
