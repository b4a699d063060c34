//! When the dispatcher does what.
//!
//! Owns all its instants; they are on the monotonic clock, which a suspended machine does not
//! advance. What always holds: the next instant is never further off than a heartbeat, so a turn
//! that comes much later means that this process stood still.

use std::time::{Duration, Instant};

use super::heartbeat_every;

/// How often checkpoint files are looked at.
const WATCH_EVERY: Duration = Duration::from_millis(500);
/// How long a worker without room leaves wakes alone.
const REST: Duration = Duration::from_millis(50);
/// The bounds of the wait between looks that find nothing although they were called for.
const SHORTEST_GAP: Duration = Duration::from_millis(1);
const LONGEST_GAP: Duration = Duration::from_millis(250);
/// The bounds of the wait before a store that failed is tried again.
const SHORTEST_RETRY: Duration = Duration::from_millis(50);
const LONGEST_RETRY: Duration = Duration::from_secs(5);
/// How often it is looked whether other workers live.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// How long nothing is to do before the store is tidied.
const TIDY_AFTER: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug)]
pub(super) struct Agenda {
    lease_for: Duration,
    last_turn: Instant,
    last_cycle: Instant,
    heartbeat_at: Instant,
    look_at: Option<Instant>,
    record_at: Option<Instant>,
    watch_at: Option<Instant>,
    tidy_at: Option<Instant>,
    probe_at: Instant,
    /// No cycle before this: the store failed a moment ago.
    retry_at: Option<Instant>,
    /// No adoption before this: we stood still, and so may have others.
    cautious_until: Option<Instant>,
    /// Looks in a row that found nothing.
    vain: u32,
}

impl Agenda {
    pub(super) fn new(lease_for: Duration) -> Self {
        let now = Instant::now();
        Self {
            lease_for,
            last_turn: now,
            last_cycle: now,
            heartbeat_at: now,
            look_at: Some(now),
            record_at: None,
            watch_at: None,
            tidy_at: Some(now + TIDY_AFTER),
            probe_at: now,
            retry_at: None,
            cautious_until: None,
            vain: 0,
        }
    }

    /// Whether this process stood still for more than half a lease. Then its own leases come
    /// first, and for one lease it adopts nothing: their workers may have stood still with it.
    pub(super) fn notice_freeze(&mut self, now: Instant) -> bool {
        let stood_still = now.duration_since(self.last_turn) > self.lease_for / 2;
        self.last_turn = now;
        if stood_still {
            self.heartbeat_at = now;
            self.cautious_until = Some(now + self.lease_for);
        }
        stood_still
    }

    pub(super) fn may_adopt(&self, now: Instant) -> bool {
        self.cautious_until.is_none_or(|until| now >= until)
    }

    /// Whether a worker without room has left wakes alone for long enough.
    pub(super) fn is_rested(&self, now: Instant) -> bool {
        now >= self.last_cycle + REST
    }

    /// When to do something even if nothing happens. While a cycle is under way, no other one can
    /// begin.
    pub(super) fn next_at(&self, is_flying: bool) -> Instant {
        let mut next_at = self.last_turn + heartbeat_every(self.lease_for);
        let mut consider = |at: Option<Instant>| next_at = at.map_or(next_at, |at| next_at.min(at));
        consider(self.record_at);
        consider(self.watch_at);
        consider(self.tidy_at);
        consider(Some(self.probe_at));
        if !is_flying {
            let rested_at = self.last_cycle + REST;
            consider((rested_at > self.last_turn).then_some(rested_at));
            match self.retry_at {
                Some(retry_at) => consider(Some(retry_at)),
                None => {
                    consider(Some(self.heartbeat_at));
                    consider(self.look_at);
                }
            }
        }
        next_at
    }

    // ── Cycles ──────────────────────────────────────────────────────────────────────────────

    pub(super) fn is_cycle_due(&self, now: Instant, has_news: bool) -> bool {
        match self.retry_at {
            Some(retry_at) => now >= retry_at,
            None => has_news || now >= self.heartbeat_at || is_past(self.look_at, now),
        }
    }

    pub(super) fn cycle_began(&mut self, now: Instant) {
        self.last_cycle = now;
        self.look_at = None;
        self.retry_at = None;
    }

    pub(super) fn is_heartbeat_due(&self, now: Instant) -> bool {
        now >= self.heartbeat_at
    }

    pub(super) fn heartbeat_began(&mut self, now: Instant) {
        self.heartbeat_at = now + heartbeat_every(self.lease_for);
    }

    /// The cycle went through; `found` says whether it claimed, promoted or adopted anything.
    pub(super) fn cycle_ended(&mut self, now: Instant, found: bool) {
        self.last_cycle = now;
        self.vain = if found {
            0
        } else {
            self.vain.saturating_add(1)
        };
        if found {
            self.tidy_at = Some(now + TIDY_AFTER);
        }
    }

    /// The store failed, for the `tries`-th time in a row.
    pub(super) fn cycle_failed(&mut self, now: Instant, tries: u32) {
        self.last_cycle = now;
        self.heartbeat_at = now;
        self.retry_at = Some(now + growing(SHORTEST_RETRY, LONGEST_RETRY, tries));
    }

    /// Somebody wrote: looks at once, unless many such looks found nothing.
    pub(super) fn look_soon(&mut self, now: Instant) {
        let gap = match self.vain {
            0..=2 => Duration::ZERO,
            vain => growing(SHORTEST_GAP, LONGEST_GAP / 10, vain - 2),
        };
        self.look_by(now.max(self.last_cycle + gap));
    }

    /// Something is to be looked at then.
    pub(super) fn look_at(&mut self, at: Instant) {
        self.look_by(at);
    }

    /// There is more to do right away.
    pub(super) fn look_now(&mut self, now: Instant) {
        self.look_by(now);
    }

