//! What an agent said and did, in words for a person: a line of its JSON output as a few plain ones.
//!
//! Used by `qcli logs --said` and wherever the last lines of an agent are shown; nothing is decided by
//! it. What always holds: a line that is no known event of an agent comes back as it is, one that is
//! too long as a remark; what a tool answered is left out, it is in the log.

use std::borrow::Cow;

use serde_json::Value;

use super::json::Event;
use super::lines::Lines;
use crate::agent::text::truncated;
use crate::log::{Line, Stream};

/// The most that is shown of what a tool was called with, in bytes.
const SHOWN: usize = 200;

/// Where a tool's input usually says what it is about.
const TELLING: [&str; 9] = [
    "command",
    "file_path",
    "filePath",
    "path",
    "pattern",
    "url",
    "query",
    "description",
    "prompt",
];

/// Puts an agent's output into words, one piece after the other.
#[derive(Debug, Default)]
pub struct Said {
    begun: [Lines; 2],
    /// The last text, which the final event often says once more.
    last: String,
    /// Pieces of a text that comes bit by bit.
    pieces: String,
}

impl Said {
    /// Takes a line of a log, or a part of one; gives the lines to show for all that is whole now.
    pub fn take(&mut self, line: &Line) -> Vec<String> {
        let begun = &mut self.begun[usize::from(line.stream == Stream::Stderr)];
        let bytes = closed(line);
        let Some((whole, _)) = begun.take(&bytes) else {
            return Vec::new();
        };
        let whole = whole.map(Cow::into_owned);
        self.words(whole.as_deref())
    }

    /// What is left when the output is over: a last line without an end, a text whose last piece is there.
    pub fn finish(&mut self) -> Vec<String> {
        let mut said = Vec::new();
        for at in 0..self.begun.len() {
            if let Some(rest) = self.begun[at].take_rest() {
                said.extend(self.words(rest.as_deref()));
            }
        }
        said.extend(self.flush());
        said
    }

    fn words(&mut self, line: Option<&[u8]>) -> Vec<String> {
        let Some(line) = line else {
            return vec!["(a line that is too long)".to_owned()];
        };
        let value = serde_json::from_slice::<Value>(line)
            .ok()
            .filter(Value::is_object);
        let Some(value) = value else {
            let mut said = self.flush();
            said.push(String::from_utf8_lossy(line).into_owned());
            return said;
        };
        let event = Event(&value);
        if let Some(piece) = piece(&event) {
            self.pieces.push_str(&piece);
            let whole = self.pieces.rfind('\n').map_or(0, |end| end + 1);
            let rest = self.pieces.split_off(whole);
            let said = std::mem::replace(&mut self.pieces, rest);
            return said.lines().map(str::to_owned).collect();
        }
        let mut said = self.flush();
        match of_event(&event) {
            None => said.push(String::from_utf8_lossy(line).into_owned()),
            Some(parts) => {
                for part in parts {
                    self.say(part, &mut said);
                }
            }
        }
        said
    }

    fn say(&mut self, part: Part, said: &mut Vec<String>) {
        match part {
            Part::Text(text) => {
                said.extend(text.lines().map(str::to_owned));
                self.last = text;
            }
            Part::Result(text) if text.trim() == self.last.trim() => {}
            Part::Result(text) => said.extend(text.lines().map(str::to_owned)),
            Part::Done(what) => said.push(format!("> {what}")),
            Part::Error(text) => said.push(format!("! {text}")),
        }
    }

    fn flush(&mut self) -> Vec<String> {
        self.last.push_str(&self.pieces);
        let pieces = std::mem::take(&mut self.pieces);
        pieces.lines().map(str::to_owned).collect()
    }
}

/// A part of what an event says.
enum Part {
    Text(String),
    /// The answer as a whole.
    Result(String),
    /// A tool that was called.
    Done(String),
    Error(String),
}

/// The bytes with the line end that the log keeps apart.
fn closed(line: &Line) -> Cow<'_, [u8]> {
    if line.is_full {
        Cow::Owned([&line.text, &b"\n"[..]].concat())
    } else {
        Cow::Borrowed(&line.text)
    }
}

/// A piece of a text that comes bit by bit (gemini).
fn piece(event: &Event<'_>) -> Option<String> {
    let is_piece = event.text("type") == Some("message")
        && event.flag("delta") == Some(true)
        && event.text("role") != Some("user");
    is_piece.then(|| event.content("content"))
}

