//! Byte sizes as people write them: `64MiB`, `512B`, `5MB`.
//!
//! Owns both directions of the text form, for the command line and the configuration. What is written is exact and
//! reads back as the same number.

use super::{UnitError, find_unit, malformed};

/// The forms of a byte size, as error texts show them.
const BYTES_FORMS: &str =
    "a size such as 512B, 64KiB, 10MiB, 1GiB or 5MB (units: B, KiB, MiB, GiB, TiB, kB, MB, GB, TB)";

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

/// Writes a byte size for people to read, with one decimal where it is not whole: `2.0 GiB`, `512 B`.
///
/// It cannot be read back: digits are lost.
#[must_use]
pub fn about_bytes(bytes: u64) -> String {
    for (shift, unit) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")] {
        let size = 1_u64 << shift;
        if bytes >= size {
            let tenths = u128::from(bytes) * 10 / u128::from(size);
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
    }
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_size_for_people_is_short_and_never_says_too_much() {
        for (bytes, words) in [
            (2 << 30, "2.0 GiB"),
            ((2 << 30) - 1, "1.9 GiB"),
            (1_536, "1.5 KiB"),
            (1_023, "1023 B"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(about_bytes(bytes), words);
        }
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
        fn a_written_size_reads_back(bytes in any::<u64>(), shift in 0..50_u32) {
            let bytes = bytes >> shift << shift;
            prop_assert_eq!(parse_bytes(&format_bytes(bytes)), Ok(bytes));
        }
    }
}
