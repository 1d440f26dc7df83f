//! Rows 1 to 13: what an upstream does wrong with one request.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use scripted::{After, Cut, Framing, Hang, Script, Upstream, chat_completion, chat_stream};

use crate::harness::Setup;
use crate::trial::Trial;

/// Answers whatever it is asked, and is told from others by its words.
pub fn healthy() -> Upstream {
    Upstream::with(|request| {
        if request.text().contains("\"stream\":true") {
            Script::stream(chat_stream(&["from b"], false))
        } else {
            Script::json(chat_completion("from b"))
        }
    })
}

/// One request to an upstream with a fault, alone or with somebody who takes over.
fn against(trial: &mut Trial, streamed: bool, script: Script, change: impl Fn(Setup) -> Setup) {
    let (bad, good) = (Upstream::start(vec![script]), healthy());
    let mut setup = change(Setup::to(&[&bad, &good]));
    let rescued = trial.dice.coin();
    if rescued {
        setup = setup.falling_back_to(&["b"]);
    }
    let answer = trial.one(setup, &[&bad, &good], streamed);
    assert!(rescued || !answer.text().contains("from b"), "nobody was to take over");
    assert!(!rescued || answer.text().contains("from b") || answer.status == 200, "somebody was to take over");
}

/// Short limits, so that a trial is.
fn impatient(limit: Duration) -> impl Fn(Setup) -> Setup {
    move |setup| setup.timeouts(|timeouts| (timeouts.first_token, timeouts.total) = (limit, limit))
}

fn stalling(limit: Duration) -> impl Fn(Setup) -> Setup {
    move |setup| setup.timeouts(|timeouts| timeouts.inter_token = limit)
}

fn once(setup: Setup) -> Setup {
    setup.calling_up_to(1)
}

/// A stream of some words.
fn some_stream(trial: &mut Trial) -> Vec<String> {
    let n = trial.dice.within(2..=12);
    let words = trial.dice.words(n);
    chat_stream(&words.iter().map(String::as_str).collect::<Vec<_>>(), false)
}

/// How many bytes the first `n` events are.
fn length(events: &[String], n: usize) -> usize {
    events[..n].concat().len()
}

fn a_way_to_cut(trial: &mut Trial) -> Cut {
    *trial.dice.of(&[Cut::Fin, Cut::Rst])
}

/// A socket that listens and takes nobody: the kernel drops what would connect.
fn full_backlog() -> (SocketAddr, Vec<socket2::Socket>) {
    let socket = || socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let listener = socket();
    listener.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    listener.listen(0).unwrap();
    let addr = listener.local_addr().unwrap().as_socket().unwrap();
    let fillers = (0..2).map(|_| {
        let filler = socket();
        filler.set_nonblocking(true).unwrap();
        filler.connect(&addr.into()).ok();
        filler
    });
    let fillers = fillers.collect::<Vec<_>>();
    (addr, fillers.into_iter().chain([listener]).collect())
}

pub fn unreachable(trial: &mut Trial) {
    let (full, _held) = full_backlog();
    let nowhere =
        ["http://127.0.0.1:1".to_owned(), format!("http://{}.invalid", "a".repeat(64)), format!("http://{full}")];
    let (good, url) = (healthy(), trial.dice.of(&nowhere).clone());
    let limit = trial.dice.ms(50..=150);
    let mut setup = Setup::to_urls(&[&url, &good.url()]).timeouts(|timeouts| timeouts.connect = limit);
    setup = setup.calling_up_to(u32::try_from(trial.dice.within(1..=3)).unwrap());
    if trial.dice.coin() {
        setup = setup.falling_back_to(&["b"]);
    }
    let streamed = trial.dice.coin();
    let began = Instant::now();
    trial.one(setup, &[&good], streamed);
    // Three tries, two waits of a millisecond at most, and far longer on a busy machine.
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
}

pub fn no_head(trial: &mut Trial) {
    let (limit, streamed) = (trial.dice.ms(50..=200), trial.dice.coin());
    against(trial, streamed, Script::silent(), impatient(limit));
}

pub fn head_then_silence(trial: &mut Trial) {
    let limit = trial.dice.ms(50..=200);
    let streamed = trial.dice.coin();
    let role = &chat_stream(&[], false)[..1];
    let script = match (streamed, trial.dice.below(3)) {
        (false, _) => Script::json(chat_completion("never sent")).hang(Hang::AfterHeaders),
        (true, 0) => Script::stream(["x"]).hang(Hang::AfterHeaders),
        (true, 1) => Script::stream(role.to_vec()).hang(Hang::AfterPieces),
        (true, _) => Script::stream(role.to_vec()).comments(1000, trial.dice.ms(3..=30)),
    };
    against(trial, streamed, script, impatient(limit));
}

