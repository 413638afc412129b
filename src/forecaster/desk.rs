//! The bookkeeping of questions: what waits, what is under way, and that each is answered exactly once.
//!
//! No socket and no clock: instants are the host's monotonic time and come in.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use levibot_core::domain::{Forecast, Ix, ModelVersion, Question, Span, Symbol, Timeframe, Ts};
use levibot_core::driver::Pace;
use levibot_core::forecast::{Answer, Asked, Batch, QUESTIONS_MAX, Refusal};

use super::{Answers, Known};
use crate::telemetry::ForecastOutcome;

/// Batches that the server has and has not answered.
const UNDER_WAY_MAX: usize = 4;
/// Crashes of the model in which a question of a symbol was under way, after which the symbol is kept from it.
const CRASHES_MAX: u32 = 2;
/// A batch of a replay that was lost so often will never be answered.
const LOST_MAX: u32 = 5;
/// In lockstep the last question of an instant says that it is the last. Should none say so, what is there goes after
/// this long, so that a replay is slow and does not hang.
const LOCKSTEP_WAIT: Span = Span::SECOND;

/// How the desk works.
#[derive(Debug, Clone)]
pub(super) struct DeskSetup {
    pub(super) pace: Pace,
    pub(super) symbols: Vec<Symbol>,
    pub(super) timeframe: Timeframe,
    /// How long the first question waits for others.
    pub(super) batch_wait: Span,
    /// Realtime: how long a question may go unanswered.
    pub(super) deadline: Span,
}

/// What the desk wants done.
#[derive(Debug, PartialEq)]
pub(super) enum Task {
    /// Send this to the server.
    Send(Batch),
    /// Tell the house. The outcomes are for the metrics, with the time that an answered question took.
    Tell { answers: Answers, outcomes: Vec<(ForecastOutcome, Span)> },
    /// So many forecasts came too late and were dropped.
    Late(u64),
    /// The server would not answer for this symbol.
    Refused(Symbol, Refusal),
    /// The symbol is kept from the model.
    Kept(Symbol),
    /// It cannot go on.
    Fatal(String),
}

/// Questions that are answered together.
#[derive(Debug)]
struct Chunk {
    id: u64,
    /// When the first of them was asked.
    asked: Ts,
    entries: Vec<Entry>,
    /// Whether the house has its answers.
    told: bool,
    /// How often the server went away with it.
    lost: u32,
}

#[derive(Debug)]
struct Entry {
    question: Question,
    /// The answer, where the server is not asked or has answered.
    answer: Option<Option<Forecast>>,
}

impl Chunk {
    fn missing(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.answer.is_none())
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Desk {
    setup: DeskSetup,
    known: Known,
    /// Questions of the present instant, and when the first came.
    gathered: Vec<Question>,
    since: Option<Ts>,
    /// Put together and not sent, oldest first.
    waiting: VecDeque<Chunk>,
    under_way: BTreeMap<u64, Chunk>,
    next_id: u64,
    /// The version that answers; `None` while the server is away.
    up: Option<ModelVersion>,
    last_version: Option<ModelVersion>,
    /// Symbols that were under way in a crash and have not been answered since, and in how many. Realtime alone.
    suspects: BTreeMap<Ix, u32>,
}

impl Desk {
    pub(super) fn new(setup: DeskSetup, known: Known) -> Self {
        Self {
            setup,
            known,
            gathered: Vec::new(),
            since: None,
            waiting: VecDeque::new(),
            under_way: BTreeMap::new(),
            next_id: 1,
            up: None,
            last_version: None,
            suspects: BTreeMap::new(),
        }
    }

    /// The table of symbols has grown.
    pub(super) fn follow(&mut self, symbols: Vec<Symbol>) {
        self.setup.symbols = symbols;
    }

    fn realtime(&self) -> bool {
        self.setup.pace == Pace::Realtime
    }

    /// Whether the server owes an answer.
    pub(super) fn is_waiting(&self) -> bool {
        !self.under_way.is_empty()
    }

    /// How long from now until the first question of an instant has waited enough; `None` when that is known already.
    pub(super) fn wait(&self) -> Option<Duration> {
        let is_first = self.realtime() && self.gathered.len() == 1;
        is_first.then(|| Duration::from_nanos(self.setup.batch_wait.nanos().unsigned_abs()))
    }

