//! Rows 26 to 28 and 37: connections that are dead, old, or somebody else's.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use gateway::snapshot::{Snapshot, Target};
use providers::{Http2, Lookup, ProviderConfig, Shared};
use scripted::{After, Script, Upstream, chat_completion, chat_stream};
use wire::private::Private;

use crate::client::{Connection, PATIENCE};
use crate::harness::{PLAIN, STREAMED, Setup};
use crate::trial::Trial;

pub fn change_provider(target: &mut Target, change: impl FnOnce(&mut ProviderConfig)) {
    change(Arc::make_mut(&mut target.provider));
}

pub fn stale(trial: &mut Trial) {
    if trial.dice.coin() {
        return read_and_dropped(trial);
    }
    let upstream = Upstream::with(|request| {
        let script = if request.text().contains("\"stream\":true") {
            Script::stream(chat_stream(&["here"], false))
        } else {
            Script::json(chat_completion("here"))
        };
        script.after(After::CloseSilently)
    });
    let stage = trial.stage(Setup::to(&[&upstream]), &[&upstream]);
    let mut connection = Connection::open(stage.gateway.addr);
    for _ in 0..trial.dice.within(3..=12) {
        let body = if trial.dice.coin() { STREAMED } else { PLAIN };
        assert_eq!(stage.ask_on(&mut connection, body).status, 200);
        std::thread::sleep(Duration::from_micros(trial.dice.below(3_000) as u64));
    }
    drop(connection);
    // One attempt each, and the upstream saw each once: `end` counts.
    trial.end(stage);
}

/// The provider reads the request on its kept connection and closes it: that request may have been carried out.
fn read_and_dropped(trial: &mut Trial) {
    let upstream = Upstream::start(vec![Script::json(chat_completion("here")).after(After::CloseOnNext)]);
    let stage = trial.stage(Setup::to(&[&upstream]), &[&upstream]);
    let mut connection = Connection::open(stage.gateway.addr);
    assert_eq!(stage.ask_on(&mut connection, PLAIN).status, 200);
    let second = stage.ask_on(&mut connection, PLAIN);
    // On a new connection, if the kept one was let go of in between.
    assert_eq!(second.status == 200, upstream.n_connections() == 2, "{}", second.text());
    drop(connection);
    trial.end(stage);
}

/// An HTTP/2 server whose first connection stops answering anything after so many requests. The kernel still acknowledges what
/// comes, as a load balancer would whose server is gone.
struct Freezing {
    addr: SocketAddr,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Freezing {
    fn start(n_answered: usize) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let addr = listener.local_addr().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let serve = async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let mut connections = tokio::task::JoinSet::new();
            let mut left = n_answered;
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(answer(stream, left));
                left = usize::MAX;
            }
        };
        let run = move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serve => {}
                    _ = stopped => {}
                }
            });
        };
        Self { addr, stop: Some(stop), thread: Some(std::thread::spawn(run)) }
    }
}

impl Drop for Freezing {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

/// Answers so many requests, then nothing, pings included.
async fn answer(stream: tokio::net::TcpStream, n: usize) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    for _ in 0..n {
        let Some(Ok((request, mut respond))) = connection.accept().await else { return };
        drop(request);
        let mut body = respond.send_response(http::Response::new(()), false).unwrap();
        body.send_data(Bytes::from(chat_completion("here")), true).unwrap();
    }
    // The last answer has to leave before it freezes.
    tokio::select! {
        _ = connection.accept() => {}
        () = tokio::time::sleep(Duration::from_millis(20)) => {}
    }
    std::future::pending::<()>().await;
}

