//! `qcli`, under a name of its own.

fn main() -> std::process::ExitCode {
    queue_cli::main()
}
