//! Events in memory: gone with the process.

use std::collections::BTreeMap;

use bytes::Bytes;
use lambox_lifecycle::queue::EventId;

use super::{Change, Payloads, ResponseChange, Storage, StorageError, StoredEvent};

#[derive(Debug, Default)]
pub(in crate::queue) struct Memory {
    events: BTreeMap<EventId, Kept>,
}

#[derive(Debug)]
struct Kept {
    stored: StoredEvent,
    payload: Bytes,
    response: Option<Bytes>,
}

impl Storage for Memory {
    fn load(&mut self) -> Result<Vec<(EventId, StoredEvent)>, StorageError> {
        let events = self.events.iter();
        Ok(events.map(|(event, kept)| (*event, kept.stored.clone())).collect())
    }

    fn apply(&mut self, changes: Vec<Change>) -> Result<(), StorageError> {
        for change in changes {
            match change {
                Change::Add { event, stored, payload } => {
                    let response = None;
                    self.events.insert(
                        event,
                        Kept {
                            stored,
                            payload,
                            response,
                        },
                    );
                }
                Change::Keep {
                    event,
                    stored,
                    response,
                } => {
                    if let Some(kept) = self.events.get_mut(&event) {
                        kept.stored = stored;
                        match response {
                            ResponseChange::Unchanged => {}
                            ResponseChange::Set(bytes) => kept.response = Some(bytes),
                            ResponseChange::Remove => kept.response = None,
                        }
                    }
                }
                Change::Remove { event } => {
                    self.events.remove(&event);
                }
            }
        }
        Ok(())
    }

    fn read(&mut self, event: EventId) -> Result<Payloads, StorageError> {
        Ok(self.events.get(&event).map_or_else(Payloads::default, |kept| Payloads {
            event: Some(kept.payload.clone()),
            response: kept.response.clone(),
        }))
    }
}
