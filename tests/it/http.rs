//! The status API, as any program would ask it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::{Home, SYMBOLS, eventually, free_address};

/// An answer: status, headers in lower case, body.
struct Answer {
    code: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e} in {}", self.body))
    }
}

fn request(address: SocketAddr, method: &str, path: &str) -> Answer {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let (first, headers) = head.split_once("\r\n").unwrap();
    let headers = headers.lines().map(|line| line.split_once(": ").unwrap());
    Answer {
        code: first.split(' ').nth(1).unwrap().parse().unwrap(),
        headers: headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect(),
        body: body.to_owned(),
    }
}

fn get(address: SocketAddr, path: &str) -> Answer {
    request(address, "GET", path)
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn the_status_api_answers_what_it_promises() {
    let home = Home::simulated(6_000.0);
    let address = free_address();
    let mut daemon = home.run(&["--http-bind", &address.to_string()]);
    daemon.ready();
    assert_eq!(daemon.http(), address);

    let view = eventually("a round trip is closed", || {
        let answer = get(address, "/engines/status");
        assert_eq!((answer.code, answer.headers["content-type"].as_str()), (200, "application/json"));
        let view = answer.json();
        let closed = view["engines"].as_array().unwrap().iter().any(|engine| engine["trade_count"] != 0);
        closed.then_some(view)
    });
    assert_eq!(keys(&view), ["total", "running", "stopped", "crashed", "engines"].into());
    assert_eq!((&view["total"], &view["running"]), (&4.into(), &4.into()));
    let sum: u64 = ["running", "stopped", "crashed"].iter().map(|key| view[key].as_u64().unwrap()).sum();
    assert_eq!(view["total"], sum);
    let engines = view["engines"].as_array().unwrap();
    assert!(engines.iter().map(|engine| engine["symbol"].as_str().unwrap()).eq(SYMBOLS));
    let wanted = [
        "symbol",
        "status",
        "uptime",
        "uptime_seconds",
        "last_heartbeat",
        "last_bar",
        "error_count",
        "restarts",
        "last_error",
        "position",
        "daily_pnl",
        "total_pnl",
        "trade_count",
        "pid",
        "generation",
        "memory_bytes",
        "cpu_percent",
        "availability",
    ];
    for engine in engines {
        assert_eq!(keys(engine), wanted.into(), "{engine}");
        assert_eq!(engine["status"], "running");
        assert!(engine["uptime"].is_string() && engine["uptime_seconds"].is_number(), "{engine}");
        assert!(engine["last_heartbeat"].as_f64().unwrap() > 1.6e9, "{engine}");
        assert!(engine["last_bar"].as_str().unwrap().ends_with('Z'), "{engine}");
        assert_eq!((&engine["error_count"], &engine["last_error"]), (&0.into(), &Value::Null));
        assert_eq!(
            (&engine["generation"], &engine["memory_bytes"]),
            (&1.into(), &Value::Null),
            "a thread has no memory"
        );
        assert!(engine["availability"].as_f64().is_some_and(|ratio| (0.0..=1.0).contains(&ratio)), "{engine}");
        assert!(engine["daily_pnl"].is_number() && engine["total_pnl"].is_number(), "{engine}");
    }

    eventually("threads of engines are measured", || {
        let view = get(address, "/engines/status").json();
        let engines = view["engines"].as_array().unwrap().clone();
        engines.iter().all(|engine| engine["cpu_percent"].is_number()).then_some(())
    });
    home.ask(&["stop", "SOLUSDT"]).ended_with(0);
    let view = eventually("one engine is stopped", || {
        Some(get(address, "/engines/status").json()).filter(|view| view["stopped"] == 1)
    });
    assert_eq!((&view["total"], &view["running"], &view["crashed"]), (&4.into(), &3.into(), &0.into()));

    let health = get(address, "/health");
    assert_eq!((health.code, &health.json()["status"], &health.json()["ready"]), (200, &"ok".into(), &true.into()));

    let metrics = get(address, "/metrics");
    assert_eq!(metrics.code, 200);
    assert!(metrics.headers["content-type"].starts_with("text/plain"), "{:?}", metrics.headers);
    check_metrics(&metrics.body);

    for (method, path, code) in [
        ("GET", "/nothing", 404),
        ("POST", "/engines/status", 405),
        ("DELETE", "/health", 405),
        ("PUT", "/nothing", 405),
    ] {
        let answer = request(address, method, path);
        assert_eq!((answer.code, answer.json()["status"].as_u64()), (code, Some(u64::from(code))), "{method} {path}");
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        assert_eq!(keys(&answer.json()), ["type", "title", "status", "detail"].into());
        assert_eq!(answer.headers.contains_key("allow"), code == 405);
    }
    daemon.stop().ended_with(0);
    assert!(TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err(), "the port is free again");
}

/// Prometheus' own checker, where it is installed.
#[expect(clippy::print_stdout, reason = "what is skipped is said")]
fn check_metrics(text: &str) {
    assert!(text.lines().any(|line| line.starts_with("levibot_") && line.contains("symbol=\"BTCUSDT\"")), "{text}");
    let mut checker = Command::new("promtool");
    checker.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut checker) = checker.spawn() else {
        println!("SKIPPED: promtool is not on PATH (Debian package prometheus), /metrics was not checked by it");
        return;
    };
    checker.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let outcome = checker.wait_with_output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&outcome.stdout), String::from_utf8_lossy(&outcome.stderr));
    assert!(outcome.status.success(), "{said}");
}
