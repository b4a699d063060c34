//! The written form of a `Spec`.
//!
//! Used by serde only. What always holds: text that is UTF-8 is written as a string, so that a
//! person can read the file; anything else as an array of its bytes; times are whole milliseconds.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use queue_core::job::OnLeftover;
use serde::{Deserialize, Serialize};

use super::spec::{Spec, StopSignal};
use crate::cgroup::Plan;

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Text {
    Utf8(String),
    Bytes(Vec<u8>),
}

impl From<OsString> for Text {
    fn from(text: OsString) -> Self {
        match text.into_string() {
            Ok(text) => Self::Utf8(text),
            Err(bytes) => Self::Bytes(bytes.into_vec()),
        }
    }
}

impl From<PathBuf> for Text {
    fn from(path: PathBuf) -> Self {
        path.into_os_string().into()
    }
}

impl From<Text> for OsString {
    fn from(text: Text) -> Self {
        match text {
            Text::Utf8(text) => text.into(),
            Text::Bytes(bytes) => OsString::from_vec(bytes),
        }
    }
}

impl From<Text> for PathBuf {
    fn from(text: Text) -> Self {
        OsString::from(text).into()
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Wire {
    job: i64,
    epoch: i64,
    attempt: u32,
    program: Text,
    args: Vec<Text>,
    env: Vec<(Text, Text)>,
    cwd: Text,
    stdin: Option<Text>,
    log: Text,
    log_cap: u64,
    timeout_ms: Option<u64>,
    idle_timeout_ms: Option<u64>,
    grace_ms: u64,
    stop_signal: StopSignal,
    on_leftover: OnLeftover,
    drain_ms: u64,
    #[serde(default)]
    remarks: Vec<String>,
    group: Option<Plan>,
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl From<Spec> for Wire {
    fn from(spec: Spec) -> Self {
        Self {
            job: spec.job,
            epoch: spec.epoch,
            attempt: spec.attempt,
            program: spec.program.into(),
            args: spec.args.into_iter().map(Into::into).collect(),
            env: spec
                .env
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            cwd: spec.cwd.into(),
            stdin: spec.stdin.map(Into::into),
            log: spec.log.into(),
            log_cap: spec.log_cap,
            timeout_ms: spec.timeout.map(milliseconds),
            idle_timeout_ms: spec.idle_timeout.map(milliseconds),
            grace_ms: milliseconds(spec.grace),
            stop_signal: spec.stop_signal,
            on_leftover: spec.on_leftover,
            drain_ms: milliseconds(spec.drain),
            remarks: spec.remarks,
            group: spec.group,
        }
    }
}

impl From<Wire> for Spec {
    fn from(wire: Wire) -> Self {
        Self {
            job: wire.job,
            epoch: wire.epoch,
            attempt: wire.attempt,
            program: wire.program.into(),
            args: wire.args.into_iter().map(Into::into).collect(),
            env: wire
                .env
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            cwd: wire.cwd.into(),
            stdin: wire.stdin.map(Into::into),
            log: wire.log.into(),
            log_cap: wire.log_cap,
            timeout: wire.timeout_ms.map(Duration::from_millis),
            idle_timeout: wire.idle_timeout_ms.map(Duration::from_millis),
            grace: Duration::from_millis(wire.grace_ms),
            stop_signal: wire.stop_signal,
            on_leftover: wire.on_leftover,
            drain: Duration::from_millis(wire.drain_ms),
            remarks: wire.remarks,
            group: wire.group,
        }
    }
}
