//! What the run hands in: jobs of every kind, each described by one line of `job.sh`.
//!
//! The world enqueues them, the verdict asks what may be expected of each. What always holds: a
//! job names its kind, so that the history of a violation says what it was.

use crate::dice::Dice;

/// The text of the program that every job runs.
pub(crate) const SCRIPT: &str = include_str!("job.sh");

/// A job that ends its own supervisor, and so may be tried again without our doing.
pub(crate) const PARRICIDE: &str = "parricide";

/// Kinds by weight. A direct job has no process of its own that would find what left its group.
const SHIMMED: &[(u64, &str)] = &[
    (20, "short"),
    (20, "long"),
    (8, "fails"),
    (12, "forks"),
    (8, "leaves"),
    (8, "scatters"),
    (8, "stubborn"),
    (6, "chatty"),
    (16, "saves"),
    (4, "dies"),
    (2, PARRICIDE),
];
const DIRECT: &[(u64, &str)] = &[
    (30, "short"),
    (20, "long"),
    (10, "fails"),
    (10, "forks"),
    (10, "stubborn"),
    (10, "saves"),
    (5, "dies"),
    (1, PARRICIDE),
];

/// The arguments of `qcli enqueue` for a random job.
pub(crate) fn random(dice: &mut Dice, script: &str) -> Vec<String> {
    let is_direct = dice.percent(20);
    let kind = dice.weighed(if is_direct { DIRECT } else { SHIMMED });
    let amount = match kind {
        "chatty" => 1 + dice.below(10),
        "stubborn" | "forks" => 1 + dice.below(10),
        _ => 1 + dice.below(30),
    };
    let attempts = (1 + dice.below(4)).to_string();
    let mut words = vec!["enqueue", "--name", kind, "--max-attempts", &attempts];
    words.extend([
        "--backoff",
        dice.weighed(&[(1, "none"), (2, "fixed:200ms")]),
    ]);
    words.extend(["--grace", "1s"]);
    if is_direct {
        words.push("--direct");
    }
    if dice.percent(10) {
        words.extend(["--priority", "5"]);
    }
    if dice.percent(10) {
        words.extend(["--delay", "500ms"]);
    }
    if dice.percent(10) {
        words.extend(["--timeout", "2s"]);
    }
    if dice.percent(10) {
        words.extend(["--concurrency-key", "narrow"]);
    }
    let amount = amount.to_string();
    words.extend(["--", "sh", script, kind, &amount]);
    words.into_iter().map(str::to_owned).collect()
}
