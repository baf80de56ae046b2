//! Events in a file that outlives the process: a database of `redb`.
//!
//! A change is on the disk when [`apply`](Storage::apply) returns: it is one transaction, flushed as it is committed.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::OpenOptions;
use std::io::Read as _;
use std::path::Path;

use bytes::Bytes;
use lambox_lifecycle::queue::EventId;
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};

use super::{Change, Payloads, ResponseChange, Storage, StorageError, StoredEvent};

const ABOUT: TableDefinition<'_, &str, u32> = TableDefinition::new("about");
const EVENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("events");
const PAYLOADS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("payloads");
const RESPONSES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("responses");

const VERSION_KEY: &str = "version";
/// What the tables hold. Another one is refused, not guessed at.
const VERSION: u32 = 1;

/// How much of the file the database keeps in memory: 16 MiB, of its own accord a gigabyte.
const CACHE_BYTES: usize = 16 << 20;

/// Opens the database.
type Opener = Box<dyn Fn() -> Result<Database, StorageError> + Send>;

pub(in crate::queue) struct Durable {
    opener: Opener,
    /// Nothing after a fault, until it can be opened again: a database that could not write once takes nothing any more.
    database: Option<Database>,
    /// What became of events and could not be written: one change for each.
    unwritten: BTreeMap<EventId, Change>,
}

impl fmt::Debug for Durable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Durable")
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

impl Durable {
    pub(super) fn open(path: &Path) -> Result<Self, StorageError> {
        let path = path.to_owned();
        Self::of(Box::new(move || {
            let made = clear_unfinished(&path).and_then(|()| builder().create(&path).map_err(StorageError::of));
            let database = made.and_then(with_tables);
            database.map_err(|error| StorageError(format!("{}: {error}", path.display())))
        }))
    }

    fn of(opener: Opener) -> Result<Self, StorageError> {
        let mut durable = Self {
            opener,
            database: None,
            unwritten: BTreeMap::new(),
        };
        durable.database()?;
        Ok(durable)
    }

    /// The database, opened where it is not.
    fn database(&mut self) -> Result<&Database, StorageError> {
        let database = match self.database.take() {
            Some(database) => database,
            None => (self.opener)()?,
        };
        Ok(self.database.insert(database))
    }

    /// Keeps what could not be written.
    fn put_off(&mut self, change: Change) {
        let (event, later) = match change {
            // Whoever brought one is told that it was not taken, whatever of it is on the disk.
            Change::Add { event, .. } | Change::Remove { event } => (event, Change::Remove { event }),
            Change::Keep {
                event,
                stored,
                response,
            } => {
                let before = match self.unwritten.remove(&event) {
                    Some(Change::Keep { response, .. }) => response,
                    _ => ResponseChange::Unchanged,
                };
                let response = match response {
                    ResponseChange::Unchanged => before,
                    response => response,
                };
                (
                    event,
                    Change::Keep {
                        event,
                        stored,
                        response,
                    },
                )
            }
        };
        self.unwritten.insert(event, later);
    }

    /// Does something with the database, and where that fails once more with the one that it becomes when it is opened
    /// again.
    fn with<T>(&mut self, work: impl Fn(&Database) -> Result<T, StorageError>) -> Result<T, StorageError> {
        let done = self.database().and_then(&work);
        done.or_else(|_| {
            self.database = None;
            self.database().and_then(&work)
        })
    }
}

