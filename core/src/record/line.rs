//! One journal record as one line of text, and the chain of hashes that ties the lines together.
//!
//! ```text
//! lb1 <seq: 16 decimal digits> <bytes of json: 8 hex> <crc32 of json: 8 hex> <chain hash: 64 hex> <json>\n
//! ```
//!
//! The chain hash is SHA-256 over the previous line's hash and the JSON; the first line's previous hash is SHA-256 of
//! `levibot journal 1`. The CRC tells a damaged line from a line that was altered with care, the hash tells both, and
//! every line says in its first 20 bytes which record it is, so that `grep`, `tail` and `wc` work on a journal.

use sha2::{Digest, Sha256};

use serde::{Deserialize, Serialize};

use super::{Envelope, RECORD_VERSION, Record};
use crate::domain::Ts;
use crate::domain::hash::hex;

/// The longest line that is written or read, its end included: 16 MiB. Bounds a reader's memory.
pub const LINE_BYTES_MAX: usize = 16 << 20;

/// Bytes before the JSON.
const HEADER_BYTES: usize = 104;

/// The highest number that 16 digits hold.
const SEQ_MAX: u64 = 9_999_999_999_999_999;

/// The head of a journal: where it ends and what all before amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chain {
    /// Number of the last record; 0 before the first.
    pub seq: u64,
    /// Hash of the last record, which covers all before it.
    pub hash: [u8; 32],
}

impl Default for Chain {
    fn default() -> Self {
        Self { seq: 0, hash: Sha256::digest(b"levibot journal 1").into() }
    }
}

