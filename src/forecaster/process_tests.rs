use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use levibot_core::frames::read_frame;

use super::*;

/// A program that is no model server: a script of the shell.
fn started(script: &str) -> (Arc<dyn ServerProcess>, UnixStream, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let binary = dir.path().join("levibot-model");
    fs::write(&binary, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let process = ModelProcess { binary, models: "models here".into(), version: "v1".parse().ok(), threads: 3 };
    (process.start(theirs).unwrap(), ours, dir)
}

fn end_of(process: &dyn ServerProcess) -> String {
    let begin = Instant::now();
    loop {
        if let Some(cause) = process.ended() {
            return cause;
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "it does not end");
        std::thread::yield_now();
    }
}

/// Standard error is read by a thread of its own, which may be a moment behind the end.
fn end_with(process: &dyn ServerProcess, wanted: &str) {
    let begin = Instant::now();
    loop {
        let cause = end_of(process);
        if cause.contains(wanted) {
            return;
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "`{wanted}` is missing in: {cause}");
        std::thread::yield_now();
    }
}

#[test]
fn it_is_started_with_its_options_and_the_socket_as_standard_input() {
    // One frame with the arguments as its payload.
    let script = r#"text="$*"; printf "\\$(printf %03o ${#text})\0\0\0%s" "$text" >&0; exit 0"#;
    let (process, mut ours, _dir) = started(script);
    let payload = read_frame(&mut ours).unwrap().unwrap();
    assert_eq!(String::from_utf8(payload).unwrap(), "serve --models models here --threads 3 --version v1");
    assert_eq!(end_of(&*process), "exit code 0");
    assert!(process.pid().is_some());
    assert_eq!(read_frame(&mut ours).unwrap(), None, "nobody else holds the other end");
}

#[test]
fn how_it_ended_is_told_with_its_last_words() {
    let (process, _ours, _dir) = started("echo one >&2; echo two >&2; echo three >&2; echo four >&2; exit 3");
    end_with(&*process, "exit code 3: two; three; four");
}

#[test]
fn a_missing_library_is_explained() {
    let line = "levibot-model: error while loading shared libraries: libtorch.so: cannot open shared object file";
    let (process, _ours, _dir) = started(&format!("echo '{line}' >&2; exit 127"));
    end_with(&*process, "libtorch.so");
    end_with(&*process, "run scripts/setup.sh");
}

#[test]
fn it_ends_when_the_socket_is_closed_and_when_it_is_killed() {
    let (process, ours, _dir) = started("cat >/dev/null");
    assert_eq!(process.ended(), None);
    drop(ours);
    assert_eq!(end_of(&*process), "exit code 0");

    let (process, mut ours, _dir) = started(r"echo ready >&2; printf '\1\0\0\0x' >&0; exec sleep 1000");
    assert!(read_frame(&mut ours).unwrap().is_some());
    process.kill();
    assert_eq!(end_of(&*process), "killed by signal 9 (SIGKILL)");
    process.kill();
}

#[test]
fn a_program_that_is_not_there_is_told() {
    let (_ours, theirs) = UnixStream::pair().unwrap();
    let process = ModelProcess { binary: "/no/such".into(), models: "m".into(), version: None, threads: 1 };
    let error = process.start(theirs).unwrap_err();
    assert!(error.contains("/no/such") && error.contains("cargo build"), "{error}");
}
