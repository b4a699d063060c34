//! What people see: one file per command, the text held by snapshots.
