//! The run itself: its directory, its store, its workers and commands, and what was done to them.
//!
//! Mischief acts on it, the verdict reads it. What always holds: whoever dies is waited for, a
//! worker that is gone gets a successor in its seat, and every deed is written down.

use crate::dice::Dice;
use crate::guard::Guard;
use crate::jobs;
use crate::mischief::Temper;
use crate::processes::{self, Found, Role};
use crate::scene;
use queue_core::store::Filter;
use queue_core::store::sqlite::{OpenOptions, SqliteStore};
use queue_core::{Clock, JobId, Now, State, Store, SystemClock};
use rustix::process::Signal;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};
use std::{env, fs, thread};
use support::{Running, Stopped, TestEnv};
use tempfile::TempDir;

/// The lease of every worker: short, so that freezing one beyond it takes little time.
const LEASE: &str = "1s";
/// How long everything may take to end once nobody disturbs it any more.
const DRAIN: Duration = Duration::from_secs(90);
/// How long a worker may take to stop, and a last process to go.
const LEAVE: Duration = Duration::from_secs(20);

/// Everything of one run. Dropped in this order: the guard first.
pub(crate) struct World {
    _guard: Guard,
    pub(crate) store: SqliteStore,
    pub(crate) seats: Vec<Seat>,
    pub(crate) commands: Vec<Command>,
    pub(crate) env: TestEnv,
    _programs: TempDir,
    pub(crate) dice: Dice,
    pub(crate) temper: Temper,
    pub(crate) acknowledged: BTreeSet<JobId>,
    /// The attempts whose shim was killed, as `JOB-EPOCH`.
    pub(crate) shims_killed: HashSet<String>,
    /// What workers wrote that are gone, by name.
    pub(crate) said: Vec<(String, String)>,
    pub(crate) troubles: Vec<String>,
    deeds: Vec<(Duration, &'static str, String)>,
    counts: BTreeMap<&'static str, usize>,
    began: Instant,
}

/// The place of one worker after the other.
pub(crate) struct Seat {
    pub(crate) number: usize,
    generation: usize,
    pub(crate) worker: Option<Running>,
    pub(crate) name: String,
    pub(crate) is_asked_to_stop: bool,
    pub(crate) back_at: Instant,
}

/// A `qcli enqueue` that runs.
pub(crate) struct Command {
    running: Running,
    words: String,
    kill_at: Option<Instant>,
    is_killed: bool,
}

impl World {
    pub(crate) fn new(seed: u64, workers: usize) -> Self {
        let programs = TempDir::new().expect("the system's temporary directory can be written");
        let program = env::current_exe().expect("a program that runs has a path");
        let link = |name: &str| {
            let path = programs.path().join(name);
            symlink(&program, &path).expect("a fresh directory is empty");
            path.to_string_lossy().into_owned()
        };
        let env = TestEnv::new(&link("qcli"), &link("queue-worker"));
        let guard = Guard::start(&[env.root(), programs.path()])
            .expect("this program can be started again");
        env.file("job.sh", jobs::SCRIPT);
        fs::create_dir(env.work().join("effects")).expect("a fresh directory is empty");
        let store = SqliteStore::open(&env.db(), &OpenOptions::default());
        let (now, mut dice) = (Instant::now(), Dice::new(seed));
        Self {
            _guard: guard,
            store: store.expect("a fresh store can be made"),
            seats: (0..workers)
                .map(|number| Seat::empty(number, now))
                .collect(),
            commands: Vec::new(),
            env,
            _programs: programs,
            temper: Temper::new(&mut dice),
            dice,
            acknowledged: BTreeSet::new(),
            shims_killed: HashSet::new(),
            said: Vec::new(),
            troubles: Vec::new(),
            deeds: Vec::new(),
            counts: BTreeMap::new(),
            began: now,
        }
    }

    pub(crate) fn now(&self) -> Now {
        SystemClock::new().now()
    }

    /// Writes a deed down.
    pub(crate) fn note(&mut self, kind: &'static str, what: String) {
        *self.counts.entry(kind).or_default() += 1;
        self.deeds.push((self.began.elapsed(), kind, what));
    }

    /// How many processes were killed.
    pub(crate) fn kills(&self) -> usize {
        let kinds = self.counts.iter();
        kinds
            .filter(|(kind, _)| kind.starts_with("kill-"))
            .map(|(_, count)| count)
            .sum()
    }

