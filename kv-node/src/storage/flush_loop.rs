//! The loop that writes sealed tables of the memory into tables on the disk, one after the other, on a
//! thread of its own where there are threads.

use std::sync::Arc;

use tokio::sync::mpsc::UnboundedReceiver;

use super::StorageEvent;
use super::engine::{Engine, EngineError, FlushOutcome};
use super::memtable::SealedMemtable;
use super::reporter::{FlushFault, Reporter, pause};

/// An order for the loop.
#[derive(Debug)]
pub(super) enum FlushOrder {
    /// To do ahead what a later group would have to wait for.
    Prepare,
    /// To write a table.
    Write(Arc<SealedMemtable>),
    /// To free a table that was written, which takes longer than others would wait for.
    Free(Arc<SealedMemtable>),
}

/// The loop at work.
#[derive(Debug)]
pub(super) struct FlushLoop<E> {
    engine: Arc<E>,
    orders: UnboundedReceiver<FlushOrder>,
    reporter: Reporter,
    /// The fault that keeps it from writing. Whoever appends to the log is the one who reports it.
    fault: FlushFault,
}

impl<E: Engine> FlushLoop<E> {
    pub(super) const fn new(
        engine: Arc<E>,
        orders: UnboundedReceiver<FlushOrder>,
        reporter: Reporter,
        fault: FlushFault,
    ) -> Self {
        Self { engine, orders, reporter, fault }
    }

    /// Runs until the storage ends. What is not written then is in the log.
    pub(super) async fn run(mut self) {
        while let Some(order) = self.orders.recv().await {
            match order {
                FlushOrder::Prepare => self.engine.prepare(),
                FlushOrder::Free(sealed) => drop(sealed),
                FlushOrder::Write(sealed) => {
                    if let Err(error) = self.write(&sealed).await {
                        self.reporter.on_failed(error);
                        return;
                    }
                }
            }
        }
    }

    async fn write(&self, sealed: &SealedMemtable) -> Result<(), EngineError> {
        loop {
            match self.engine.flush(sealed) {
                Ok(FlushOutcome::Written) => {
                    self.fault.set(None);
                    self.reporter.tell(StorageEvent::Flushed);
                    return Ok(());
                }
                // Whoever appends says why, if there is something to say.
                Ok(FlushOutcome::LogEnded) => return Ok(()),
                Err(error) if error.fault.is_passing() => self.fault.set(Some(error)),
                Err(error) => return Err(error),
            }
            if pause(|| self.orders.is_closed()).await.is_break() {
                return Ok(());
            }
        }
    }
}
