//! Run directories whose attempt is over, kept with their files for the next attempt.
//!
//! One per worker: its attempts take them, and the dispatcher gives them back when an outcome is
//! committed. To make and remove directories and files is what an attempt of no work costs most on
//! some file systems. What always holds: a spare has a name of its own, which stands for no
//! attempt, so nobody else looks at it or removes it while its worker lives; it changes hands by
//! rename(2), which one of two wins; there is nothing in it but what every attempt makes anew.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use queue_core::{Epoch, JobId, WorkerId, failpoint};

use crate::layout::Layout;
use crate::post::Post;

/// How long one is kept that no attempt takes.
const KEPT_FOR: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug)]
pub(crate) struct Spares {
    layout: Arc<Layout>,
    worker: WorkerId,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Since when each is there; the one that came last is taken first.
    spares: Vec<(PathBuf, Instant)>,
    /// How many there ever were.
    made: u64,
}

impl Spares {
    /// Those of a worker, which has none yet.
    pub(crate) fn of(layout: &Arc<Layout>, worker: WorkerId) -> Self {
        Self {
            layout: Arc::clone(layout),
            worker,
            known: Mutex::default(),
        }
    }

    /// Makes the run directory of an attempt, or gives it a spare one.
    ///
    /// # Errors
    /// As [`Layout::make_run_directory`].
    pub(crate) fn make_run_directory(&self, job: JobId, epoch: Epoch) -> io::Result<PathBuf> {
        let spare = self.lock().spares.pop();
        if let Some((spare, _)) = spare {
            let directory = self.layout.run_directory(job, epoch);
            match fs::rename(&spare, &directory) {
                Ok(()) => return Ok(directory),
                // Something of another history is in its place, or somebody has cleared up.
                Err(_) => remove(&spare),
            }
        }
        self.layout.make_run_directory(job, epoch)
    }

    /// Takes back the run directory of an attempt whose outcome is committed. One that the job has left
    /// something in is removed.
    pub(crate) fn take_back(&self, job: JobId, epoch: Epoch) {
        let directory = self.layout.run_directory(job, epoch);
        // A job of a store that was here before may still run in it.
        let Ok(lock) = Post::at(&directory).seize() else {
            return self.layout.remove_run_directory(job, epoch);
        };
        let spare = self.layout.spare(self.worker, self.next_number());
        if fs::rename(&directory, &spare).is_err() {
            return self.layout.remove_run_directory(job, epoch);
        }
        failpoint::hit("settle.spared");
        match Post::at(&spare).renew(lock.as_ref()) {
            Ok(true) => self.lock().spares.push((spare, Instant::now())),
            Ok(false) | Err(_) => remove(&spare),
        }
    }

    /// Removes those that no attempt has taken for a while.
    pub(crate) fn tidy(&self) {
        let now = Instant::now();
        let is_idle = |(_, since): &mut (PathBuf, Instant)| now.duration_since(*since) >= KEPT_FOR;
        let idle: Vec<_> = self.lock().spares.extract_if(.., is_idle).collect();
        for (spare, _) in idle {
            remove(&spare);
        }
    }