    /// The deeds that were done to somebody who is asked about.
    pub(crate) fn deeds_about(&self, about: impl Fn(&str) -> bool) -> String {
        let deeds = self.deeds.iter().filter(|(_, _, what)| about(what));
        deeds
            .map(|(at, kind, what)| format!("{:>9.3} {kind} {what}\n", at.as_secs_f64()))
            .collect()
    }

    pub(crate) fn processes(&self) -> Vec<Found> {
        processes::all_of(self.env.root())
    }

    /// The jobs that have not ended.
    pub(crate) fn unfinished(&self) -> Vec<JobId> {
        self.jobs(|state| !state.is_ended())
    }

    /// The jobs in such a state.
    pub(crate) fn jobs(&self, is_wanted: impl Fn(State) -> bool) -> Vec<JobId> {
        let mut states = State::ALL.to_vec();
        states.retain(|state| is_wanted(*state));
        let filter = Filter {
            states,
            oldest_first: true,
            ..Filter::default()
        };
        self.store.ids(&filter).expect("the store can be read")
    }

    // ── Time passes ─────────────────────────────────────────────────────────────────────────

    /// Lets some time pass, and does what falls due.
    pub(crate) fn rest(&mut self) {
        let pause = self.temper.rest(&mut self.dice);
        thread::sleep(pause);
        self.look_after_all();
    }

    pub(crate) fn look_after_all(&mut self) {
        self.look_after_commands();
        for at in 0..self.seats.len() {
            self.look_after_seat(at);
        }
    }

    fn look_after_seat(&mut self, at: usize) {
        let now = Instant::now();
        let seat = &mut self.seats[at];
        if let Some(ended) = seat.worker.as_mut().and_then(Running::try_wait) {
            self.bury(at, ended);
        }
        let seat = &mut self.seats[at];
        if seat.worker.is_none() && now >= seat.back_at {
            seat.generation += 1;
            seat.name = format!("w{}.{}", seat.number, seat.generation);
            let args = ["--lease", LEASE, "-j", "3", "--name", &seat.name];
            seat.worker = Some(self.env.spawn_worker(&args));
            seat.is_asked_to_stop = false;
            let name = seat.name.clone();
            self.note("start", name);
        }
    }

    fn bury(&mut self, at: usize, ended: Stopped) {
        let back_in = self.dice.millis(0, 1_500);
        let seat = &mut self.seats[at];
        let Some(worker) = seat.worker.take() else {
            return;
        };
        seat.back_at = Instant::now() + back_in;
        let words = worker.stderr();
        // Jobs kill their worker as well: whose shim is the worker itself.
        let is_expected = match ended {
            Stopped::Exited(0) => seat.is_asked_to_stop,
            Stopped::Exited(_) => false,
            Stopped::Killed(signal) if signal == Signal::KILL.as_raw() => true,
            // Asked so early that it does not listen yet, and holds nothing.
            Stopped::Killed(signal) => {
                signal == Signal::TERM.as_raw() && seat.is_asked_to_stop && words.is_empty()
            }
        };
        let name = seat.name.clone();
        if !is_expected || words.contains("panicked") {
            let trouble = format!("worker {name} ended by itself: {ended:?}\n{words}");
            self.troubles.push(trouble);
        }
        self.said.push((name.clone(), words));
        self.note("ended", format!("{name} {ended:?}"));
    }

    // ── Commands ────────────────────────────────────────────────────────────────────────────

    /// Starts `qcli` with these words; kills it after a while, where so asked.
    pub(crate) fn command(&mut self, words: &[String], kill_after: Option<Duration>) {
        let args: Vec<&str> = words.iter().map(String::as_str).collect();
        self.commands.push(Command {
            running: self.env.spawn_qcli(&args),
            words: args.join(" "),
            kill_at: kill_after.map(|span| Instant::now() + span),
            is_killed: false,
        });
    }

    fn look_after_commands(&mut self) {
        let now = Instant::now();
        for mut command in std::mem::take(&mut self.commands) {
            match command.running.try_wait() {
                Some(ended) => self.hear(&command, ended),
                None => self.commands.push(command),
            }
        }
        self.kill_commands("kill-enqueuer", |command| {
            command.kill_at.is_some_and(|at| now >= at)
        });
    }

    /// Kills those commands that still run and are meant.
    pub(crate) fn kill_commands(
        &mut self,
        kind: &'static str,
        is_meant: impl Fn(&Command) -> bool,
    ) {
        let mut killed = Vec::new();
        for command in self.commands.iter_mut().filter(|command| is_meant(command)) {
            if !command.is_killed && command.running.try_wait().is_none() {
                command.is_killed = true;
                command.running.signal(Signal::KILL);
                killed.push(command.words.clone());
            }
        }
        for words in killed {
            self.note(kind, words);
        }
    }

