//! How many calls one target may have under way, and the queue before it.
//!
//! The queue is first come, first served over all threads (tokio's semaphore hands a free place to whoever waited longest), has
//! a longest length and a longest wait, and whoever gives up waiting leaves it without a trace.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wire::failure::{Failure, FailureKind};

/// What may wait for a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Calls that may wait at once; with 0 nobody waits.
    pub max: usize,
    /// How long one may wait.
    pub timeout: Duration,
}

impl Default for Queue {
    fn default() -> Self {
        Self { max: 0, timeout: Duration::from_secs(10) }
    }
}

/// The places of one target, shared by the threads of a lane.
#[derive(Debug)]
pub struct Places {
    free: Arc<Semaphore>,
    n_waiting: AtomicUsize,
    size: Mutex<Size>,
}

#[derive(Debug)]
struct Size {
    /// How many places there are to be.
    limit: usize,
    /// Places taken that are one too many since the limit went down: they are not given back.
    surplus: usize,
}

/// One of the calls under way.
#[derive(Debug)]
pub struct Place {
    permit: Option<OwnedSemaphorePermit>,
    places: Arc<Places>,
}

impl Places {
    /// So many places, all free.
    pub fn new(limit: usize) -> Self {
        let limit = limit.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            free: Arc::new(Semaphore::new(limit)),
            n_waiting: AtomicUsize::new(0),
            size: Mutex::new(Size { limit, surplus: 0 }),
        }
    }

    /// A free place, if nobody waits for it.
    pub fn try_take(self: &Arc<Self>) -> Option<Place> {
        let permit = Arc::clone(&self.free).try_acquire_owned().ok()?;
        Some(Place { permit: Some(permit), places: Arc::clone(self) })
    }

    /// Waits for a place, at most as long as `queue` and `patience` say. Giving up the future gives up the wait.
    pub async fn take(self: &Arc<Self>, queue: Queue, patience: Duration) -> Result<Place, Failure> {
        let full = |detail| Err(Failure::new(FailureKind::Capacity, detail));
        let waiting = Waiting::new(&self.n_waiting);
        if waiting.before >= queue.max {
            return full("as many calls to this target as allowed are under way, and the queue is full");
        }
        let free = Arc::clone(&self.free);
        match tokio::time::timeout(queue.timeout.min(patience), free.acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Place { permit: Some(permit), places: Arc::clone(self) }),
            Ok(Err(_)) => full("the target's queue is closed"),
            Err(_) => full("no call to this target ended while this one waited in the queue"),
        }
    }

    /// Changes the limit. Calls under way are not touched: when it goes down, their places are not given back.
    pub fn resize(&self, limit: usize) {
        let limit = limit.clamp(1, Semaphore::MAX_PERMITS);
        let mut size = self.size();
        if limit >= size.limit {
            let more = limit - size.limit;
            let revived = more.min(size.surplus);
            size.surplus -= revived;
            self.free.add_permits(more - revived);
        } else {
            let fewer = size.limit - limit;
            size.surplus += fewer - self.free.forget_permits(fewer);
        }
        size.limit = limit;
    }

    /// Calls that wait.
    pub fn n_waiting(&self) -> usize {
        self.n_waiting.load(Ordering::Relaxed)
    }

    fn size(&self) -> std::sync::MutexGuard<'_, Size> {
        self.size.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut size = self.places.size();
        let Some(permit) = self.permit.take() else { return };
        if size.surplus > 0 {
            size.surplus -= 1;
            permit.forget();
        } else {
            drop(permit);
        }
    }
}

/// Counts one who waits, for as long as it does.
struct Waiting<'a> {
    n_waiting: &'a AtomicUsize,
    before: usize,
}

impl<'a> Waiting<'a> {
    fn new(n_waiting: &'a AtomicUsize) -> Self {
        Self { n_waiting, before: n_waiting.fetch_add(1, Ordering::AcqRel) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.n_waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::pin::pin;
    use std::rc::Rc;

    use super::*;

    const QUEUE: Queue = Queue { max: 2, timeout: Duration::from_secs(5) };
    const LONG: Duration = Duration::from_secs(60);

    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, test);
    }

    #[test]
    fn whoever_came_first_is_served_first() {
        run(async {
            let places = Arc::new(Places::new(1));
            let held = places.try_take().unwrap();
            assert!(places.try_take().is_none());
            let order = Rc::new(RefCell::new(Vec::new()));
            let waits = (0..2).map(|nth| {
                let (places, order) = (Arc::clone(&places), Rc::clone(&order));
                tokio::task::spawn_local(async move {
                    let place = places.take(QUEUE, LONG).await.unwrap();
                    order.borrow_mut().push(nth);
                    drop(place);
                })
            });
            let waits: Vec<_> = waits.collect();
            tokio::task::yield_now().await;
            assert_eq!(places.n_waiting(), 2);
            let refused = places.take(QUEUE, LONG).await.unwrap_err();
            assert_eq!((refused.kind, refused.status), (FailureKind::Capacity, None));
            drop(held);
            assert!(places.try_take().is_none(), "nobody overtakes those who wait");
            for wait in waits {
                wait.await.unwrap();
            }
            assert_eq!(*order.borrow(), [0, 1]);
            assert!(places.try_take().is_some());
        });
    }

    #[test]
    fn a_wait_ends_at_its_deadline_and_leaves_nothing_behind() {
        run(async {
            let places = Arc::new(Places::new(1));
            let held = places.try_take().unwrap();
            let began = tokio::time::Instant::now();
            assert!(places.take(QUEUE, LONG).await.is_err());
            assert_eq!(began.elapsed(), QUEUE.timeout);
            assert!(places.take(QUEUE, Duration::from_secs(1)).await.is_err());
            assert_eq!(began.elapsed(), QUEUE.timeout + Duration::from_secs(1));
            assert_eq!(places.n_waiting(), 0);
            drop(held);
            assert!(places.try_take().is_some());
        });
    }

    #[test]
    fn giving_up_a_wait_loses_no_place() {
        run(async {
            let places = Arc::new(Places::new(1));
            let held = places.try_take().unwrap();
            {
                let mut given_up = pin!(places.take(QUEUE, LONG));
                assert!(
                    std::future::poll_fn(|cx| std::task::Poll::Ready(given_up.as_mut().poll(cx).is_pending())).await
                );
                // The place is this wait's already when it is given up.
                drop(held);
            }
            assert_eq!(places.n_waiting(), 0);
            assert!(places.try_take().is_some());
        });
    }

    #[test]
    fn a_limit_that_changes_keeps_the_calls_under_way() {
        let places = Arc::new(Places::new(3));
        let taken: Vec<_> = (0..3).map(|_| places.try_take().unwrap()).collect();
        places.resize(1);
        let [first, second, third] = <[Place; 3]>::try_from(taken).unwrap();
        drop((first, second));
        assert!(places.try_take().is_none(), "one is still under way");
        drop(third);
        let one = places.try_take().unwrap();
        assert!(places.try_take().is_none());
        places.resize(2);
        assert!(places.try_take().is_some());
        drop(one);
        // Down and up again before anybody left.
        let taken: Vec<_> = (0..2).map(|_| places.try_take().unwrap()).collect();
        places.resize(1);
        places.resize(2);
        drop(taken);
        let n_free = std::iter::from_fn(|| places.try_take()).collect::<Vec<_>>().len();
        assert_eq!(n_free, 2);
    }
}
