//! What is pushed to browsers. One watcher looks at the rollouts that somebody has a page of, renders what changed once, and everybody gets the
//! same bytes; nobody's browser makes a question of its own. Behind a slow browser the oldest of what it has not read is left out, and as every
//! push is whole, the next one makes up for it.

mod curve;

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http_body::Frame;
use operations::Desk;
use operations::pulse::{self, Mark};
use tokio::sync::{broadcast, mpsc, watch};

use crate::pages;
pub(crate) use curve::Curve;

/// How often the watcher looks.
const LOOK: Duration = Duration::from_millis(200);
/// While a rollout only counts, its page is made anew at most this often; a transition is pushed at once.
const COUNTING: Duration = Duration::from_millis(900);
/// How often both arms are noted for the curves.
const BEAT: Duration = Duration::from_secs(1);
/// How often it is asked whether a stream's key still opens the door, when nothing is sent.
const STILL: Duration = Duration::from_secs(1);
/// Something is sent at least this often, so that a connection that is gone is noticed.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);
/// What a browser that does not read may fall behind.
const BEHIND: usize = 8;
/// Pages that are open at once.
const MOST_STREAMS: usize = 256;
/// The first page has no rollout of its own.
pub(crate) const OVERVIEW: &str = "";

/// What a page follows; an answer with this in its extensions becomes a stream.
#[derive(Clone)]
pub(crate) struct Follow {
    /// The rollout, or [`OVERVIEW`].
    pub topic: String,
    /// The last thing that the browser has seen.
    pub last_id: Option<String>,
    /// The generation of the rollout when the page was made that follows it.
    pub seen: Option<u64>,
    /// The cookie of the session, which must last.
    pub cookie: String,
}

/// One push.
#[derive(Clone)]
struct Event {
    id: Arc<str>,
    bytes: Bytes,
    /// What it shows; a beat shows no generation.
    generation: Option<u64>,
    /// Whether it says that something moved.
    has_moved: bool,
}

/// Tells a page that what cannot be pushed, because it is of who looks, is another now.
fn moved(generation: u64) -> String {
    format!("event: moved\ndata: {generation}\n\n")
}

struct Topic {
    sender: broadcast::Sender<Event>,
    mark: Mark,
    rendered: Instant,
    last: Option<Event>,
}

