//! The daemon's way to an engine process: whole frames, in one order, without waiting.

use std::io::{ErrorKind, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use levibot_core::driver::EngineInput;
use tokio::sync::mpsc;

use super::wire::{self, Begin, ToEngine};
use super::{Offer, Progress};
use crate::telemetry::chain;

/// Messages that may be unanswered. A healthy engine has one or two.
const UNANSWERED_MAX: u64 = 64;

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    Whole,
    Full,
    Dead,
}

/// The end of a frame that did not fit into the socket, on its way to the task that writes it.
pub(super) type Rests = mpsc::Receiver<Vec<u8>>;

/// See the module. The house and the supervisor write by turns.
#[derive(Debug)]
pub(super) struct Sending {
    pipe: Mutex<Pipe>,
    progress: Arc<Progress>,
    /// The end of a frame is on its way: nothing may overtake it.
    busy: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Pipe {
    socket: UnixStream,
    /// Kept for its memory.
    frame: Vec<u8>,
    rests: mpsc::Sender<Vec<u8>>,
}

impl Sending {
    /// A way over `socket`, which does not block; whoever takes the rests writes them and then says [`Self::rested`].
    pub(super) fn new(socket: UnixStream, progress: Arc<Progress>) -> (Self, Rests) {
        let (rests, taken) = mpsc::channel(1);
        let pipe = Mutex::new(Pipe { socket, frame: Vec::new(), rests });
        (Self { pipe, progress, busy: Arc::default() }, taken)
    }

    /// Says who the engine is.
    pub(super) fn begin(&self, begin: Begin) -> bool {
        self.send(&mut self.pipe(), &ToEngine::Begin(Box::new(begin))) == Sent::Whole
    }

    /// Hands over work.
    pub(super) fn offer(&self, input: EngineInput) -> Offer {
        let mut pipe = self.pipe();
        if self.progress.waiting() >= UNANSWERED_MAX {
            return Offer::Full(input);
        }
        // Counted before the engine can have answered.
        self.progress.offer();
        match self.send(&mut pipe, &ToEngine::Work(&input)) {
            Sent::Whole => Offer::Accepted,
            Sent::Full => {
                self.progress.take_back();
                Offer::Full(input)
            }
            Sent::Dead => Offer::Dead,
        }
    }

    /// Sends a beat, unless the way is in use, which is as good.
    pub(super) fn beat(&self) {
        let mut pipe = match self.pipe.try_lock() {
            Ok(pipe) => pipe,
            Err(TryLockError::Poisoned(pipe)) => pipe.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        self.progress.offer();
        if self.send(&mut pipe, &ToEngine::<&EngineInput>::Beat) == Sent::Full {
            self.progress.take_back();
        }
    }

    /// Hands over a fault to commit; `false` when it cannot be handed over now.
    #[cfg(feature = "fault-injection")]
    pub(super) fn inject(&self, fault: crate::control::Fault) -> bool {
        let mut pipe = self.pipe();
        self.progress.offer();
        let sent = self.send(&mut pipe, &ToEngine::<&EngineInput>::Fault(fault));
        if sent == Sent::Full {
            self.progress.take_back();
        }
        sent == Sent::Whole
    }

    /// Ends what is said to the engine, which ends it in order.
    pub(super) fn close(&self) {
        let _ = self.pipe().socket.shutdown(Shutdown::Write);
    }

    /// The rest that was handed over is written.
    pub(super) fn rested(&self) {
        self.busy.store(false, Ordering::Release);
    }

    fn pipe(&self) -> MutexGuard<'_, Pipe> {
        self.pipe.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, pipe: &mut Pipe, message: &ToEngine<&EngineInput>) -> Sent {
        if self.busy.load(Ordering::Acquire) {
            return Sent::Full;
        }
        pipe.frame.clear();
        if let Err(error) = wire::append(message, &mut pipe.frame) {
            tracing::error!(error = chain(&error), "an engine cannot be told what it must know");
            return Sent::Dead;
        }
        match (&pipe.socket).write(&pipe.frame) {
            Ok(written) if written == pipe.frame.len() => Sent::Whole,
            Ok(written) => {
                self.busy.store(true, Ordering::Release);
                let rest = pipe.frame.split_off(written);
                // There is room: nothing is handed over while a rest is on its way.
                if pipe.rests.try_send(rest).is_ok() { Sent::Whole } else { Sent::Dead }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Sent::Full,
            Err(_) => Sent::Dead,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use levibot_core::domain::{Ix, PositionView};
    use levibot_core::engine::Snapshot;
    use levibot_core::frames::{Decoder, read_frame};

    use super::*;

    fn pair() -> (Sending, Rests, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let (sending, rests) = Sending::new(ours, Arc::default());
        (sending, rests, theirs)
    }

    fn state(bytes: usize) -> EngineInput {
        EngineInput::Restore(Snapshot { version: 1, schema: 1, policy: 1, bytes: vec![7; bytes] })
    }

    #[test]
    fn a_frame_that_does_not_fit_is_ended_before_anything_follows() {
        let (sending, mut rests, mut theirs) = pair();
        let writer = sending.pipe().socket.try_clone().unwrap();
        assert_eq!(sending.offer(state(900_000)), Offer::Accepted);
        let small = EngineInput::Position(PositionView::flat(Ix(0)));
        assert_eq!(sending.offer(small.clone()), Offer::Full(small.clone()), "nothing overtakes");
        assert_eq!(sending.progress.offered(), 1);
        let rest = rests.try_recv().unwrap();
        let write = std::thread::spawn(move || {
            writer.set_nonblocking(false).unwrap();
            (&writer).write_all(&rest).unwrap();
        });
        let first = read_frame(&mut theirs).unwrap().unwrap();
        write.join().unwrap();
        assert!(
            matches!(wire::message::<ToEngine<EngineInput>>(&first).unwrap(), ToEngine::Work(w) if w == state(900_000))
        );
        sending.rested();
        assert_eq!(sending.offer(small), Offer::Accepted);
    }

    #[test]
    fn an_engine_that_answers_nothing_is_full_and_one_that_is_gone_is_dead() {
        let (sending, _rests, mut theirs) = pair();
        let small = || EngineInput::Position(PositionView::flat(Ix(0)));
        for _ in 0..UNANSWERED_MAX {
            assert_eq!(sending.offer(small()), Offer::Accepted);
        }
        assert!(matches!(sending.offer(small()), Offer::Full(_)));
        let mut bytes = vec![0; 1 << 20];
        let read = theirs.read(&mut bytes).unwrap();
        let mut decoder = Decoder::new();
        decoder.push(&bytes[..read]);
        let mut frames = 0;
        while decoder.next_frame().unwrap().is_some() {
            frames += 1;
        }
        assert_eq!(frames, UNANSWERED_MAX);
        (0..UNANSWERED_MAX).for_each(|_| sending.progress.finish(None));
        drop(theirs);
        assert_eq!(sending.offer(small()), Offer::Dead);
    }
}
