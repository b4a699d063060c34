//! Token buckets: whether a claim may spend tokens now, and if not, when.
//!
//! Owns [`Quota`] and the pure [`decide`] over one stored number; the store calls it inside the claim's transaction and
//! writes back what it answers, so tokens spent equal jobs claimed and all workers share one bucket. The arithmetic is
//! governor's (GCRA, the generic cell rate algorithm), built anew for each question over the stored number, because a
//! limiter that lives on counts from its own start and two processes would not agree.
//!
//! The stored number is the *theoretical arrival time* (TAT) in nanoseconds since the Unix epoch: the instant at which
//! the bucket is full again. No row yet (`None`) means full.

use std::cell::Cell;
use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::direct::NotKeyed;
use governor::state::{RateLimiter, StateStore};

use crate::clock::Timestamp;
use crate::units::{Rate, format_duration};

/// The longest time an empty bucket may take to fill: 100 years of 365 days.
pub const LONGEST_REFILL: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// How old a look at the clock may be when it comes to a decision. Processes look, then wait for the store's lock, for
/// at most this long; so a bucket may have been emptied after the look of one who asks now.
pub const OLDEST_LOOK: Duration = Duration::from_secs(60);

const NANOS_PER_MILLI: i64 = 1_000_000;

/// A token bucket's rule: refilled at `rate`, one token at a time and evenly; holds at most `burst`.
///
/// One token takes `per / count` rounded up to whole nanoseconds, so a rate is never exceeded and missed by at most
/// 0.1 % (at a million a second). From 1,000,000/s ([`Rate`]) to one in [`LONGEST_REFILL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quota {
    rate: Rate,
    burst: NonZeroU32,
    interval: u64,
}

/// An empty bucket would not be full again within [`LONGEST_REFILL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a bucket of {burst} refilled at {rate} takes longer than {} to fill: choose a smaller burst or a higher rate",
    format_duration(LONGEST_REFILL)
)]
pub struct TooSlow {
    /// The rate asked for.
    pub rate: Rate,
    /// The burst asked for.
    pub burst: NonZeroU32,
}

impl Quota {
    /// Makes the rule of a bucket that holds `burst` tokens and refills at `rate`.
    ///
    /// # Errors
    /// [`TooSlow`] when an empty bucket would take longer than [`LONGEST_REFILL`] to fill.
    pub fn new(rate: Rate, burst: NonZeroU32) -> Result<Self, TooSlow> {
        let interval = rate
            .per()
            .as_nanos()
            .div_ceil(u128::from(rate.count().get()));
        match u64::try_from(interval) {
            Ok(interval)
                if u128::from(interval) * u128::from(burst.get()) <= LONGEST_REFILL.as_nanos() =>
            {
                Ok(Self {
                    rate,
                    burst,
                    interval,
                })
            }
            _ => Err(TooSlow { rate, burst }),
        }
    }

    /// How fast it refills.
    #[must_use]
    pub const fn rate(&self) -> Rate {
        self.rate
    }

    /// How many tokens it holds, the most that can be spent at once.
    #[must_use]
    pub const fn burst(&self) -> NonZeroU32 {
        self.burst
    }

    /// The time one token takes to come back.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        Duration::from_nanos(self.interval)
    }

    /// Nanoseconds from empty to full, at most [`LONGEST_REFILL`].
    const fn refill(&self) -> u64 {
        self.interval * self.burst.get() as u64
    }

    /// The same rule in governor's terms.
    fn for_governor(&self) -> governor::Quota {
        governor::Quota::with_period(self.interval())
            .expect("an interval is rounded up, so it is at least a nanosecond")
            .allow_burst(self.burst)
    }
}

impl fmt::Display for Quota {
    /// Writes `60/min, burst 10`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}, burst {}", self.rate, self.burst))
    }
}

/// The answer to a wish for tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Take them: write `tat` in the transaction that claims.
    Granted {
        /// The bucket's new state, nanoseconds since the Unix epoch.
        tat: i64,
        /// Tokens left now.
        remaining: u32,
    },
    /// Not yet.
    Wait {
        /// The first instant (nanoseconds since the Unix epoch) at which the same wish is granted if nobody spends.
        until_ns: i64,
        /// A state to write *although nothing is granted*, because the stored one lies too far ahead (the clock was
        /// stepped back, or the quota changed). Left unwritten, each later look would be clamped anew, and the bucket
        /// stay shut until the clock has caught up.
        repair: Option<i64>,
    },
    /// The bucket can never hold as many; refuse such a wish when it is made.
    Never {
        /// The most that can be spent at once.
        capacity: u32,
    },
}

