//! What market data say of each symbol, and which quotes are believed.

use super::book::Book;
use super::core::Account;
use super::frames::{Band, Kept};
use super::open_orders::OpenOrders;
use super::witness::Witness;
use super::{Action, Alert};
use crate::alerts::Topic;
use crate::domain::decimals::decimal_to_f64;
use crate::domain::{Actions, Bar, Ix, PositionView, Price, Quote, Span, Symbol, Ts};

/// A side of a quote further than this from the same side of the last one believed, as a fraction of that, must be seen
/// again. Liquid books move so far within one quote in crashes alone, and those are seen again at once; prices that are
/// off by a digit, a zero or another symbol's are further away.
const COLLAR: f64 = 0.10;
/// A level that was held back is believed when it is seen again so much later: what belongs to one burst is one tick.
const CONFIRM_AFTER: Span = Span::from_millis(100);
/// Quotes are held back no longer than this, whatever they say: a market that never comes to rest is not left unwatched.
const HELD_AT_MOST: Span = Span::MINUTE;
/// A stream of quotes that has said nothing for so long when a bar closes has ended.
const QUIET_AFTER: Span = Span::MINUTE;
/// Prices on record older than this say nothing of the first quote after a start.
const RECENT: Span = Span::HOUR;

/// What market data says of one symbol, and what is derived for speed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Live {
    /// Last price; 0 when none is known.
    pub(super) mark: f64,
    /// Whether quotes have been seen: they are the finer truth, so bars with a quote in them no longer trigger or mark.
    pub(super) quoted: bool,
    /// When the last quote came that was believed.
    pub(super) quoted_at: Ts,
    /// When the last price came.
    pub(super) priced_at: Ts,
    /// What its last prices confirm.
    pub(super) witness: Witness,
    /// The position as `f64`.
    pub(super) net: f64,
    /// When the position is closed at the latest, while nothing closes it already; else the end of time.
    pub(super) expires: Ts,
    /// What a bar must leave before the bracket has anything to do with it.
    pub(super) band: Band,
    /// What stood at the end of the last frame.
    pub(super) kept: Kept,
    /// What the engine was told last.
    pub(super) view: PositionView,
    /// The last record that had been folded then.
    published: u64,
    /// Whether people know that the position has no bracket.
    pub(super) bare_told: bool,
    /// Whether people know that positions here may have no stop: that is how their strategy is, and told once.
    pub(super) stopless_told: bool,
    /// When the latest quote was valid; older ones are out of order.
    valid: Ts,
    /// What the next quote is compared with, up to `near_until`.
    near: Option<Level>,
    near_until: Ts,
    held: Option<Held>,
}

/// The two sides of a book.
#[derive(Debug, Clone, Copy)]
struct Level {
    bid: f64,
    ask: f64,
}

/// A quote that was not believed.
#[derive(Debug, Clone, Copy)]
struct Held {
    level: Level,
    at: Ts,
    /// When the first one came that no believed quote has followed.
    since: Ts,
}

/// What of a bar is news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BarHeard {
    /// Its own quotes have told all of it.
    Nothing,
    /// Its close alone.
    Close,
    /// All of it.
    Whole,
}

/// What became of a quote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// No quote at all, or out of order.
    Nothing,
    /// Too far away to be believed at once; `first` when the one before was believed.
    Held { first: bool },
    /// Believed.
    Believed,
}

impl Level {
    #[inline]
    const fn at(price: f64) -> Self {
        Self { bid: price, ask: price }
    }

    fn of(quote: &Quote) -> Self {
        Self { bid: quote.bid, ask: quote.ask }
    }

    fn is_near(&self, quote: &Quote) -> bool {
        (quote.bid - self.bid).abs() <= COLLAR * self.bid && (quote.ask - self.ask).abs() <= COLLAR * self.ask
    }
}

impl Live {
    /// What the records say of a symbol before market data come.
    pub(super) fn of(book: &Book, ix: Ix, orders: &OpenOrders) -> Self {
        let (enters, closes) = book.under_way(orders);
        let mark = book.marked.map_or_else(|| book.entry_price(), Price::to_f64);
        let near = book.marked.map(|mark| Level::at(mark.to_f64()));
        Self {
            mark,
            quoted: false,
            quoted_at: Ts::EPOCH,
            priced_at: Ts::EPOCH,
            witness: Witness::sure(mark, Ts::EPOCH),
            net: decimal_to_f64(book.net()),
            expires: book.due(closes),
            band: book.band(closes),
            kept: Kept::NOTHING,
            view: book.view(ix, enters),
            published: 0,
            bare_told: false,
            stopless_told: false,
            valid: Ts::EPOCH,
            near,
            near_until: book.marked_at.saturating_add(RECENT),
            held: None,
        }
    }

