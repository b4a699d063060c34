//! Budgets: the most that jobs may cost.
//!
//! [`Most`] bounds one job over all its attempts: the worker asks before an attempt starts and while
//! it runs. A [`Budget`] is shared by all jobs that call agents in its [`Scope`], and the store asks it in the
//! transaction of a claim. What always holds: these are plain decisions over sums of the ledger;
//! what has no price counts by its tokens alone; a day is that of the budget's own time zone, so
//! that all workers agree when it ends.

use crate::{
    clock::Timestamp, ledger::Spent, money::Usd, units::about_tokens, words::spelled_enum,
};
use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use std::collections::BTreeMap;

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

spelled_enum! {
    /// For how long what was spent counts.
    Per, "span of a budget" {
        /// From midnight to midnight.
        Day = "day",
        /// From the first of a month to the first of the next.
        Month = "month",
        /// For ever.
        Ever = "ever",
    }
}

/// From when to when spending counts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first moment.
    pub from: Timestamp,
    /// The first moment that is not in it any more; none where it has no end.
    pub until: Option<Timestamp>,
}

impl Span {
    /// Whether a moment lies in it.
    #[must_use]
    pub fn contains(&self, at: Timestamp) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }
}

impl Per {
    /// The span around a moment, as calendars in `zone` have it.
    #[must_use]
    pub fn span(self, zone: Tz, at: Timestamp) -> Span {
        let day = DateTime::<Utc>::from(at).with_timezone(&zone).date_naive();
        let (first, next) = match self {
            Per::Ever => {
                return Span {
                    from: Timestamp::from_millis(i64::MIN),
                    until: None,
                };
            }
            Per::Day => (Some(day), day.checked_add_days(Days::new(1))),
            Per::Month => {
                let first = day.with_day(1);
                (
                    first,
                    first.and_then(|first| first.checked_add_months(Months::new(1))),
                )
            }
        };
        Span {
            from: first.map_or(Timestamp::from_millis(i64::MIN), |day| begin_of(day, zone)),
            until: next.map(|day| begin_of(day, zone)),
        }
    }
}

/// The first moment of a day: midnight, the first of two where clocks are put back over it, and
/// where they are put forward over it the moment at which that is done.
#[must_use]
pub fn begin_of(day: NaiveDate, zone: Tz) -> Timestamp {
    let midnight = day.and_time(NaiveTime::MIN);
    let at = match zone.from_local_datetime(&midnight).earliest() {
        Some(at) => at.to_utc(),
        None => {
            // No clock is put forward by more than three hours, but where a zone left out a day.
            let before = zone.offset_from_local_datetime(&(midnight - TimeDelta::hours(25)));
            let before = before.earliest().map(|offset| chrono::Offset::fix(&offset));
            let before = TimeDelta::seconds(before.map_or(0, |it| it.local_minus_utc().into()));
            (midnight - before).and_utc()
        }
    };
    at.into()
}

/// Which jobs a budget is for: those that call an agent, and are in the queue and have the label,
/// where these are named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// The queue.
    pub queue: Option<String>,
    /// The label: its key, and its value where only that one counts.
    pub tag: Option<(String, Option<String>)>,
}

impl Scope {
    /// Whether an agent's job with this queue and these labels is in it.
    #[must_use]
    pub fn covers(&self, queue: &str, tags: &BTreeMap<String, String>) -> bool {
        let has_tag = |(key, value): &(String, Option<String>)| {
            let found = tags.get(key);
            found.is_some_and(|found| value.as_ref().is_none_or(|value| value == found))
        };
        self.queue.as_ref().is_none_or(|wanted| wanted == queue)
            && self.tag.as_ref().is_none_or(has_tag)
    }
}

/// The most that all jobs in a scope may cost together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// What it is called.
    pub name: String,
    /// Which jobs it is for.
    pub scope: Scope,
    /// For how long what was spent counts.
    pub per: Per,
    /// The zone whose midnights count.
    pub zone: Tz,
    /// The most.
    pub most: Most,
    /// Whether running attempts are stopped too when it is used up.
    pub hard: bool,
}

/// A budget, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetStatus {
    /// The budget.
    pub budget: Budget,
    /// What was spent in the present span.
    pub spent: Spent,
    /// When that ends.
    pub until: Option<Timestamp>,
    /// How many jobs of its scope wait, for it or for something else.
    pub waiting: u64,
}

