//! Services of their own: a server of text need not have them, and an application that uses them needs them somewhere.
//!
//! A model that cannot do a service says nothing of the server, unless it was named for just that. What is made at the server for a question
//! is deleted again.

use std::time::{Duration, Instant};

use http::Method;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use wire::capability::Capability as Can;
use wire::record::Endpoint;

use super::samples::{FORM, File, form, is_picture, picture, tone};
use crate::conformance::Row;
use crate::conformance::ask::{Answer, Ask, Line};
use crate::conformance::case::{Case, Fault, Outcome, case, degraded, fine, missing, unknown};

/// What is under way at the server is looked at so often.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Assistants answer to this only.
const BETA: (HeaderName, HeaderValue) =
    (HeaderName::from_static("openai-beta"), HeaderValue::from_static("assistants=v2"));

/// Services that are asked and answer.
pub(super) async fn asked(line: &Line<'_>) -> Vec<Row> {
    if !line.services {
        return Vec::new();
    }
    vec![
        case(line, Can::Moderation, moderation).await,
        case(line, Can::Rerank, rerank).await,
        case(line, Can::Transcription, transcription).await,
        case(line, Can::Speech, speech).await,
        case(line, Can::Images, images).await,
    ]
}

/// Services that keep something at the server.
pub(super) async fn kept(line: &Line<'_>) -> Vec<Row> {
    if !line.services {
        return Vec::new();
    }
    vec![
        case(line, Can::Files, files).await,
        case(line, Can::Batches, batches).await,
        case(line, Can::Assistants, assistants).await,
    ]
}

async fn moderation(case: &Case<'_, '_>) -> Outcome {
    let input = ["The lighthouse stands on a rock.", "Bread is made of flour and water."];
    let request = json!({"model": model(case), "input": input});
    let answer = case.ask(Ask::of(Endpoint::Moderations, &request)).await?;
    let results = taken(case, &answer)?["results"].as_array().cloned().unwrap_or_default();
    let is_whole = |result: &Value| result["categories"].is_object() && result["category_scores"].is_object();
    match results.as_slice() {
        [] => missing("there are no results"),
        results if !results.iter().all(|result| result["flagged"].is_boolean()) => missing("flagged is not there"),
        results if results.len() != input.len() => degraded(format!("{} results for two inputs", results.len())),
        results if results.iter().all(is_whole) => fine(),
        _ => degraded("flagged without categories or their scores"),
    }
}

async fn rerank(case: &Case<'_, '_>) -> Outcome {
    let documents = ["The sea is blue.", "A dog barks at night.", "Bread is made of flour."];
    let request =
        json!({"model": model(case), "query": "Which animal barks at night?", "documents": documents, "top_n": 2});
    let answer = case.ask(Ask::of(Endpoint::Rerank, &request)).await?;
    let json = taken(case, &answer)?;
    let Some(results) = json["results"].as_array() else { return missing("there is no list of results") };
    let scores: Option<Vec<f64>> = results.iter().map(|result| result["relevance_score"].as_f64()).collect();
    let Some(scores) = scores else { return degraded("results without relevance_score") };
    if results.len() != 2 {
        degraded(format!("{} results for top_n: 2", results.len()))
    } else if scores[0] < scores[1] {
        degraded("the best is not first")
    } else if results[0]["index"] != 1 {
        degraded("the document that answers is not first")
    } else {
        fine()
    }
}

async fn transcription(case: &Case<'_, '_>) -> Outcome {
    let tone = tone();
    let file = File { field: "file", name: "tone.wav", media: "audio/wav", bytes: &tone };
    let ask = sent(Endpoint::Transcriptions, &[("model", model(case)), ("response_format", "json")], &file);
    let answer = case.ask(ask).await?;
    if answer.status == 200 && answer.json.is_none() && !answer.body.is_empty() {
        return degraded("plain text where JSON was asked for");
    }
    if taken(case, &answer)?["text"].is_string() { fine() } else { missing("there is no text") }
}

async fn speech(case: &Case<'_, '_>) -> Outcome {
    let request = json!({"model": model(case), "input": "A lighthouse.", "voice": "alloy", "response_format": "wav"});
    let answer = case.ask(Ask::of(Endpoint::Speech, &request)).await?;
    if answer.status != 200 {
        return Err(refused(case, &answer));
    }
    let is_wav = answer.body.starts_with(b"RIFF") && answer.body.get(8..12) == Some(b"WAVE");
    match answer.media() {
        _ if is_wav => fine(),
        Some(media) if media.starts_with("audio/") && !answer.body.is_empty() => {
            degraded(format!("{media} where WAV was asked for"))
        }
        _ => missing("no sound came"),
    }
}

