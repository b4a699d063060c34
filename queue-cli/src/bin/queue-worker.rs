//! `queue-worker`.

fn main() -> std::process::ExitCode {
    queue_worker::shim::run_if_asked();
    queue_cli::worker::main()
}
