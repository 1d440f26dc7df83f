//! A panic ends the request it happened in and nothing else: not the connection, not the worker, not the process.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;

/// Runs work to its end; when it panics, `otherwise` says what comes instead.
///
/// The work is not looked at again after a panic, so nothing is seen half done but what it shares with others: cells of the
/// worker, each of which is set in one step.
pub(crate) async fn contained<T>(mut work: Pin<&mut impl Future<Output = T>>, otherwise: impl FnOnce() -> T) -> T {
    let done = poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(done)) => Poll::Ready(Some(done)),
        // The panic hook has said where.
        Err(_) => Poll::Ready(None),
    });
    done.await.unwrap_or_else(otherwise)
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    #[tokio::test]
    async fn work_is_done_and_a_panic_is_replaced() {
        assert_eq!(contained(pin!(async { 1 }), || 2).await, 1);
        let panics = async {
            tokio::task::yield_now().await;
            panic!("on purpose")
        };
        assert_eq!(contained(pin!(panics), || 2).await, 2);
    }
}
