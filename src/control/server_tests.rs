use std::io::{Read, Write};
use std::os::unix::net::UnixStream as StdStream;

use levibot_core::frames::{encode, read_frame, write_frame};
use tokio::sync::mpsc;

use super::*;
use crate::control::{Client, ClientError, Command, Order, Question, Scope, samples};

fn desk() -> (Desk, mpsc::Receiver<Order>) {
    Desk::new(samples::board(), crate::control::Audit::default())
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = socket_path(dir.path());
    (dir, path)
}

/// Runs a blocking client beside the server.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let work = tokio::task::spawn_blocking(work);
    timeout(Duration::from_secs(20), work).await.expect("the client hangs").unwrap()
}

async fn ask(path: &Path, requests: Vec<Request>) -> Result<Vec<Answer>, ClientError> {
    let path = path.to_owned();
    beside(move || {
        let mut client = Client::connect(&path)?;
        requests.iter().map(|request| client.request(request)).collect()
    })
    .await
}

/// Sends `bytes` after the daemon's hello, and gives what it says before it closes.
async fn throw(path: &Path, bytes: Vec<u8>) -> Vec<u8> {
    let path = path.to_owned();
    beside(move || {
        let mut stream = StdStream::connect(path).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
        read_frame(&mut stream).unwrap().unwrap();
        // The daemon may close before all is written.
        stream.write_all(&bytes).ok();
        let mut rest = Vec::new();
        match stream.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(e) => assert_eq!(e.kind(), io::ErrorKind::ConnectionReset, "it must close, not hang"),
        }
        rest
    })
    .await
}

#[tokio::test]
async fn a_command_that_comes_again_under_its_key_is_carried_out_once() {
    let (_dir, path) = folder();
    let (desk, mut orders) = desk();
    let _server = serve(&path, desk).unwrap();
    let daemon = tokio::spawn(async move {
        let order = orders.recv().await.unwrap();
        order.outcome.send(Ok(format!("{} done", order.command))).unwrap();
        orders
    });
    let pause = || Request::Once { key: "k".to_owned(), command: Command::Pause(Scope::All) };
    let done = Answer::Done("pause all done".to_owned());
    assert_eq!(ask(&path, vec![pause()]).await.unwrap().first(), Some(&done));
    let other = Request::Once { key: "k".to_owned(), command: Command::Reload };
    let answers = ask(&path, vec![pause(), other]).await.unwrap();
    assert_eq!(answers[0], done, "on another connection, too");
    assert!(matches!(&answers[1], Answer::Refused(why) if why.contains("another command")), "{answers:?}");
    assert!(daemon.await.unwrap().try_recv().is_err(), "nothing else was carried out");
}

#[tokio::test]
async fn one_connection_carries_questions_and_commands_with_a_name() {
    let (_dir, path) = folder();
    let (desk, mut orders) = desk();
    let _server = serve(&path, desk).unwrap();
    let daemon = tokio::spawn(async move {
        let order = orders.recv().await.unwrap();
        order.outcome.send(Ok(format!("{} done", order.command))).unwrap();
        let refused = orders.recv().await.unwrap();
        refused.outcome.send(Err("not now".to_owned())).unwrap();
        order.by
    });
    let requests = vec![
        Request::Ask(Question::Engines),
        Request::Do(Command::Pause(Scope::All)),
        Request::Do(Command::Reload),
        Request::Ask(Question::Status),
    ];
    let answers = ask(&path, requests).await.unwrap();
    assert_eq!(answers[0], Answer::Engines(samples::engines()));
    assert_eq!(answers[1], Answer::Done("pause all done".to_owned()));
    assert_eq!(answers[2], Answer::Refused("not now".to_owned()));
    assert!(matches!(&answers[3], Answer::Status(s) if s.info.run == "test"));
    let by = daemon.await.unwrap();
    let uid = Uid::effective();
    let expected = User::from_uid(uid).unwrap().map_or(format!("uid {uid}"), |user| user.name);
    assert_eq!(by, expected);
}