/// Why a record cannot be written. The chain is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// It would be read back as something else, or not at all.
    #[error("the record would not be read back as it is: a number in it is not finite")]
    NotReadable,
    /// Longer than [`LINE_BYTES_MAX`].
    #[error("the record is {bytes} bytes long, the most is {LINE_BYTES_MAX}")]
    TooLong {
        /// Length of the line.
        bytes: usize,
    },
    /// No number is left for it.
    #[error("the journal is full: record {SEQ_MAX} was the last; start on a new data folder")]
    Exhausted,
    /// Serde refused it.
    #[error("the record cannot be written as JSON")]
    Json(#[source] serde_json::Error),
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineFault {
    /// It ends before its end: the writer died while it wrote, if nothing follows.
    #[error("the line is incomplete after {bytes} bytes")]
    Torn {
        /// How many bytes there are.
        bytes: u64,
    },
    /// Not a line of a journal.
    #[error("the line is malformed: {0}")]
    Format(&'static str),
    /// Over [`LINE_BYTES_MAX`].
    #[error("the line is longer than {LINE_BYTES_MAX} bytes")]
    TooLong,
    /// The JSON is not what the writer summed.
    #[error("the checksum is {found:08x}, the line says {stated:08x}: the line is damaged")]
    Crc {
        /// In the line.
        stated: u32,
        /// Computed.
        found: u32,
    },
    /// Lines are missing, doubled or out of order.
    #[error("the line is record {found}, expected was record {expected}: lines are missing or moved")]
    Sequence {
        /// The next number.
        expected: u64,
        /// In the line.
        found: u64,
    },
    /// The line does not follow from the lines before it.
    #[error("the chain of hashes is broken: this record or one before it was altered")]
    Hash,
    /// A newer writer's.
    #[error("the version is {found}, this program reads lb1 and records up to {RECORD_VERSION}: use a newer levibot")]
    Version {
        /// What the line says.
        found: String,
    },
    /// Whole and unaltered, and yet no record.
    #[error("the JSON is not a record: {0}")]
    Json(String),
}

/// Serialised like [`Envelope`], without owning the record.
#[derive(Serialize)]
struct EnvelopeRef<'a> {
    seq: u64,
    ts: Ts,
    v: u16,
    #[serde(flatten)]
    record: &'a Record,
}

/// What [`Envelope`] has in all versions.
#[derive(Deserialize)]
struct VersionOnly {
    v: u16,
}

impl Chain {
    /// Appends a record to `out` as one line and moves on to it. Returns its number.
    ///
    /// # Errors
    /// [`EncodeError`]; chain and `out` are then unchanged.
    pub fn encode(&mut self, ts: Ts, record: &Record, out: &mut Vec<u8>) -> Result<u64, EncodeError> {
        let start = out.len();
        let next = self.encode_unchecked(ts, record, out).inspect_err(|_| out.truncate(start))?;
        *self = next;
        Ok(next.seq)
    }

    fn encode_unchecked(self, ts: Ts, record: &Record, out: &mut Vec<u8>) -> Result<Self, EncodeError> {
        let seq = self.seq + 1;
        if seq > SEQ_MAX {
            return Err(EncodeError::Exhausted);
        }
        let start = out.len();
        out.resize(start + HEADER_BYTES, b' ');
        let envelope = EnvelopeRef { seq, ts, v: RECORD_VERSION, record };
        serde_json::to_writer(&mut *out, &envelope).map_err(EncodeError::Json)?;
        let json = &out[start + HEADER_BYTES..];
        let bytes = HEADER_BYTES + json.len() + 1;
        if bytes > LINE_BYTES_MAX {
            return Err(EncodeError::TooLong { bytes });
        }
        // JSON writes NaN and infinity as `null`. Such a line would stop every later reader for ever.
        if json.windows(4).any(|w| w == b"null") {
            let back: Envelope = serde_json::from_slice(json).map_err(|_| EncodeError::NotReadable)?;
            if back.record != *record {
                return Err(EncodeError::NotReadable);
            }
        }
        let next = Self { seq, hash: self.hash_after(json) };
        let header = format!("lb1 {seq:016} {:08x} {:08x} {} ", json.len(), crc32fast::hash(json), hex(&next.hash));
        out[start..start + HEADER_BYTES].copy_from_slice(header.as_bytes());
        out.push(b'\n');
        Ok(next)
    }

    /// Checks a line (its end included) against the chain, reads it and moves on to it.
    ///
    /// # Errors
    /// [`LineFault`]; the chain is then unchanged.
    pub fn decode_line(&mut self, line: &[u8]) -> Result<Envelope, LineFault> {
        let Some(body) = line.strip_suffix(b"\n") else {
            return Err(unended(line, line.len() as u64));
        };
        let header = Header::parse(body)?;
        let json = &body[HEADER_BYTES..];
        if json.len() as u64 != u64::from(header.json_bytes) {
            return Err(LineFault::Format("its length is not the one it states"));
        }
        let found = crc32fast::hash(json);
        if found != header.crc {
            return Err(LineFault::Crc { stated: header.crc, found });
        }
        if header.seq != self.seq + 1 {
            return Err(LineFault::Sequence { expected: self.seq + 1, found: header.seq });
        }
        let hash = self.hash_after(json);
        if hash != header.hash {
            return Err(LineFault::Hash);
        }
        let envelope = read_json(json)?;
        if envelope.seq != header.seq {
            return Err(LineFault::Format("header and JSON tell different numbers"));
        }
        *self = Self { seq: header.seq, hash };
        Ok(envelope)
    }

    /// The head that a line states for itself, without checking that it follows from anything.
    ///
    /// # Errors
    /// [`LineFault::Format`] or [`LineFault::Version`] when the line is not a journal's.
    pub fn stated_by(line: &[u8]) -> Result<Self, LineFault> {
        Header::parse(line).map(|header| Self { seq: header.seq, hash: header.hash })
    }

    /// The hash in lower-case hexadecimal, as lines hold it.
    pub fn hash_hex(&self) -> String {
        hex(&self.hash)
    }

    fn hash_after(&self, json: &[u8]) -> [u8; 32] {
        Sha256::new().chain_update(self.hash).chain_update(json).finalize().into()
    }
}

/// The fault of a last line without an end, given its first bytes and its whole length.
pub(super) fn unended(head: &[u8], bytes: u64) -> LineFault {
    match Header::parse(head) {
        // All of it is there and something else stands where its end was: that is no writer that died.
        Ok(header) if bytes > HEADER_BYTES as u64 + u64::from(header.json_bytes) => {
            LineFault::Format("something else stands in the place of its end")
        }
        _ => LineFault::Torn { bytes },
    }
}

fn read_json(json: &[u8]) -> Result<Envelope, LineFault> {
    let unknown = |v: u16| v == 0 || v > RECORD_VERSION;
    match serde_json::from_slice::<Envelope>(json) {
        Ok(envelope) if unknown(envelope.v) => Err(LineFault::Version { found: envelope.v.to_string() }),
        Ok(envelope) => Ok(envelope),
        Err(error) => match serde_json::from_slice::<VersionOnly>(json) {
            Ok(VersionOnly { v }) if unknown(v) => Err(LineFault::Version { found: v.to_string() }),
            _ => Err(LineFault::Json(error.to_string())),
        },
    }
}

struct Header {
    seq: u64,
    json_bytes: u32,
    crc: u32,
    hash: [u8; 32],
}

impl Header {
    /// Strict: only what [`Chain::encode`] writes is read, so that no byte of a line can change unnoticed.
    fn parse(body: &[u8]) -> Result<Self, LineFault> {
        if let Some(version) = body.get(2..3)
            && body.starts_with(b"lb")
            && version[0].is_ascii_digit()
            && version != b"1"
        {
            return Err(LineFault::Version { found: format!("lb{}", char::from(version[0])) });
        }
        if !body.starts_with(b"lb1 ") {
            return Err(LineFault::Format("it does not begin with `lb1 `"));
        }
        if body.len() < HEADER_BYTES {
            return Err(LineFault::Format("it is shorter than a header"));
        }
        if [20, 29, 38, 103].iter().any(|at| body[*at] != b' ') {
            return Err(LineFault::Format("its columns are not where they belong"));
        }
        let bad = LineFault::Format("a number of its header is malformed");
        let mut hash = [0; 32];
        match data_encoding::HEXLOWER.decode_mut(&body[39..103], &mut hash) {
            Ok(32) => {}
            _ => return Err(bad),
        }
        let (Some(seq), Some(json_bytes), Some(crc)) =
            (decimal(&body[4..20]), hex32(&body[21..29]), hex32(&body[30..38]))
        else {
            return Err(bad);
        };
        Ok(Self { seq, json_bytes, crc, hash })
    }
}

fn decimal(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |sum, d| d.is_ascii_digit().then(|| sum * 10 + u64::from(d - b'0')))
}

