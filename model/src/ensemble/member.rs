//! One member as the ensemble sees it.

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use levibot_core::features::FeatureId;
use levibot_core::forecast::Asked;

use crate::versions::MemberEntry;

/// What a member says of one question.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Said {
    /// Probability that the price rises, as the member gives it: before calibration.
    pub probability: f64,
    /// The 10 %, 50 % and 90 % quantiles of the log return over the horizon, where the member gives them.
    pub quantiles: Option<[f64; 3]>,
}

/// A member that can be asked. The windows that it is given have the right length and finite values.
pub trait MemberModel: Debug {
    /// One answer for each question, in their order.
    ///
    /// # Errors
    /// The words of native code.
    fn say(&self, asked: &[&Asked]) -> Result<Vec<Said>, String>;

    /// How much each of its inputs had to do with the answer, the largest first. The unit is the member's own: additions
    /// to the log odds for trees, weights of variables for the transformer.
    ///
    /// # Errors
    /// The words of native code.
    fn reasons(&self, asked: &Asked) -> Result<Vec<(FeatureId, f64)>, String>;

    /// Writes what it takes to load it again: a file or a folder of this path.
    ///
    /// # Errors
    /// The words of native code or of the system.
    fn save(&self, path: &Path) -> Result<(), String>;
}

/// Loads a member that was saved under a path.
pub(super) type Loader<'a> = &'a dyn Fn(&MemberEntry, &Path) -> Result<Box<dyn MemberModel>, String>;

/// Does something in native code; a panic of its glue becomes an error with the panic's words.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let words = words.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(format!("panicked: {}", words.unwrap_or_else(|| "without a word".to_owned())))
    })
}

/// Asks a member and checks that it answered every question with numbers.
pub(super) fn ask(model: &dyn MemberModel, asked: &[&Asked]) -> Result<Vec<Said>, String> {
    let said = guarded(|| model.say(asked))?;
    if said.len() != asked.len() {
        return Err(format!("{} answers to {} questions", said.len(), asked.len()));
    }
    match said.iter().find(|said| !(0.0..=1.0).contains(&said.probability)) {
        Some(said) => Err(format!("{} is no probability", said.probability)),
        None => Ok(said),
    }
}
