//! What a job asked and was told, as JSON and as a section of its page.
//!
//! Used by `qcli show`. The page cuts long texts; JSON has all of them.

use queue_core::question::{AnsweredBy, Question};
use serde::Serialize;

use super::json::Time;
use crate::output::table::{Fields, truncate};
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
