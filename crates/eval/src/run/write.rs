//! The thread that writes: it takes all that waits in one transaction, and says when it is on record.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use store::{AnsweredRow, ClaimedBlock, DatabaseError, EvalWriter};
use tokio::sync::oneshot;

/// Answers that are written in one transaction at most.
const TOGETHER: usize = 256;

type Reply<T> = oneshot::Sender<Result<T, DatabaseError>>;

/// What is asked of the writer.
enum Order {
    Claim { size: (u64, u64), now_us: u64, until_us: u64, reply: Reply<Option<ClaimedBlock>> },
    Write { row: Box<AnsweredRow>, done: Option<u64>, reply: Reply<bool> },
    Hold { until_us: u64 },
    Busy { reply: Reply<bool> },
    Finish { block: u64, reply: Reply<Vec<bool>> },
}

/// The writer of one worker. It ends, and gives up what the worker had claimed, when it is dropped.
pub(super) struct Writer {
    orders: Option<SyncSender<Order>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts it. `dead` are workers that are known to work no more: what they had claimed is free.
    pub(super) fn start(
        path: &Path,
        run: &str,
        (worker, dead): (&str, &[String]),
        room: usize,
    ) -> Result<Writer, Gone> {
        let mut writer = EvalWriter::open(path, run, worker).map_err(Gone::Store)?;
        for worker in dead {
            writer.release(worker).map_err(Gone::Store)?;
        }
        // As many answers as calls may be in flight, and a few questions: nobody ever waits to put one in.
        let (orders, taken) = sync_channel(room + 8);
        let worker = worker.to_owned();
        let thread = std::thread::Builder::new()
            .name("eval-writer".to_owned())
            .spawn(move || serve(&mut writer, &taken, &worker))
            .map_err(|_| Gone::Ended)?;
        Ok(Writer { orders: Some(orders), thread: Some(thread) })
    }

    /// Claims a block; see [`EvalWriter::claim`].
    pub(super) async fn claim(
        &self,
        size: (u64, u64),
        now_us: u64,
        until_us: u64,
    ) -> Result<Option<ClaimedBlock>, Gone> {
        self.ask(|reply| Order::Claim { size, now_us, until_us, reply }).await
    }

    /// Writes an answer; returns when it is on record, and whether the item had none.
    pub(super) async fn write(&self, row: AnsweredRow, done: Option<u64>) -> Result<bool, Gone> {
        let row = Box::new(row);
        self.ask(|reply| Order::Write { row, done, reply }).await
    }

    /// Marks a block that is whole already.
    pub(super) async fn finish(&self, block: u64) -> Result<(), Gone> {
        self.ask(|reply| Order::Finish { block, reply }).await.map(drop)
    }

    /// Whether others work on parts of the run.
    pub(super) async fn busy(&self) -> Result<bool, Gone> {
        self.ask(|reply| Order::Busy { reply }).await
    }

    /// Holds the worker's claims.
    pub(super) fn hold(&self, until_us: u64) {
        // A full channel means that the writer is at work: the next time will do.
        if let Some(orders) = &self.orders
            && orders.try_send(Order::Hold { until_us }).is_err()
        {
            tracing::debug!("claims are held a little later");
        }
    }

    async fn ask<T>(&self, order: impl FnOnce(Reply<T>) -> Order) -> Result<T, Gone> {
        let (reply, answer) = oneshot::channel();
        let sent = self.orders.as_ref().is_some_and(|orders| orders.send(order(reply)).is_ok());
        if !sent {
            return Err(Gone::Ended);
        }
        answer.await.map_err(|_| Gone::Ended)?.map_err(Gone::Store)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::debug!("the writer of a run panicked");
        }
    }
}

/// Why the writer did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Gone {
    /// The store failed.
    #[error(transparent)]
    Store(DatabaseError),
    /// It ended before.
    #[error("the thread that writes ended")]
    Ended,
}

fn serve(writer: &mut EvalWriter, orders: &Receiver<Order>, worker: &str) {
    let mut next = None;
    loop {
        let Some(order) = next.take().or_else(|| orders.recv().ok()) else { break };
        match order {
            Order::Claim { size, now_us, until_us, reply } => answer(reply, writer.claim(size, now_us, until_us)),
            Order::Busy { reply } => answer(reply, writer.busy()),
            Order::Finish { block, reply } => answer(reply, writer.write(&[], &[block])),
            Order::Hold { until_us } => {
                // The claim holds for a while yet; the next time may succeed.
                if let Err(error) = writer.hold(until_us) {
                    tracing::warn!(%error, "claims of a run are not held");
                }
            }
            Order::Write { row, done, reply } => next = write(writer, orders, (row, done, reply)),
        }
    }
    if let Err(error) = writer.release(worker) {
        tracing::debug!(%error, "claims of a run are not released");
    }
}

/// Writes this and all that waits behind it; returns the first order that is something else.
fn write(
    writer: &mut EvalWriter,
    orders: &Receiver<Order>,
    first: (Box<AnsweredRow>, Option<u64>, Reply<bool>),
) -> Option<Order> {
    let (mut rows, mut blocks, mut replies) = (vec![*first.0], Vec::from_iter(first.1), vec![first.2]);
    let mut next = None;
    while rows.len() < TOGETHER && next.is_none() {
        match orders.try_recv() {
            Ok(Order::Write { row, done, reply }) => {
                rows.push(*row);
                blocks.extend(done);
                replies.push(reply);
            }
            Ok(other) => next = Some(other),
            Err(_) => break,
        }
    }
    match writer.write(&rows, &blocks) {
        Ok(written) => replies.into_iter().zip(written).for_each(|(reply, is_new)| answer(reply, Ok(is_new))),
        Err(error) => {
            // One of them gets the reason; the others learn that nothing was written when their channel closes.
            if let Some(reply) = replies.into_iter().next() {
                answer(reply, Err(error));
            }
        }
    }
    next
}

fn answer<T>(reply: Reply<T>, value: Result<T, DatabaseError>) {
    // Whoever asked may be gone: then nobody wants to know.
    if reply.send(value).is_err() {
        tracing::debug!("nobody waits for the writer's answer");
    }
}
