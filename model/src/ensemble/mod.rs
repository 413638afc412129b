//! A version that answers: verified files, loaded members, and the questions of training answered as then.

mod canary;
mod error;
mod member;
mod native;
mod save;
#[cfg(test)]
mod tests;

use levibot_core::domain::{Forecast, Member, Timeframe};
use levibot_core::features::FeatureId;
use levibot_core::forecast::{Asked, INPUTS, PROTOCOL_VERSION, Ready, Refusal, WINDOW, schema_hash, window_hash};
use levibot_core::fusion::{Fused, Fusion};

pub use canary::{CANARY_FILE, CANARY_QUESTIONS_MIN, CANARY_TOLERANCE, Canary, CanaryQuestion};
pub use error::LoadError;
use member::{Loader, ask, guarded};
pub use member::{MemberModel, Said};
pub use native::{Transformer, Trees};
pub use save::{FUSION_FILE, save};
use save::{load_voters, read_json};

use crate::versions::{Metadata, Opened};

type Raw = [Option<f64>; Member::ALL.len()];

/// Members with the way in which their votes become one.
#[derive(Debug)]
pub struct Voters {
    /// Those that can be asked here, in the order of [`Member::ALL`].
    pub members: Vec<(Member, Box<dyn MemberModel>)>,
    /// Weights and calibrations.
    pub fusion: Fusion,
}

/// What the members said of one question, and what came of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spoken {
    /// Before calibration.
    pub raw: Raw,
    /// The votes and their sum.
    pub fused: Fused,
    /// Of the log return over the horizon, where a member gives them.
    pub quantiles: Option<[f64; 3]>,
}

impl Voters {
    /// Asks every member about every question. A member that fails fails the whole batch: its vote is never left out in
    /// silence.
    ///
    /// # Errors
    /// Which member failed, and its words.
    pub fn speak(&self, asked: &[&Asked]) -> Result<Vec<Spoken>, String> {
        let mut raws: Vec<Raw> = vec![[None; Member::ALL.len()]; asked.len()];
        let mut quantiles = vec![None; asked.len()];
        for (member, model) in &self.members {
            let said = ask(model.as_ref(), asked).map_err(|words| format!("{}: {words}", member.name()))?;
            for (at, said) in said.into_iter().enumerate() {
                raws[at][member.at()] = Some(said.probability);
                quantiles[at] = quantiles[at].or(said.quantiles);
            }
        }
        let spoken = |(raw, quantiles): (Raw, Option<[f64; 3]>)| {
            let fused = self.fusion.fuse(&raw).ok_or("no member with a weight answered")?;
            Ok(Spoken { raw, fused, quantiles })
        };
        raws.into_iter().zip(quantiles).map(spoken).collect()
    }
}

/// A version that answers.
#[derive(Debug)]
pub struct Loaded {
    metadata: Metadata,
    voters: Voters,
}

/// Why a forecast is what it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The forecast.
    pub forecast: Forecast,
    /// Before calibration, one place for each of [`Member::ALL`].
    pub raw: Raw,
    /// For each member that answered: its inputs by how much they had to do with the answer, the largest first. See
    /// [`MemberModel::reasons`].
    pub reasons: Vec<(Member, Vec<(FeatureId, f64)>)>,
}

impl Loaded {
    /// Loads the members of a version that [`crate::versions::Versions::open`] has verified, and asks them the questions
    /// of training.
    ///
    /// # Errors
    /// [`LoadError`] naming the file and what is wrong.
    pub fn load(opened: Opened) -> Result<Self, LoadError> {
        Self::load_by(&native::load, opened)
    }

    fn load_by(loader: Loader<'_>, opened: Opened) -> Result<Self, LoadError> {
        let Opened { folder, metadata } = opened;
        let voters = load_voters(loader, &folder, &metadata.members)?;
        let path = folder.join(CANARY_FILE);
        read_json::<Canary>(&path)?.check(&path, &voters)?;
        Ok(Self { metadata, voters })
    }

