use std::sync::Mutex;

use levibot_core::domain::{Decision, Ix, Timeframe, Ts};
use levibot_core::frames::FRAME_BYTES_MAX;

use super::*;
use crate::house_link::HouseLink;

const GENERATION: u64 = 7;
const SETUP: u64 = 11;

/// Stands where the supervisor would.
struct Hears(Arc<Mutex<Vec<String>>>);

impl Actor for Hears {
    type Context = Context<Self>;
}

impl Handler<EngineSays> for Hears {
    type Result = ();

    fn handle(&mut self, says: EngineSays, _: &mut Self::Context) {
        self.0.lock().unwrap().push(format!("{says:?}"));
    }
}

/// What is heard of an engine that says this and was given so many messages; whether it was ready.
async fn listening(given: u64, said: &[u8]) -> (Option<String>, Arc<Progress>, bool) {
    let heard = Arc::<Mutex<Vec<String>>>::default();
    let supervisor = Hears(Arc::clone(&heard)).start();
    let progress = Arc::<Progress>::default();
    (0..given).for_each(|_| progress.offer());
    let spec = EngineSpec {
        instrument: Ix(3),
        symbol: "BTCUSDT".parse().unwrap(),
        timeframe: Timeframe::MINUTE,
        generation: GENERATION,
    };
    let mut ear = Ear {
        spec,
        hello: wire::hello("daemon", "a build".to_owned()),
        setup_hash: SETUP,
        progress: Arc::clone(&progress),
        house: Outgoing::new(HouseLink::default()),
        mouth: Mouth(supervisor.clone().recipient()),
    };
    let fault = ear.listen(said).await;
    // What was said before is taken before this is answered.
    supervisor.send(EngineSays::Gone { instrument: Ix(3), generation: 0, cause: String::new() }).await.unwrap();
    let ready = heard.lock().unwrap().iter().any(|word| word.starts_with("Ready"));
    (fault, progress, ready)
}

fn frames(messages: &[FromEngine]) -> Vec<u8> {
    let mut bytes = Vec::new();
    messages.iter().for_each(|message| wire::append(message, &mut bytes).unwrap());
    bytes
}

fn hello() -> FromEngine {
    let hello = wire::hello("engine", "a build".to_owned());
    FromEngine::Hello { hello, generation: GENERATION, setup_hash: SETUP }
}

fn did(number: u64, what: Did) -> FromEngine {
    FromEngine::Did { generation: GENERATION, number, what }
}

fn answer(instrument: Ix, decided: Ts) -> Did {
    let decision = Decision { instrument, bar: decided, policy: 1, features: 1, forecast: None, intent: None };
    Did::Said(Said::Answer { bar: Ts::from_secs(60), decision: Some(decision), snapshot: None })
}

#[actix_rt::test]
async fn what_was_asked_for_is_taken_and_counted() {
    let said = frames(&[hello(), did(1, Did::Nothing), did(2, Did::Ready), did(3, Did::Nothing)]);
    let (fault, progress, ready) = listening(3, &said).await;
    assert_eq!((fault, progress.done(), ready), (None, 3, true));
}

#[actix_rt::test]
async fn whatever_else_is_said_ends_the_engine() {
    let other_build = FromEngine::Hello {
        hello: wire::hello("engine", "another build".to_owned()),
        generation: GENERATION,
        setup_hash: SETUP,
    };
    let other_setup = FromEngine::Hello {
        hello: wire::hello("engine", "a build".to_owned()),
        generation: GENERATION,
        setup_hash: SETUP + 1,
    };
    let stale = FromEngine::Did { generation: GENERATION - 1, number: 1, what: Did::Nothing };
    let bar = Ts::from_secs(60);
    let cases = [
        (vec![did(1, Did::Nothing)], "without a hello"),
        (vec![other_build], "another build"),
        (vec![other_setup], "another configuration"),
        (vec![hello(), hello()], "hello twice"),
        (vec![hello(), stale], "speaks for generation 6, and is 7"),
        (vec![hello(), did(2, Did::Nothing)], "answers message 2, and 1 of 2 is due"),
        (vec![hello(), did(1, Did::Nothing), did(1, Did::Nothing)], "answers message 1, and 2 of 2 is due"),
        (
            vec![hello(), did(1, Did::Nothing), did(2, Did::Nothing), did(3, Did::Nothing)],
            "answers message 3, and 3 of 2 is due",
        ),
        (vec![hello(), did(1, answer(Ix(4), bar))], "speaks for instrument 4"),
        (vec![hello(), did(1, answer(Ix(3), Ts::from_secs(120)))], "decides another bar"),
    ];
    for (said, wanted) in cases {
        let (fault, ..) = listening(2, &frames(&said)).await;
        assert!(fault.as_ref().is_some_and(|fault| fault.contains(wanted)), "{wanted}: {fault:?}");
    }
}

#[actix_rt::test]
async fn garbage_and_frames_without_measure_end_it_too() {
    let oversized = u32::try_from(FRAME_BYTES_MAX + 1).unwrap().to_le_bytes();
    for (rest, wanted) in [(b"\x03\0\0\0abc".as_slice(), "no message"), (oversized.as_slice(), "over the limit")] {
        let (fault, ..) = listening(1, &[&frames(&[hello()]), rest].concat()).await;
        assert!(fault.as_ref().is_some_and(|fault| fault.contains(wanted)), "{wanted}: {fault:?}");
    }
    let (fault, ..) = listening(1, &frames(&[hello()])[..9]).await;
    assert_eq!(fault, None, "one that ends in the middle is told of by its end");
}
