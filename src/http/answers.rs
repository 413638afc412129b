//! What is answered on each path.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::http::{Method, StatusCode, header};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use levibot_core::domain::HaltLevel;
use serde::Serialize;

use super::MetricsText;
use crate::control::{Desk, EnginesView, Stamp};

/// What the handlers answer from.
pub(super) struct Face {
    desk: Desk,
    metrics: MetricsText,
    /// The engines last asked for, and their JSON: most questions come between two changes.
    engines: Mutex<Option<(Arc<EnginesView>, Bytes)>>,
}

impl fmt::Debug for Face {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Face").field("desk", &self.desk).finish_non_exhaustive()
    }
}

impl Face {
    pub(super) fn new(desk: Desk, metrics: MetricsText) -> Self {
        Self { desk, metrics, engines: Mutex::default() }
    }

    pub(super) fn engines_json(&self) -> Result<Bytes, serde_json::Error> {
        let view = self.desk.board().engines();
        let mut last = self.engines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, json)) = last.as_ref()
            && Arc::ptr_eq(of, &view)
        {
            return Ok(json.clone());
        }
        let json = Bytes::from(serde_json::to_vec(view.as_ref())?);
        *last = Some((view, json.clone()));
        Ok(json)
    }
}

/// The paths that there are.
pub(super) async fn index() -> HttpResponse {
    #[derive(Serialize)]
    struct Index {
        name: &'static str,
        version: &'static str,
        paths: [&'static str; 3],
    }
    HttpResponse::Ok().json(Index {
        name: "levibot",
        version: env!("CARGO_PKG_VERSION"),
        paths: ["/engines/status", "/health", "/metrics"],
    })
}

/// The engines, in the user's own format.
pub(super) async fn engines_status(face: Data<Face>) -> HttpResponse {
    match face.engines_json() {
        Ok(json) => HttpResponse::Ok().content_type("application/json").body(json),
        Err(error) => {
            tracing::error!(%error, "the engines could not be written as JSON");
            problem(StatusCode::INTERNAL_SERVER_ERROR, "the engines could not be written as JSON")
        }
    }
}

/// 200 while the daemon does its work, also when it is halted: a halt is its work. 503 before it is ready, and when the
/// journal cannot be written.
pub(super) async fn health(face: Data<Face>) -> HttpResponse {
    #[derive(Serialize)]
    struct Health {
        status: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'static str>,
        ready: bool,
        halt: HaltLevel,
        trading_time: Stamp,
        bars: u64,
        journal_seq: u64,
        store_lag: u64,
    }
    let board = face.desk.board();
    let (pulse, halt) = (board.pulse(), board.account().halt);
    let (code, status, reason) = if pulse.journal_failed {
        (StatusCode::SERVICE_UNAVAILABLE, "failed", Some("the journal cannot be written: no new orders are sent"))
    } else if !pulse.ready {
        (StatusCode::SERVICE_UNAVAILABLE, "starting", Some("not every engine has been ready yet"))
    } else {
        (StatusCode::OK, "ok", None)
    };
    HttpResponse::build(code).json(Health {
        status,
        reason,
        ready: pulse.ready,
        halt,
        trading_time: Stamp(pulse.now),
        bars: pulse.bars,
        journal_seq: pulse.journal_seq,
        store_lag: pulse.journal_seq.saturating_sub(pulse.store_seq),
    })
}

/// The metrics, for Prometheus.
pub(super) async fn metrics(face: Data<Face>) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body((face.metrics)())
}

/// For a path that is not there. Only reading is offered anywhere.
pub(super) async fn not_found(request: HttpRequest) -> HttpResponse {
    match *request.method() {
        Method::GET | Method::HEAD => problem(StatusCode::NOT_FOUND, "there is nothing here; / lists the paths"),
        _ => method_not_allowed().await,
    }
}

/// For a method that would change something.
pub(super) async fn method_not_allowed() -> HttpResponse {
    let detail = "only GET and HEAD are answered here; commands go through `levibot` on the daemon's machine";
    let mut response = problem(StatusCode::METHOD_NOT_ALLOWED, detail);
    response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("GET, HEAD"));
    response
}

/// An error in the form of RFC 9457.
fn problem(code: StatusCode, detail: &str) -> HttpResponse {
    #[derive(Serialize)]
    struct Problem<'a> {
        r#type: &'static str,
        title: &'a str,
        status: u16,
        detail: &'a str,
    }
    let title = code.canonical_reason().unwrap_or("Error");
    HttpResponse::build(code).content_type("application/problem+json").json(Problem {
        r#type: "about:blank",
        title,
        status: code.as_u16(),
        detail,
    })
}
