//! Faults that an engine process commits in its work loop.

use std::hint::{black_box, spin_loop};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use levibot_core::frames::{FRAME_BYTES_MAX, encode_bytes};
use nix::sys::signal::{Signal, raise};

use super::wire::{self, Did, FromEngine};
use crate::control::Fault;

/// Memory that is taken at a time, bytes.
const PIECE: usize = 16 << 20;

/// Commits a fault in place of the answer to message `number`. Of most there is no way back.
pub(super) fn commit(fault: Fault, generation: u64, number: u64, socket: &mut UnixStream) {
    match fault {
        Fault::Panic => panics(),
        Fault::PanicAsync => {
            let _ = pin!(async { panics() }).poll(&mut Context::from_waker(Waker::noop()));
        }
        Fault::PanicInDrop => {
            let _state = PanicsInDrop;
            panics();
        }
        Fault::Spin => loop {
            spin_loop();
        },
        Fault::Sleep { ms } => std::thread::sleep(Duration::from_millis(ms)),
        Fault::Freeze => loop {
            std::thread::park();
        },
        // The first one meets the runtime's own handler, which steps aside.
        Fault::Segfault => loop {
            let _ = raise(Signal::SIGSEGV);
        },
        Fault::Abort => std::process::abort(),
        Fault::OutOfMemory => takes_all(),
        Fault::StackOverflow => {
            black_box(deeper(0));
        }
        Fault::Exit => std::process::exit(0),
        Fault::Sigstop => {
            let _ = raise(Signal::SIGSTOP);
        }
        Fault::GarbageFrame => {
            let mut frame = Vec::new();
            let _ = encode_bytes(&[0xff; 64], &mut frame);
            let _ = socket.write_all(&frame);
        }
        Fault::OversizedFrame => {
            let length = u32::try_from(FRAME_BYTES_MAX).unwrap_or(u32::MAX).saturating_add(1);
            let _ = socket.write_all(&length.to_le_bytes());
            let _ = socket.write_all(&[0; 64]);
        }
        Fault::Flood => floods(generation, number, socket),
        Fault::StaleGeneration => {
            let stale = FromEngine::Did { generation: generation.wrapping_sub(1), number, what: Did::Nothing };
            let mut frame = Vec::new();
            let _ = wire::append(&stale, &mut frame);
            let _ = socket.write_all(&frame);
        }
    }
}

#[expect(clippy::panic, reason = "it is what was asked for")]
fn panics() {
    panic!("on request");
}

struct PanicsInDrop;

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        panics();
    }
}

/// Takes memory and writes to it until none is given.
fn takes_all() {
    let mut taken = Vec::new();
    loop {
        taken.push(black_box(vec![1_u8; PIECE]));
    }
}

fn deeper(level: u64) -> u64 {
    let room = black_box([level; 512]);
    if black_box(true) { deeper(level + 1) + room.iter().sum::<u64>() } else { level }
}

/// Ends when nobody takes it any more.
fn floods(generation: u64, number: u64, socket: &mut UnixStream) {
    for n in 0_u64.. {
        let unasked = FromEngine::Did { generation, number: number.wrapping_add(n), what: Did::Nothing };
        let mut frame = Vec::new();
        let _ = wire::append(&unasked, &mut frame);
        let _ = writeln!(std::io::stderr(), "line {n} that nobody asked for");
        if socket.write_all(&frame).is_err() {
            return;
        }
    }
}
