//! Which jobs a command is about, where they are not named one by one.
//!
//! Owns the narrowing options that `list` and all commands that change many jobs have in common, and turns them into the
//! store's [`Filter`].

use clap::Args;
use queue_core::store::Filter;
use queue_core::{Class, State};

/// Options that narrow down which jobs are meant. All that are given have to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub(crate) struct FilterArgs {
    /// Jobs of this queue; may be repeated
    #[arg(long, value_name = "QUEUE", help_heading = "Which jobs")]
    pub(crate) queue: Vec<String>,

    /// Jobs in this state: scheduled, pending, blocked, in_progress, completed, failed or cancelled
    ///
    /// May be repeated, or given as a list: `--state failed,cancelled`.
    #[arg(
        long,
        value_name = "STATE",
        value_delimiter = ',',
        help_heading = "Which jobs"
    )]
    pub(crate) state: Vec<State>,

    /// Jobs of this name
    #[arg(long, value_name = "NAME", help_heading = "Which jobs")]
    pub(crate) name: Option<String>,

    /// Jobs with this label, whatever its value or with just this one; may be repeated
    #[arg(long, value_name = "KEY[=VALUE]", value_parser = tag, help_heading = "Which jobs")]
    pub(crate) tag: Vec<(String, Option<String>)>,

    /// Jobs that failed for this reason, such as exit_code, timeout or spawn_failed
    #[arg(long, value_name = "CLASS", help_heading = "Which jobs")]
    pub(crate) class: Option<Class>,
}

impl FilterArgs {
    /// Tells whether anything is narrowed down.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The store's form.
    pub(crate) fn to_filter(&self) -> Filter {
        Filter {
            states: self.state.clone(),
            queues: self.queue.clone(),
            name: self.name.clone(),
            tags: self.tag.clone(),
            class: self.class,
            ..Filter::default()
        }
    }
}

/// Reads `key` or `key=value`.
pub(crate) fn tag(text: &str) -> Result<(String, Option<String>), String> {
    let (key, value) = match text.split_once('=') {
        Some((key, value)) => (key, Some(value.to_owned())),
        None => (text, None),
    };
    if key.is_empty() {
        return Err("a label needs a name: write `key` or `key=value`".to_owned());
    }
    Ok((key.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_reads_with_and_without_its_value() {
        assert_eq!(tag("team"), Ok(("team".into(), None)));
        assert_eq!(tag("team=a=b"), Ok(("team".into(), Some("a=b".into()))));
        assert!(tag("=b").is_err());
    }
}
