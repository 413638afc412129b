//! The server over a socket pair: what it answers, what it refuses, how it ends.

use std::io::Write;

use levibot_core::domain::Timeframe;
use levibot_core::forecast::{
    Batch, FromModel, INPUTS, PROTOCOL_VERSION, QUESTIONS_MAX, Refusal, ToModel, WINDOW, encode, schema_hash,
    window_hash,
};
use levibot_core::frames::FRAME_BYTES_MAX;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::child::Server;
use crate::home::{Home, NEW, OLD};

#[test]
fn the_first_word_names_the_version_and_answers_are_sound_and_repeatable() {
    let home = Home::new();
    let mut server = Server::start(&home.models(), &[]);
    let ready = server.ready();
    let metadata = home.versions().open(&OLD.parse().unwrap()).unwrap().metadata;
    assert_eq!((ready.protocol, ready.schema), (PROTOCOL_VERSION, schema_hash()));
    assert_eq!((ready.version.as_str(), ready.digest), (OLD, metadata.digest));
    assert_eq!((ready.trained_through, ready.horizon_bars), (metadata.trained_through, 12));
    let questions = home.questions(15);
    server.ask(7, questions.clone());
    let answer = server.answer();
    assert_eq!((answer.id, answer.forecasts.len()), (7, 15));
    for (asked, forecast) in questions.iter().zip(&answer.forecasts) {
        let forecast = forecast.as_ref().unwrap();
        assert!(forecast.is_sound() && forecast.features == asked.features && forecast.version.as_str() == OLD);
        assert!(forecast.votes[0].is_some() && forecast.votes[1].is_some() && forecast.votes[2].is_none());
        assert!(forecast.quantiles.is_some());
    }
    let differing = answer.forecasts.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!(differing > 7, "answers depend on the question");
    // One at a time and in another order, they are the same bits.
    for (n, asked) in questions.iter().enumerate().rev() {
        server.ask(n as u64, vec![asked.clone()]);
        assert_eq!(server.answer().forecasts[0], answer.forecasts[n], "{n}");
    }
    let (code, log) = server.close();
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn a_question_that_cannot_be_meant_is_refused_and_costs_the_others_nothing() {
    let home = Home::new();
    let mut server = Server::start(&home.models(), &["--version", NEW]);
    assert_eq!(server.ready().version.as_str(), NEW);
    let good = home.questions(1).remove(0);
    let mut short = good.clone();
    short.window.pop();
    let mut unreal = good.clone();
    unreal.window[5] = f32::NAN;
    unreal.features = window_hash(&unreal.window);
    let mut infinite = good.clone();
    infinite.window[WINDOW * INPUTS - 1] = f32::INFINITY;
    infinite.features = window_hash(&infinite.window);
    let mut other = good.clone();
    other.features ^= 1;
    server.ask(1, vec![short, good.clone(), unreal, infinite, other]);
    let forecasts = server.answer().forecasts;
    let last = u32::try_from(WINDOW * INPUTS - 1).unwrap();
    assert_eq!(forecasts[0], Err(Refusal::Shape { found: last }));
    assert!(forecasts[1].is_ok());
    assert_eq!(forecasts[2], Err(Refusal::NotFinite { at: 5 }));
    assert_eq!(forecasts[3], Err(Refusal::NotFinite { at: last }));
    assert_eq!(forecasts[4], Err(Refusal::Hash));
    let minutes = Batch { id: 2, timeframe: Timeframe::MINUTE, questions: vec![good] };
    server.send(&encode(&ToModel::Forecast(minutes)).unwrap());
    assert_eq!(server.answer().forecasts, [Err(Refusal::Timeframe)]);
    server.ask(3, Vec::new());
    assert_eq!(server.answer().forecasts, []);
    // Values at the edge of what is finite are still answered by numbers, or refused with words.
    let mut huge = home.questions(1).remove(0);
    huge.window.iter_mut().for_each(|x| *x = f32::MAX);
    huge.features = window_hash(&huge.window);
    server.ask(4, vec![huge]);
    match &server.answer().forecasts[0] {
        Ok(forecast) => assert!(forecast.is_sound()),
        Err(refusal) => assert!(matches!(refusal, Refusal::Failed(_)), "{refusal:?}"),
    }
    assert_eq!(server.close().0, Some(0));
}

#[test]
fn a_stream_out_of_step_ends_the_server_with_words() {
    let home = Home::new();
    let questions = home.questions(1);
    let too_many =
        Batch { id: 1, timeframe: Timeframe::HOUR, questions: vec![questions[0].clone(); QUESTIONS_MAX + 1] };
    let mut too_many = encode(&ToModel::Forecast(too_many)).unwrap();
    assert!(too_many.len() <= FRAME_BYTES_MAX, "the limit of questions is what is tested");
    let mut length = u32::try_from(too_many.len()).unwrap().to_le_bytes().to_vec();
    length.append(&mut too_many);
    let oversized = u32::try_from(FRAME_BYTES_MAX + 1).unwrap().to_le_bytes().to_vec();
    for (bytes, wanted) in [
        (b"\x05\x00\x00\x00hello".to_vec(), "holds no question"),
        (oversized, "over the limit of 1048576"),
        (length, "a batch of 65 questions is over the limit of 64"),
    ] {
        let mut server = Server::start(&home.models(), &[]);
        server.ready();
        // What was asked before is answered.
        server.ask(1, questions.clone());
        server.socket.write_all(&bytes).unwrap();
        assert_eq!(server.answer().id, 1);
        assert_eq!(server.hear(), None);
        let (code, log) = server.end();
        assert_eq!(code, Some(1), "{log}");
        assert!(log.lines().last().unwrap().contains(wanted), "{log}");
    }
    let mut server = Server::start(&home.models(), &[]);
    server.ready();
    server.socket.write_all(b"\x05\x00\x00\x00he").unwrap();
    let (code, log) = server.close();
    assert!(code == Some(1) && log.contains("ended inside a frame"), "{log}");
}

#[test]
fn sigterm_ends_it_in_order_and_a_killed_one_leaves_nothing_behind() {
    let home = Home::new();
    let signal =
        |server: &Server, signal| kill(Pid::from_raw(i32::try_from(server.child.id()).unwrap()), signal).unwrap();
    let mut server = Server::start(&home.models(), &[]);
    server.ready();
    // Ctrl-C in a terminal reaches the whole group: the daemon decides when its model ends.
    signal(&server, Signal::SIGINT);
    server.ask(1, home.questions(2));
    assert_eq!(server.answer().id, 1);
    signal(&server, Signal::SIGTERM);
    assert_eq!(server.hear(), None);
    let (code, log) = server.end();
    assert_eq!(code, Some(0), "{log}");

    let mut killed = Server::start(&home.models(), &[]);
    killed.ready();
    killed.ask(1, home.questions(15));
    signal(&killed, Signal::SIGKILL);
    killed.end();
    let mut server = Server::start(&home.models(), &[]);
    assert_eq!(server.ready().version.as_str(), OLD);
    assert_eq!(server.close().0, Some(0));
}

#[test]
fn a_start_that_cannot_work_says_so_with_a_remedy() {
    let home = Home::new();
    let mut server = Server::start(&home.data(), &[]);
    match server.hear() {
        Some(FromModel::Failed { reason }) => assert!(reason.contains("levibot train"), "{reason}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(server.end().0, Some(1));
    let out = crate::child::program().arg("serve").stdin(std::process::Stdio::null()).output().unwrap();
    assert_eq!(out.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&out.stderr).contains("standard input is not a socket"));
}
