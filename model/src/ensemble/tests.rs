use std::fs;
use std::path::Path;

use levibot_core::domain::{ModelVersion, Ts};
use levibot_core::fusion::{Calibration, MemberFusion};
use tempfile::TempDir;

use super::save::save_by;
use super::*;
use crate::versions::{MemberEntry, Trained, Versions};

/// A member whose probability is that of one value of the last row, kept in a file as one number.
#[derive(Debug)]
struct Linear {
    slope: f64,
    /// Fails with words on this value.
    fails_on: Option<f32>,
}

impl MemberModel for Linear {
    fn say(&self, asked: &[&Asked]) -> Result<Vec<Said>, String> {
        let one = |asked: &&Asked| {
            let x = asked.window[(WINDOW - 1) * INPUTS];
            assert!(x < 1_000.0, "native code cannot take {x}");
            if self.fails_on.is_some_and(|bad| (bad - x).abs() < f32::EPSILON) {
                return Err(format!("{x} is too hard"));
            }
            Ok(Said { probability: 0.5 + self.slope * f64::from(x), quantiles: None })
        };
        asked.iter().map(one).collect()
    }

    fn reasons(&self, _: &Asked) -> Result<Vec<(FeatureId, f64)>, String> {
        Ok(vec![(FeatureId::LogReturn1, self.slope)])
    }

    fn save(&self, path: &Path) -> Result<(), String> {
        fs::write(path, self.slope.to_string()).map_err(|error| error.to_string())
    }
}

fn load(entry: &MemberEntry, path: &Path) -> Result<Box<dyn MemberModel>, String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let slope: f64 = text.parse().map_err(|_| format!("{text} is no number"))?;
    Ok(Box::new(Linear { slope, fails_on: (entry.name == Member::Tft).then_some(0.3) }))
}

/// Loads, but what it loads is not what was saved: as if the file had lost its end.
fn load_less(entry: &MemberEntry, path: &Path) -> Result<Box<dyn MemberModel>, String> {
    load(entry, path)?;
    Ok(Box::new(Linear { slope: 0.4, fails_on: None }))
}

fn asked(x: f32) -> Asked {
    let mut window = vec![0.0; WINDOW * INPUTS];
    window[(WINDOW - 1) * INPUTS] = x;
    Asked { symbol: "BTCUSDT".parse().unwrap(), bar: Ts::from_secs(3_600), features: window_hash(&window), window }
}

fn questions(count: u16) -> Vec<Asked> {
    (0..count).map(|n| asked(f32::from(n) / 64.0)).collect()
}

fn trained() -> Trained {
    let entry = |name| MemberEntry { name, weight: 0.5, columns: vec![FeatureId::LogReturn1] };
    Trained {
        backtest_sharpe: None,
        backtest_win_rate: Some(f64::NAN),
        hyperparams: serde_json::json!({}),
        trained_from: Ts::EPOCH,
        trained_through: Ts::from_secs(86_400),
        timeframe: Timeframe::HOUR,
        horizon_bars: 12,
        round_trip_cost: 0.0014,
        symbols: vec!["BTCUSDT".parse().unwrap()],
        members: vec![entry(Member::Lightgbm), entry(Member::Tft)],
        ensemble_hash: 1,
        seed: 1,
        evaluation: serde_json::json!(null),
    }
}

fn voters() -> Voters {
    let part = |member, weight| MemberFusion { member, weight, calibration: Calibration::default() };
    Voters {
        members: vec![
            (Member::Lightgbm, Box::new(Linear { slope: 0.5, fails_on: None })),
            (Member::Tft, Box::new(Linear { slope: -0.1, fails_on: None })),
        ],
        fusion: Fusion {
            members: vec![part(Member::Lightgbm, 3.0), part(Member::Tft, 1.0)],
            calibration: Calibration::default(),
        },
    }
}

fn saved() -> (TempDir, Versions, ModelVersion) {
    let dir = tempfile::tempdir().unwrap();
    let versions = Versions::new(dir.path());
    let draft = versions.begin(Ts::from_secs(1_700_000_000)).unwrap();
    let metadata = save_by(&load, draft, trained(), &voters(), &questions(16)).unwrap();
    assert_eq!(metadata.backtest_win_rate, None, "what is not finite is not told");
    (dir, versions, metadata.version)
}

