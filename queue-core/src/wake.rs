//! Waking other processes that wait for work: a generation in a small shared file.
//!
//! Owns the wake file beside the database; the writer calls [`WakeFile::notify`] after each commit, and one thread per
//! process waits in [`WakeFile::wait`]. A generation read *before* the look at the database makes a wake between the
//! look and the wait impossible to lose. It is a hint only: who waits also looks at the database now and then, since a
//! writer may die between its commit and the wake, a foreign program may write, and the file may be deleted.
//!
//! Linux waits by futex and costs nothing while idle; elsewhere the generation is looked at every 20 ms.

#[cfg(target_os = "linux")]
mod linux;
mod mapping;
// On Linux it is only tested, so that it does not rot.
#[cfg(any(test, not(target_os = "linux")))]
mod portable;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

#[cfg(target_os = "linux")]
use linux as platform;
use mapping::Mapping;
#[cfg(not(target_os = "linux"))]
use portable as platform;

/// The length of the file. Only the first four bytes are used; the rest is room, as a mapping is made of pages.
const LENGTH: u64 = 4096;

/// What ended a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// The generation is no longer the one waited on: look at the database.
    Changed,
    /// The time is over and the generation is still the same.
    TimedOut,
}

/// The wake file could not be opened. Nothing is lost: who cannot be woken looks at the database now and then.
#[derive(Debug, thiserror::Error)]
#[error("could not {action} the wake file {}", path.display())]
pub struct WakeError {
    /// What was tried: open, lengthen or map.
    pub action: &'static str,
    /// The file.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

/// The wake file, open and mapped. Cheap to use from many threads at once; processes that open the same file share it.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("queue.db-wake");
/// use std::time::Duration;
/// use queue_core::wake::{WakeFile, Woken};
///
/// let wake = WakeFile::open(&path)?;
/// let seen = wake.generation();
/// // … look at the database here; meanwhile another process commits:
/// WakeFile::open(&path)?.notify();
/// assert_eq!(wake.wait(seen, Duration::from_secs(60)), Woken::Changed);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct WakeFile {
    mapping: Mapping,
}

impl WakeFile {
    /// Opens the file at `path`, made with mode 0600 when it is not there, and lengthened when it is too short.
    ///
    /// It is never shortened: a process that has it mapped would die by SIGBUS.
    ///
    /// # Errors
    /// [`WakeError`] when the file cannot be opened for writing, lengthened or mapped (a full disk, a read-only or
    /// foreign directory).
    pub fn open(path: &Path) -> Result<Self, WakeError> {
        let failed = |action| {
            move |source| WakeError {
                action,
                path: path.to_owned(),
                source,
            }
        };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(failed("open"))?;
        lengthen(&file).map_err(failed("lengthen"))?;
        let mapping = Mapping::of(&file).map_err(failed("map"))?;
        Ok(Self { mapping })
    }

    /// Gives the present generation. Read it before looking for work, and pass it to [`wait`](Self::wait) after.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.word().load(Ordering::SeqCst)
    }

    /// Begins a new generation and wakes everybody who waits on the old one. Call it after the commit is done.
    pub fn notify(&self) {
        self.word().fetch_add(1, Ordering::SeqCst);
        platform::wake_all(self.word());
    }

    /// Blocks until the generation is no longer `generation`, at most for `timeout`.
    ///
    /// It returns at once when that is already so. The count wraps around after 2^32 wakes; a waiter would have to
    /// sleep through exactly that many to miss one.
    #[must_use]
    pub fn wait(&self, generation: u32, timeout: Duration) -> Woken {
        wait_by(platform::wait_while, self.word(), generation, timeout)
    }

    fn word(&self) -> &AtomicU32 {
        self.mapping.generation()
    }
}

