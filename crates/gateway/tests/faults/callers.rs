//! Rows 14 to 19: what a caller does, to itself or to others.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use scripted::{Hang, Script, Upstream, chat_completion, chat_stream};

use crate::client::{Answer, Connection, PATIENCE};
use crate::harness::{PLAIN, STREAMED, Setup};
use crate::trial::{Stage, Trial};
use crate::upstreams::healthy;

/// How soon an upstream is to learn that nobody waits for it any more.
const SOON: Duration = Duration::from_secs(1);

/// Closes, resets, or says that nothing more will be sent and stays.
fn leave(trial: &mut Trial, connection: Connection) -> Option<Connection> {
    match trial.dice.below(3) {
        0 => None,
        1 => {
            // A linger of nothing makes the close a reset.
            socket2::SockRef::from(&connection.stream).set_linger(Some(Duration::ZERO)).unwrap();
            None
        }
        _ => {
            connection.stream.shutdown(Shutdown::Write).unwrap();
            Some(connection)
        }
    }
}

/// A caller leaves after the request has arrived and `n_chunks` of the answer have.
fn left(trial: &mut Trial, script: Script, body: &str, n_chunks: usize) {
    let upstream = Upstream::start(vec![script]);
    let stage = trial.stage(Setup::to(&[&upstream]), &[&upstream]);
    let mut connection = stage.begin(body);
    assert_eq!(upstream.wait_for(1, PATIENCE).len(), 1);
    if n_chunks > 0 {
        connection.head().expect("a stream");
        (0..n_chunks).for_each(|_| drop(connection.chunk().expect("more of it")));
    }
    // At any moment of what the upstream does.
    std::thread::sleep(trial.dice.ms(0..=30));
    let when = Instant::now();
    let still_there = leave(trial, connection);
    let received = upstream.wait_until(PATIENCE, |all| all[0].disconnected.is_some());
    let (seen, _) = received[0].disconnected.expect("the upstream is told to stop");
    let took = seen.saturating_duration_since(when);
    assert!(took < SOON, "the upstream was left running for {took:?}");
    trial.seen.aborts.push(took);
    drop(still_there);
    trial.end(stage);
}

pub fn leaves_before_content(trial: &mut Trial) {
    let role = &chat_stream(&[], false)[..1];
    let script = match trial.dice.below(4) {
        0 => Script::silent(),
        1 => Script::stream(["x"]).hang(Hang::AfterHeaders),
        2 => Script::stream(role.to_vec()).hang(Hang::AfterPieces),
        _ => Script::stream(role.to_vec()).comments(10_000, trial.dice.ms(1..=20)),
    };
    left(trial, script, STREAMED, 0);
}

pub fn leaves_in_the_middle(trial: &mut Trial) {
    let words = trial.dice.words(2_000);
    let events = chat_stream(&words.iter().map(String::as_str).collect::<Vec<_>>(), false);
    let n = trial.dice.within(2..=20);
    let script = match trial.dice.below(3) {
        0 => Script::stream(events[..n].to_vec()).hang(Hang::AfterPieces),
        1 => Script::stream(events[..n].to_vec()).comments(10_000, trial.dice.ms(1..=20)),
        _ => Script::stream(events).pace(trial.dice.ms(1..=20)),
    };
    left(trial, script, STREAMED, 1);
}

pub fn leaves_a_whole_answer(trial: &mut Trial) {
    let body = chat_completion(&trial.dice.words(50).concat());
    let (first, rest) = body.as_bytes().split_at(trial.dice.within(1..=body.len() - 1));
    let script = match trial.dice.below(3) {
        0 => Script::silent(),
        1 => Script::json(body.clone()).hang(Hang::AfterHeaders),
        _ => Script::json(first).piece_after(Duration::from_secs(60), rest),
    };
    left(trial, script, PLAIN, 0);
}

/// Words enough to fill every buffer between the upstream and a caller who does not read.
fn a_lot(n: usize, each: usize) -> Vec<String> {
    chat_stream(&vec!["y".repeat(each).as_str(); n], false)
}

pub fn slow_reader(trial: &mut Trial) {
    if trial.dice.coin() {
        return a_reader_with_pauses(trial);
    }
    // It may have no end: on its way to the gateway the kernel may take all of it.
    let events = a_lot(16, trial.dice.within(500_000..=900_000));
    let script = Script::stream(events[..events.len() - 2].to_vec()).hang(Hang::AfterPieces);
    let upstream = Upstream::start(vec![script]);
    let patience = trial.dice.ms(100..=400);
    let setup = Setup::to(&[&upstream]).limits(|limits| limits.write_timeout = patience);
    let stage = trial.stage(setup, &[&upstream]);
    let mut connection = stage.begin(STREAMED);
    // A byte at a time, and then none.
    (0..trial.dice.below(40)).for_each(|_| connection.stream.read_exact(&mut [0]).unwrap());
    let received = upstream.wait_until(PATIENCE, |all| all.first().is_some_and(|one| one.disconnected.is_some()));
    assert!(received[0].disconnected.is_some(), "the upstream goes on for a caller who does not read");
    drop(connection);
    trial.end(stage);
}