    /// Something falls due after `wait`; a wait of zero that finds nothing grows.
    pub(super) fn look_after(&mut self, now: Instant, wait: Duration) {
        let least = growing(SHORTEST_GAP, LONGEST_GAP, self.vain);
        if let Some(at) = now.checked_add(wait.max(least)) {
            self.look_by(at);
        }
    }

    fn look_by(&mut self, at: Instant) {
        self.look_at = Some(self.look_at.map_or(at, |known| known.min(at)));
    }

    // ── The rest ────────────────────────────────────────────────────────────────────────────

    pub(super) fn is_record_due(&self, now: Instant) -> bool {
        is_past(self.record_at, now)
    }

    pub(super) fn record_at(&mut self, at: Option<Instant>) {
        self.record_at = at;
    }

    pub(super) fn is_probe_due(&self, now: Instant) -> bool {
        now >= self.probe_at
    }

    pub(super) fn probe_again(&mut self, now: Instant) {
        self.probe_at = now + PROBE_EVERY;
    }

    pub(super) fn is_watch_due(&self, now: Instant) -> bool {
        is_past(self.watch_at, now)
    }

    /// Something began to run.
    pub(super) fn attempt_began(&mut self, now: Instant, record_at: Option<Instant>) {
        self.record_at = record_at;
        self.watch_at.get_or_insert(now + WATCH_EVERY);
    }

    pub(super) fn watch_again(&mut self, is_wanted: bool) {
        self.watch_at = is_wanted.then(|| Instant::now() + WATCH_EVERY);
    }

    /// Whether nothing was to do for a while, for the first time since something was.
    pub(super) fn is_tidy_due(&mut self, now: Instant, is_idle: bool) -> bool {
        if !is_past(self.tidy_at, now) {
            return false;
        }
        if !is_idle {
            self.tidy_at = Some(now + TIDY_AFTER);
            return false;
        }
        self.tidy_at = None;
        true
    }
}

fn is_past(at: Option<Instant>, now: Instant) -> bool {
    at.is_some_and(|at| now >= at)
}

/// Doubles from `shortest` at the first time up to `longest`.
pub(super) fn growing(shortest: Duration, longest: Duration, times: u32) -> Duration {
    let factor = 1_u32
        .checked_shl(times.saturating_sub(1))
        .unwrap_or(u32::MAX);
    shortest.saturating_mul(factor.max(1)).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(30);
    const SECOND: Duration = Duration::from_secs(1);

    fn agenda() -> (Agenda, Instant) {
        let mut agenda = Agenda::new(LEASE);
        let now = agenda.last_turn;
        agenda.cycle_began(now);
        agenda.heartbeat_began(now);
        agenda.probe_again(now);
        agenda.cycle_ended(now, false);
        (agenda, now)
    }

    #[test]
    fn leases_are_extended_three_times_before_they_run_out() {
        let (mut agenda, now) = agenda();
        assert!(!agenda.is_cycle_due(now + 9 * SECOND, false));
        assert!(agenda.is_cycle_due(now + 10 * SECOND, false));
        assert!(!agenda.notice_freeze(now + 10 * SECOND));
        assert!(agenda.next_at(false) <= now + 10 * SECOND);
    }

    #[test]
    fn who_stood_still_looks_after_its_own_and_adopts_nothing_for_one_lease() {
        let (mut agenda, now) = agenda();
        assert!(agenda.may_adopt(now));
        let later = now + 16 * SECOND;
        assert!(agenda.notice_freeze(later));
        assert!(agenda.is_cycle_due(later, false));
        assert!(!agenda.may_adopt(later + 29 * SECOND));
        assert!(agenda.may_adopt(later + 30 * SECOND));
    }

    #[test]
    fn a_store_that_fails_is_tried_less_and_less_often() {
        let (mut agenda, now) = agenda();
        let waits: Vec<_> = [1, 2, 3, 20, 400]
            .map(|tries| {
                agenda.cycle_failed(now, tries);
                agenda.next_at(false).duration_since(now)
            })
            .into();
        let millis = Duration::from_millis;
        // The rest of a full worker is among the instants too.
        assert_eq!(waits[..3], [millis(50), millis(50), millis(50)]);
        assert_eq!(growing(SHORTEST_RETRY, LONGEST_RETRY, 3), millis(200));
        assert_eq!(growing(SHORTEST_RETRY, LONGEST_RETRY, 400), LONGEST_RETRY);
        assert!(!agenda.is_cycle_due(now + 4 * SECOND, true));
        assert!(agenda.is_cycle_due(now + 5 * SECOND, false));
    }

    #[test]
    fn a_due_moment_that_brings_nothing_does_not_spin() {
        let (mut agenda, now) = agenda();
        let mut gaps = Vec::new();
        for _ in 0..12 {
            agenda.cycle_began(now);
            agenda.cycle_ended(now, false);
            agenda.look_after(now, Duration::ZERO);
            gaps.push(agenda.look_at.unwrap().duration_since(now));
        }
        assert!(gaps.is_sorted() && gaps[0] > Duration::ZERO);
        assert_eq!(gaps[11], LONGEST_GAP);
        agenda.cycle_ended(now, true);
        agenda.look_soon(now);
        assert!(agenda.is_cycle_due(now, false));
    }

    #[test]
    fn the_store_is_tidied_once_when_nothing_is_to_do() {
        let (mut agenda, now) = agenda();
        assert!(!agenda.is_tidy_due(now + SECOND, true));
        assert!(!agenda.is_tidy_due(now + 6 * SECOND, false));
        assert!(agenda.is_tidy_due(now + 12 * SECOND, true));
        assert!(!agenda.is_tidy_due(now + 60 * SECOND, true));
    }
}
