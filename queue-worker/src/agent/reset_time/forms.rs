//! The forms in which programs name a time, most exact first.
//!
//! Used by [`parse`](super::parse) on normalised text. What always holds: a form that names more
//! (a date) is tried before one that names less (a time of day), and numbers that are no date, no
//! time or no duration are passed over.

use std::sync::LazyLock;

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveTime, TimeDelta, Utc, Weekday};
use chrono_tz::Tz;
use regex::{Captures, Regex};

use super::calendar::Place;

/// An instant that a text names.
pub(super) struct Found {
    pub(super) at: DateTime<Utc>,
    pub(super) unknown_zone: Option<String>,
}

type Form = fn(&Captures<'_>, DateTime<Utc>, Place) -> Option<DateTime<Utc>>;

/// A time of day: `3am`, `3:30 PM`, `15:51`, with groups `h`, `m`, `s`, `ap`.
const CLOCK: &str = r"(?<h>\d{1,2})(?:(?::(?<m>\d{2})(?::(?<s>\d{2}))?)?\s*(?<ap>[ap])\.?m\b\.?|:(?<m24>\d{2})(?::(?<s24>\d{2}))?\b)";
const MONTH: &str = r"\b(?<month>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?\s+(?<day>\d{1,2})(?:st|nd|rd|th)?\b(?:,?\s+(?<year>\d{4})\b)?";
const WEEKDAY: &str = r"\b(?<weekday>mon|tue|wed|thu|fri|sat|sun)[a-z]*";
/// A zone behind a time: `(Europe/Oslo)`, `UTC`, `(+02:00)`.
const ZONE: &str = r"(?:\s*\((?<zone>[A-Za-z0-9_+\-/: ]+)\)|\s+(?<zone2>utc|gmt)\b)?";
/// Units of a duration; the longer spelling of each goes first.
const UNIT: &str = r"(?:weeks?|w|days?|d|hours?|hrs?|hr|h|minutes?|mins?|min|milliseconds?|millis|ms|m|seconds?|secs?|sec|s)\b";

static FORMS: LazyLock<Vec<(Regex, Form)>> = LazyLock::new(|| {
    let form = |text: &str, form: Form| {
        let regex = Regex::new(&format!("(?i){text}"));
        (
            regex.expect("the forms of times are valid expressions"),
            form,
        )
    };
    vec![
        form(r"\|(?<epoch>\d{13}|\d{10})\b", epoch),
        form(
            r"\b(?<year>\d{4})-(?<month>\d{2})-(?<day>\d{2})(?:t|,?\s+(?:at\s+)?)(?<h>\d{2}):(?<m>\d{2})(?::(?<s>\d{2}))?(?:\.\d+)?\s*(?<offset>z\b|[+-]\d{2}:?\d{2})?(?:\s*\(?(?<zone>[A-Za-z_]+/[A-Za-z_/+\-]+|utc|gmt)\)?)?",
            iso,
        ),
        form(&format!(r"{MONTH},?\s+(?:at\s+)?{CLOCK}{ZONE}"), month_day),
        form(
            &format!(
                r"\b(?:in|after|within|wait)\s+(?:about\s+|approximately\s+|~\s*)?(?<span>(?:\d+(?:\.\d+)?\s*{UNIT}[\s,]*(?:and\s+)?)*\d+(?:\.\d+)?\s*{UNIT}|\d+\s*[wdhm]\d[\dwdhms.]*)"
            ),
            duration,
        ),
        form(
            r"\bin (?:less than )?an? (?<one>minute|hour|day)\b",
            one_unit,
        ),
        form(
            &format!(
                r"\b(?<month>\d{{1,2}})/(?<day>\d{{1,2}})/(?<year>\d{{4}})\b(?:,?\s+(?:at\s+)?{CLOCK})?{ZONE}"
            ),
            us_date,
        ),
        form(&format!(r"{WEEKDAY},?\s+(?:at\s+)?{CLOCK}{ZONE}"), weekday),
        form(
            &format!(r"\b(?:resets?|at|until|after|again|by)\s+(?:at\s+)?{CLOCK}{ZONE}"),
            clock,
        ),
        form(
            &format!(r"\b(?:resets?|reset on|on|until|again at|ends)\s+(?:on\s+)?{MONTH}{ZONE}"),
            month_day,
        ),
    ]
});

/// Tries all forms in their order. One that is there with numbers that cannot be (30 February) ends
/// the search, because what is left of such a text would be a guess.
pub(super) fn find(text: &str, now: DateTime<Utc>, machine: Tz) -> Option<Found> {
    let (regex, form) = FORMS.iter().find(|(regex, _)| regex.is_match(text))?;
    regex.captures_iter(text).find_map(|found| {
        let name = found.name("zone").or_else(|| found.name("zone2"));
        let name = name.map(|name| name.as_str().trim());
        let place = name.map(place);
        let known = place.flatten().unwrap_or(Place::Named(machine));
        let at = form(&found, now, known)?;
        let unknown_zone = name.filter(|_| place == Some(None)).map(str::to_owned);
        Some(Found { at, unknown_zone })
    })
}

/// Reads the name of a zone or an offset such as `+02:00`, `UTC+2`.
fn place(name: &str) -> Option<Place> {
    let upper = name.to_uppercase();
    if matches!(upper.as_str(), "UTC" | "GMT" | "Z") {
        return Some(Place::Named(Tz::UTC));
    }
    if let Ok(zone) = name.parse() {
        return Some(Place::Named(zone));
    }
    let offset = upper
        .strip_prefix("UTC")
        .or_else(|| upper.strip_prefix("GMT"));
    offset_of(offset.unwrap_or(&upper)).map(Place::Fixed)
}

fn offset_of(text: &str) -> Option<FixedOffset> {
    let sign = match text.chars().next()? {
        '+' => 1,
        '-' => -1,
        _ => return None,
    };
    let digits = text[1..].replace(':', "");
    let (hours, minutes) = digits.split_at_checked(match digits.len() {
        4 => 2,
        3 => 1,
        length => length,
    })?;
    let hours: i32 = hours.parse().ok()?;
    let minutes: i32 = if minutes.is_empty() {
        0
    } else {
        minutes.parse().ok()?
    };
    FixedOffset::east_opt(sign * (hours * 3600 + minutes * 60))
}

fn number<T: std::str::FromStr>(found: &Captures<'_>, name: &str) -> Option<T> {
    found.name(name)?.as_str().parse().ok()
}

/// The time of day that the groups of [`CLOCK`] hold; 12am is midnight, 12pm is noon.
fn time_of(found: &Captures<'_>) -> Option<NaiveTime> {
    let hour: u32 = number(found, "h")?;
    let minute = number(found, "m").or(number(found, "m24")).unwrap_or(0);
    let second = number(found, "s").or(number(found, "s24")).unwrap_or(0);
    let hour = match found.name("ap").map(|it| it.as_str().to_lowercase()) {
        Some(_) if !(1..=12).contains(&hour) => return None,
        Some(half) => hour % 12 + if half == "p" { 12 } else { 0 },
        None => hour,
    };
    NaiveTime::from_hms_opt(hour, minute, second)
}

fn date_of(found: &Captures<'_>) -> Option<NaiveDate> {
    let (year, month, day) = (
        number(found, "year")?,
        number(found, "month")?,
        number(found, "day")?,
    );
    NaiveDate::from_ymd_opt(year, month, day)
}

fn epoch(found: &Captures<'_>, _: DateTime<Utc>, _: Place) -> Option<DateTime<Utc>> {
    let at = super::super::facts::of_epoch(number(found, "epoch")?)?;
    DateTime::from_timestamp_millis(at.as_millis())
}

fn iso(found: &Captures<'_>, _: DateTime<Utc>, place: Place) -> Option<DateTime<Utc>> {
    let time = NaiveTime::from_hms_opt(
        number(found, "h")?,
        number(found, "m")?,
        number(found, "s").unwrap_or(0),
    )?;
    let place = match found.name("offset").map(|it| it.as_str().to_uppercase()) {
        Some(offset) if offset == "Z" => Place::Named(Tz::UTC),
        Some(offset) => Place::Fixed(offset_of(&offset)?),
        None => place,
    };
    place.instant(date_of(found)?.and_time(time))
}

fn month_day(found: &Captures<'_>, now: DateTime<Utc>, place: Place) -> Option<DateTime<Utc>> {
    let month = found.name("month")?.as_str().to_lowercase();
    let months = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    let month = u32::try_from(months.iter().position(|it| month == *it)?).ok()? + 1;
    let day = number(found, "day")?;
    let has_time = found.name("h").is_some();
    let time = if has_time {
        time_of(found)?
    } else {
        NaiveTime::MIN
    };
    match number(found, "year") {
        Some(year) => place.instant(NaiveDate::from_ymd_opt(year, month, day)?.and_time(time)),
        None => place.near(now, (month, day), time),
    }
}

fn duration(found: &Captures<'_>, now: DateTime<Utc>, _: Place) -> Option<DateTime<Utc>> {
    now.checked_add_signed(span_of(found.name("span")?.as_str())?)
}

/// Adds up `4 days 20 hours 9 minutes`, `2h5m`, `34.07s`.
fn span_of(text: &str) -> Option<TimeDelta> {
    static PART: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)(\d+(?:\.\d+)?)\s*(ms|milli|w|d|h|m|s)")
            .expect("the parts of a span are a valid expression")
    });
    let mut sum = 0.0;
    for part in PART.captures_iter(text) {
        let number: f64 = part[1].parse().ok()?;
        sum += number
            * match part[2].to_lowercase().as_str() {
                "w" => 7.0 * 86_400_000.0,
                "d" => 86_400_000.0,
                "h" => 3_600_000.0,
                "m" => 60_000.0,
                "s" => 1_000.0,
                _ => 1.0,
            };
    }
    // A century is no duration anybody waits for.
    (sum < 3.2e12).then(|| TimeDelta::milliseconds(sum.round() as i64))
}

fn one_unit(found: &Captures<'_>, now: DateTime<Utc>, _: Place) -> Option<DateTime<Utc>> {
    let span = match found["one"].to_lowercase().as_str() {
        "minute" => TimeDelta::minutes(1),
        "hour" => TimeDelta::hours(1),
        _ => TimeDelta::days(1),
    };
    now.checked_add_signed(span)
}

/// A date alone ends with its day.
fn us_date(found: &Captures<'_>, _: DateTime<Utc>, place: Place) -> Option<DateTime<Utc>> {
    let day = date_of(found)?;
    if found.name("h").is_some() {
        return place.instant(day.and_time(time_of(found)?));
    }
    place.start_of(day.succ_opt()?)
}

fn weekday(found: &Captures<'_>, now: DateTime<Utc>, place: Place) -> Option<DateTime<Utc>> {
    let weekday: Weekday = found["weekday"].parse().ok()?;
    place.next(now, Some(weekday), time_of(found)?)
}

fn clock(found: &Captures<'_>, now: DateTime<Utc>, place: Place) -> Option<DateTime<Utc>> {
    place.next(now, None, time_of(found)?)
}
