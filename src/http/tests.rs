use actix_web::body::MessageBody;
use actix_web::dev::ServiceResponse;
use actix_web::http::{Method, StatusCode, header};
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use levibot_core::domain::HaltLevel;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::control::{Board, EnginesView, samples};

fn metrics() -> MetricsText {
    Arc::new(|| "levibot_up 1\n".to_owned())
}

fn desk(board: &Board) -> Desk {
    Desk::new(board.clone(), crate::control::Audit::default()).0
}

/// Status, headers and body of one request.
async fn ask(board: &Board, method: Method, path: &str) -> (StatusCode, Vec<(String, String)>, String) {
    let face = web::Data::new(Face::new(desk(board), metrics()));
    let app = App::new().wrap(strict_headers()).configure(|config| routes(config, face));
    let app = init_service(app).await;
    let request = TestRequest::default().method(method).uri(path).to_request();
    read(call_service(&app, request).await).await
}

async fn read<B: MessageBody>(response: ServiceResponse<B>) -> (StatusCode, Vec<(String, String)>, String) {
    let text = |value: &header::HeaderValue| value.to_str().unwrap().to_owned();
    let headers = response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    let status = response.status();
    (status, headers, String::from_utf8(read_body(response).await.to_vec()).unwrap())
}

async fn get(board: &Board, path: &str) -> (StatusCode, Value) {
    let (status, _, body) = ask(board, Method::GET, path).await;
    (status, serde_json::from_str(&body).unwrap())
}

fn header_of<'a>(headers: &'a [(String, String)], name: &str) -> &'a str {
    headers.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
}

#[actix_web::test]
async fn engines_come_in_the_users_own_format() {
    let board = samples::board();
    let (status, headers, body) = ask(&board, Method::GET, "/engines/status").await;
    assert_eq!((status, header_of(&headers, "content-type")), (StatusCode::OK, "application/json"));
    let start = r#"{"total":3,"running":1,"stopped":1,"crashed":1,"engines":[{"symbol":"BTCUSDT","status":"running","uptime":"2h15m","uptime_seconds":8100.2,"last_heartbeat":1697180234.567,"last_bar":"2025-10-14T12:30:00Z","error_count":0,"restarts":0,"last_error":null,"position":"long 0.015 @ 60123.4","daily_pnl":12.5,"total_pnl":-1234.5,"trade_count":7,"pid":12345,"generation":1,"memory_bytes":11534336,"cpu_percent":0.4,"availability":0.9995},"#;
    assert!(body.starts_with(start), "{body}");
    assert_eq!(serde_json::from_str::<EnginesView>(&body).unwrap(), samples::engines());
}

#[actix_web::test]
async fn a_change_of_the_engines_shows_at_once() {
    let board = samples::board();
    let face = Face::new(desk(&board), metrics());
    let before = face.engines_json().unwrap();
    assert_eq!(face.engines_json().unwrap().as_ptr(), before.as_ptr(), "written once");
    board.show_engines(EnginesView::default());
    assert!(face.engines_json().unwrap().starts_with(b"{\"total\":0,"));
}

#[actix_web::test]
async fn health_tells_a_daemon_at_work_from_one_that_is_not() {
    let board = samples::board();
    let (status, body) = get(&board, "/health").await;
    let expected = json!({
        "status": "ok", "ready": true, "halt": "none", "trading_time": "2025-10-14T12:30:00Z",
        "bars": 1200, "journal_seq": 345, "store_lag": 5,
    });
    assert_eq!((status, body), (StatusCode::OK, expected));

    let mut halted = samples::account();
    halted.halt = HaltLevel::ReduceOnly;
    board.show_account(halted);
    let (status, body) = get(&board, "/health").await;
    assert_eq!((status, &body["halt"]), (StatusCode::OK, &json!("reduce_only")));

    board.beat(|pulse| pulse.ready = false);
    let (status, body) = get(&board, "/health").await;
    assert_eq!((status, &body["status"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("starting")));
    assert!(body["reason"].is_string());

    board.beat(|pulse| (pulse.ready, pulse.journal_failed) = (true, true));
    let (status, body) = get(&board, "/health").await;
    assert_eq!((status, &body["status"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("failed")));
}

#[actix_web::test]
async fn metrics_and_the_index() {
    let board = samples::board();
    let (status, headers, body) = ask(&board, Method::GET, "/metrics").await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, "levibot_up 1\n"));
    assert!(header_of(&headers, "content-type").starts_with("text/plain; version=0.0.4"));
    let (status, body) = get(&board, "/").await;
    assert_eq!(status, StatusCode::OK);
    for path in body["paths"].as_array().unwrap() {
        let (status, _, _) = ask(&board, Method::GET, path.as_str().unwrap()).await;
        assert_eq!(status, StatusCode::OK, "{path}");
    }
}

