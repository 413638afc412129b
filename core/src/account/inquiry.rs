//! What the venue has been asked and has not answered yet. It stands beside the account's truth: after a restart the host
//! asks for everything anew, and what is unknown is asked about again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Action;
use super::core::{Account, Follow};
use super::orders::{EVIDENCE_AFTER, EVIDENCE_APART, Touch};
use super::state::State;
use crate::domain::{Actions, Ix, OrderId, ReconcileCause, Span, Ts};

/// The first and the longest wait between two questions about an order.
const ORDER_WAITS: (Span, Span) = (Span::SECOND, Span::from_secs(30));
/// The same for a comparison on which entries wait.
const COMPARISON_WAITS: (Span, Span) = (Span::from_secs(5), Span::from_secs(30));
/// Names that are remembered as told.
const TOLD_MAX: usize = 1_024;

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Inquiry {
    /// The comparison asked for last, until it is answered.
    asked: Option<Touch>,
    /// One on which entries wait: why, and since when.
    blocking: Option<(ReconcileCause, Ts)>,
    /// When it is asked for again.
    again: Repeat,
    /// Orders that are unknown, or of which something is missing, and when the next question about each is due.
    orders: BTreeMap<OrderId, Repeat>,
    /// Orders that the venue has had and says now that it has none, and when it was asked.
    gone: BTreeMap<OrderId, Ts>,
    /// The last start or reconnection that no comparison has answered: what was sent before it may be lost.
    lost: Option<Touch>,
    /// What was different in the last comparison, by name.
    pub(super) differed: BTreeSet<String>,
    pub(super) told: Told,
}

/// Questions that are asked again, at growing distances.
#[derive(Debug, Clone, Copy)]
struct Repeat {
    next: Ts,
    wait: Span,
    wait_max: Span,
    /// Also about an order that is not unknown.
    is_known: bool,
}

impl Repeat {
    fn new((wait, wait_max): (Span, Span), now: Ts) -> Self {
        Self { next: now.saturating_add(wait), wait, wait_max, is_known: false }
    }

    /// Whether it is time; if so, the next time is set.
    fn is_due(&mut self, now: Ts) -> bool {
        if self.next > now {
            return false;
        }
        self.wait = self.wait.times(2).min(self.wait_max);
        self.next = now.saturating_add(self.wait);
        true
    }
}

/// Names of what people were told of once, a bounded number of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    known: BTreeSet<String>,
    oldest_first: VecDeque<String>,
}

