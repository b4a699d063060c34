//! Reads from a provider's words when a limit lifts.
//!
//! [`parse`] is a plain function of text, moment and zone; the rules call it with what the program
//! itself wrote. What always holds: it never guesses a time that the text does not name; a time that
//! a clock change skips or doubles is the first valid instant after it, and the later of the two, so
//! that nobody comes back too early.

mod calendar;
mod forms;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use queue_core::Timestamp;

use super::text::normalized;

/// A limit that lifts later than this is not waited for: 8 days, one more than the longest window of a plan.
pub const LONGEST_WAIT: TimeDelta = TimeDelta::days(8);

/// A time of day that lies so little behind means "a moment ago", not "tomorrow".
const JUST_NOW: TimeDelta = TimeDelta::minutes(2);

/// When a limit lifts, as a text says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reset {
    /// The instant.
    pub at: Timestamp,
    /// How it lies to the moment of reading.
    pub standing: Standing,
    /// The name of a zone that was given but is not known; the machine's zone was taken in its place.
    pub unknown_zone: Option<String>,
}

/// How a reset lies to the moment of reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is worth waiting for.
    Ahead,
    /// It is over, so the text says nothing about the time to come.
    Past,
    /// It lies further ahead than [`LONGEST_WAIT`]: a matter for a person.
    TooFar,
}

impl Reset {
    pub(super) fn new(at: Timestamp, now: Timestamp) -> Self {
        let ahead = at.as_millis().saturating_sub(now.as_millis());
        let standing = match ahead {
            ..=0 => Standing::Past,
            _ if ahead > LONGEST_WAIT.num_milliseconds() => Standing::TooFar,
            _ => Standing::Ahead,
        };
        Self {
            at,
            standing,
            unknown_zone: None,
        }
    }

    /// The instant, if it is worth waiting for.
    #[must_use]
    pub fn ahead(&self) -> Option<Timestamp> {
        (self.standing == Standing::Ahead).then_some(self.at)
    }
}

/// Finds in a text when a limit lifts; `zone` is that of the machine, for texts that name none.
///
/// Reads `reached|1762952400`, `resets 3:30am (Europe/Oslo)`, `resets Mon 12:00am`,
/// `resets Jul 18 at 4am`, `try again at Feb 23rd, 2026 9:01 PM`, `in 2h5m`, `4 days 20 hours`,
/// `2026-08-09 00:00 UTC`, RFC 3339 and `cycle ends on 10/2/2026`.
#[must_use]
pub fn parse(text: &str, now: Timestamp, zone: Tz) -> Option<Reset> {
    let moment = DateTime::<Utc>::from_timestamp_millis(now.as_millis())?;
    let text = normalized(text);
    let found = forms::find(&text, moment, zone)?;
    Some(Reset {
        unknown_zone: found.unknown_zone,
        ..Reset::new(Timestamp::from_millis(found.at.timestamp_millis()), now)
    })
}

/// The next midnight in a zone, for quotas that are said to renew daily.
#[must_use]
pub fn next_midnight(now: Timestamp, zone: Tz) -> Option<Reset> {
    let moment = DateTime::<Utc>::from_timestamp_millis(now.as_millis())?;
    let tomorrow = moment.with_timezone(&zone).date_naive().succ_opt()?;
    let at = calendar::Place::Named(zone).start_of(tomorrow)?;
    Some(Reset::new(
        Timestamp::from_millis(at.timestamp_millis()),
        now,
    ))
}

/// The zone of this machine: what `TZ` names, if it names one, else what the system is set to, else UTC.
#[must_use]
pub fn machine_zone(tz_variable: Option<&str>) -> Tz {
    let variable = tz_variable.map(|name| name.trim_start_matches(':'));
    let named = variable.and_then(|name| name.parse().ok());
    let system = || iana_time_zone::get_timezone().ok()?.parse().ok();
    named.or_else(system).unwrap_or(Tz::UTC)
}

#[cfg(test)]
mod tests;