#[tokio::test]
async fn the_socket_is_for_its_owner_alone_and_leaves_nothing_behind() {
    let (dir, path) = folder();
    let server = serve(&path, desk().0).unwrap();
    let meta = fs::metadata(&path).unwrap();
    assert_eq!(meta.permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no private folder is left");
    assert_eq!(server.path(), path);
    server.stop().await;
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);

    drop(serve(&path, desk().0).unwrap());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn other_users_get_a_closed_connection_and_are_counted() {
    let (_dir, path) = folder();
    let limits = Limits { admits: |_| false, ..Limits::default() };
    let server = serve_within(&path, desk().0, limits).unwrap();
    let error = ask(&path, Vec::new()).await.unwrap_err();
    assert!(matches!(error, ClientError::Closed { .. }), "{error}");
    assert_eq!(server.refused(), 1);
    assert!((Limits::default().admits)(0) && (Limits::default().admits)(Uid::effective().as_raw()));
    assert!(!(Limits::default().admits)(Uid::effective().as_raw() + 1));
}

#[tokio::test]
async fn connections_over_the_limit_are_closed_until_one_ends() {
    let (_dir, path) = folder();
    let limits = Limits { connections: 1, ..Limits::default() };
    let _server = serve_within(&path, desk().0, limits).unwrap();
    let question = Request::Ask(Question::Pnl);
    let at = path.clone();
    let first = beside(move || Client::connect(&at).unwrap()).await;
    assert!(matches!(ask(&path, Vec::new()).await, Err(ClientError::Closed { .. })));
    drop(first);
    // The place is free once the server has seen the end of the first connection.
    let again = async {
        loop {
            if let Ok(answers) = ask(&path, vec![question.clone()]).await {
                break answers;
            }
        }
    };
    assert_eq!(timeout(Duration::from_secs(20), again).await.unwrap().len(), 1);
}

#[tokio::test]
async fn garbage_closes_its_own_connection_only() {
    let (_dir, path) = folder();
    let _server = serve(&path, desk().0).unwrap();
    let mut hello_then_nonsense = Vec::new();
    encode(&wire::hello("cli"), &mut hello_then_nonsense).unwrap();
    encode(&"{\"ask\":\"the moon\"}", &mut hello_then_nonsense).unwrap();
    let mut newer = wire::hello("cli");
    newer.schema += 1;
    let mut of_another_version = Vec::new();
    encode(&newer, &mut of_another_version).unwrap();
    let throws =
        [b"GET / HTTP/1.1\r\n\r\n".to_vec(), vec![0; 64], vec![0xff; 1 << 16], hello_then_nonsense, of_another_version];
    for bytes in throws {
        assert!(throw(&path, bytes).await.is_empty(), "garbage has no answer");
    }
    assert_eq!(ask(&path, vec![Request::Ask(Question::Pnl)]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_silent_connection_is_closed() {
    let (_dir, path) = folder();
    let limits = Limits { idle: Duration::from_millis(20), ..Limits::default() };
    let _server = serve_within(&path, desk().0, limits).unwrap();
    assert!(throw(&path, vec![9, 0]).await.is_empty(), "half a length and then nothing");
}

#[tokio::test]
async fn a_live_socket_is_left_alone_and_a_dead_one_replaced() {
    let (dir, path) = folder();
    let first = serve(&path, desk().0).unwrap();
    let error = serve(&path, desk().0).unwrap_err();
    assert!(matches!(error, ControlError::Live { .. }));
    assert!(error.to_string().contains("control.sock") && error.to_string().contains("--data-dir"), "{error}");
    assert_eq!(ask(&path, vec![Request::Ask(Question::Pnl)]).await.unwrap().len(), 1, "the first one still serves");
    drop(first);

    drop(StdListener::bind(&path).unwrap());
    assert!(path.exists(), "a listener that is gone leaves its file");
    let second = serve(&path, desk().0).unwrap();
    assert_eq!(ask(&path, vec![Request::Ask(Question::Pnl)]).await.unwrap().len(), 1);
    drop(second);

    fs::write(&path, "precious").unwrap();
    assert!(matches!(serve(&path, desk().0), Err(ControlError::NotASocket { .. })));
    assert_eq!(fs::read(&path).unwrap(), b"precious");

    let deep = dir.path().join("d".repeat(100));
    fs::create_dir(&deep).unwrap();
    let error = serve(&socket_path(&deep), desk().0).unwrap_err();
    assert!(matches!(error, ControlError::PathTooLong { .. }), "{error}");
}

#[tokio::test]
async fn a_socket_that_is_anothers_by_now_stays() {
    let (_dir, path) = folder();
    let first = serve(&path, desk().0).unwrap();
    fs::remove_file(&path).unwrap();
    let _second = serve(&path, desk().0).unwrap();
    drop(first);
    assert_eq!(ask(&path, vec![Request::Ask(Question::Pnl)]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn stopping_lets_an_answer_out() {
    let (_dir, path) = folder();
    let (desk, mut orders) = desk();
    let server = serve(&path, desk).unwrap();
    let asking = tokio::spawn({
        let path = path.clone();
        async move { ask(&path, vec![Request::Do(Command::Reload)]).await }
    });
    let order = orders.recv().await.unwrap();
    let stopping = tokio::spawn(server.stop());
    order.outcome.send(Ok("reloaded".to_owned())).unwrap();
    timeout(Duration::from_secs(10), stopping).await.unwrap().unwrap();
    assert_eq!(asking.await.unwrap().unwrap(), [Answer::Done("reloaded".to_owned())]);
    assert!(matches!(ask(&path, Vec::new()).await, Err(ClientError::NoDaemon { .. })));
}

#[test]
fn a_server_needs_a_runtime() {
    let (_dir, path) = folder();
    assert!(matches!(serve(&path, desk().0), Err(ControlError::NoRuntime)));
}

#[tokio::test]
async fn a_client_says_what_to_do_when_nobody_is_there() {
    let (dir, path) = folder();
    let missing = socket_path(&dir.path().join("nowhere"));
    drop(StdListener::bind(&path).unwrap());
    for path in [missing, path] {
        let error = ask(&path, Vec::new()).await.unwrap_err();
        assert!(matches!(error, ClientError::NoDaemon { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("scripts/run.sh") && text.contains("--data-dir"), "{text}");
        assert!(text.contains(path.parent().unwrap().to_str().unwrap()), "{text}");
    }
}

#[tokio::test]
async fn a_client_knows_a_daemon_of_another_version() {
    let (_dir, path) = folder();
    let listener = StdListener::bind(&path).unwrap();
    let daemon = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut hello = wire::hello("daemon");
        hello.protocol += 1;
        hello.build = "9.9.9\x1b[2J".to_owned();
        write_frame(&mut stream, &hello).unwrap();
    });
    let error = ask(&path, Vec::new()).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(matches!(error, ClientError::Version(_)) && cause.contains("9.9.9[2J"), "{cause:?}");
    daemon.join().unwrap();
}
