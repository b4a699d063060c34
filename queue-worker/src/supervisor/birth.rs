//! The start of an attempt's process: inside its control groups, and first to go when memory runs out.
//!
//! Called once per attempt. What always holds: when it returns, the process is where it belongs and the caller is where it
//! was; what could not be set up is said and keeps nothing from running; after a failed start no group is left.

use std::io;

use super::attempt::Reach;
use super::spec::Spec;
use crate::cgroup::{Bounds, Group};
use crate::process::{self, Child, Launch, Pipes, SpawnProblem};

/// A process that was started.
pub(super) struct Born {
    pub(super) child: Child,
    pub(super) pipes: Pipes,
    pub(super) group: Group,
    /// Which bounds are not enforced, and why.
    pub(super) lacking: Vec<String>,
}

/// Starts the process of an attempt.
pub(super) fn start(spec: &Spec, reach: Reach) -> Result<Born, SpawnProblem> {
    let launch = Launch {
        program: &spec.program,
        args: &spec.args,
        env: &spec.env,
        cwd: &spec.cwd,
        stdin: spec.stdin.as_deref(),
    };
    let (mut group, mut lacking) = spec.group.as_ref().map(Group::make).unwrap_or_default();
    let bounds = spec
        .group
        .as_ref()
        .map(|plan| plan.bounds)
        .unwrap_or_default();
    let raised = raised_for(reach);
    let started = launch_in(&mut group, bounds, &launch, &mut lacking);
    drop(raised);
    match started {
        Ok((child, pipes)) => {
            raise(&child, reach);
            Ok(Born {
                child,
                pipes,
                group,
                lacking,
            })
        }
        Err(problem) => {
            group.hold().remove();
            Err(problem)
        }
    }
}

/// Starts the process in its groups, and without those that the system refuses.
fn launch_in(
    group: &mut Group,
    bounds: Bounds,
    launch: &Launch<'_>,
    lacking: &mut Vec<String>,
) -> Result<(Child, Pipes), SpawnProblem> {
    let _visit = match group.enter() {
        Ok(visit) => Some(visit),
        Err(error) => {
            lacking.extend(group.give_up(false, bounds, &error));
            None
        }
    };
    match born_in(group, launch) {
        Ok(answer) => answer,
        // There is a group, and no room for a process: the attempt is put off rather than run unbound.
        Err(error) if is_shortage(&error) => {
            Err(SpawnProblem::explain(&error, launch.program, launch.cwd))
        }
        Err(error) => {
            lacking.extend(group.give_up(true, bounds, &error));
            process::spawn(launch)
        }
    }
}

/// Starts the process in its group of version 2, if it has one. The outer error is about the group.
fn born_in(group: &Group, launch: &Launch<'_>) -> io::Result<Result<(Child, Pipes), SpawnProblem>> {
    match group.birthplace()? {
        #[cfg(target_os = "linux")]
        Some(birthplace) => process::spawn_in(launch, std::os::fd::AsFd::as_fd(&birthplace)),
        _ => Ok(process::spawn(launch)),
    }
}

fn is_shortage(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(
        Errno::from_io_error(error),
        Some(Errno::AGAIN | Errno::NOMEM | Errno::MFILE | Errno::NFILE)
    )
}

/// Whoever starts one job and nothing else raises its own value for the moment, so that nothing of the job is ever
/// without; a worker, which starts many at once, raises the child's.
#[cfg(target_os = "linux")]
fn raised_for(reach: Reach) -> Option<process::oom::Raised> {
    (reach == Reach::Tree).then(process::oom::raise_own)
}

#[cfg(not(target_os = "linux"))]
fn raised_for(_reach: Reach) {}

fn raise(child: &Child, reach: Reach) {
    #[cfg(target_os = "linux")]
    if reach == Reach::Group {
        process::oom::raise(child.id());
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (child, reach);
}