/// Slower than the provider may be, but it reads on.
fn a_reader_with_pauses(trial: &mut Trial) {
    let events = a_lot(4, trial.dice.within(100_000..=400_000));
    let upstream = Upstream::start(vec![Script::stream(events.clone())]);
    let limit = trial.dice.ms(40..=100);
    let setup = Setup::to(&[&upstream])
        .timeouts(|timeouts| timeouts.inter_token = limit)
        .limits(|limits| limits.write_timeout = PATIENCE);
    let stage = trial.stage(setup, &[&upstream]);
    let mut connection = Connection::open(stage.gateway.addr);
    socket2::SockRef::from(&connection.stream).set_recv_buffer_size(64 << 10).unwrap();
    connection.post(STREAMED);
    let mut answer = connection.head().unwrap();
    std::thread::sleep(limit * 2);
    connection.rest_of(&mut answer);
    stage.note(Some(&answer), true);
    assert_eq!(answer.body.len(), events.concat().len());
    drop(connection);
    trial.end(stage);
}

pub fn slow_sender(trial: &mut Trial) {
    let upstream = healthy();
    let limit = trial.dice.ms(100..=300);
    let setup = Setup::to(&[&upstream]).limits(|limits| (limits.header_timeout, limits.body_timeout) = (limit, limit));
    let stage = trial.stage(setup, &[&upstream]);
    let mut slow = Connection::open(stage.gateway.addr);
    let head = format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", PLAIN.len());
    let has_head = trial.dice.coin();
    let n = if has_head { head.len() + trial.dice.below(PLAIN.len()) } else { trial.dice.below(head.len()) };
    let all = format!("{head}{PLAIN}");
    let (now, later) = all.as_bytes()[..n].split_at(if n == 0 { 0 } else { trial.dice.within(1..=n) });
    slow.stream.write_all(now).unwrap();
    let drips = trial.dice.ms(1..=10);
    let mut began = Instant::now();
    // A byte now and then is no more than none: the whole head, or the whole body, has its time.
    for byte in later {
        std::thread::sleep(drips);
        if slow.stream.write_all(&[*byte]).is_err() {
            break;
        }
        if began.elapsed() > limit * 2 {
            began = Instant::now();
            break;
        }
    }
    assert_eq!(stage.ask(PLAIN).status, 200, "others are served meanwhile");
    let answer = slow.answer();
    stage.note(answer.as_ref(), false);
    assert!(began.elapsed() < limit * 5 + Duration::from_secs(2), "{:?}", began.elapsed());
    // Who goes on sending to a connection that is closed loses the answer that was on its way.
    assert!(has_head || answer.is_none(), "{answer:?}");
    drop(slow);
    trial.end(stage);
}

/// Sends what is too much, as far as it is taken.
fn send(connection: &mut Connection, parts: impl Iterator<Item = Vec<u8>>) {
    for part in parts {
        if connection.stream.write_all(&part).is_err() {
            return;
        }
    }
}

fn post_head(framing: &str) -> Vec<u8> {
    format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{framing}\r\n\r\n").into_bytes()
}

fn too_much(trial: &mut Trial, stage: &Stage<'_>) -> Option<Answer> {
    let mut connection = Connection::open(stage.gateway.addr);
    let part = "x".repeat(trial.dice.within(1_000..=60_000));
    match trial.dice.below(4) {
        // Of 100 MB the length is enough.
        0 => send(&mut connection, [post_head("content-length: 100000000")].into_iter()),
        1 => {
            let chunk = format!("{:x}\r\n{part}\r\n", part.len()).into_bytes();
            let n_chunks = 1 + (2 << 20) / part.len();
            let head = post_head("transfer-encoding: chunked");
            send(&mut connection, [head].into_iter().chain(std::iter::repeat_n(chunk, n_chunks)));
        }
        2 => {
            let (open, close) = *trial.dice.of(&[("[", "]"), ("{\"a\":", "}")]);
            let depth = trial.dice.within(10_000..=60_000);
            let body = format!("{{\"model\":\"gpt-4o\",\"x\":{}1{}}}", open.repeat(depth), close.repeat(depth));
            connection.post(&body);
        }
        _ => {
            let n = trial.dice.within(1_000..=100_000);
            let headers = (0..n).map(|n| format!("h{n}: v\r\n").into_bytes());
            let begin = b"POST /v1/chat/completions HTTP/1.1\r\n".to_vec();
            send(&mut connection, [begin].into_iter().chain(headers).chain([b"\r\n".to_vec()]));
        }
    }
    connection.answer()
}

pub fn too_large(trial: &mut Trial) {
    let upstream = healthy();
    let setup = Setup::to(&[&upstream]).limits(|limits| limits.max_body = 1 << 20);
    let stage = trial.stage(setup, &[&upstream]);
    if trial.dice.below(4) == 0 {
        // What is just small enough goes on as it is.
        let body = PLAIN.replace("hi", &"é".repeat(trial.dice.within(1_000..=500_000)));
        assert_eq!(stage.ask(&body).status, 200);
        assert_eq!(upstream.requests()[0].text(), body.replace("gpt-4o", "model-a"));
    } else {
        let answer = too_much(trial, &stage);
        stage.note(answer.as_ref(), false);
        assert_eq!(upstream.requests().len(), 0);
    }
    trial.end(stage);
}
