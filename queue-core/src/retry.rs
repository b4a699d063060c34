//! How long a failed attempt waits before the next one, and how a busy store is tried again.
//!
//! Owns [`Backoff`], the policy a job carries, and [`delay`], which turns it into one exact span; the store asks it when
//! an attempt fails, `qcli show` asks it again to print the same instant. The crate `backoff` does the growing and the
//! retrying, only in this file, and nothing public names its types. A delay is never longer than the policy's cap.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use backoff::ExponentialBackoffBuilder;
use backoff::backoff::Backoff as _;
use serde::{Deserialize, Serialize};

use crate::units::{UnitError, format_duration, parse_duration};

/// The longest delay a policy may ask for: 366 days.
pub const LONGEST_DELAY: Duration = Duration::from_secs(366 * 24 * 3600);

/// The base of the exponential policy where none is named.
const DEFAULT_BASE: Duration = Duration::from_secs(10);
/// The cap of the exponential policy where none is named.
const DEFAULT_CAP: Duration = Duration::from_secs(3600);
/// Doublings after which any base of at least a millisecond is past [`LONGEST_DELAY`] (2^35 ms are 397 days).
const MOST_DOUBLINGS: u32 = 35;
/// How long [`with_busy_retry`] goes on in all.
const BUSY_FOR: Duration = Duration::from_secs(30);

/// The wait between two attempts of a job. Reads and writes as `none`, `fixed:30s`, `exp:10s..1h`.
///
/// A job that names no policy has the default, `exp:10s..1h`, so a failing job never spins by accident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Backoff {
    /// No wait: the next attempt may start at once. Only by choice.
    None,
    /// The same wait every time, without jitter.
    Fixed(Duration),
    /// Full jitter under a bound that starts at `base` and doubles with each attempt up to `cap`.
    Exponential {
        /// The bound after the first attempt, at least a millisecond.
        base: Duration,
        /// The bound no delay exceeds.
        cap: Duration,
    },
}

impl Default for Backoff {
    fn default() -> Self {
        Self::Exponential {
            base: DEFAULT_BASE,
            cap: DEFAULT_CAP,
        }
    }
}

/// Why a text is no retry policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackoffError {
    /// The text has none of the known shapes.
    #[error("`{input}` is no backoff: write none, fixed:30s, exp or exp:10s..1h")]
    Unknown {
        /// What was given.
        input: String,
    },
    /// A duration in the text cannot be read.
    #[error("the backoff `{input}` has a wait that cannot be read")]
    Duration {
        /// What was given.
        input: String,
        /// What is wrong with the duration.
        #[source]
        source: UnitError,
    },
    /// A wait of zero.
    #[error(
        "the backoff `{input}` waits for nothing: write none to retry at once, or a wait of at least 1ms"
    )]
    Zero {
        /// What was given.
        input: String,
    },
    /// The cap is below the base.
    #[error(
        "the backoff `{input}` ends below its start: write the shorter wait first, as in exp:10s..1h"
    )]
    CapBelowBase {
        /// What was given.
        input: String,
    },
    /// A wait beyond [`LONGEST_DELAY`].
    #[error(
        "the backoff `{input}` waits too long: the most is {}",
        format_duration(LONGEST_DELAY)
    )]
    TooLong {
        /// What was given.
        input: String,
    },
}

impl FromStr for Backoff {
    type Err = BackoffError;

    /// Reads `none`, `fixed:DURATION`, `exp:BASE..CAP`; `exp` and `exp:BASE` take the rest from the default.
    fn from_str(input: &str) -> Result<Self, BackoffError> {
        let (kind, waits) = match input.trim().split_once(':') {
            Some((kind, waits)) => (kind.trim(), Some(waits)),
            None => (input.trim(), None),
        };
        match (kind, waits) {
            ("none", None) => Ok(Self::None),
            ("fixed", Some(wait)) => Ok(Self::Fixed(read_wait(input, wait)?)),
            ("exp", None) => Ok(Self::default()),
            ("exp", Some(waits)) => read_exponential(input, waits),
            _ => Err(BackoffError::Unknown {
                input: input.to_owned(),
            }),
        }
    }
}

/// Reads `BASE..CAP` or `BASE`; a base beyond the default cap is its own cap.
fn read_exponential(input: &str, waits: &str) -> Result<Backoff, BackoffError> {
    let (base, cap) = match waits.split_once("..") {
        Some((base, cap)) => (read_wait(input, base)?, read_wait(input, cap)?),
        None => {
            let base = read_wait(input, waits)?;
            (base, base.max(DEFAULT_CAP))
        }
    };
    if cap < base {
        return Err(BackoffError::CapBelowBase {
            input: input.to_owned(),
        });
    }
    Ok(Backoff::Exponential { base, cap })
}

