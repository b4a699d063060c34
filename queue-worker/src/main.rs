//! `queue-worker`.

fn main() {}