/// What an event says; nothing for one that is not for people, `None` for one that nobody knows.
fn of_event(event: &Event<'_>) -> Option<Vec<Part>> {
    let kind = event.text("type");
    let parts = match kind {
        Some("assistant") => blocks(event, "message.content"),
        Some("message") if event.at("message").is_some() => match event.text("message.role") {
            Some("assistant") => blocks(event, "message.content"),
            _ => Vec::new(),
        },
        Some("message") => match event.text("role") {
            Some("user") => Vec::new(),
            _ => vec![Part::Text(event.content("content"))],
        },
        Some("item.completed") => item(event),
        Some("text") => vec![Part::Text(
            event.text("part.text").unwrap_or_default().to_owned(),
        )],
        Some("tool_use") => vec![called(
            event.text("tool_name").or_else(|| event.text("part.tool")),
            event
                .at("parameters")
                .or_else(|| event.at("part.state.input")),
        )],
        Some("result") => result(event),
        Some("error" | "turn.failed") => vec![Part::Error(error(event))],
        Some("rate_limit_event") if event.text("rate_limit_info.status") == Some("rejected") => {
            vec![Part::Error("the provider's limit is reached".to_owned())]
        }
        Some("system") if event.text("subtype") == Some("api_retry") => {
            let why = event.text("error").unwrap_or("the provider did not answer");
            vec![Part::Error(format!("{why}; the agent tries again"))]
        }
        Some(
            "system" | "user" | "stream_event" | "rate_limit_event" | "init" | "tool_result"
            | "thread.started" | "turn.started" | "turn.completed" | "item.started"
            | "item.updated" | "step_start" | "step_finish" | "reasoning" | "notification"
            | "complete" | "tool_progress" | "thinking" | "tool_call",
        ) => Vec::new(),
        None if event.at("result").is_some() || event.at("response").is_some() => result(event),
        _ => return None,
    };
    Some(parts)
}

/// The blocks of a message: texts, and tools that are called.
fn blocks(event: &Event<'_>, path: &str) -> Vec<Part> {
    if let Some(text) = event.text(path) {
        return vec![Part::Text(text.to_owned())];
    }
    let part = |block: Event<'_>| match block.text("type") {
        Some("text") => block.text("text").map(|text| Part::Text(text.to_owned())),
        Some("tool_use") => Some(called(block.text("name"), block.at("input"))),
        Some("toolRequest") => Some(called(
            block.text("toolCall.value.name"),
            block.at("toolCall.value.arguments"),
        )),
        _ => None,
    };
    event.list(path).filter_map(part).collect()
}

/// A step of codex that is over.
fn item(event: &Event<'_>) -> Vec<Part> {
    let item = event.sub("item");
    let text = |path: &str| item.text(path).unwrap_or_default().to_owned();
    let part = match item.text("type").or_else(|| item.text("item_type")) {
        Some("agent_message" | "assistant_message") => Part::Text(text("text")),
        Some("command_execution") => {
            let code = item.number("exit_code").filter(|code| *code != 0);
            let ended = code
                .map(|code| format!(" (exit code {code})"))
                .unwrap_or_default();
            Part::Done(format!("{}{ended}", truncated(&text("command"), SHOWN)))
        }
        Some("file_change") => {
            let paths = item
                .list("changes")
                .filter_map(|change| change.text("path"));
            Part::Done(format!("changed {}", paths.collect::<Vec<_>>().join(", ")))
        }
        Some("mcp_tool_call") => called(item.text("tool"), item.at("arguments")),
        Some("web_search") => {
            Part::Done(format!("web_search {}", truncated(&text("query"), SHOWN)))
        }
        Some("error") => Part::Error(text("message")),
        _ => return Vec::new(),
    };
    vec![part]
}

fn result(event: &Event<'_>) -> Vec<Part> {
    let text = event.text("result").or_else(|| event.text("response"));
    let is_error = event.flag("is_error") == Some(true) || event.at("error").is_some();
    match text {
        _ if is_error => vec![Part::Error(
            text.map_or_else(|| error(event), str::to_owned),
        )],
        Some(text) => vec![Part::Result(text.to_owned())],
        None => Vec::new(),
    }
}

fn error(event: &Event<'_>) -> String {
    let places = [
        "message",
        "error.message",
        "error.data.message",
        "error",
        "error.name",
        "subtype",
    ];
    let text = places.iter().find_map(|place| event.text(place));
    text.unwrap_or("it failed").to_owned()
}