/// Reads one wait of a policy: more than zero, at most [`LONGEST_DELAY`].
fn read_wait(input: &str, wait: &str) -> Result<Duration, BackoffError> {
    let wait = parse_duration(wait).map_err(|source| BackoffError::Duration {
        input: input.to_owned(),
        source,
    })?;
    if wait.is_zero() {
        return Err(BackoffError::Zero {
            input: input.to_owned(),
        });
    }
    if wait > LONGEST_DELAY {
        return Err(BackoffError::TooLong {
            input: input.to_owned(),
        });
    }
    Ok(wait)
}

impl fmt::Display for Backoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.pad("none"),
            Self::Fixed(wait) => f.pad(&format!("fixed:{}", format_duration(*wait))),
            Self::Exponential { base, cap } => f.pad(&format!(
                "exp:{}..{}",
                format_duration(*base),
                format_duration(*cap)
            )),
        }
    }
}

impl TryFrom<String> for Backoff {
    type Error = BackoffError;

    fn try_from(text: String) -> Result<Self, BackoffError> {
        text.parse()
    }
}

impl From<Backoff> for String {
    fn from(backoff: Backoff) -> Self {
        backoff.to_string()
    }
}

/// Gives the wait after attempt number `attempt` (from 1; 0 counts as 1) of the job with the id `job` has failed.
///
/// The same arguments give the same answer in every process, on every platform and in every release:
/// - `none`: zero. `fixed:W`: `W`.
/// - `exp:BASE..CAP`: with `bound = min(CAP, BASE * 2^(attempt - 1))` in milliseconds and
///   `h = mix(mix(job) ^ attempt)`, the wait is `floor(h * (bound + 1) / 2^64)` milliseconds: spread evenly over
///   0 ..= bound ("full jitter", Marc Brooker, *Exponential Backoff And Jitter*, AWS Architecture Blog, 2015).
/// - `mix` is one step of SplitMix64 (Steele, Lea, Flood: *Fast Splittable Pseudorandom Number Generators*, OOPSLA
///   2014, in the form of Sebastiano Vigna's public-domain `splitmix64.c`).
///
/// Whole milliseconds, never above the cap nor [`LONGEST_DELAY`], for every attempt number there is.
#[must_use]
pub fn delay(backoff: &Backoff, job: i64, attempt: u32) -> Duration {
    match *backoff {
        Backoff::None => Duration::ZERO,
        Backoff::Fixed(wait) => whole_millis(wait.min(LONGEST_DELAY)),
        Backoff::Exponential { base, cap } => full_jitter(bound(base, cap, attempt), job, attempt),
    }
}

/// The bound of the exponential policy: `base * 2^(attempt - 1)`, at most `cap`.
///
/// The crate keeps its progress in itself, so it is replayed from the start for each question. The cap is reached
/// after [`MOST_DOUBLINGS`] steps at the latest, and later attempts stay there. Its own jitter is off: it would be
/// applied after the cap (up to 1.5 times the cap), and from a source that cannot be seeded.
fn bound(base: Duration, cap: Duration, attempt: u32) -> Duration {
    let cap = whole_millis(cap.min(LONGEST_DELAY));
    let base = whole_millis(base).max(Duration::from_millis(1));
    let mut growing = ExponentialBackoffBuilder::new()
        .with_initial_interval(base.min(cap))
        .with_max_interval(cap)
        .with_multiplier(2.0)
        .with_randomization_factor(0.0)
        // The default gives up for good after 15 minutes.
        .with_max_elapsed_time(None)
        .build();
    let doublings = attempt.saturating_sub(1).min(MOST_DOUBLINGS);
    for _ in 0..doublings {
        growing
            .next_backoff()
            .expect("without a longest elapsed time it never ends");
    }
    // It adds a random fraction of a nanosecond even when its jitter is off; whole milliseconds drop that.
    let interval = growing
        .next_backoff()
        .expect("without a longest elapsed time it never ends");
    whole_millis(interval).min(cap)
}

/// Chooses one of 0 ..= `bound` milliseconds by a hash of job and attempt; see [`delay`] for the function.
fn full_jitter(bound: Duration, job: i64, attempt: u32) -> Duration {
    let choices = bound.as_millis() + 1;
    let hash = mix(mix(job.cast_unsigned()) ^ u64::from(attempt));
    let millis = (u128::from(hash) * choices) >> 64;
    Duration::from_millis(
        u64::try_from(millis).expect("a bound of 366 days in milliseconds fits a u64"),
    )
}

