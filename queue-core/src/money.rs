//! Money: whole billionths of a US dollar.
//!
//! Agents print what they cost as decimal fractions; they become a [`Usd`] once, where they are
//! read, and from there on are added up exactly. The ledger, budgets and options of jobs hold nothing
//! else. What always holds: an amount is not negative, and what is not known is no amount at all
//! (`None`, "unpriced"), never zero.

use serde::{Deserialize, Serialize};
use std::{fmt, iter::Sum, str::FromStr};

const NANOS: u64 = 1_000_000_000;

/// An amount of US dollars, exact to a billionth.
///
/// It is written as a plain decimal number, which reads back as the same amount: `0.25`, `12`.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct Usd(u64);

impl Usd {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The most that one number may say: a million dollars. What an agent prints beyond that is
    /// cut down to it, so that no sum of such numbers overflows.
    pub const MOST: Self = Self(1_000_000 * NANOS);

    /// Makes an amount from billionths of a dollar.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The billionths of a dollar.
    #[must_use]
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// The amount as a binary fraction, for JSON alone: its shortest spelling is the amount.
    #[must_use]
    pub fn dollars(self) -> f64 {
        self.0 as f64 / NANOS as f64
    }

    /// The amount nearest to a number that an agent printed, at most [`Usd::MOST`]; none for one
    /// that is negative or no number.
    #[must_use]
    pub fn from_dollars(dollars: f64) -> Option<Self> {
        if dollars.is_nan() || dollars < 0.0 {
            return None;
        }
        let nanos = (dollars * NANOS as f64).round();
        Some(Self(nanos as u64).min(Self::MOST))
    }

    /// The sum, at most what the type holds.
    #[must_use]
    pub const fn saturating_add(self, more: Self) -> Self {
        Self(self.0.saturating_add(more.0))
    }

    /// What is left; nothing where `less` is more.
    #[must_use]
    pub const fn saturating_sub(self, less: Self) -> Self {
        Self(self.0.saturating_sub(less.0))
    }

    /// The amount for people: `$0.25`, `$1.0312`. Cents at the least, ten-thousandths at the most;
    /// more than nothing never reads as nothing.
    #[must_use]
    pub fn words(self) -> String {
        let least = NANOS / 10_000;
        if self.0 > 0 && self.0 < least {
            return "<$0.0001".to_owned();
        }
        let parts = self.0.saturating_add(least / 2) / least;
        let (dollars, parts) = (parts / 10_000, parts % 10_000);
        match parts % 100 {
            0 => format!("${dollars}.{:02}", parts / 100),
            _ => format!("${dollars}.{parts:04}"),
        }
    }
}

impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / NANOS, self.0 % NANOS);
        if part == 0 {
            return f.pad(&whole.to_string());
        }
        let part = format!("{part:09}");
        f.pad(&format!("{whole}.{}", part.trim_end_matches('0')))
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::saturating_add)
    }
}

/// A text that is no amount of US dollars.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not an amount of US dollars: write one such as 5, 2.50, $0.25 or 20usd, at most 1000000"
)]
pub struct BadUsd(pub String);

impl FromStr for Usd {
    type Err = BadUsd;

    /// Reads `5`, `2.50`, `$0.25`, `20usd`, `20 USD`, to at most nine decimals.
    fn from_str(text: &str) -> Result<Self, BadUsd> {
        read(text).ok_or_else(|| BadUsd(text.to_owned()))
    }
}

fn read(text: &str) -> Option<Usd> {
    let text = text.trim();
    let text = text.strip_prefix('$').unwrap_or(text);
    let number = match text
        .len()
        .checked_sub(3)
        .and_then(|at| text.split_at_checked(at))
    {
        Some((number, unit)) if unit.eq_ignore_ascii_case("usd") => number.trim_end(),
        _ => text,
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && part.is_empty())
        || !is_number(whole)
        || !is_number(part)
        || part.len() > 9
    {
        return None;
    }
    let whole: u64 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let part: u64 = format!("{part:0<9}").parse().ok()?;
    let amount = Usd(whole.checked_mul(NANOS)?.checked_add(part)?);
    (amount <= Usd::MOST).then_some(amount)
}

impl TryFrom<String> for Usd {
    type Error = BadUsd;

    fn try_from(text: String) -> Result<Self, BadUsd> {
        text.parse()
    }
}

impl From<Usd> for String {
    fn from(amount: Usd) -> Self {
        amount.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_amount_is_read_in_the_ways_that_people_write_it() {
        for (text, nanos) in [
            ("5", 5 * NANOS),
            ("$0.25", NANOS / 4),
            ("20usd", 20 * NANOS),
            (" 2.50 USD ", NANOS * 5 / 2),
            (".5", NANOS / 2),
            ("0.000000001", 1),
        ] {
            assert_eq!(text.parse::<Usd>().unwrap().nanos(), nanos, "{text}");
        }
        for bad in [
            "",
            "usd",
            "$",
            "-1",
            "1e3",
            "1,5",
            "0.0000000001",
            "1000000.01",
            "5eur",
            "1.2.3",
            "ü€€",
        ] {
            let error = bad.parse::<Usd>().unwrap_err();
            assert!(error.to_string().contains("not an amount"), "{bad:?}");
        }
    }

    #[test]
    fn what_agents_print_becomes_the_amount_they_meant() {
        for (dollars, text) in [
            (0.1, "0.1"),
            (0.054_182_75, "0.05418275"),
            (3.0, "3"),
            (0.0, "0"),
        ] {
            assert_eq!(Usd::from_dollars(dollars).unwrap().to_string(), text);
        }
        assert_eq!(Usd::from_dollars(f64::INFINITY), Some(Usd::MOST));
        assert_eq!(Usd::from_dollars(f64::NAN), None);
        assert_eq!(Usd::from_dollars(-0.01), None);
        // Ten times a tenth is one, which binary fractions do not say.
        let sum: Usd = (0..10).filter_map(|_| Usd::from_dollars(0.1)).sum();
        assert_eq!(sum.nanos(), NANOS);
    }

    #[test]
    fn people_see_cents_and_never_nothing_where_there_is_something() {
        let words = |text: &str| text.parse::<Usd>().unwrap().words();
        assert_eq!((words("0"), words("1.2")), ("$0.00".into(), "$1.20".into()));
        assert_eq!(words("1.03118"), "$1.0312");
        assert_eq!(words("0.00002"), "<$0.0001");
        assert_eq!(words("0.99999"), "$1.00");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(nanos in 0..=Usd::MOST.nanos()) {
            let amount = Usd::from_nanos(nanos);
            prop_assert_eq!(amount.to_string().parse::<Usd>(), Ok(amount));
        }
    }
}