pub fn dead_http2(trial: &mut Trial) {
    let server = Freezing::start(trial.dice.within(1..=3));
    let ping = trial.dice.ms(50..=150);
    let mut setup = Setup::to_urls(&[&format!("http://{}", server.addr)]).calling_up_to(1);
    change_provider(&mut setup.targets[0], |provider| {
        (provider.http2, provider.http2_ping) = (Http2::PriorKnowledge, Some(ping));
    });
    let stage = trial.stage(setup, &[]);
    let mut connection = Connection::open(stage.gateway.addr);
    let (began, mut answers) = (Instant::now(), Vec::new());
    // Served, then one that finds nobody there, then served again over a new connection.
    while answers.last() != Some(&502) {
        answers.push(stage.ask_on(&mut connection, PLAIN).status);
        assert!(began.elapsed() < PATIENCE, "{answers:?}");
    }
    assert_eq!(stage.ask_on(&mut connection, PLAIN).status, 200, "after {answers:?}");
    drop((connection, server));
    trial.end(stage);
}

fn place(name: &'static str, pace: Duration) -> Upstream {
    Upstream::with(move |request| {
        if request.text().contains("\"stream\":true") {
            Script::stream(chat_stream(&[name; 20], false)).pace(pace)
        } else {
            Script::json(chat_completion(name))
        }
    })
}

pub fn moved(trial: &mut Trial) {
    let pace = trial.dice.ms(5..=15);
    let places = [place("the old place", pace), place("the new place", pace)];
    let (addrs, at) = (places.each_ref().map(Upstream::addr), Arc::new(AtomicUsize::new(0)));
    let now = Arc::clone(&at);
    let lookup = Lookup(Arc::new(move |name| {
        assert_eq!(name, "provider.test");
        Ok(vec![addrs[now.load(Ordering::Acquire)]])
    }));
    let mut setup = Setup::to_urls(&["http://provider.test"]);
    setup.providers = Shared::looking_up(lookup);
    let lifetime = trial.dice.ms(20..=100);
    change_provider(&mut setup.targets[0], |provider| provider.connection_lifetime = lifetime);
    let stage = trial.stage(setup, &[&places[0], &places[1]]);
    let mut connection = Connection::open(stage.gateway.addr);
    for _ in 0..trial.dice.within(1..=5) {
        assert!(stage.ask_on(&mut connection, PLAIN).text().contains("the old place"));
    }
    let mut under_way = stage.begin(STREAMED);
    let mut streamed = under_way.head().unwrap();
    at.store(1, Ordering::Release);
    let moved = Instant::now();
    // The old place still answers: only the end of its connections makes anybody look again.
    while stage.ask_on(&mut connection, PLAIN).text().contains("the old place") {
        assert!(moved.elapsed() < lifetime + PATIENCE, "nobody looked the name up again");
    }
    assert!(stage.ask_on(&mut connection, PLAIN).text().contains("the new place"));
    under_way.rest_of(&mut streamed);
    stage.note(Some(&streamed), true);
    assert!(streamed.whole && streamed.text().contains("the old place"), "what is under way goes on");
    drop((connection, under_way));
    trial.end(stage);
}

pub fn client_replaced(trial: &mut Trial) {
    let upstream = place("here", trial.dice.ms(5..=15));
    let stage = trial.stage(Setup::to(&[&upstream]), &[&upstream]);
    let n = trial.dice.within(1..=6);
    let under_way: Vec<Connection> = (0..n).map(|_| stage.begin(STREAMED)).collect();
    assert_eq!(upstream.wait_for(n, PATIENCE).len(), n);
    for nth in 0..trial.dice.within(1..=3) {
        // Another key is another client: the pools of the old one go while their connections are in use.
        let mut snapshot = Snapshot::clone(&stage.gateway.snapshot.load());
        let target = Arc::make_mut(snapshot.targets.get_mut("a").unwrap());
        change_provider(target, |provider| provider.api_key = Some(Private::new(format!("sk-another-{nth}"))));
        stage.gateway.reload(snapshot).unwrap();
        for _ in 0..trial.dice.within(1..=4) {
            assert_eq!(stage.ask(PLAIN).status, 200);
            let last = upstream.requests().pop().unwrap();
            assert_eq!(last.header("authorization"), Some(format!("Bearer sk-another-{nth}").as_str()));
        }
    }
    for mut connection in under_way {
        let answer = connection.answer();
        stage.note(answer.as_ref(), true);
        assert!(answer.is_some_and(|answer| answer.whole), "a stream was cut by a reload");
    }
    trial.end(stage);
}
