//! `qcli`: how people and programs reach the queue.
