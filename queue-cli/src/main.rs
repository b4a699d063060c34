//! `qcli`.

fn main() {}