impl Told {
    /// Whether this is new.
    pub(super) fn is_new(&mut self, name: &str) -> bool {
        if !self.known.insert(name.to_owned()) {
            return false;
        }
        self.oldest_first.push_back(name.to_owned());
        if self.oldest_first.len() > TOLD_MAX
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

impl Inquiry {
    /// Nothing was asked. Whatever is unknown is asked about as soon as time moves.
    pub(super) fn new(state: &State) -> Self {
        let unknown = state.orders().filter(|order| order.stage.is_unknown());
        let (wait, wait_max) = ORDER_WAITS;
        let orders = unknown.map(|o| (o.order.id, Repeat { next: Ts::EPOCH, wait, wait_max, is_known: false }));
        Self {
            asked: None,
            blocking: None,
            again: Repeat::new(COMPARISON_WAITS, Ts::EPOCH),
            orders: orders.collect(),
            gone: BTreeMap::new(),
            lost: None,
            differed: BTreeSet::new(),
            told: Told::default(),
        }
    }

    /// Whether entries wait for a comparison, and why.
    pub(super) const fn blocking(&self) -> Option<ReconcileCause> {
        match self.blocking {
            Some((cause, _)) => Some(cause),
            None => None,
        }
    }

    /// Whether nothing is asked that would be asked again.
    pub(super) fn is_idle(&self) -> bool {
        self.orders.is_empty() && self.blocking.is_none()
    }

    /// Why the comparison that is answered was asked for.
    pub(super) fn cause(&self, asked: Ts) -> ReconcileCause {
        self.blocking.filter(|(_, since)| asked >= *since).map_or(ReconcileCause::Periodic, |(cause, _)| cause)
    }

    fn ask(&mut self, now: Touch) {
        // Two questions of one instant cannot be told apart: what followed the first may be missing in either answer.
        if self.asked.is_none_or(|asked| asked.ts != now.ts) {
            self.asked = Some(now);
        }
    }

    /// Something has happened because of which entries wait. Any answer to a question asked since then is one, however often
    /// it was asked again.
    fn block(&mut self, cause: ReconcileCause, now: Touch) {
        if matches!(cause, ReconcileCause::Start | ReconcileCause::Reconnect) {
            self.lost = Some(now);
        }
        if cause != ReconcileCause::Periodic {
            self.blocking = Some((cause, now.ts));
            self.again = Repeat::new(COMPARISON_WAITS, now.ts);
        }
    }

    /// What an answer that speaks for `asked` cannot know: everything behind this place.
    pub(super) fn horizon(&self, asked: Ts) -> Touch {
        self.asked.filter(|ask| ask.ts == asked).unwrap_or(Touch { ts: asked, seq: 0 })
    }

    /// A comparison is answered; entries wait on if it could `prove` nothing.
    pub(super) fn answered(&mut self, asked: Ts, proves: bool) {
        self.asked = self.asked.filter(|ask| ask.ts > asked);
        if proves {
            self.lost = self.lost.filter(|lost| lost.ts > asked);
            self.blocking = self.blocking.filter(|(_, since)| *since > asked);
        }
    }

    /// Whether an order without a word of it may have been lost before it was sent, as an answer that speaks for `asked` can
    /// tell. What was sent since the last start or reconnection may still be held back by the host until this answer.
    pub(super) fn may_be_lost(&self, touched: Touch, asked: Ts) -> bool {
        self.lost.is_some_and(|lost| asked >= lost.ts && !touched.is_after(lost))
    }

    /// The venue says at `asked` that it has none of an order which it has had; its last record is of `touched`. Whether
    /// that is the second time that counts.
    pub(super) fn is_gone(&mut self, id: OrderId, touched: Ts, asked: Ts) -> bool {
        let due = touched.saturating_add(EVIDENCE_AFTER);
        if asked < due {
            return false;
        }
        match self.gone.get(&id) {
            Some(before) if *before >= due => asked >= before.saturating_add(EVIDENCE_APART),
            _ => {
                self.gone.insert(id, asked);
                false
            }
        }
    }

    /// The venue has the order.
    pub(super) fn is_there(&mut self, id: OrderId) {
        self.gone.remove(&id);
    }

    /// The next absence counts only apart from this one: then is the time to ask.
    pub(super) fn ask_apart(&mut self, id: OrderId, asked: Ts) {
        if let Some(repeat) = self.orders.get_mut(&id) {
            repeat.next = asked.saturating_add(EVIDENCE_APART);
        }
    }
}

impl Touch {
    /// Whether this is behind what an answer can know.
    pub(super) fn is_after(self, horizon: Self) -> bool {
        self.ts > horizon.ts || (self.ts == horizon.ts && self.seq > horizon.seq)
    }
}

impl Account {
    /// Why an entry of a symbol must wait for the venue, with the word of the check.
    pub(super) fn venue_refusal(&self, ix: Ix) -> Option<(&'static str, String)> {
        if let Some(cause) = self.inquiry.blocking() {
            let reason = format!("ledger and venue are being compared ({cause}), and the venue has not answered yet");
            return Some(("reconciling", reason));
        }
        if self.has_unknown(ix) {
            let reason = "what became of an order of this symbol is not known yet".to_owned();
            return Some(("unknown_order", reason));
        }
        None
    }

    pub(super) fn on_reconcile(&mut self, cause: ReconcileCause, now: Ts, out: &mut Actions<Action>) {
        self.inquiry.block(cause, Touch { ts: now, seq: self.state.seq() });
        self.compare_again(now, out);
    }

    pub(super) fn compare_again(&mut self, now: Ts, out: &mut Actions<Action>) {
        self.inquiry.ask(Touch { ts: now, seq: self.state.seq() });
        out.push(Action::Reconcile);
    }

    /// Asks about an order of which something is missing until it is over, beginning now; one that is asked about already
    /// is asked about when it is time.
    pub(super) fn ask_until_over(&mut self, id: OrderId, now: Ts, out: &mut Actions<Action>) {
        if let Some(repeat) = self.inquiry.orders.get_mut(&id) {
            repeat.is_known = true;
            return;
        }
        self.inquiry.orders.insert(id, Repeat { is_known: true, ..Repeat::new(ORDER_WAITS, now) });
        out.push(Action::Query(id));
    }

    /// Asks about an order until there is evidence, beginning now.
    pub(super) fn ask_about(&mut self, id: OrderId, now: Ts, out: &mut Actions<Action>) {
        self.inquiry.orders.insert(id, Repeat::new(ORDER_WAITS, now));
        out.push(Action::Query(id));
    }

    /// Time has moved: what is due is asked for again, and exits that failed are tried again.
    pub(super) fn follow_up(&mut self, follow: Follow, now: Ts, out: &mut Actions<Action>) {
        match follow {
            // Also of a symbol of which nothing more is heard.
            Follow::Market => self.retry_exits(now, out),
            Follow::Frame | Follow::State => {
                self.retry_exits(now, out);
                self.close_halted(now, out);
                if follow == Follow::Frame {
                    self.make_way_again(out);
                }
                self.go_on_rebalancing(now, out);
            }
            Follow::Report => {
                self.retry_exits(now, out);
                self.go_on_rebalancing(now, out);
            }
            Follow::Nothing => return,
        }
        if !self.inquiry.orders.is_empty() {
            self.ask_again(now, out);
        }
        if self.inquiry.blocking.is_some() && self.inquiry.again.is_due(now) {
            self.compare_again(now, out);
        }
    }

    fn ask_again(&mut self, now: Ts, out: &mut Actions<Action>) {
        let Self { state, inquiry, .. } = self;
        inquiry.orders.retain(|id, repeat| {
            let asks = state.orders.get(id).is_some_and(|order| repeat.is_known || order.stage.is_unknown());
            if asks && repeat.is_due(now) {
                out.push(Action::Query(*id));
            }
            asks
        });
        inquiry.gone.retain(|id, _| state.orders.contains_key(id));
    }
}