/// A stream that begins and then says nothing, or nothing but comments.
fn stall(trial: &mut Trial, comments: bool) {
    let events = some_stream(trial);
    let n = trial.dice.within(2..=events.len() - 2);
    let script = Script::stream(events[..n].to_vec());
    let script = if comments { script.comments(1000, trial.dice.ms(3..=30)) } else { script.hang(Hang::AfterPieces) };
    let (bad, good, limit) = (Upstream::start(vec![script]), healthy(), trial.dice.ms(50..=150));
    let setup = stalling(limit)(Setup::to(&[&bad, &good])).falling_back_to(&["b"]);
    let answer = trial.one(setup, &[&bad, &good], true);
    assert!(answer.text().starts_with(&events[..n].concat()), "all that came is passed on");
}

pub fn stall_in_the_middle(trial: &mut Trial) {
    stall(trial, false);
}

pub fn stall_behind_comments(trial: &mut Trial) {
    stall(trial, true);
}

pub fn reset(trial: &mut Trial) {
    let streamed = trial.dice.coin();
    let script = if streamed {
        let stream = some_stream(trial).concat();
        let at = trial.dice.below(stream.len() - "data: [DONE]\n\n".len() - 200);
        Script::stream(trial.dice.pieces(stream.as_bytes(), 300))
            .pace(Duration::from_micros(500))
            .cut_after(at, Cut::Rst)
    } else {
        let body = chat_completion(&trial.dice.words(20).concat());
        Script::json(body.clone()).cut_after(trial.dice.below(body.len()), Cut::Rst)
    };
    against(trial, streamed, script, once);
}

pub fn clean_end(trial: &mut Trial) {
    let events = some_stream(trial);
    let last = events.len();
    // Without its last event a stream has its finish reason; without the last two it has none.
    let (n, framing) = (trial.dice.within(0..=last), *trial.dice.of(&[Framing::UntilClose, Framing::Chunked]));
    let script = Script::stream(events[..n].to_vec()).framing(framing);
    let upstream = Upstream::start(vec![script]);
    let answer = trial.one(Setup::to(&[&upstream]).calling_up_to(1), &[&upstream], true);
    let is_whole = n == last || (n == last - 1 && framing == Framing::Chunked);
    assert_eq!(answer.whole && answer.status == 200, is_whole, "{n} of {last} events, {framing:?}");
}

