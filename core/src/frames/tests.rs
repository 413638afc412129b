use std::error::Error;
use std::io::{Cursor, Read};

use proptest::prelude::*;
use serde::{Serialize, Serializer};

use super::*;

fn hello(protocol: u16, schema: u64, role: &str) -> Hello {
    Hello { protocol, build: format!("0.{protocol}.0"), schema, role: role.into() }
}

fn frames(decoder: &mut Decoder) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while let Some(frame) = decoder.next_frame().unwrap() {
        all.push(frame.to_vec());
    }
    all
}

#[test]
fn a_message_comes_back_over_either_reader() {
    let said = hello(1, 7, "cli");
    let mut wire = Vec::new();
    write_frame(&mut wire, &said).unwrap();
    let len = u32::try_from(wire.len() - 4).unwrap();
    assert_eq!(wire[..4], len.to_le_bytes());

    let mut reader = Cursor::new(&wire);
    let payload = read_frame(&mut reader).unwrap().unwrap();
    assert_eq!(decode::<Hello>(&payload).unwrap(), said);
    assert!(read_frame(&mut reader).unwrap().is_none(), "an end between frames is no error");

    let mut decoder = Decoder::new();
    decoder.push(&wire);
    assert_eq!(decode::<Hello>(decoder.next_frame().unwrap().unwrap()).unwrap(), said);
    assert!(decoder.next_frame().unwrap().is_none() && decoder.finish().is_ok());
}

#[test]
fn the_limit_is_the_same_in_both_directions() {
    let most = vec![7_u8; FRAME_BYTES_MAX];
    let mut wire = Vec::new();
    encode_bytes(&most, &mut wire).unwrap();
    assert_eq!(read_frame(&mut Cursor::new(&wire)).unwrap().unwrap(), most);

    let mut out = vec![1, 2, 3];
    let too_long = vec![7_u8; FRAME_BYTES_MAX + 1];
    assert!(matches!(encode_bytes(&too_long, &mut out), Err(FrameError::TooLarge { .. })));
    let text = "x".repeat(FRAME_BYTES_MAX);
    assert!(matches!(encode(&text, &mut out), Err(FrameError::TooLarge { .. })), "quotes count");
    assert_eq!(out, [1, 2, 3], "a refused frame leaves nothing behind");
}

#[test]
fn a_value_without_json_leaves_nothing_behind() {
    struct Never;
    impl Serialize for Never {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("never"))
        }
    }
    let mut out = vec![9];
    assert!(matches!(encode(&(1, Never), &mut out), Err(FrameError::Encode(_))));
    assert_eq!(out, [9]);
}

#[test]
fn an_oversized_length_is_refused_before_its_payload() {
    struct Endless;
    impl Read for Endless {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            panic!("the payload must not be read");
        }
    }
    let head = u32::MAX.to_le_bytes();
    let error = read_frame(&mut Cursor::new(head).chain(Endless)).unwrap_err();
    assert!(error.to_string().contains("4294967295 bytes is over the limit of 1048576"), "{error}");

    let mut decoder = Decoder::new();
    decoder.push(&head);
    assert!(matches!(decoder.next_frame(), Err(FrameError::TooLarge { bytes: 4_294_967_295 })));
    decoder.push(&[0; 4_096]);
    assert_eq!(decoder.pending(), 0, "what follows is dropped");
    assert!(decoder.next_frame().is_err(), "a broken stream stays broken");
}

#[test]
fn text_of_another_protocol_is_told_apart() {
    let mut decoder = Decoder::new();
    decoder.push(b"GET / HTTP/1.1\r\n");
    assert!(decoder.next_frame().unwrap_err().to_string().contains("does not speak this protocol"));
    let error = decode::<Hello>(b"{\"protocol\": \"one\"}").unwrap_err();
    assert!(error.to_string().contains("19 bytes") && error.source().is_some(), "{error}");
}