    /// Takes a question; `last` when no other engine owes one for this instant. In lockstep a batch is a matter of the
    /// instant alone: neither time nor a full batch ends it, so that what is asked together is the same every time.
    pub(super) fn ask(&mut self, question: Question, last: bool, now: Ts, tasks: &mut Vec<Task>) {
        self.since.get_or_insert(now);
        self.gathered.push(question);
        if last || (self.realtime() && self.gathered.len() >= QUESTIONS_MAX) {
            self.flush(now, tasks);
        }
    }

    /// Looks at what has waited too long.
    pub(super) fn tick(&mut self, now: Ts, tasks: &mut Vec<Task>) {
        let wait = if self.realtime() { self.setup.batch_wait } else { LOCKSTEP_WAIT };
        if self.since.is_some_and(|since| now - since >= wait) {
            self.flush(now, tasks);
        }
        if !self.realtime() {
            return;
        }
        let (version, deadline) = (self.up, self.setup.deadline);
        while self.waiting.front().is_some_and(|chunk| now - chunk.asked >= deadline) {
            if let Some(mut chunk) = self.waiting.pop_front() {
                tell(&mut chunk, version, now, tasks);
            }
        }
        for chunk in self.under_way.values_mut().filter(|chunk| now - chunk.asked >= deadline) {
            tell(chunk, version, now, tasks);
        }
    }

    fn flush(&mut self, now: Ts, tasks: &mut Vec<Task>) {
        let asked = self.since.take().unwrap_or(now);
        let mut questions = std::mem::take(&mut self.gathered);
        questions.sort_by_key(|question| (question.bar, question.instrument));
        // Whoever may have brought the model down is asked for alone: the next crash then has one culprit.
        let (alone, together): (Vec<_>, Vec<_>) =
            questions.into_iter().partition(|question| self.suspects.contains_key(&question.instrument));
        let mut together = together.into_iter();
        loop {
            let part: Vec<Question> = together.by_ref().take(QUESTIONS_MAX).collect();
            if part.is_empty() {
                break;
            }
            self.queue(part, asked);
        }
        alone.into_iter().for_each(|question| self.queue(vec![question], asked));
        self.pump(now, tasks);
    }

    fn queue(&mut self, questions: Vec<Question>, asked: Ts) {
        let entry = |question: Question| {
            let kept = self.suspects.get(&question.instrument).is_some_and(|crashes| *crashes >= CRASHES_MAX);
            let answer = if kept { Some(None) } else { self.known.get(&question).map(Some) };
            Entry { question, answer }
        };
        let entries = questions.into_iter().map(entry).collect();
        self.waiting.push_back(Chunk { id: self.next_id, asked, entries, told: false, lost: 0 });
        self.next_id += 1;
    }

    /// Sends what waits, as far as it can go.
    fn pump(&mut self, now: Ts, tasks: &mut Vec<Task>) {
        let max = if self.suspects.is_empty() { UNDER_WAY_MAX } else { 1 };
        while let Some(mut chunk) = self.waiting.pop_front() {
            if chunk.missing().next().is_none() || (self.realtime() && self.up.is_none()) {
                let version =
                    self.up.or_else(|| chunk.entries.iter().find_map(|e| e.answer.flatten()).map(|f| f.version));
                tell(&mut chunk, version, now, tasks);
            } else if self.up.is_some() && self.under_way.len() < max {
                tasks.push(Task::Send(self.batch(&chunk)));
                self.under_way.insert(chunk.id, chunk);
            } else {
                self.waiting.push_front(chunk);
                break;
            }
        }
    }

    fn batch(&self, chunk: &Chunk) -> Batch {
        let asked = |entry: &Entry| {
            let Question { instrument, bar, features, ref window } = entry.question;
            let symbol = *self.setup.symbols.get(instrument.at())?;
            Some(Asked { symbol, bar, features, window: window.to_vec() })
        };
        Batch { id: chunk.id, timeframe: self.setup.timeframe, questions: chunk.missing().filter_map(asked).collect() }
    }

    /// The server answers with this version from now on.
    pub(super) fn up(&mut self, version: ModelVersion, now: Ts, tasks: &mut Vec<Task>) {
        if self.last_version.replace(version).is_some_and(|last| last != version) {
            self.suspects.clear();
        }
        self.up = Some(version);
        self.pump(now, tasks);
    }

