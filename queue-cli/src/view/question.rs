//! What a job asked and was told, as JSON and as a section of its page.
//!
//! Used by `qcli show` and `qcli status`. The page cuts long texts; JSON has all of them.

use queue_core::question::{AnsweredBy, Question};
use queue_core::store::Asking;
use queue_core::{JobId, State};
use serde::Serialize;

use super::json::Time;
use crate::output::color::Role;
use crate::output::table::{Cell, Column, Fields, Table, truncate};
use crate::output::time::Times;

/// A text longer than this is cut on the page.
const CELLS: usize = 400;

/// A question as JSON.
#[derive(Debug, Serialize)]
pub struct QuestionJson<'a> {
    number: u32,
    epoch: i64,
    question: &'a str,
    choices: &'a [String],
    asked_at: Time,
    answer: Option<&'a str>,
    answered_at: Option<Time>,
    answered_by: Option<AnsweredBy>,
}

impl<'a> From<&'a Question> for QuestionJson<'a> {
    fn from(question: &'a Question) -> Self {
        let answer = question.answer.as_ref();
        Self {
            number: question.number,
            epoch: question.epoch.0,
            question: &question.text,
            choices: &question.choices,
            asked_at: Time(question.asked_at),
            answer: answer.map(|answer| answer.text.as_str()),
            answered_at: answer.map(|answer| Time(answer.at)),
            answered_by: answer.map(|answer| answer.by),
        }
    }
}

/// A job that asks, as JSON.
#[derive(Debug, Serialize)]
pub struct AskingJson<'a> {
    id: JobId,
    name: Option<&'a str>,
    state: State,
    question: &'a str,
    choices: &'a [String],
    asked_at: Time,
}

impl<'a> From<&'a Asking> for AskingJson<'a> {
    fn from(asking: &'a Asking) -> Self {
        Self {
            id: asking.job,
            name: asking.name.as_deref(),
            state: asking.state,
            question: &asking.question.text,
            choices: &asking.question.choices,
            asked_at: Time(asking.question.asked_at),
        }
    }
}

/// What jobs ask, with the command that answers each.
#[must_use]
pub fn table(asking: &[Asking], times: Times) -> Table {
    let mut table = Table::new([
        Column::right("ID"),
        Column::left("ASKED"),
        Column::flexible("QUESTION"),
        Column::left("ANSWER"),
    ]);
    for one in asking {
        table.row([
            Cell::from(one.job.0),
            Cell::from(times.relative(one.question.asked_at)),
            Cell::colored(one.question.first_line(), Role::Waiting),
            Cell::from(format!("qcli answer {} TEXT", one.job)),
        ]);
    }
    table
}

/// The section of a page: questions and answers, oldest first; none where nothing was asked.
#[must_use]
pub fn section(questions: &[Question], times: Times) -> Option<Fields> {
    let mut fields = Fields::new();
    for question in questions {
        let choices = match question.choices.as_slice() {
            [] => String::new(),
            choices => format!(" [{}]", choices.join(" | ")),
        };
        fields.add(
            format!("asked {}", times.relative(question.asked_at)),
            format!("{}{choices}", truncate(&question.text, CELLS)),
        );
        match &question.answer {
            None => fields.add("answer", "none"),
            Some(answer) => {
                let by = match answer.by {
                    AnsweredBy::Person => "",
                    AnsweredBy::Default => " by default",
                };
                fields.add(
                    format!("answered{by} {}", times.relative(answer.at)),
                    truncate(&answer.text, CELLS),
                );
            }
        }
    }
    (!questions.is_empty()).then_some(fields)
}
