//! Time as the queue knows it: instants, the boot they belong to, and where they come from.
//!
//! Owns [`Timestamp`], [`Now`] and the two clocks; the front doors and the worker ask a [`Clock`] once per step and hand
//! the [`Now`] in, so nothing else in this crate asks what time it is. A monotonic reading is only ever compared with
//! another one of the same [`BootId`]; without a boot id only the wall clock counts.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// An instant on the wall clock: whole milliseconds since the Unix epoch, UTC.
///
/// It is what the database stores and what JSON calls a time (there through `Display`, RFC 3339 with milliseconds).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The Unix epoch, 1970-01-01T00:00:00.000Z.
    pub const EPOCH: Self = Self(0);

    /// Makes an instant from milliseconds since the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Gives the milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Gives the instant `span` later, at most the last one there is. Parts of a millisecond are dropped.
    #[must_use]
    pub fn saturating_add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis_of(span)))
    }

    /// Gives the instant `span` earlier, at least the first one there is. Parts of a millisecond are dropped.
    #[must_use]
    pub fn saturating_sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis_of(span)))
    }

    /// Gives the time that passed from `earlier` to this instant; zero when `earlier` is in fact the later one.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        let millis = i128::from(self.0) - i128::from(earlier.0);
        Duration::from_millis(
            u64::try_from(millis.max(0)).expect("the distance of two i64 fits a u64"),
        )
    }
}

/// Whole milliseconds of a span, at most `i64::MAX`.
fn millis_of(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

impl fmt::Display for Timestamp {
    /// Writes RFC 3339 in UTC with milliseconds: `2026-03-01T09:30:00.000Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&DateTime::<Utc>::from(*self).to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl From<DateTime<Utc>> for Timestamp {
    /// Drops what is finer than a millisecond.
    fn from(at: DateTime<Utc>) -> Self {
        Self(at.timestamp_millis())
    }
}

impl From<Timestamp> for DateTime<Utc> {
    /// Instants beyond chrono's calendar (some 262,000 years either way) become its first or last one.
    fn from(at: Timestamp) -> Self {
        let outermost = if at.0 < 0 {
            DateTime::<Utc>::MIN_UTC
        } else {
            DateTime::<Utc>::MAX_UTC
        };
        DateTime::from_timestamp_millis(at.0).unwrap_or(outermost)
    }
}

/// Names one run of the kernel, from boot to shutdown. Cheap to clone.
///
/// Monotonic readings are comparable exactly when their boot ids are equal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct BootId(Arc<str>);

impl BootId {
    /// Makes a boot id from the text the kernel (or the database) gave.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self(id.into())
    }

    /// Gives the text of the id, as stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for BootId {
    fn from(id: &str) -> Self {
        Self::new(id)
    }
}

impl From<String> for BootId {
    fn from(id: String) -> Self {
        Self(id.into())
    }
}

impl From<BootId> for String {
    fn from(id: BootId) -> Self {
        id.0.as_ref().to_owned()
    }
}

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// One look at the clocks: what every verb of the queue takes as its idea of the present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Now {
    /// The wall clock, for everything a person sees or asks for.
    pub wall: Timestamp,
    /// The boot that `mono` belongs to; `None` where a monotonic clock shared by all processes is not to be had.
    pub boot: Option<BootId>,
    /// CLOCK_MONOTONIC in milliseconds; says something only together with `boot`.
    pub mono: i64,
}

impl Now {
    /// Makes a look at a wall clock alone, `wall_ms` milliseconds after the Unix epoch: no boot, no monotonic time.
    #[must_use]
    pub const fn at(wall_ms: i64) -> Self {
        Self {
            wall: Timestamp::from_millis(wall_ms),
            boot: None,
            mono: 0,
        }
    }
}

/// Where the present comes from: the machine ([`SystemClock`]) or a test ([`StoppedClock`]).
pub trait Clock: Send + Sync {
    /// Looks at the clocks.
    fn now(&self) -> Now;
}

