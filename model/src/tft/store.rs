//! Saving and loading. `tft.json` describes the model and holds a digest over itself and `tft.safetensors`, the weights,
//! so that files which were cut off, altered or mixed up are refused.

use std::path::Path;

use levibot_core::domain::hash::{hex, sha256};
use levibot_core::forecast::{WINDOW, schema_hash};
use serde::{Deserialize, Serialize};
use tch::{TchError, Tensor, no_grad};

use super::inputs::Inputs;
use super::{Tft, TftError};

const DESCRIPTION: &str = "tft.json";
const WEIGHTS: &str = "tft.safetensors";
/// Largest file that is read, bytes: far over what the widest network takes.
const BYTES_MAX: u64 = 64 << 20;

/// The whole of `tft.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    /// SHA-256 over the model's text and the weights' bytes, hexadecimal.
    digest: String,
    model: Description,
}

/// What the model is, besides its weights.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    /// Hash of the layout of windows that it was trained on.
    schema: u64,
    hidden: u32,
    heads: u32,
    inputs: Inputs,
}

impl Tft {
    /// Writes `tft.json` and `tft.safetensors` into a folder that exists.
    ///
    /// # Errors
    /// Failures to write.
    pub fn save(&self, dir: &Path) -> Result<(), TftError> {
        let weights = dir.join(WEIGHTS);
        self.weights.save(&weights)?;
        let bytes = read(&weights)?;
        let (hidden, heads, inputs) = (self.hidden, self.heads, self.inputs.clone());
        let model = Description { schema: schema_hash(), hidden, heads, inputs };
        let path = dir.join(DESCRIPTION);
        let broken = |error: serde_json::Error| TftError::File { path: path.clone(), reason: error.to_string() };
        let stored = Stored { digest: digest(&model, &bytes).map_err(broken)?, model };
        let text = serde_json::to_string_pretty(&stored).map_err(broken)?;
        std::fs::write(&path, text).map_err(|source| TftError::Io { path: path.clone(), operation: "write", source })
    }

    /// Reads what [`Tft::save`] wrote.
    ///
    /// # Errors
    /// Files that are missing, cut off, altered, of another layout of windows or with weights that are not finite.
    pub fn load(dir: &Path) -> Result<Self, TftError> {
        let path = dir.join(DESCRIPTION);
        let refuse = |reason: String| TftError::File { path: path.clone(), reason };
        let Stored { digest: wanted, model } =
            serde_json::from_slice(&read(&path)?).map_err(|error| refuse(error.to_string()))?;
        let weights = dir.join(WEIGHTS);
        let found = digest(&model, &read(&weights)?).map_err(|error| refuse(error.to_string()))?;
        if found != wanted {
            return Err(refuse(format!("the digest of it and {WEIGHTS} is {found} instead of {wanted}")));
        }
        if let Some(reason) = fault(&model) {
            return Err(refuse(reason.to_owned()));
        }
        let Description { hidden, heads, inputs, .. } = model;
        let (mut store, network) = Self::network(&inputs, hidden, heads)?;
        fill(&mut store, &weights)?;
        Self::new(inputs, hidden, heads, store, network)
    }
}

/// The first thing about a description that cannot be meant.
fn fault(model: &Description) -> Option<&'static str> {
    let Description { schema, hidden, heads, inputs } = model;
    if *schema != schema_hash() {
        Some("it was trained on another layout of features")
    } else if !(4..=256).contains(hidden) || !(1..=8).contains(heads) || !hidden.is_multiple_of(*heads) {
        Some("its width and heads cannot be meant")
    } else if !(1..=WINDOW).contains(&inputs.window) {
        Some("its window is longer than those it will be shown")
    } else {
        inputs.fault()
    }
}

/// Gives the weights of a store the values in a file that has exactly them.
fn fill(store: &mut tch::nn::VarStore, path: &Path) -> Result<(), TftError> {
    let refuse = |reason: String| TftError::File { path: path.to_owned(), reason };
    let mut wanted = store.variables();
    let found = Tensor::read_safetensors(path)?;
    if found.len() != wanted.len() {
        return Err(refuse(format!("it holds {} tensors instead of {}", found.len(), wanted.len())));
    }
    for (name, tensor) in found {
        let mut place = wanted.remove(&name).ok_or_else(|| refuse(format!("there is no tensor `{name}`")))?;
        if place.size() != tensor.size() || place.kind() != tensor.kind() {
            return Err(refuse(format!("`{name}` is {:?} instead of {:?}", tensor.size(), place.size())));
        }
        if !all_finite(&tensor)? {
            return Err(refuse(format!("`{name}` holds a number that is not finite")));
        }
        no_grad(|| place.f_copy_(&tensor))?;
    }
    Ok(())
}

fn all_finite(tensor: &Tensor) -> Result<bool, TchError> {
    tensor.f_isfinite()?.f_all()?.f_int64_value(&[]).map(|all| all == 1)
}

/// SHA-256 over the description's text and the weights' bytes.
fn digest(model: &Description, weights: &[u8]) -> Result<String, serde_json::Error> {
    Ok(hex(&sha256(&[&serde_json::to_vec(model)?, weights])))
}

fn read(path: &Path) -> Result<Vec<u8>, TftError> {
    let fail = |source| TftError::Io { path: path.to_owned(), operation: "read", source };
    let bytes = std::fs::metadata(path).map_err(fail)?.len();
    if bytes > BYTES_MAX {
        let reason = format!("it has {bytes} bytes, more than any model");
        return Err(TftError::File { path: path.to_owned(), reason });
    }
    std::fs::read(path).map_err(fail)
}
