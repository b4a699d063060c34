//! One job, two workers and the shims of its attempts, as small as the rules of DESIGN allow.
//!
//! The search asks a state for its successors and for what is wrong with it. What always holds: a
//! step is one that the real parts take at once (one transaction, one system call), so a worker that
//! takes no step for a while is one that stands still.

/// The most attempts. The last one ends the job, whatever becomes of it.
const EPOCHS: usize = 3;
/// How many processes are killed at the most.
const KILLS: u8 = 2;

/// The rules, or one mistake in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rules {
    /// As they are.
    Right,
    /// A worker writes for any attempt, not only for its own.
    NoEpochFence,
    /// A worker writes for an attempt that another one has adopted.
    NoHolderFence,
    /// An attempt is given up and tried again before what is left of it is ended.
    RetryBeforeSweep,
    /// An end counts whenever the job is in progress.
    CompletionByStateOnly,
    /// A claimed job is started however much time went by.
    StartWithoutAsking,
    /// It is asked whether the lease still runs, and the attempt's lock taken afterwards.
    AskBeforeTheLock,
    /// The worker lets go of an attempt's lock as soon as it has sent it to the shim.
    LockSentAway,
    /// A living shim is not looked for.
    NoAdoption,
    /// Nobody takes over what a dead worker held.
    NoTakeOver,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum State {
    Pending,
    InProgress,
    Ended,
}

/// The job's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Row {
    state: State,
    epoch: usize,
    owner: usize,
    is_expired: bool,
    is_cancelled: bool,
}

/// What a worker holds. Of the holder's number only whether it still is the row's matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Fence {
    epoch: usize,
    is_holder: bool,
}

/// How an attempt ended, as its worker is about to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum How {
    Done,
    Died,
    HandedBack,
}

/// How far a worker is with what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Phase {
    Claimed,
    Locked,
    /// It has asked whether its lease runs, and it does.
    Asked,
    /// It has sent the lock to a shim.
    Given,
    Following,
    Adopted,
    Sweeping,
    Over(How),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Task {
    fence: Fence,
    phase: Phase,
    /// By its own clock the lease still runs.
    is_held: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Worker {
    is_alive: bool,
    task: Option<Task>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Lock {
    Free,
    Worker(usize),
    /// On its way to a shim that waits, and so held; with the copy of the worker that sent it.
    Line(Option<usize>),
    Shim,
}

/// The processes and the files of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Tree {
    lock: Lock,
    /// A shim has said that it has the attempt.
    is_taken: bool,
    runs: bool,
    has_status: bool,
}

impl Tree {
    /// A worker dies, or drops its lock: what is on its way to a shim stays held.
    fn let_go(&mut self, at: usize) {
        match self.lock {
            Lock::Worker(worker) if worker == at => self.lock = Lock::Free,
            Lock::Line(Some(worker)) if worker == at => self.lock = Lock::Line(None),
            _ => {}
        }
    }
}

/// Everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct World {
    row: Row,
    workers: [Worker; 2],
    /// By epoch; the first one is none.
    trees: [Tree; EPOCHS + 1],
    kills: u8,
    /// An end was taken that its attempt had no right to tell.
    is_forged: bool,
}

/// One step.
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) to: World,
    /// Nobody may rely on it.
    pub(crate) is_mishap: bool,
}

impl World {
    pub(crate) fn new() -> Self {
        let worker = Worker {
            is_alive: true,
            task: None,
        };
        let tree = Tree {
            lock: Lock::Free,
            is_taken: false,
            runs: false,
            has_status: false,
        };
        Self {
            row: Row {
                state: State::Pending,
                epoch: 0,
                owner: 0,
                is_expired: false,
                is_cancelled: false,
            },
            workers: [worker; 2],
            trees: [tree; EPOCHS + 1],
            kills: 0,
            is_forged: false,
        }
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.row.state == State::Ended
    }

