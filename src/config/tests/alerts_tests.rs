use std::os::unix::fs::PermissionsExt;

use levibot_core::alerts::Severity;
use levibot_core::domain::Span;
use secrecy::ExposeSecret;

use super::*;

const ADDRESS: &str = "https://hooks.slack.com/services/T0/B0/s3cr3t";

/// A file with this text and mode, named by the shipped default.
fn with_file(text: &str, mode: u32) -> (TempDir, Result<Config, String>) {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("slack");
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    let line = format!("slack_webhook_file = \"{}\"\n#", file.display());
    let result = load(edited(LIVE, "# slack_webhook_file", &line));
    (dir, result)
}

fn address(config: &Config) -> Option<&str> {
    config.alerts.slack_webhook.as_ref().map(|webhook| webhook.address().expose_secret())
}

#[test]
fn nothing_goes_to_slack_unless_it_is_asked_for() {
    let alerts = load(LIVE).unwrap().alerts;
    assert_eq!((alerts.coalesce, alerts.slack_level), (Span::from_secs(30), Severity::Warning));
    assert_eq!((alerts.slack_webhook, alerts.slack_webhook_file), (None, None));
    let config = load_with(LIVE, &Overrides::default(), &env("LEVIBOT_SLACK_WEBHOOK", "")).unwrap();
    assert_eq!(address(&config), None, "set to nothing counts as not set");
}

#[test]
fn the_webhook_comes_from_a_file_of_its_owner_or_from_the_variable() {
    for mode in [0o600, 0o400] {
        let (_dir, config) = with_file(&format!("{ADDRESS}\n"), mode);
        assert_eq!(address(&config.unwrap()), Some(ADDRESS));
    }
    let config = load_with(LIVE, &Overrides::default(), &env("LEVIBOT_SLACK_WEBHOOK", ADDRESS)).unwrap();
    assert_eq!(address(&config), Some(ADDRESS));
    // The variable is preferred: the file is not even looked at.
    let text = edited(LIVE, "# slack_webhook_file = \"secrets/slack\"", "slack_webhook_file = \"no/such\"");
    let config = load_with(&text, &Overrides::default(), &env("LEVIBOT_SLACK_WEBHOOK", ADDRESS)).unwrap();
    assert_eq!(address(&config), Some(ADDRESS));
    let error = load(&text).unwrap_err();
    assert!(error.contains("no/such (named by alerts.slack_webhook_file)"), "{error}");
}

#[test]
fn a_file_that_others_may_read_is_refused() {
    for mode in [0o640, 0o604, 0o644, 0o620, 0o601] {
        let (_dir, result) = with_file(ADDRESS, mode);
        let error = result.unwrap_err();
        for part in ["named by alerts.slack_webhook_file", "may be read by others", "chmod 600"] {
            assert!(error.contains(part), "{error}");
        }
        assert!(!error.contains("s3cr3t"), "{error}");
    }
    let folder = edited(LIVE, "# slack_webhook_file = \"secrets/slack\"", "slack_webhook_file = \"config\"");
    assert!(load(folder).unwrap_err().contains("alerts.slack_webhook_file"));
}

#[test]
fn what_is_no_webhook_is_refused_without_being_shown() {
    for (text, wanted) in [
        ("hooks.slack.com/services/s3cr3t", "not the address of a web page"),
        ("http://hooks.slack.com/services/s3cr3t", "without HTTPS"),
        ("http://127.0.0.1.example.org/s3cr3t", "without HTTPS"),
        ("http://localhost.example.org/s3cr3t", "without HTTPS"),
        ("ftp://hooks.slack.com/s3cr3t", "https://"),
        ("https://me:s3cr3t@hooks.slack.com/services/x", "a user's name"),
        ("https://hooks.slack.com", "names no webhook"),
        ("https:///s3cr3t", "names no webhook"),
        ("https://hooks.slack.com/s3cr3t x", "holds spaces"),
    ] {
        let error = load_with(LIVE, &Overrides::default(), &env("LEVIBOT_SLACK_WEBHOOK", text)).unwrap_err();
        for part in ["the environment: `LEVIBOT_SLACK_WEBHOOK`", wanted, "https://hooks.slack.com/services/..."] {
            assert!(error.contains(part), "{text}: {part} is missing in: {error}");
        }
        assert!(!error.contains("s3cr3t"), "{error}");
    }
    for text in ["", " \n", &"x".repeat(5_000)] {
        let (_dir, result) = with_file(text, 0o600);
        let error = result.unwrap_err();
        assert!(error.contains("holds no webhook") && error.contains("nothing else"), "{error}");
    }
    for text in ["http://127.0.0.1:8080/x", "http://[::1]:1/x", "http://localhost/x"] {
        load_with(LIVE, &Overrides::default(), &env("LEVIBOT_SLACK_WEBHOOK", text)).unwrap();
    }
}

