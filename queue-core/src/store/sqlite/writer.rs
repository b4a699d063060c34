//! The one connection that writes, and whoever has it.
//!
//! Callers hand in their change and take their turn at the connection; whoever gets it makes all that has
//! been handed in by then as one transaction, so that many callers share one sync of the disk, and
//! a lone one waits for no other thread. Each change stands alone: one that is refused or panics is
//! undone without the others. Nobody is answered before the commit.

use super::{
    connection,
    fault::{Done, Fault, is_fatal, translate},
    files::Files,
    lock,
};
use crate::{error::StoreError, failpoint, wake::WakeFile};
use rusqlite::Connection;
use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, TryLockError, mpsc},
};

/// The most changes that share a transaction: others wait for the lock meanwhile.
const MOST_PER_COMMIT: usize = 256;

/// A change on its way through the writer.
trait Change: Send {
    /// Makes the change.
    fn make(&mut self, connection: &Connection, path: &Path) -> Made;
    /// Tells the caller, after the commit or instead of it.
    fn answer(self: Box<Self>, failed: Option<&StoreError>, path: &Path);
}

/// What came of making a change.
enum Made {
    /// It stands.
    Done,
    /// It was refused and must be undone.
    Refused,
    /// The engine failed.
    Failed(StoreError),
}

/// A change that panicked is a bug of ours, and nobody else's trouble. What it has written is
/// undone like that of a change that was refused.
fn broke(panic: &(dyn Any + Send), path: &Path) -> StoreError {
    let said = panic.downcast_ref::<&str>().map(ToString::to_string);
    let said = said.or_else(|| panic.downcast_ref::<String>().cloned());
    let said = said.unwrap_or_else(|| "no reason given".to_owned());
    tracing::error!(said, "a change of the store broke and was undone");
    StoreError::Engine {
        path: path.to_path_buf(),
        detail: format!("the change broke and was undone, which is a bug of the queue: {said}"),
    }
}

struct Request<T, F> {
    change: Option<F>,
    answer: Option<Done<T>>,
    reply: mpsc::SyncSender<crate::Result<T>>,
}

impl<T, F> Request<T, F> {
    /// A request for `change`, and where its answer arrives.
    fn of(change: F) -> (Box<Self>, mpsc::Receiver<crate::Result<T>>) {
        let (reply, answer) = mpsc::sync_channel(1);
        let request = Self {
            change: Some(change),
            answer: None,
            reply,
        };
        (Box::new(request), answer)
    }
}

impl<T, F> Change for Request<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> Done<T> + Send,
{
    fn make(&mut self, connection: &Connection, path: &Path) -> Made {
        let change = self.change.take().expect("a change is made once");
        let answer = catch_unwind(AssertUnwindSafe(|| change(connection)))
            .unwrap_or_else(|panic| Err(broke(&*panic, path).into()));
        let made = match &answer {
            Ok(_) => Made::Done,
            Err(Fault::Answer(_)) => Made::Refused,
            Err(Fault::Engine(error)) => Made::Failed(translate(error, path)),
        };
        self.answer = Some(answer);
        made
    }

    fn answer(self: Box<Self>, failed: Option<&StoreError>, path: &Path) {
        let answer = match (failed, self.answer) {
            // A refusal stands whatever became of the others.
            (_, Some(Err(refused))) => Err(refused.told(path)),
            (None, Some(Ok(answer))) => Ok(answer),
            (Some(error), _) => Err(error.clone().into()),
            (None, None) => unreachable!("a change that was not made has failed"),
        };
        // A caller that is gone needs no answer.
        let _ = self.reply.send(answer);
    }
}

pub(super) struct Writer {
    inbox: Mutex<Vec<Box<dyn Change>>>,
    engine: Mutex<Engine>,
    path: PathBuf,
}

impl Writer {
    /// Takes the connection.
    pub(super) fn of(
        connection: Connection,
        files: Files,
        path: &Path,
        wake: Arc<WakeFile>,
    ) -> Self {
        Self {
            inbox: Mutex::default(),
            engine: Mutex::new(Engine {
                connection,
                files,
                path: path.to_path_buf(),
                wake,
                stopped: None,
            }),
            path: path.to_path_buf(),
        }
    }

