//! Following the journal into the tables.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use levibot_core::record::{Chain, Envelope, JournalReader, ReadFault, Record};
use sqlx::{Row, SqliteConnection};

use super::book::Book;
use super::{Store, StoreError, database};

/// Most records of one transaction.
const BATCH_RECORDS_MAX: usize = 4_096;

/// Reads a journal, which may be written meanwhile, and brings the tables up to it.
#[derive(Debug)]
pub struct Projector {
    store: Store,
    journal: PathBuf,
}

/// How far the tables are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Records taken by this call.
    pub records: u64,
    /// Last record in the tables, 0 for none.
    pub seq: u64,
    /// Bytes of the journal up to its end.
    pub offset: u64,
}

/// Where the tables stand.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    chain: Chain,
    offset: u64,
    line_start: u64,
    run: Option<String>,
}

/// Records read in one go.
struct Batch {
    reader: JournalReader<BufReader<File>>,
    envelopes: Vec<Envelope>,
    line_start: u64,
    fault: Option<StoreError>,
}

impl Projector {
    /// A projector of one journal into one database. Give a database to one projector only.
    pub fn new(store: Store, journal: &Path) -> Self {
        Self { store, journal: journal.to_owned() }
    }

    /// Takes all whole lines there are. An incomplete last line is left for the next call.
    ///
    /// # Errors
    /// [`StoreError::Mismatch`] when the tables come from another journal, [`StoreError::Damaged`],
    /// [`StoreError::Journal`], [`StoreError::Database`]. What was committed before the error stays and is not taken
    /// twice.
    pub async fn catch_up(&mut self) -> Result<Progress, StoreError> {
        self.catch_up_to(u64::MAX).await
    }

    /// Takes whole lines up to a byte of the journal, the end of a line: a live daemon gives the journal's durable
    /// offset, so that the tables never know a record that the machine's death could take back.
    ///
    /// # Errors
    /// As [`Self::catch_up`].
    pub async fn catch_up_to(&mut self, offset: u64) -> Result<Progress, StoreError> {
        let mut db = self.store.pool.acquire().await.map_err(database("open"))?;
        let mut place = Place::load(&mut db).await?;
        let mut progress = Progress { records: 0, seq: place.chain.seq, offset: place.offset };
        let Some(mut reader) = self.open(&place)? else { return Ok(progress) };
        let mut book = Book::load(&mut db).await?;
        loop {
            let path = self.journal.clone();
            let read = tokio::task::spawn_blocking(move || read_batch(reader, offset, &path));
            let batch = read.await.map_err(|_| StoreError::Interrupted)?;
            if batch.envelopes.is_empty() {
                return batch.fault.map_or(Ok(progress), Err);
            }
            reader = batch.reader;
            place = Place {
                chain: reader.head(),
                offset: reader.offset(),
                line_start: batch.line_start,
                run: run_of(&batch.envelopes).or(place.run),
            };
            commit(&mut db, &mut book, &batch.envelopes, &place).await?;
            progress.records += batch.envelopes.len() as u64;
            (progress.seq, progress.offset) = (place.chain.seq, place.offset);
            if let Some(fault) = batch.fault {
                return Err(fault);
            }
        }
    }

    /// Whether the tables come from this journal, as far as they go.
    ///
    /// # Errors
    /// [`StoreError::Mismatch`] when they do not, [`StoreError::Journal`], [`StoreError::Database`].
    pub async fn check(&self) -> Result<(), StoreError> {
        let mut db = self.store.pool.acquire().await.map_err(database("open"))?;
        let place = Place::load(&mut db).await?;
        self.open(&place).map(drop)
    }

    /// Lets the database go.
    pub async fn close(self) {
        self.store.close().await;
    }

    /// Empties the tables and fills them again from the journal's start.
    ///
    /// # Errors
    /// As [`Self::catch_up`].
    pub async fn rebuild(&mut self) -> Result<Progress, StoreError> {
        let mut transaction = self.store.pool.begin().await.map_err(database("empty"))?;
        for statement in [
            "DELETE FROM projection",
            "DELETE FROM events",
            "DELETE FROM orders",
            "DELETE FROM fills",
            "DELETE FROM positions",
            "DELETE FROM brackets",
            "DELETE FROM equity",
            "DELETE FROM decisions",
            "DELETE FROM forecasts",
            "DELETE FROM halts",
            "DELETE FROM commands",
            "DELETE FROM transfers",
            "DELETE FROM funding",
            "DELETE FROM stocks",
            "DELETE FROM account",
            "DELETE FROM instruments",
        ] {
            sqlx::query(statement).execute(&mut *transaction).await.map_err(database("empty"))?;
        }
        transaction.commit().await.map_err(database("empty"))?;
        self.catch_up().await
    }

