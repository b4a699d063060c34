//! What a worker says on standard error.
//!
//! Set up once, by the binary or by `qcli work`. What always holds: for people, one line per change
//! of state and nothing else; for programs, the same events as JSON with all their fields.

use std::fmt;
use std::io::{self, IsTerminal, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// How much to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Console {
    /// Only what went wrong.
    pub is_quiet: bool,
    /// 1 for what is decided on the way, 2 for everything.
    pub verbosity: u8,
    /// JSON, one event a line.
    pub is_json: bool,
}

impl Console {
    /// Starts to write events to standard error. Whoever has set up something else keeps it.
    ///
    /// `filter` has the directives of tracing-subscriber, where somebody gave some; it wins.
    pub fn start(self, filter: Option<&str>) {
        let filter = EnvFilter::new(filter.unwrap_or(self.directives()));
        let builder = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(|| Forgiving(io::stderr()));
        // An embedding program that has set up its own keeps it.
        let _ = if self.is_json {
            builder.json().flatten_event(true).try_init()
        } else {
            let lines = Lines {
                has_times: !io::stderr().is_terminal(),
            };
            builder.with_ansi(false).event_format(lines).try_init()
        };
    }

    fn directives(self) -> &'static str {
        match (self.is_quiet, self.verbosity) {
            (true, _) => "warn",
            (false, 0) => "info",
            (false, 1) => "debug",
            (false, _) => "trace",
        }
    }
}

/// Standard error that may be gone: a worker does not end because nobody listens.
struct Forgiving<W>(W);

impl<W: Write> Write for Forgiving<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(self.0.write(bytes).unwrap_or(bytes.len()))
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.0.flush();
        Ok(())
    }
}

/// One line per event: the message, which is a sentence; the time where it goes to a file.
struct Lines {
    has_times: bool,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut parts = Parts::default();
        event.record(&mut parts);
        if self.has_times {
            let now = chrono::Utc::now().format("%Y-%m-%dT%H:%M:%S%.3fZ");
            write!(writer, "{now} ")?;
        }
        let kind = match *event.metadata().level() {
            Level::ERROR => "error: ",
            Level::WARN => "warning: ",
            Level::INFO => "",
            Level::DEBUG => "debug: ",
            Level::TRACE => "trace: ",
        };
        writeln!(writer, "{kind}{}{}", parts.message, parts.error)
    }
}

#[derive(Default)]
struct Parts {
    message: String,
    error: String,
}

impl Visit for Parts {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = one_line(&format!("{value:?}")),
            "error" => self.error = one_line(&format!(": {value:?}")),
            _ => {}
        }
    }
}

/// Control bytes, which a job's message or name may bring along, must not reach a terminal.
fn one_line(text: &str) -> String {
    let keep = |letter: char| {
        if letter.is_control() {
            '\u{fffd}'
        } else {
            letter
        }
    };
    text.chars().map(keep).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_bytes_do_not_reach_the_terminal() {
        assert_eq!(one_line("a\u{1b}[2Jb\nc"), "a\u{fffd}[2Jb\u{fffd}c");
    }

    #[test]
    fn quiet_wins_over_verbose() {
        let directives = |is_quiet, verbosity| {
            Console {
                is_quiet,
                verbosity,
                is_json: false,
            }
            .directives()
        };
        assert_eq!(directives(true, 2), "warn");
        assert_eq!(directives(false, 0), "info");
        assert_eq!(directives(false, 9), "trace");
    }
}