/// A call of a tool, its arguments in pieces.
fn tool_stream(pieces: &[Vec<u8>]) -> Vec<String> {
    let event = |delta: &str, finish: &str| {
        format!(
            "data: {{\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}]}}\n\n"
        )
    };
    let first = r#"{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"get_order","arguments":""}}]}"#;
    let more = |piece: &Vec<u8>| {
        let text = serde_json::to_string(std::str::from_utf8(piece).unwrap()).unwrap();
        event(&format!(r#"{{"tool_calls":[{{"index":0,"function":{{"arguments":{text}}}}}]}}"#), "null")
    };
    let mut events = vec![event(first, "null")];
    events.extend(pieces.iter().map(more));
    events.push(event("{}", r#""tool_calls""#));
    events.push("data: [DONE]\n\n".to_owned());
    events
}

pub fn cut_in_a_tool_call(trial: &mut Trial) {
    let arguments = br#"{"order":"A-17","lines":[1,2,3,4,5],"note":"as soon as possible"}"#;
    let events = tool_stream(&trial.dice.pieces(arguments, 9));
    let at = trial.dice.within(length(&events, 1)..=length(&events, events.len() - 2));
    let cut = a_way_to_cut(trial);
    let script = Script::stream([events.concat()]).cut_after(at, cut);
    let upstream = Upstream::start(vec![script]);
    let answer = trial.one(Setup::to(&[&upstream]).calling_up_to(1), &[&upstream], true);
    assert!(!answer.text().contains("\"finish_reason\":\""), "nobody said that it had finished: {}", answer.text());
}

pub fn error_in_a_200(trial: &mut Trial) {
    let error = r#"{"error":{"message":"the engine died","type":"server_error","param":null,"code":null}}"#;
    let streamed = trial.dice.coin();
    against(trial, streamed, Script::json(error), |setup| setup);
}

pub fn error_event(trial: &mut Trial) {
    let error = "data: {\"error\":{\"message\":\"boom\",\"type\":\"server_error\",\"param\":null,\"code\":null}}\n\n";
    let mut events = some_stream(trial);
    let n = trial.dice.within(0..=events.len() - 2);
    events.truncate(n);
    events.push(error.to_owned());
    let pace = trial.dice.ms(0..=3);
    let (bad, good) = (Upstream::start(vec![Script::stream(events.clone()).pace(pace)]), healthy());
    let setup = Setup::to(&[&bad, &good]).falling_back_to(&["b"]);
    let answer = trial.one(setup, &[&bad, &good], true);
    if !answer.whole {
        assert!(answer.text().starts_with(&events.concat()), "the provider's own words come first: {}", answer.text());
    }
}

/// The same stream as the specification of event streams allows it to be written.
fn rewritten(trial: &mut Trial, events: &[String]) -> String {
    let text = events.concat();
    let text = match trial.dice.below(4) {
        0 => text.replace('\n', "\r\n"),
        1 => text.replace('\n', "\r"),
        // A line break between two tokens of JSON.
        2 => text.replace(",\"choices\"", ",\ndata: \"choices\""),
        _ => text.replace("data: ", "data:"),
    };
    let head = *trial.dice.of(&["", "\u{feff}", ": hello\n\n", "event: message\nid: 7\nretry: 10\n", "\n\n\n"]);
    format!("{head}{text}")
}

pub fn malformed_stream(trial: &mut Trial) {
    let events = some_stream(trial);
    if trial.dice.coin() {
        let text = rewritten(trial, &events);
        let longest = *trial.dice.of(&[1, 7, 100, 100_000]);
        let upstream = Upstream::start(vec![Script::stream(trial.dice.pieces(text.as_bytes(), longest))]);
        let answer = trial.one(Setup::to(&[&upstream]), &[&upstream], true);
        assert_eq!((answer.status, answer.text()), (200, text));
        return;
    }
    let n = trial.dice.within(0..=events.len() - 2);
    let nonsense = match trial.dice.below(3) {
        0 => "data: {\"choices\": [}\n\n".to_owned(),
        1 => "<html><body>502 Bad Gateway</body></html>\n\n<p>\n\n".to_owned(),
        _ => format!("data: {{\"x\":\"{}\"}}\n\n", "y".repeat(2 << 20)),
    };
    let text = format!("{}{nonsense}", events[..n].concat());
    against(trial, true, Script::stream([text]), once);
}

pub fn split_characters(trial: &mut Trial) {
    let stream = some_stream(trial).concat();
    let longest = *trial.dice.of(&[1, 2, 3, 50]);
    let pieces = trial.dice.pieces(stream.as_bytes(), longest);
    let upstream = Upstream::start(vec![Script::stream(pieces)]);
    let answer = trial.one(Setup::to(&[&upstream]), &[&upstream], true);
    assert_eq!(answer.body, stream.as_bytes(), "byte for byte");
}

/// The beginning of a compressed answer, as a server sends it that was not asked for one.
const GZIP: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xabV\xcaLQ\xb2RJ\xceH,\xc9\xcd\xd1\x01";

pub fn broken_framing(trial: &mut Trial) {
    let streamed = trial.dice.coin();
    let body = chat_completion(&trial.dice.words(30).concat());
    let events = some_stream(trial);
    let n = trial.dice.within(0..=events.len() - 2);
    let silently = |script: Script| script.after(After::CloseSilently);
    let script = match (streamed, trial.dice.below(4)) {
        (_, 0) if !streamed => Script::json(GZIP).header("content-encoding", "gzip"),
        (false, 1) => silently(Script::json(body.clone()).framing(Framing::WrongLength(body.len() + 10))),
        (false, 2) => {
            silently(Script::json(body.clone()).framing(Framing::WrongLength(trial.dice.below(body.len() - 1))))
        }
        (false, _) => Script::json(body).framing(Framing::BadChunk).cut_after(trial.dice.within(1..=99), Cut::Fin),
        (true, 0) => Script::stream([GZIP]).header("content-encoding", "gzip"),
        (true, 1) => Script::stream(events[..n].to_vec()).framing(Framing::UntilClose).header("content-length", "many"),
        (true, _) => Script::stream(events[..n].to_vec()).framing(Framing::BadChunk),
    };
    against(trial, streamed, script, once);
}
