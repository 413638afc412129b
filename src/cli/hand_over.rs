//! Commands that belong to the program of the fusion model are carried out by it.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// The commands that are handed over.
pub const MODEL_COMMANDS: [&str; 6] = ["train", "retrain", "predict", "fusion-test", "forecasts", "model"];

/// Whether these arguments (without the program's name) begin with a command of the model.
pub fn is_for_model(args: &[OsString]) -> bool {
    args.first().and_then(|first| first.to_str()).is_some_and(|first| MODEL_COMMANDS.contains(&first))
}

/// Becomes `binary` with these arguments; its exit code is this program's. Comes back only when that fails.
pub fn hand_over(binary: &Path, args: &[OsString]) -> io::Error {
    Command::new(binary).args(args).exec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_first_word_of_the_model_is_handed_over() {
        let args = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        for text in ["train --help", "retrain", "predict --symbol BTCUSDT --json", "fusion-test", "model list --json"] {
            assert!(is_for_model(&args(text)), "{text}");
        }
        for text in ["run", "status train", "--json status", "models"] {
            assert!(!is_for_model(&args(text)), "{text}");
        }
    }
}