fn hex32(digits: &[u8]) -> Option<u32> {
    let mut bytes = [0; 4];
    let length = data_encoding::HEXLOWER.decode_mut(digits, &mut bytes).ok()?;
    (length == 4).then(|| u32::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    fn lines() -> Vec<Vec<u8>> {
        let mut chain = Chain::default();
        samples::records()
            .iter()
            .map(|record| {
                let mut out = Vec::new();
                chain.encode(Ts::from_nanos(i64::MIN), record, &mut out).unwrap();
                out
            })
            .collect()
    }

    #[test]
    fn every_kind_of_record_comes_back_exactly() {
        let mut writer = Chain::default();
        let mut reader = Chain::default();
        for (n, record) in samples::records().into_iter().enumerate() {
            let ts = if n % 2 == 0 { Ts::MAX } else { Ts::from_nanos(i64::MIN) };
            let mut line = Vec::new();
            let seq = writer.encode(ts, &record, &mut line).unwrap();
            assert!(line.starts_with(format!("lb1 {seq:016} ").as_bytes()));
            let back = reader.decode_line(&line).unwrap();
            assert_eq!(back, Envelope { seq, ts, v: RECORD_VERSION, record });
            assert_eq!(reader, writer);
            let owned = serde_json::to_string(&back).unwrap();
            assert_eq!(owned.as_bytes(), &line[HEADER_BYTES..line.len() - 1], "one form of JSON");
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let line = lines().remove(0);
        for at in 0..line.len() {
            for bit in 0..8 {
                let mut altered = line.clone();
                altered[at] ^= 1 << bit;
                let mut chain = Chain::default();
                assert!(chain.decode_line(&altered).is_err(), "byte {at} bit {bit}");
                assert_eq!(chain, Chain::default());
            }
        }
    }

    #[test]
    fn faults_are_told_apart() {
        let all = lines();
        let fault = |line: &[u8]| Chain::default().decode_line(line).unwrap_err();
        for cut in 0..all[0].len() {
            assert!(matches!(fault(&all[0][..cut]), LineFault::Torn { .. }), "{cut}");
        }
        assert!(matches!(fault(&all[1]), LineFault::Sequence { expected: 1, found: 2 }));
        assert!(matches!(fault(b"hello\n"), LineFault::Format(_)));
        assert!(matches!(fault(&[b"lb2", &all[0][3..]].concat()), LineFault::Version { .. }));
        let mut crc = all[0].clone();
        let last = crc.len() - 3;
        crc[last] ^= 1;
        assert!(matches!(fault(&crc), LineFault::Crc { .. }));
        let mut unended = all[0].clone();
        *unended.last_mut().unwrap() = b'x';
        assert!(matches!(fault(&unended), LineFault::Format(_)), "not taken for a torn line");
    }

    /// A line as somebody would forge it who knows the format.
    fn forged(json: &str, previous: Chain) -> Vec<u8> {
        let hash = hex(&previous.hash_after(json.as_bytes()));
        let crc = crc32fast::hash(json.as_bytes());
        format!("lb1 {:016} {:08x} {crc:08x} {hash} {json}\n", previous.seq + 1, json.len()).into_bytes()
    }

    #[test]
    fn a_forged_line_breaks_the_chain_at_the_next_one() {
        let all = lines();
        let text = String::from_utf8(all[0][HEADER_BYTES..all[0].len() - 1].to_vec()).unwrap();
        let forged = forged(&text.replace("\"10000\"", "\"90000\""), Chain::default());
        assert_ne!(forged, all[0]);
        let mut chain = Chain::default();
        chain.decode_line(&forged).unwrap();
        assert_eq!(chain.decode_line(&all[1]), Err(LineFault::Hash));
    }

    #[test]
    fn a_newer_record_and_no_record_at_all_are_named() {
        let read = |json: &str| Chain::default().decode_line(&forged(json, Chain::default())).unwrap_err();
        let newer = read(r#"{"seq":1,"ts":0,"v":9,"type":"telepathy"}"#);
        assert_eq!(newer, LineFault::Version { found: "9".into() });
        assert!(matches!(read(r#"{"seq":1,"ts":0,"v":1,"type":"telepathy"}"#), LineFault::Json(_)));
        assert!(matches!(read(r#"{"seq":2,"ts":0,"v":1,"type":"ended","reason":""}"#), LineFault::Format(_)));
    }

    #[test]
    fn a_number_that_json_cannot_hold_is_refused_before_it_is_written() {
        for (at, record) in samples::not_finite().into_iter().enumerate() {
            let (mut chain, mut out) = (Chain::default(), b"before".to_vec());
            let error = chain.encode(Ts::EPOCH, &record, &mut out).unwrap_err();
            assert!(matches!(error, EncodeError::NotReadable), "{at}: {error}");
            assert_eq!((chain, out.as_slice()), (Chain::default(), b"before".as_slice()));
        }
    }
}
