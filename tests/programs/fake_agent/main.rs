//! An agent that does what a scenario says: the test double of claude, codex, gemini and the others.
//!
//! It acts as the program whose name it is started by (a link that
//! [`support::FakeAgent`](../support/struct.FakeAgent.html) makes), finds its scenario beside that
//! link, and keeps what agents share (sessions, the account's limit, the ledger of costs) in the
//! folder `state` there. What always holds: every start is in `state/calls.jsonl` with its
//! arguments, environment and standard input before anything else happens.

mod account;
mod caller;
mod play;
mod scenario;
mod sessions;
mod template;

use std::io::{self, Read};
use std::path::Path;
use std::process::ExitCode;
use std::{env, thread};

use caller::Caller;
use scenario::Scenario;
use serde_json::json;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().collect();
    if let Some(seconds) = sleeper(&args) {
        thread::sleep(std::time::Duration::from_secs(seconds));
        return ExitCode::SUCCESS;
    }
    match run(&args) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let _ = caller::write_line(&mut io::stderr(), &format!("fake-agent: {error:#}"));
            // No code of any agent, so that a broken scenario is not taken for one of its endings.
            ExitCode::from(99)
        }
    }
}

/// A grandchild: `fake-agent --sleep SECONDS [--setsid]`.
fn sleeper(args: &[String]) -> Option<u64> {
    let seconds = args.get(2).filter(|_| args[1] == "--sleep")?;
    if args.iter().any(|arg| arg == "--setsid") {
        let _ = rustix::process::setsid();
    }
    seconds.parse().ok()
}

fn run(args: &[String]) -> anyhow::Result<u8> {
    let caller = Caller::new(args)?;
    let scenario = Scenario::read(&caller.scenario_file())?;
    let stdin = match scenario.ignores_stdin {
        true => String::new(),
        false => read_stdin()?,
    };
    let start = account::next_start(&caller.state, &caller.job())?;
    let session = sessions::open(&caller);
    let mut call = json!({
        "event": "start", "pid": std::process::id(), "at": caller::now_ms(), "as": caller.name, "start": start.of_all,
        "run": start.of_job, "argv": args, "env": env::vars().collect::<std::collections::BTreeMap<_, _>>(),
        "stdin": stdin, "cwd": env::current_dir().unwrap_or_default(),
    });
    call["session"] = json!(session.id());
    call["resumed"] = json!(session.is_resumed());
    call["overlaps"] = json!(session.overlaps());
    caller.note(&call)?;
    let code = play::Play::new(&caller, &scenario, &session, start, stdin).perform();
    let code = code.inspect_err(|error| {
        let _ = caller.note(
            &json!({ "event": "broken", "pid": std::process::id(), "error": format!("{error:#}") }),
        );
    })?;
    caller.note(&json!({ "event": "end", "pid": std::process::id(), "at": caller::now_ms(), "exit": code, "session": session.id() }))?;
    Ok(code)
}

/// Reads standard input to its end, as agents do; an open one that never ends makes it wait.
fn read_stdin() -> io::Result<String> {
    if rustix::termios::isatty(io::stdin()) {
        return Ok(String::new());
    }
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Creates the folders above a file.
fn make_room(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), std::fs::create_dir_all)
}