fn called(tool: Option<&str>, input: Option<&Value>) -> Part {
    let tool = tool.unwrap_or("a tool");
    let Some(input) = input else {
        return Part::Done(tool.to_owned());
    };
    let about = TELLING.iter().find_map(|name| input.get(name)?.as_str());
    let about = about.map_or_else(|| input.to_string(), str::to_owned);
    let line = about.lines().next().unwrap_or_default();
    Part::Done(format!("{tool} {}", truncated(line, SHOWN)))
}

#[cfg(test)]
mod tests {
    use chrono::Utc;

    use super::*;

    fn line(text: &str, is_full: bool) -> Line {
        Line {
            at: Utc::now(),
            stream: Stream::Stdout,
            text: text.as_bytes().to_vec(),
            is_full,
        }
    }

    fn said(lines: &[&str]) -> Vec<String> {
        let mut said = Said::default();
        let mut words: Vec<String> = Vec::new();
        for text in lines {
            words.extend(said.take(&line(text, true)));
        }
        words.extend(said.finish());
        words
    }

    #[test]
    fn texts_tools_and_errors_of_every_dialect_are_told() {
        let claude = [
            r#"{"type":"system","subtype":"init","session_id":"s"}"#,
            r#"{"type":"assistant","message":{"content":[{"type":"thinking","thinking":"hm"},{"type":"text","text":"I look.\nThen I run it."},{"type":"tool_use","name":"Bash","input":{"command":"npm test\nmore"}}]}}"#,
            r#"{"type":"user","message":{"content":[{"type":"tool_result","content":"secret"}]}}"#,
            r#"{"type":"assistant","message":{"content":[{"type":"text","text":"Done."}]}}"#,
            r#"{"type":"result","subtype":"success","is_error":false,"result":"Done."}"#,
        ];
        assert_eq!(
            said(&claude),
            ["I look.", "Then I run it.", "> Bash npm test", "Done."]
        );
        let codex = [
            r#"{"type":"thread.started","thread_id":"t"}"#,
            r#"{"type":"item.completed","item":{"type":"command_execution","command":"cargo test","exit_code":101}}"#,
            r#"{"type":"item.completed","item":{"type":"file_change","changes":[{"path":"a.rs"},{"path":"b.rs"}]}}"#,
            r#"{"type":"item.completed","item":{"type":"agent_message","text":"Mended."}}"#,
            r#"{"type":"turn.failed","error":{"message":"usage limit"}}"#,
        ];
        let expected = [
            "> cargo test (exit code 101)",
            "> changed a.rs, b.rs",
            "Mended.",
            "! usage limit",
        ];
        assert_eq!(said(&codex), expected);
        let gemini = [
            r#"{"type":"message","role":"user","content":"do it"}"#,
            r#"{"type":"message","role":"assistant","content":"One ","delta":true}"#,
            r#"{"type":"message","role":"assistant","content":"line\nand ano","delta":true}"#,
            r#"{"type":"message","role":"assistant","content":"ther","delta":true}"#,
            r#"{"type":"tool_use","tool_name":"read_file","parameters":{"path":"x"}}"#,
            r#"{"type":"result","status":"success"}"#,
        ];
        assert_eq!(said(&gemini), ["One line", "and another", "> read_file x"]);
        let opencode = [
            r#"{"type":"text","part":{"text":"Hello."}}"#,
            r#"{"type":"tool_use","part":{"tool":"bash","state":{"input":{"command":"ls"}}}}"#,
            r#"{"type":"error","error":{"name":"APIError","data":{"message":"overloaded"}}}"#,
        ];
        assert_eq!(said(&opencode), ["Hello.", "> bash ls", "! overloaded"]);
    }

    #[test]
    fn what_is_no_event_comes_back_as_it_is_however_it_was_cut() {
        assert_eq!(
            said(&["warning: old node", r#"{"type":"new in 3.0"}"#, "[1]", "{"]),
            ["warning: old node", r#"{"type":"new in 3.0"}"#, "[1]", "{"]
        );
        let mut parts = Said::default();
        assert!(parts.take(&line(r#"{"type":"text","#, false)).is_empty());
        assert_eq!(
            parts.take(&line(r#""part":{"text":"whole"}}"#, true)),
            ["whole"]
        );
        assert!(parts.take(&line("no end", false)).is_empty());
        assert_eq!(parts.finish(), ["no end"]);
    }
}