    /// What the version is.
    pub const fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The server's word that it answers with this version.
    pub fn ready(&self) -> Ready {
        let Metadata { version, digest, trained_through, timeframe, horizon_bars, symbols, .. } = &self.metadata;
        Ready {
            protocol: PROTOCOL_VERSION,
            build: env!("CARGO_PKG_VERSION").to_owned(),
            schema: schema_hash(),
            version: *version,
            digest: digest.clone(),
            trained_through: *trained_through,
            timeframe: *timeframe,
            horizon_bars: *horizon_bars,
            symbols: symbols.clone(),
        }
    }

    /// One answer for each question, in their order. Length, values and hash of a window are checked before native code
    /// sees it, and a question that fails costs the others nothing.
    pub fn forecast(&self, asked: &[Asked], timeframe: Timeframe) -> Vec<Result<Forecast, Refusal>> {
        let refuse =
            |one: &Asked| if timeframe == self.metadata.timeframe { fault(one) } else { Some(Refusal::Timeframe) };
        let faults: Vec<Option<Refusal>> = asked.iter().map(refuse).collect();
        let sound: Vec<&Asked> =
            asked.iter().zip(&faults).filter(|(_, fault)| fault.is_none()).map(|(one, _)| one).collect();
        let spoken = if sound.is_empty() { Ok(Vec::new()) } else { self.voters.speak(&sound) };
        let mut answers = sound.iter().enumerate().map(|(at, one)| match &spoken {
            Ok(spoken) => self.forecast_of(one, &spoken[at]),
            Err(words) => Err(Refusal::Failed(words.clone())),
        });
        let missing = || Err(Refusal::Failed("no answer".to_owned()));
        let answer = |fault: Option<Refusal>| fault.map_or_else(|| answers.next().unwrap_or_else(missing), Err);
        faults.into_iter().map(answer).collect()
    }

    /// Forecasts, and says what led there.
    ///
    /// # Errors
    /// The refusal that [`Self::forecast`] would give.
    pub fn explain(&self, asked: &Asked, timeframe: Timeframe) -> Result<Explanation, Refusal> {
        if timeframe != self.metadata.timeframe {
            return Err(Refusal::Timeframe);
        }
        if let Some(refusal) = fault(asked) {
            return Err(refusal);
        }
        let spoken = self.voters.speak(&[asked]).map_err(Refusal::Failed)?;
        let Some(spoken) = spoken.first() else { return Err(Refusal::Failed("no answer".to_owned())) };
        let forecast = self.forecast_of(asked, spoken)?;
        let reasons = |(member, model): &(Member, Box<dyn MemberModel>)| {
            let reasons = guarded(|| model.reasons(asked)).map_err(Refusal::Failed)?;
            Ok((*member, reasons))
        };
        let reasons = self.voters.members.iter().map(reasons).collect::<Result<_, _>>()?;
        Ok(Explanation { forecast, raw: spoken.raw, reasons })
    }

    fn forecast_of(&self, asked: &Asked, spoken: &Spoken) -> Result<Forecast, Refusal> {
        let forecast = Forecast {
            version: self.metadata.version,
            features: asked.features,
            votes: spoken.fused.votes,
            prob_up: spoken.fused.prob_up,
            quantiles: spoken.quantiles,
        };
        if forecast.is_sound() {
            return Ok(forecast);
        }
        Err(Refusal::Failed(format!("{} of {} cannot be meant: {forecast:?}", asked.symbol, asked.bar)))
    }
}

/// What is wrong with a question, if anything.
fn fault(asked: &Asked) -> Option<Refusal> {
    let window = &asked.window;
    if window.len() != WINDOW * INPUTS {
        return Some(Refusal::Shape { found: u32::try_from(window.len()).unwrap_or(u32::MAX) });
    }
    if let Some(at) = window.iter().position(|value| !value.is_finite()) {
        return Some(Refusal::NotFinite { at: u32::try_from(at).unwrap_or(u32::MAX) });
    }
    (window_hash(window) != asked.features).then_some(Refusal::Hash)
}
