//! What looking for refusals costs a stream and a whole answer: `cargo run --release -p wire --example refusal_speed`.

use std::hint::black_box;
use std::io::Write as _;
use std::time::{Duration, Instant};

use wire::openai::{answer, chunk};
use wire::refusal::{Beginning, manner};

const ROUNDS: usize = 400;

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for n in [20, 200, 2000] {
        let events: Vec<String> = (0..n).map(event).collect();
        let read = |look: bool| {
            let mut beginning = Beginning::default();
            for event in &events {
                let facts = black_box(chunk::inspect(event.as_bytes()));
                if look {
                    beginning.push(event.as_bytes(), &facts.says);
                }
            }
            if look {
                black_box(beginning.manner());
            }
        };
        let (without, with) = both(|| read(false), || read(true));
        line(&mut out, &format!("a stream of {n} events"), without, with)?;
        let text = "I am glad that you ask. ".repeat(n / 4);
        let body = format!(r#"{{"choices":[{{"index":0,"message":{{"content":"{text}"}},"finish_reason":"stop"}}]}}"#);
        let (without, with) = both(
            || drop(black_box(answer::inspect(body.as_bytes()))),
            || {
                black_box(answer::inspect(body.as_bytes()).declines(body.as_bytes()));
            },
        );
        line(&mut out, &format!("an answer of {} bytes", body.len()), without, with)?;
    }
    let refusal = "Es tut mir leid, aber ich kann Ihnen bei dieser Anfrage leider nicht weiterhelfen.";
    let (nothing, one) = both(
        || (),
        || {
            black_box(manner(refusal));
        },
    );
    writeln!(out, "a refusal by itself: {:?}", one.saturating_sub(nothing))
}

fn event(n: usize) -> String {
    format!(
        r#"{{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"m","choices":[{{"index":0,"delta":{{"content":" word{n}"}},"finish_reason":null}}]}}"#
    )
}

fn line(out: &mut impl std::io::Write, what: &str, without: Duration, with: Duration) -> std::io::Result<()> {
    let ratio = with.as_secs_f64() / without.as_secs_f64();
    writeln!(out, "{what}: {without:?} read, {with:?} looked at, ratio {ratio:.3}")
}

/// The medians of both, measured in turns.
fn both(one: impl Fn(), other: impl Fn()) -> (Duration, Duration) {
    let (mut ones, mut others) = (Vec::with_capacity(ROUNDS), Vec::with_capacity(ROUNDS));
    for _ in 0..ROUNDS {
        ones.push(time(&one));
        others.push(time(&other));
    }
    ones.sort_unstable();
    others.sort_unstable();
    (ones[ROUNDS / 2], others[ROUNDS / 2])
}

fn time(work: &impl Fn()) -> Duration {
    let began = Instant::now();
    work();
    began.elapsed()
}