    /// Makes a change and returns once it is committed.
    pub(super) fn write<T, F>(&self, change: F) -> crate::Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Done<T> + Send + 'static,
    {
        let (request, answer) = Request::of(change);
        lock(&self.inbox).push(request);
        let Ok(mut engine) = self.engine.lock() else {
            return Err(self.broken());
        };
        loop {
            match answer.try_recv() {
                // Whoever had the connection before made it along with its own.
                Ok(answer) => return answer,
                Err(mpsc::TryRecvError::Disconnected) => return Err(self.broken()),
                Err(mpsc::TryRecvError::Empty) => engine.make(self.gathered()),
            }
        }
    }

    /// Makes a change if nobody else has the connection, waits for it, or holds the store's write
    /// lock at this moment. Otherwise nothing of it is written, and the answer is `None`.
    pub(super) fn write_at_once<T, F>(&self, change: F) -> crate::Result<Option<T>>
    where
        T: Send,
        F: FnOnce(&Connection) -> Done<T> + Send,
    {
        let mut engine = match self.engine.try_lock() {
            Ok(engine) => engine,
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Poisoned(_)) => return Err(self.broken()),
        };
        // Who came before us is about to get the connection: it is their turn.
        if !lock(&self.inbox).is_empty() {
            return Ok(None);
        }
        let (request, answer) = Request::of(change);
        connection::give_up_at_once(&engine.connection);
        engine.make(vec![request]);
        connection::wait_again(&engine.connection);
        match answer.recv() {
            // The write lock was not to be had: SQLite says so before anything is written.
            Ok(Err(crate::Error::Store(StoreError::Busy { .. }))) => Ok(None),
            Ok(answer) => answer.map(Some),
            Err(mpsc::RecvError) => Err(self.broken()),
        }
    }

    /// The changes of the next transaction.
    fn gathered(&self) -> Vec<Box<dyn Change>> {
        let mut inbox = lock(&self.inbox);
        let most = inbox.len().min(MOST_PER_COMMIT);
        inbox.drain(..most).collect()
    }

    /// A panic beside the changes left the connection in a state that nobody knows.
    fn broken(&self) -> crate::Error {
        let path = self.path.clone();
        let detail = "its writer broke".to_owned();
        StoreError::Stopped { path, detail }.into()
    }
}

struct Engine {
    connection: Connection,
    files: Files,
    path: PathBuf,
    wake: Arc<WakeFile>,
    /// The failure after which nothing is acknowledged any more.
    stopped: Option<StoreError>,
}

impl Engine {
    /// Makes the changes in one transaction, and answers each.
    fn make(&mut self, mut batch: Vec<Box<dyn Change + '_>>) {
        let failed = self.commit(&mut batch).err();
        if let Some(error) = failed.as_ref().filter(|error| is_fatal(error)) {
            tracing::error!(%error, "the store takes no more writes from this process");
            self.stopped.get_or_insert_with(|| StoreError::Stopped {
                path: self.path.clone(),
                detail: error.to_string(),
            });
        }
        for change in batch {
            change.answer(failed.as_ref(), &self.path);
        }
    }

