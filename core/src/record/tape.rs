//! What the tape holds: every input of every core, in the order in which they were taken.
//!
//! Here is the pure part, a list of items as bytes ([`postcard`], which keeps every bit of a float). Files, compression
//! and the queue in front of the disk belong to the host.

use serde::{Deserialize, Serialize};

use crate::domain::{Event, Ix, Ts};

/// Which core an input was given to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TapeTarget {
    /// The account.
    Account,
    /// One engine.
    Engine(Ix),
    /// One engine, a bar of the past: it is primed with it.
    History(Ix),
    /// The same, and the engine's memory begins anew with it.
    Cold(Ix),
    /// As [`Self::Start`], of an older version, which did not say whose start it is.
    Session,
    /// The account has taken the changed setup that stands on record next.
    Setup,
    /// Every core begins anew: the daemon has started whose [`super::Record::Started`] is the record of this number.
    Start(u64),
    /// The account, a bar of the past: it measures with it and does nothing else.
    Remembered,
}

/// One input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TapeEntry {
    /// The sequencer's number: grows from entry to entry.
    pub seq: u64,
    /// Trading time at which it was taken.
    pub ts: Ts,
    /// To whom.
    pub to: TapeTarget,
    /// What.
    pub event: Event,
}

/// One piece of a tape.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "the large variant is nearly all of the traffic")]
pub enum TapeItem {
    /// An input.
    Entry(TapeEntry),
    /// The disk could not keep up and entries were dropped: a replay is exact only up to here.
    Gap {
        /// Number of the first entry dropped.
        first: u64,
        /// Number of the last entry dropped.
        last: u64,
        /// How many were dropped.
        entries: u64,
    },
}

/// Bytes that are not a list of tape items, or items that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("the tape's items cannot be {operation}")]
pub struct TapeCodecError {
    operation: &'static str,
    #[source]
    source: postcard::Error,
}

/// A list of items as bytes.
///
/// # Errors
/// [`TapeCodecError`] when serde refuses; no item of these types makes it do so.
pub fn encode_items(items: &[TapeItem]) -> Result<Vec<u8>, TapeCodecError> {
    postcard::to_stdvec(items).map_err(|source| TapeCodecError { operation: "written", source })
}

/// The list that [`encode_items`] wrote.
///
/// # Errors
/// [`TapeCodecError`] for anything else, trailing bytes included.
pub fn decode_items(bytes: &[u8]) -> Result<Vec<TapeItem>, TapeCodecError> {
    let fail = |source| TapeCodecError { operation: "read", source };
    match postcard::take_from_bytes(bytes).map_err(fail)? {
        (items, []) => Ok(items),
        _ => Err(fail(postcard::Error::DeserializeBadEncoding)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        Bar, Context, Decision, DoneReason, Fill, Forecast, FreezeCause, HaltLevel, Intent, PositionView, Quote,
        Reason, Report, Side, Vote,
    };

    fn events() -> Vec<Event> {
        let order = "lb-a".parse().unwrap();
        let reason = Reason { by: "risk".into(), text: "ü".into() };
        let bar = Bar { open_ts: Ts::MAX, open: f64::MAX, high: -0.0, low: 5e-324, close: 0.1, volume: f64::INFINITY };
        let quote = Quote { ts: Ts::EPOCH, bid: 1.0, ask: 2.0, bid_size: 0.0, ask_size: f64::MIN };
        let fill = Fill {
            order,
            trade_id: u64::MAX,
            symbol: "BTCUSDT".parse().unwrap(),
            side: Side::Sell,
            price: "0.1".parse().unwrap(),
            qty: "3".parse().unwrap(),
            fee: "0.01".parse().unwrap(),
            commission: None,
            ts: Ts::from_nanos(i64::MIN),
        };
        let vote = Vote { probability: 0.1, weight: 1.0 };
        let forecast = Forecast {
            version: "1".parse().unwrap(),
            features: u64::MAX,
            votes: [None, Some(vote), None],
            prob_up: 0.3,
            quantiles: Some([-0.0, 0.0, 0.1]),
        };
        let decision = |intent| {
            let (instrument, bar, forecast) = (Ix(1), Ts::MAX, Some(forecast));
            Decision { instrument, bar, policy: 1, features: u64::MAX, forecast, intent }
        };
        vec![
            Event::Bar { instrument: Ix(u16::MAX), bar, context: Context::default() },
            Event::FrameEnd,
            Event::Forecast { instrument: Ix(1), bar: Ts::EPOCH, forecast: Some(forecast) },
            Event::Forecast { instrument: Ix(1), bar: Ts::EPOCH, forecast: None },
            Event::Quote { instrument: Ix(0), quote },
            Event::Decision(decision(None)),
            Event::Decision(decision(Some(Intent::Tighten { stop: 0.3 }))),
            Event::Report(Report::Accepted { order }),
            Event::Report(Report::Fill(fill)),
            Event::Report(Report::Done { order, reason: DoneReason::NotSent, text: None }),
            Event::Position(PositionView::flat(Ix(2))),
            Event::Freeze { instrument: Ix(3), cause: FreezeCause::Engine, reason: Some("away".into()) },
            Event::Halt { level: HaltLevel::Flatten, reason: reason.clone() },
            Event::Resume { reason },
        ]
    }

    #[test]
    fn every_event_comes_back_bit_for_bit() {
        let targets = [
            TapeTarget::Account,
            TapeTarget::Engine(Ix(9)),
            TapeTarget::Cold(Ix(1)),
            TapeTarget::Start(7),
            TapeTarget::Remembered,
        ];
        let mut items: Vec<_> = (0..)
            .zip(events())
            .zip(targets.into_iter().cycle())
            .map(|((seq, event), to)| TapeItem::Entry(TapeEntry { seq, ts: Ts::from_secs(1), to, event }))
            .collect();
        items.push(TapeItem::Gap { first: 100, last: 300, entries: 201 });
        let bytes = encode_items(&items).unwrap();
        assert_eq!(decode_items(&bytes).unwrap(), items);
        assert_eq!(encode_items(&decode_items(&bytes).unwrap()).unwrap(), bytes, "signs of zero included");
    }

    #[test]
    fn other_bytes_are_no_items() {
        let bytes = encode_items(&[TapeItem::Gap { first: 1, last: 1, entries: 1 }]).unwrap();
        assert!(decode_items(&[&bytes[..], &[0]].concat()).is_err());
        assert!(decode_items(&bytes[..bytes.len() - 1]).is_err());
        assert!(decode_items(&[255; 9]).is_err());
    }
}
