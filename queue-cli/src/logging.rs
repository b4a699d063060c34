//! Logs of the program itself, for whoever looks for a mistake in it.
//!
//! [`crate::run`] starts them; nothing is logged unless `-v` or `$QUEUE_LOG` asks for it, and all of it goes to standard
//! error, so data on standard output stays clean.

use std::ffi::OsStr;

use tracing_subscriber::EnvFilter;

use crate::context::Context;

/// Starts logging where it was asked for: `-v` says what changes, `-vv` why, `-vvv` everything; `$QUEUE_LOG` takes the
/// directives of tracing-subscriber and wins.
pub(crate) fn start(context: &Context) {
    let asked = context.around.variable("QUEUE_LOG").and_then(OsStr::to_str);
    let Some(directives) = directives(context.global.verbose, asked) else {
        return;
    };
    // A second start in one process (a test) keeps the first one's settings.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(directives))
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .try_init();
}

fn directives(verbose: u8, asked: Option<&str>) -> Option<String> {
    match (asked, verbose) {
        (Some(asked), _) => Some(asked.to_owned()),
        (None, 0) => None,
        (None, 1) => Some("info".to_owned()),
        (None, 2) => Some("debug".to_owned()),
        (None, _) => Some("trace".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_logged_unless_asked_for() {
        assert_eq!(directives(0, None), None);
        assert_eq!(directives(2, None).as_deref(), Some("debug"));
        assert_eq!(
            directives(1, Some("queue_core=trace")).as_deref(),
            Some("queue_core=trace")
        );
    }
}
