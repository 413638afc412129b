//! The words between the daemon and the model server: [`postcard`] bytes in frames of [`crate::frames`].

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::domain::{Forecast, ModelVersion, Symbol, Timeframe, Ts};

/// Version of these words. Raised by any change that the other side would misread; both sides are built together, and
/// the first word of the server names it.
pub const PROTOCOL_VERSION: u16 = 1;
/// Questions in one batch: so many windows fit into a frame.
pub const QUESTIONS_MAX: usize = 64;

/// What the server is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ToModel {
    /// Questions that are to be answered together.
    Forecast(Batch),
}

/// Questions that are to be answered together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// Comes back with the answer.
    pub id: u64,
    /// Bar length of all of them.
    pub timeframe: Timeframe,
    /// At most [`QUESTIONS_MAX`].
    pub questions: Vec<Asked>,
}

/// One question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// Of which symbol.
    pub symbol: Symbol,
    /// Close of the bar.
    pub bar: Ts,
    /// Hash of the bits of `window`; the server checks it.
    pub features: u64,
    /// [`super::WINDOW`] rows of [`super::INPUTS`], oldest first.
    pub window: Vec<f32>,
}

/// What the server tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum FromModel {
    /// It has loaded a version, its canary rows gave what they gave when it was trained, and it answers from now on with
    /// this version: the first word, and again after each swap.
    Ready(Ready),
    /// The answer to a batch.
    Answer(Answer),
    /// A new version cannot be used; the one before stays in use. Before the first [`FromModel::Ready`] the server ends.
    Failed {
        /// What is wrong, with file and remedy.
        reason: String,
    },
}

/// What a server answers with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// [`PROTOCOL_VERSION`] of the server.
    pub protocol: u16,
    /// Version of the program.
    pub build: String,
    /// [`super::schema_hash`] of model and server.
    pub schema: u64,
    /// The version in use.
    pub version: ModelVersion,
    /// SHA-256 over the version's files, hexadecimal.
    pub digest: String,
    /// Close of the last bar that it has learnt from, outcomes included.
    pub trained_through: Ts,
    /// Bar length that it was trained on.
    pub timeframe: Timeframe,
    /// How many bars ahead it looks.
    pub horizon_bars: u32,
    /// Symbols that it was trained on.
    pub symbols: Vec<Symbol>,
}

/// The answer to a batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// That of the batch.
    pub id: u64,
    /// One for each question, in their order.
    pub forecasts: Vec<Result<Forecast, Refusal>>,
    /// Time from the whole frame until the answer, microseconds.
    pub took_us: u64,
}

/// Why a question was not answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// The window has another number of values.
    Shape {
        /// How many there are.
        found: u32,
    },
    /// A value is not finite.
    NotFinite {
        /// Which one, counted from 0 over the whole window.
        at: u32,
    },
    /// The hash is not that of the window.
    Hash,
    /// The model was trained on bars of another length.
    Timeframe,
    /// Native code failed or gave numbers that cannot be meant; its words.
    Failed(String),
}

/// A message as the payload of a frame.
///
/// # Errors
/// Those of [`postcard`]; no message of these types has one.
pub fn encode(message: &impl Serialize) -> Result<Vec<u8>, postcard::Error> {
    postcard::to_stdvec(message)
}

/// The message that [`encode`] wrote.
///
/// # Errors
/// Anything else, trailing bytes included.
pub fn decode<T: DeserializeOwned>(payload: &[u8]) -> Result<T, postcard::Error> {
    match postcard::take_from_bytes(payload)? {
        (message, []) => Ok(message),
        _ => Err(postcard::Error::DeserializeBadEncoding),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{INPUTS, WINDOW, window_hash};
    use super::*;
    use crate::frames::FRAME_BYTES_MAX;

    #[test]
    fn a_full_batch_fits_into_a_frame_and_comes_back_bit_for_bit() {
        let window: Vec<f32> = (0_u16..).take(WINDOW * INPUTS).map(|x| f32::from(x) * -0.37).collect();
        let symbol = "BTCUSDT".parse().unwrap();
        let asked = Asked { symbol, bar: Ts::MAX, features: window_hash(&window), window };
        let batch = Batch { id: u64::MAX, timeframe: Timeframe::HOUR, questions: vec![asked; QUESTIONS_MAX] };
        let bytes = encode(&ToModel::Forecast(batch.clone())).unwrap();
        assert!(bytes.len() <= FRAME_BYTES_MAX, "{}", bytes.len());
        assert_eq!(decode::<ToModel>(&bytes).unwrap(), ToModel::Forecast(batch));
        assert!(decode::<ToModel>(&bytes[..bytes.len() - 1]).is_err());
        assert!(decode::<ToModel>(&[&bytes[..], &[0]].concat()).is_err());
    }
}