    fn commit(&mut self, batch: &mut [Box<dyn Change + '_>]) -> Result<(), StoreError> {
        if let Some(stopped) = &self.stopped {
            return Err(stopped.clone());
        }
        self.files.check()?;
        let before = self.connection.total_changes();
        let outcome = self.transact(batch);
        if outcome.is_err() && !self.connection.is_autocommit() {
            let _ = self.connection.execute_batch("rollback");
        }
        outcome?;
        if self.connection.total_changes() != before {
            // After the commit: whoever wakes must find what was written.
            self.wake.notify();
        }
        // Again: nobody is told of a change that went into a file which was taken away meanwhile.
        self.files.check()
    }

    fn transact(&self, batch: &mut [Box<dyn Change + '_>]) -> Result<(), StoreError> {
        self.step("begin immediate")?;
        failpoint::hit("transaction.begun");
        let stands = match batch {
            [alone] => self.make_alone(alone.as_mut())?,
            several => self.make_each(several)?,
        };
        failpoint::hit("transaction.done");
        self.step(if stands { "commit" } else { "rollback" })?;
        failpoint::hit("transaction.committed");
        Ok(())
    }

    /// Makes the only change of a transaction, and says whether it stands. The end of the transaction
    /// undoes it: for a savepoint SQLite would keep a copy of each page that is changed.
    fn make_alone(&self, change: &mut dyn Change) -> Result<bool, StoreError> {
        match change.make(&self.connection, &self.path) {
            Made::Done => Ok(true),
            Made::Failed(error) if self.has_to_end(&error) => Err(error),
            Made::Refused | Made::Failed(_) => Ok(false),
        }
    }

    /// Makes several changes; what those write that do not stand is undone.
    fn make_each(&self, batch: &mut [Box<dyn Change + '_>]) -> Result<bool, StoreError> {
        for change in batch {
            self.step("savepoint change")?;
            match change.make(&self.connection, &self.path) {
                Made::Done => {}
                Made::Failed(error) if self.has_to_end(&error) => return Err(error),
                Made::Refused | Made::Failed(_) => self.step("rollback to change")?,
            }
            self.step("release change")?;
        }
        Ok(true)
    }

    /// Whether nothing of the transaction can stand. After a full disk or a failed write SQLite has
    /// ended it by itself.
    fn has_to_end(&self, error: &StoreError) -> bool {
        self.connection.is_autocommit() || is_fatal(error)
    }

    fn step(&self, statement: &str) -> Result<(), StoreError> {
        let run = || self.connection.prepare_cached(statement)?.execute([]);
        run()
            .map(drop)
            .map_err(|error| translate(&error, &self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::{Durability, connection};

    /// A writer on a file with one table, `t (x)`.
    fn scene() -> (tempfile::TempDir, PathBuf, Writer) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("queue.db");
        connection::create_file(&path).unwrap();
        let own = connection::open(&path, Durability::Normal).unwrap();
        own.execute_batch("create table t (x)").unwrap();
        let wake = Arc::new(WakeFile::open(&directory.path().join("wake")).unwrap());
        let writer = Writer::of(own, Files::of(&path), &path, wake);
        (directory, path, writer)
    }

    #[test]
    fn many_at_once_are_each_answered_and_one_that_is_refused_leaves_nothing() {
        let (_directory, path, writer) = scene();
        let add = |number: i64| {
            writer.write(move |c| {
                c.execute("insert into t values (?)", [number])?;
                match number % 3 {
                    0 => Err(crate::Error::JobNotFound(crate::JobId(number)).into()),
                    _ => Ok(number),
                }
            })
        };
        std::thread::scope(|threads| {
            for first in (0..400).step_by(50) {
                threads.spawn(move || {
                    for number in first..first + 50 {
                        assert_eq!(add(number).ok(), (number % 3 != 0).then_some(number));
                    }
                });
            }
        });
        let left = Connection::open(&path).unwrap();
        let sum = "select count(*), count(distinct x), sum(x % 3 = 0) from t";
        let sum = left.query_row(sum, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        assert_eq!(sum.unwrap(), (266, 266, 0));
    }

    #[test]
    fn who_cannot_wait_is_sent_away_while_another_thread_writes_or_is_about_to() {
        let (_directory, path, writer) = scene();
        let add = |number: i64| {
            move |c: &Connection| Ok(c.execute("insert into t values (?)", [number])?)
        };
        std::thread::scope(|threads| {
            let (has_it, begun) = mpsc::channel();
            let (go_on, goes_on) = mpsc::channel::<()>();
            let other = threads.spawn(|| {
                writer.write(move |c| {
                    has_it.send(()).unwrap();
                    goes_on.recv().unwrap();
                    add(1)(c)
                })
            });
            begun.recv().unwrap();
            assert_eq!(writer.write_at_once(add(10)).unwrap(), None);
            go_on.send(()).unwrap();
            other.join().unwrap().unwrap();
        });
        assert_eq!(writer.write_at_once(add(2)).unwrap(), Some(1));
        let (early, answer) = Request::of(add(3));
        lock(&writer.inbox).push(early);
        assert_eq!(writer.write_at_once(add(10)).unwrap(), None);
        writer.write(add(4)).unwrap();
        assert_eq!(answer.recv().unwrap().unwrap(), 1);
        let left = Connection::open(&path).unwrap();
        let rows: String = left
            .query_row("select group_concat(x) from t", [], |row| row.get(0))
            .unwrap();
        assert_eq!(rows, "1,2,3,4");
    }

    #[test]
    fn a_change_that_panics_is_undone_alone_and_the_next_one_is_made() {
        let (_directory, path, writer) = scene();
        let broken = writer.write(|c| -> Done<()> {
            c.execute("insert into t values (1)", [])?;
            panic!("on purpose")
        });
        let broken = broken.unwrap_err();
        assert!(broken.to_string().contains("on purpose"), "{broken}");
        let next = writer.write(|c| Ok(c.execute("insert into t values (2)", [])?));
        assert_eq!(next.unwrap(), 1);
        let left = Connection::open(&path).unwrap();
        let rows: i64 = left
            .query_row("select group_concat(x) = '2' from t", [], |row| row.get(0))
            .unwrap();
        assert_eq!(rows, 1, "the second change alone is there");
    }
}