#[test]
fn the_secret_is_in_no_text_about_the_configuration() {
    let plain = load(LIVE).unwrap();
    let with = |address| load_with(LIVE, &Overrides::default(), &env("LEVIBOT_SLACK_WEBHOOK", address)).unwrap();
    let (config, other) = (with(ADDRESS), with("https://hooks.slack.com/services/T0/B0/0th3r"));
    assert!(!format!("{config:?}").contains("s3cr3t"));
    assert_eq!(config.hash(), plain.hash(), "it decides nothing");
    let changes = plain.diff(&config);
    let [change] = &changes[..] else { panic!("{changes:?}") };
    assert_eq!((change.key.as_str(), change.from.as_str(), change.to.as_str()), ("alerts.slack", "off", "on"));
    assert_eq!(change.effect, Effect::NeedsRestart);
    let changes = config.diff(&other);
    let [change] = &changes[..] else { panic!("{changes:?}") };
    let texts = (change.key.as_str(), change.from.as_str(), change.to.as_str(), change.effect);
    assert_eq!(texts, ("alerts.slack", "on", "on, another address", Effect::NeedsRestart));
    assert_eq!(config.diff(&config), []);
    assert_ne!(config, other);
    let serious = load(edited(LIVE, "slack_level = \"warning\"", "slack_level = \"critical\"")).unwrap();
    assert_eq!(serious.alerts.slack_level, Severity::Critical);
}

#[test]
fn the_secret_is_in_no_error_wherever_it_was_put() {
    let (key, keys) = ("# slack_webhook_file = \"secrets/slack\"", "slack_webhook_file");
    for line in [
        format!("slack_webhook = \"{ADDRESS}\""),
        format!("slack_webhook_file = {ADDRESS}"),
        format!("slack_webhook_file = \"{ADDRESS}"),
        format!("coalesce = \"{ADDRESS}\""),
        format!("slack_level = '{ADDRESS}'"),
        format!("\"{ADDRESS}\" = 1"),
        format!("{keys} = \"{ADDRESS}\""),
        format!("slack_webhook = \"{}\"", ADDRESS.trim_start_matches("https://")),
    ] {
        let error = load(edited(LIVE, key, &line)).unwrap_err();
        assert!(!error.contains("s3cr3t"), "{line}: {error}");
        assert!(error.contains("given.toml"), "{line}: {error}");
    }
    let error = load(edited(LIVE, key, &format!("{keys} = \"{ADDRESS}\""))).unwrap_err();
    assert!(error.contains("`alerts.slack_webhook_file`") && error.contains("names no file"), "{error}");
    let error = load(edited(LIVE, "level = \"info\"", &format!("level = \"{ADDRESS}\""))).unwrap_err();
    assert!(error.contains("logs.level") && !error.contains("s3cr3t"), "{error}");
    let policy = TempDir::new().unwrap();
    let file = policy.path().join("risk.yaml");
    fs::write(&file, format!("slack_webhook: {ADDRESS}\n")).unwrap();
    let error = load(edited(LIVE, "policies/risk.yaml", &file.display().to_string())).unwrap_err();
    assert!(error.contains("risk.yaml") && !error.contains("s3cr3t"), "{error}");
}

#[test]
fn limits_of_logs_and_alerts_are_checked() {
    for (from, to, wanted) in [
        ("lines_per_second = 200", "lines_per_second = 0", &["`logs.lines_per_second` is 0", "1 to 1000000"][..]),
        ("file_mb_max = 256", "file_mb_max = 0", &["`logs.file_mb_max` is 0", "MiB"]),
        ("coalesce = \"30s\"", "coalesce = \"2h\"", &["`alerts.coalesce` is 2h", "up to \"1h\""]),
        ("coalesce = \"30s\"", "coalesce = 30", &["coalesce", "in quotes with its unit"]),
        ("slack_level = \"warning\"", "slack_level = \"loud\"", &["loud", "`warning`"]),
    ] {
        let error = load(edited(LIVE, from, to)).expect_err(to);
        for part in wanted {
            assert!(error.contains(part), "{to}: `{part}` is missing in: {error}");
        }
    }
}
