//! `chaos`: random jobs, random kills, and a look afterwards whether every promise was kept.
//!
//! Runs real workers and shims, which are this same program under other names, in a directory of
//! its own; `./test` runs it briefly, people for as long as they like. What always holds: a
//! violation makes it exit with 1 and print the seed, the job, its history and its log; and nothing
//! that it started outlives it.

mod dice;
mod effects;
mod guard;
mod jobs;
mod mischief;
mod processes;
mod scene;
mod verdict;
mod world;

use clap::Parser;
use std::{
    env,
    ffi::OsStr,
    fmt,
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Kills workers, shims and jobs at random, and checks that the queue keeps its promises.
#[derive(Debug, Parser)]
#[command(name = "chaos")]
struct Args {
    /// How long to make mischief, in seconds
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Make mischief until so many processes were killed, however long that takes
    #[arg(long, conflicts_with = "seconds")]
    kills: Option<usize>,
    /// How many workers
    #[arg(long, default_value_t = 3)]
    workers: usize,
    /// The seed of all chance; another one each time where not given
    #[arg(long)]
    seed: Option<u64>,
}

fn main() -> ExitCode {
    queue_worker::shim::run_if_asked();
    let mut words = env::args_os();
    let name = words.next().unwrap_or_default();
    match Path::new(&name).file_name().and_then(OsStr::to_str) {
        Some("qcli") => return queue_cli::main(),
        Some("queue-worker") => return queue_cli::worker::main(),
        _ => {}
    }
    if words.next().as_deref() == Some(guard::ARGUMENT.as_ref()) {
        guard::stand(words);
        return ExitCode::SUCCESS;
    }
    run(&Args::parse())
}

fn run(args: &Args) -> ExitCode {
    let seed = args.seed.unwrap_or_else(fresh_seed);
    let length = match args.kills {
        Some(kills) => format!("--kills {kills}"),
        None => format!("--seconds {}", args.seconds),
    };
    say(format_args!(
        "chaos {length} --workers {} --seed {seed}",
        args.workers
    ));
    let mut world = world::World::new(seed, args.workers);
    let until = Instant::now() + Duration::from_secs(args.seconds);
    let is_enough = |world: &world::World| match args.kills {
        Some(kills) => world.kills() >= kills,
        None => Instant::now() >= until,
    };
    while !is_enough(&world) {
        mischief::one_deed(&mut world);
        world.rest();
    }
    let mut violations = world.drain();
    violations.append(&mut verdict::of(&world));
    say(format_args!("{}", world.summary()));
    if violations.is_empty() {
        say(format_args!("seed {seed}: no violation"));
        return ExitCode::SUCCESS;
    }
    for violation in &violations {
        say(format_args!("\nVIOLATION (seed {seed}): {violation}"));
    }
    say(format_args!(
        "\nseed {seed}: {} violations",
        violations.len()
    ));
    ExitCode::FAILURE
}

fn fresh_seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::from(since.unwrap_or_default().subsec_nanos()) ^ u64::from(std::process::id())
}

/// Prints a line; nobody who listens is no reason to stop.
fn say(words: fmt::Arguments<'_>) {
    let _ = writeln!(io::stdout().lock(), "{words}");
}
