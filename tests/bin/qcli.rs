//! `qcli`, under a name of its own.

fn main() {}
