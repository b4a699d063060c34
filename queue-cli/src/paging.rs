//! How many jobs a list shows, and how they are read.
//!
//! `list` and `failed` share it: a terminal gets the newest ones, a pipe and JSON get all. Jobs are read page by page, so
//! that a list of a million needs no more memory than one of a thousand.

use std::num::NonZeroUsize;

use clap::Args;
use queue_core::store::{Filter, Summary};
use queue_core::units::parse_count;
use queue_core::{Now, Store};

use crate::error::CliError;
use crate::output::View;

/// Jobs read from the store at once.
const PAGE: usize = 500;

/// Jobs a terminal gets when nothing is said.
const USUAL: usize = 50;

/// How many jobs to show.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct AmountArgs {
    /// Show at most N jobs, the newest [default: 50 on a terminal, else all]
    #[arg(short = 'n', long, value_name = "N", value_parser = parse_count::<NonZeroUsize>, conflicts_with = "all")]
    limit: Option<NonZeroUsize>,

    /// Show all jobs, on a terminal too
    #[arg(long)]
    all: bool,
}

impl AmountArgs {
    /// The most to show to this reader; none where all are shown.
    pub(crate) fn most(self, view: &View) -> Option<usize> {
        match self.limit {
            Some(limit) => Some(limit.get()),
            None if self.all || view.json || !view.is_terminal => None,
            None => Some(USUAL),
        }
    }
}

/// Hands each job that `filter` lets through to `each`, newest first, at most `most` of them. Returns whether there are
/// more.
///
/// # Errors
/// When the store fails, or `each` does.
pub(crate) fn each_job(
    store: &dyn Store,
    mut filter: Filter,
    most: Option<usize>,
    now: &Now,
    mut each: impl FnMut(Summary) -> Result<(), CliError>,
) -> Result<bool, CliError> {
    let mut left = most;
    loop {
        // One more than is shown tells whether there are more.
        let asked = left.map_or(PAGE, |left| PAGE.min(left.saturating_add(1)));
        filter.most = Some(asked);
        let page = store.list(&filter, now)?;
        let is_last = page.len() < asked;
        for summary in page {
            if left == Some(0) {
                return Ok(true);
            }
            left = left.map(|left| left - 1);
            filter.before = Some(summary.job.id);
            each(summary)?;
        }
        if is_last {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_the_newest_and_everybody_else_all() {
        let pipe = View::pipe(chrono::Utc::now());
        let terminal = View {
            is_terminal: true,
            ..pipe
        };
        let json = View {
            json: true,
            ..terminal
        };
        let usual = AmountArgs::default();
        assert_eq!(usual.most(&terminal), Some(50));
        assert_eq!(usual.most(&pipe), None);
        assert_eq!(usual.most(&json), None);
        let all = AmountArgs { all: true, ..usual };
        assert_eq!(all.most(&terminal), None);
        let two = AmountArgs {
            limit: NonZeroUsize::new(2),
            ..usual
        };
        assert_eq!(two.most(&json), Some(2));
    }
}
