//! The audit: quiet over what is true, and exact about what is not.

use super::rig::calm;
use crate::domain::*;
use crate::driver::audit::{Audit, AuditFault, AuditReport};
use crate::record::{Envelope, RECORD_VERSION, Record};

fn envelopes() -> Vec<Envelope> {
    let records = calm().records.into_iter().zip(1..);
    records.map(|((ts, record), seq)| Envelope { seq, ts, v: RECORD_VERSION, record }).collect()
}

fn audit(envelopes: &[Envelope]) -> Result<AuditReport, AuditFault> {
    let mut audit = Audit::default();
    envelopes.iter().try_for_each(|envelope| audit.take(envelope))?;
    Ok(audit.finish())
}

/// The place of the `n`-th record of a kind.
fn place(list: &[Envelope], n: usize, of: impl Fn(&Record) -> bool) -> usize {
    list.iter().enumerate().filter(|(_, e)| of(&e.record)).nth(n).unwrap().0
}

/// The number of the first mark at or after a place.
fn next_mark(list: &[Envelope], from: usize) -> u64 {
    list[from..].iter().find(|e| matches!(e.record, Record::Mark { .. })).unwrap().seq
}

#[test]
fn a_true_record_is_clean() {
    let list = envelopes();
    let report = audit(&list).unwrap();
    assert_eq!(report.records, list.len() as u64);
    assert_eq!(report.marks, super::LIVE as u64);
    assert_eq!(report.equity, report.cash + report.positions_value);
    assert!(report.symbols.values().all(|[decisions, orders, fills]| *decisions > 0 && *orders > 0 && *fills > 0));
}

#[test]
fn a_changed_fill_shows_at_the_next_mark() {
    let mut list = envelopes();
    let at = place(&list, 9, |r| matches!(r, Record::Fill { .. }));
    if let Record::Fill { fill } = &mut list[at].record {
        fill.price = "1.23".parse().unwrap();
    }
    let mark = next_mark(&list, at);
    assert!(matches!(audit(&list), Err(AuditFault::Figure { seq, .. }) if seq == mark), "{:?}", audit(&list));
}

#[test]
fn a_changed_mark_shows_at_once() {
    for n in [0, 40] {
        let mut list = envelopes();
        let at = place(&list, n, |r| matches!(r, Record::Mark { .. }));
        if let Record::Mark { equity, .. } = &mut list[at].record {
            *equity += "0.00000001".parse::<Money>().unwrap();
        }
        let fault = audit(&list).unwrap_err();
        assert!(matches!(fault, AuditFault::Figure { seq, what: "equity", .. } if seq == list[at].seq), "{fault}");
        let mut list = envelopes();
        if let Record::Mark { cash, .. } = &mut list[at].record {
            *cash += "0.01".parse::<Money>().unwrap();
        }
        let fault = audit(&list).unwrap_err();
        assert!(matches!(fault, AuditFault::Figure { seq, what: "cash", .. } if seq == list[at].seq), "{fault}");
    }
}

#[test]
fn a_wrong_order_id_shows_at_once() {
    let mut list = envelopes();
    let other =
        list.iter().find_map(|e| if let Record::Intent { order, .. } = &e.record { Some(order.id) } else { None });
    let at = place(&list, 5, |r| matches!(r, Record::Intent { .. }));
    if let Record::Intent { order, .. } = &mut list[at].record {
        order.id = other.unwrap();
    }
    assert!(matches!(audit(&list), Err(AuditFault::Id { seq, .. }) if seq == list[at].seq));
}

#[test]
fn a_record_left_out_shows_where_it_is_missing() {
    let of: [fn(&Record) -> bool; 4] = [
        |r| matches!(r, Record::Done { .. }),
        |r| matches!(r, Record::Fill { .. }),
        |r| matches!(r, Record::Freeze { .. } | Record::Accepted { .. }),
        |r| matches!(r, Record::Bracket { .. }),
    ];
    for of in of {
        let mut list = envelopes();
        let at = place(&list, 3, of);
        let gone = list.remove(at).seq;
        let fault = audit(&list).unwrap_err();
        assert!(matches!(fault, AuditFault::Gap { seq, expected } if (seq, expected) == (gone + 1, gone)), "{fault}");
    }
}