/// Who follows what.
pub(crate) struct Watch {
    topics: Mutex<HashMap<String, Topic>>,
    curves: Mutex<HashMap<String, Curve>>,
    /// Ids of another process are not ours.
    began: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watch {
    pub(crate) fn new() -> Watch {
        Watch { topics: Mutex::default(), curves: Mutex::default(), began: operations::reviews::now() }
    }

    /// The curves of a rollout since its epoch began, or this process did.
    pub(crate) fn curve(&self, rollout: &str) -> Curve {
        lock(&self.curves).get(rollout).cloned().unwrap_or_default()
    }

    fn subscribe(&self, topic: &str) -> Option<(broadcast::Receiver<Event>, Option<Event>)> {
        let mut topics = lock(&self.topics);
        if topics.values().map(|topic| topic.sender.receiver_count()).sum::<usize>() >= MOST_STREAMS {
            return None;
        }
        let topic = topics.entry(topic.to_owned()).or_insert_with(|| Topic {
            sender: broadcast::Sender::new(BEHIND),
            mark: Mark::default(),
            rendered: Instant::now(),
            last: None,
        });
        Some((topic.sender.subscribe(), topic.last.clone()))
    }

    /// One look at everything that is followed. Blocks: it reads the store.
    fn look(&self, desk: &Desk) {
        let followed: Vec<(String, Mark, Instant)> = {
            let mut topics = lock(&self.topics);
            topics.retain(|_, topic| topic.sender.receiver_count() > 0);
            topics.iter().map(|(name, topic)| (name.clone(), topic.mark, topic.rendered)).collect()
        };
        for (name, before, rendered) in followed {
            let mark = if name == OVERVIEW { pages::overview_mark(desk) } else { pulse::mark(desk, &name) };
            let Ok(mark) = mark else { continue };
            let has_moved = mark.generation != before.generation;
            if mark == before || !has_moved && rendered.elapsed() < COUNTING {
                continue;
            }
            match pages::pushed(desk, &name) {
                Ok(html) => self.push(&name, mark, (&html, has_moved && before != Mark::default())),
                Err(error) => tracing::debug!(%error, "a page that is followed could not be made"),
            }
        }
    }

    fn push(&self, name: &str, mark: Mark, (html, has_moved): (&str, bool)) {
        let mut topics = lock(&self.topics);
        let Some(topic) = topics.get_mut(name) else { return };
        let counted: u64 = mark.counted.iter().sum();
        let id = format!("{}-{}-{counted}", self.began, mark.generation);
        let mut text = format!("id: {id}\n");
        html.lines().for_each(|line| text.push_str(&format!("data: {line}\n")));
        text.push('\n');
        if has_moved {
            text.push_str(&moved(mark.generation));
        }
        let generation = Some(mark.generation);
        let event = Event { id: id.into(), bytes: Bytes::from(text), generation, has_moved };
        (topic.mark, topic.rendered, topic.last) = (mark, Instant::now(), Some(event.clone()));
        // Nobody may listen any more.
        drop(topic.sender.send(event));
    }

    fn beat(&self, desk: &Desk) {
        let beats = pulse::beats(desk);
        for (name, beat) in beats {
            lock(&self.curves).entry(name.clone()).or_default().add(beat);
            let Ok(json) = serde_json::to_string(&beat) else { continue };
            if let Some(topic) = lock(&self.topics).get(&name) {
                let bytes = Bytes::from(format!("event: beat\ndata: {json}\n\n"));
                let event = Event { id: "".into(), bytes, generation: None, has_moved: false };
                drop(topic.sender.send(event));
            }
        }
    }
}

/// Looks until it is told to stop; with it end all streams.
pub(crate) async fn run(watch: Arc<Watch>, desk: Arc<Desk>, mut stopped: watch::Receiver<bool>) {
    let mut beaten = Instant::now();
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = stopped.wait_for(|stop| *stop) => break,
        }
        let (watching, reading) = (Arc::clone(&watch), Arc::clone(&desk));
        let beats = beaten.elapsed() >= BEAT;
        if beats {
            beaten = Instant::now();
        }
        let work = tokio::task::spawn_blocking(move || {
            watching.look(&reading);
            if beats {
                watching.beat(&reading);
            }
        });
        if let Err(error) = work.await {
            tracing::error!(%error, "the watcher of pages panicked");
        }
    }
    lock(&watch.topics).clear();
}

/// What is sent of an event to a page that has `seen` a generation: what moved between its making and its first push is said to have moved.
fn told(event: Event, seen: &mut Option<u64>) -> Bytes {
    let (Some(generation), Some(last)) = (event.generation, *seen) else { return event.bytes };
    *seen = Some(last.max(generation));
    if generation > last && !event.has_moved {
        return Bytes::from([&event.bytes[..], moved(generation).as_bytes()].concat());
    }
    event.bytes
}

/// The body of a stream.
pub(crate) struct Stream(mpsc::Receiver<Bytes>);

impl http_body::Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// Opens a stream, and says who is to fill it; `None` when there are too many. `lasts` says whether its session does.
pub(crate) fn open(
    watch: &Watch,
    follow: Follow,
    lasts: impl Fn(&str) -> bool + Send + 'static,
) -> Option<(Response<Stream>, impl Future<Output = ()> + Send + 'static)> {
    let (mut events, last) = watch.subscribe(&follow.topic)?;
    let (sender, receiver) = mpsc::channel(BEHIND);
    let fill = async move {
        let mut seen = follow.seen;
        // Whoever comes back after a cut has seen the page as it was then; and a page that was made later is not made older.
        let missed = last.filter(|event| follow.last_id.as_deref() != Some(&*event.id) && event.generation >= seen);
        let first = missed.map(|event| told(event, &mut seen));
        let mut next = Some(first.unwrap_or_else(|| Bytes::from_static(b": here\n\n")));
        while let Some(bytes) = next {
            if !lasts(&follow.cookie) || sender.send(bytes).await.is_err() {
                return;
            }
            let sent = Instant::now();
            next = loop {
                match tokio::time::timeout(STILL, events.recv()).await {
                    Ok(Ok(event)) => break Some(told(event, &mut seen)),
                    Ok(Err(broadcast::error::RecvError::Closed)) => break None,
                    Err(_) if sent.elapsed() < SIGN_OF_LIFE && lasts(&follow.cookie) => {}
                    Ok(Err(broadcast::error::RecvError::Lagged(_))) | Err(_) => {
                        break Some(Bytes::from_static(b": here\n\n"));
                    }
                }
            };
        }
    };
    let mut response = Response::new(Stream(receiver));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Some((response, fill))
}