/// Decides whether `n` tokens may be spent at `now_ns`, given the stored `tat` (both nanoseconds since the epoch).
///
/// A stored `tat` further ahead than an empty bucket's was written after `now_ns` was looked up, by up to
/// [`OLDEST_LOOK`]: then it is at least as late as that. Further ahead still, the clock was stepped back, and it is
/// taken for an empty bucket's. Instants before the epoch count as the epoch. Pure: the caller reads and writes the
/// row, in one transaction.
#[must_use]
pub fn decide(quota: &Quota, tat: Option<i64>, now_ns: i64, n: NonZeroU32) -> Decision {
    // Asked first because governor multiplies before it compares, and would overflow.
    if n > quota.burst {
        return Decision::Never {
            capacity: quota.burst.get(),
        };
    }
    let stored = tat.map(instant);
    let now = not_before(quota, stored, instant(now_ns));
    let clamped = clamp(quota, stored, now);
    match ask_governor(quota, clamped, now, n) {
        Ok((tat, remaining)) => Decision::Granted {
            tat: stored_form(tat),
            remaining,
        },
        Err(until) => Decision::Wait {
            until_ns: stored_form(until),
            repair: clamped.filter(|_| clamped != stored).map(stored_form),
        },
    }
}

/// Counts the tokens that could be spent at `now_ns`, for people to look at.
#[must_use]
pub fn level(quota: &Quota, tat: Option<i64>, now_ns: i64) -> u32 {
    let now = instant(now_ns);
    let missing = clamp(quota, tat.map(instant), now).map_or(0, |tat| tat.saturating_sub(now));
    let tokens = (quota.refill() - missing) / quota.interval;
    u32::try_from(tokens).expect("a bucket holds at most its burst, a u32")
}

/// Gives the state of a bucket that is emptied at `now_ns`: the furthest ahead that one can be.
#[must_use]
pub fn emptied_at(quota: &Quota, now_ns: i64) -> i64 {
    stored_form(instant(now_ns) + quota.refill())
}

/// Gives an instant as nanoseconds since the Unix epoch, as [`decide`] takes it.
#[must_use]
pub fn nanos_at(at: Timestamp) -> i64 {
    at.as_millis().saturating_mul(NANOS_PER_MILLI)
}

/// Gives the first millisecond that is not before `nanos`, so that a wish asked again then is granted.
#[must_use]
pub fn millis_from(nanos: i64) -> Timestamp {
    let begun = i64::from(nanos.rem_euclid(NANOS_PER_MILLI) != 0);
    Timestamp::from_millis(nanos.div_euclid(NANOS_PER_MILLI) + begun)
}

/// Governor counts without sign; what lies before the epoch becomes the epoch.
fn instant(nanos: i64) -> u64 {
    u64::try_from(nanos).unwrap_or(0)
}

/// What the database can hold: beyond the year 2262 it is the last instant there is.
fn stored_form(nanos: u64) -> i64 {
    i64::try_from(nanos).unwrap_or(i64::MAX)
}

/// The present, by a look at the clock that may be older than the state: were it taken for a clock stepped back, the
/// repair would give tokens back that were spent in between.
fn not_before(quota: &Quota, tat: Option<u64>, now: u64) -> u64 {
    let oldest = u64::try_from(OLDEST_LOOK.as_nanos()).expect("a minute of nanoseconds");
    let emptied = tat.map_or(0, |tat| tat.saturating_sub(quota.refill()));
    if emptied <= now + oldest {
        now.max(emptied)
    } else {
        now
    }
}

/// Takes a state beyond that of a bucket emptied at `now` for just that.
fn clamp(quota: &Quota, tat: Option<u64>, now: u64) -> Option<u64> {
    // No overflow: an i64 and a hundred years of nanoseconds fit a u64.
    tat.map(|tat| tat.min(now + quota.refill()))
}

