//! What a model is shown of a bar, and the words that daemon and model server speak.
//!
//! One layout of inputs ties training, artefact and live features together: [`schema_hash`] is over the features, their
//! formulas and the length of the window, and a model of another hash is refused when it is loaded.

mod inputs;
mod kept;
mod protocol;

pub use inputs::{INPUTS, WINDOW, Window, groups, input_ids, schema_hash, window_hash};
pub use kept::{KeptFault, KeptKey, KeptWriter, bars_digest, read_kept};
pub use protocol::{
    Answer, Asked, Batch, FromModel, PROTOCOL_VERSION, QUESTIONS_MAX, Ready, Refusal, ToModel, decode, encode,
};
