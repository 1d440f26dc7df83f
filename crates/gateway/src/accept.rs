//! The acceptor: one thread that takes connections and hands each to the worker with the fewest.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tracing::{debug, warn};

use crate::drain::Phase;

/// Connections that may wait for one worker. A worker that lets this many wait is stuck; the acceptor then waits too, and
/// further callers wait in the kernel's backlog.
pub(crate) const HAND_OVER: usize = 256;

/// How long to wait when the process is out of file descriptors.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(50);

/// How long to wait before looking again whether a connection was closed, when as many as allowed are open.
const FULL: Duration = Duration::from_millis(5);

/// A worker as the acceptor sees it.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    pub(crate) sender: mpsc::Sender<std::net::TcpStream>,
    pub(crate) n_connections: Arc<AtomicUsize>,
}

/// Counts a connection for as long as it is open.
#[derive(Debug)]
pub(crate) struct Seat(Arc<AtomicUsize>);

impl Seat {
    /// The place the acceptor took for this connection already.
    pub(crate) fn taken(n_connections: &Arc<AtomicUsize>) -> Self {
        Self(Arc::clone(n_connections))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Accepts until the phase says that the door is closed.
pub(crate) async fn accept(
    listener: TcpListener,
    doors: Vec<Door>,
    max_connections: impl Fn() -> usize,
    mut phase: watch::Receiver<Phase>,
) {
    loop {
        if open_connections(&doors) >= max_connections() {
            tokio::time::sleep(FULL).await;
            if *phase.borrow() >= Phase::Closing {
                return;
            }
            continue;
        }
        tokio::select! {
            biased;
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => hand_over(stream, peer, &doors).await,
                Err(error) => {
                    warn!(%error, "accept failed");
                    tokio::time::sleep(OUT_OF_DESCRIPTORS).await;
                }
            },
            changed = phase.wait_for(|phase| *phase >= Phase::Closing) => {
                drop(changed);
                return;
            }
        }
    }
}

fn open_connections(doors: &[Door]) -> usize {
    doors.iter().map(|door| door.n_connections.load(Ordering::Acquire)).sum()
}

async fn hand_over(stream: tokio::net::TcpStream, peer: SocketAddr, doors: &[Door]) {
    // Without this a streamed frame waits for the caller's delayed acknowledgement: 40 ms.
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, %peer, "connection gone before it was served");
        return;
    }
    let Ok(stream) = stream.into_std() else { return };
    let Some(door) = doors.iter().min_by_key(|door| door.n_connections.load(Ordering::Acquire)) else { return };
    door.n_connections.fetch_add(1, Ordering::AcqRel);
    if door.sender.send(stream).await.is_err() {
        door.n_connections.fetch_sub(1, Ordering::AcqRel);
    }
}