async fn images(case: &Case<'_, '_>) -> Outcome {
    let request = json!({"model": model(case), "prompt": "a blue square", "n": 1, "size": "1024x1024"});
    let answer = case.ask(Ask { is_slow: true, ..Ask::of(Endpoint::ImageGenerations, &request) }).await?;
    drawn(taken(case, &answer)?)?;
    let picture = picture();
    let file = File { field: "image", name: "square.png", media: "image/png", bytes: &picture };
    let fields = [("model", model(case)), ("prompt", "a red square"), ("n", "1"), ("size", "1024x1024")];
    let answer = case.ask(Ask { is_slow: true, ..sent(Endpoint::ImageEdits, &fields, &file) }).await?;
    match answer.status {
        200 => drawn(answer.success()?),
        404 | 405 | 501 => degraded(format!("images of words, and no edits of one: {}", answer.said())),
        _ => Ok(format!("edits of one were not measured: {}", answer.said())),
    }
}

fn drawn(json: &Value) -> Outcome {
    let image = &json["data"][0];
    let is_url = image["url"].as_str().is_some_and(|url| url.starts_with("http"));
    if is_url || image["b64_json"].as_str().is_some_and(is_picture) { fine() } else { missing("no image came") }
}

async fn files(case: &Case<'_, '_>) -> Outcome {
    let text = line_of_batch(case);
    let uploaded = upload(case, &text).await?;
    let content = case.ask(Ask::get(format!("/files/{uploaded}/content"))).await;
    let deleted = delete(case, &format!("/files/{uploaded}")).await;
    let content = content?;
    if content.status != 200 {
        return degraded(format!("it is taken and cannot be read back: {}", content.said()));
    }
    if content.body != text.as_bytes() {
        return degraded("what is read back is not what was sent");
    }
    deleted
}

/// A batch of one question; what is not done within the time of a question is cancelled, and nothing is claimed of it.
async fn batches(case: &Case<'_, '_>) -> Outcome {
    let file = match upload(case, &line_of_batch(case)).await {
        Ok(file) => file,
        Err(Fault::Missing(how)) => {
            let listed = case.ask(Ask::get("/batches")).await?;
            let why = format!("no file can be uploaded for one: {how}");
            return if listed.status == 200 { unknown(why) } else { missing(why) };
        }
        Err(fault) => return Err(fault),
    };
    let outcome = batch(case, &file).await;
    let deleted = delete(case, &format!("/files/{file}")).await;
    outcome.and_then(|remark| deleted.map(|_| remark))
}

async fn batch(case: &Case<'_, '_>, file: &str) -> Outcome {
    let request = json!({"input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h"});
    let answer = case.ask(Ask::of(Endpoint::Batches, &request)).await?;
    let id = id_of(taken(case, &answer)?)?;
    let path = format!("/batches/{id}");
    let done = until(case, &path, &["completed", "failed", "expired", "cancelled"]).await?;
    let Some(done) = done else {
        case.ask(Ask::of(Endpoint::Batches, &json!({})).below(format!("{path}/cancel"))).await?;
        return unknown("a batch is taken; it was not done within the time of a question, and was cancelled");
    };
    let Some(output) = done["output_file_id"].as_str().filter(|_| done["status"] == "completed") else {
        return missing(format!("the batch ended as {}", done["status"].as_str().unwrap_or("nothing known")));
    };
    let content = case.ask(Ask::get(format!("/files/{output}/content"))).await?;
    let deleted = delete(case, &format!("/files/{output}")).await;
    let line: Value = serde_json::from_slice(content.body.split(|byte| *byte == b'\n').next().unwrap_or_default())
        .unwrap_or_default();
    let is_answered = line["response"]["body"]["choices"][0]["message"]["content"].is_string();
    if line["custom_id"] == CUSTOM_ID && is_answered { deleted } else { degraded("its output has no answer in it") }
}

/// An assistant, a thread and a run of one on the other.
async fn assistants(case: &Case<'_, '_>) -> Outcome {
    let made = json!({"model": model(case), "name": "crossfade conformance", "instructions": "Answer with one word."});
    let answer = case.ask(beta(Ask::of(Endpoint::Assistants, &made))).await?;
    let assistant = id_of(taken(case, &answer)?)?;
    let outcome = run(case, &assistant).await;
    let deleted = delete(case, &format!("/assistants/{assistant}")).await;
    outcome.and_then(|remark| deleted.map(|_| remark))
}

async fn run(case: &Case<'_, '_>, assistant: &str) -> Outcome {
    let words = json!({"messages": [{"role": "user", "content": "Say hello."}]});
    let answer = case.ask(beta(Ask::of(Endpoint::Threads, &words))).await?;
    let thread = id_of(answer.success()?)?;
    let outcome = on_thread(case, assistant, &format!("/threads/{thread}")).await;
    let deleted = delete(case, &format!("/threads/{thread}")).await;
    outcome.and_then(|remark| deleted.map(|_| remark))
}