#[test]
fn an_end_that_was_left_out_with_care_shows_as_a_filled_order_that_is_open() {
    let mut list = envelopes();
    let at = place(&list, 3, |r| matches!(r, Record::Done { reason: DoneReason::Filled, .. }));
    let clean = audit(&list).unwrap().open_orders;
    list.remove(at);
    (1..).zip(&mut list).for_each(|(seq, envelope)| envelope.seq = seq);
    let report = audit(&list).unwrap();
    assert_eq!(report.open_orders, clean + 1);
}

#[test]
fn a_trade_that_is_booked_twice_shows_at_once() {
    let mut list = envelopes();
    let at = place(&list, 3, |r| matches!(r, Record::Fill { .. }));
    let copy = list[at].clone();
    list.insert(at + 1, copy);
    (1..).zip(&mut list).for_each(|(seq, envelope)| envelope.seq = seq);
    let fault = audit(&list).unwrap_err();
    let expected = list[at + 1].seq;
    assert!(matches!(&fault, AuditFault::Twice { seq, .. } if *seq == expected), "{fault}");
}

#[test]
fn an_order_that_is_filled_beyond_its_quantity_shows_at_once() {
    let mut list = envelopes();
    let at = place(&list, 3, |r| matches!(r, Record::Fill { .. }));
    let mut copy = list[at].clone();
    if let Record::Fill { fill } = &mut copy.record {
        fill.trade_id += 1;
    }
    list.insert(at + 1, copy);
    (1..).zip(&mut list).for_each(|(seq, envelope)| envelope.seq = seq);
    let (fault, expected) = (audit(&list).unwrap_err(), list[at + 1].seq);
    assert!(matches!(&fault, AuditFault::Figure { seq, .. } if *seq == expected), "{fault}");
}

#[test]
fn time_that_runs_backwards_and_a_wrong_end_show_at_once() {
    let mut list = envelopes();
    let at = list.len() / 2;
    list[at].ts = Ts::EPOCH;
    assert!(matches!(audit(&list), Err(AuditFault::Backwards { seq, .. }) if seq == list[at].seq));
    let mut list = envelopes();
    let at = place(&list, 4, |r| matches!(r, Record::Done { reason: DoneReason::Filled, .. }));
    if let Record::Done { reason, .. } = &mut list[at].record {
        *reason = DoneReason::Cancelled;
    }
    assert!(matches!(audit(&list), Err(AuditFault::Figure { seq, .. }) if seq == list[at].seq));
}

fn is_funding(record: &Record) -> bool {
    matches!(record, Record::Funding { .. })
}

#[test]
fn funding_is_a_part_of_what_was_earned() {
    let list = envelopes();
    let paid: Money = list
        .iter()
        .filter_map(|e| if let Record::Funding { funding } = &e.record { Some(-funding.amount) } else { None })
        .sum();
    let report = audit(&list).unwrap();
    assert!(list.iter().filter(|e| is_funding(&e.record)).count() > 3, "the rig holds positions over many instants");
    assert_eq!(report.funding, paid);
}

#[test]
fn a_changed_or_repeated_payment_of_funding_shows_at_once() {
    let mut list = envelopes();
    let at = place(&list, 2, is_funding);
    if let Record::Funding { funding } = &mut list[at].record {
        funding.amount += "0.00000001".parse().unwrap();
    }
    let fault = audit(&list).unwrap_err();
    assert!(matches!(fault, AuditFault::Figure { seq, .. } if seq == list[at].seq), "{fault}");
    let mut list = envelopes();
    let copy = list[at].clone();
    list.insert(at + 1, copy);
    (1..).zip(&mut list).for_each(|(seq, envelope)| envelope.seq = seq);
    let fault = audit(&list).unwrap_err();
    assert!(matches!(&fault, AuditFault::Twice { seq, .. } if *seq == list[at + 1].seq), "{fault}");
}