    fn next_number(&self) -> u64 {
        let mut known = self.lock();
        known.made += 1;
        known.made
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // Whoever panicked left whole lists behind.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Spares {
    fn drop(&mut self) {
        for (spare, _) in std::mem::take(&mut self.lock().spares) {
            remove(&spare);
        }
    }
}

/// Removes a spare. One that is gone is as good.
pub(crate) fn remove(spare: &Path) {
    if let Err(error) = fs::remove_dir_all(spare)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(directory = %spare.display(), %error, "a run directory cannot be removed");
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use queue_core::Timestamp;
    use queue_core::attempt::Started;

    use super::*;
    use crate::supervisor::{Spec, Status, StopCause};

    fn scene() -> (tempfile::TempDir, Arc<Layout>, Spares) {
        let dir = tempfile::tempdir().unwrap();
        let db = dir.path().join("queue.db");
        fs::write(&db, "").unwrap();
        let layout = Arc::new(Layout::beside(&db).unwrap());
        let spares = Spares::of(&layout, WorkerId(3));
        (dir, layout, spares)
    }

    fn spec(directory: &Path) -> Spec {
        Spec::new(1, 1, 1, "/bin/true", directory, directory.join("log"))
    }

    /// Has a shim go through the whole life of an attempt, but for its process.
    fn live(post: &Post) {
        let spec = spec(post.directory());
        let (_, lock, _) = Post::take_spec(post.prepare(&spec).unwrap()).unwrap();
        let started = Started {
            pid: 7,
            pid_started: Some(8),
            started_at: Timestamp::EPOCH,
            log: "log".to_owned(),
            unenforced: None,
        };
        lock.write_started(&started).unwrap();
        let status = Status::unsupervised(&spec, &io::ErrorKind::OutOfMemory.into());
        drop(post.write_status(&status, true).unwrap());
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap().flatten();
        let mut names: Vec<_> = entries
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn inode(path: &Path) -> u64 {
        fs::metadata(path).unwrap().ino()
    }

    #[test]
    fn the_next_attempt_has_the_same_files_and_finds_nothing_in_them() {
        let (_dir, layout, spares) = scene();
        let first = spares.make_run_directory(JobId(1), Epoch(1)).unwrap();
        live(&Post::at(&first));
        let files = ["lock", "control", "status"].map(|name| inode(&first.join(name)));

        spares.take_back(JobId(1), Epoch(1));
        assert_eq!(names(layout.runs()), ["spare-3-1"]);
        assert_eq!(layout.run_directories(), []);
        let second = spares.make_run_directory(JobId(2), Epoch(5)).unwrap();
        assert_eq!(names(layout.runs()), ["2-5"]);
        let post = Post::at(&second);
        assert_eq!(post.started(), None);
        assert!(post.status().unwrap().is_none());
        assert!(!post.has_shim().unwrap());

        live(&post);
        let again = ["lock", "control", "status"].map(|name| inode(&second.join(name)));
        assert_eq!(again, files);
        assert_eq!(post.started().unwrap().pid, 7);
        assert!(post.status().unwrap().is_some());
    }

    #[test]
    fn who_means_the_attempt_before_does_not_stop_the_one_that_has_its_pipe_now() {
        let (_dir, layout, spares) = scene();
        let first = spares.make_run_directory(JobId(1), Epoch(1)).unwrap();
        live(&Post::at(&first));
        spares.take_back(JobId(1), Epoch(1));
        let second = spares.make_run_directory(JobId(2), Epoch(1)).unwrap();
        let post = Post::at(&second);
        let _lock = post.prepare(&spec(&second)).unwrap();
        let control = post.listen().unwrap();

        // As a worker that stood still between opening the pipe and writing into it.
        std::os::unix::fs::symlink(&second, layout.run_directory(JobId(1), Epoch(1))).unwrap();
        assert!(Post::at(&first).stop(StopCause::Cancelled));
        control.hush();
        assert_eq!(control.snapshot().stops, 0);

        assert!(post.stop(StopCause::Interrupted) && post.stop(StopCause::Cancelled));
        control.hush();
        let asked = control.snapshot();
        assert_eq!(
            (asked.stops, asked.stop_cause),
            (2, Some(StopCause::Interrupted))
        );
    }

    #[test]
    fn what_a_job_has_left_something_in_or_changed_is_not_used_again() {
        let (_dir, layout, spares) = scene();
        let changes: [fn(&Path); 4] = [
            |directory| fs::write(directory.join("checkpoint"), "half").unwrap(),
            |directory| {
                fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
            },
            |directory| {
                fs::remove_file(directory.join("control")).unwrap();
                fs::write(directory.join("control"), "").unwrap();
            },
            |directory| {
                fs::rename(directory.join("lock"), directory.join("../mine")).unwrap();
                std::os::unix::fs::symlink("../mine", directory.join("lock")).unwrap();
            },
        ];
        for (job, change) in (1..).zip(changes) {
            let directory = spares.make_run_directory(JobId(job), Epoch(1)).unwrap();
            live(&Post::at(&directory));
            change(&directory);
            spares.take_back(JobId(job), Epoch(1));
            assert_eq!(layout.run_directories(), []);
            assert_eq!(layout.spares(), [], "{job}");
        }
        let mine = fs::read(layout.runs().join("mine")).unwrap();
        assert!(!mine.is_empty(), "a file elsewhere is as it was");
    }

    #[test]
    fn an_attempt_that_a_shim_still_has_stays_where_it_is() {
        let (_dir, layout, spares) = scene();
        let directory = spares.make_run_directory(JobId(1), Epoch(1)).unwrap();
        let lock = Post::at(&directory).prepare(&spec(&directory)).unwrap();
        spares.take_back(JobId(1), Epoch(1));
        assert!(directory.join("control").exists());
        drop(lock);
        spares.take_back(JobId(1), Epoch(1));
        assert_eq!(layout.spares().len(), 1);
    }

    #[test]
    fn spares_go_with_their_worker() {
        let (_dir, layout, spares) = scene();
        for job in 1..4 {
            spares.make_run_directory(JobId(job), Epoch(1)).unwrap();
        }
        for job in 1..4 {
            spares.take_back(JobId(job), Epoch(1));
        }
        assert_eq!(layout.spares().len(), 3);
        spares.tidy();
        assert_eq!(layout.spares().len(), 3, "they are just there");
        drop(spares);
        assert_eq!(names(layout.runs()), [""; 0]);
    }
}
