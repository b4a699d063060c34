//! How a person names a job: by number, by name, or as one of the last.
//!
//! Owns the spelling and nothing else; commands parse their arguments with it and ask the store which job is meant.
//! A text of digits alone is always a number and one that begins with `@` is never a name, so a name cannot hide a job.

use std::fmt;
use std::str::FromStr;

use crate::error::CliError;

/// A job as a person names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Selector {
    /// The job with this number, from 1.
    Id(i64),
    /// The job with this name.
    Name(String),
    /// The job that was added last (0), the one before it (1), and so on.
    Last(u32),
}

/// Why a text names no job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// Nothing was given.
    #[error("a job is named by its number, its name, `@` or `@~2`, not by an empty text")]
    Empty,
    /// The number 0.
    #[error("there is no job 0: numbers begin at 1")]
    Zero,
    /// More digits than a job number can have.
    #[error("`{0}` is no job number: the largest is {max}", max = i64::MAX)]
    TooLarge(String),
    /// Something other than `@` and `@~N`.
    #[error("`{0}` names no job: `@` is the last one, `@~2` the one two before it")]
    BadLast(String),
    /// A count that no queue reaches.
    #[error("`{0}` goes too far back: at most {max} jobs", max = u32::MAX)]
    TooFarBack(String),
    /// A control character in a name.
    #[error("`{}` is no job name: it has a control character in it", .0.escape_debug())]
    Control(String),
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        if text.trim().is_empty() {
            return Err(SelectorError::Empty);
        }
        if text.chars().any(char::is_control) {
            return Err(SelectorError::Control(text.to_owned()));
        }
        if let Some(back) = text.strip_prefix('@') {
            return last(text, back);
        }
        if is_number(text) {
            return match text.parse() {
                Ok(0) => Err(SelectorError::Zero),
                Ok(id) => Ok(Self::Id(id)),
                Err(_) => Err(SelectorError::TooLarge(text.to_owned())),
            };
        }
        Ok(Self::Name(text.to_owned()))
    }
}

fn last(text: &str, back: &str) -> Result<Selector, SelectorError> {
    match back.strip_prefix('~') {
        None if back.is_empty() => Ok(Selector::Last(0)),
        Some(count) if is_number(count) => match count.parse() {
            Ok(count) => Ok(Selector::Last(count)),
            Err(_) => Err(SelectorError::TooFarBack(text.to_owned())),
        },
        _ => Err(SelectorError::BadLast(text.to_owned())),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id}"),
            Self::Name(name) => f.write_str(name),
            Self::Last(0) => f.write_str("@"),
            Self::Last(back) => write!(f, "@~{back}"),
        }
    }
}

impl From<SelectorError> for CliError {
    fn from(error: SelectorError) -> Self {
        Self::usage(error.to_string()).hint("`qcli list` shows numbers and names")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Selector, SelectorError> {
        text.parse()
    }

    #[test]
    fn a_job_is_named_by_number_name_or_place_from_the_end() {
        assert_eq!(parse("42"), Ok(Selector::Id(42)));
        assert_eq!(parse("007"), Ok(Selector::Id(7)));
        assert_eq!(parse("9223372036854775807"), Ok(Selector::Id(i64::MAX)));
        assert_eq!(
            parse("nightly-build"),
            Ok(Selector::Name("nightly-build".into()))
        );
        assert_eq!(parse("42a"), Ok(Selector::Name("42a".into())));
        assert_eq!(parse("夜间"), Ok(Selector::Name("夜间".into())));
        assert_eq!(parse("@"), Ok(Selector::Last(0)));
        assert_eq!(parse("@~2"), Ok(Selector::Last(2)));
        assert_eq!(parse("@~0"), Ok(Selector::Last(0)));
    }

    #[test]
    fn what_names_no_job_says_why() {
        let cases = [
            ("", SelectorError::Empty),
            ("  ", SelectorError::Empty),
            ("0", SelectorError::Zero),
            (
                "9223372036854775808",
                SelectorError::TooLarge("9223372036854775808".into()),
            ),
            ("@~", SelectorError::BadLast("@~".into())),
            ("@2", SelectorError::BadLast("@2".into())),
            ("@~-1", SelectorError::BadLast("@~-1".into())),
            ("@~+1", SelectorError::BadLast("@~+1".into())),
            ("@me", SelectorError::BadLast("@me".into())),
            (
                "@~4294967296",
                SelectorError::TooFarBack("@~4294967296".into()),
            ),
            ("a\u{1b}b", SelectorError::Control("a\u{1b}b".into())),
        ];
        for (text, why) in cases {
            assert_eq!(parse(text), Err(why), "{text:?}");
        }
    }

    #[test]
    fn an_error_carries_no_control_character_and_tells_where_to_look() {
        let error = CliError::from(parse("a\u{1b}b").unwrap_err());
        assert_eq!(
            error.message(),
            "`a\\u{1b}b` is no job name: it has a control character in it"
        );
        assert_eq!(error.exit_code().number(), 2);
    }

    #[test]
    fn a_selector_reads_as_it_is_written() {
        for text in ["42", "nightly", "@", "@~3"] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
    }
}
