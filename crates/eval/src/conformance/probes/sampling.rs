//! Limits, sampling, and fields that ask for nothing.

use serde_json::{Value, json};
use wire::capability::Capability as Can;

use crate::conformance::Row;
use crate::conformance::ask::Line;
use crate::conformance::case::{
    Case, Fault, Outcome, case, completion_tokens, degraded, fine, finish_of, missing, text_of, unknown,
};

/// A text that no model ends soon.
const ENDLESS: &str = "Count from 1 to 500 in words, one number after the other, and write nothing else.";

/// A limit that every answer to [`ENDLESS`] reaches.
const LIMIT: u64 = 6;

/// Limits of an answer.
pub(super) async fn limits(line: &Line<'_>) -> Vec<Row> {
    let max_tokens = case(line, Can::MaxTokens, async |case| limited(case, "max_tokens").await).await;
    let newer = case(line, Can::MaxCompletionTokens, async |case| limited(case, "max_completion_tokens").await).await;
    let string = case(line, Can::StopString, async |case| stopped(case, |stop| json!(stop)).await).await;
    let array = case(line, Can::StopArray, async |case| stopped(case, |stop| json!([stop, "\u{7}\u{7}"])).await).await;
    vec![max_tokens, newer, string, array]
}

async fn limited(case: &Case<'_, '_>, field: &str) -> Outcome {
    // Without a limit this goes on for long; a server that ignores the field is cut off after the patience, which tells too.
    let fields = json!({"max_tokens": null});
    let mut request = case.request(ENDLESS, &fields);
    request[field] = LIMIT.into();
    // The safety net of a server that ignores the field: it stops here, and this is longer than the limit.
    request["stop"] = json!(["fifty", "Fifty"]);
    let answer = case.ask(crate::conformance::ask::Ask::of(wire::record::Endpoint::ChatCompletions, &request)).await?;
    let json = answer.success()?;
    match completion_tokens(json) {
        Some(n) if n > LIMIT => missing(format!("{n} tokens for a limit of {LIMIT}")),
        Some(n) if finish_of(json, 0) == "length" => {
            if n == LIMIT {
                fine()
            } else {
                Ok(format!("{n} tokens for a limit of {LIMIT}"))
            }
        }
        Some(n) if n < LIMIT => unknown(format!("the answer ended by itself after {n} tokens")),
        Some(_) => degraded(format!("the finish reason is `{}`, not length", finish_of(json, 0))),
        // Six tokens are never more than this.
        None if text_of(json, 0).len() > 120 => missing("the answer is far longer than the limit"),
        None => unknown("the answer does not say how many tokens it has"),
    }
}

/// Takes a piece from the middle of what is said without stop, and says it again with that piece as stop.
async fn stopped(case: &Case<'_, '_>, form: impl Fn(&str) -> Value) -> Outcome {
    let fields = json!({"max_tokens": 24});
    let whole = case.chat(ENDLESS, &fields).await?;
    let text = text_of(whole.success()?, 0).to_owned();
    let Some((before, stop)) = middle(&text) else { return unknown("the text is too short to stop in it") };
    let mut with_stop = fields;
    with_stop["stop"] = form(&stop);
    let answer = case.chat(ENDLESS, &with_stop).await?;
    let json = answer.success()?;
    let said = text_of(json, 0);
    if said.contains(&stop) {
        return missing(if said == text { "ignored" } else { "the text it should stop at is in the answer" });
    }
    match finish_of(json, 0) {
        "stop" if said.trim_end() == before.trim_end() => fine(),
        "stop" => Ok("it stopped; the text before differs from the one without stop".to_owned()),
        other => degraded(format!("the finish reason is `{other}`, not stop")),
    }
}

/// A piece of a few letters from the second half of `text` that is not in what comes before it, and what comes before.
fn middle(text: &str) -> Option<(String, String)> {
    let letters: Vec<(usize, char)> = text.char_indices().collect();
    (letters.len() / 3..letters.len().saturating_sub(4)).find_map(|idx| {
        let (from, to) = (letters[idx].0, letters[idx + 4].0);
        let piece = &text[from..to];
        let fresh = text.find(piece) == Some(from) && piece.chars().all(char::is_alphabetic);
        fresh.then(|| (text[..from].to_owned(), piece.to_owned()))
    })
}

