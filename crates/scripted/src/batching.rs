//! A server that works as inference engines do: continuous batching. In a step every request at work gets a token, and a step takes the longer the more
//! there are; who comes waits for the end of the step and for room, and while a prompt is read nobody gets a token. Answers are as long as `max_tokens`
//! says, streamed one token at a time, with usage and, on the last chunk, llama.cpp's `timings`.
//!
//! It knows what it is: what a benchmark measures of it, and what a model of it foretells, can be held against that.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{Received, Script, Upstream, locked};

/// How fast it is.
#[derive(Debug, Clone)]
pub struct Pace {
    /// How many at work, and milliseconds of a step; straight between these, the last for more.
    pub steps_ms: Vec<(f64, f64)>,
    /// Most at work at once; the rest wait in line.
    pub most_active: usize,
    /// Tokens of prompts it reads in a second, while nobody gets a token.
    pub reads: f64,
}

impl Pace {
    /// Milliseconds of a step with so many at work.
    #[must_use]
    pub fn step_ms(&self, n: usize) -> f64 {
        let n = n as f64;
        let after = self.steps_ms.iter().position(|(at, _)| *at >= n);
        match after {
            Some(0) => self.steps_ms[0].1,
            None => self.steps_ms.last().map_or(0.0, |(_, ms)| *ms),
            Some(idx) => {
                let ((a, low), (b, high)) = (self.steps_ms[idx - 1], self.steps_ms[idx]);
                low + (high - low) * (n - a) / (b - a)
            }
        }
    }
}

/// The server. It stops when it is dropped.
pub struct Batching {
    upstream: Option<Upstream>,
    line: Arc<Line>,
    engine: Option<JoinHandle<()>>,
}

impl Batching {
    /// Starts it on a free port.
    pub fn start(pace: Pace) -> Batching {
        let line = Arc::new(Line::default());
        let (comes, works) = (Arc::clone(&line), Arc::clone(&line));
        let upstream = Upstream::with(move |request| answer(request, &comes));
        let engine = std::thread::Builder::new().name("batching".to_owned()).spawn(move || run(&pace, &works));
        Batching { upstream: Some(upstream), line, engine: Some(engine.expect("a thread for the engine")) }
    }

    /// `http://127.0.0.1:<port>`, without a path.
    pub fn url(&self) -> String {
        self.upstream.as_ref().map(Upstream::url).unwrap_or_default()
    }
}

impl Drop for Batching {
    fn drop(&mut self) {
        locked(&self.line.jobs).is_over = true;
        self.line.changed.notify_all();
        if let Some(engine) = self.engine.take() {
            drop(engine.join());
        }
        drop(self.upstream.take());
    }
}

/// A request.
struct Job {
    input: u64,
    output: u64,
    written: u64,
    to: mpsc::Sender<Vec<u8>>,
}

#[derive(Default)]
struct Jobs {
    waiting: VecDeque<Job>,
    is_over: bool,
}

/// Who waits.
#[derive(Default)]
struct Line {
    jobs: Mutex<Jobs>,
    changed: Condvar,
}

fn answer(request: &Received, line: &Line) -> Script {
    let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
        return match request.method.as_str() {
            "GET" => Script::json(r#"{"object":"list","data":[{"id":"batching","object":"model"}]}"#),
            _ => Script::error(400, "invalid_request_error", "not_json"),
        };
    };
    // Every word is a token.
    let words = |message: &Value| message["content"].as_str().map_or(0, |text| text.split_whitespace().count() as u64);
    let input = body["messages"].as_array().into_iter().flatten().map(words).sum();
    let output = body["max_tokens"].as_u64().unwrap_or(16).max(1);
    // Room for the whole answer: the engine waits for no reader.
    let (to, feed) = mpsc::channel(usize::try_from(output).unwrap_or(1 << 20).saturating_add(8));
    locked(&line.jobs).waiting.push_back(Job { input, output, written: 0, to });
    line.changed.notify_all();
    Script::stream(Vec::<Vec<u8>>::new()).fed(feed)
}

