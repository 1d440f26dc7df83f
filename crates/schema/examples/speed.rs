//! What holding an answer against a schema costs: `cargo run --release -p schema --example speed`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, Instant};

use schema::{Compiled, Validator, Verdict};

const SCHEMA: &str = r##"{"$defs":{"line":{"type":"object","properties":{"sku":{"type":"string","pattern":"^[A-Z]{3}-[0-9]+$"},
    "name":{"type":"string","maxLength":80},"quantity":{"type":"integer","minimum":1},"price":{"type":["number","null"]},
    "unit":{"enum":["piece","kg","m"]},"note":{"anyOf":[{"type":"string"},{"type":"null"}]}},
    "required":["sku","name","quantity","price","unit","note"],"additionalProperties":false}},
    "type":"object","properties":{"lines":{"type":"array","items":{"$ref":"#/$defs/line"}}},"required":["lines"],"additionalProperties":false}"##;

/// Recursive, and both ways lead down: as much work for its size as is still taken.
const WORST: &str = r##"{"$defs":{"n":{"anyOf":[{"type":"array","items":{"$ref":"#/$defs/n"},"minItems":1000000},
    {"type":"array","items":{"$ref":"#/$defs/n"},"uniqueItems":true,"minItems":1000000},{"type":"string"}]}},"$ref":"#/$defs/n"}"##;

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let compile = median(|| drop(Compiled::new(SCHEMA.as_bytes())));
    writeln!(out, "compile {} bytes: {compile:?}", SCHEMA.len())?;
    for n in [1, 10, 100, 870] {
        for last in ["", r#","surplus":1"#] {
            writeln!(out, "{}", report(n, last))?;
        }
    }
    for depth in 1..20 {
        let text = format!("{}7{}", "[".repeat(depth), "]".repeat(depth));
        let mut validator = Validator::new();
        let verdict = validator.check(WORST.as_bytes(), text.as_bytes());
        let time = median(|| drop(validator.check(WORST.as_bytes(), text.as_bytes())));
        writeln!(out, "worst, {depth} deep: {time:?} {}", word(verdict))?;
    }
    Ok(())
}

fn report(n: usize, last: &str) -> String {
    let mut text = r#"{"lines":["#.to_owned();
    for line in 0..n {
        let comma = if line == 0 { "" } else { "," };
        let last = if line + 1 == n { last } else { "" };
        let at = r#""name":"A thing of some length","quantity":3,"price":12.5,"unit":"piece","note":null"#;
        write!(text, r#"{comma}{{"sku":"ABC-{line}",{at}{last}}}"#).unwrap_or_default();
    }
    text.push_str("]}");
    let mut validator = Validator::new();
    let verdict = validator.check(SCHEMA.as_bytes(), text.as_bytes());
    let time = median(|| drop(validator.check(SCHEMA.as_bytes(), text.as_bytes())));
    format!("{} bytes: {time:?} {}", text.len(), word(verdict))
}

fn word(verdict: Option<Verdict>) -> String {
    match verdict {
        None => "not JSON".to_owned(),
        Some(Verdict::Valid) => "valid".to_owned(),
        Some(Verdict::Invalid(finding)) => format!("{}: {}", finding.path, finding.keyword),
        Some(Verdict::Unknown(why)) => why.as_str().to_owned(),
    }
}

fn median(mut run: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..51)
        .map(|_| {
            let began = Instant::now();
            run();
            began.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}