    /// What must never be.
    pub(crate) fn violation(&self, rules: Rules) -> Option<&'static str> {
        if self.trees.iter().filter(|tree| tree.runs).count() > 1 {
            return Some("two attempts run at once");
        }
        let tasks = self.workers.iter().filter_map(|worker| worker.task);
        if tasks
            .filter(|task| self.may_write(rules, task.fence))
            .count()
            > 1
        {
            return Some("two workers can both write");
        }
        if self.is_forged {
            return Some("an end counts that was not the attempt's");
        }
        let is_left = self.is_ended() && self.trees.iter().any(|tree| tree.runs);
        is_left.then_some("the job has ended and its processes run")
    }

    fn may_write(&self, rules: Rules, fence: Fence) -> bool {
        let is_epoch = fence.epoch == self.row.epoch;
        let is_holder = fence.is_holder;
        self.row.state == State::InProgress
            && match rules {
                Rules::NoEpochFence => true,
                Rules::NoHolderFence => is_epoch,
                _ => is_epoch && is_holder,
            }
    }

    // ── Steps ───────────────────────────────────────────────────────────────────────────────

    pub(crate) fn steps(&self, rules: Rules) -> Vec<Step> {
        let mut steps = Vec::new();
        self.mishaps(&mut steps);
        self.steps_of_the_job(&mut steps);
        for at in 0..self.workers.len() {
            let Worker { is_alive, task } = self.workers[at];
            match task {
                _ if !is_alive => {
                    self.step(&mut steps, format!("worker {at} comes back"), |world| {
                        world.workers[at].is_alive = true;
                    });
                }
                None => self.steps_of_idle(rules, at, &mut steps),
                Some(task) => self.steps_of_busy(rules, at, task, &mut steps),
            }
        }
        steps
    }

    fn step(&self, steps: &mut Vec<Step>, name: String, change: impl FnOnce(&mut Self)) {
        let mut to = *self;
        change(&mut to);
        let is_mishap = false;
        steps.push(Step {
            name,
            to,
            is_mishap,
        });
    }

    fn mishap(&self, steps: &mut Vec<Step>, name: String, change: impl FnOnce(&mut Self)) {
        self.step(steps, name, change);
        if let Some(step) = steps.last_mut() {
            step.is_mishap = true;
        }
    }

    /// Kills and cancels: they happen, and nothing may depend on them.
    fn mishaps(&self, steps: &mut Vec<Step>) {
        if !self.is_ended() && !self.row.is_cancelled {
            self.mishap(steps, "cancel".to_owned(), |world| match world.row.state {
                State::Pending => world.row.state = State::Ended,
                _ => world.row.is_cancelled = true,
            });
        }
        if self.kills == KILLS {
            return;
        }
        for at in (0..self.workers.len()).filter(|at| self.workers[*at].is_alive) {
            self.mishap(steps, format!("kill worker {at}"), |world| {
                world.kills += 1;
                world.workers[at] = Worker {
                    is_alive: false,
                    task: None,
                };
                for tree in &mut world.trees {
                    tree.let_go(at);
                }
            });
        }
        for epoch in (1..=EPOCHS).filter(|epoch| self.trees[*epoch].lock == Lock::Shim) {
            self.mishap(steps, format!("kill shim {epoch}"), |world| {
                world.kills += 1;
                world.trees[epoch].lock = Lock::Free;
            });
        }
        for epoch in 1..=EPOCHS {
            if let Lock::Line(copy) = self.trees[epoch].lock {
                self.mishap(
                    steps,
                    format!("kill the shim that {epoch} goes to"),
                    |world| {
                        world.kills += 1;
                        world.trees[epoch].lock = copy.map_or(Lock::Free, Lock::Worker);
                    },
                );
            }
        }
    }

    /// Time, and what jobs and shims do by themselves.
    fn steps_of_the_job(&self, steps: &mut Vec<Step>) {
        if self.row.state == State::InProgress && !self.row.is_expired {
            self.step(steps, "the lease runs out".to_owned(), |world| {
                world.row.is_expired = true;
                for task in world
                    .workers
                    .iter_mut()
                    .filter_map(|worker| worker.task.as_mut())
                {
                    task.is_held &= !task.fence.is_holder;
                }
            });
        }
        for epoch in (1..=EPOCHS).filter(|epoch| self.trees[*epoch].lock == Lock::Shim) {
            self.step(steps, format!("job {epoch} ends under its shim"), |world| {
                world.end_by_shim(epoch);
            });
        }
        for epoch in (1..=EPOCHS).filter(|epoch| matches!(self.trees[*epoch].lock, Lock::Line(_))) {
            self.step(steps, format!("a shim takes {epoch}"), |world| {
                world.trees[epoch].lock = Lock::Shim;
                world.trees[epoch].is_taken = true;
                world.trees[epoch].runs = true;
            });
        }
    }

    fn steps_of_idle(&self, rules: Rules, at: usize, steps: &mut Vec<Step>) {
        let row = self.row;
        if row.state == State::Pending {
            self.step(steps, format!("worker {at} claims"), |world| {
                world.row.state = State::InProgress;
                world.row.epoch += 1;
                world.give_lease(at, Phase::Claimed);
            });
        }
        let is_free = row.is_expired || !self.workers[row.owner].is_alive;
        if row.state == State::InProgress && is_free && rules != Rules::NoTakeOver {
            self.step(steps, format!("worker {at} takes over"), |world| {
                world.give_lease(at, Phase::Adopted);
                if rules == Rules::RetryBeforeSweep && world.trees[row.epoch].lock == Lock::Free {
                    world.retry();
                }
            });
        }
    }

    fn give_lease(&mut self, at: usize, phase: Phase) {
        self.row.owner = at;
        self.row.is_expired = false;
        let tasks = self.workers.iter_mut();
        for task in tasks.filter_map(|worker| worker.task.as_mut()) {
            task.fence.is_holder = false;
        }
        let fence = Fence {
            epoch: self.row.epoch,
            is_holder: true,
        };
        self.workers[at].task = Some(Task {
            fence,
            phase,
            is_held: true,
        });
    }

    /// What comes after an attempt that did not end the job.
    fn retry(&mut self) {
        let is_over = self.row.is_cancelled || self.row.epoch == EPOCHS;
        self.row.state = if is_over {
            State::Ended
        } else {
            State::Pending
        };
    }

    fn steps_of_busy(&self, rules: Rules, at: usize, task: Task, steps: &mut Vec<Step>) {
        let (epoch, phase) = (task.fence.epoch, task.phase);
        let enter = |phase| {
            move |world: &mut Self| {
                world.workers[at].task = Some(Task { phase, ..task });
            }
        };
        if !matches!(phase, Phase::Over(_)) {
            self.heartbeat(rules, at, task, steps);
        }
        let tree = self.trees[epoch];
        match phase {
            Phase::Claimed | Phase::Locked => self.steps_to_start(rules, at, task, steps),
            Phase::Asked | Phase::Given => self.steps_to_hand_over(rules, at, task, steps),
            Phase::Following if tree.lock == Lock::Free => {
                let next = if tree.has_status {
                    Phase::Over(How::Done)
                } else {
                    Phase::Sweeping
                };
                self.step(
                    steps,
                    format!("worker {at} sees the end of {epoch}"),
                    enter(next),
                );
            }
            Phase::Following => {}
            Phase::Adopted => {
                let is_alive = tree.lock != Lock::Free && rules != Rules::NoAdoption;
                let next = match tree.has_status {
                    _ if is_alive => Phase::Following,
                    true => Phase::Over(How::Done),
                    // The mistake: what it took over counts as dead, whatever runs.
                    false if rules == Rules::NoAdoption => Phase::Over(How::Died),
                    false => Phase::Sweeping,
                };
                self.step(steps, format!("worker {at} looks at {epoch}"), enter(next));
            }
            Phase::Sweeping => self.step(steps, format!("worker {at} sweeps {epoch}"), |world| {
                world.trees[epoch].runs = false;
                enter(Phase::Over(How::Died))(world);
            }),
            Phase::Over(how) => {
                self.step(steps, format!("worker {at} tells of {epoch}"), |world| {
                    world.workers[at].task = None;
                    world.take_outcome(rules, task.fence, how);
                });
            }
        }
    }

    /// Sends the lock to a shim, and hears whether that has it.
    fn steps_to_hand_over(&self, rules: Rules, at: usize, task: Task, steps: &mut Vec<Step>) {
        let epoch = task.fence.epoch;
        let enter = |phase| {
            move |world: &mut Self| {
                world.workers[at].task = Some(Task { phase, ..task });
            }
        };
        let tree = self.trees[epoch];
        if task.phase == Phase::Asked {
            self.step(steps, format!("worker {at} hands over {epoch}"), |world| {
                let copy = (rules != Rules::LockSentAway).then_some(at);
                world.trees[epoch].lock = Lock::Line(copy);
                enter(Phase::Given)(world);
            });
        } else if tree.is_taken {
            let name = format!("worker {at} hears that {epoch} is taken");
            self.step(steps, name, enter(Phase::Following));
        } else if !matches!(tree.lock, Lock::Line(_)) {
            let name = format!("worker {at} hears that the shim is gone");
            self.step(steps, name, |world| {
                if rules == Rules::LockSentAway {
                    // The mistake: it has no lock to ask under, and takes it anew.
                    world.trees[epoch].lock = Lock::Worker(at);
                    enter(Phase::Asked)(world);
                } else {
                    // It holds the lock as before, and asks again.
                    enter(Phase::Locked)(world);
                }
            });
        }
    }

    /// Lock, ask, start; or hand back what may be somebody else's by now.
    fn steps_to_start(&self, rules: Rules, at: usize, task: Task, steps: &mut Vec<Step>) {
        let epoch = task.fence.epoch;
        let enter = |world: &mut Self, phase| world.workers[at].task = Some(Task { phase, ..task });
        let ask = |world: &mut Self, next| {
            if task.is_held || rules == Rules::StartWithoutAsking {
                enter(world, next);
            } else {
                world.trees[epoch].let_go(at);
                enter(world, Phase::Over(How::HandedBack));
            }
        };
        let is_asked_first = rules == Rules::AskBeforeTheLock;
        match task.phase {
            Phase::Claimed if is_asked_first => {
                self.step(steps, format!("worker {at} asks"), |world| {
                    ask(world, Phase::Locked);
                });
            }
            Phase::Claimed => self.step(steps, format!("worker {at} locks {epoch}"), |world| {
                world.trees[epoch].lock = Lock::Worker(at);
                enter(world, Phase::Locked);
            }),
            _ if is_asked_first => {
                self.step(steps, format!("worker {at} locks {epoch}"), |world| {
                    world.trees[epoch].lock = Lock::Worker(at);
                    enter(world, Phase::Asked);
                });
            }
            _ => self.step(steps, format!("worker {at} asks"), |world| {
                ask(world, Phase::Asked);
            }),
        }
    }

    /// Extends the lease and hears of a cancel; or hears that it is lost, and lets go.
    fn heartbeat(&self, rules: Rules, at: usize, task: Task, steps: &mut Vec<Step>) {
        let epoch = task.fence.epoch;
        self.step(steps, format!("worker {at} sends a heartbeat"), |world| {
            if world.may_write(rules, task.fence) {
                world.row.is_expired = false;
                world.workers[at].task = Some(Task {
                    is_held: true,
                    ..task
                });
                if world.row.is_cancelled && world.trees[epoch].lock == Lock::Shim {
                    world.end_by_shim(epoch);
                }
                return;
            }
            world.workers[at].task = None;
            world.trees[epoch].let_go(at);
            // Under its own epoch the job goes on under whoever adopted it.
            let goes_on = world.row.state == State::InProgress && world.row.epoch == epoch;
            if !goes_on && world.trees[epoch].lock == Lock::Shim {
                world.end_by_shim(epoch);
            }
        });
    }

    fn end_by_shim(&mut self, epoch: usize) {
        self.trees[epoch] = Tree {
            lock: Lock::Free,
            runs: false,
            has_status: true,
            ..self.trees[epoch]
        };
    }

    fn take_outcome(&mut self, rules: Rules, fence: Fence, how: How) {
        let is_by_state = rules == Rules::CompletionByStateOnly && how == How::Done;
        let is_in_progress = self.row.state == State::InProgress;
        if !(self.may_write(rules, fence) || is_by_state && is_in_progress) {
            return;
        }
        self.is_forged |= fence.epoch != self.row.epoch || !fence.is_holder;
        match how {
            How::Done => self.row.state = State::Ended,
            How::Died | How::HandedBack => self.retry(),
        }
    }
}
