//! Limits that are lowered while entries are on their way.

use super::book::{Book, OrderState};
use super::*;

impl Desk {
    fn adopt_risk(&mut self, risk: &str) {
        self.account.reconfigure(setup(AccountKind::Linear, risk), self.now, &mut self.out).unwrap();
        self.collect();
    }

    /// Entries of `count` symbols on their way.
    fn entering(count: u16, risk: &str) -> Self {
        let mut desk = Self::with(AccountKind::Linear, risk);
        for at in 0..count {
            desk.flat_bar(at, 100.0);
            desk.enter(at, Direction::Long, 100.0);
            desk.now = desk.now + Span::SECOND;
        }
        desk
    }
}

fn risk(from: &str, to: &str) -> String {
    assert!(RISK.contains(from));
    RISK.replace(from, to)
}

#[test]
fn fewer_positions_cancel_the_youngest_entries_and_sell_nothing() {
    let three = risk("max_concurrent_positions: 2", "max_concurrent_positions: 3");
    let mut desk = Desk::entering(3, &three);
    assert_eq!(desk.orders.len(), 3);
    let (first, last) = (desk.orders[0].id, desk.orders[2].id);
    desk.adopt_risk(RISK);
    assert_eq!(desk.cancels, [last]);
    assert!(desk.alerts.iter().any(|text| text.contains("CCC")), "{:?}", desk.alerts);
    desk.fill("100", 1);
    desk.fill("100", 1);
    assert_eq!(desk.orders[0].id, last);
    desk.adopt_risk(&risk("max_concurrent_positions: 2", "max_concurrent_positions: 1"));
    assert_eq!((desk.orders.len(), desk.cancels.len()), (1, 2), "cancelled again; the two positions stay");
    assert_ne!(first, last);
    desk.assert_folds();
}

#[test]
fn smaller_groups_and_smaller_sizes_cancel_what_no_longer_fits() {
    let mut desk = Desk::entering(2, RISK);
    let second = desk.orders[1].id;
    desk.adopt_risk(&format!("{RISK}  max_correlated_positions: 1\n"));
    assert_eq!(desk.cancels, [second], "both are of one group");

    for smaller in [
        risk("max_position_usd: 1000", "max_position_usd: 900"),
        risk("max_symbol_risk_pct: 0.2", "max_symbol_risk_pct: 0.05"),
        format!("{RISK}  orders: {{max_order_usd: 999}}\n"),
    ] {
        let mut desk = Desk::entering(1, RISK);
        desk.adopt_risk(&smaller);
        assert_eq!(desk.cancels.len(), 1, "{smaller}");
    }
    let mut desk = Desk::entering(2, RISK);
    desk.adopt_risk(&format!("{RISK}  symbols: {{BBB: {{max_position_usd: 500}}}}\n"));
    assert_eq!(desk.cancels, [desk.orders[1].id], "the limit of one symbol is about that symbol");
}

#[test]
fn a_change_that_lowers_nothing_cancels_nothing() {
    let mut desk = Desk::entering(2, RISK);
    desk.adopt_risk(RISK);
    desk.adopt_risk(&risk("max_position_usd: 1000", "max_position_usd: 2000"));
    desk.adopt_risk(&risk("max_daily_loss_pct: 3.0", "max_daily_loss_pct: 2.0"));
    assert!(desk.cancels.is_empty(), "{:?}", desk.cancels);
}

#[test]
fn an_entry_that_turns_a_position_over_counts_once() {
    let mut desk = Desk::with(AccountKind::Linear, &risk("max_concurrent_positions: 2", "max_concurrent_positions: 1"));
    desk.flat_bar(0, 100.0);
    desk.enter(0, Direction::Long, 100.0);
    desk.fill("100", 1);
    desk.next_hour();
    desk.flat_bar(0, 100.0);
    desk.enter(0, Direction::Short, 100.0);
    assert_eq!(desk.orders.len(), 2);
    let same_count = risk("max_concurrent_positions: 2", "max_concurrent_positions: 1");
    desk.adopt_risk(&format!("{same_count}  max_correlated_positions: 1\n"));
    assert!(desk.cancels.is_empty(), "{:?}", desk.cancels);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// After any change of limits no entry is left that is beyond them, and no position was touched.
    #[test]
    fn no_live_entry_exceeds_changed_limits_and_no_exit_is_caused(
        course in proptest::collection::vec((0u16..3, any::<bool>(), any::<bool>()), 1..12),
        (positions, correlated) in (1u32..4, 1u32..3),
        (position_usd, fraction, order_usd) in (50.0..2_000.0_f64, 0.01..0.3_f64, 50.0..2_000.0_f64),
    ) {
        let mut desk =
            Desk::with(AccountKind::Linear, &risk("max_concurrent_positions: 2", "max_concurrent_positions: 3"));
        for (at, long, fills) in course {
            desk.flat_bar(at, 100.0);
            desk.enter(at, if long { Direction::Long } else { Direction::Short }, 100.0);
            if fills && !desk.orders.is_empty() {
                desk.fill("100", 1);
            }
            desk.now = desk.now + Span::MINUTE;
        }
        let orders = desk.orders.len();
        let text = risk("max_concurrent_positions: 2", &format!("max_concurrent_positions: {positions}"));
        let text = text.replace("max_position_usd: 1000", &format!("max_position_usd: {position_usd}"));
        let text = text.replace("max_symbol_risk_pct: 0.2", &format!("max_symbol_risk_pct: {fraction}"));
        desk.adopt_risk(&format!(
            "{text}  max_correlated_positions: {correlated}\n  orders: {{max_order_usd: {order_usd}}}\n"
        ));
        prop_assert_eq!(desk.orders.len(), orders, "a change of limits orders nothing");
        let state = desk.account.state();
        let live = |order: &&OrderState| order.order.leg == Leg::Entry && !desk.cancels.contains(&order.order.id);
        let entries: Vec<&OrderState> = state.orders().filter(live).collect();
        for entry in &entries {
            let most = position_usd.min(order_usd).min(desk.account.equity() * fraction);
            let notional = entry.order.qty.to_f64() * 100.0;
            prop_assert!(notional <= most * (1.0 + 1e-6), "{notional} of {most}");
        }
        let held: Vec<Symbol> = state.books().iter().filter(|b| !b.is_flat()).map(Book::symbol).collect();
        let entering: Vec<Symbol> = entries.iter().map(|o| o.order.symbol).filter(|s| !held.contains(s)).collect();
        prop_assert!(entering.is_empty() || held.len() + entering.len() <= positions as usize);
        let direction = |symbol: Symbol| {
            let entry = entries.iter().find(|o| o.order.symbol == symbol).map(|o| o.order.side);
            let book = state.books().iter().find(|b| b.symbol() == symbol);
            entry.or_else(|| book.and_then(Book::direction).map(Direction::entry_side))
        };
        let group: [Symbol; 2] = ["AAA".parse().unwrap(), "BBB".parse().unwrap()];
        let same = group.map(direction);
        let together = same[0].is_some() && same[0] == same[1];
        let entered = entries.iter().any(|o| group.contains(&o.order.symbol));
        prop_assert!(!(together && entered && correlated == 1), "{same:?}");
        desk.assert_folds();
    }
}
