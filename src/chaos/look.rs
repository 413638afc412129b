//! The eyes of a storm: what a person could ask the daemon, asked often.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::ChaosError;
use super::watch::{Look, Row};
use crate::control::{Answer, Client, Command, EngineRow, EnginesView, Question, Request, StatusView, socket_path};

/// How long metrics may take.
const METRICS_PATIENCE: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug)]
pub(super) struct Eyes {
    socket: PathBuf,
    /// Where metrics are told; `None` when they are not.
    http: Option<SocketAddr>,
    client: Option<Client>,
    began: Instant,
}

impl Eyes {
    /// Eyes on the daemon of a data folder.
    pub(super) fn new(data_dir: &std::path::Path, http: Option<SocketAddr>) -> Self {
        Self { socket: socket_path(data_dir), http, client: None, began: Instant::now() }
    }

    /// Time counts from here.
    pub(super) fn begin(&mut self) {
        self.began = Instant::now();
    }

    pub(super) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// The daemon is another from now on.
    pub(super) fn forget(&mut self) {
        self.client = None;
    }

    fn request(&mut self, request: &Request) -> Result<Answer, ChaosError> {
        let mut client = match self.client.take() {
            Some(client) => client,
            None => Client::connect(&self.socket)?,
        };
        let answer = client.request(request)?;
        self.client = Some(client);
        Ok(answer)
    }

    /// The engines as they are now.
    pub(super) fn engines(&mut self) -> Result<Look, ChaosError> {
        match self.request(&Request::Ask(Question::Engines))? {
            Answer::Engines(view) => Ok(look(&view, self.now())),
            other => Err(ChaosError::Answer(format!("{other:?}"))),
        }
    }

    /// The daemon as it is now.
    pub(super) fn status(&mut self) -> Result<StatusView, ChaosError> {
        match self.request(&Request::Ask(Question::Status))? {
            Answer::Status(view) => Ok(*view),
            other => Err(ChaosError::Answer(format!("{other:?}"))),
        }
    }

    /// Tells the daemon to do something; `Err` holds why it does not.
    pub(super) fn order(&mut self, command: Command) -> Result<String, String> {
        match self.request(&Request::Do(command)) {
            Ok(Answer::Done(done)) => Ok(done),
            Ok(Answer::Refused(why) | Answer::Denied(why) | Answer::UnderWay(why)) => Err(why),
            Ok(other) => Err(format!("{other:?}")),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The process that serves the socket.
    pub(super) fn daemon(&mut self) -> Result<Option<u32>, ChaosError> {
        self.engines()?;
        Ok(self.client.as_ref().and_then(Client::daemon_pid))
    }

    /// The metrics as text; `None` when they are not to be had.
    pub(super) fn metrics(&self) -> Option<String> {
        let mut stream = TcpStream::connect_timeout(&self.http?, METRICS_PATIENCE).ok()?;
        stream.set_read_timeout(Some(METRICS_PATIENCE)).ok()?;
        stream.set_write_timeout(Some(METRICS_PATIENCE)).ok()?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.lines().next()?.contains(" 200 ").then(|| body.to_owned())
    }
}

fn look(view: &EnginesView, at: Duration) -> Look {
    let row = |e: &EngineRow| Row {
        symbol: e.symbol,
        status: e.status.clone(),
        errors: e.error_count,
        generation: e.generation,
        pid: e.pid,
        uptime: e.uptime_seconds,
        last_error: e.last_error.clone(),
        last_bar: e.last_bar.map(|stamp| stamp.0),
    };
    let totals = [view.total, view.running, view.stopped, view.crashed];
    Look { at, totals, rows: view.engines.iter().map(row).collect() }
}