fn builder() -> redb::Builder {
    let mut builder = redb::Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// Empties a file in which a database was being made when its maker was killed: its first bytes are written last, and
/// nothing was promised before.
fn clear_unfinished(path: &Path) -> Result<(), StorageError> {
    let of_disk = |error: std::io::Error| StorageError(error.to_string());
    let mut begins = [0xff; 9];
    let Ok(mut file) = OpenOptions::new().read(true).write(true).open(path) else {
        // What is wrong with it the database says.
        return Ok(());
    };
    // Another process may be making it just now.
    if file.try_lock().is_ok() && file.read_exact(&mut begins).is_ok() && begins == [0; 9] {
        file.set_len(0).map_err(of_disk)?;
    }
    Ok(())
}

/// Makes the tables where there are none, and looks whether they are of this version.
fn with_tables(database: Database) -> Result<Database, StorageError> {
    let transaction = database.begin_write().map_err(StorageError::of)?;
    {
        let mut about = transaction.open_table(ABOUT).map_err(StorageError::of)?;
        let version = about
            .get(VERSION_KEY)
            .map_err(StorageError::of)?
            .map(|version| version.value());
        match version {
            None => {
                about.insert(VERSION_KEY, VERSION).map_err(StorageError::of)?;
            }
            Some(VERSION) => {}
            Some(other) => {
                return Err(StorageError(format!(
                    "its events are of version {other}, and this Lambox reads version {VERSION}"
                )));
            }
        }
        transaction.open_table(EVENTS).map_err(StorageError::of)?;
        transaction.open_table(PAYLOADS).map_err(StorageError::of)?;
        transaction.open_table(RESPONSES).map_err(StorageError::of)?;
    }
    transaction.commit().map_err(StorageError::of)?;
    Ok(database)
}

impl Durable {
    #[cfg(test)]
    pub(super) fn set_version(&mut self, version: u32) {
        let database = self.database().expect("it is open");
        let transaction = database.begin_write().expect("a transaction");
        {
            let mut about = transaction.open_table(ABOUT).expect("a table");
            about.insert(VERSION_KEY, version).expect("it is written");
        }
        transaction.commit().expect("it is written");
    }
}

impl Storage for Durable {
    fn load(&mut self) -> Result<Vec<(EventId, StoredEvent)>, StorageError> {
        self.with(load)
    }

    fn apply(&mut self, changes: Vec<Change>) -> Result<(), StorageError> {
        let mut all: Vec<_> = std::mem::take(&mut self.unwritten).into_values().collect();
        all.extend(changes);
        if all.is_empty() {
            return Ok(());
        }
        let applied = self.with(|database| apply(database, &all));
        if applied.is_err() {
            for change in all {
                self.put_off(change);
            }
        }
        applied
    }

    fn read(&mut self, event: EventId) -> Result<Payloads, StorageError> {
        // What is read is as it is written then.
        self.apply(Vec::new())?;
        self.with(|database| read(database, event))
    }
}

fn load(database: &Database) -> Result<Vec<(EventId, StoredEvent)>, StorageError> {
    let transaction = database.begin_read().map_err(StorageError::of)?;
    let events = transaction.open_table(EVENTS).map_err(StorageError::of)?;
    let mut all = Vec::new();
    for row in events.iter().map_err(StorageError::of)? {
        let (event, json) = row.map_err(StorageError::of)?;
        let event = event.value();
        let stored = StoredEvent::from_json(json.value())
            .map_err(|error| StorageError(format!("the event {event} cannot be read: {error}")))?;
        all.push((EventId(event), stored));
    }
    Ok(all)
}

fn apply(database: &Database, changes: &[Change]) -> Result<(), StorageError> {
    let transaction = database.begin_write().map_err(StorageError::of)?;
    {
        let mut events = transaction.open_table(EVENTS).map_err(StorageError::of)?;
        let mut payloads = transaction.open_table(PAYLOADS).map_err(StorageError::of)?;
        let mut responses = transaction.open_table(RESPONSES).map_err(StorageError::of)?;
        for change in changes {
            match change {
                Change::Add {
                    event: EventId(event),
                    stored,
                    payload,
                } => {
                    let json = stored.to_json()?;
                    events.insert(event, &json[..]).map_err(StorageError::of)?;
                    payloads.insert(event, &payload[..]).map_err(StorageError::of)?;
                }
                Change::Keep {
                    event: EventId(event),
                    stored,
                    response,
                } => {
                    let json = stored.to_json()?;
                    events.insert(event, &json[..]).map_err(StorageError::of)?;
                    match response {
                        ResponseChange::Unchanged => {}
                        ResponseChange::Set(bytes) => {
                            responses.insert(event, &bytes[..]).map_err(StorageError::of)?;
                        }
                        ResponseChange::Remove => {
                            responses.remove(event).map_err(StorageError::of)?;
                        }
                    }
                }
                Change::Remove { event: EventId(event) } => {
                    events.remove(event).map_err(StorageError::of)?;
                    payloads.remove(event).map_err(StorageError::of)?;
                    responses.remove(event).map_err(StorageError::of)?;
                }
            }
        }
    }
    transaction.commit().map_err(StorageError::of)
}

fn read(database: &Database, EventId(event): EventId) -> Result<Payloads, StorageError> {
    let transaction = database.begin_read().map_err(StorageError::of)?;
    let copy = |table| {
        let table = transaction.open_table(table).map_err(StorageError::of)?;
        let bytes = table.get(event).map_err(StorageError::of)?;
        Ok(bytes.map(|bytes| Bytes::copy_from_slice(bytes.value())))
    };
    Ok(Payloads {
        event: copy(PAYLOADS)?,
        response: copy(RESPONSES)?,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use redb::StorageBackend;
    use redb::backends::InMemoryBackend;

    use super::super::tests::stored;
    use super::*;

    /// A disk that takes nothing while it is full.
    #[derive(Clone, Debug)]
    struct Disk {
        holds: Arc<InMemoryBackend>,
        is_full: Arc<AtomicBool>,
    }

    impl Disk {
        fn room(&self) -> Result<(), std::io::Error> {
            if self.is_full.load(Ordering::SeqCst) {
                return Err(std::io::ErrorKind::StorageFull.into());
            }
            Ok(())
        }
    }

    impl StorageBackend for Disk {
        fn len(&self) -> Result<u64, std::io::Error> {
            self.holds.len()
        }

        fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), std::io::Error> {
            self.holds.read(offset, out)
        }

        fn set_len(&self, len: u64) -> Result<(), std::io::Error> {
            self.room().and_then(|()| self.holds.set_len(len))
        }

        fn sync_data(&self) -> Result<(), std::io::Error> {
            self.room().and_then(|()| self.holds.sync_data())
        }

        fn write(&self, offset: u64, data: &[u8]) -> Result<(), std::io::Error> {
            self.room().and_then(|()| self.holds.write(offset, data))
        }
    }

    #[test]
    fn a_disk_that_was_full_for_a_while_takes_what_has_not_been_written() {
        let disk = Disk {
            holds: Arc::new(InMemoryBackend::new()),
            is_full: Arc::default(),
        };
        let of = disk.clone();
        let opener = move || {
            let database = builder().create_with_backend(of.clone());
            database.map_err(StorageError::of).and_then(with_tables)
        };
        let mut storage = Durable::of(Box::new(opener)).expect("it can be opened");
        let add = |number: u64| Change::Add {
            event: EventId(number),
            stored: stored(number.into()),
            payload: Bytes::from(vec![7; 100_000]),
        };
        storage.apply(vec![add(1), add(2)]).expect("there is room");
        disk.is_full.store(true, Ordering::SeqCst);
        for _ in 0..2 {
            let end = Change::Remove { event: EventId(1) };
            storage.apply(vec![add(3), end]).expect_err("it is full");
        }
        let keep = |response| Change::Keep {
            event: EventId(2),
            stored: stored(2),
            response,
        };
        for response in [ResponseChange::Set("late".into()), ResponseChange::Unchanged] {
            storage.apply(vec![keep(response)]).expect_err("it is full");
        }
        storage.read(EventId(2)).expect_err("what it says now is not written");
        disk.is_full.store(false, Ordering::SeqCst);
        let read = storage.read(EventId(2)).expect("it can be read");
        assert!(read.event.is_some());
        assert_eq!(read.response.as_deref(), Some(&b"late"[..]));
        storage.apply(vec![add(4)]).expect("there is room again");
        let events: Vec<_> = storage
            .load()
            .expect("it can be read")
            .into_iter()
            .map(|(event, _)| event)
            .collect();
        // The third was not promised, and the end of the first has come.
        assert_eq!(events, [EventId(2), EventId(4)]);
    }

    #[test]
    fn a_file_that_was_left_when_it_was_being_made_is_made_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("events.redb");
        std::fs::write(&path, [0; 4096]).expect("it can be written");
        Durable::open(&path).expect("it can be made");
        std::fs::write(&path, [1; 4096]).expect("it can be written");
        Durable::open(&path).expect_err("it is something else");
    }
}
