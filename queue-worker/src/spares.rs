//! Run directories whose attempt is over, kept with their files for the next attempt.
//!
//! One per worker: its attempts take them, and the dispatcher gives them back when an outcome is
//! committed. To make and remove directories and files is what an attempt of no work costs most on
//! some file systems. What always holds: a spare has a name of its own, which stands for no
//! attempt, so nobody else looks at it or removes it while its worker lives; it changes hands by
//! rename(2), which one of two wins; there is nothing in it but what every attempt makes anew.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::PathBuf;
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
    /// Those that are to be removed: what a job has left may be much.
    doomed: Vec<PathBuf>,
    /// Those that could not be removed.
    stuck: Vec<PathBuf>,
    /// Attempts that got no directory, because a job of a store that was here before runs in it.
    refused: HashSet<(JobId, Epoch)>,
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
                Err(_) => self.lock().doomed.push(spare),
            }
        }
        let made = self.layout.make_run_directory(job, epoch);
        made.inspect_err(|error| {
            if error.kind() == io::ErrorKind::ResourceBusy {
                self.lock().refused.insert((job, epoch));
            }
        })
    }

    /// Takes back the run directory of an attempt whose outcome is committed. One that the job has left
    /// something in is removed at the next [`tidy`](Self::tidy): this is for a thread that must not
    /// be kept.
    pub(crate) fn take_back(&self, job: JobId, epoch: Epoch) {
        if self.lock().refused.remove(&(job, epoch)) {
            // How that other job ended is in there, and nowhere else.
            return;
        }
        let directory = self.layout.run_directory(job, epoch);
        let post = Post::at(&directory);
        let lock = post.seize();
        // A job of a store that was here before may still run in it.
        if lock.is_err() && !matches!(post.has_shim(), Ok(false)) {
            return;
        }
        let spare = self.layout.spare(self.worker, self.next_number());
        // One that is not there was never made, or somebody has cleared up.
        if fs::rename(&directory, &spare).is_err() {
            return;
        }
        failpoint::hit("settle.spared");
        let is_ready = lock.is_ok_and(|lock| {
            let renewed = Post::at(&spare).renew(lock.as_ref());
            matches!(renewed, Ok(true))
        });
        let mut known = self.lock();
        if is_ready {
            known.spares.push((spare, Instant::now()));
        } else {
            known.doomed.push(spare);
        }
    }

    /// Removes those that no attempt can have, and those that none has taken for a while.
    pub(crate) fn tidy(&self) {
        let now = Instant::now();
        let is_idle = |(_, since): &mut (PathBuf, Instant)| now.duration_since(*since) >= KEPT_FOR;
        let (idle, doomed) = {
            let mut known = self.lock();
            let idle: Vec<_> = known.spares.extract_if(.., is_idle).collect();
            (idle, std::mem::take(&mut known.doomed))
        };
        for spare in idle.into_iter().map(|(spare, _)| spare).chain(doomed) {
            self.remove(spare);
        }
    }

    /// One that cannot be removed is tried again at the end, and not told of each second.
    fn remove(&self, spare: PathBuf) {
        if !self.layout.clear_away(&spare) {
            self.lock().stuck.push(spare);
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
        let known = std::mem::take(&mut *self.lock());
        let spares = known.spares.into_iter().map(|(spare, _)| spare);
        for spare in spares.chain(known.doomed).chain(known.stuck) {
            self.remove(spare);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::path::Path;

    use queue_core::Timestamp;
    use queue_core::attempt::Started;

    use rustix::fs::{CWD, FlockOperation, Mode, flock, mkfifoat};

    use super::*;
    use crate::cgroup::Hold;
    use crate::post::Found;
    use crate::supervisor::{Spec, Status, StopCause};

    fn scene() -> (tempfile::TempDir, Arc<Layout>, Spares) {
        let dir = tempfile::tempdir().unwrap();
        let db = dir.path().join("queue.db");
        fs::write(&db, "").unwrap();
        let layout = Arc::new(Layout::beside(&db).unwrap());
        let spares = Spares::of(&layout, WorkerId(3));
        (dir, layout, spares)
    }

    /// The spec of the attempt that a run directory is named for.
    fn spec(directory: &Path) -> Spec {
        let name = directory.file_name().unwrap().to_str().unwrap();
        let (job, epoch) = Layout::attempt_of(name).unwrap();
        Spec::new(
            job.0,
            epoch.0,
            1,
            "/bin/true",
            directory,
            directory.join("log"),
        )
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
        let changes: [fn(&Path); 7] = [
            |directory| fs::write(directory.join("checkpoint"), "half").unwrap(),
            |directory| {
                fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
            },
            |directory| {
                fs::remove_file(directory.join("control")).unwrap();
                fs::write(directory.join("control"), "").unwrap();
            },
            |directory| {
                fs::remove_file(directory.join("lock")).unwrap();
                mkfifoat(CWD, directory.join("lock"), Mode::RUSR | Mode::WUSR).unwrap();
            },
            |directory| {
                let none = fs::Permissions::from_mode(0o400);
                fs::set_permissions(directory.join("control"), none).unwrap();
            },
            |directory| {
                let elsewhere = directory.join("../elsewhere");
                fs::write(&elsewhere, "of somebody").unwrap();
                fs::set_permissions(&elsewhere, fs::Permissions::from_mode(0o600)).unwrap();
                fs::remove_file(directory.join("lock")).unwrap();
                fs::hard_link(elsewhere, directory.join("lock")).unwrap();
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
            spares.tidy();
            assert_eq!(layout.spares(), [], "{job}");
        }
        for file in ["mine", "elsewhere"] {
            let text = fs::read(layout.runs().join(file)).unwrap();
            assert!(!text.is_empty(), "a file elsewhere is as it was");
        }
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
    fn what_an_attempt_before_has_left_is_not_taken_for_this_ones() {
        let (_dir, layout, spares) = scene();
        let first = spares.make_run_directory(JobId(1), Epoch(1)).unwrap();
        live(&Post::at(&first));
        // As after a power cut that brought the status back.
        fs::rename(&first, layout.run_directory(JobId(2), Epoch(1))).unwrap();
        let post = Post::at(&layout.run_directory(JobId(2), Epoch(1)));
        assert!(post.status().unwrap().is_none());
        assert!(matches!(post.look().unwrap(), Found::Nothing));
        // As one finds it who stood still between opening the lock and reading it.
        assert_eq!(post.started(), None);
        assert_eq!(post.groups(), Hold::default());
    }

    #[test]
    fn a_status_is_put_in_place_whatever_the_job_made_of_the_one_before() {
        let (dir, _layout, spares) = scene();
        let first = spares.make_run_directory(JobId(1), Epoch(1)).unwrap();
        let staged = first.join("status.tmp");
        let elsewhere = dir.path().join("elsewhere");
        fs::write(&elsewhere, "of somebody").unwrap();
        std::os::unix::fs::symlink(&elsewhere, &staged).unwrap();
        live(&Post::at(&first));
        fs::hard_link(&elsewhere, &staged).unwrap();
        live(&Post::at(&first));
        assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "of somebody");
        let status = Post::at(&first).status().unwrap().unwrap();
        assert_eq!((status.job, status.epoch), (1, 1));
    }

    #[test]
    fn a_lock_that_somebody_still_looks_at_is_replaced() {
        let (_dir, _layout, spares) = scene();
        let first = spares.make_run_directory(JobId(1), Epoch(1)).unwrap();
        live(&Post::at(&first));
        spares.take_back(JobId(1), Epoch(1));
        let second = spares.make_run_directory(JobId(2), Epoch(1)).unwrap();
        let looked_at = fs::File::open(second.join("lock")).unwrap();
        flock(&looked_at, FlockOperation::LockShared).unwrap();
        let _lock = Post::at(&second).prepare(&spec(&second)).unwrap();
        assert!(Post::at(&second).has_shim().unwrap());
        drop(looked_at);
        assert!(Post::at(&second).has_shim().unwrap());
    }

    #[test]
    fn how_a_job_of_another_store_ended_is_left_where_it_is() {
        let (_dir, layout, spares) = scene();
        let directory = layout.run_directory(JobId(1), Epoch(1));
        fs::create_dir(&directory).unwrap();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
        let lock = Post::at(&directory).prepare(&spec(&directory)).unwrap();
        let refused = spares.make_run_directory(JobId(1), Epoch(1)).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ResourceBusy);
        // It ends before it is told that ours was put off.
        drop(lock);
        live(&Post::at(&directory));
        spares.take_back(JobId(1), Epoch(1));
        assert!(Post::at(&directory).status().unwrap().is_some());
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
