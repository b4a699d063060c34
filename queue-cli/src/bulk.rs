//! Changing one job or many: which are meant, and what is said of each.
//!
//! `cancel`, `requeue`, `hold`, `release` and `edit` share it. A job that is refused does not keep the others from being
//! changed; it is told on standard error and decides the exit code. All jobs are only meant when `--all` says so.

use clap::Args;
use queue_core::store::PerJob;
use queue_core::{JobId, State, Store, Verb, state::transition};
use serde_json::{Value, json};

use crate::context::Context;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::filter::FilterArgs;
use crate::resolve;
use crate::selector::Selector;

/// Jobs changed in one transaction at the most, so that others get their turn to write in between.
const BATCH: usize = 1_000;

/// Which jobs to change.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct JobsArgs {
    /// Jobs, each by number, name, `@` or `@~2`
    #[arg(value_name = "JOB")]
    pub(crate) jobs: Vec<Selector>,

    #[command(flatten)]
    pub(crate) filter: FilterArgs,

    /// All jobs that allow it
    #[arg(long, help_heading = "Which jobs")]
    pub(crate) all: bool,
}

/// The jobs that are meant, and the ones that are not there.
#[derive(Debug, Default)]
pub(crate) struct Meant {
    pub(crate) ids: Vec<JobId>,
    pub(crate) missing: Vec<CliError>,
}

impl JobsArgs {
    /// Finds the jobs that are meant. By filter these are the ones whose state allows `verb`, oldest first.
    ///
    /// # Errors
    /// When nothing says which jobs are meant, or two things do (exit code 2), or the store fails.
    pub(crate) fn find(&self, store: &dyn Store, verb: Verb) -> Result<Meant, CliError> {
        self.check(verb)?;
        if self.jobs.is_empty() {
            return Ok(Meant {
                ids: self.matching(store, verb)?,
                missing: Vec::new(),
            });
        }
        let mut meant = Meant::default();
        for selector in &self.jobs {
            match resolve::job(store, selector) {
                Ok(id) if meant.ids.contains(&id) => {}
                Ok(id) => meant.ids.push(id),
                Err(error) if error.exit_code() == ExitCode::NotFound => meant.missing.push(error),
                Err(error) => return Err(error),
            }
        }
        Ok(meant)
    }

    fn check(&self, verb: Verb) -> Result<(), CliError> {
        let filtered = !self.filter.is_empty();
        match (self.jobs.is_empty(), filtered, self.all) {
            (true, false, false) => Err(CliError::usage(format!(
                "which jobs to {verb} is not said"
            ))
            .hint(format!(
                "name them as in `qcli {verb} 42`, narrow them down with --queue, --state, --tag, --name or --class, \
                 or say `--all`"
            ))),
            (false, true, _) | (false, _, true) => Err(CliError::usage(
                "jobs are named one by one and by a filter: only one of both can be meant",
            )
            .hint(format!("`qcli {verb} --help` shows both ways"))),
            _ => Ok(()),
        }
    }

    fn matching(&self, store: &dyn Store, verb: Verb) -> Result<Vec<JobId>, CliError> {
        let mut filter = self.filter.to_filter();
        filter.oldest_first = true;
        if filter.states.is_empty() {
            filter.states = states_for(verb);
        }
        Ok(store.ids(&filter)?)
    }
}

/// The states from which `verb` leads anywhere, or changes anything.
fn states_for(verb: Verb) -> Vec<State> {
    State::ALL
        .iter()
        .copied()
        .filter(|state| transition(*state, verb).is_some())
        .filter(|state| verb != Verb::Cancel || !state.is_ended())
        .collect()
}

/// What is said of a job that was changed: the words, and the fields of its JSON beside the id.
pub(crate) struct Said {
    pub(crate) words: String,
    pub(crate) fields: Value,
}

/// Changes the jobs in batches and says what became of each.
///
/// # Errors
/// When the store fails, or standard output does. A refused job is no error here: it is told, and makes the exit code.
pub(crate) fn change<T>(
    context: &mut Context,
    meant: &Meant,
    mut verb: impl FnMut(&[JobId]) -> queue_core::Result<PerJob<T>>,
    say: impl Fn(JobId, T) -> Said,
) -> Result<ExitCode, CliError> {
    let mut report = Report::default();
    for error in &meant.missing {
        report.refused(context, None, error);
    }
    for batch in meant.ids.chunks(BATCH) {
        for (id, result) in batch.iter().zip(verb(batch)?) {
            match result {
                Ok(done) => report.done(context, *id, say(*id, done))?,
                Err(error) => report.refused(context, Some(*id), &CliError::from(error)),
            }
        }
    }
    report.end(context)
}

/// Gathers what became of the jobs, for JSON and for the exit code.
#[derive(Default)]
struct Report {
    jobs: Vec<Value>,
    code: Option<ExitCode>,
}

impl Report {
    fn done(&mut self, context: &mut Context, id: JobId, said: Said) -> Result<(), CliError> {
        if context.out.is_json() {
            let mut fields = said.fields;
            fields["id"] = json!(id);
            self.jobs.push(fields);
            return Ok(());
        }
        if context.out.view().quiet {
            return Ok(());
        }
        context.out.line(said.words)
    }

    fn refused(&mut self, context: &mut Context, id: Option<JobId>, error: &CliError) {
        self.code.get_or_insert(error.exit_code());
        if context.out.is_json() {
            let mut fields = error.to_json();
            if let Some(fields) = fields.as_object_mut() {
                fields.remove("schema");
                fields.insert("id".to_owned(), json!(id));
            }
            self.jobs.push(fields);
        } else {
            context.out.error(error);
        }
    }

    fn end(self, context: &mut Context) -> Result<ExitCode, CliError> {
        if context.out.is_json() {
            context.out.json(&json!({ "jobs": self.jobs }))?;
        } else if self.jobs.is_empty() && self.code.is_none() {
            context.out.flush()?;
        }
        Ok(self.code.unwrap_or(ExitCode::Ok))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_without_states_means_those_that_allow_the_verb() {
        assert_eq!(
            states_for(Verb::Cancel),
            [
                State::Scheduled,
                State::Pending,
                State::Blocked,
                State::InProgress
            ]
        );
        assert_eq!(
            states_for(Verb::Requeue),
            [State::Completed, State::Failed, State::Cancelled]
        );
        assert_eq!(
            states_for(Verb::Release),
            [State::Scheduled, State::Blocked]
        );
    }

    #[test]
    fn nothing_narrowed_down_asks_for_all() {
        let error = JobsArgs::default().check(Verb::Cancel).unwrap_err();
        assert_eq!(error.exit_code(), ExitCode::Usage);
        assert!(error.to_json().to_string().contains("--all"));
        let all = JobsArgs {
            all: true,
            ..JobsArgs::default()
        };
        all.check(Verb::Cancel).unwrap();
    }

    #[test]
    fn jobs_by_number_and_by_filter_together_are_refused() {
        let both = JobsArgs {
            jobs: vec![Selector::Id(4)],
            all: true,
            ..JobsArgs::default()
        };
        assert!(both.check(Verb::Hold).is_err());
    }
}