#[actix_web::test]
async fn errors_are_problems_and_every_answer_is_strict() {
    let board = samples::board();
    for (method, path, expected) in [
        (Method::GET, "/", 200),
        (Method::HEAD, "/engines/status", 200),
        (Method::GET, "/nowhere", 404),
        (Method::GET, "/engines/status/", 404),
        (Method::GET, "/..%2f..%2fetc/passwd", 404),
        (Method::POST, "/engines/status", 405),
        (Method::DELETE, "/health", 405),
        (Method::OPTIONS, "/", 405),
        (Method::PUT, "/nowhere", 405),
    ] {
        let (status, headers, body) = ask(&board, method.clone(), path).await;
        assert_eq!(status.as_u16(), expected, "{method} {path}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("cache-control", "no-store"),
            ("content-security-policy", "default-src 'none'"),
            ("referrer-policy", "no-referrer"),
        ] {
            assert_eq!(header_of(&headers, name), value, "{method} {path}");
        }
        if expected >= 400 {
            assert_eq!(header_of(&headers, "content-type"), "application/problem+json", "{method} {path}");
            let body: Value = serde_json::from_str(&body).unwrap();
            assert_eq!((&body["status"], &body["type"]), (&json!(expected), &json!("about:blank")));
            assert!(body["title"].is_string() && body["detail"].is_string());
        }
        assert_eq!(header_of(&headers, "allow"), if expected == 405 { "GET, HEAD" } else { "" }, "{method} {path}");
    }
}

/// What a server at `address` sends in answer to `request` until it closes.
async fn talk(address: SocketAddr, request: &str) -> String {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    tokio::time::timeout(Duration::from_secs(20), exchange).await.unwrap()
}

#[actix_web::test]
async fn it_serves_on_a_port_and_stops() {
    let anywhere: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let (server, address) = server(anywhere, false, desk(&samples::board()), metrics()).unwrap();
    assert_ne!(address.port(), 0);
    let handle = server.handle();
    let serving = actix_web::rt::spawn(server);
    let answer = talk(address, "GET /engines/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\r\n\r\n{\"total\":3,"), "{answer}");
    let answer = talk(address, "HEAD /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n"), "no body: {answer}");
    let answer = talk(address, "nonsense\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");

    let taken = super::server(address, false, desk(&samples::board()), metrics()).map(|_| ()).unwrap_err();
    let text = taken.to_string();
    assert!(matches!(taken, HttpError::InUse { .. }), "{taken:?}");
    assert!(text.contains(&address.to_string()) && text.contains("--http-bind 127.0.0.1:8001"), "{text}");

    let stopping = async {
        handle.stop(true).await;
        serving.await.unwrap().unwrap();
    };
    tokio::time::timeout(Duration::from_secs(20), stopping).await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[actix_web::test]
async fn the_outside_needs_a_word() {
    for bind in ["0.0.0.0:0", "[::]:0", "192.0.2.1:8000", "[::ffff:192.0.2.1]:8000"] {
        let bind: SocketAddr = bind.parse().unwrap();
        let error = server(bind, false, desk(&samples::board()), metrics()).map(|_| ()).unwrap_err();
        assert!(matches!(error, HttpError::NotLoopback { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("--allow-non-loopback") && text.contains("no authentication"), "{text}");
    }
    assert!(server("0.0.0.0:0".parse().unwrap(), true, desk(&samples::board()), metrics()).is_ok());
}
