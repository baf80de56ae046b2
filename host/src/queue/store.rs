//! The way to the storage: at once where it is memory, through a thread where it is a disk.
//!
//! The disk's thread takes all that waits for it into one transaction, so that many events that come at once share a
//! flush. What is sent to it is bounded by the rules: of an event that is in the queue it has to write at most that it
//! came, how far it has come, and that it is over.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use lambox_lifecycle::queue::EventId;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::storage::{Change, Durable, Memory, Payloads, Storage, StorageError};

/// How many changes are written at once. More would keep the first ones waiting.
const MAX_BATCH: usize = 1_024;

/// How long after a fault of the disk what could not be written is tried again, where nothing else comes: 5 seconds.
const PAUSE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) enum Store {
    Memory(Mutex<Memory>),
    Disk(mpsc::Sender<Command>),
}

#[derive(Debug)]
pub(super) enum Command {
    Apply(Box<Change>, Option<oneshot::Sender<Result<(), StorageError>>>),
    Read(EventId, oneshot::Sender<Result<Payloads, StorageError>>),
    /// Ends when all that was sent before is done, and the storage is closed.
    Close(oneshot::Sender<()>),
}

impl Store {
    pub(super) fn memory() -> Self {
        Self::Memory(Mutex::default())
    }

    pub(super) fn disk(storage: Durable) -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::channel();
        thread::Builder::new()
            .name("lambox-events".to_owned())
            .spawn(move || serve(Box::new(storage), &receiver))?;
        Ok(Self::Disk(sender))
    }

    /// Writes a change down, and returns when it is.
    pub(super) async fn apply(&self, change: Change) -> Result<(), StorageError> {
        match self {
            Self::Memory(memory) => memory.lock().apply(vec![change]),
            Self::Disk(disk) => {
                let (done, is_done) = oneshot::channel();
                disk.send(Command::Apply(Box::new(change), Some(done)))
                    .map_err(|_| gone())?;
                is_done.await.map_err(|_| gone())?
            }
        }
    }

    /// Has a change written down after all that were sent before, and does not wait. That it failed is logged: the event
    /// is then done again after a restart, or tried from an earlier state.
    pub(super) fn send(&self, change: Change) {
        let sent = match self {
            Self::Memory(memory) => memory.lock().apply(vec![change]),
            Self::Disk(disk) => disk.send(Command::Apply(Box::new(change), None)).map_err(|_| gone()),
        };
        if let Err(error) = sent {
            tracing::error!(%error, "the queue of events cannot write down how far an event has come");
        }
    }

    /// What an event says.
    pub(super) async fn read(&self, event: EventId) -> Result<Payloads, StorageError> {
        match self {
            Self::Memory(memory) => memory.lock().read(event),
            Self::Disk(disk) => {
                let (done, is_done) = oneshot::channel();
                disk.send(Command::Read(event, done)).map_err(|_| gone())?;
                is_done.await.map_err(|_| gone())?
            }
        }
    }

    /// Returns when all is written, and the file can be opened again.
    pub(super) async fn close(&self) {
        if let Self::Disk(disk) = self {
            let (done, is_done) = oneshot::channel();
            if disk.send(Command::Close(done)).is_ok() {
                // Where the thread is gone, so is the storage.
                let _ = is_done.await;
            }
        }
    }

    pub(super) fn is_durable(&self) -> bool {
        matches!(self, Self::Disk(_))
    }
}

fn gone() -> StorageError {
    StorageError("the storage is closed".to_owned())
}

/// The disk's thread: until it is closed, or nobody can send to it any more.
fn serve(mut storage: Box<dyn Storage>, commands: &mpsc::Receiver<Command>) {
    let mut has_failed = false;
    loop {
        let first = if has_failed {
            commands.recv_timeout(PAUSE)
        } else {
            commands.recv().map_err(|_| mpsc::RecvTimeoutError::Disconnected)
        };
        let first = match first {
            Ok(first) => first,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                // There may be room on the disk again.
                has_failed = storage.apply(Vec::new()).is_err();
                continue;
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
        };
        let batch: Vec<_> = std::iter::once(first)
            .chain(commands.try_iter().take(MAX_BATCH - 1))
            .collect();
        let (mut changes, mut waiting, mut reads, mut closing) = (Vec::new(), Vec::new(), Vec::new(), None);
        for command in batch {
            match command {
                Command::Apply(change, done) => {
                    changes.push(*change);
                    waiting.extend(done);
                }
                Command::Read(event, done) => reads.push((event, done)),
                Command::Close(done) => closing = Some(done),
            }
        }
        if !changes.is_empty() {
            let applied = storage.apply(changes);
            has_failed = applied.is_err();
            if let Err(error) = &applied {
                tracing::error!(%error, "the queue of events cannot be written");
            }
            for done in waiting {
                // Whoever asked may be gone.
                let _ = done.send(applied.clone());
            }
        }
        // Nobody reads an event of which the end is being written, so that reads can come last.
        for (event, done) in reads {
            let _ = done.send(storage.read(event));
        }
        if let Some(done) = closing {
            if let Err(error) = storage.apply(Vec::new()) {
                tracing::error!(%error, "what became of events last is not written down, and comes again");
            }
            drop(storage);
            let _ = done.send(());
            return;
        }
    }
}
