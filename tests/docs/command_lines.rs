//! Every command line that a page or a help text shows is one that `qcli` understands.

use crate::pages;
use clap::error::ErrorKind;

/// The words of the command that a line begins with: up to a comment, a pipe or another command,
/// read as a shell reads quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut spaces = 0;
    for letter in line.chars() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (Some(_), _) => word.get_or_insert_default().push(letter),
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, ' ') => {
                words.extend(word.take());
                spaces += 1;
                // Two spaces set off the words that explain the example.
                if spaces > 1 {
                    return words;
                }
                continue;
            }
            (None, '|' | ';' | '<' | '>' | '&' | ')') => break,
            (None, '#') if word.is_none() => break,
            (None, _) => word.get_or_insert_default().push(letter),
        }
        spaces = 0;
    }
    words.extend(word);
    words
}

#[test]
fn every_command_line_that_is_shown_can_be_typed() {
    let command = queue_cli::command();
    let mut tried = 0;
    let mut refused = Vec::new();
    for page in pages::all() {
        let text = pages::read(&page);
        for block in text.split("```").skip(1).step_by(2) {
            for line in block.lines().map(str::trim_start) {
                let line = line.strip_prefix("$ ").unwrap_or(line);
                let words = words(line);
                let is_example = words.len() > 1
                    && words[0] == "qcli"
                    && words[1].starts_with(|c: char| c.is_ascii_lowercase());
                if !is_example {
                    continue;
                }
                tried += 1;
                if let Err(error) = command.clone().try_get_matches_from(&words)
                    && error.kind() != ErrorKind::DisplayHelp
                {
                    refused.push(format!("{page}: {line}\n{error}"));
                }
            }
        }
    }
    assert!(tried > 80, "only {tried} examples were found");
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}
