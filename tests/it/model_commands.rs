//! Commands of the model are carried out by its own program.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::Home;

/// A program that says how it was called.
fn program(file: &Path) {
    fs::write(file, "#!/bin/sh\nfor word in \"$@\"; do echo \"<$word>\"; done\nexit 7\n").unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn every_word_and_the_exit_code_are_passed_on() {
    let home = Home::simulated(60.0);
    let file = home.path("model-program");
    program(&file);
    let vars = [("LEVIBOT_MODEL_BINARY", file.to_str().unwrap())];
    for (args, wanted) in [
        (
            &["train", "--data", "a b", "--symbols", "A,B", "--json"][..],
            "<train>\n<--data>\n<a b>\n<--symbols>\n<A,B>\n<--json>\n",
        ),
        (&["retrain"], "<retrain>\n"),
        (&["predict", "--help"], "<predict>\n<--help>\n"),
        (&["fusion-test", "--data-dir", "x", "--", "-1"], "<fusion-test>\n<--data-dir>\n<x>\n<-->\n<-1>\n"),
        (&["model", "list", "-V"], "<model>\n<list>\n<-V>\n"),
    ] {
        let outcome = home.levibot_with(args, &vars);
        assert_eq!(outcome.ended_with(7), wanted);
    }
}

#[test]
fn a_program_that_is_not_there_is_told_with_the_remedy() {
    let home = Home::simulated(60.0);
    let missing = home.path("none");
    let outcome = home.levibot_with(&["train"], &[("LEVIBOT_MODEL_BINARY", missing.to_str().unwrap())]);
    outcome.refused_with(2, &["no program of the fusion model", "none", "scripts/setup.sh", "unset the variable"]);
    home.levibot(&["--json", "train"]).refused_with(2, &["a command of the model stands first"]);
    let help = home.levibot(&["--help"]);
    for command in ["train", "retrain", "predict", "fusion-test", "forecasts", "model"] {
        assert!(help.ended_with(0).contains(command), "{command}: {}", help.out);
    }
}
