//! Embeddings.

use std::ops::Range;

use bytes::Bytes;
use serde_json::Value;

use super::{Findings, Plan};
use crate::base64;
use crate::capability::{Capability, Treatment};
use crate::record::AdaptationAction;
use crate::scan::cursor::{Array, Object, begins_with};
use crate::scan::{Kind, ScanError};
use crate::splice::{Edit, Pieces};

/// Looks at the embeddings of an answer; the answer put right, when there was something to be.
pub(super) fn mend(plan: &Plan, body: &Bytes, findings: &mut Findings) -> Result<Option<Bytes>, ScanError> {
    let mut edits = Vec::new();
    let all = embeddings(body)?;
    if plan.n_inputs.is_some_and(|n| n != all.len()) {
        plan.count(Capability::EmbeddingsBatch, findings);
    }
    for (kind, range) in all {
        let nested = kind == Kind::Array && begins_with(body, first(body, &range), b'[');
        if nested && !plan.fixes(Capability::Embeddings) {
            plan.count(Capability::Embeddings, findings);
            continue;
        }
        if kind != Kind::Array {
            continue;
        }
        let encode = plan.base64 && plan.fixes(Capability::EmbeddingsBase64);
        let counts = plan.treatment(Capability::EmbeddingsDimensions) != Treatment::Pass;
        if !nested && !encode && !counts {
            continue;
        }
        let Some(vector) = vector(&body[range.clone()]) else { continue };
        if plan.dimensions.is_some_and(|n| n != vector.len() as u64) {
            plan.count(Capability::EmbeddingsDimensions, findings);
        }
        if nested {
            findings.note(Capability::Embeddings, AdaptationAction::Fixed);
        }
        if encode {
            findings.note(Capability::EmbeddingsBase64, AdaptationAction::Fixed);
        }
        // A caller that asked for base64 of a server that did not listen is owed it all the same once the vector is rewritten.
        if encode || (nested && plan.base64) {
            edits.push(Edit::new(range, format!("\"{}\"", encoded(&vector))));
        } else if nested {
            edits.push(Edit::new(range, serde_json::to_string(&vector).unwrap_or_default()));
        }
    }
    Ok((!edits.is_empty()).then(|| Pieces::of(body.clone(), &edits).to_bytes()))
}

/// The first byte after the bracket that is no white space.
fn first(body: &[u8], range: &Range<usize>) -> usize {
    let inside = &body[range.start + 1..range.end];
    range.start + 1 + inside.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(0)
}

/// The value of `embedding` of each element of `data`.
fn embeddings(body: &[u8]) -> Result<Vec<(Kind, Range<usize>)>, ScanError> {
    let mut found = Vec::new();
    let mut top = Object::open_top(body)?;
    while let Some(key) = top.next_key()? {
        let (kind, value) = top.skip()?;
        if key.name.as_ref() != b"data" || kind != Kind::Array {
            continue;
        }
        let mut walk = Array::open(body, value.start)?;
        while walk.next_value()? {
            let (kind, element) = walk.skip()?;
            if kind == Kind::Object {
                let mut members = Object::open(body, element.start)?;
                while let Some(key) = members.next_key()? {
                    let embedding = members.skip()?;
                    if key.name.as_ref() == b"embedding" {
                        found.push(embedding);
                    }
                }
            }
        }
    }
    Ok(found)
}

/// The vector that `json` is, or the mean of the vectors of its tokens: what pooling by the mean makes of them.
fn vector(json: &[u8]) -> Option<Vec<f64>> {
    let rows: Vec<Value> = serde_json::from_slice(json).ok()?;
    let numbers = |row: &Value| -> Option<Vec<f64>> { row.as_array()?.iter().map(Value::as_f64).collect() };
    if rows.iter().all(Value::is_number) {
        return rows.iter().map(Value::as_f64).collect();
    }
    let rows: Vec<Vec<f64>> = rows.iter().map(numbers).collect::<Option<_>>()?;
    let width = rows.first()?.len();
    if rows.iter().any(|row| row.len() != width) {
        return None;
    }
    let n = f64::from(u32::try_from(rows.len()).ok()?);
    Some((0..width).map(|column| rows.iter().map(|row| row[column]).sum::<f64>() / n).collect())
}

/// 32-bit little-endian floats in base64.
fn encoded(vector: &[f64]) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "32 bits are what the dialect sends")]
    let bytes: Vec<u8> = vector.iter().flat_map(|number| (*number as f32).to_le_bytes()).collect();
    base64::encode(&bytes)
}