#[test]
fn a_cut_frame_waits_in_the_decoder_and_fails_a_reader_at_the_end() {
    let mut wire = Vec::new();
    encode(&"hello", &mut wire).unwrap();
    for cut in 1..wire.len() {
        let mut decoder = Decoder::new();
        decoder.push(&wire[..cut]);
        assert!(decoder.next_frame().unwrap().is_none());
        assert!(matches!(decoder.finish(), Err(FrameError::Truncated { bytes }) if bytes == cut));
        let read = read_frame(&mut Cursor::new(&wire[..cut]));
        assert!(matches!(read, Err(FrameError::Truncated { bytes }) if bytes == cut), "{read:?}");
    }
}

#[test]
fn hello_says_who_is_older_and_what_to_do() {
    let (old, new) = (hello(1, 7, "cli"), hello(2, 7, "daemon"));
    assert_eq!(check_hello(&old, &hello(1, 7, "daemon")), Ok(()));
    let they = check_hello(&new, &old).unwrap_err().to_string();
    let words = "the cli (build 0.1.0, protocol 1) is older than this daemon (build 0.2.0, protocol 2): \
                 restart the cli with build 0.2.0";
    assert_eq!(they, words);
    let we = check_hello(&old, &new).unwrap_err().to_string();
    let words = "this cli (build 0.1.0, protocol 1) is older than the daemon (build 0.2.0, protocol 2): \
                 restart this cli with build 0.2.0";
    assert_eq!(we, words);
    let other = check_hello(&old, &hello(1, 8, "daemon")).unwrap_err().to_string();
    assert!(other.contains("schema 0000000000000007") && other.contains("on both sides"), "{other}");
}

#[test]
fn a_newer_hello_with_more_in_it_is_still_understood() {
    let text = br#"{"protocol":9,"build":"9.0.0","schema":7,"role":"daemon","mood":"good"}"#;
    let theirs = decode::<Hello>(text).unwrap();
    assert!(matches!(check_hello(&hello(PROTOCOL, 7, "cli"), &theirs), Err(HelloError::WeAreOlder { .. })));
}

proptest! {
    #[test]
    fn frames_come_out_whole_however_the_stream_is_cut(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..12),
        pieces in prop::collection::vec(1..50_usize, 1..20),
    ) {
        let mut wire = Vec::new();
        for payload in &payloads {
            encode_bytes(payload, &mut wire).unwrap();
        }
        let (mut decoder, mut got, mut rest) = (Decoder::new(), Vec::new(), &wire[..]);
        for len in pieces.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, later) = rest.split_at((*len).min(rest.len()));
            decoder.push(piece);
            got.extend(frames(&mut decoder));
            rest = later;
        }
        prop_assert!(decoder.finish().is_ok());
        prop_assert_eq!(&got, &payloads);
        let mut reader = Cursor::new(&wire);
        let read: Vec<Vec<u8>> = std::iter::from_fn(|| read_frame(&mut reader).unwrap()).collect();
        prop_assert_eq!(read, payloads);
    }

    #[test]
    fn garbage_neither_panics_nor_piles_up(
        garbage in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..12),
    ) {
        let mut decoder = Decoder::new();
        for piece in &garbage {
            decoder.push(piece);
            while let Ok(Some(frame)) = decoder.next_frame() {
                prop_assert!(frame.len() <= FRAME_BYTES_MAX);
                let _ = decode::<Hello>(frame);
            }
            prop_assert!(decoder.pending() < FRAME_BYTES_MAX + 4);
        }
        let all = garbage.concat();
        let mut reader = Cursor::new(&all);
        while let Ok(Some(frame)) = read_frame(&mut reader) {
            prop_assert!(frame.len() <= all.len());
        }
    }

    #[test]
    fn a_length_is_refused_waited_for_or_kept(
        len in prop_oneof![0..4_000_u32, 0..2_000_000_u32],
        garbage in prop::collection::vec(any::<u8>(), 0..3_000),
    ) {
        let mut wire = len.to_le_bytes().to_vec();
        wire.extend_from_slice(&garbage);
        let read = read_frame(&mut Cursor::new(&wire));
        match usize::try_from(len).unwrap() {
            len if len > FRAME_BYTES_MAX => prop_assert!(matches!(read, Err(FrameError::TooLarge { .. })), "too large"),
            len if len > garbage.len() => prop_assert!(matches!(read, Err(FrameError::Truncated { .. })), "truncated"),
            len => prop_assert_eq!(read.unwrap().unwrap(), garbage[..len].to_vec()),
        }
    }
}
