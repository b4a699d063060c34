//! Whether a job that says that it is done has done what was asked.
//!
//! Asked on the attempt's thread after its process ended well: [`expect`] looks at the directory,
//! [`check`] says how a check is run, under the same supervision as the job. What always holds:
//! what is compared with was noted before the job's first process started; what a check printed is
//! plain text once it leaves this module; a check of an attempt is begun once, whoever goes on with
//! the attempt.

pub(crate) mod beginning;
pub(crate) mod check;
pub(crate) mod expect;
mod glob;
pub(crate) mod printed;
mod tree;
