//! The parts of pages that are generated from code, between `<!-- generated: NAME -->` and
//! `<!-- end -->`.

use crate::pages;
use queue_core::job::{OnConflict, UniqueWhile};
use queue_core::state::{self, Class, Disposition, State, WaitReason};
use std::fmt::Write as _;
use std::{env, fs};

const BEGIN: &str = "<!-- generated: ";
const END: &str = "<!-- end -->";

/// How to write them anew.
const HINT: &str = "UPDATE_DOCS=1 cargo test -p queue-tests --test docs";

#[test]
fn every_generated_part_is_what_the_code_says() {
    let updates = env::var_os("UPDATE_DOCS").is_some();
    let mut parts = Vec::new();
    for page in pages::all() {
        let text = pages::read(&page);
        let current = generate_anew(&text, &mut parts);
        if text == current {
            continue;
        }
        assert!(updates, "{page} is out of date; write it anew: {HINT}");
        fs::write(pages::root().join(&page), current).expect("the page can be written");
    }
    parts.sort();
    parts.dedup();
    let expected = [
        "classes",
        "cli",
        "config",
        "diagram",
        "environment",
        "exit-codes",
        "rules",
        "states",
        "unique",
        "wait-reasons",
    ];
    assert_eq!(parts, expected, "each part stands on a page");
}

/// The page with its generated parts written anew; their names are added to `parts`.
fn generate_anew(text: &str, parts: &mut Vec<String>) -> String {
    let mut current = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(BEGIN) {
        let (name, after) = after.split_once(" -->").expect("the marker is closed");
        let (_, after) = after.split_once(END).expect("the generated part ends");
        let body = part(name);
        write!(
            current,
            "{before}{BEGIN}{name} -->\n{}\n{END}",
            body.trim_end()
        )
        .expect("writing to a String cannot fail");
        parts.push(name.to_owned());
        rest = after;
    }
    current + rest
}

fn part(name: &str) -> String {
    match name {
        "states" => rows(
            "state",
            State::ALL.iter().map(|s| (s.as_str(), s.meaning())),
        ),
        "diagram" => format!("```mermaid\n{}```", state::diagram()),
        "wait-reasons" => rows(
            "wait reason",
            WaitReason::ALL.iter().map(|r| (r.as_str(), r.meaning())),
        ),
        "unique" => unique(),
        "classes" => classes(),
        "exit-codes" => queue_cli::exit_code::reference(),
        "rules" => queue_worker::agent::rules::Rules::built_in().reference(),
        "environment" => queue_cli::environment::reference(),
        "config" => queue_cli::config::file::reference(),
        "cli" => commands(),
        other => panic!("nothing generates a part called `{other}`"),
    }
}

fn rows<'a>(what: &str, words: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut table = format!("| {what} | meaning |\n|---|---|\n");
    for (word, meaning) in words {
        let _ = writeln!(table, "| `{word}` | {meaning} |");
    }
    table
}

fn unique() -> String {
    let spans = UniqueWhile::ALL.iter().map(|w| (w.as_str(), w.meaning()));
    let ways = OnConflict::ALL.iter().map(|c| (c.as_str(), c.meaning()));
    format!(
        "{}\n{}",
        rows("--unique-while", spans),
        rows("--on-conflict", ways)
    )
}

fn classes() -> String {
    let mut table = "| class | why the attempt ended | then |\n|---|---|---|\n".to_owned();
    for class in Class::ALL {
        let _ = writeln!(
            table,
            "| `{class}` | {} | {} |",
            class.meaning(),
            policy(*class)
        );
    }
    table
}

/// What the default policy does, in words.
fn policy(class: Class) -> String {
    let usual = class.disposition(Some(1));
    let final_codes: Vec<String> = (0..=255)
        .filter(|code| class.disposition(Some(*code)) != usual)
        .map(|code| code.to_string())
        .collect();
    let words = match usual {
        Disposition::Retry => "tried again while attempts are left",
        Disposition::Fail => "failed at once",
        Disposition::Stall => "runs again; not counted as an attempt",
    };
    if final_codes.is_empty() {
        return words.to_owned();
    }
    format!("{words}; codes {}: failed at once", final_codes.join(", "))
}

/// The help of every command, as `--help` prints it at a width of 100.
fn commands() -> String {
    let mut page = String::new();
    for program in [queue_cli::command(), queue_cli::worker::command()] {
        let mut program = program.term_width(100);
        program.build();
        describe(&program, &mut Vec::new(), &mut page);
    }
    page
}

/// The help of a verb without the options that stand in the help of the program.
fn without_global_options(help: &str) -> String {
    let Some((before, rest)) = help.split_once("Global options:\n") else {
        return help.to_owned();
    };
    let after = rest.split_once("\nExamples:\n");
    after.map_or(before.to_owned(), |(_, examples)| {
        format!("{before}Examples:\n{examples}")
    })
}

fn describe(command: &clap::Command, path: &mut Vec<String>, page: &mut String) {
    path.push(command.get_name().to_owned());
    let help = command.clone().render_long_help().to_string();
    let help = if path.len() > 1 {
        without_global_options(&help)
    } else {
        help
    };
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    let _ = writeln!(
        page,
        "## {}\n\n```text\n{}\n```\n",
        path.join(" "),
        help.join("\n")
    );
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        describe(verb, path, page);
    }
    path.pop();
}