/// Makes the file [`LENGTH`] long by writing its last byte. Unlike a set length this can never shorten a file that
/// another process has lengthened meanwhile, and it takes the space now: a page that finds the disk full is a SIGBUS.
fn lengthen(file: &File) -> io::Result<()> {
    if file.metadata()?.len() < LENGTH {
        file.write_all_at(&[0], LENGTH - 1)?;
    }
    Ok(())
}

/// Sleeps by `sleep_while` (which may return early or for no reason) until the word differs or the time is over.
fn wait_by(
    sleep_while: fn(&AtomicU32, u32, Duration),
    word: &AtomicU32,
    generation: u32,
    timeout: Duration,
) -> Woken {
    let begun = Instant::now();
    loop {
        // The word is looked at after the time, so a wake that comes with the end of the time still counts.
        let left = timeout.saturating_sub(begun.elapsed());
        if word.load(Ordering::SeqCst) != generation {
            return Woken::Changed;
        }
        if left.is_zero() {
            return Woken::TimedOut;
        }
        sleep_while(word, generation, left);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Read as _};
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::{Command, Stdio};
    use std::thread;

    use super::*;

    /// Longer than any test runs: a wait that long only ends by being woken.
    const LONG: Duration = Duration::from_secs(24 * 3600);
    /// Names the wake file to the process that `waits_in_another_process` starts.
    const CHILD_FILE: &str = "QUEUE_TEST_WAKE_FILE";

    struct Place {
        dir: tempfile::TempDir,
    }

    impl Place {
        fn new() -> Self {
            Self {
                dir: tempfile::tempdir().unwrap(),
            }
        }

        fn path(&self) -> PathBuf {
            self.dir.path().join("queue.db-wake")
        }

        fn open(&self) -> WakeFile {
            WakeFile::open(&self.path()).unwrap()
        }
    }

    /// Wakes sleepers without a new generation until one was really asleep (at once where they look by themselves).
    fn wake_for_nothing_until_somebody_slept(wake: &WakeFile) {
        let begun = Instant::now();
        while cfg!(target_os = "linux") && platform::wake_all(wake.word()) == 0 {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "nobody sleeps on the shared word"
            );
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_sleeper_wakes_by_a_notify_through_another_mapping() {
        let place = Place::new();
        let (ours, theirs) = (place.open(), place.open());
        let seen = theirs.generation();
        let sleeper = thread::spawn(move || theirs.wait(seen, LONG));
        // It sleeps on through a wake without a change …
        wake_for_nothing_until_somebody_slept(&ours);
        wake_for_nothing_until_somebody_slept(&ours);
        assert!(!sleeper.is_finished());
        // … and ends by a change.
        ours.notify();
        assert_eq!(sleeper.join().unwrap(), Woken::Changed);
    }

    #[test]
    fn one_notify_wakes_every_sleeper() {
        let place = Place::new();
        let wake = place.open();
        let seen = wake.generation();
        let sleepers: Vec<_> = (0..8)
            .map(|_| place.open())
            .map(|theirs| thread::spawn(move || theirs.wait(seen, LONG)))
            .collect();
        wake_for_nothing_until_somebody_slept(&wake);
        wake.notify();
        for sleeper in sleepers {
            assert_eq!(sleeper.join().unwrap(), Woken::Changed);
        }
    }

    #[test]
    fn a_notify_between_the_look_and_the_wait_is_not_lost() {
        let place = Place::new();
        let wake = place.open();
        let seen = wake.generation();
        place.open().notify();
        assert_eq!(wake.wait(seen, LONG), Woken::Changed);
        assert_eq!(wake.wait(seen, Duration::ZERO), Woken::Changed);
    }

    #[test]
    fn two_that_wake_each_other_lose_nothing() {
        let place = Place::new();
        let (ours, theirs) = (place.open(), place.open());
        let start = ours.generation();
        // Each waits for its turn: even generations are ours, odd ones theirs.
        let partner = thread::spawn(move || {
            for turn in 0..1_000 {
                assert_eq!(
                    theirs.wait(start.wrapping_add(2 * turn), LONG),
                    Woken::Changed
                );
                theirs.notify();
            }
        });
        for turn in 0..1_000 {
            ours.notify();
            assert_eq!(
                ours.wait(start.wrapping_add(2 * turn + 1), LONG),
                Woken::Changed
            );
        }
        partner.join().unwrap();
        assert_eq!(ours.generation(), start.wrapping_add(2_000));
    }

    #[test]
    fn a_wait_without_a_notify_times_out() {
        let place = Place::new();
        let wake = place.open();
        let seen = wake.generation();
        let begun = Instant::now();
        assert_eq!(wake.wait(seen, Duration::from_millis(30)), Woken::TimedOut);
        assert!(begun.elapsed() >= Duration::from_millis(30));
        assert_eq!(wake.wait(seen, Duration::ZERO), Woken::TimedOut);
    }

    #[test]
    fn the_portable_sleep_sees_a_change_and_a_timeout_too() {
        let place = Place::new();
        let (ours, theirs) = (place.open(), place.open());
        let seen = ours.generation();
        let begun = Instant::now();
        let timed_out = wait_by(
            portable::wait_while,
            ours.word(),
            seen,
            Duration::from_millis(30),
        );
        assert_eq!(timed_out, Woken::TimedOut);
        assert!(begun.elapsed() >= Duration::from_millis(30));
        assert_eq!(portable::wake_all(ours.word()), 0);
        let sleeper =
            thread::spawn(move || wait_by(portable::wait_while, theirs.word(), seen, LONG));
        ours.notify();
        assert_eq!(sleeper.join().unwrap(), Woken::Changed);
    }

    #[test]
    fn the_generation_outlives_who_wrote_it_and_wraps_around() {
        let place = Place::new();
        std::fs::write(place.path(), u32::MAX.to_ne_bytes()).unwrap();
        let wake = place.open();
        assert_eq!(wake.generation(), u32::MAX);
        wake.notify();
        assert_eq!(wake.wait(u32::MAX, LONG), Woken::Changed);
        drop(wake);
        assert_eq!(place.open().generation(), 0);
    }

    #[test]
    fn the_file_is_private_and_never_gets_shorter() {
        let place = Place::new();
        drop(place.open());
        let made = std::fs::metadata(place.path()).unwrap();
        assert_eq!(
            (made.len(), made.permissions().mode() & 0o777),
            (LENGTH, 0o600)
        );
        std::fs::write(place.path(), vec![0; 10_000]).unwrap();
        drop(place.open());
        assert_eq!(std::fs::metadata(place.path()).unwrap().len(), 10_000);
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let place = Place::new();
        let error = WakeFile::open(place.dir.path()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "could not open the wake file {}",
                place.dir.path().display()
            )
        );
    }

    #[test]
    fn another_process_wakes_by_our_notify() {
        let place = Place::new();
        let wake = place.open();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "wake::tests::waits_in_another_process",
                "--ignored",
                "--nocapture",
            ])
            .env(CHILD_FILE, place.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut said = String::new();
        while !said.contains("waiting") {
            assert_ne!(
                output.read_line(&mut said).unwrap(),
                0,
                "it ended before it waited: {said}"
            );
        }
        wake_for_nothing_until_somebody_slept(&wake);
        wake.notify();
        output.read_to_string(&mut said).unwrap();
        assert!(child.wait().unwrap().success(), "{said}");
        assert!(said.contains("woken: Changed"), "{said}");
    }

    #[test]
    #[ignore = "the other process of another_process_wakes_by_our_notify"]
    #[expect(
        clippy::print_stdout,
        reason = "how this process answers the one that started it"
    )]
    fn waits_in_another_process() {
        let Some(path) = std::env::var_os(CHILD_FILE) else {
            return;
        };
        let wake = WakeFile::open(Path::new(&path)).unwrap();
        let seen = wake.generation();
        println!("waiting");
        println!("woken: {:?}", wake.wait(seen, LONG));
    }
}