/// Works until it is over. What is late because the machine was busy is made up for: the schedule, not the clock, says how long work takes.
fn run(pace: &Pace, line: &Line) {
    let mut active: Vec<Job> = Vec::new();
    let mut now = Instant::now();
    loop {
        let mut jobs = locked(&line.jobs);
        while jobs.waiting.is_empty() && active.is_empty() && !jobs.is_over {
            jobs = line.changed.wait(jobs).unwrap_or_else(std::sync::PoisonError::into_inner);
            now = Instant::now();
        }
        if jobs.is_over {
            return;
        }
        let mut read = 0;
        while active.len() < pace.most_active
            && let Some(job) = jobs.waiting.pop_front()
        {
            read += job.input;
            active.push(job);
        }
        drop(jobs);
        let took_ms = read as f64 / pace.reads * 1e3 + pace.step_ms(active.len());
        now += Duration::from_secs_f64(took_ms / 1e3);
        std::thread::sleep(now.saturating_duration_since(Instant::now()));
        active.retain_mut(|job| {
            job.written += 1;
            job.step(pace)
        });
    }
}

impl Job {
    /// Sends a token. Whether there is another, and somebody who wants it.
    fn step(&self, pace: &Pace) -> bool {
        let event = |value: Value| format!("data: {value}\n\n").into_bytes();
        let chunk = |delta: Value, finish: Value| {
            json!({ "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "batching",
                "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }] })
        };
        let is_sent = self.to.try_send(event(chunk(json!({ "content": "word " }), Value::Null))).is_ok();
        if self.written < self.output {
            return is_sent;
        }
        let mut last = chunk(json!({}), json!("stop"));
        last["timings"] = json!({ "prompt_n": self.input, "prompt_ms": self.input as f64 / pace.reads * 1e3 });
        last["usage"] = json!({ "prompt_tokens": self.input, "completion_tokens": self.output, "total_tokens": self.input + self.output });
        let mut end = event(last);
        end.extend_from_slice(b"data: [DONE]\n\n");
        drop(self.to.try_send(end));
        false
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    fn ask(server: &Batching, n: u64) -> (String, Duration) {
        let body =
            format!(r#"{{"messages":[{{"role":"user","content":"one two three"}}],"max_tokens":{n},"stream":true}}"#);
        let began = Instant::now();
        let mut stream = std::net::TcpStream::connect(server.url().trim_start_matches("http://")).unwrap();
        write!(stream, "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{body}", body.len())
            .unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"0\r\n\r\n") {
            let mut buffer = [0; 4096];
            match stream.read(&mut buffer).unwrap() {
                0 => break,
                n => answer.extend_from_slice(&buffer[..n]),
            }
        }
        (String::from_utf8_lossy(&answer).into_owned(), began.elapsed())
    }

    #[test]
    fn a_step_gives_everybody_a_token_and_takes_longer_with_company() {
        let steps_ms = vec![(1.0, 4.0), (3.0, 12.0)];
        let pace = Pace { steps_ms, most_active: 2, reads: 1_000.0 };
        assert_eq!([0, 1, 2, 3, 9].map(|n| pace.step_ms(n)), [4.0, 4.0, 8.0, 12.0, 12.0]);
        let server = Batching::start(pace);
        let (answer, took) = ask(&server, 5);
        assert_eq!(answer.matches("\"word \"").count(), 5, "{answer}");
        assert!(answer.contains(r#""completion_tokens":5"#) && answer.contains(r#""prompt_ms":3.0"#), "{answer}");
        assert!(took >= Duration::from_millis(3 + 5 * 4), "{took:?}");
        let both = std::thread::scope(|scope| {
            let one = [0, 1, 2].map(|_| scope.spawn(|| ask(&server, 5)));
            one.map(|one| one.join().unwrap())
        });
        assert!(both.iter().all(|(answer, _)| answer.matches("\"word \"").count() == 5));
        // Two at work at once and the third after: ten steps of 8 ms and 4 ms, five of each, and three prompts.
        let longest = both.iter().map(|(_, took)| *took).max().unwrap();
        assert!(longest >= Duration::from_millis(5 * 8 + 5 * 4), "{longest:?}");
    }
}
