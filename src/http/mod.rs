//! The read-only HTTP face: engines, health and metrics. It answers from the board and asks no actor.

mod answers;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
pub use actix_web::dev::ServerHandle;
use actix_web::middleware::DefaultHeaders;
use actix_web::{App, HttpServer, guard, web};

use crate::control::Desk;
use answers::Face;

/// Connections at once.
pub(crate) const CONNECTIONS_MAX: usize = 256;
/// For the head of a request.
const HEAD_SECONDS_MAX: u64 = 5;
/// How long a connection may wait for its next request.
const KEEP_ALIVE_SECONDS: u64 = 15;
/// How long answers on their way may take once the server is told to stop.
const SHUTDOWN_SECONDS: u64 = 1;

/// Gives the metrics in the text format of Prometheus.
pub type MetricsText = Arc<dyn Fn() -> String + Send + Sync>;

/// Why HTTP cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Others could read, and there is no way yet to tell who asks.
    #[error(
        "{bind} can be reached from outside this machine, and HTTP has no authentication yet: bind to 127.0.0.1, or \
         accept that with --allow-non-loopback"
    )]
    NotLoopback {
        /// The address.
        bind: SocketAddr,
    },
    /// Somebody listens there.
    #[error(
        "{bind} is in use by another program: end it, or choose another port with --http-bind 127.0.0.1:8001 \
         or `[http] bind` in the configuration"
    )]
    InUse {
        /// The address.
        bind: SocketAddr,
    },
    /// The system refuses the address.
    #[error("cannot listen on {bind}: choose another address with --http-bind or `[http] bind` in the configuration")]
    Bind {
        /// The address.
        bind: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A server that listens on `bind`, and the address that it got (which tells the port when 0 was asked for). It serves
/// while the returned future is polled or spawned, on one worker thread; its handle stops it. Signals are left to the
/// caller.
///
/// # Errors
/// [`HttpError`] when `bind` is not of this machine only and that was not allowed, or cannot be listened on.
pub fn server(
    bind: SocketAddr,
    allow_non_loopback: bool,
    desk: Desk,
    metrics: MetricsText,
) -> Result<(Server, SocketAddr), HttpError> {
    if !allow_non_loopback && !bind.ip().to_canonical().is_loopback() {
        return Err(HttpError::NotLoopback { bind });
    }
    let face = web::Data::new(Face::new(desk, metrics));
    let server = HttpServer::new(move || {
        let face = face.clone();
        App::new().wrap(strict_headers()).configure(|config| routes(config, face))
    })
    .workers(1)
    .max_connections(CONNECTIONS_MAX)
    .client_request_timeout(Duration::from_secs(HEAD_SECONDS_MAX))
    .keep_alive(Duration::from_secs(KEEP_ALIVE_SECONDS))
    .shutdown_timeout(SHUTDOWN_SECONDS)
    .disable_signals();
    let server = server.bind(bind).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => HttpError::InUse { bind },
        _ => HttpError::Bind { bind, source },
    })?;
    let bound = server.addrs().first().copied().unwrap_or(bind);
    Ok((server.run(), bound))
}

/// Nothing here is to be kept, guessed at, framed or run.
fn strict_headers() -> DefaultHeaders {
    DefaultHeaders::new()
        .add(("X-Content-Type-Options", "nosniff"))
        .add(("Cache-Control", "no-store"))
        .add(("Content-Security-Policy", "default-src 'none'"))
        .add(("Referrer-Policy", "no-referrer"))
}

fn routes(config: &mut web::ServiceConfig, face: web::Data<Face>) {
    let read = || web::route().guard(guard::Any(guard::Get()).or(guard::Head()));
    let resource = |path: &str| web::resource(path).default_service(web::to(answers::method_not_allowed));
    config
        .app_data(face)
        .service(resource("/").route(read().to(answers::index)))
        .service(resource("/health").route(read().to(answers::health)))
        .service(resource("/metrics").route(read().to(answers::metrics)))
        .service(resource("/engines/status").route(read().to(answers::engines_status)))
        .default_service(web::to(answers::not_found));
}

#[cfg(test)]
mod tests;