/// Asks a limiter made for this one question: the new state and what remains, or when to ask again.
fn ask_governor(
    quota: &Quota,
    tat: Option<u64>,
    now: u64,
    n: NonZeroU32,
) -> Result<(u64, u32), u64> {
    let row = Row(Cell::new(tat));
    // The limiter takes its origin from the clock when it is made: at zero, so that it counts from the epoch.
    let clock = HandSetClock(Cell::new(0));
    let limiter =
        RateLimiter::<_, _, _, StateInformationMiddleware>::new(quota.for_governor(), &row, clock);
    limiter.clock().0.set(now);
    match limiter
        .check_n(n)
        .expect("n was compared with the burst before")
    {
        Ok(snapshot) => {
            let tat = row.0.get().expect("a granted wish leaves a state");
            Ok((tat, snapshot.remaining_burst_capacity()))
        }
        Err(not_until) => Err(not_until.earliest_possible().as_u64()),
    }
}

/// The one cell governor works on: the stored state, or none.
struct Row(Cell<Option<u64>>);

impl StateStore for &Row {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _key: &NotKeyed, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let (answer, tat) = f(self.0.get().map(Nanos::from))?;
        self.0.set(Some(tat.as_u64()));
        Ok(answer)
    }
}

/// A clock that shows what it was set to.
struct HandSetClock(Cell<u64>);

