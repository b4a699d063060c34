//! `queue-worker`.

fn main() -> std::process::ExitCode {
    queue_worker::program::main()
}
