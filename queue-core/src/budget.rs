//! Budgets: the most that jobs may cost.
//!
//! [`Most`] bounds one job over all its attempts. The worker asks before an attempt starts and while
//! it runs. What always holds: these are plain decisions over sums of the ledger; what has no price
//! counts by its tokens alone.

use crate::{ledger::Spent, money::Usd, units::about_tokens};

/// The most that something may cost. What is not set is not bounded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Most {
    /// In money.
    pub cost: Option<Usd>,
    /// In tokens of all kinds together.
    pub tokens: Option<u64>,
}

impl Most {
    /// Whether nothing is bounded.
    #[must_use]
    pub const fn is_unbounded(&self) -> bool {
        self.cost.is_none() && self.tokens.is_none()
    }

    /// Whether nothing is left: what is to come must not start.
    #[must_use]
    pub fn is_used_up(&self, spent: &Spent) -> bool {
        self.cost.is_some_and(|most| spent.cost >= most)
            || self.tokens.is_some_and(|most| spent.tokens >= most)
    }

    /// Whether more was spent than may be: what runs must stop.
    #[must_use]
    pub fn is_passed(&self, spent: &Spent) -> bool {
        self.cost.is_some_and(|most| spent.cost > most)
            || self.tokens.is_some_and(|most| spent.tokens > most)
    }

    /// What was spent of what may be, for people: `$1.02 of $1.00, 12k tokens of 2M`.
    #[must_use]
    pub fn words(&self, spent: &Spent) -> String {
        let cost = |most: Usd| {
            let unpriced = match spent.unpriced {
                0 => String::new(),
                tokens => format!(" ({} tokens have no price)", about_tokens(tokens)),
            };
            format!("{} of {}{unpriced}", spent.cost.words(), most.words())
        };
        let tokens = |most: u64| {
            format!(
                "{} of {} tokens",
                about_tokens(spent.tokens),
                about_tokens(most)
            )
        };
        let parts = [self.cost.map(cost), self.tokens.map(tokens)];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_up_starts_nothing_and_what_is_passed_stops() {
        let most = Most {
            cost: Some(Usd::from_nanos(100)),
            tokens: Some(10),
        };
        let spent = |cost, tokens| Spent {
            cost: Usd::from_nanos(cost),
            tokens,
            unpriced: 0,
        };
        assert!(!most.is_used_up(&spent(99, 9)));
        assert!(most.is_used_up(&spent(100, 0)) && !most.is_passed(&spent(100, 0)));
        assert!(most.is_used_up(&spent(0, 10)) && !most.is_passed(&spent(0, 10)));
        assert!(most.is_passed(&spent(101, 0)) && most.is_passed(&spent(0, 11)));
        let nothing = Most::default();
        assert!(nothing.is_unbounded() && !nothing.is_used_up(&spent(u64::MAX, u64::MAX)));
    }

    #[test]
    fn words_say_what_has_no_price() {
        let most = Most {
            cost: Some("1".parse().unwrap()),
            tokens: None,
        };
        let spent = Spent {
            cost: "0.25".parse().unwrap(),
            tokens: 2_000,
            unpriced: 1_500,
        };
        assert_eq!(
            most.words(&spent),
            "$0.25 of $1.00 (1.5k tokens have no price)"
        );
    }
}