/// What is drawn: choices, probabilities, seeds, biases.
pub(super) async fn draws(line: &Line<'_>) -> Vec<Row> {
    let mut two: Option<Value> = None;
    let n = case(line, Can::N, async |case| {
        let mut outcome = unknown("nothing was asked");
        // A model may end early: then the usage tells nothing, and another sample is taken.
        for _ in 0..3 {
            let answer = case.chat(ENDLESS, &json!({"n": 2, "max_tokens": LIMIT, "temperature": 1})).await?;
            let json = answer.success()?;
            outcome = two_choices(json);
            let full = n_full(json) == 2;
            two = Some(json.clone());
            if full || outcome.is_err() {
                break;
            }
        }
        outcome
    })
    .await;
    let evidence = n.evidence.clone();
    let mut usage_n = case(line, Can::UsageN, async |_| usage_of_two(two.as_ref())).await;
    usage_n.evidence = evidence;
    let logprobs = case(line, Can::Logprobs, logprobs).await;
    let seed = case(line, Can::Seed, seed).await;
    let bias = case(line, Can::LogitBias, bias).await;
    vec![n, usage_n, logprobs, seed, bias]
}

fn two_choices(answer: &Value) -> Outcome {
    let choices = answer["choices"].as_array().into_iter().flatten();
    let indices: Vec<u64> = choices.filter_map(|choice| choice["index"].as_u64()).collect();
    match indices.as_slice() {
        [0, 1] => fine(),
        [_] => missing("one choice for n: 2"),
        _ => degraded(format!("the choices have the indices {indices:?}")),
    }
}

/// How many of two choices went on to the limit.
fn n_full(answer: &Value) -> usize {
    (0..2).filter(|choice| finish_of(answer, *choice) == "length").count()
}

fn usage_of_two(answer: Option<&Value>) -> Outcome {
    let Some(answer) = answer.filter(|answer| answer["choices"].as_array().is_some_and(|choices| choices.len() == 2))
    else {
        return unknown("there are no two choices");
    };
    match completion_tokens(answer) {
        None => missing("not in the answer"),
        Some(_) if n_full(answer) < 2 => unknown("a choice ended by itself"),
        Some(n) if n >= 2 * LIMIT => fine(),
        Some(n) => degraded(format!("{n} tokens for two choices of {LIMIT}")),
    }
}

async fn logprobs(case: &Case<'_, '_>) -> Outcome {
    let answer = case.chat("Say hello.", &json!({"logprobs": true, "top_logprobs": 2, "max_tokens": 3})).await?;
    let json = answer.success()?;
    let entries = match json["choices"][0]["logprobs"]["content"].as_array() {
        Some(entries) if !entries.is_empty() => entries,
        _ if json["choices"][0]["logprobs"].is_object() => return degraded("another form than logprobs.content"),
        _ => return missing("not in the answer"),
    };
    // The vendor's own `bytes` may be null; they may not be absent.
    let whole =
        |entry: &Value| entry["token"].is_string() && entry["logprob"].is_number() && entry.get("bytes").is_some();
    if !entries.iter().all(whole) {
        return degraded("an entry lacks token, logprob or bytes");
    }
    let tops = entries.iter().all(|entry| entry["top_logprobs"].as_array().is_some_and(|tops| tops.len() == 2));
    if !tops {
        return degraded("there are not as many top_logprobs as asked");
    }
    match completion_tokens(json) {
        // The token that ends an answer may have an entry or not.
        Some(n) if n.abs_diff(entries.len() as u64) > 1 => {
            degraded(format!("{} entries for {n} tokens", entries.len()))
        }
        _ => fine(),
    }
}

