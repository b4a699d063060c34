//! The options of a worker, as `queue-worker` and `qcli work` take them.
//!
//! Owns their names, their help and their types, so that both commands are the same.

use std::num::NonZeroUsize;
use std::time::Duration;

use clap::{Args, ValueEnum};
use queue_core::units::{parse_bytes, parse_count, parse_duration};

use crate::reserve::Reserve;
use crate::worker::{Until, WorkerOptions};

/// The options of a worker.
#[derive(Debug, Clone, Default, Args)]
pub struct WorkArgs {
    /// Serve only these queues
    ///
    /// Separate several by commas. Without it the worker serves all, also those made later.
    #[arg(
        short = 'Q',
        long,
        value_name = "NAME,…",
        value_delimiter = ',',
        value_parser = clap::builder::NonEmptyStringValueParser::new(),
        alias = "queue"
    )]
    pub queues: Vec<String>,

    /// Run at most this many jobs at once
    ///
    /// One per processor core where not given.
    #[arg(short = 'j', long, value_name = "N", value_parser = parse_count::<NonZeroUsize>)]
    pub concurrency: Option<NonZeroUsize>,

    /// How long a job stays ours when nothing is heard from this worker
    ///
    /// Extended every third of it, or every 10s. When it runs out another worker adopts the job, or
    /// ends what is left of it and tries it again. This is for workers that hang: the death of one is
    /// noticed within about a second. 30s where not given.
    #[arg(long, value_name = "DURATION", value_parser = parse_lease)]
    pub lease: Option<Duration>,

    /// End when nothing is left to do
    ///
    /// That is when nothing is pending or in progress; jobs of paused queues do not count.
    /// `--drain=all` also waits for jobs whose time lies ahead, retries among them.
    #[arg(
        long,
        value_name = "WHAT",
        value_enum,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "pending"
    )]
    pub drain: Option<Drain>,

    /// Run jobs directly under this worker, with which they then end
    ///
    /// For swarms of tiny commands: twice as many a second. Without it each job has a small process
    /// of its own that watches over it, so it goes on when the worker is killed or upgraded, and the
    /// next worker adopts it.
    #[arg(long)]
    pub direct: bool,

    /// Start no job while less memory than this is free
    ///
    /// Of the machine, and of what the worker's own control group may have. Running jobs go on, and the worker starts jobs
    /// again by itself. 256MiB where not given; 0 turns it off.
    #[arg(long, value_name = "SIZE", value_parser = parse_reserve)]
    pub min_free_memory: Option<u64>,

    /// Start no job while less room than this is free on the disk
    ///
    /// On each disk that holds the store, its logs, or what running jobs write down. Running jobs go on, and the worker
    /// starts jobs again by itself. 256MiB where not given; 0 turns it off.
    #[arg(long, value_name = "SIZE", value_parser = parse_reserve)]
    pub min_free_disk: Option<u64>,

    /// The name of this worker, as `qcli workers` shows it
    ///
    /// The machine's name and the process id where not given.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
}

/// What `--drain` waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Drain {
    /// What is pending or in progress
    Pending,
    /// What is scheduled, too
    All,
}

impl WorkArgs {
    /// The options that these arguments stand for.
    #[must_use]
    pub fn options(&self) -> WorkerOptions {
        let defaults = WorkerOptions::default();
        WorkerOptions {
            name: self.name.clone().unwrap_or(defaults.name),
            queues: self.queues.clone(),
            concurrency: self.concurrency.unwrap_or(defaults.concurrency),
            lease_for: self.lease.unwrap_or(defaults.lease_for),
            until: self.drain.map_or(Until::Stopped, |drain| Until::Drained {
                scheduled_too: drain == Drain::All,
            }),
            is_direct: self.direct,
            config: None,
            reserve: Reserve {
                memory: self.min_free_memory.unwrap_or(defaults.reserve.memory),
                disk: self.min_free_disk.unwrap_or(defaults.reserve.disk),
            },
            takes_signals: true,
        }
    }
}

fn parse_reserve(text: &str) -> Result<u64, String> {
    if text.trim() == "0" {
        return Ok(0);
    }
    parse_bytes(text).map_err(|error| error.to_string())
}

fn parse_lease(text: &str) -> Result<Duration, String> {
    let lease = parse_duration(text).map_err(|error| error.to_string())?;
    if lease < WorkerOptions::SHORTEST_LEASE {
        return Err("the shortest lease is 500ms".to_owned());
    }
    Ok(lease)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        work: WorkArgs,
    }

    fn options(line: &str) -> Result<WorkerOptions, String> {
        let words = std::iter::once("work").chain(line.split_whitespace());
        let command = Command::try_parse_from(words).map_err(|error| error.to_string())?;
        Ok(command.work.options())
    }

    #[test]
    fn options_read_as_the_help_says() {
        let made = options("--min-free-memory 1G --min-free-disk 0").unwrap();
        let expected = Reserve {
            memory: 1 << 30,
            disk: 0,
        };
        assert_eq!(made.reserve, expected);
        assert_eq!(options("").unwrap().reserve, Reserve::default());
        let made = options("--queues a,b -j 3 --lease 2m --name w1").unwrap();
        assert_eq!(made.queues, ["a", "b"]);
        assert_eq!(made.concurrency.get(), 3);
        assert_eq!(made.lease_for, Duration::from_secs(120));
        assert_eq!((made.name.as_str(), made.until), ("w1", Until::Stopped));
        for (line, scheduled_too) in [
            ("--drain", false),
            ("--drain=pending", false),
            ("--drain=all", true),
        ] {
            assert_eq!(
                options(line).unwrap().until,
                Until::Drained { scheduled_too }
            );
        }
    }

    #[test]
    fn a_lease_that_no_disk_could_keep_is_refused() {
        for line in [
            "--lease 10ms",
            "--lease 30",
            "--concurrency 0",
            "--drain=some",
        ] {
            assert!(options(line).is_err(), "{line}");
        }
    }
}
