//! Prints what reading the wire costs, in nanoseconds per operation. Run it with `--release`.

use std::hint::black_box;
use std::io::Write;
use std::time::{Duration, Instant};

use bytes::Bytes;
use wire::openai::{answer, chunk, content};
use wire::record::Endpoint;
use wire::responses::event;
use wire::splice::Patch;
use wire::translate::{Context, Policy};
use wire::{request, scan, sse, translate};

const CHUNK: &[u8] = br#"{"id":"chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz012","object":"chat.completion.chunk","created":1763650000,"model":"gpt-4o-2024-08-06","service_tier":"default","system_fingerprint":"fp_a1b2c3d4e5","choices":[{"index":0,"delta":{"content":" crossing"},"logprobs":null,"finish_reason":null}],"usage":null}"#;

const CODE: &str = r#"    if options.get(\"name\") is None:\n        return [item.strip() for item in items]\n"#;

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for (name, body) in [
        ("0.6 KB", chat(1, 400, "plain ")),
        ("98 KB", chat(1, 98_000, "plain ")),
        ("98 KB, 20 messages, a line break every 60 bytes", chat(20, 4_900, &format!("{}\\n", "word ".repeat(12)))),
        ("98 KB of code", chat(1, 98_000, CODE)),
        ("98 KB of short quoted words", chat(1, 98_000, r#"let x = \"abc\";\n"#)),
    ] {
        let body = Bytes::from(body);
        let view = match request::parse(Endpoint::ChatCompletions, &body) {
            Ok(view) => view,
            Err(error) => return writeln!(out, "cannot read the request: {error}"),
        };
        writeln!(out, "{name} ({} bytes)", body.len())?;
        let parse = time(|| request::parse(Endpoint::ChatCompletions, black_box(&body)).is_ok());
        writeln!(out, "  parse             {parse:>9.0} ns")?;
        writeln!(out, "  top_level         {:>9.0} ns", time(|| scan::top_level(black_box(&body)).is_ok()))?;
        let patch = time(|| {
            let mut patch = Patch::new(&body, &view, "qwen");
            patch.model("Qwen/Qwen3-32B");
            patch.include_usage();
            patch.finish()
        });
        writeln!(out, "  model, usage      {patch:>9.0} ns")?;
    }

    let event = Bytes::from([b"data: ", CHUNK, b"\n\n"].concat());
    writeln!(out, "SSE chunk ({} bytes)", event.len())?;
    writeln!(out, "  inspect           {:>9.0} ns", time(|| chunk::inspect(black_box(CHUNK))))?;
    let mut decoder = sse::Decoder::new();
    let mut events = Vec::new();
    let decode = time(|| {
        events.clear();
        decoder.push(black_box(&event).clone(), &mut events).is_ok()
    });
    writeln!(out, "  decode            {decode:>9.0} ns")?;
    let facts = chunk::inspect(CHUNK);
    let (Some(event), Some(range)) = (events.first(), facts.usage_null_range) else {
        return writeln!(out, "the chunk was not read");
    };
    writeln!(out, "  cut usage         {:>9.0} ns", time(|| event.without(range.clone()).to_bytes()))?;
    let gather = time(|| {
        let mut gathered = content::Accumulator::new();
        gathered.push(black_box(CHUNK));
        gathered
    });
    writeln!(out, "  gather content    {gather:>9.0} ns")?;

    let answer = format!(
        r#"{{"id":"chatcmpl-1","object":"chat.completion","choices":[{{"index":0,"message":{{"role":"assistant","content":"{}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":9,"completion_tokens":12,"prompt_tokens_details":{{"cached_tokens":0}}}}}}"#,
        "word ".repeat(400)
    );
    writeln!(out, "answer ({} bytes)", answer.len())?;
    writeln!(out, "  inspect           {:>9.0} ns", time(|| answer::inspect(black_box(answer.as_bytes()))))?;
    let vector = vec!["-0.0123456789"; 1536].join(",");
    let embedding = format!(r#"{{"object":"list","data":[{{"object":"embedding","embedding":[{vector}]}}]}}"#);
    writeln!(out, "embedding of 1536 floats ({} bytes)", embedding.len())?;
    writeln!(out, "  inspect           {:>9.0} ns", time(|| answer::inspect(black_box(embedding.as_bytes()))))?;
    responses(&mut out)
}

/// Passed through, and translated from chat completions.
fn responses(out: &mut impl Write) -> std::io::Result<()> {
    let delta = br#"{"type":"response.output_text.delta","sequence_number":417,"item_id":"msg_68a7c1f2e8c08190b1b5d4a7c3e2f1a90","output_index":0,"content_index":0,"delta":" crossing","logprobs":[],"obfuscation":"Zx81kQw"}"#;
    writeln!(out, "event of a response ({} bytes)", delta.len())?;
    writeln!(out, "  inspect           {:>9.0} ns", time(|| event::inspect(black_box(delta))))?;
    let context = Context { id: "0123", created_s: 1, request: br#"{"model":"gpt-4o","input":"Hi"}"# };
    let body = format!(r#"{{"model":"gpt-4o","input":[{{"role":"user","content":"{}"}}]}}"#, "word ".repeat(20_000));
    writeln!(out, "translation to and from chat")?;
    let request =
        time(|| translate::responses::request(black_box(body.as_bytes()), &Policy::default(), "qwen").is_ok());
    writeln!(out, "  request of 98 KB  {request:>9.0} ns")?;
    let chunk = sse::Event::parse(Bytes::from([b"data: ", CHUNK, b"\n\n"].concat()));
    let mut stream = translate::responses::Stream::new(&context);
    writeln!(out, "  chunk             {:>9.0} ns", time(|| stream.event(black_box(&chunk)).is_ok()))
}

fn chat(n_messages: usize, bytes: usize, text: &str) -> Vec<u8> {
    let content = text.repeat(bytes / text.len());
    let message = format!(r#"{{"role":"user","content":"{content}"}}"#);
    let messages = vec![message; n_messages].join(",");
    format!(
        r#"{{"model":"gpt-4o","messages":[{{"role":"system","content":"You are a helpful assistant."}},{messages}],"temperature":0.2,"stream":true,"max_tokens":256,"user":"user-1234"}}"#
    )
    .into_bytes()
}

/// The fastest of 20 rounds, in nanoseconds per call: the one least disturbed by others on the machine.
fn time<T>(mut call: impl FnMut() -> T) -> f64 {
    let mut n_calls = 1_u32;
    let mut best = f64::INFINITY;
    let mut rounds = 0;
    while rounds < 20 {
        let start = Instant::now();
        for _ in 0..n_calls {
            black_box(call());
        }
        let elapsed = start.elapsed();
        if elapsed < Duration::from_millis(2) {
            n_calls *= 2;
            continue;
        }
        best = best.min(elapsed.as_secs_f64() * 1e9 / f64::from(n_calls));
        rounds += 1;
    }
    best
}