    /// Takes a quote at `now`, if it is believed.
    pub(super) fn hear(&mut self, quote: &Quote, now: Ts) -> Heard {
        if !quote.is_sound() || quote.ts < self.valid {
            return Heard::Nothing;
        }
        // A quote of the future must not silence those of the present.
        self.valid = quote.ts.min(now);
        let near = if now <= self.near_until { self.near } else { None };
        // Where nothing is known, a quote speaks for itself, if its sides lie together.
        let is_near = near.unwrap_or_else(|| Level::at(quote.mid())).is_near(quote);
        if !is_near && let held @ Heard::Held { .. } = self.hold(quote, now) {
            return held;
        }
        (self.quoted, self.quoted_at, self.priced_at, self.mark) = (true, now, now, quote.mid());
        (self.near, self.near_until, self.held) = (Some(Level::of(quote)), Ts::MAX, None);
        if is_near {
            self.witness.see(self.mark, now);
        } else {
            // Two quotes have shown it: a loss of the day is no longer a single tick either.
            self.witness = Witness::sure(self.mark, now);
        }
        Heard::Believed
    }

    /// A quote far away: believed if it confirms the one that is held back.
    fn hold(&mut self, quote: &Quote, now: Ts) -> Heard {
        let Some(held) = self.held else {
            self.held = Some(Held { level: Level::of(quote), at: now, since: now });
            return Heard::Held { first: true };
        };
        let again = held.level.is_near(quote);
        if (again && now - held.at >= CONFIRM_AFTER) || now - held.since >= HELD_AT_MOST {
            return Heard::Believed;
        }
        if !again {
            self.held = Some(Held { level: Level::of(quote), at: now, ..held });
        }
        Heard::Held { first: false }
    }

    /// Whether market data have come since the start, so that the mark is one of today.
    #[inline]
    pub(super) fn is_heard(&self) -> bool {
        self.near_until == Ts::MAX
    }

    /// Takes a bar's last price, unless the bar's own quotes have told as much. Where they have ended long before its
    /// close, its close is one more price; what else it saw they have told.
    #[inline]
    pub(super) fn hear_bar(&mut self, bar: &Bar, now: Ts) -> BarHeard {
        let is_told = self.quoted && self.quoted_at >= bar.open_ts;
        if is_told && now - self.quoted_at <= QUIET_AFTER {
            self.witness.see(bar.close, now);
            return BarHeard::Nothing;
        }
        // A closed bar has many trades behind it and speaks for itself.
        self.witness = Witness::sure(bar.close, now);
        (self.mark, self.priced_at) = (bar.close, now);
        (self.near, self.near_until) = (Some(Level::at(bar.close)), Ts::MAX);
        if is_told { BarHeard::Close } else { BarHeard::Whole }
    }
}

impl Account {
    /// What is derived from the records, for a new account or a changed setup.
    pub(super) fn derive_live(state: &super::State) -> Vec<Live> {
        let mut live = Vec::with_capacity(state.books.len());
        for (at, book) in state.books.iter().enumerate() {
            live.push(Live::of(book, Ix::from_usize(at).unwrap_or(Ix(u16::MAX)), &state.orders));
        }
        live
    }

    /// Tells the engine what has changed for it, and refreshes what is derived from the book.
    pub(super) fn publish(&mut self, ix: Ix, out: &mut Actions<Action>) {
        let (Some(book), Some(live)) = (self.state.books.get(ix.at()), self.live.get_mut(ix.at())) else { return };
        // All that is told here comes out of the records.
        if live.published == self.state.seq {
            return;
        }
        live.published = self.state.seq;
        let net = decimal_to_f64(book.net());
        if live.net == 0.0 && net != 0.0 && !live.is_heard() {
            // A position that came before any price of today is worth what was paid for it.
            live.keep(&self.closing);
            live.mark = book.entry_price();
            live.witness = Witness::sure(live.mark, Ts::EPOCH);
        }
        live.net = net;
        let (enters, closes) = book.under_way(&self.state.orders);
        let view = book.view(ix, enters);
        if view.direction != live.view.direction {
            live.bare_told = false;
        }
        if view != live.view {
            live.view = view;
            out.push(Action::Position(view));
        }
        live.band = book.band(closes);
        let due = book.due(closes);
        if due != live.expires {
            live.expires = due;
            self.refresh_due();
        }
    }

    /// A record was folded that changes nothing of what is told of `ix`.
    pub(super) fn pass_over(&mut self, ix: Ix) {
        if let Some(live) = self.live.get_mut(ix.at())
            && live.published + 1 == self.state.seq
        {
            live.published = self.state.seq;
        }
    }

    /// When the first position runs out of time.
    pub(super) fn refresh_due(&mut self) {
        self.due = self.live.iter().map(|live| live.expires).min().unwrap_or(Ts::MAX);
    }

    pub(super) fn tell_held(&self, symbol: Symbol, mark: f64, quote: &Quote, out: &mut Actions<Action>) {
        let text = || {
            format!(
                "a quote of {} / {} is over {:.0} % away from the last price {mark}: it is not believed until it is seen again",
                quote.bid,
                quote.ask,
                100.0 * COLLAR
            )
        };
        self.tell(|| Alert::warning(Topic::Market, symbol, text()), out);
    }
}
