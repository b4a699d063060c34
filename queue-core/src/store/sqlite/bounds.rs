//! What one job may cost over all its attempts: how people change it.
//!
//! Called by the verbs `requeue` and `edit`. What always holds: whoever changes what a job may cost
//! leaves it something to spend. Otherwise its next attempt would end before it starts, and all that
//! the person had of it is a job that failed again.

use super::{fault::Done, ledger, rows, sql, tx::Tx};
use crate::{
    budget::Most,
    error::{Error, NothingLeft},
    job::{JobId, RunOptions},
    state::Verb,
};
use rusqlite::named_params;

/// Changes what is named of what a job that is requeued may cost.
pub(super) fn raise(tx: &Tx<'_>, id: JobId, most: &Most) -> Done<()> {
    if most.is_unbounded() {
        return Ok(());
    }
    let mut options = options(tx, id)?;
    options.max_cost = most.cost.or(options.max_cost);
    options.max_tokens = most.tokens.or(options.max_tokens);
    check(tx, id, &options.most(), Verb::Requeue)?;
    write(tx, id, &options)
}

/// Gives a waiting job other options. Where they leave its bounds as they are, these may be used up.
pub(super) fn replace_options(tx: &Tx<'_>, id: JobId, new: &RunOptions) -> Done<()> {
    if new.most() != options(tx, id)?.most() {
        check(tx, id, &new.most(), Verb::Edit)?;
    }
    write(tx, id, new)
}

fn options(tx: &Tx<'_>, id: JobId) -> Done<RunOptions> {
    let body = tx.one(sql::BODY, named_params! {":job": id.0}, rows::body)?;
    Ok(body.ok_or(Error::JobNotFound(id))?.options)
}

/// Refuses bounds that what the job has used reaches already.
fn check(tx: &Tx<'_>, job: JobId, most: &Most, verb: Verb) -> Done<()> {
    let spent = ledger::spent(tx.connection(), job, None)?;
    if most.is_used_up(&spent) {
        let most = *most;
        let nothing = NothingLeft {
            job,
            verb,
            most,
            spent,
        };
        return Err(Error::NothingLeft(Box::new(nothing)).into());
    }
    Ok(())
}

fn write(tx: &Tx<'_>, id: JobId, options: &RunOptions) -> Done<()> {
    tx.run(
        sql::EDIT_OPTIONS,
        named_params! {":job": id.0, ":options": serde_json::to_string(options)?},
    )?;
    Ok(())
}