impl Clock for HandSetClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::from(self.0.get())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: i64 = 3_600 * SECOND;
    const SECOND: i64 = 1_000_000_000;
    /// 2026-01-01T00:00:00Z.
    const START: i64 = 1_767_225_600 * SECOND;

    fn quota(rate: &str, burst: u32) -> Quota {
        Quota::new(rate.parse().unwrap(), count(burst)).unwrap()
    }

    fn count(n: u32) -> NonZeroU32 {
        NonZeroU32::new(n).unwrap()
    }

    fn interval(quota: &Quota) -> i64 {
        i64::try_from(quota.interval).unwrap()
    }

    /// A row of the store, kept as the store keeps it: whatever a decision says to write is written.
    #[derive(Default)]
    struct Stored(Option<i64>);

    impl Stored {
        /// Takes `n` at `now`, or says when to ask again.
        fn take(&mut self, quota: &Quota, now: i64, n: u32) -> Result<u32, i64> {
            match decide(quota, self.0, now, count(n)) {
                Decision::Granted { tat, remaining } => {
                    self.0 = Some(tat);
                    Ok(remaining)
                }
                Decision::Wait { until_ns, repair } => {
                    self.0 = repair.or(self.0);
                    Err(until_ns)
                }
                Decision::Never { capacity } => panic!("{n} never fit into {capacity}"),
            }
        }
    }

    #[test]
    fn a_full_bucket_gives_its_burst_and_then_one_token_each_interval() {
        let quota = quota("60/min", 3);
        let mut row = Stored::default();
        assert_eq!(row.take(&quota, START, 1), Ok(2));
        assert_eq!(row.take(&quota, START, 2), Ok(0));
        assert_eq!(row.take(&quota, START, 1), Err(START + SECOND));
        assert_eq!(row.take(&quota, START, 3), Err(START + 3 * SECOND));
        assert_eq!(row.take(&quota, START + SECOND, 1), Ok(0));
        assert_eq!(row.take(&quota, START + 60 * SECOND, 1), Ok(2));
    }

    #[test]
    fn more_than_the_burst_is_never_granted() {
        let never = Decision::Never { capacity: 3 };
        assert_eq!(decide(&quota("60/min", 3), None, START, count(4)), never);
        assert_eq!(
            decide(&quota("3/100d", 3), Some(START), START, NonZeroU32::MAX),
            never
        );
    }

    #[test]
    fn very_slow_and_very_fast_rates_keep_their_pace() {
        let slow = quota("5/d", 1);
        let mut row = Stored::default();
        assert_eq!(row.take(&slow, START, 1), Ok(0));
        assert_eq!(row.take(&slow, START, 1), Err(START + 24 * HOUR / 5));

        let fast = quota("1000000/s", 1_000_000);
        let mut row = Stored::default();
        assert_eq!(row.take(&fast, START, 1_000_000), Ok(0));
        assert_eq!(row.take(&fast, START, 1), Err(START + 1_000));
        assert_eq!(row.take(&fast, START + SECOND, 1_000_000), Ok(0));
    }

    #[test]
    fn a_bucket_that_fills_in_more_than_a_century_is_refused() {
        let rate: Rate = "1/365d".parse().unwrap();
        assert!(Quota::new(rate, count(100)).is_ok());
        let error = Quota::new(rate, count(101)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a bucket of 101 refilled at 1/365d takes longer than 36500d to fill: choose a smaller burst or a higher rate"
        );
        assert!(Quota::new("1/106751991167d".parse().unwrap(), NonZeroU32::MAX).is_err());
    }

    #[test]
    fn the_ends_of_time_do_not_overflow() {
        let largest = quota("1/365d", 100);
        for now in [i64::MIN, -1, 0, START, i64::MAX] {
            for tat in [None, Some(i64::MIN), Some(0), Some(i64::MAX)] {
                let level = level(&largest, tat, now);
                let granted = matches!(
                    decide(&largest, tat, now, count(100)),
                    Decision::Granted { .. }
                );
                assert_eq!(granted, level == 100, "tat {tat:?} now {now}");
            }
        }
    }

    #[test]
    fn a_look_at_the_clock_that_is_older_than_the_state_gives_nothing_back() {
        let quota = quota("10/s", 5);
        let mut row = Stored::default();
        row.take(&quota, START, 5).unwrap();
        row.take(&quota, START + SECOND, 5).unwrap();
        let emptied = row.0;
        // Looked up before, decided after: as two processes do that wait for one lock.
        for older in [START + SECOND - 1, START, START - 50 * SECOND] {
            assert_eq!(
                row.take(&quota, older, 1),
                Err(START + SECOND + SECOND / 10)
            );
            assert_eq!(row.0, emptied, "nothing to repair");
        }
        assert_eq!(row.take(&quota, START + SECOND + SECOND / 10, 1), Ok(0));
    }

    #[test]
    fn a_clock_stepped_back_an_hour_shuts_the_bucket_for_one_refill_only() {
        let quota = quota("60/min", 5);
        let mut row = Stored::default();
        row.take(&quota, START, 5).unwrap();
        let back = START - HOUR;
        assert_eq!(level(&quota, row.0, back), 0);
        assert_eq!(row.take(&quota, back, 1), Err(back + SECOND));
        // The repaired state counts on: looking again does not put the grant off.
        assert_eq!(row.take(&quota, back + SECOND / 2, 1), Err(back + SECOND));
        assert_eq!(row.take(&quota, back + SECOND, 1), Ok(0));
    }

    #[test]
    fn a_quota_made_faster_takes_effect_at_once() {
        let mut row = Stored::default();
        row.take(&quota("1/d", 1), START, 1).unwrap();
        let faster = quota("1/s", 1);
        assert_eq!(row.take(&faster, START, 1), Err(START + SECOND));
        assert_eq!(row.take(&faster, START + SECOND, 1), Ok(0));
    }

    #[test]
    fn instants_become_milliseconds_that_are_not_too_early() {
        assert_eq!(
            millis_from(START),
            Timestamp::from_millis(START / 1_000_000)
        );
        assert_eq!(
            millis_from(START + 1),
            Timestamp::from_millis(START / 1_000_000 + 1)
        );
        assert_eq!(millis_from(-1), Timestamp::EPOCH);
        assert_eq!(nanos_at(millis_from(START)), START);
        assert_eq!(
            millis_from(nanos_at(Timestamp::from_millis(i64::MAX))),
            Timestamp::from_millis(i64::MAX / 1_000_000 + 1)
        );
    }

    fn any_quota() -> impl Strategy<Value = Quota> {
        (1..2_000_u32, 1..100_000_u64, 1..50_u32).prop_filter_map(
            "faster than a rate may be",
            |(n, per, burst)| {
                Quota::new(
                    Rate::new(count(n), Duration::from_millis(per)).ok()?,
                    count(burst),
                )
                .ok()
            },
        )
    }

    /// Pauses between two calls in thousandths of an interval, each with a number of tokens asked for.
    fn any_calls() -> impl Strategy<Value = Vec<(i64, u32)>> {
        prop::collection::vec((0..4_000_i64, 1..8_u32), 1..200)
    }

    proptest! {
        #[test]
        fn no_window_of_any_schedule_grants_more_than_rate_times_time_plus_burst(quota in any_quota(), calls in any_calls()) {
            let mut row = Stored::default();
            let mut now = START;
            let mut grants = Vec::new();
            for (pause, n) in calls {
                now += pause * interval(&quota) / 1_000;
                let n = n.min(quota.burst.get());
                if row.take(&quota, now, n).is_ok() {
                    grants.push((now, i64::from(n)));
                }
            }
            for first in 0..grants.len() {
                let mut granted = 0;
                for (at, n) in &grants[first..] {
                    granted += n;
                    let earned = (at - grants[first].0) / interval(&quota);
                    prop_assert!(granted <= earned + i64::from(quota.burst.get()));
                }
            }
        }

        #[test]
        fn whoever_always_asks_gets_rate_times_time_plus_burst(quota in any_quota(), cells in 1..300_i64) {
            let end = START + cells * interval(&quota);
            let (mut row, mut now, mut granted) = (Stored::default(), START, 0_i64);
            while now <= end {
                match row.take(&quota, now, 1) {
                    Ok(_) => granted += 1,
                    Err(until) => now = until,
                }
            }
            prop_assert_eq!(granted, cells + i64::from(quota.burst.get()));
        }

        #[test]
        fn a_wait_ends_at_the_named_instant_and_not_before(quota in any_quota(), calls in any_calls()) {
            let mut row = Stored::default();
            let mut now = START;
            for (pause, n) in calls {
                now += pause * interval(&quota) / 1_000;
                let n = n.min(quota.burst.get());
                if let Err(until) = row.take(&quota, now, n) {
                    prop_assert_eq!(Stored(row.0).take(&quota, until - 1, n), Err(until));
                    prop_assert!(Stored(row.0).take(&quota, until, n).is_ok());
                }
            }
        }

        #[test]
        fn a_clock_stepped_back_delays_by_one_refill_and_an_old_look_at_most(
            quota in any_quota(),
            calls in any_calls(),
            back in 0..10 * HOUR,
        ) {
            let mut row = Stored::default();
            let mut now = START;
            for (pause, n) in calls {
                now += pause * interval(&quota) / 1_000;
                let _ = row.take(&quota, now, n.min(quota.burst.get()));
            }
            now -= back;
            if let Err(until) = row.take(&quota, now, quota.burst.get()) {
                let refill = interval(&quota) * i64::from(quota.burst.get());
                let look = i64::try_from(OLDEST_LOOK.as_nanos()).unwrap();
                prop_assert!(until - now <= refill + look);
                prop_assert_eq!(row.take(&quota, until, quota.burst.get()), Ok(0));
            }
        }

        // Two processes that alternate over one row are what one limiter that lives on would be.
        #[test]
        fn deciders_over_one_row_agree_with_one_lasting_limiter(quota in any_quota(), calls in any_calls()) {
            let clock = governor::clock::FakeRelativeClock::default();
            let lasting = RateLimiter::direct_with_clock(quota.for_governor(), clock.clone());
            let mut row = Stored::default();
            let mut now = START;
            for (pause, n) in calls {
                let pause = pause * interval(&quota) / 1_000;
                now += pause;
                clock.advance(Duration::from_nanos(pause.unsigned_abs()));
                let n = n.min(quota.burst.get());
                prop_assert_eq!(row.take(&quota, now, n).is_ok(), lasting.check_n(count(n)).unwrap().is_ok());
            }
        }

        #[test]
        fn the_level_is_what_can_be_taken(quota in any_quota(), calls in any_calls()) {
            let mut row = Stored::default();
            let mut now = START;
            for (pause, n) in calls {
                now += pause * interval(&quota) / 1_000;
                let level = level(&quota, row.0, now);
                let n = n.min(quota.burst.get());
                match row.take(&quota, now, n) {
                    Ok(remaining) => prop_assert_eq!(level, remaining + n),
                    Err(_) => prop_assert!(level < n),
                }
            }
        }
    }
}
