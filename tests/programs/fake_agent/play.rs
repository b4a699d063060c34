//! Performs the steps of a scenario.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

use anyhow::{Context, bail, ensure};
use rustix::process::{Signal, getpid, kill_process};
use tokio::signal::unix::{SignalKind, signal};

use crate::account::{self, Start};
use crate::caller::{Caller, append, write_line};
use crate::make_room;
use crate::scenario::{Kind, OnSignal, Scenario, Step};
use crate::sessions::Session;
use crate::template::filled;

/// How long a step waits for a file of the test's.
const PATIENCE: Duration = Duration::from_secs(120);

/// One performance.
pub(crate) struct Play<'a> {
    caller: &'a Caller,
    scenario: &'a Scenario,
    session: &'a Session,
    start: Start,
    values: BTreeMap<&'static str, String>,
    cost: f64,
}

/// Whether the performance goes on, or ends with a code.
type Next = Option<u8>;

impl<'a> Play<'a> {
    pub(crate) fn new(
        caller: &'a Caller,
        scenario: &'a Scenario,
        session: &'a Session,
        start: Start,
        stdin: String,
    ) -> Self {
        let prompt = match stdin.is_empty() {
            true => caller.args.last().cloned().unwrap_or_default(),
            false => stdin,
        };
        let cwd = env::current_dir().unwrap_or_default().display().to_string();
        let model = caller
            .flag(&["--model", "-m"])
            .unwrap_or("fake-1")
            .to_owned();
        let values = BTreeMap::from([
            ("session", session.id().to_owned()),
            ("cwd", cwd),
            ("model", model),
            ("prompt", prompt),
            ("job", caller.job()),
            ("run", start.of_job.to_string()),
            ("cost", "0".to_owned()),
        ]);
        Self {
            caller,
            scenario,
            session,
            start,
            values,
            cost: 0.0,
        }
    }

    /// Performs everything; the exit code.
    pub(crate) fn perform(mut self) -> anyhow::Result<u8> {
        if let Session::Refused { says, exit, .. } = self.session {
            for line in says {
                write_line(&mut io::stderr(), line)?;
            }
            return Ok(*exit);
        }
        self.heed_signals()?;
        if let Some(code) = self.meet_limit()? {
            return Ok(code);
        }
        let run = self.scenario.run(self.start.of_job)?;
        match self.steps(&run.steps)? {
            Some(code) => Ok(code),
            None => Ok(run.exit),
        }
    }

    fn steps(&mut self, steps: &[Step]) -> anyhow::Result<Next> {
        for step in steps {
            if let Some(code) = self.step(step)? {
                return Ok(Some(code));
            }
        }
        Ok(None)
    }

    fn meet_limit(&mut self) -> anyhow::Result<Next> {
        let limit = self.scenario.limit.as_ref();
        let until = account::limited_until(&self.caller.state, limit, self.start)?;
        let (Some(until), Some(limit)) = (until, limit) else {
            return Ok(None);
        };
        // Rounded up: who waits for it does not come too early.
        self.values.insert(
            "limit",
            until.div_euclid(1000).saturating_add(1).to_string(),
        );
        self.steps(&limit.steps)?;
        Ok(Some(limit.exit))
    }

    fn step(&mut self, step: &Step) -> anyhow::Result<Next> {
        match step {
            Step::Print(line) => write_line(&mut io::stdout(), &self.filled(line)?)?,
            Step::Part(text) => write_raw(self.filled(text)?.as_bytes())?,
            Step::Hex(digits) => write_raw(&bytes_of(digits)?)?,
            Step::Stderr(line) => write_line(&mut io::stderr(), &self.filled(line)?)?,
            Step::Long { line, bytes } => self.long(line, *bytes)?,
            Step::SleepMs(span) => thread::sleep(Duration::from_millis(*span)),
            Step::Await(name) => await_file(&self.caller.state.join(name))?,
            Step::Hang => loop {
                thread::park();
            },
            Step::WorkMs(span) => work(Duration::from_millis(*span)),
            Step::Write { path, text } => write_file(&self.filled(path)?, &self.filled(text)?)?,
            Step::Grow {
                path,
                every_ms,
                times,
            } => {
                let path = self.filled(path)?;
                for _ in 0..*times {
                    make_room(Path::new(&path))?;
                    append(Path::new(&path), "{\"type\":\"assistant\"}")?;
                    thread::sleep(Duration::from_millis(*every_ms));
                }
            }
            Step::Commit {
                path,
                text,
                message,
            } => {
                let path = self.filled(path)?;
                write_file(&path, &self.filled(text)?)?;
                commit(&path, &self.filled(message)?)?;
            }
            Step::Cost(cost) => self.book(*cost)?,
            Step::Spawn { kind, seconds, pid } => self.spawn(*kind, *seconds, pid)?,
            Step::MeetLimit => return self.meet_limit(),
            Step::PrintEnv => {
                for (name, value) in env::vars() {
                    write_line(&mut io::stdout(), &format!("{name}={value}"))?;
                }
            }
            Step::Kill(name) => {
                kill_process(getpid(), signal_of(name)?)?;
                // It may take a moment to arrive.
                thread::sleep(PATIENCE);
            }
        }
        Ok(None)
    }

