//! Events in a file that outlives the process: a database of `redb`.
//!
//! A change is on the disk when [`apply`](Storage::apply) returns: it is one transaction, flushed as it is committed.

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

#[derive(Debug)]
pub(in crate::queue) struct Durable {
    database: Database,
}

impl Durable {
    pub(super) fn open(path: &Path) -> Result<Self, StorageError> {
        let fault = |error: StorageError| StorageError(format!("{}: {error}", path.display()));
        let database = redb::Builder::new().set_cache_size(CACHE_BYTES).create(path);
        let durable = Self {
            database: database.map_err(|error| fault(StorageError::of(error)))?,
        };
        durable.check_version().map_err(fault)?;
        Ok(durable)
    }

    /// Makes the tables where there are none.
    fn check_version(&self) -> Result<(), StorageError> {
        let transaction = self.database.begin_write().map_err(StorageError::of)?;
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
        transaction.commit().map_err(StorageError::of)
    }

    #[cfg(test)]
    pub(super) fn set_version(&self, version: u32) {
        let transaction = self.database.begin_write().expect("a transaction");
        {
            let mut about = transaction.open_table(ABOUT).expect("a table");
            about.insert(VERSION_KEY, version).expect("it is written");
        }
        transaction.commit().expect("it is written");
    }
}

impl Storage for Durable {
    fn load(&self) -> Result<Vec<(EventId, StoredEvent)>, StorageError> {
        let transaction = self.database.begin_read().map_err(StorageError::of)?;
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

    fn apply(&mut self, changes: Vec<Change>) -> Result<(), StorageError> {
        let transaction = self.database.begin_write().map_err(StorageError::of)?;
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

    fn read(&self, EventId(event): EventId) -> Result<Payloads, StorageError> {
        let transaction = self.database.begin_read().map_err(StorageError::of)?;
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
}
