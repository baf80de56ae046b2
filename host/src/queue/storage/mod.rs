//! Where events are kept.

mod durable;
mod memory;
mod stored;

use std::fmt;
use std::path::Path;

use bytes::Bytes;
use lambox_lifecycle::queue::EventId;

pub(super) use self::durable::Durable;
pub(super) use self::memory::Memory;
pub(super) use self::stored::StoredEvent;

/// Why events cannot be kept, or no more be read.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct StorageError(pub(super) String);

impl StorageError {
    fn of(error: impl fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// What is written down.
#[derive(Debug)]
pub(super) enum Change {
    /// An event that came.
    Add {
        event: EventId,
        stored: StoredEvent,
        payload: Bytes,
    },
    /// How far it has come.
    Keep {
        event: EventId,
        stored: StoredEvent,
        response: ResponseChange,
    },
    /// Its end.
    Remove { event: EventId },
}

/// What becomes of the response that is kept with an event.
#[derive(Debug)]
pub(super) enum ResponseChange {
    Unchanged,
    Set(Bytes),
    Remove,
}

/// What an event and its function's last response say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Payloads {
    pub(super) event: Option<Bytes>,
    pub(super) response: Option<Bytes>,
}

/// A place for events.
pub(super) trait Storage: Send + fmt::Debug {
    /// All events there are, without what they say.
    fn load(&mut self) -> Result<Vec<(EventId, StoredEvent)>, StorageError>;

    /// Writes changes down, in order, all or none. When it returns they are as safe as they get.
    fn apply(&mut self, changes: Vec<Change>) -> Result<(), StorageError>;

    /// What an event says.
    fn read(&mut self, event: EventId) -> Result<Payloads, StorageError>;
}

/// The file within the data folder.
pub(super) const FILE_NAME: &str = "events.redb";

/// Opens the durable storage within a folder, which is made where it does not exist, for this user alone.
pub(super) fn open(folder: &Path) -> Result<Durable, StorageError> {
    make_folder(folder).map_err(|error| StorageError(format!("{}: {error}", folder.display())))?;
    Durable::open(&folder.join(FILE_NAME))
}

fn make_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

#[cfg(test)]
mod tests {
    use lambox_lifecycle::queue::{Condition, Ending, Progress, Response};
    use lambox_lifecycle::{RequestId, Timestamp};
    use uuid::Uuid;

    use super::*;
    use crate::queue::functions::AsyncConfig;

    pub(super) fn stored(number: u128) -> StoredEvent {
        StoredEvent {
            request_id: RequestId::from_uuid(Uuid::from_u128(number)),
            function: "probe".into(),
            qualifier: Some("live".into()),
            arn: Some("arn:live".into()),
            executed_version: Some("2".into()),
            invoked_arn: Some("arn".into()),
            trace_id: Some("Root=1".into()),
            tenant_id: Some("tenant".into()),
            loops: 3,
            bytes: 5,
            config: AsyncConfig {
                on_failure: Some("file:/tmp/failed".parse().expect("a destination")),
                ..AsyncConfig::default()
            }
            .into(),
            progress: Progress {
                accepted: Timestamp::from_epoch_ms(7),
                attempts: 1,
                refusals: 2,
                due: Timestamp::from_epoch_ms(9),
                response: Some(Response {
                    bytes: 4,
                    is_function_error: true,
                    is_kept: true,
                }),
                ending: Some(Ending {
                    condition: Condition::EventAgeExceeded,
                    approximate_invoke_count: 1,
                    status_code: 200,
                    is_function_error: true,
                }),
            },
        }
    }

    fn add(number: u64) -> Change {
        Change::Add {
            event: EventId(number),
            stored: stored(number.into()),
            payload: Bytes::from(format!("event {number}")),
        }
    }

    /// What every storage does.
    fn exercise(storage: &mut dyn Storage) {
        let read = |storage: &mut dyn Storage, event| storage.read(EventId(event)).expect("it can be read");
        assert_eq!(storage.load().expect("it is empty"), []);
        storage.apply(vec![add(1), add(2), add(3)]).expect("they are kept");
        let response = ResponseChange::Set("late".into());
        let changed = StoredEvent { loops: 4, ..stored(2) };
        storage
            .apply(vec![
                Change::Remove { event: EventId(1) },
                Change::Keep {
                    event: EventId(2),
                    stored: changed.clone(),
                    response,
                },
            ])
            .expect("they are kept");
        assert_eq!(
            storage.load().expect("they can be read"),
            [(EventId(2), changed.clone()), (EventId(3), stored(3))]
        );
        assert_eq!(read(storage, 1), Payloads::default());
        let payloads = Payloads {
            event: Some("event 2".into()),
            response: Some("late".into()),
        };
        assert_eq!(read(storage, 2), payloads);
        let keep = |response| Change::Keep {
            event: EventId(2),
            stored: changed.clone(),
            response,
        };
        storage
            .apply(vec![keep(ResponseChange::Unchanged)])
            .expect("it is kept");
        assert_eq!(read(storage, 2), payloads);
        storage.apply(vec![keep(ResponseChange::Remove)]).expect("it is kept");
        assert_eq!(read(storage, 2).response, None);
    }

    #[test]
    fn a_storage_keeps_events_as_they_are_changed() {
        exercise(&mut Memory::default());
        let folder = tempfile::tempdir().expect("a folder");
        exercise(&mut open(folder.path()).expect("it can be opened"));
    }

    #[test]
    fn what_is_durable_is_there_when_it_is_opened_again_and_is_opened_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().join("a/b");
        let mut storage = open(&folder).expect("it can be opened");
        storage.apply(vec![add(1)]).expect("it is kept");
        let error = open(&folder).expect_err("it is open already");
        assert!(error.to_string().contains("events.redb"), "{error}");
        drop(storage);
        let mut storage = open(&folder).expect("it can be opened");
        assert_eq!(storage.load().expect("it can be read"), [(EventId(1), stored(1))]);
    }

    #[test]
    fn what_is_no_storage_of_this_version_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(FILE_NAME), [b'x'; 8192]).expect("a file");
        let error = open(folder.path()).expect_err("it is no database");
        assert!(error.to_string().contains("events.redb"), "{error}");

        let folder = tempfile::tempdir().expect("a folder");
        open(folder.path()).expect("it can be opened").set_version(2);
        let error = open(folder.path()).expect_err("it is of another version");
        let told = error.to_string();
        assert!(told.contains("events.redb: ") && told.contains("version 2"), "{told}");
    }
}
