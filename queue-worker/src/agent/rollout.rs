//! Finds in codex' own record of a session when the account's limit lifts.
//!
//! codex prints the time without a zone, or only "try again later"; its rollout file
//! (`$CODEX_HOME/sessions/Y/M/D/rollout-…-SESSION.jsonl`) has it in seconds. Used once, when an attempt
//! met a limit. What always holds: a file of another form gives nothing; it is read line by line.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use chrono::DateTime;
use serde_json::Value;

use super::facts::{LimitEvent, Window};
use super::stream::MAX_LINE;

/// The record of a session, below the folder that `CODEX_HOME` names; the newest, where there are several.
#[must_use]
pub fn find(codex_home: &Path, session: &str) -> Option<PathBuf> {
    if session.is_empty() {
        return None;
    }
    newest(
        &codex_home.join("sessions"),
        &format!("-{session}.jsonl"),
        3,
    )
}

/// Looks through folders by year, month and day, the last first.
fn newest(folder: &Path, ending: &str, depth: u32) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?;
    let mut paths: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort_unstable();
    paths.into_iter().rev().find_map(|path| match depth {
        0 => Some(path).filter(|path| path.to_string_lossy().ends_with(ending)),
        _ => newest(&path, ending, depth - 1),
    })
}

/// The last word on limits in a record.
///
/// # Errors
/// When the file cannot be read.
pub fn limit_event(path: &Path) -> io::Result<Option<LimitEvent>> {
    let mut lines = BufReader::new(File::open(path)?);
    let mut last = None;
    let mut line = Vec::new();
    loop {
        line.clear();
        let most = MAX_LINE as u64;
        if (&mut lines).take(most).read_until(b'\n', &mut line)? == 0 {
            return Ok(last);
        }
        last = event_of(&line).or(last);
    }
}

fn event_of(line: &[u8]) -> Option<LimitEvent> {
    let value: Value = serde_json::from_slice(line).ok()?;
    let payload = value.get("payload").unwrap_or(&value);
    let limits = payload.get("rate_limits").filter(|it| it.is_object())?;
    let written_at = value.get("timestamp").and_then(Value::as_str);
    let written_at = written_at.and_then(|text| DateTime::parse_from_rfc3339(text).ok());
    let mut event = LimitEvent {
        status: "allowed".to_owned(),
        ..LimitEvent::default()
    };
    for name in ["primary", "secondary"] {
        let Some(window) = limits.get(name).filter(|it| it.is_object()) else {
            continue;
        };
        let used = window.get("used_percent").and_then(Value::as_f64);
        let at = window.get("resets_at").and_then(Value::as_i64);
        // Older versions count from the moment of writing.
        let after = window.get("resets_in_seconds").and_then(Value::as_i64);
        let resets_at = at.or_else(|| Some(written_at?.timestamp() + after?));
        let utilization = used.map(|percent| percent / 100.0);
        if utilization.is_some_and(|part| part >= 1.0) {
            "rejected".clone_into(&mut event.status);
            event.resets_at = event.resets_at.max(resets_at);
        }
        event.windows.insert(
            name.to_owned(),
            Window {
                utilization,
                resets_at,
            },
        );
    }
    Some(event)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0199a213-81c0-7800-8aa1-bbab2a035a53";

    #[test]
    fn the_last_event_of_the_newest_record_counts() {
        let home = tempfile::tempdir().unwrap();
        let write = |day: &str, text: &str| {
            let folder = home.path().join("sessions").join(day);
            fs::create_dir_all(&folder).unwrap();
            fs::write(
                folder.join(format!("rollout-2026-07-15T08-00-00-{ID}.jsonl")),
                text,
            )
            .unwrap();
        };
        write("2026/07/14", "{}");
        write(
            "2026/07/15",
            r#"{"timestamp":"2026-07-15T08:00:00Z","type":"event_msg","payload":{"type":"token_count","rate_limits":{"primary":{"used_percent":12.5,"window_minutes":300,"resets_at":1784109600}}}}
not json
{"type":"response_item","payload":{"type":"message"}}
{"timestamp":"2026-07-15T08:10:00Z","type":"event_msg","payload":{"type":"token_count","rate_limits":{"primary":{"used_percent":100.0,"window_minutes":300,"resets_in_seconds":600},"secondary":{"used_percent":41.0,"window_minutes":10080,"resets_at":1784600000},"credits":null}}}
"#,
        );
        let path = find(home.path(), ID).unwrap();
        assert!(path.to_string_lossy().contains("2026/07/15"));
        let event = limit_event(&path).unwrap().unwrap();
        assert_eq!(
            (event.status.as_str(), event.resets_at),
            ("rejected", Some(1_784_103_600))
        );
        assert_eq!(event.reset().unwrap().as_millis(), 1_784_103_600_000);
        assert_eq!(find(home.path(), "another"), None);
        assert_eq!(find(home.path(), ""), None);
    }

    #[test]
    fn a_window_with_room_is_no_limit() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let line = r#"{"payload":{"rate_limits":{"primary":{"used_percent":99.0,"resets_at":1784109600},"secondary":null}}}"#;
        fs::write(file.path(), line).unwrap();
        let event = limit_event(file.path()).unwrap().unwrap();
        assert_eq!((event.status.as_str(), event.resets_at), ("allowed", None));
    }
}
