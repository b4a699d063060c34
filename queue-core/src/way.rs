//! The ways in which a job may be done: with which agent, and through which gates.
//!
//! A job that names several is started in the first one whose gates are not shut, so that work goes
//! on with another agent while the account of the best one has met its limit. The claim decides,
//! and writes down which it was; the worker knows by that name what to run. What always holds: a
//! way is passed over only while a gate of it is shut, never because it has to wait its turn.

use crate::gate::GateName;
use serde::{Deserialize, Serialize};

/// One of the ways in which a job may be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    /// Its name, which no other way of the job has: `codex`, or `claude/work`.
    pub name: String,
    /// The gates that an attempt passes which goes this way, beside those of its job.
    pub gates: Vec<GateName>,
}

/// Puts the way of that name last: what did not work is tried again when all others were.
pub(crate) fn put_last(ways: &mut [Way], name: &str) {
    if let Some(at) = ways.iter().position(|way| way.name == name) {
        ways[at..].rotate_left(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_that_did_not_work_goes_to_the_end_and_the_others_keep_their_order() {
        let ways = ["a", "b", "c"].map(|name| Way {
            name: name.to_owned(),
            gates: Vec::new(),
        });
        for (last, expected) in [
            ("a", ["b", "c", "a"]),
            ("b", ["a", "c", "b"]),
            ("c", ["a", "b", "c"]),
            ("gone", ["a", "b", "c"]),
        ] {
            let mut ways = ways.clone();
            put_last(&mut ways, last);
            assert_eq!(ways.each_ref().map(|way| way.name.as_str()), expected);
        }
    }
}
