//! Every form that was seen, and what clock changes do to them.

use chrono::{Datelike as _, NaiveDate, NaiveDateTime, TimeZone as _, Timelike as _, Weekday};
use chrono_tz::TZ_VARIANTS;
use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    let at = DateTime::parse_from_rfc3339(text).unwrap();
    Timestamp::from_millis(at.timestamp_millis())
}

fn shown(at: Timestamp) -> String {
    let at = DateTime::<Utc>::from_timestamp_millis(at.as_millis()).unwrap();
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The reset that a text names on a machine in Berlin.
#[track_caller]
fn berlin(text: &str, now: &str) -> String {
    let reset = parse(text, at(now), Tz::Europe__Berlin);
    shown(reset.unwrap_or_else(|| panic!("{text:?} names a time")).at)
}

#[test]
fn every_wording_of_claude_code_is_read() {
    let now = "2026-07-15T08:00:00Z"; // A Wednesday; 10:00 in Berlin.
    for (text, expected) in [
        (
            "Claude AI usage limit reached|1784109600",
            "2026-07-15T10:00:00Z",
        ),
        (
            "Claude AI usage limit reached|1784109600000",
            "2026-07-15T10:00:00Z",
        ),
        (
            "Claude usage limit reached. Your limit will reset at 5pm (Europe/Warsaw).",
            "2026-07-15T15:00:00Z",
        ),
        (
            "Your limit will reset at Oct 6, 6pm",
            "2026-10-06T16:00:00Z",
        ),
        (
            "5-hour limit reached \u{2219} resets 2am",
            "2026-07-16T00:00:00Z",
        ),
        (
            "Session limit reached \u{2219} resets 7pm",
            "2026-07-15T17:00:00Z",
        ),
        (
            "You've hit your limit · resets 1am (Europe/Oslo)",
            "2026-07-15T23:00:00Z",
        ),
        (
            "You've hit your limit · resets Jul 23 at 4pm (America/New_York)",
            "2026-07-23T20:00:00Z",
        ),
        (
            "You've hit your limit · resets Jan 18, 11:30am (Asia/Kolkata)",
            "2027-01-18T06:00:00Z",
        ),
        (
            "You're out of extra usage · resets 9pm (Asia/Tokyo)",
            "2026-07-15T12:00:00Z",
        ),
        (
            "You've hit your session limit · resets 3:30am (America/New_York)",
            "2026-07-16T07:30:00Z",
        ),
        (
            "You've hit your session limit · resets 12:50pm (UTC)",
            "2026-07-15T12:50:00Z",
        ),
        (
            "You've hit your weekly limit · resets Mon 12:00am (Europe/Berlin)",
            "2026-07-19T22:00:00Z",
        ),
        (
            "You've hit your Opus limit · resets Jul 18 at 4am (Europe/Berlin)",
            "2026-07-18T02:00:00Z",
        ),
        (
            "spend limit reached (daily; resets 2026-08-09 00:00 UTC)",
            "2026-08-09T00:00:00Z",
        ),
        (
            "You will regain access on 2026-06-01 at 00:00 UTC.",
            "2026-06-01T00:00:00Z",
        ),
    ] {
        assert_eq!(berlin(text, now), expected, "{text}");
    }
}

#[test]
fn every_wording_of_other_agents_is_read() {
    let now = "2026-04-27T12:00:00Z"; // 14:00 in Berlin.
    for (text, expected) in [
        (
            "You've hit your usage limit. Upgrade to Pro or try again at 3:51 PM.",
            "2026-04-27T13:51:00Z",
        ),
        ("… or try again at 3:51\u{202f}PM.", "2026-04-27T13:51:00Z"),
        (
            "try again at Apr 28th, 2026 10:03 PM.",
            "2026-04-28T20:03:00Z",
        ),
        (
            "try again at Feb 23rd, 2027 9:01 PM.",
            "2027-02-23T20:01:00Z",
        ),
        (
            "Try again in 4 days 20 hours 9 minutes.",
            "2026-05-02T08:09:00Z",
        ),
        ("Try again in 1 day 2 hours.", "2026-04-28T14:00:00Z"),
        ("Try again in less than a minute.", "2026-04-27T12:01:00Z"),
        ("Your quota will reset after 5s.", "2026-04-27T12:00:05Z"),
        ("Please retry in 34.074824224s.", "2026-04-27T12:00:34Z"),
        ("Please retry in 500ms", "2026-04-27T12:00:00Z"),
        (
            "5 hour usage limit reached. It will reset in 2 hours 5 minutes.",
            "2026-04-27T14:05:00Z",
        ),
        (
            "Rate Limited [retrying in 2h5m attempt #4]",
            "2026-04-27T14:05:00Z",
        ),
        ("retrying in 1d2h3m4s", "2026-04-28T14:03:04Z"),
        (
            "usage will reset when your monthly cycle ends on 10/2/2026.",
            "2026-10-02T22:00:00Z",
        ),
        ("resets_at 2026-04-27T18:30:00.000Z", "2026-04-27T18:30:00Z"),
        (
            "resets at 2026-04-27T18:30:00+02:00",
            "2026-04-27T16:30:00Z",
        ),
        ("resets at 15:51", "2026-04-27T13:51:00Z"),
    ] {
        assert_eq!(berlin(text, now), expected, "{text}");
    }
}

#[test]
fn a_text_that_names_no_time_gives_none() {
    for text in [
        "",
        "You've reached your Opus limit.",
        "You've hit your usage limit or try again later.",
        "resets soon",
        "resets 25:00",
        "resets 13pm (Europe/Oslo)",
        "resets Feb 30 at 4am",
        "reached|12345",
        "reached|99999999999999999999",
        "attempt 3 of 5 at step 7",
        "try again in some hours",
        "2026-13-40 25:00 UTC",
    ] {
        let found = parse(text, at("2026-07-15T08:00:00Z"), Tz::UTC);
        assert_eq!(found, None, "{text:?}");
    }
}

#[test]
fn noon_and_midnight_are_not_mixed_up() {
    let now = "2026-07-15T08:00:00Z";
    assert_eq!(berlin("resets 12am (UTC)", now), "2026-07-16T00:00:00Z");
    assert_eq!(berlin("resets 12pm (UTC)", now), "2026-07-15T12:00:00Z");
    assert_eq!(berlin("resets 12:30am (UTC)", now), "2026-07-16T00:30:00Z");
}

#[test]
fn a_time_of_day_a_moment_ago_is_over_and_one_two_minutes_ago_is_tomorrow() {
    let text = "resets 3am (UTC)";
    let just = parse(text, at("2026-07-15T03:01:59Z"), Tz::UTC).unwrap();
    assert_eq!(
        (shown(just.at).as_str(), just.standing),
        ("2026-07-15T03:00:00Z", Standing::Past)
    );
    assert_eq!(just.ahead(), None);
    let next = parse(text, at("2026-07-15T03:02:00Z"), Tz::UTC).unwrap();
    assert_eq!(
        (shown(next.at).as_str(), next.standing),
        ("2026-07-16T03:00:00Z", Standing::Ahead)
    );
}

#[test]
fn a_weekday_is_today_while_its_time_is_ahead_and_in_a_week_after_that() {
    let text = "weekly limit · resets Wed 10:00am (UTC)";
    assert_eq!(berlin(text, "2026-07-15T09:59:00Z"), "2026-07-15T10:00:00Z");
    assert_eq!(berlin(text, "2026-07-15T10:02:00Z"), "2026-07-22T10:00:00Z");
}

#[test]
fn a_day_of_a_month_is_over_for_two_days_and_then_means_next_year() {
    let text = "resets Jul 18 at 4am (UTC)";
    let past = parse(text, at("2026-07-20T03:59:00Z"), Tz::UTC).unwrap();
    assert_eq!(
        (shown(past.at).as_str(), past.standing),
        ("2026-07-18T04:00:00Z", Standing::Past)
    );
    let next = parse(text, at("2026-07-20T04:01:00Z"), Tz::UTC).unwrap();
    assert_eq!(
        (shown(next.at).as_str(), next.standing),
        ("2027-07-18T04:00:00Z", Standing::TooFar)
    );
}

#[test]
fn the_year_ends_without_losing_a_day() {
    assert_eq!(
        berlin("resets Jan 1 at 4am (UTC)", "2026-12-31T20:00:00Z"),
        "2027-01-01T04:00:00Z"
    );
    assert_eq!(
        berlin("resets Dec 31 at 11pm (UTC)", "2027-01-01T01:00:00Z"),
        "2026-12-31T23:00:00Z"
    );
    assert_eq!(
        berlin("resets 3am (UTC)", "2026-12-31T20:00:00Z"),
        "2027-01-01T03:00:00Z"
    );
    assert_eq!(
        berlin("resets Fri 12:00am (UTC)", "2026-12-31T20:00:00Z"),
        "2027-01-01T00:00:00Z"
    );
    assert_eq!(
        berlin("resets Feb 29 at 4am (UTC)", "2026-07-01T00:00:00Z"),
        "2028-02-29T04:00:00Z"
    );
}

#[test]
fn a_limit_more_than_eight_days_ahead_is_not_waited_for() {
    let now = at("2026-07-15T08:00:00Z");
    let standing = |text: &str| parse(text, now, Tz::UTC).unwrap().standing;
    assert_eq!(standing("in 8 days"), Standing::Ahead);
    assert_eq!(standing("in 8 days 1 second"), Standing::TooFar);
    assert_eq!(standing("cycle ends on 10/2/2026"), Standing::TooFar);
}

#[test]
fn an_unknown_zone_is_the_machines_and_said() {
    let reset = parse(
        "resets 3am (Mars/Olympus)",
        at("2026-07-15T08:00:00Z"),
        Tz::Europe__Berlin,
    )
    .unwrap();
    assert_eq!(shown(reset.at), "2026-07-16T01:00:00Z");
    assert_eq!(reset.unknown_zone.as_deref(), Some("Mars/Olympus"));
}

#[test]
fn offsets_count_as_zones() {
    let now = "2026-07-15T08:00:00Z";
    assert_eq!(berlin("resets 3pm (UTC+2)", now), "2026-07-15T13:00:00Z");
    assert_eq!(berlin("resets 3pm (-05:30)", now), "2026-07-15T20:30:00Z");
    assert_eq!(berlin("resets 3pm (GMT)", now), "2026-07-15T15:00:00Z");
}

#[test]
fn a_time_that_the_clocks_skip_is_the_end_of_the_gap() {
    // Berlin, 29 March 2026: 02:00 becomes 03:00. Lord Howe skips half an hour, Samoa a whole day.
    assert_eq!(
        berlin("resets 2:30am (Europe/Berlin)", "2026-03-28T20:00:00Z"),
        "2026-03-29T01:00:00Z"
    );
    assert_eq!(
        berlin(
            "resets 2:15am (Australia/Lord_Howe)",
            "2026-10-03T10:00:00Z"
        ),
        "2026-10-03T15:30:00Z"
    );
    assert_eq!(
        berlin(
            "resets Dec 30, 2011 5pm (Pacific/Apia)",
            "2011-12-29T00:00:00Z"
        ),
        "2011-12-30T10:00:00Z"
    );
}

#[test]
fn a_time_that_comes_twice_is_the_later_one() {
    // Berlin, 25 October 2026: 03:00 becomes 02:00.
    assert_eq!(
        berlin("resets 2:30am (Europe/Berlin)", "2026-10-24T20:00:00Z"),
        "2026-10-25T01:30:00Z"
    );
    // Between the two it is still ahead.
    assert_eq!(
        berlin("resets 2:30am (Europe/Berlin)", "2026-10-25T00:45:00Z"),
        "2026-10-25T01:30:00Z"
    );
}

#[test]
fn the_pacific_midnight_is_the_next_one() {
    let next = next_midnight(at("2026-07-15T08:00:00Z"), Tz::America__Los_Angeles).unwrap();
    assert_eq!(shown(next.at), "2026-07-16T07:00:00Z");
}

#[test]
fn the_zone_of_the_machine_is_what_tz_names() {
    assert_eq!(machine_zone(Some("Asia/Tokyo")), Tz::Asia__Tokyo);
    assert_eq!(machine_zone(Some(":Asia/Tokyo")), Tz::Asia__Tokyo);
    assert_eq!(machine_zone(Some("no zone")), machine_zone(None));
}

fn any_zone() -> impl Strategy<Value = Tz> {
    (0..TZ_VARIANTS.len()).prop_map(|place| TZ_VARIANTS[place])
}

/// Minutes between 2020 and 2036.
fn any_moment() -> impl Strategy<Value = Timestamp> {
    (26_297_280_i64..34_712_640).prop_map(|minutes| Timestamp::from_millis(minutes * 60_000))
}

fn local(zone: Tz, at: Timestamp) -> NaiveDateTime {
    zone.timestamp_millis_opt(at.as_millis())
        .unwrap()
        .naive_local()
}

fn twelve(hour: u32, minute: u32) -> String {
    let half = if hour < 12 { "am" } else { "pm" };
    let hour = (hour + 11) % 12 + 1;
    format!("{hour}:{minute:02}{half}")
}

/// Whether the clocks of a zone change on that day or beside it.
fn is_regular(zone: Tz, date: NaiveDate) -> bool {
    use chrono::Offset as _;
    let mut offsets = (-2..=2).map(|days| {
        let day = date + TimeDelta::days(days);
        zone.offset_from_utc_date(&day).fix().local_minus_utc()
    });
    let first = offsets.next().unwrap();
    offsets.all(|offset| offset == first)
}

proptest! {
    /// A time of day is at most a day ahead (more only where the clocks change), and on days without
    /// a change the clocks there show exactly it.
    #[test]
    fn a_time_of_day_is_the_next_one_in_every_zone(
        zone in any_zone(), now in any_moment(), hour in 0_u32..24, minute in 0_u32..60,
    ) {
        let text = format!("You've hit your session limit · resets {} ({})", twelve(hour, minute), zone.name());
        let reset = parse(&text, now, Tz::UTC).unwrap();
        prop_assert_eq!(&reset.unknown_zone, &None);
        let ahead = reset.at.as_millis() - now.as_millis();
        prop_assert!(ahead > -JUST_NOW.num_milliseconds());
        prop_assert!(ahead <= TimeDelta::hours(26).num_milliseconds() || !is_regular(zone, local(zone, now).date()));
        let shows = local(zone, reset.at);
        if is_regular(zone, shows.date()) {
            prop_assert_eq!((shows.hour(), shows.minute()), (hour, minute));
        }
    }

    /// A weekday is at most a week ahead, and it is that day there.
    #[test]
    fn a_weekday_is_the_next_one_in_every_zone(
        zone in any_zone(), now in any_moment(), day in 0_u8..7, hour in 0_u32..24,
    ) {
        let weekday = Weekday::try_from(day).unwrap();
        let text = format!("weekly limit · resets {weekday} {} ({})", twelve(hour, 0), zone.name());
        let reset = parse(&text, now, Tz::UTC).unwrap();
        let ahead = reset.at.as_millis() - now.as_millis();
        prop_assert!(ahead > -JUST_NOW.num_milliseconds());
        prop_assert!(ahead <= TimeDelta::hours(7 * 24 + 2).num_milliseconds());
        let shows = local(zone, reset.at);
        if is_regular(zone, shows.date()) {
            prop_assert_eq!((shows.weekday(), shows.hour()), (weekday, hour));
        }
    }

    /// A day of a month is never more than two days behind nor more than a year ahead (a leap day: eight).
    #[test]
    fn a_day_of_a_month_is_in_the_year_that_is_meant(
        zone in any_zone(), now in any_moment(), days in 0_i64..366, hour in 0_u32..24,
    ) {
        let date = local(zone, now).date() + TimeDelta::days(days - 1);
        let text = format!("resets {} at {} ({})", date.format("%b %-d"), twelve(hour, 0), zone.name());
        let reset = parse(&text, now, Tz::UTC).unwrap();
        let ahead = reset.at.as_millis() - now.as_millis();
        prop_assert!(ahead >= -TimeDelta::days(2).num_milliseconds());
        let shows = local(zone, reset.at);
        if is_regular(zone, shows.date()) {
            prop_assert_eq!((shows.month(), shows.day(), shows.hour()), (date.month(), date.day(), hour));
        }
    }

    /// Every local time has an instant, and it is never before the time as it would be without the change.
    #[test]
    fn no_clock_change_makes_a_reset_early(zone in any_zone(), now in any_moment(), minutes in 0_i64..1440) {
        let wanted = local(zone, now).date().and_hms_opt(0, 0, 0).unwrap() + TimeDelta::minutes(minutes);
        let found = calendar::Place::Named(zone).instant(wanted).unwrap();
        let shows = found.with_timezone(&zone).naive_local();
        prop_assert!(shows >= wanted, "{zone} {wanted} gives {shows}");
        // The clocks do not show the wanted time ever after.
        let later = found + TimeDelta::hours(3);
        for minute in 1..=180 {
            let at = later - TimeDelta::minutes(minute - 1);
            prop_assert!(at == found || at.with_timezone(&zone).naive_local() != wanted);
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,80}", now in any_moment()) {
        let _ = parse(&text, now, Tz::UTC);
    }

    #[test]
    fn no_text_of_its_own_words_makes_it_panic(
        words in prop::collection::vec(prop::sample::select(vec![
            "resets", "reached|", "99999999999", "in", "at", "Mon", "Feb", "30", "29th,", "2026", "12:60pm",
            "13am", "0am", "(Europe/Oslo)", "(", "9999-12-31", "23:59", "UTC", "99999999999999999999 days",
            "10/32/2026", "2h5m", "after", "1e9s", ":", "+99:99",
        ]), 0..8),
        now in any_moment(),
    ) {
        let _ = parse(&words.join(" "), now, Tz::UTC);
        let _ = parse(&words.concat(), now, Tz::UTC);
    }
}
