//! Changing the version while the server answers.

use std::fs;

use levibot_core::forecast::FromModel;

use crate::child::Server;
use crate::home::{Home, NEW, OLD};

/// Asks until something else than an answer comes, and counts the answers: each must be to the batch that was asked, by
/// the version that is said.
fn ask_until_word(server: &mut Server, home: &Home, version: &str) -> FromModel {
    let questions = home.questions(4);
    for id in 0..10_000 {
        server.ask(id, questions.clone());
        let mut word = None;
        loop {
            match server.hear().unwrap() {
                FromModel::Answer(answer) => {
                    assert_eq!((answer.id, answer.forecasts.len()), (id, questions.len()));
                    let versions = answer.forecasts.iter().map(|one| one.as_ref().unwrap().version);
                    // A word that came before the answer is about the version that gave it.
                    let wanted = match &word {
                        Some(FromModel::Ready(ready)) => ready.version,
                        _ => version.parse().unwrap(),
                    };
                    assert!(versions.into_iter().all(|by| by == wanted));
                    break;
                }
                other => word = Some(other),
            }
        }
        if let Some(word) = word {
            return word;
        }
    }
    panic!("no word came");
}

#[test]
fn a_new_version_takes_over_between_two_batches_and_back() {
    let home = Home::new();
    let mut server = Server::start(&home.models(), &[]);
    assert_eq!(server.ready().version.as_str(), OLD);
    home.promote(NEW);
    match ask_until_word(&mut server, &home, OLD) {
        FromModel::Ready(ready) => assert_eq!(ready.version.as_str(), NEW),
        other => panic!("{other:?}"),
    }
    home.versions().rollback(crate::home::at(3), "test", "a test").unwrap();
    match ask_until_word(&mut server, &home, NEW) {
        FromModel::Ready(ready) => assert_eq!(ready.version.as_str(), OLD),
        other => panic!("{other:?}"),
    }
    let (code, log) = server.close();
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn a_broken_new_version_leaves_the_old_one_in_use() {
    let home = Home::new();
    let mut server = Server::start(&home.models(), &[]);
    server.ready();
    let file = home.models().join(format!("ensemble_{NEW}/lightgbm.txt"));
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    let refused = home.versions().promote(&NEW.parse().unwrap(), crate::home::at(2), "test", "a test").unwrap_err();
    assert!(refused.to_string().contains("the file was altered"), "{refused}");
    // As if it had been altered after it was promoted.
    let link = home.models().join("link");
    std::os::unix::fs::symlink(format!("ensemble_{NEW}"), &link).unwrap();
    fs::rename(link, home.models().join("current")).unwrap();
    match ask_until_word(&mut server, &home, OLD) {
        FromModel::Failed { reason } => assert!(reason.contains("lightgbm.txt: the file was altered"), "{reason}"),
        other => panic!("{other:?}"),
    }
    server.ask(1, home.questions(3));
    assert!(server.answer().forecasts.iter().all(|one| one.as_ref().unwrap().version.as_str() == OLD));
    home.promote(OLD);
    let (code, log) = server.close();
    assert_eq!(code, Some(0));
    assert!(log.contains(&format!("version {OLD} stays in use")), "{log}");
}

#[test]
fn a_pinned_version_stays_whatever_the_link_says() {
    let home = Home::new();
    home.promote(NEW);
    let mut server = Server::start(&home.models(), &["--version", OLD]);
    assert_eq!(server.ready().version.as_str(), OLD);
    fs::remove_file(home.models().join("current")).unwrap();
    server.ask(1, home.questions(1));
    assert_eq!(server.answer().forecasts[0].as_ref().unwrap().version.as_str(), OLD);
    assert_eq!(server.close().0, Some(0));
}
