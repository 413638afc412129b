//! The table of the fusion model.

use super::*;

#[test]
fn another_threshold_is_a_difference_that_counts_at_once() {
    let old = load(LIVE).unwrap();
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("ensemble.yaml");
    let text = fs::read_to_string("config/ensemble.yaml").unwrap();
    fs::write(&file, edited(&edited(&text, "threshold: 0.6", "threshold: 0.65"), "weight: 0.3", "weight: 0.4"))
        .unwrap();
    let changes = old.diff(&load(edited(LIVE, "config/ensemble.yaml", file.to_str().unwrap())).unwrap());
    let told = |key: &str| changes.iter().find(|c| c.key == key).map(|c| (c.from.as_str(), c.to.as_str(), c.effect));
    assert_eq!(told("strategy.default.threshold"), Some(("0.6", "0.65", Effect::Live)));
    assert_eq!(told("ensemble.tft.weight"), Some(("0.3", "0.4", Effect::NeedsRestart)));
    assert_eq!(changes.len(), 4, "{changes:?}");
}

#[test]
fn the_program_of_the_model_is_named_or_lies_beside_this_one() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("model");
    let vars = env("LEVIBOT_MODEL_BINARY", file.to_str().unwrap());
    let error = model_binary(&vars).unwrap_err().to_string();
    assert!(error.contains("LEVIBOT_MODEL_BINARY names it") && error.contains("scripts/setup.sh"), "{error}");
    fs::write(&file, "").unwrap();
    assert_eq!(model_binary(&vars).unwrap(), file);
    assert!(load_with(LIVE, &Overrides::default(), &vars).is_ok(), "a variable of ours");
}

#[test]
fn a_table_of_the_model_left_out_is_no_model_and_keys_left_out_have_their_values() {
    let (before, table) = LIVE.split_once("[model]").unwrap();
    let (_, after) = table.split_once("[paper]").unwrap();
    let error = load(format!("{before}[paper]{after}")).unwrap_err().to_string();
    assert!(error.contains("`model` is missing: a strategy asks the model"), "{error}");
    let rule = |text: String| edited(&text, "strategies/fusion.yaml", "strategies/ema_cross.yaml");
    assert_eq!(load(rule(format!("{before}[paper]{after}"))).unwrap().model, None);
    let bare = load(format!("{before}[model]\n[paper]{after}")).unwrap().model.unwrap();
    let shipped = load(LIVE).unwrap().model.unwrap();
    assert_eq!((bare.batch_wait, bare.deadline, bare.threads), (shipped.batch_wait, shipped.deadline, shipped.threads));
    assert_eq!((bare.dir.as_path(), bare.train_when_missing, bare.in_sample), (Path::new("models"), false, false));
    let overrides = Overrides { in_sample: true, ..Overrides::default() };
    assert!(load_with(LIVE, &overrides, &none()).unwrap().model.unwrap().in_sample);
}