    /// The journal behind what the tables hold; `None` when neither holds anything.
    fn open(&self, place: &Place) -> Result<Option<JournalReader<BufReader<File>>>, StoreError> {
        let journal = |source| StoreError::Journal { path: self.journal.clone(), source };
        let mismatch = |found: String| {
            let (path, seq, offset) = (self.journal.clone(), place.chain.seq, place.offset);
            StoreError::Mismatch { path, seq, offset, found }
        };
        let mut file = match File::open(&self.journal) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound && place.chain.seq == 0 => return Ok(None),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(mismatch("there is no journal at all".to_owned()));
            }
            Err(error) => return Err(journal(error)),
        };
        let length = file.metadata().map_err(journal)?.len();
        if length < place.offset {
            return Err(mismatch(format!("the journal ends at byte {length}")));
        }
        if place.chain.seq > 0 {
            let mut line = Vec::new();
            file.seek(SeekFrom::Start(place.line_start)).map_err(journal)?;
            let bytes = place.offset.saturating_sub(place.line_start).min(256);
            (&mut file).take(bytes).read_to_end(&mut line).map_err(journal)?;
            match Chain::stated_by(&line) {
                Ok(stated) if stated == place.chain => {}
                Ok(stated) => return Err(mismatch(format!("the journal has another record {}", stated.seq))),
                Err(_) => return Err(mismatch("the journal has no line".to_owned())),
            }
        }
        file.seek(SeekFrom::Start(place.offset)).map_err(journal)?;
        Ok(Some(JournalReader::resume(BufReader::with_capacity(1 << 18, file), place.chain, place.offset)))
    }
}

fn run_of(envelopes: &[Envelope]) -> Option<String> {
    envelopes.iter().rev().find_map(|envelope| match &envelope.record {
        Record::Started { run, .. } => Some(run.to_string()),
        _ => None,
    })
}

/// Good records before a fault are taken first.
fn read_batch(mut reader: JournalReader<BufReader<File>>, until: u64, path: &Path) -> Batch {
    let (mut envelopes, mut line_start, mut fault) = (Vec::new(), reader.offset(), None);
    while envelopes.len() < BATCH_RECORDS_MAX && reader.offset() < until {
        let start = reader.offset();
        match reader.next() {
            Some(Ok((envelope, _))) => envelopes.push(envelope),
            Some(Err(found)) => {
                // A torn tail is a line that the writer has not finished yet.
                fault = (!found.is_torn_tail()).then(|| store_error(found, path));
                break;
            }
            None => break,
        }
        line_start = start;
    }
    Batch { reader, envelopes, line_start, fault }
}

fn store_error(fault: ReadFault, path: &Path) -> StoreError {
    let path = path.to_owned();
    match fault {
        ReadFault::Io { source, .. } => StoreError::Journal { path, source },
        ReadFault::Line { offset, seq, fault } => StoreError::Damaged { path, offset, seq, fault },
    }
}

/// Rows and place in one transaction. The book is changed with them, so it is thrown away when this fails.
async fn commit(
    db: &mut SqliteConnection,
    book: &mut Book,
    envelopes: &[Envelope],
    place: &Place,
) -> Result<(), StoreError> {
    use sqlx::Connection;
    let mut transaction = db.begin_with("BEGIN IMMEDIATE").await.map_err(database("begin to write to"))?;
    for envelope in envelopes {
        book.apply(&mut transaction, envelope).await?;
    }
    book.save(&mut transaction).await?;
    place.save(&mut transaction).await?;
    transaction.commit().await.map_err(database("commit to"))
}

impl Place {
    async fn load(db: &mut SqliteConnection) -> Result<Self, StoreError> {
        let select = "SELECT byte_offset, line_start, seq, hash, run FROM projection WHERE id = 1";
        let row = sqlx::query(select).fetch_optional(db).await.map_err(database("read"))?;
        let Some(row) = row else {
            return Ok(Self { chain: Chain::default(), offset: 0, line_start: 0, run: None });
        };
        let bad = || StoreError::Corrupt { findings: "the place in the journal is not readable".to_owned() };
        let number = |at: usize| {
            let value = row.try_get::<i64, _>(at).map_err(database("read"))?;
            u64::try_from(value).map_err(|_| bad())
        };
        let text = row.try_get::<String, _>(3).map_err(database("read"))?;
        let hash = parse_hash(&text).ok_or_else(bad)?;
        let run = row.try_get::<Option<String>, _>(4).map_err(database("read"))?;
        Ok(Self { offset: number(0)?, line_start: number(1)?, chain: Chain { seq: number(2)?, hash }, run })
    }

    async fn save(&self, db: &mut SqliteConnection) -> Result<(), StoreError> {
        let number = |value: u64| i64::try_from(value).map_err(|_| StoreError::Value { seq: self.chain.seq });
        let query = sqlx::query(
            "INSERT INTO projection (id, byte_offset, line_start, seq, hash, run) VALUES (1, ?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (id) DO UPDATE SET byte_offset = ?1, line_start = ?2, seq = ?3, hash = ?4, run = ?5",
        )
        .bind(number(self.offset)?)
        .bind(number(self.line_start)?)
        .bind(number(self.chain.seq)?)
        .bind(self.chain.hash_hex())
        .bind(self.run.clone());
        query.execute(db).await.map_err(database("write the place in the journal to"))?;
        Ok(())
    }
}

fn parse_hash(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, at) in hash.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