/// The machine's own clocks.
///
/// The boot id is read once, when the clock is made. It is absent, so that leases fall back to the wall clock,
/// - where the system does not offer one (everything but Linux, or `/proc` is not mounted), and
/// - when the process lives in a time namespace of its own: CLOCK_MONOTONIC is shifted there while the boot id is
///   not, so its readings must not be compared with those of other processes (see `time_namespaces(7)`).
#[derive(Debug, Clone)]
pub struct SystemClock {
    boot: Option<BootId>,
}

impl SystemClock {
    /// Makes the clock and reads the boot id.
    #[must_use]
    pub fn new() -> Self {
        Self {
            boot: read_boot_id(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        let mono = match self.boot {
            Some(_) => monotonic_millis(),
            None => 0,
        };
        Now {
            wall: Utc::now().into(),
            boot: self.boot.clone(),
            mono,
        }
    }
}

/// CLOCK_MONOTONIC in milliseconds. On Linux it stands still while the machine is suspended, so a lease does too.
fn monotonic_millis() -> i64 {
    let at = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    at.tv_sec * 1000 + at.tv_nsec / 1_000_000
}

#[cfg(target_os = "linux")]
fn read_boot_id() -> Option<BootId> {
    /// `PROC_TIME_INIT_INO` of the kernel's `include/linux/proc_ns.h`: the inode of the time namespace made at boot.
    const INITIAL_TIME_NAMESPACE: &str = "time:[4026531834]";
    // A kernel without time namespaces (before 5.6, or built so) has no such link: then there is only one.
    if let Ok(namespace) = std::fs::read_link("/proc/self/ns/time")
        && namespace.as_os_str() != INITIAL_TIME_NAMESPACE
    {
        return None;
    }
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    match id.trim() {
        "" => None,
        id => Some(BootId::new(id)),
    }
}

#[cfg(not(target_os = "linux"))]
fn read_boot_id() -> Option<BootId> {
    None
}

/// A clock that only moves when told to, for tests of every crate. Clones show the same time.
///
/// The wall clock, the monotonic clock and the boot move apart, as they do on a suspended laptop, on a machine whose
/// clock is stepped, and at a reboot.
///
/// ```
/// use std::time::Duration;
/// use queue_core::clock::{Clock, StoppedClock};
///
/// let clock = StoppedClock::new();
/// let before = clock.now();
/// clock.advance(Duration::from_secs(5));
/// assert_eq!(clock.now().wall.since(before.wall), Duration::from_secs(5));
/// assert_eq!(clock.now().mono - before.mono, 5_000);
/// ```
#[derive(Debug, Clone)]
pub struct StoppedClock {
    now: Arc<Mutex<Now>>,
}

impl StoppedClock {
    /// Makes a clock that shows 2026-01-01T00:00:00.000Z, 1,000 seconds after the boot called `boot-1`.
    #[must_use]
    pub fn new() -> Self {
        let wall = Timestamp::from_millis(1_767_225_600_000);
        Self::showing(Now {
            wall,
            boot: Some(BootId::new("boot-1")),
            mono: 1_000_000,
        })
    }

    /// Makes a clock that shows `now`.
    #[must_use]
    pub fn showing(now: Now) -> Self {
        Self {
            now: Arc::new(Mutex::new(now)),
        }
    }

    /// Lets `span` pass: both clocks move on, as they do on a machine that runs.
    pub fn advance(&self, span: Duration) {
        self.advance_wall(span);
        self.advance_mono(span);
    }

    /// Moves the wall clock alone, as a suspended machine (or a clock stepped forward) sees it.
    pub fn advance_wall(&self, span: Duration) {
        let mut now = self.lock();
        now.wall = now.wall.saturating_add(span);
    }

    /// Steps the wall clock back by `span`; the monotonic clock stays.
    pub fn step_wall_back(&self, span: Duration) {
        let mut now = self.lock();
        now.wall = now.wall.saturating_sub(span);
    }

    /// Moves the monotonic clock alone, as it looks when somebody holds back the wall clock.
    pub fn advance_mono(&self, span: Duration) {
        let mut now = self.lock();
        now.mono = now.mono.saturating_add(millis_of(span));
    }

    /// Sets the wall clock; the monotonic clock stays.
    pub fn set_wall(&self, wall: Timestamp) {
        self.lock().wall = wall;
    }

    /// Sets the monotonic clock, in milliseconds; the wall clock stays.
    pub fn set_mono(&self, mono: i64) {
        self.lock().mono = mono;
    }

    /// Sets the boot (`None`: a machine without one) and nothing else.
    pub fn set_boot(&self, boot: Option<BootId>) {
        self.lock().boot = boot;
    }

    /// Reboots: a new boot id, and the monotonic clock starts again at zero; the wall clock stays.
    pub fn reboot(&self, boot: &str) {
        let mut now = self.lock();
        now.boot = Some(BootId::new(boot));
        now.mono = 0;
    }

    /// The state, also after a test thread panicked while holding it: each change leaves it whole.
    fn lock(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for StoppedClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for StoppedClock {
    fn now(&self) -> Now {
        self.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn timestamp_reads_as_rfc_3339_with_milliseconds() {
        assert_eq!(Timestamp::EPOCH.to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(
            Timestamp::from_millis(1_767_225_600_007).to_string(),
            "2026-01-01T00:00:00.007Z"
        );
        assert_eq!(
            Timestamp::from_millis(-1).to_string(),
            "1969-12-31T23:59:59.999Z"
        );
    }

    #[test]
    fn timestamps_beyond_the_calendar_still_print() {
        let last = DateTime::<Utc>::MAX_UTC.timestamp_millis();
        assert_eq!(
            Timestamp::from_millis(i64::MAX).to_string(),
            Timestamp::from_millis(last).to_string()
        );
        assert!(
            Timestamp::from_millis(i64::MIN)
                .to_string()
                .starts_with('-')
        );
    }

    #[test]
    fn timestamp_goes_through_chrono_and_json_unchanged() {
        let at = Timestamp::from_millis(1_767_225_600_123);
        assert_eq!(Timestamp::from(DateTime::<Utc>::from(at)), at);
        assert_eq!(serde_json::to_string(&at).unwrap(), "1767225600123");
        assert_eq!(
            serde_json::from_str::<Timestamp>("1767225600123").unwrap(),
            at
        );
    }

    #[test]
    fn arithmetic_stops_at_the_ends() {
        assert_eq!(
            Timestamp::from_millis(i64::MAX)
                .saturating_add(HOUR)
                .as_millis(),
            i64::MAX
        );
        assert_eq!(
            Timestamp::EPOCH.saturating_add(Duration::MAX).as_millis(),
            i64::MAX
        );
        assert_eq!(
            Timestamp::from_millis(i64::MIN)
                .saturating_sub(HOUR)
                .as_millis(),
            i64::MIN
        );
        let (first, last) = (
            Timestamp::from_millis(i64::MIN),
            Timestamp::from_millis(i64::MAX),
        );
        assert_eq!(last.since(first), Duration::from_millis(u64::MAX));
        assert_eq!(first.since(last), Duration::ZERO);
    }

    #[test]
    fn system_clock_moves_on_within_one_boot() {
        let clock = SystemClock::new();
        let earlier = clock.now();
        let later = SystemClock::new().now();
        assert_eq!(earlier.boot, later.boot);
        assert!(later.mono >= earlier.mono);
        assert!(earlier.wall > Timestamp::from_millis(1_700_000_000_000));
        assert_eq!(earlier.boot.is_some(), earlier.mono > 0);
    }

    #[test]
    fn stopped_clock_moves_wall_mono_and_boot_apart() {
        let clock = StoppedClock::new();
        let start = clock.now();
        clock.advance_wall(HOUR);
        assert_eq!(
            clock.now(),
            Now {
                wall: start.wall.saturating_add(HOUR),
                ..start.clone()
            }
        );
        clock.step_wall_back(HOUR);
        clock.advance_mono(HOUR);
        assert_eq!(
            clock.now(),
            Now {
                mono: start.mono + 3_600_000,
                ..start.clone()
            }
        );
        clock.reboot("boot-2");
        assert_eq!(
            clock.now(),
            Now {
                wall: start.wall,
                boot: Some("boot-2".into()),
                mono: 0
            }
        );
    }

    #[test]
    fn clones_of_a_stopped_clock_show_the_same_time() {
        let clock = StoppedClock::showing(Now::at(5));
        let other = clock.clone();
        clock.set_wall(Timestamp::from_millis(9));
        assert_eq!(other.now(), Now::at(9));
    }
}
