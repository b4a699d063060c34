//! Whether `--mem` and `--cpu` would bind the jobs of a worker that is started from here, and what to do if not.

use queue_worker::cgroup::{Ground, Lack, Mechanism};

use super::{Check, Status};

/// One check for each bound, and one for the hold on all processes of a job.
pub(super) fn checks() -> Vec<Check> {
    let ground = Ground::look();
    [
        ("--mem binds jobs", ground.memory),
        ("--cpu binds jobs", ground.cpu),
        ("no process escapes its job", ground.hold),
    ]
    .into_iter()
    .map(|(what, found)| check(what, &found))
    .collect()
}

fn check(what: &str, found: &Result<Mechanism, Lack>) -> Check {
    match found {
        Ok(mechanism) => Check::new(what, Status::Ok, mechanism.words()),
        Err(lack) => {
            let detail = format!(
                "not under a worker started from here: {lack}; {}",
                lack.remedy()
            );
            Check::new(what, Status::Warning, detail)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_enforced_comes_with_what_to_do() {
        let group = "/sys/fs/cgroup/user.slice".into();
        let found = check("--mem binds jobs", &Err(Lack::NotDelegated { group }));
        assert_eq!(found.status, Status::Warning);
        assert!(
            found.detail.contains("systemd has not handed over"),
            "{}",
            found.detail
        );
        assert!(
            found.detail.contains("systemd-run --user --scope"),
            "{}",
            found.detail
        );
    }
}
