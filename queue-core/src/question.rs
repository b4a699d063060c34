//! Questions: what a running job wants to know from a person, and what it was told.
//!
//! Asked by `qcli ask` and found by adapters, answered by `qcli answer`; the store keeps every one
//! with its job. What always holds: a job asks one thing at a time; a question has one answer, and
//! that answer is for the attempt that asked or, once that has ended, for the one after it.

use crate::{clock::Timestamp, error::Error, job::JobId, lease::Epoch, words::spelled_enum};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};

/// The longest question, in bytes. It becomes a variable of the next attempt, and those are short.
pub const MAX_QUESTION: usize = 16 * 1024;

/// The longest answer, in bytes: half of what Linux passes as one variable (execve(2),
/// MAX_ARG_STRLEN).
pub const MAX_ANSWER: usize = 64 * 1024;

/// The most answers that a question can offer to choose from.
pub const MAX_CHOICES: usize = 32;

/// What a running job asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewQuestion {
    text: String,
    choices: Vec<String>,
}

impl NewQuestion {
    /// A question with the answers that can be chosen from; any answer will do where there are
    /// none.
    ///
    /// # Errors
    /// When a text is empty, too long or has a NUL byte in it, or there are too many choices.
    pub fn new(text: impl Into<String>, choices: Vec<String>) -> Result<Self, Error> {
        let text = text.into().trim().to_owned();
        check("question", &text, MAX_QUESTION)?;
        for choice in &choices {
            check("choice", choice, MAX_QUESTION)?;
        }
        if choices.len() > MAX_CHOICES {
            return Err(Error::OutOfRange {
                field: "number of choices",
                value: choices.len().to_string(),
                allowed: format!("{MAX_CHOICES} at the most"),
            });
        }
        Ok(Self { text, choices })
    }

    /// The question.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What can be chosen from.
    #[must_use]
    pub fn choices(&self) -> &[String] {
        &self.choices
    }
}

/// Refuses an answer that no attempt could be told.
///
/// # Errors
/// When it is empty, too long, or has a NUL byte in it.
pub fn check_answer(text: &str) -> Result<(), Error> {
    check("answer", text, MAX_ANSWER)
}

fn check(field: &'static str, text: &str, most: usize) -> Result<(), Error> {
    let wrong = |value: &str, allowed: String| Error::OutOfRange {
        field,
        value: value.to_owned(),
        allowed,
    };
    if text.trim().is_empty() {
        return Err(wrong("empty", "a text".to_owned()));
    }
    if text.contains('\0') {
        return Err(Error::NulByte(field));
    }
    if text.len() > most {
        let found = format!("{} bytes long", text.len());
        return Err(wrong(&found, format!("{most} bytes at the most")));
    }
    Ok(())
}

spelled_enum! {
    /// Who answered.
    AnsweredBy, "source of answers" {
        /// A person, by `qcli answer`.
        Person = "person",
        /// The job's own `--on-question default:TEXT`.
        Default = "default",
    }
}

/// What a job was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The answer.
    pub text: String,
    /// When it was given.
    pub at: Timestamp,
    /// By whom.
    pub by: AnsweredBy,
    /// Whether the attempt that asked has it. Otherwise the next attempt is told.
    pub is_taken: bool,
}

/// A question as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Its number among those of the job, from 1.
    pub number: u32,
    /// The attempt that asked.
    pub epoch: Epoch,
    /// The question.
    pub text: String,
    /// What can be chosen from; any answer will do where there is nothing.
    pub choices: Vec<String>,
    /// When it was asked.
    pub asked_at: Timestamp,
    /// The answer, once there is one.
    pub answer: Option<Answer>,
}

impl Question {
    /// Whether the attempt that asked ends without knowing an answer: then the job waits for it,
    /// or goes on with it.
    #[must_use]
    pub fn is_unsettled(&self) -> bool {
        !self.answer.as_ref().is_some_and(|answer| answer.is_taken)
    }

    /// Its first line, for where there is room for one.
    #[must_use]
    pub fn first_line(&self) -> &str {
        first_line(&self.text)
    }
}

/// The first line of a text.
#[must_use]
pub fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default().trim_end()
}

/// What becomes of a job that asks. Spelled `park`, `default:TEXT` or `fail`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum OnQuestion {
    /// It waits for a person, without a slot.
    #[default]
    Park,
    /// It is told this at once.
    Default(String),
    /// It fails.
    Fail,
}

impl fmt::Display for OnQuestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Park => f.write_str("park"),
            Self::Default(text) => write!(f, "default:{text}"),
            Self::Fail => f.write_str("fail"),
        }
    }
}

impl FromStr for OnQuestion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.strip_prefix("default:")) {
            ("park", _) => Ok(Self::Park),
            ("fail", _) => Ok(Self::Fail),
            (_, Some(answer)) => {
                check_answer(answer).map_err(|error| error.to_string())?;
                Ok(Self::Default(answer.to_owned()))
            }
            _ => Err(format!(
                "`{text}` is no way to treat questions; known are park, default:TEXT and fail"
            )),
        }
    }
}

impl Serialize for OnQuestion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for OnQuestion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What came of asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The question as it is kept, with the answer where the job answers itself.
    pub question: Question,
    /// What becomes of the job when its attempt ends.
    pub on_question: OnQuestion,
}

/// Why a job cannot be answered: it asks nothing now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotAsking {
    /// The job.
    pub job: JobId,
    /// Where it stands.
    pub state: crate::state::State,
    /// The last thing it asked, if it ever did.
    pub last: Option<Question>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_to_treat_questions_read_back_as_they_are_written() {
        for text in ["park", "fail", "default:yes, go on: now"] {
            let read: OnQuestion = text.parse().unwrap();
            assert_eq!(read.to_string(), text);
            let json = serde_json::to_string(&read).unwrap();
            assert_eq!(serde_json::from_str::<OnQuestion>(&json).unwrap(), read);
        }
        for text in ["", "default", "default:", "default: ", "ask"] {
            assert!(text.parse::<OnQuestion>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_question_that_nobody_could_read_is_refused() {
        let asked = NewQuestion::new(" Which?\n", vec!["a".into()]).unwrap();
        assert_eq!((asked.text(), asked.choices().len()), ("Which?", 1));
        for text in ["", " \n", "a\0b", &"x".repeat(MAX_QUESTION + 1)] {
            assert!(NewQuestion::new(text, Vec::new()).is_err());
        }
        assert!(NewQuestion::new("Which?", vec![String::new()]).is_err());
        assert!(NewQuestion::new("Which?", vec!["a".into(); MAX_CHOICES + 1]).is_err());
        assert!(check_answer(&"x".repeat(MAX_ANSWER)).is_ok());
        assert!(check_answer(&"x".repeat(MAX_ANSWER + 1)).is_err());
    }
}