async fn on_thread(case: &Case<'_, '_>, assistant: &str, thread: &str) -> Outcome {
    let run = Ask::of(Endpoint::Threads, &json!({"assistant_id": assistant})).below(format!("{thread}/runs"));
    let answer = case.ask(beta(run)).await?;
    let run = id_of(answer.success()?)?;
    let ends = ["completed", "failed", "cancelled", "expired", "incomplete", "requires_action"];
    let Some(done) = until(case, &format!("{thread}/runs/{run}"), &ends).await? else {
        return unknown("an assistant is made; its run was not done within the time of a question");
    };
    if done["status"] != "completed" {
        return missing(format!("the run ended as {}", done["status"].as_str().unwrap_or("nothing known")));
    }
    let messages = case.ask(beta(Ask::get(format!("{thread}/messages")))).await?;
    let said = messages.success()?["data"].as_array().cloned().unwrap_or_default();
    let answer = said.iter().find(|message| message["role"] == "assistant");
    match answer.map(|message| &message["content"][0]["text"]["value"]) {
        Some(Value::String(_)) => fine(),
        _ => degraded("the thread has no message of the assistant"),
    }
}

/// Looks until the status is one of these; none when it is not within the time of a question.
async fn until(case: &Case<'_, '_>, path: &str, ends: &[&str]) -> Result<Option<Value>, Fault> {
    let began = Instant::now();
    loop {
        let answer = case.ask(beta(Ask::get(path))).await?;
        let json = answer.success()?;
        if ends.iter().any(|end| json["status"] == *end) {
            return Ok(Some(json.clone()));
        }
        if began.elapsed() + LOOK_EVERY >= case.line.patience() {
            return Ok(None);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

const CUSTOM_ID: &str = "conformance-1";

/// The file of a batch of one question.
fn line_of_batch(case: &Case<'_, '_>) -> String {
    let body = json!({"model": model(case), "messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 4});
    json!({"custom_id": CUSTOM_ID, "method": "POST", "url": "/v1/chat/completions", "body": body}).to_string() + "\n"
}

/// Uploads a file and says its id.
async fn upload(case: &Case<'_, '_>, text: &str) -> Result<String, Fault> {
    let file = File { field: "file", name: "conformance.jsonl", media: "application/jsonl", bytes: text.as_bytes() };
    let answer = case.ask(sent(Endpoint::Files, &[("purpose", "batch")], &file)).await?;
    let json = answer.success()?;
    let id = id_of(json)?;
    if json["object"] == "file" { Ok(id) } else { degraded("object is not file") }
}

/// Deletes what was made; what stays is named, so that somebody can.
async fn delete(case: &Case<'_, '_>, path: &str) -> Outcome {
    let ask = Ask { method: Method::DELETE, ..Ask::get(path) };
    let answer = case.ask(beta(ask)).await?;
    let is_gone = answer.status == 200 && answer.json.as_ref().is_some_and(|json| json["deleted"] == true);
    if is_gone { fine() } else { degraded(format!("{path} is still there, {}", answer.said())) }
}

fn beta(mut ask: Ask) -> Ask {
    ask.headers.insert(BETA.0, BETA.1);
    ask
}

/// A form with a file.
fn sent(endpoint: Endpoint, fields: &[(&str, &str)], file: &File<'_>) -> Ask {
    let (body, words) = form(fields, file);
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(FORM))]);
    Ask { body, headers, shown: Some(words), ..Ask::of(endpoint, &Value::Null) }
}

fn id_of(json: &Value) -> Result<String, Fault> {
    match json["id"].as_str() {
        Some(id) if !id.is_empty() => Ok(id.to_owned()),
        _ => missing("it has no id"),
    }
}

/// The model that is asked for this service.
fn model<'c>(case: &'c Case<'_, '_>) -> &'c str {
    case.line.service_models.get(&case.capability()).unwrap_or(&case.line.model)
}

fn taken<'a>(case: &Case<'_, '_>, answer: &'a Answer) -> Result<&'a Value, Fault> {
    if answer.status == 200 { answer.success() } else { Err(refused(case, answer)) }
}

/// What a refusal says: a path that is not there is the server's; a model that is not there or cannot is not, unless it was named for this.
fn refused(case: &Case<'_, '_>, answer: &Answer) -> Fault {
    let (said, id) = (answer.said(), case.capability().id());
    let error = answer.json.as_ref().map(|json| json["error"].clone()).unwrap_or_default();
    let names_model = error["code"] == "model_not_found"
        || error["param"] == "model"
        || error["message"].as_str().is_some_and(|words| words.contains(model(case)));
    let is_named = case.line.service_models.contains_key(&case.capability());
    match answer.status {
        401..=403 | 429 => Fault::Unknown(said),
        404 | 405 | 501 if !names_model => Fault::Missing(said),
        404 if is_named => Fault::Unknown(said),
        _ if is_named => Fault::Missing(said),
        _ => Fault::Unknown(format!("the model does not do it; name one with --service-model {id}=MODEL ({said})")),
    }
}
