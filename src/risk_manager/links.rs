//! The ways to the engines, and what waits on them.

use std::collections::{BTreeMap, VecDeque};

use levibot_core::domain::Ix;
use levibot_core::driver::EngineInput;

use crate::engine_host::{EngineLink, Offer};

/// The ways to the engines. What finds a mailbox full waits here, in order; of several positions in a row only the last
/// one waits, so that quotes cannot fill it.
#[derive(Debug, Default)]
pub(super) struct Links(BTreeMap<Ix, Way>);

#[derive(Debug)]
struct Way {
    link: Box<dyn EngineLink>,
    waiting: VecDeque<EngineInput>,
}

impl Links {
    /// A new generation: what waited for the one before is dropped, because the new one is told where to begin.
    pub(super) fn put(&mut self, ix: Ix, link: Box<dyn EngineLink>) {
        self.0.insert(ix, Way { link, waiting: VecDeque::new() });
    }

    /// Tells an engine, after all that waits for it; `false` when it has to wait. Nothing waits for the dead.
    pub(super) fn tell(&mut self, ix: Ix, input: EngineInput) -> bool {
        let Some(way) = self.0.get_mut(&ix) else { return true };
        match (way.waiting.back_mut(), input) {
            (Some(EngineInput::Position(last)), EngineInput::Position(view)) => *last = view,
            (_, input) => way.waiting.push_back(input),
        }
        self.flush(ix)
    }

    /// Tries what waits once more.
    pub(super) fn flush_all(&mut self) {
        let waiting = self.0.iter().filter(|(_, way)| !way.waiting.is_empty()).map(|(ix, _)| *ix);
        for ix in waiting.collect::<Vec<_>>() {
            self.flush(ix);
        }
    }

    fn flush(&mut self, ix: Ix) -> bool {
        let Some(way) = self.0.get_mut(&ix) else { return true };
        while let Some(input) = way.waiting.pop_front() {
            match way.link.offer(input) {
                Offer::Accepted => {}
                Offer::Full(input) => {
                    way.waiting.push_front(input);
                    return false;
                }
                Offer::Dead => {
                    self.0.remove(&ix);
                    return true;
                }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};

    use levibot_core::domain::PositionView;

    use super::*;

    /// Takes so many, and is dead from `usize::MAX` on.
    #[derive(Debug, Clone, Default)]
    struct Narrow {
        room: Arc<AtomicUsize>,
        taken: Arc<Mutex<Vec<EngineInput>>>,
    }

    impl EngineLink for Narrow {
        fn offer(&self, input: EngineInput) -> Offer {
            match self.room.load(Ordering::Acquire) {
                0 => Offer::Full(input),
                usize::MAX => Offer::Dead,
                room => {
                    self.room.store(room - 1, Ordering::Release);
                    self.taken.lock().unwrap().push(input);
                    Offer::Accepted
                }
            }
        }
    }

    fn position(stop: f64) -> EngineInput {
        EngineInput::Position(PositionView { stop, ..PositionView::flat(Ix(0)) })
    }

    #[test]
    fn nothing_is_left_out_or_overtaken() {
        let (mut links, link) = (Links::default(), Narrow::default());
        links.put(Ix(0), Box::new(link.clone()));
        assert!(links.tell(Ix(7), position(0.0)), "nobody is there");
        let bars = || EngineInput::Prime(Vec::new());
        assert!(!links.tell(Ix(0), bars()));
        for stop in [1.0, 2.0, 3.0] {
            assert!(!links.tell(Ix(0), position(stop)));
        }
        assert!(!links.tell(Ix(0), bars()));
        link.room.store(2, Ordering::Release);
        links.flush_all();
        assert!(!links.tell(Ix(0), position(4.0)));
        link.room.store(5, Ordering::Release);
        links.flush_all();
        assert_eq!(*link.taken.lock().unwrap(), [bars(), position(3.0), bars(), position(4.0)]);
    }

    #[test]
    fn the_dead_are_let_go_and_a_new_generation_begins_with_nothing() {
        let (mut links, link) = (Links::default(), Narrow::default());
        links.put(Ix(0), Box::new(link.clone()));
        assert!(!links.tell(Ix(0), position(1.0)));
        links.put(Ix(0), Box::new(link.clone()));
        link.room.store(usize::MAX, Ordering::Release);
        assert!(links.tell(Ix(0), position(2.0)));
        assert_eq!(Arc::strong_count(&link.taken), 1, "its link is dropped");
    }
}
