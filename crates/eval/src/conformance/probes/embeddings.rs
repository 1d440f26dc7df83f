//! Embeddings.

use serde_json::{Value, json};
use wire::capability::Capability as Can;
use wire::record::Endpoint;

use crate::conformance::Row;
use crate::conformance::ask::{Answer, Ask, Line, Silence};
use crate::conformance::case::{Case, Fault, Outcome, case, degraded, fine, merge, missing, unknown};

const INPUT: &str = "a lighthouse at night";

pub(super) async fn rows(line: &Line<'_>) -> Vec<Row> {
    let mut vector: Option<Vec<f64>> = None;
    let floats = case(line, Can::Embeddings, async |case| {
        let answer = embed(case, &json!({})).await?;
        let json = taken(line, &answer)?;
        let data = &json["data"][0];
        let outcome = shape(json);
        vector = numbers(&data["embedding"]);
        outcome
    })
    .await;
    let vector = vector.as_deref();
    let base64 = case(line, Can::EmbeddingsBase64, async |case| {
        let Some(vector) = vector else { return unknown("there is no embedding to compare with") };
        let answer = embed(case, &json!({"encoding_format": "base64"})).await?;
        match &answer.success()?["data"][0]["embedding"] {
            Value::String(text) => same(vector, &decoded(text).unwrap_or_default()),
            Value::Array(_) => degraded("numbers in place of a text; official SDKs take them too"),
            _ => missing("there is no embedding"),
        }
    })
    .await;
    let dimensions = case(line, Can::EmbeddingsDimensions, async |case| {
        let Some(vector) = vector else { return unknown("there is no embedding to compare with") };
        let answer = embed(case, &json!({"dimensions": 8})).await?;
        if answer.status == 400 {
            return Ok("refused, as the vendor does for models that cannot".to_owned());
        }
        match numbers(&answer.success()?["data"][0]["embedding"]) {
            Some(short) if short.len() == 8 => fine(),
            Some(same) if same.len() == vector.len() => missing(format!("ignored: {} numbers", same.len())),
            Some(other) => degraded(format!("{} numbers for 8", other.len())),
            None => missing("there is no embedding"),
        }
    })
    .await;
    let batch = case(line, Can::EmbeddingsBatch, async |case| {
        let Some(vector) = vector else { return unknown("there is no embedding to compare with") };
        let answer = embed(case, &json!({"input": ["another text", INPUT]})).await?;
        let json = answer.success()?;
        let data = json["data"].as_array().cloned().unwrap_or_default();
        if data.len() != 2 {
            return missing(format!("{} embeddings for two inputs", data.len()));
        }
        if data[0]["index"] != 0 || data[1]["index"] != 1 {
            return degraded("the indices are not 0 and 1");
        }
        same(vector, &numbers(&data[1]["embedding"]).unwrap_or_default())
    })
    .await;
    let tokens = case(line, Can::EmbeddingsTokens, async |case| {
        if vector.is_none() {
            return unknown("there is no embedding to compare with");
        }
        let answer = embed(case, &json!({"input": [[264, 265, 266]]})).await?;
        match numbers(&answer.success()?["data"][0]["embedding"]) {
            Some(_) => fine(),
            None => missing("there is no embedding"),
        }
    })
    .await;
    vec![floats, base64, dimensions, batch, tokens]
}

async fn embed(case: &Case<'_, '_>, fields: &Value) -> Result<Answer, Silence> {
    let model = case.line.embedding_model.as_ref().unwrap_or(&case.line.model);
    let mut request = json!({"model": model, "input": INPUT, "encoding_format": "float"});
    merge(&mut request, fields);
    case.ask(Ask::of(Endpoint::Embeddings, &request)).await
}

/// A chat model that refuses to embed says nothing of its server; a path that is not there does.
fn taken<'a>(line: &Line<'_>, answer: &'a Answer) -> Result<&'a Value, Fault> {
    let named = line.embedding_model.is_some();
    if answer.status >= 400 && !matches!(answer.status, 404 | 405 | 501) && !named {
        let said = answer.said();
        return unknown(format!("the model does not embed; name one with --embedding-model ({said})"));
    }
    answer.success()
}

fn shape(json: &Value) -> Outcome {
    let data = &json["data"][0];
    if let Some(first) = data["embedding"].as_array().and_then(|vector| vector.first())
        && first.is_array()
    {
        let n = data["embedding"].as_array().map_or(0, Vec::len);
        return degraded(format!("a list of {n} lists in place of one vector"));
    }
    if numbers(&data["embedding"]).is_none_or(|vector| vector.is_empty()) {
        return missing("there is no list of numbers");
    }
    if json["object"] != "list" || data["object"] != "embedding" || data["index"] != 0 {
        return degraded("object or index is not as it should be");
    }
    if json["usage"]["prompt_tokens"].as_u64().is_none_or(|n| n == 0) {
        return degraded("the usage is missing");
    }
    fine()
}

fn numbers(value: &Value) -> Option<Vec<f64>> {
    value.as_array()?.iter().map(Value::as_f64).collect()
}

/// Little-endian 32-bit floats in base64.
fn decoded(text: &str) -> Option<Vec<f64>> {
    let bytes = wire::base64::decode(text)?;
    let floats = bytes.chunks_exact(4).map(|four| f64::from(f32::from_le_bytes([four[0], four[1], four[2], four[3]])));
    Some(floats.collect())
}

/// Two readings of one input; batching and 32 bits may move the last digits.
fn same(one: &[f64], other: &[f64]) -> Outcome {
    if one.len() != other.len() {
        return degraded(format!("{} numbers in place of {}", other.len(), one.len()));
    }
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let cosine = dot(one, other) / (dot(one, one).sqrt() * dot(other, other).sqrt());
    if cosine > 0.999 { fine() } else { degraded(format!("another vector, cosine {cosine:.3}")) }
}
