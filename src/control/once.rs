//! A command that comes twice under one key is carried out once.
//!
//! A face whose messages can come again (a chat that repeats an update, a client that tries again after a timeout) gives each
//! command a key of its own. Who comes second gets what the first one got, also while that is under way.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::{Answer, Caller, Command, Face};

/// How many keys are remembered. The oldest go first.
const KEYS_MAX: usize = 1_024;
/// Longest key, bytes.
pub(super) const KEY_BYTES_MAX: usize = 128;

/// Whose key: one caller cannot meet another's.
type Name = (Face, String, String);

/// A command under a key, and its answer once there is one.
#[derive(Debug, Clone)]
struct Known {
    command: String,
    answer: watch::Receiver<Option<Answer>>,
}

/// See the module. Clones share what they know.
#[derive(Debug, Clone, Default)]
pub(super) struct Once {
    memory: Arc<Mutex<Memory>>,
}

#[derive(Debug, Default)]
struct Memory {
    known: HashMap<Name, Known>,
    oldest_first: VecDeque<Name>,
}

/// What is to be done with a command.
#[derive(Debug)]
pub(super) enum Turn {
    /// It is the first: carry it out, and tell the answer.
    First(watch::Sender<Option<Answer>>),
    /// It was given before: this is its answer, as soon as there is one.
    Again(watch::Receiver<Option<Answer>>),
    /// The key is another command's.
    Taken,
    /// No key is so long.
    TooLong,
}

impl Once {
    /// Takes note of a command of `caller` under `key`.
    pub(super) fn begin(&self, caller: &Caller, key: &str, command: &Command) -> Turn {
        if key.len() > KEY_BYTES_MAX {
            return Turn::TooLong;
        }
        let (name, command) = ((caller.face, caller.name.clone(), key.to_owned()), command.to_string());
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = memory.known.get(&name) {
            return if known.command == command { Turn::Again(known.answer.clone()) } else { Turn::Taken };
        }
        let (tell, answer) = watch::channel(None);
        memory.known.insert(name.clone(), Known { command, answer });
        memory.oldest_first.push_back(name);
        if memory.oldest_first.len() > KEYS_MAX
            && let Some(oldest) = memory.oldest_first.pop_front()
        {
            memory.known.remove(&oldest);
        }
        Turn::First(tell)
    }
}

/// Waits for the answer of who came first. `None` where that one was cut off before there was any.
pub(super) async fn heard(mut answer: watch::Receiver<Option<Answer>>) -> Option<Answer> {
    answer.wait_for(Option::is_some).await.ok().and_then(|answer| answer.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Scope;

    #[tokio::test]
    async fn who_comes_second_gets_the_answer_of_the_first() {
        let (once, caller) = (Once::default(), Caller::socket("root"));
        let pause = Command::Pause(Scope::All);
        let Turn::First(tell) = once.begin(&caller, "k", &pause) else { panic!("nobody was before") };
        let Turn::Again(answer) = once.begin(&caller, "k", &pause) else { panic!("it is the same") };
        tell.send_replace(Some(Answer::Done("paused".to_owned())));
        assert_eq!(heard(answer).await, Some(Answer::Done("paused".to_owned())));
        assert!(matches!(once.begin(&caller, "k", &Command::Reload), Turn::Taken));
        assert!(matches!(once.begin(&Caller::daemon("root"), "k", &pause), Turn::First(_)), "another face");
        assert!(matches!(once.begin(&caller, &"k".repeat(KEY_BYTES_MAX + 1), &pause), Turn::TooLong));
    }

    #[tokio::test]
    async fn the_oldest_keys_go_first_and_one_that_was_cut_off_has_no_answer() {
        let (once, caller) = (Once::default(), Caller::socket("root"));
        let Turn::First(tell) = once.begin(&caller, "0", &Command::Reload) else { panic!("nobody was before") };
        let Turn::Again(answer) = once.begin(&caller, "0", &Command::Reload) else { panic!("it is the same") };
        drop(tell);
        assert_eq!(heard(answer).await, None);
        for key in 1..=KEYS_MAX {
            assert!(matches!(once.begin(&caller, &key.to_string(), &Command::Reload), Turn::First(_)), "{key}");
        }
        assert!(matches!(once.begin(&caller, "0", &Command::Reload), Turn::First(_)), "it is forgotten");
        assert_eq!(once.memory.lock().unwrap().known.len(), KEYS_MAX);
    }
}
