//! Members as training sees them: learnt, asked, and told of.

use std::collections::BTreeMap;

use levibot_core::chain::chain;
use levibot_core::domain::Member;
use levibot_core::features::FeatureId;
use levibot_core::forecast::Asked;
use levibot_core::fusion::MemberKeys;

use super::error::TrainError;
use super::judge::{ASK_AT_ONCE, question};
use super::report::{Curve, Importance};
use crate::dataset::{Sample, Table};
use crate::ensemble::{MemberModel, Transformer, Trees};
use crate::lightgbm::LightGbm;
use crate::progress::Progress;
use crate::settings::Settings;
use crate::tft::{Tft, TftEpoch, TftHistory};

/// Samples that the transformer's importance is averaged over.
const EXPLAINED: usize = 64;

/// A member that has learnt.
#[derive(Debug)]
pub(super) struct Learnt {
    /// Which.
    pub(super) member: Member,
    /// To be asked.
    pub(super) model: Box<dyn MemberModel>,
    /// How learning went, in words.
    pub(super) note: String,
    /// How it went, in figures.
    pub(super) curves: Vec<Curve>,
    /// Share of each input, the largest first.
    pub(super) importance: Vec<Importance>,
}

/// Lets a member learn from `training`; `stopping` tells it when to stop.
pub(super) fn learn(
    keys: &MemberKeys,
    table: &Table,
    training: &[Sample],
    stopping: &[Sample],
    settings: &Settings,
    progress: &dyn Progress,
) -> Result<Learnt, TrainError> {
    let Settings { seed, threads, .. } = *settings;
    let columns = &keys.features;
    let failed = |error: &dyn std::error::Error| TrainError::Member { member: keys.member, reason: chain(error) };
    match keys.member {
        Member::Lightgbm => {
            let own = &settings.lightgbm;
            let model = LightGbm::train(table, training, stopping, columns, own, seed, threads, progress)
                .map_err(|error| failed(&error))?;
            let note = format!("{} trees kept of at most {}", model.trees(), own.trees);
            told(Member::Lightgbm, Box::new(Trees(model)), note, Vec::new(), table, stopping)
        }
        Member::Tft => {
            let own = &settings.tft;
            let (model, history) = Tft::train(table, training, stopping, columns, own, seed, threads, progress)
                .map_err(|error| failed(&error))?;
            transformer(model, &history, table, stopping)
        }
        Member::Sentiment => {
            Err(TrainError::Member { member: keys.member, reason: "it does not learn from prices".to_owned() })
        }
    }
}

fn transformer(model: Tft, history: &TftHistory, table: &Table, samples: &[Sample]) -> Result<Learnt, TrainError> {
    let curve = |name: &str, value: fn(&TftEpoch) -> f64| Curve {
        name: name.to_owned(),
        values: history.epochs.iter().map(value).collect(),
    };
    let note = format!(
        "{} passes over {} windows in all; that of pass {} was kept",
        history.epochs.len(),
        history.windows,
        history.best
    );
    let curves = vec![
        curve("training loss", |epoch| epoch.training),
        curve("validation loss", |epoch| epoch.validation),
        curve("validation log loss of the direction", |epoch| epoch.log_loss),
    ];
    told(Member::Tft, Box::new(Transformer(model)), note, curves, table, samples)
}

fn told(
    member: Member,
    model: Box<dyn MemberModel>,
    note: String,
    curves: Vec<Curve>,
    table: &Table,
    samples: &[Sample],
) -> Result<Learnt, TrainError> {
    let importance = importance(member, model.as_ref(), table, samples)?;
    Ok(Learnt { member, model, note, curves, importance })
}

/// How much each input has to do with what a member says of bars that it has not learnt from: its reasons, without their
/// signs, as shares of their sum.
fn importance(
    member: Member,
    model: &dyn MemberModel,
    table: &Table,
    samples: &[Sample],
) -> Result<Vec<Importance>, TrainError> {
    let mut sums: BTreeMap<FeatureId, f64> = BTreeMap::new();
    let every = (samples.len() / EXPLAINED).max(1);
    for sample in samples.iter().step_by(every).take(EXPLAINED) {
        let reasons = model.reasons(&question(table, *sample));
        for (feature, reason) in reasons.map_err(|reason| TrainError::Member { member, reason })? {
            *sums.entry(feature).or_default() += reason.abs();
        }
    }
    let total: f64 = sums.values().sum();
    let share = |(feature, sum): (FeatureId, f64)| Importance {
        feature: feature.name().to_owned(),
        share: if total > 0.0 { sum / total } else { 0.0 },
    };
    let mut all: Vec<Importance> = sums.into_iter().map(share).collect();
    all.sort_by(|a, b| b.share.total_cmp(&a.share));
    Ok(all)
}

/// The raw probabilities of a member for samples, in their order.
pub(super) fn speak(
    learnt: &Learnt,
    table: &Table,
    samples: &[Sample],
    progress: &dyn Progress,
) -> Result<Vec<f64>, TrainError> {
    let failed = |reason: String| TrainError::Member { member: learnt.member, reason };
    let mut all = Vec::with_capacity(samples.len());
    for some in samples.chunks(ASK_AT_ONCE) {
        let asked: Vec<Asked> = some.iter().map(|sample| question(table, *sample)).collect();
        let said = learnt.model.say(&asked.iter().collect::<Vec<_>>()).map_err(failed)?;
        let sound = said.len() == some.len() && said.iter().all(|said| (0.0..=1.0).contains(&said.probability));
        if !sound {
            return Err(failed("it gave a number that is no probability".to_owned()));
        }
        all.extend(said.iter().map(|said| said.probability));
        progress.step(some.len() as u64, learnt.member.name());
    }
    Ok(all)
}