impl BudgetStatus {
    /// Whether nothing is left.
    #[must_use]
    pub fn is_used_up(&self) -> bool {
        self.budget.most.is_used_up(&self.spent)
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

    fn at(text: &str) -> Timestamp {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc().into()
    }

    fn day(zone: Tz, moment: &str) -> (String, String) {
        let span = Per::Day.span(zone, at(moment));
        assert!(span.contains(at(moment)));
        (span.from.to_string(), span.until.unwrap().to_string())
    }

    #[test]
    fn a_day_ends_at_midnight_of_its_zone_however_clocks_are_changed() {
        use chrono_tz::{America::Santiago, Europe::Oslo, Pacific::Apia, Tz::UTC};
        let hours = |zone, moment| {
            let span = Per::Day.span(zone, at(moment));
            span.until.unwrap().since(span.from).as_secs() / 3_600
        };
        assert_eq!(
            day(UTC, "2026-11-21T17:00:00Z"),
            (
                "2026-11-21T00:00:00.000Z".into(),
                "2026-11-22T00:00:00.000Z".into()
            )
        );
        assert_eq!(
            hours(Oslo, "2026-03-29T12:00:00Z"),
            23,
            "clocks are put forward"
        );
        assert_eq!(
            hours(Oslo, "2026-10-25T12:00:00Z"),
            25,
            "clocks are put back"
        );
        // Midnight is left out: the day begins at one o'clock, which is when midnight would be.
        assert_eq!(
            day(Santiago, "2026-09-06T12:00:00Z"),
            (
                "2026-09-06T04:00:00.000Z".into(),
                "2026-09-07T03:00:00.000Z".into()
            )
        );
        // Midnight comes twice: the first one counts.
        assert_eq!(hours(Santiago, "2026-04-04T12:00:00Z"), 25);
        // A whole day was left out: 2011-12-30.
        let apia = Per::Day.span(Apia, at("2011-12-30T05:00:00Z"));
        assert_eq!(apia.until, Some(at("2011-12-30T10:00:00Z")));
    }

    #[test]
    fn a_month_ends_with_its_last_day_and_ever_does_not() {
        let zone = chrono_tz::Europe::Oslo;
        let month = Per::Month.span(zone, at("2026-12-31T23:30:00Z"));
        assert_eq!(
            month.from,
            at("2026-12-31T23:00:00Z"),
            "it is January there"
        );
        assert_eq!(month.until, Some(at("2027-01-31T23:00:00Z")));
        let ever = Per::Ever.span(zone, at("2026-12-31T23:30:00Z"));
        assert!(ever.contains(at("1970-01-01T00:00:00Z")) && ever.until.is_none());
    }

    #[test]
    fn a_scope_names_a_queue_and_a_label_or_neither() {
        let tags = BTreeMap::from([("team".to_owned(), "web".to_owned())]);
        let scope = |queue: Option<&str>, tag: Option<(&str, Option<&str>)>| Scope {
            queue: queue.map(str::to_owned),
            tag: tag.map(|(key, value)| (key.to_owned(), value.map(str::to_owned))),
        };
        for (wanted, covers) in [
            (scope(None, None), true),
            (scope(Some("q"), None), true),
            (scope(Some("other"), None), false),
            (scope(None, Some(("team", None))), true),
            (scope(None, Some(("team", Some("web")))), true),
            (scope(None, Some(("team", Some("core")))), false),
            (scope(Some("other"), Some(("team", None))), false),
            (scope(None, Some(("env", None))), false),
        ] {
            assert_eq!(wanted.covers("q", &tags), covers, "{wanted:?}");
        }
    }

    proptest::proptest! {
        /// Spans follow one another without a gap, wherever clocks are changed.
        #[test]
        fn days_follow_one_another_in_every_zone(
            zone in 0..chrono_tz::TZ_VARIANTS.len(), seconds in 0_i64..4_000_000_000,
        ) {
            let zone = chrono_tz::TZ_VARIANTS[zone];
            let moment = Timestamp::from_millis(seconds * 1_000);
            let today = Per::Day.span(zone, moment);
            proptest::prop_assert!(today.contains(moment), "{zone} {moment} {today:?}");
            let end = today.until.unwrap();
            let tomorrow = Per::Day.span(zone, end);
            proptest::prop_assert_eq!(tomorrow.from, end, "{} {}", zone, moment);
        }
    }
}