    /// The server is away. In realtime what was asked is answered with none, and what was under way is suspected; in
    /// lockstep it waits and is asked again as it was.
    pub(super) fn down(&mut self, now: Ts, tasks: &mut Vec<Task>) {
        self.up = None;
        let under_way = std::mem::take(&mut self.under_way);
        if self.realtime() {
            // A symbol may have several bars under way: it is one crash all the same.
            let missing = under_way.values().flat_map(Chunk::missing);
            let symbols: BTreeSet<Ix> = missing.map(|entry| entry.question.instrument).collect();
            self.suspect(&symbols, tasks);
        }
        for (_, mut chunk) in under_way.into_iter().rev() {
            if self.realtime() {
                tell(&mut chunk, None, now, tasks);
                continue;
            }
            chunk.lost += 1;
            if chunk.lost >= LOST_MAX {
                let symbols = self.batch(&chunk).questions.iter().map(|q| q.symbol.to_string()).collect::<Vec<_>>();
                let text =
                    format!("the model went away {LOST_MAX} times with the same questions ({})", symbols.join(", "));
                tasks.push(Task::Fatal(text));
            }
            self.waiting.push_front(chunk);
        }
        self.pump(now, tasks);
    }

    fn suspect(&mut self, symbols: &BTreeSet<Ix>, tasks: &mut Vec<Task>) {
        for ix in symbols {
            let crashes = self.suspects.entry(*ix).or_default();
            *crashes += 1;
            if *crashes == CRASHES_MAX {
                tasks.extend(self.setup.symbols.get(ix.at()).map(|symbol| Task::Kept(*symbol)));
            }
        }
    }

    /// Takes an answer.
    ///
    /// # Errors
    /// What is wrong with it: the server does not keep to the protocol and must go.
    pub(super) fn answered(&mut self, answer: Answer, now: Ts, tasks: &mut Vec<Task>) -> Result<(), String> {
        let Some(mut chunk) = self.under_way.remove(&answer.id) else {
            return Err(format!("it answered batch {}, which was not asked", answer.id));
        };
        let (found, wanted) = (answer.forecasts.len(), chunk.missing().count());
        if found != wanted {
            self.under_way.insert(chunk.id, chunk);
            return Err(format!("it answered {wanted} questions with {found} forecasts"));
        }
        if chunk.told {
            tasks.push(Task::Late(found as u64));
        }
        let mut forecasts = answer.forecasts.into_iter();
        for entry in chunk.entries.iter_mut().filter(|entry| entry.answer.is_none()) {
            let Some(forecast) = forecasts.next() else { break };
            // It was answered without a crash.
            self.suspects.remove(&entry.question.instrument);
            match forecast.and_then(|forecast| check(forecast, entry.question.features, self.up)) {
                Ok(forecast) => entry.answer = Some(Some(forecast)),
                Err(refusal) => {
                    entry.answer = Some(None);
                    let symbol = self.setup.symbols.get(entry.question.instrument.at());
                    tasks.extend(symbol.map(|symbol| Task::Refused(*symbol, refusal)));
                }
            }
        }
        tell(&mut chunk, self.up, now, tasks);
        self.pump(now, tasks);
        Ok(())
    }
}

/// A forecast that belongs to its question and can be meant.
fn check(forecast: Forecast, features: u64, version: Option<ModelVersion>) -> Result<Forecast, Refusal> {
    if !forecast.is_sound() {
        return Err(Refusal::Failed("a forecast with numbers that cannot be meant".to_owned()));
    }
    if forecast.features != features {
        return Err(Refusal::Failed("a forecast of other features than were asked about".to_owned()));
    }
    if version != Some(forecast.version) {
        return Err(Refusal::Failed(format!(
            "a forecast of version {}, which is not the one in use",
            forecast.version
        )));
    }
    Ok(forecast)
}

/// Tells the house what is known of a chunk; once.
fn tell(chunk: &mut Chunk, version: Option<ModelVersion>, now: Ts, tasks: &mut Vec<Task>) {
    if std::mem::replace(&mut chunk.told, true) {
        return;
    }
    let took = now - chunk.asked;
    let outcome = |entry: &Entry| match entry.answer {
        Some(Some(_)) => (ForecastOutcome::Answered, took),
        Some(None) => (ForecastOutcome::Refused, took),
        None => (ForecastOutcome::Absent, took),
    };
    let outcomes = chunk.entries.iter().map(outcome).collect();
    let answer = |e: &Entry| (e.question.instrument, e.question.bar, e.answer.flatten());
    let answers = Answers { version, answers: chunk.entries.iter().map(answer).collect() };
    tasks.push(Task::Tell { answers, outcomes });
}

#[cfg(test)]
#[path = "desk_tests.rs"]
mod tests;
