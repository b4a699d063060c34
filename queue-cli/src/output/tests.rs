//! What reaches the two streams.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::table::Column;
use super::*;
use crate::exit_code::ExitCode;

/// A stream that keeps what it is given.
#[derive(Clone, Default)]
struct Stream {
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream {
    fn text(&self) -> String {
        String::from_utf8(self.bytes.lock().unwrap().clone()).unwrap()
    }
}

fn now() -> DateTime<Utc> {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn terminal() -> View {
    View {
        is_terminal: true,
        width: Some(30),
        ..View::pipe(now())
    }
}

/// Runs `command` and gives both streams.
fn streams(view: View, command: impl FnOnce(&mut Output)) -> (String, String) {
    let (data, words) = (Stream::default(), Stream::default());
    let mut out = Output::new(Box::new(data.clone()), Box::new(words.clone()), view);
    command(&mut out);
    out.flush().unwrap();
    (data.text(), words.text())
}

fn jobs() -> Table {
    let mut table = Table::new([Column::right("ID"), Column::flexible("COMMAND")]);
    table.row([7_i64.into(), "echo a long line that does not fit".into()]);
    table
}

#[test]
fn data_and_words_go_to_different_streams() {
    let (data, words) = streams(View::pipe(now()), |out| {
        out.line("41").unwrap();
        out.note("created store /tmp/queue.db");
        out.warn("no worker is alive\nstart one with `qcli work`");
    });
    assert_eq!(data, "41\n");
    assert_eq!(
        words,
        "note: created store /tmp/queue.db\nwarning: no worker is alive\n  start one with `qcli work`\n"
    );
}

#[test]
fn quiet_drops_notes_and_headings_but_no_warning() {
    let view = View {
        quiet: true,
        ..View::pipe(now())
    };
    let (data, words) = streams(view, |out| {
        out.table(&jobs()).unwrap();
        out.note("created store");
        out.warn("no worker is alive");
    });
    assert_eq!(data, "7  echo a long line that does not fit\n");
    assert_eq!(words, "warning: no worker is alive\n");
}

#[test]
fn a_table_fits_a_terminal_and_is_whole_in_a_pipe() {
    let (fitted, _) = streams(terminal(), |out| out.table(&jobs()).unwrap());
    assert_eq!(fitted, "ID  COMMAND\n 7  echo a long line that doe…\n");
    let (whole, _) = streams(View::pipe(now()), |out| out.table(&jobs()).unwrap());
    assert_eq!(
        whole,
        "ID  COMMAND\n 7  echo a long line that does not fit\n"
    );
}

#[test]
fn a_closed_pipe_ends_the_command_without_a_word() {
    let words = Stream::default();
    let mut out = Output::new(
        pipe_without_reader(),
        Box::new(words.clone()),
        View::pipe(now()),
    );
    let error = out
        .document(&"a line longer than any buffer\n".repeat(10_000))
        .unwrap_err();
    out.error(&error);
    assert!(error.is_closed_pipe());
    assert_eq!(error.exit_code(), ExitCode::Ok);
    assert_eq!(words.text(), "");
}

#[test]
fn a_closed_pipe_is_noticed_at_the_last_flush_too() {
    let mut out = Output::new(
        pipe_without_reader(),
        Box::new(Stream::default()),
        View::pipe(now()),
    );
    out.line("short").unwrap();
    assert!(out.flush().unwrap_err().is_closed_pipe());
}

/// A real pipe, buffered as standard output is, whose reader went away.
fn pipe_without_reader() -> Box<dyn Write + Send> {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    Box::new(BufWriter::new(writer))
}

// L4
#[test]
fn a_log_line_is_harmless_on_a_terminal_unless_raw_and_exact_in_a_pipe() {
    let line = b"\x1b[31mred\x1b[0m\x07";
    let show = |view, raw| streams(view, |out| out.log_line(line, raw).unwrap()).0;
    assert_eq!(show(terminal(), false), "red\\x07\n");
    assert_eq!(show(terminal(), true), "\x1b[31mred\x1b[0m\x07\n");
    assert_eq!(show(View::pipe(now()), false), "\x1b[31mred\x1b[0m\x07\n");
}

#[test]
fn json_objects_carry_the_schema_first_and_arrays_do_not() {
    #[derive(Serialize)]
    struct Job {
        id: i64,
        attempts: [i64; 1],
    }
    let job = Job {
        id: 7,
        attempts: [1],
    };
    let (data, _) = streams(View::pipe(now()), |out| {
        out.json(&job).unwrap();
        out.json(&[&job]).unwrap();
        out.json_line(&json!({"id": 8})).unwrap();
        out.json(&json!({})).unwrap();
        out.json(&Value::Null).unwrap();
    });
    assert_eq!(
        data,
        "{\"schema\":1,\"id\":7,\"attempts\":[1]}\n[{\"id\":7,\"attempts\":[1]}]\n\
         {\"schema\":1,\"id\":8}\n{\"schema\":1}\nnull\n"
    );
}

#[test]
fn notes_are_lines_of_json_when_json_is_asked_for() {
    let view = View {
        json: true,
        ..View::pipe(now())
    };
    let (_, words) = streams(view, |out| {
        out.note("created a new store");
        out.warn("no worker is alive");
    });
    let lines: Vec<Value> = words
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let expected = [
        json!({"schema": 1, "note": "created a new store"}),
        json!({"schema": 1, "warning": "no worker is alive"}),
    ];
    assert_eq!(lines, expected);
}

#[test]
fn json_cannot_steer_the_terminal_and_keeps_its_meaning() {
    let name = "a\u{1b}[2J\u{9b}\u{202e}";
    let (data, _) = streams(terminal(), |out| out.json(&json!({"name": name})).unwrap());
    assert!(
        data.chars().all(|c| c == '\n' || (' '..='~').contains(&c)),
        "{data:?}"
    );
    assert_eq!(serde_json::from_str::<Value>(&data).unwrap()["name"], name);
}

#[test]
fn an_error_is_json_on_standard_error_when_json_is_asked_for() {
    let view = View {
        json: true,
        ..View::pipe(now())
    };
    let error = CliError::not_found("no job 99").hint("`qcli list` shows the jobs");
    let (data, words) = streams(view, |out| out.error(&error));
    assert_eq!(data, "");
    let json: Value = serde_json::from_str(&words).unwrap();
    assert_eq!(json["error"]["kind"], "not_found");
    assert_eq!(json["error"]["hint"], "`qcli list` shows the jobs");
}

#[test]
fn columns_wins_over_the_terminal_and_a_pipe_has_no_width() {
    assert_eq!(width(false, Some("40")), None);
    assert_eq!(width(true, Some("40")), Some(40));
    assert!(width(true, Some("wide")).is_some_and(|cells| cells > 0));
    assert!(width(true, Some("0")).is_some_and(|cells| cells > 0));
}

#[test]
fn an_array_that_is_printed_bit_by_bit_is_one_json_value() {
    let long = json!([{"id": 1, "text": "a\nb"}, {"id": 2, "text": "\u{1b}[2J"}]);
    for view in [View::pipe(now()), terminal()] {
        for value in [json!([]), long.clone()] {
            let (data, _) = streams(view, |out| {
                let mut array = out.json_array().unwrap();
                for item in value.as_array().unwrap() {
                    array.item(item).unwrap();
                }
                array.end().unwrap();
            });
            assert_eq!(
                serde_json::from_str::<Value>(&data).unwrap(),
                value,
                "{data}"
            );
            assert!(data.ends_with("]\n") && !data.contains('\u{1b}'), "{data}");
        }
    }
}

#[test]
fn what_a_job_wrote_is_made_harmless_on_the_stream_that_is_a_terminal() {
    // L4
    let evil = b"\x1b]0;owned\x07text";
    let write = |out: &mut Output| {
        for side in [Side::Data, Side::Words] {
            out.log_piece(side, evil, false).unwrap();
            out.log_break(side).unwrap();
        }
    };
    let exact = String::from_utf8(evil.to_vec()).unwrap() + "\n";
    let (data, words) = streams(terminal(), write);
    assert_eq!((data.as_str(), words.as_str()), ("text\n", exact.as_str()));
    let only_error = View {
        error_is_terminal: true,
        ..View::pipe(now())
    };
    let (data, words) = streams(only_error, write);
    assert_eq!((data.as_str(), words.as_str()), (exact.as_str(), "text\n"));
}
