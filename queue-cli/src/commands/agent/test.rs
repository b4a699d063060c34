//! `qcli agent test`: whether an agent can be used here, by what costs nothing.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use queue_core::raw_text::RawText;
use queue_worker::agent::adapter::Adapter;
use queue_worker::process::{SpawnProblem, resolve_program};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::config::Surroundings;
use crate::context::Context;
use crate::environment::{self, Widened};
use crate::error::CliError;
use crate::exit_code::ExitCode;

/// How long a version or a login may take to be told.
const PATIENCE: Duration = Duration::from_secs(20);

/// What was found.
struct Found {
    program: Result<PathBuf, String>,
    version: Option<Result<String, String>>,
    login: Option<Result<(), String>>,
    remarks: Vec<String>,
}

/// Tests the agent and says what is missing.
pub(super) fn run(context: &mut Context, name: &str) -> Result<ExitCode, CliError> {
    let adapter = context.agents.get(name)?.clone();
    let found = look(&adapter, &context.around);
    let is_usable = found.program.is_ok()
        && !matches!(found.version, Some(Err(_)))
        && !matches!(found.login, Some(Err(_)));
    if context.out.is_json() {
        context.out.json(&json!({
            "name": name,
            "usable": is_usable,
            "program": found.program.as_ref().ok(),
            "version": found.version.as_ref().and_then(|version| version.as_ref().ok()),
            "logged_in": found.login.as_ref().map(Result::is_ok),
            "problems": problems(&found),
            "remarks": found.remarks,
        }))?;
    } else {
        tell(context, name, &found)?;
    }
    Ok(if is_usable {
        ExitCode::Ok
    } else {
        ExitCode::JobFailed
    })
}

fn problems(found: &Found) -> Vec<&String> {
    let version = found.version.as_ref().and_then(|one| one.as_ref().err());
    let login = found.login.as_ref().and_then(|one| one.as_ref().err());
    let program = found.program.as_ref().err();
    [program, version, login].into_iter().flatten().collect()
}

fn tell(context: &mut Context, name: &str, found: &Found) -> Result<(), CliError> {
    let out = &mut context.out;
    match &found.program {
        Ok(path) => out.line(format!("ok       program  {}", path.display()))?,
        Err(why) => out.line(format!("missing  program  {why}"))?,
    }
    match &found.version {
        None => {}
        Some(Ok(version)) => out.line(format!("ok       version  {version}"))?,
        Some(Err(why)) => out.line(format!("missing  version  {why}"))?,
    }
    match &found.login {
        None if found.program.is_ok() => {
            out.line(format!("unknown  login    {name} has no way to ask"))?;
        }
        None => {}
        Some(Ok(())) => out.line("ok       login")?,
        Some(Err(why)) => out.line(format!("missing  login    {why}"))?,
    }
    for remark in &found.remarks {
        out.line(format!("note     {remark}"))?;
    }
    Ok(())
}

/// The program of an agent, as a job that is enqueued here would find it.
pub(super) fn find_program(
    adapter: &Adapter,
    around: &Surroundings,
) -> Result<PathBuf, SpawnProblem> {
    let path = around.variable("PATH");
    resolve_program(adapter.program.as_ref(), path, &around.cwd)
}

fn look(adapter: &Adapter, around: &Surroundings) -> Found {
    let program = find_program(adapter, around).map_err(|problem| problem.to_string());
    let (mut version, mut login) = (None, None);
    if let Ok(program) = &program {
        let ask = |args: &[String]| ask(program, args, adapter, around);
        version = (!adapter.version.is_empty())
            .then(|| ask(&adapter.version).map(|output| first_line(&output)));
        login = (!adapter.login.is_empty()).then(|| ask(&adapter.login).map(drop));
    }
    let remarks = adapter.billed_by_key.iter();
    let remarks = remarks.filter(|variable| around.variable(variable).is_some());
    let mut remarks: Vec<String> = remarks
        .map(|variable| format!("{variable} is set: that API account is billed, not a plan"))
        .collect();
    let hangs = adapter.hangs.iter();
    remarks.extend(hangs.map(|what| format!("known to hang: {what}")));
    Found {
        program,
        version,
        login,
        remarks,
    }
}

fn first_line(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    line.unwrap_or("(it says nothing)").to_owned()
}

/// Runs the program as a job would, and waits for a while.
fn ask(
    program: &Path,
    args: &[String],
    adapter: &Adapter,
    around: &Surroundings,
) -> Result<Output, String> {
    let line = format!("{} {}", adapter.program, args.join(" "));
    let variables = environment::capture(&around.variables, &Widened::default());
    let variables = variables
        .iter()
        .filter(|(name, _)| !adapter.strip.contains(name))
        .map(|(name, value)| (name, RawText::as_os_str(value)));
    let child = Command::new(program)
        .args(args)
        .env_clear()
        .envs(variables)
        .current_dir(&around.cwd)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("`{line}` cannot be run: {error}"))?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let (done, waits) = mpsc::channel();
    let waiter = thread::spawn(move || {
        // Nobody listens any more: it took too long.
        let _ = done.send(child.wait_with_output());
    });
    match waits.recv_timeout(PATIENCE) {
        Ok(Ok(output)) if output.status.success() => Ok(output),
        Ok(Ok(output)) => Err(refusal(&line, &output)),
        Ok(Err(error)) => Err(format!("`{line}` cannot be waited for: {error}")),
        Err(_) => {
            if let Some(pid) = pid.filter(|_| !waiter.is_finished()) {
                // Not reaped while the waiter waits, so the number is still its own.
                let _ = kill_process(pid, Signal::KILL);
            }
            Err(format!(
                "`{line}` did not answer within {} s",
                PATIENCE.as_secs()
            ))
        }
    }
}

fn refusal(line: &str, output: &Output) -> String {
    let both = [&output.stderr, &output.stdout].map(|text| String::from_utf8_lossy(text));
    let mut said = both.iter().flat_map(|text| text.lines()).map(str::trim);
    let said = said
        .find(|line| !line.is_empty())
        .unwrap_or("it says nothing");
    format!("`{line}` ended with {}: {said}", output.status)
}