#[test]
fn a_saved_version_answers_with_weighted_votes() {
    let (_dir, versions, version) = saved();
    let loaded = Loaded::load_by(&load, versions.open(&version).unwrap()).unwrap();
    let forecast = loaded.forecast(&[asked(0.25)], Timeframe::HOUR).remove(0).unwrap();
    assert!((forecast.prob_up - (0.75 * 0.625 + 0.25 * 0.475)).abs() < 1e-9, "{forecast:?}");
    assert!((forecast.votes[0].unwrap().weight - 0.75).abs() < 1e-12 && forecast.votes[2].is_none());
    assert_eq!(forecast.version, version);
    let explanation = loaded.explain(&asked(0.25), Timeframe::HOUR).unwrap();
    assert_eq!(explanation.forecast, forecast);
    assert!((explanation.raw[1].unwrap() - 0.475).abs() < 1e-7);
    assert_eq!(explanation.reasons[1], (Member::Tft, vec![(FeatureId::LogReturn1, -0.1)]));
    assert_eq!(loaded.explain(&asked(0.25), Timeframe::MINUTE), Err(Refusal::Timeframe));
}

#[test]
fn a_member_that_fails_is_never_left_out_in_silence() {
    let (_dir, versions, version) = saved();
    let loaded = Loaded::load_by(&load, versions.open(&version).unwrap()).unwrap();
    let failed = |words: &str| Err(Refusal::Failed(words.to_owned()));
    let mut short = asked(0.1);
    short.window.truncate(INPUTS);
    let answers = loaded.forecast(&[asked(0.1), short, asked(0.3)], Timeframe::HOUR);
    let found = u32::try_from(INPUTS).unwrap();
    assert_eq!(
        answers,
        [failed("tft: 0.3 is too hard"), Err(Refusal::Shape { found }), failed("tft: 0.3 is too hard")]
    );
    // A panic of the glue costs its batch and nothing more.
    let answers = loaded.forecast(&[asked(2_000.0)], Timeframe::HOUR);
    assert_eq!(answers, [failed("lightgbm: panicked: native code cannot take 2000")]);
    let answers = loaded.forecast(&[asked(50.0)], Timeframe::HOUR);
    assert_eq!(answers, [failed("lightgbm: 25.5 is no probability")]);
    assert!(loaded.forecast(&[asked(0.1)], Timeframe::HOUR)[0].is_ok());
}

#[test]
fn a_version_is_not_kept_when_what_was_written_answers_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    let versions = Versions::new(dir.path());
    let save = |loader: Loader<'_>, count| {
        let draft = versions.begin(Ts::from_secs(1_700_000_000)).unwrap();
        save_by(loader, draft, trained(), &voters(), &questions(count)).unwrap_err().to_string()
    };
    let error = save(&load_less, 16);
    assert!(error.contains("canary.json: question 2 of training is answered otherwise"), "{error}");
    assert!(error.contains("lightgbm says 0.50625 instead of 0.5078125"), "{error}");
    assert!(save(&load, 15).contains("15 questions, fewer than 16"));
    assert!(versions.names().unwrap().is_empty() && fs::read_dir(dir.path()).unwrap().count() == 1);
}

#[test]
fn a_version_whose_members_changed_their_mind_is_not_loaded() {
    let (_dir, versions, version) = saved();
    let error = Loaded::load_by(&load_less, versions.open(&version).unwrap()).unwrap_err();
    assert!(matches!(error, LoadError::Canary { question: 2, .. }), "{error}");
    let refuses = |_: &MemberEntry, _: &Path| Err("its words".to_owned());
    let error = Loaded::load_by(&refuses, versions.open(&version).unwrap()).unwrap_err().to_string();
    assert!(error.contains("lightgbm.txt: lightgbm cannot be loaded: its words; use another version"), "{error}");
    let panics = |_: &MemberEntry, _: &Path| panic!("native glue");
    let error = Loaded::load_by(&panics, versions.open(&version).unwrap()).unwrap_err().to_string();
    assert!(error.contains("panicked: native glue"), "{error}");
}
