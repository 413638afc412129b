//! `levibot why`: the story of one order, trade, decision or record, from the journal and the tape.

mod features;
mod orders;
mod pass;
mod scene;
mod show;
mod story;
mod subject;
mod tell;

use std::path::Path;

pub use features::Features;
pub use scene::{HaltNote, Held, Scene};
pub use story::{
    DayPart, DecisionPart, FillPart, Filled, MemberVote, ModelPart, OrderEvent, OrderPart, Planned, ProtectionPart,
    ProtectionState, RecordPart, Refused, ResultPart, Section, Story, Term,
};
pub use subject::SubjectError;

use super::{read, run_folder};
use crate::app::AppError;
use pass::Pass;
use subject::Subject;

/// Tells the story of what `text` names, out of a data folder or the only run in it. The daemon may be running: the
/// journal is read as far as its lines are whole.
///
/// # Errors
/// [`AppError`] when `text` names nothing or several things, when there is no journal, or one that is damaged.
pub fn why(dir: &Path, text: &str) -> Result<Story, AppError> {
    let subject = Subject::parse(text)?;
    let dir = run_folder(dir)?;
    let mut pass = Pass::new(subject.clone());
    let recovery = read(&dir, "reading the journal", &mut |envelope, _| pass.take(envelope))?;
    let pass = pass.finish();
    if pass.found.is_empty() {
        let looked = recovery.head.seq;
        return Err(AppError::NotOnRecord { what: subject.to_string(), dir, looked });
    }
    if !pass.found.others.is_empty() {
        let mut names: Vec<String> = pass.found.orders.iter().map(ToString::to_string).collect();
        names.extend(pass.found.others.iter().cloned());
        return Err(AppError::SeveralOnRecord { what: text.to_owned(), names: names.join(", ") });
    }
    Ok(tell::tell(dir, text, &subject, pass, &recovery))
}
