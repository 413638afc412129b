//! The server as a child process, with its socket.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use levibot_core::domain::Timeframe;
use levibot_core::forecast::{Answer, Asked, Batch, FromModel, Ready, ToModel, decode, encode};
use levibot_core::frames::{encode_bytes, read_frame};

/// The program.
pub(crate) fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_levibot-model"))
}

/// A server that is running.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) socket: UnixStream,
}

impl Server {
    pub(crate) fn start(models: &Path, more: &[&str]) -> Self {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let child = program()
            .args(["serve", "--threads", "1", "--models", models.to_str().unwrap()])
            .args(more)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        ours.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self { child, socket: ours }
    }

    pub(crate) fn send(&mut self, payload: &[u8]) {
        let mut frame = Vec::new();
        encode_bytes(payload, &mut frame).unwrap();
        self.socket.write_all(&frame).unwrap();
    }

    pub(crate) fn ask(&mut self, id: u64, questions: Vec<Asked>) {
        let batch = Batch { id, timeframe: Timeframe::HOUR, questions };
        self.send(&encode(&ToModel::Forecast(batch)).unwrap());
    }

    /// What it says next; `None` when it has closed the connection.
    pub(crate) fn hear(&mut self) -> Option<FromModel> {
        read_frame(&mut self.socket).unwrap().map(|payload| decode(&payload).unwrap())
    }

    pub(crate) fn ready(&mut self) -> Ready {
        match self.hear() {
            Some(FromModel::Ready(ready)) => ready,
            other => panic!("not ready: {other:?}"),
        }
    }

    pub(crate) fn answer(&mut self) -> Answer {
        match self.hear() {
            Some(FromModel::Answer(answer)) => answer,
            other => panic!("no answer: {other:?}"),
        }
    }

    /// Closes the connection and waits: exit code, log.
    pub(crate) fn close(self) -> (Option<i32>, String) {
        drop(self.socket);
        finish(self.child)
    }

    /// Waits until it ends by itself: exit code, log.
    pub(crate) fn end(self) -> (Option<i32>, String) {
        let end = finish(self.child);
        drop(self.socket);
        end
    }
}

fn finish(mut child: Child) -> (Option<i32>, String) {
    let (mut out, mut log) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert_eq!(out, "", "nothing is written to standard output");
    (child.wait().unwrap().code(), log)
}
