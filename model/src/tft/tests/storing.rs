//! What was saved comes back, or is refused.

use std::path::Path;

use levibot_core::forecast::schema_hash;

use super::fixtures::{hasty, input, samples};
use crate::tft::{Tft, TftError, TftInput};

const FILES: [&str; 2] = ["tft.json", "tft.safetensors"];

#[test]
fn what_was_saved_forecasts_with_the_same_bits_and_is_saved_as_the_same_bytes() {
    let (table, model) = hasty(8, 2, 4);
    let (dir, again) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    model.save(dir.path()).unwrap();
    let loaded = Tft::load(dir.path()).unwrap();
    let inputs: Vec<TftInput<'_>> = samples(&table, 0.8, 1.0).into_iter().map(|sample| input(&table, sample)).collect();
    assert_eq!(loaded.predict(&inputs).unwrap(), model.predict(&inputs).unwrap());
    assert_eq!((loaded.timeframe(), loaded.horizon_bars()), (table.timeframe, 4));
    loaded.save(again.path()).unwrap();
    for file in FILES {
        assert_eq!(std::fs::read(dir.path().join(file)).unwrap(), std::fs::read(again.path().join(file)).unwrap());
    }
}

#[test]
fn files_that_were_cut_off_or_altered_are_refused() {
    let (_, model) = hasty(4, 1, 4);
    let dir = tempfile::tempdir().unwrap();
    for file in FILES {
        model.save(dir.path()).unwrap();
        let path = dir.path().join(file);
        let whole = std::fs::read(&path).unwrap();
        for cut in (0..whole.len()).step_by(whole.len() / 60 + 1).chain([whole.len() - 1]) {
            std::fs::write(&path, &whole[..cut]).unwrap();
            assert!(Tft::load(dir.path()).is_err(), "{file} cut to {cut}");
        }
        for at in (0..whole.len()).step_by(whole.len() / 150 + 1) {
            let mut other = whole.clone();
            other[at] ^= 0x15;
            std::fs::write(&path, &other).unwrap();
            assert!(Tft::load(dir.path()).is_err(), "{file} altered at {at}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(Tft::load(dir.path()), Err(TftError::Io { operation: "read", .. })));
    }
}

/// Replaces text in the description and makes the digest fit, as someone would who edits it by hand.
fn edited(dir: &Path, from: &str, to: &str) -> Result<(), String> {
    let path = dir.join("tft.json");
    let whole = std::fs::read_to_string(&path).unwrap();
    assert!(whole.contains(from), "{from}: {whole}");
    std::fs::write(&path, whole.replacen(from, to, 1)).unwrap();
    let error = Tft::load(dir).map(|_| ()).map_err(|error| error.to_string());
    // The refusal names the digest that it wants.
    if let Err(text) = &error
        && let Some((_, found)) = text.split_once("is ")
        && let Some(found) = found.get(..64)
    {
        let now = std::fs::read_to_string(&path).unwrap();
        let digest = now.split('"').nth(3).unwrap().to_owned();
        std::fs::write(&path, now.replace(&digest, found)).unwrap();
    }
    let result = Tft::load(dir).map(|_| ()).map_err(|error| error.to_string());
    std::fs::write(&path, whole).unwrap();
    result
}

#[test]
fn a_description_that_cannot_be_meant_is_refused_even_with_a_fitting_digest() {
    let (_, model) = hasty(4, 1, 4);
    let dir = tempfile::tempdir().unwrap();
    model.save(dir.path()).unwrap();
    assert_eq!(edited(dir.path(), "\"hidden\": 4", "\"hidden\": 4"), Ok(()));
    for (from, to, wanted) in [
        ("\"hidden\": 4", "\"hidden\": 8", "instead of"),
        ("\"hidden\": 4", "\"hidden\": 4000000000", "width and heads"),
        ("\"heads\": 1", "\"heads\": 3", "width and heads"),
        ("\"heads\": 1", "\"heads\": 0", "width and heads"),
        ("\"window\": 10", "\"window\": 65", "window"),
        ("\"window\": 10", "\"window\": 0", "window"),
        ("\"AAA\"", "\"CCC\"", "symbols are not in order"),
        ("\"rsi_14\"", "\"log_return_1\"", "columns are not those"),
        (&format!("\"schema\": {}", schema_hash()), "\"schema\": 1", "layout of features"),
        ("\"volatility_floor\": ", "\"volatility_floor\": -", "volatility floor"),
    ] {
        let error = edited(dir.path(), from, to).unwrap_err();
        assert!(error.contains(wanted), "{to}: {error}");
    }
}

#[test]
fn weights_that_are_not_finite_or_not_the_model_s_are_refused() {
    let (_, model) = hasty(4, 1, 4);
    let (_, wider) = hasty(8, 1, 4);
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    wider.save(other.path()).unwrap();
    model.save(dir.path()).unwrap();
    std::fs::copy(other.path().join(FILES[1]), dir.path().join(FILES[1])).unwrap();
    assert!(matches!(Tft::load(dir.path()), Err(TftError::File { .. })));
    let mut weights = model.weights.trainable_variables();
    let _ = tch::no_grad(|| weights[3].fill_(f64::NAN));
    model.save(dir.path()).unwrap();
    let error = Tft::load(dir.path()).unwrap_err().to_string();
    assert!(error.contains("not finite"), "{error}");
}