    fn filled(&self, text: &str) -> anyhow::Result<String> {
        filled(text, &self.values)
    }

    fn long(&mut self, line: &str, bytes: usize) -> anyhow::Result<()> {
        self.values.insert("fill", "x".repeat(bytes));
        let line = self.filled(line)?;
        self.values.remove("fill");
        Ok(write_line(&mut io::stdout(), &line)?)
    }

    fn book(&mut self, cost: f64) -> anyhow::Result<()> {
        self.cost += cost;
        self.values.insert("cost", format!("{:.6}", self.cost));
        let (state, session) = (&self.caller.state, self.session.id());
        Ok(account::book(state, session, &self.caller.job(), cost)?)
    }

    fn spawn(&self, kind: Kind, seconds: u64, pid: &str) -> anyhow::Result<()> {
        let mut command = Command::new(env::current_exe()?);
        command
            .args(["--sleep", &seconds.to_string()])
            .stdin(Stdio::null());
        match kind {
            Kind::Holder => {}
            Kind::Quiet => {
                command.stdout(Stdio::null()).stderr(Stdio::null());
            }
            Kind::Setsid => {
                command.arg("--setsid");
            }
        }
        let child = command.spawn()?;
        Ok(fs::write(
            self.caller.state.join(pid),
            child.id().to_string(),
        )?)
    }

    /// Listens to the signals that the scenario names, on a thread of its own.
    fn heed_signals(&self) -> anyhow::Result<()> {
        let signals = &self.scenario.signals;
        for (kind, on) in [
            (SignalKind::interrupt(), &signals.int),
            (SignalKind::terminate(), &signals.term),
        ] {
            let Some(on) = on.clone() else {
                continue;
            };
            let line = match &on {
                OnSignal::Say { line, .. } => self.filled(line)?,
                OnSignal::Ignore | OnSignal::Exit(_) => String::new(),
            };
            heed(kind, on, line)?;
        }
        Ok(())
    }
}

/// Does what a scenario says on a signal; it is heeded when this returns.
fn heed(kind: SignalKind, on: OnSignal, line: String) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let mut signals = {
        let _guard = runtime.enter();
        signal(kind)?
    };
    thread::spawn(move || {
        while runtime.block_on(signals.recv()).is_some() {
            match on {
                OnSignal::Ignore => {}
                OnSignal::Exit(code) => std::process::exit(code.into()),
                OnSignal::Say { exit, .. } => {
                    let _ = write_line(&mut io::stdout(), &line);
                    std::process::exit(exit.into());
                }
            }
        }
    });
    Ok(())
}

fn write_raw(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout();
    out.write_all(bytes)?;
    out.flush()
}

fn bytes_of(digits: &str) -> anyhow::Result<Vec<u8>> {
    let digits: Vec<char> = digits.chars().filter(|c| !c.is_whitespace()).collect();
    ensure!(digits.len().is_multiple_of(2), "a byte has two digits");
    let pairs = digits.chunks(2).map(|pair| pair.iter().collect::<String>());
    pairs
        .map(|pair| Ok(u8::from_str_radix(&pair, 16)?))
        .collect()
}

fn await_file(path: &Path) -> anyhow::Result<()> {
    let start = Instant::now();
    while !path.exists() {
        ensure!(
            start.elapsed() < PATIENCE,
            "{} did not come",
            path.display()
        );
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Uses the processor without a word.
fn work(span: Duration) {
    let start = Instant::now();
    let mut number = 1_u64;
    while start.elapsed() < span {
        for _ in 0..10_000 {
            number = std::hint::black_box(number.wrapping_mul(31).wrapping_add(7));
        }
    }
}

fn write_file(path: &str, text: &str) -> io::Result<()> {
    make_room(Path::new(path))?;
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .open(path)?;
    file.write_all(text.as_bytes())
}

fn commit(path: &str, message: &str) -> anyhow::Result<()> {
    let identity = [
        "-c",
        "user.name=Fake",
        "-c",
        "user.email=fake@example.org",
        "-c",
        "commit.gpgsign=false",
    ];
    for args in [&["add", "--", path][..], &["commit", "-q", "-m", message]] {
        let mut git = Command::new("git");
        git.args(identity)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let status = git.status().context("git cannot be started")?;
        ensure!(status.success(), "git {} ended with {status}", args[0]);
    }
    Ok(())
}

fn signal_of(name: &str) -> anyhow::Result<Signal> {
    Ok(match name {
        "KILL" => Signal::KILL,
        "TERM" => Signal::TERM,
        "SEGV" => Signal::SEGV,
        _ => bail!("no signal `{name}` is known here"),
    })
}