    /// Takes in what a command acknowledged, also one that was killed right afterwards.
    fn hear(&mut self, command: &Command, ended: Stopped) {
        let printed = command.running.stdout();
        for line in printed.split_inclusive('\n') {
            if let Some(Ok(id)) = line.strip_suffix('\n').map(str::parse) {
                self.acknowledged.insert(JobId(id));
                self.note("acknowledged", format!("{id} {}", command.words));
            }
        }
        if ended != Stopped::Exited(0) && !command.is_killed {
            let (words, error) = (&command.words, command.running.stderr());
            self.troubles
                .push(format!("qcli {words}: {ended:?}\n{error}"));
        }
    }

    // ── The end ─────────────────────────────────────────────────────────────────────────────

    /// Lets everything come to its end, and says what did not.
    pub(crate) fn drain(&mut self) -> Vec<String> {
        let now = Instant::now();
        for seat in &mut self.seats {
            seat.back_at = now;
        }
        self.note("drain", String::new());
        self.wait(DRAIN, |world| {
            if !world.commands.is_empty() {
                return false;
            }
            let held = world.jobs(|state| state == State::Blocked);
            let _ = world.store.release(&held, &world.now());
            world.unfinished().is_empty()
        });
        let stuck: Vec<String> = self
            .unfinished()
            .into_iter()
            .map(|job| {
                let causes = self.store.why(job, &self.now());
                scene::of(self, job, &format!("it does not end: {causes:?}"))
            })
            .collect();
        self.stop_workers();
        self.wait(LEAVE, |world| world.processes().is_empty());
        let left: Vec<String> = self
            .processes()
            .into_iter()
            .map(|process| {
                let words = format!("a process is left: {:?} {}", process.role, process.words);
                match process.role {
                    Role::Job(attempt) => match attempt.split('-').next().map(str::parse) {
                        Some(Ok(job)) => scene::of(self, JobId(job), &words),
                        _ => words,
                    },
                    _ => words,
                }
            })
            .collect();
        stuck.into_iter().chain(left).collect()
    }

    fn stop_workers(&mut self) {
        for seat in &mut self.seats {
            seat.is_asked_to_stop = true;
            // Never again in this run.
            seat.back_at = Instant::now() + Duration::from_secs(1_000_000);
            if let Some(worker) = seat.worker.as_mut()
                && worker.try_wait().is_none()
            {
                worker.signal(Signal::TERM);
            }
        }
        self.wait(LEAVE, |world| {
            for seat in &mut world.seats {
                seat.back_at = Instant::now() + Duration::from_secs(1_000_000);
            }
            world.seats.iter().all(|seat| seat.worker.is_none())
        });
        for seat in &self.seats {
            if let Some(worker) = &seat.worker {
                let trouble = format!("worker {} does not stop\n{}", seat.name, worker.stderr());
                self.troubles.push(trouble);
            }
        }
    }

    /// Waits until `is_so`, for so long at the most, and looks after all meanwhile.
    fn wait(&mut self, at_most: Duration, mut is_so: impl FnMut(&mut Self) -> bool) {
        let until = Instant::now() + at_most;
        while !is_so(self) && Instant::now() < until {
            thread::sleep(Duration::from_millis(50));
            self.look_after_all();
        }
    }

    /// What was done, and to how many.
    pub(crate) fn summary(&self) -> String {
        let mut words: Vec<String> = self
            .counts
            .iter()
            .map(|(kind, n)| format!("{n} {kind}"))
            .collect();
        let ended = self.store.stats(None, queue_core::Timestamp::EPOCH);
        if let Ok(stats) = ended {
            words.push(format!("jobs {:?}", stats.ended));
            words.push(format!("classes {:?}", stats.classes));
        }
        let adopted = self
            .said
            .iter()
            .map(|(_, said)| said.matches("goes on: adopted").count());
        words.push(format!("{} adoptions", adopted.sum::<usize>()));
        format!(
            "{:.1} s, {} kills: {}",
            self.began.elapsed().as_secs_f64(),
            self.kills(),
            words.join(", ")
        )
    }
}

impl Seat {
    fn empty(number: usize, back_at: Instant) -> Self {
        Self {
            number,
            generation: 0,
            worker: None,
            name: String::new(),
            is_asked_to_stop: false,
            back_at,
        }
    }
}