async fn seed(case: &Case<'_, '_>) -> Outcome {
    let mut said: Vec<String> = Vec::new();
    for seed in [11, 11, 11, 12, 13] {
        let fields = json!({"seed": seed, "temperature": 1, "max_tokens": 12});
        let answer = case.chat("Invent a story about a lighthouse.", &fields).await?;
        said.push(text_of(answer.success()?, 0).to_owned());
    }
    let alike = said[1] == said[0] && said[2] == said[0];
    let others = said[3] != said[0] || said[4] != said[0];
    match (alike, others) {
        (true, true) => fine(),
        (true, false) => unknown("the model says the same with every seed"),
        (false, _) if said[1] == said[0] || said[2] == said[0] => {
            degraded("two of three answers with one seed are equal")
        }
        (false, _) => missing("three answers with one seed differ"),
    }
}

async fn bias(case: &Case<'_, '_>) -> Outcome {
    let plain = case.chat("Say hello.", &json!({"max_tokens": 6})).await?;
    let plain = text_of(plain.success()?, 0).to_owned();
    // A token that every vocabulary of more than a few hundred tokens has.
    let answer = case.chat("Say hello.", &json!({"max_tokens": 6, "logit_bias": {"270": 100}})).await?;
    let biased = text_of(answer.success()?, 0);
    if biased == plain {
        return missing("ignored: the text is the same");
    }
    let half = biased.len() / 2;
    // One token over and over: every part of the text is like every other.
    let repeats = (1..=half).any(|n| {
        biased.is_char_boundary(n) && biased.len().is_multiple_of(n) && biased == biased[..n].repeat(biased.len() / n)
    });
    if repeats { fine() } else { Ok("the text changed, but the token did not take it over".to_owned()) }
}

/// Fields that ask for nothing.
pub(super) async fn fields(line: &Line<'_>) -> Vec<Row> {
    let vendor = case(line, Can::VendorFields, vendor_fields).await;
    let unknown_field = case(line, Can::UnknownFields, async |case| {
        let answer = case.chat("Say hello.", &json!({"max_tokens": 4, "x_crossfade_unknown": {"a": [1]}})).await?;
        match (answer.status, answer.envelope()) {
            (200, _) => answer.success().map(|_| String::new()),
            (400, Ok(())) => Ok("refused, as the vendor does".to_owned()),
            _ => degraded(answer.said()),
        }
    })
    .await;
    let effort = case(line, Can::ReasoningEffort, async |case| {
        let answer = case.chat("Say hello.", &json!({"max_tokens": 4, "reasoning_effort": "low"})).await?;
        answer.success().map(|_| String::new())
    })
    .await;
    vec![vendor, unknown_field, effort]
}

async fn vendor_fields(case: &Case<'_, '_>) -> Outcome {
    let all = json!({
        "user": "u-1", "metadata": {"a": "b"}, "store": false, "service_tier": "auto", "safety_identifier": "s-1",
        "prompt_cache_key": "k-1",
    });
    let mut fields = all.clone();
    fields["max_tokens"] = 4.into();
    let answer = case.chat("Say hello.", &fields).await?;
    if answer.success().is_ok() {
        return fine();
    }
    let mut refused = Vec::new();
    for (name, value) in all.as_object().into_iter().flatten() {
        let mut fields = json!({"max_tokens": 4});
        fields[name.as_str()] = value.clone();
        if case.chat("Say hello.", &fields).await?.success().is_err() {
            refused.push(name.as_str());
        }
    }
    match refused.as_slice() {
        [] => degraded("refused together, taken one by one"),
        some if some.len() < 6 => degraded(format!("refused: {}", some.join(", "))),
        _ => Err(Fault::Missing(format!("all refused, {}", answer.said()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_is_a_piece_that_comes_once_and_not_at_the_beginning() {
        let (before, stop) = middle("one two three four five six seven").unwrap();
        assert!(!before.contains(&stop) && before.len() >= 10, "{before:?} {stop:?}");
        assert_eq!(middle("short"), None);
        assert_eq!(middle("1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12"), None, "digits may be split otherwise");
        assert!(middle(" please with with yesterday with price damaged closed").is_some());
    }
}
