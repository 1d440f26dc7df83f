//! The body of an answer: bytes known at once, or a relay that hands over one frame at a time.
//!
//! The relay is one future that runs inside the connection's own task: no channel, no wake-up between the upstream's bytes and
//! the caller's socket, and a caller that goes away drops it on the spot.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use wire::record::Endpoint;

use crate::relay;
use crate::socket::Busy;

/// Makes hyper drop the connection without the end of the body, so that no client takes a cut answer for a whole one.
#[derive(Debug, thiserror::Error)]
#[error("the answer was cut")]
pub(crate) struct Cut;

/// How a relayed body ends.
pub(crate) enum Ending {
    /// With these last bytes, then the proper end.
    Whole(Bytes),
    /// With these last bytes, then a dropped connection.
    Cut(Bytes),
}

/// Where a relay puts its frames.
#[derive(Clone, Default)]
pub(crate) struct Outlet(Rc<Cell<Option<Bytes>>>);

impl Outlet {
    /// Hands over one frame and waits until the connection has room for the next.
    pub(crate) async fn send(&self, frame: Bytes) {
        if frame.is_empty() {
            return;
        }
        self.0.set(Some(frame));
        poll_fn(|_| {
            let waiting = self.0.take();
            let room = waiting.is_none();
            self.0.set(waiting);
            if room { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

type Relay = Pin<Box<dyn Future<Output = Ending>>>;

/// The body of an answer.
pub(crate) struct Body {
    state: State,
    /// The connection counts as busy until the answer ends.
    busy: Option<Busy>,
}

enum State {
    Whole(Bytes),
    Relayed(Relay, Outlet, Endpoint),
    /// The last frame before a cut is handed over; the next poll lets the connection flush it.
    Flushing,
    Cutting,
    Ended,
}

impl Body {
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self { state: State::Whole(bytes), busy: None }
    }

    /// The answer of a relay to a request to `endpoint`.
    pub(crate) fn relayed(relay: Relay, outlet: Outlet, endpoint: Endpoint) -> Self {
        Self { state: State::Relayed(relay, outlet, endpoint), busy: None }
    }

    /// Keeps the connection busy until this body ends. `chunks`: the caller can tell the end of a body from a cut.
    pub(crate) fn keeping(mut self, busy: Busy, chunks: bool) -> Self {
        if !chunks && matches!(self.state, State::Relayed(..)) {
            busy.ends_with_connection();
        }
        self.busy = Some(busy);
        self
    }

    fn end(&mut self, ending: Ending) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let (state, last) = match ending {
            Ending::Whole(last) => (State::Ended, last),
            Ending::Cut(last) => (State::Flushing, last),
        };
        self.state = state;
        if let (State::Ended, Some(busy)) = (&self.state, &self.busy) {
            busy.answer_is_whole();
        }
        match (&self.state, last.is_empty()) {
            (State::Ended, true) => Poll::Ready(None),
            (_, true) => Poll::Ready(Some(Err(Cut))),
            (_, false) => Poll::Ready(Some(Ok(Frame::data(last)))),
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let body = self.get_mut();
        match &mut body.state {
            State::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                body.state = State::Ended;
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            State::Relayed(relay, outlet, endpoint) => match catch_unwind(AssertUnwindSafe(|| relay.as_mut().poll(cx)))
            {
                // The relay is not looked at again; its exchange wrote itself down when it was dropped.
                Err(_) => {
                    let last = relay::broken_off(*endpoint);
                    body.end(Ending::Cut(last))
                }
                Ok(Poll::Ready(ending)) => body.end(ending),
                Ok(Poll::Pending) => match outlet.0.take() {
                    Some(frame) => Poll::Ready(Some(Ok(Frame::data(frame)))),
                    None => Poll::Pending,
                },
            },
            State::Flushing => {
                body.state = State::Cutting;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            State::Cutting => {
                body.state = State::Ended;
                Poll::Ready(Some(Err(Cut)))
            }
            State::Ended => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.state {
            State::Whole(bytes) => bytes.is_empty(),
            State::Ended => true,
            State::Relayed(..) | State::Flushing | State::Cutting => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.state {
            State::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            _ => SizeHint::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use http_body::Body as _;

    use super::*;

    #[tokio::test]
    async fn a_relay_that_panics_ends_in_an_error_event_and_a_cut() {
        let outlet = Outlet::default();
        let first = outlet.clone();
        let relay = Box::pin(async move {
            first.send(Bytes::from_static(b"data: 1\n\n")).await;
            panic!("on purpose")
        });
        let mut body = pin!(Body::relayed(relay, outlet, Endpoint::ChatCompletions));
        let mut frames = Vec::new();
        let end = loop {
            match poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
                Some(Ok(frame)) => frames.push(frame.into_data().unwrap()),
                end => break end.map(|end| end.is_err()),
            }
        };
        assert_eq!((frames.len(), end), (2, Some(true)), "{frames:?}");
        assert!(frames[1].starts_with(b"data: {\"error\":") && !frames[1].ends_with(b"[DONE]\n\n"));
    }
}