/// One step of SplitMix64: the output for the state `seed`.
const fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The span without what is finer than a millisecond.
fn whole_millis(span: Duration) -> Duration {
    span - Duration::from_nanos(u64::from(span.subsec_nanos() % 1_000_000))
}

/// Runs `op` again while it fails with an error that `is_transient` calls transient, for some 30 seconds in all.
///
/// For opening and migrating a store, where several processes may start at once; it sleeps on the calling thread, from
/// a millisecond up to 200 between two tries, with jitter so that the processes do not go in step. The hot path does
/// not pass here: the busy handler of the connection waits there.
///
/// # Errors
/// The last error of `op`: at once when it is not transient, or when the time is over.
pub fn with_busy_retry<T, E>(
    is_transient: impl Fn(&E) -> bool,
    op: impl FnMut() -> Result<T, E>,
) -> Result<T, E> {
    busy_retry_for(BUSY_FOR, is_transient, op)
}

fn busy_retry_for<T, E>(
    total: Duration,
    is_transient: impl Fn(&E) -> bool,
    mut op: impl FnMut() -> Result<T, E>,
) -> Result<T, E> {
    let waits = ExponentialBackoffBuilder::new()
        .with_initial_interval(Duration::from_millis(1))
        .with_max_interval(Duration::from_millis(200))
        .with_max_elapsed_time(Some(total))
        .build();
    let judge = |error| {
        if is_transient(&error) {
            backoff::Error::transient(error)
        } else {
            backoff::Error::permanent(error)
        }
    };
    backoff::retry(waits, || op().map_err(judge)).map_err(|error| match error {
        backoff::Error::Permanent(error) | backoff::Error::Transient { err: error, .. } => error,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn exponential(base: Duration, cap: Duration) -> Backoff {
        Backoff::Exponential { base, cap }
    }

    #[test]
    fn policies_read_and_write_the_documented_forms() {
        for text in ["none", "fixed:30s", "exp:10s..1h", "exp:200ms..1h30m"] {
            assert_eq!(text.parse::<Backoff>().unwrap().to_string(), text);
            let json = format!("\"{text}\"");
            let read: Backoff = serde_json::from_str(&json).unwrap();
            assert_eq!(serde_json::to_string(&read).unwrap(), json);
        }
        assert_eq!("exp".parse(), Ok(Backoff::default()));
        assert_eq!("exp:5s".parse(), Ok(exponential(5 * SECOND, DEFAULT_CAP)));
        assert_eq!(
            "exp:2h".parse(),
            Ok(exponential(7200 * SECOND, 7200 * SECOND))
        );
        assert_eq!(Backoff::default().to_string(), "exp:10s..1h");
    }

    #[test]
    fn texts_that_are_no_policy_are_refused_by_name() {
        type Refusal = fn(&BackoffError) -> bool;
        let cases: [(&str, Refusal); 11] = [
            ("", |e| matches!(e, BackoffError::Unknown { .. })),
            ("linear:5s", |e| matches!(e, BackoffError::Unknown { .. })),
            ("none:5s", |e| matches!(e, BackoffError::Unknown { .. })),
            ("fixed", |e| matches!(e, BackoffError::Unknown { .. })),
            ("30s", |e| matches!(e, BackoffError::Unknown { .. })),
            ("fixed:30", |e| matches!(e, BackoffError::Duration { .. })),
            ("exp:10s..", |e| matches!(e, BackoffError::Duration { .. })),
            ("exp:10s..1h..2h", |e| {
                matches!(e, BackoffError::Duration { .. })
            }),
            ("fixed:0s", |e| matches!(e, BackoffError::Zero { .. })),
            ("exp:1h..10s", |e| {
                matches!(e, BackoffError::CapBelowBase { .. })
            }),
            ("exp:1s..367d", |e| {
                matches!(e, BackoffError::TooLong { .. })
            }),
        ];
        for (text, is_expected) in cases {
            let error = text.parse::<Backoff>().unwrap_err();
            assert!(is_expected(&error), "{text}: {error:?}");
            assert!(error.to_string().contains(&format!("`{text}`")), "{error}");
        }
    }

    // The numbers come from the documented formula, computed apart, and are a promise: a release that computes others would show and keep two different times.
    #[test]
    fn delays_are_the_same_in_every_release() {
        let delays: Vec<_> = (1..=5)
            .map(|attempt| delay(&Backoff::default(), 42, attempt).as_millis())
            .collect();
        assert_eq!(delays, [9505, 8932, 39112, 22790, 146193]);
        // First outputs of splitmix64.c for the seed 1234567.
        assert_eq!(mix(1_234_567), 6_457_827_717_110_365_317);
    }

    #[test]
    fn a_failing_job_without_a_policy_does_not_spin() {
        // T26: the mean over many jobs is half the bound, and a second attempt waits longer than a first.
        let mean = |attempt| {
            (0..2_000)
                .map(|job| delay(&Backoff::default(), job, attempt))
                .sum::<Duration>()
                / 2_000
        };
        assert!((4.5..5.5).contains(&mean(1).as_secs_f64()), "{:?}", mean(1));
        assert!(
            (9.0..11.0).contains(&mean(2).as_secs_f64()),
            "{:?}",
            mean(2)
        );
        assert!(
            (1_620.0..1_980.0).contains(&mean(60).as_secs_f64()),
            "{:?}",
            mean(60)
        );
    }

    #[test]
    fn late_attempts_stay_at_the_cap() {
        // T21: an interval computed as base * 2^attempt overflows at attempt 400.
        for attempt in [36, 400, u32::MAX] {
            assert_eq!(bound(DEFAULT_BASE, DEFAULT_CAP, attempt), DEFAULT_CAP);
            assert!(delay(&Backoff::default(), 7, attempt) <= DEFAULT_CAP);
        }
        let tiny = Duration::from_millis(1);
        assert_eq!(bound(tiny, LONGEST_DELAY, u32::MAX), LONGEST_DELAY);
        assert_eq!(
            bound(Duration::ZERO, Duration::MAX, u32::MAX),
            LONGEST_DELAY
        );
        assert_eq!(bound(Duration::MAX, SECOND, 1), SECOND);
    }

    #[test]
    fn fixed_has_no_jitter_and_none_no_wait() {
        for attempt in [0, 1, 2, 400, u32::MAX] {
            assert_eq!(delay(&Backoff::Fixed(30 * SECOND), 7, attempt), 30 * SECOND);
            assert_eq!(delay(&Backoff::None, 7, attempt), Duration::ZERO);
        }
    }

    #[test]
    fn jobs_that_fail_together_do_not_return_together() {
        let mut delays: Vec<_> = (1..=100)
            .map(|job| delay(&Backoff::default(), job, 10))
            .collect();
        delays.sort();
        delays.dedup();
        assert_eq!(delays.len(), 100);
    }

    proptest! {
        #[test]
        fn the_bound_doubles_up_to_the_cap(base in 1..100_000_000_u64, cap in 1..31_622_400_000_u64, attempt in 1..200_u32) {
            let expected = u128::from(base.min(cap)).checked_shl(attempt - 1).filter(|_| attempt < 64);
            let expected = expected.unwrap_or(u128::MAX).min(u128::from(cap));
            let bound = bound(Duration::from_millis(base), Duration::from_millis(cap), attempt);
            prop_assert_eq!(bound.as_nanos(), expected * 1_000_000);
        }

        #[test]
        fn no_delay_is_above_its_cap(job: i64, attempt: u32, base: u64, cap: u64) {
            let (base, cap) = (Duration::from_nanos(base), Duration::from_nanos(cap));
            let policy = exponential(base, cap);
            prop_assert!(delay(&policy, job, attempt) <= cap);
            prop_assert_eq!(delay(&policy, job, attempt), delay(&policy, job, attempt));
        }
    }

    #[derive(Debug, PartialEq)]
    enum Failure {
        Busy,
        Corrupt,
    }

    #[test]
    fn a_busy_store_is_tried_again_until_it_answers() {
        let mut calls = 0;
        let answer = with_busy_retry(
            |error| *error == Failure::Busy,
            || {
                calls += 1;
                if calls < 5 {
                    Err(Failure::Busy)
                } else {
                    Ok(calls)
                }
            },
        );
        assert_eq!(answer, Ok(5));
    }

    #[test]
    fn an_error_that_stays_is_told_at_once() {
        let mut calls = 0;
        let answer: Result<(), _> = with_busy_retry(
            |error| *error == Failure::Busy,
            || {
                calls += 1;
                Err(Failure::Corrupt)
            },
        );
        assert_eq!((answer, calls), (Err(Failure::Corrupt), 1));
    }

    #[test]
    fn a_store_that_stays_busy_ends_with_its_error() {
        let answer: Result<(), _> =
            busy_retry_for(Duration::from_millis(1), |_| true, || Err(Failure::Busy));
        assert_eq!(answer, Err(Failure::Busy));
    }
}
