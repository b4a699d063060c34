//! How an attempt starts in its worktree.
//!
//! Called on the attempt's thread between the making of the tree and the start of the process. What
//! always holds: the job stands in its own tree, no variable points its git elsewhere, and the
//! set-up command runs under the same supervision as the job, until it has succeeded once.

use std::ffi::OsString;
use std::path::PathBuf;

use queue_core::job::JobBody;
use queue_core::raw_text::RawText;

use super::WorktreeError;
use super::git::LOCAL_VARIABLES;
use super::make::Made;
use crate::process::{SpawnClass, SpawnProblem};
use crate::spec::NoSpec;
use crate::supervisor::Spec;

/// Runs the set-up line `$1`, notes in `$2` that it succeeded, and becomes the job. What the set-up
/// prints goes to the standard error, away from what a reader of the job's output looks for.
const SET_UP: &str = r#"
(eval "$1") </dev/null >&2 || {
    code=$?
    echo "the set-up command of the worktree failed with exit code $code" >&2
    exit "$code"
}
: >"$2" || exit
shift 2
exec "$@"
"#;

/// The job as it stands in its tree.
pub(crate) fn body_in(body: &JobBody, made: &Made) -> JobBody {
    let mut body = body.clone();
    body.env
        .retain(|name, _| !LOCAL_VARIABLES.contains(&name.as_str()));
    let ours: [(&str, OsString); 4] = [
        ("QUEUE_WORKTREE", made.tree.clone().into()),
        ("QUEUE_REPOSITORY", made.marker.checkout.clone().into()),
        ("QUEUE_BRANCH", made.marker.branch.clone().into()),
        ("QUEUE_PORT_BASE", made.marker.port_base.to_string().into()),
    ];
    for (name, value) in ours {
        body.env.insert(name.to_owned(), RawText::from(value));
    }
    body.cwd = RawText::from(made.cwd.clone().into_os_string());
    body
}

/// Has the spec run the set-up line before the job, unless an earlier attempt did.
pub(crate) fn set_up_first(spec: &mut Spec, line: &str, made: &Made) {
    if made.set_up.exists() {
        return;
    }
    let program = std::mem::replace(&mut spec.program, PathBuf::from("/bin/sh"));
    let mut args: Vec<OsString> = vec![
        "-c".into(),
        SET_UP.into(),
        "set-up".into(),
        line.into(),
        made.set_up.clone().into(),
        program.into(),
    ];
    args.append(&mut spec.args);
    spec.args = args;
}

/// What to tell of a tree that could not be made: whether another try may do better.
pub(crate) fn problem(error: &WorktreeError) -> NoSpec {
    let class = match error {
        WorktreeError::Git(_) | WorktreeError::Io { .. } | WorktreeError::NoPorts(_) => {
            SpawnClass::Other
        }
        _ => SpawnClass::BadCwd,
    };
    NoSpec::Spawn(SpawnProblem::new(
        class,
        format!("its worktree could not be made: {error}"),
    ))
}
