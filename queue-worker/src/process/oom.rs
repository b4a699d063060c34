//! Who goes first when memory runs out: the job, not those who look after it.
//!
//! Linux only: `/proc/PID/oom_score_adj` (proc_pid_oom_score_adj(5)) is raised for the job and inherited by whatever it
//! starts. What always holds: the worker's and the shim's own value is what it was before; raising it needs no rights.

use std::fs;

/// How much more likely than its worker a job is killed for want of memory, in thousandths of all memory.
const MORE_LIKELY: i32 = 500;
/// The highest value there is.
const HIGHEST: i32 = 1_000;

/// While it is there, whatever this process starts goes first.
#[derive(Debug)]
pub(crate) struct Raised {
    before: Option<i32>,
}

/// Raises this process's own value, for a process that starts one job and nothing else meanwhile.
pub(crate) fn raise_own() -> Raised {
    let before = read("self");
    let raised = before.filter(|before| write("self", raised_from(*before)));
    Raised { before: raised }
}

impl Drop for Raised {
    fn drop(&mut self) {
        if let Some(before) = self.before {
            // Allowed without rights: down to where somebody with rights has put it.
            write("self", before);
        }
    }
}

/// Raises the value of a child that was just started, for a process that starts several at once. What that child starts
/// in its first microseconds may go without.
pub(crate) fn raise(child: u32) {
    if let Some(own) = read("self") {
        write(&child.to_string(), raised_from(own));
    }
}

fn raised_from(own: i32) -> i32 {
    own.saturating_add(MORE_LIKELY).min(HIGHEST)
}

fn read(process: &str) -> Option<i32> {
    let text = fs::read_to_string(format!("/proc/{process}/oom_score_adj")).ok()?;
    text.trim().parse().ok()
}

fn write(process: &str, value: i32) -> bool {
    fs::write(format!("/proc/{process}/oom_score_adj"), value.to_string()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_is_raised_within_bounds() {
        assert_eq!(raised_from(0), 500);
        assert_eq!(raised_from(-1_000), -500);
        assert_eq!(raised_from(800), 1_000);
    }
}
