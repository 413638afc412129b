//! The members as they are: trees and transformer.

use std::path::Path;

use levibot_core::chain::chain;
use levibot_core::domain::Member;
use levibot_core::features::FeatureId;
use levibot_core::forecast::{Asked, INPUTS};

use super::{MemberModel, Said};
use crate::lightgbm::LightGbm;
use crate::tft::{Tft, TftInput};
use crate::versions::MemberEntry;

/// LightGBM, asked about the last row of a window.
#[derive(Debug)]
pub struct Trees(pub LightGbm);

/// The Temporal Fusion Transformer, asked about the whole window.
#[derive(Debug)]
pub struct Transformer(pub Tft);

/// Loads a member of a version.
pub(super) fn load(entry: &MemberEntry, path: &Path) -> Result<Box<dyn MemberModel>, String> {
    match entry.name {
        Member::Lightgbm => {
            let model = LightGbm::load(path, &entry.columns).map_err(|error| chain(&error))?;
            Ok(Box::new(Trees(model)))
        }
        Member::Tft => Ok(Box::new(Transformer(Tft::load(path).map_err(|error| chain(&error))?))),
        Member::Sentiment => Err("it has no model".to_owned()),
    }
}

fn last_row(asked: &Asked) -> &[f32] {
    &asked.window[asked.window.len() - INPUTS..]
}

fn input(asked: &Asked) -> TftInput<'_> {
    TftInput { symbol: asked.symbol, bar: asked.bar, window: &asked.window }
}

impl MemberModel for Trees {
    fn say(&self, asked: &[&Asked]) -> Result<Vec<Said>, String> {
        let rows: Vec<f32> = asked.iter().flat_map(|one| last_row(one)).copied().collect();
        let probabilities = self.0.predict(&rows).map_err(|error| chain(&error))?;
        Ok(probabilities.into_iter().map(|probability| Said { probability, quantiles: None }).collect())
    }

    fn reasons(&self, asked: &Asked) -> Result<Vec<(FeatureId, f64)>, String> {
        let mut reasons = self.0.contributions(last_row(asked)).map_err(|error| chain(&error))?;
        reasons.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
        Ok(reasons)
    }

    fn save(&self, path: &Path) -> Result<(), String> {
        self.0.save(path).map_err(|error| chain(&error))
    }
}

impl MemberModel for Transformer {
    fn say(&self, asked: &[&Asked]) -> Result<Vec<Said>, String> {
        let inputs: Vec<TftInput<'_>> = asked.iter().map(|one| input(one)).collect();
        let outputs = self.0.predict(&inputs).map_err(|error| chain(&error))?;
        let said =
            |output: crate::tft::TftOutput| Said { probability: output.prob_up, quantiles: Some(output.quantiles) };
        Ok(outputs.into_iter().map(said).collect())
    }

    fn reasons(&self, asked: &Asked) -> Result<Vec<(FeatureId, f64)>, String> {
        let explanation = self.0.explain(&input(asked)).map_err(|error| chain(&error))?;
        let mut reasons: Vec<(FeatureId, f64)> =
            explanation.past.into_iter().map(|(id, x)| (id, f64::from(x))).collect();
        reasons.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
        Ok(reasons)
    }

    fn save(&self, path: &Path) -> Result<(), String> {
        std::fs::create_dir_all(path).map_err(|error| chain(&error))?;
        self.0.save(path).map_err(|error| chain(&error))
    }
}
