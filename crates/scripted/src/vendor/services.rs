//! Services of their own: moderation, reranking, sound, images, and what is kept: files, batches, assistants and threads.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::{MODEL, Quirk, Said, Vendor};
use crate::{Received, Script};

/// What is kept, by its path below `/v1`.
#[derive(Default)]
pub(crate) struct Kept(Mutex<BTreeMap<String, Vec<u8>>>);

impl Kept {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Vendor {
    /// The answer of a service; none where the path is no service's or there are none.
    pub(super) fn service(&self, request: &Received, path: &str) -> Option<Script> {
        if self.has(Quirk::NoServices) {
            return None;
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let said = match (request.method.as_str(), path) {
            ("POST", "/moderations") => self.moderation(&body),
            ("POST", "/rerank") => self.rerank(&body),
            ("POST", "/audio/transcriptions") => return Some(self.transcription(request)),
            ("POST", "/audio/speech") => return Some(self.speech()),
            ("POST", "/images/generations") => self.image(body["prompt"].is_string()),
            ("POST", "/images/edits") if !self.has(Quirk::NoImageEdits) => {
                self.image(part(&request.body, "image").is_some_and(|image| image.starts_with(&PNG)))
            }
            ("POST", "/files") => self.file(request),
            ("POST", "/batches") => self.batch(&body),
            ("POST", "/assistants") => self.make("/assistants", "asst", json!({"object": "assistant"})),
            ("POST", "/threads") => self.make("/threads", "thread", json!({"object": "thread"})),
            ("POST", path) if path.ends_with("/runs") => {
                let status = if self.has(Quirk::RunsFail) { "failed" } else { "completed" };
                self.make(path, "run", json!({"object": "thread.run", "status": status}))
            }
            ("POST", path) if path.ends_with("/cancel") => Said::ok(json!({"status": "cancelling"})),
            ("GET", path) if path.ends_with("/messages") => Said::ok(json!({"object": "list", "data": [
                {"role": "assistant", "content": [{"type": "text", "text": {"value": "hello", "annotations": []}}]},
            ]})),
            ("GET", "/batches") => Said::ok(json!({"object": "list", "data": []})),
            ("GET" | "DELETE", path) => return self.kept(&request.method, path),
            _ => return None,
        };
        Some(self.said(&said))
    }

    fn moderation(&self, body: &Value) -> Said {
        let n = body["input"].as_array().map_or(1, Vec::len);
        let scores = json!({"violence": 0.001, "hate": 0.0});
        let result = if self.has(Quirk::ModerationBare) {
            json!({"flagged": false})
        } else {
            json!({"flagged": false, "categories": {"violence": false, "hate": false}, "category_scores": scores})
        };
        Said::ok(json!({"id": "modr-1", "model": MODEL, "results": vec![result; n]}))
    }

    /// A document is as good as many words of it are in the question.
    fn rerank(&self, body: &Value) -> Said {
        let query = body["query"].as_str().unwrap_or_default().to_lowercase();
        let (Some(documents), false) = (body["documents"].as_array(), query.is_empty()) else {
            return self.error(400, "query or documents are missing.", Some("documents"), None);
        };
        let score = |document: &Value| {
            let text = document.as_str().unwrap_or_default().to_lowercase();
            let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
            let n_in = words.iter().filter(|word| query.contains(**word)).count();
            f64::from(u32::try_from(n_in).unwrap_or(0)) / f64::from(u32::try_from(words.len().max(1)).unwrap_or(1))
        };
        let mut results: Vec<(usize, f64)> = documents.iter().map(score).enumerate().collect();
        results.sort_by(|a, b| b.1.total_cmp(&a.1));
        if self.has(Quirk::RerankReversed) {
            results.reverse();
        }
        results.truncate(body["top_n"].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX));
        let results: Vec<Value> =
            results.iter().map(|(index, score)| json!({"index": index, "relevance_score": score})).collect();
        Said::ok(json!({"id": "rerank-1", "model": MODEL, "results": results}))
    }

    fn transcription(&self, request: &Received) -> Script {
        let Some(sound) = part(&request.body, "file").filter(|file| file.starts_with(b"RIFF")) else {
            return self.said(&self.error(400, "There is no sound.", Some("file"), None));
        };
        let text = format!("{} bytes of a tone", sound.len());
        if self.has(Quirk::TranscriptionPlain) {
            return self.said(&Said { status: 200, body: Value::String(text) });
        }
        self.said(&Said::ok(json!({"text": text})))
    }

    fn speech(&self) -> Script {
        let (media, bytes): (_, &[u8]) = if self.has(Quirk::SpeechMp3) {
            ("audio/mpeg", b"ID3\x04\0\0\0\0\0\0")
        } else {
            (
                "audio/wav",
                b"RIFF\x26\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\x02\0\0\0\0\0",
            )
        };
        Script::status(200).header("content-type", media).piece(bytes)
    }

    fn image(&self, is_right: bool) -> Said {
        if !is_right {
            return self.error(400, "prompt or image is missing.", None, None);
        }
        // The first six bytes of a PNG file, and two more.
        Said::ok(json!({"created": 1_700_000_000, "data": [{"b64_json": "iVBORw0KGgo="}]}))
    }

    fn file(&self, request: &Received) -> Said {
        let Some(bytes) = part(&request.body, "file") else {
            return self.error(400, "There is no file.", Some("file"), None);
        };
        self.keep_file(bytes.to_vec())
    }

    fn keep_file(&self, bytes: Vec<u8>) -> Said {
        let (n_bytes, id) = (bytes.len(), format!("file-{}", self.count()));
        if !self.has(Quirk::FilesUnreadable) {
            self.kept.all().insert(format!("/files/{id}/content"), bytes);
        }
        let file =
            json!({"id": id, "object": "file", "bytes": n_bytes, "purpose": "batch", "created_at": 1_700_000_000});
        self.kept.all().insert(format!("/files/{id}"), file.to_string().into_bytes());
        Said::ok(file)
    }

    /// A batch is done before anybody asks how it goes.
    fn batch(&self, body: &Value) -> Said {
        let input = format!("/files/{}/content", body["input_file_id"].as_str().unwrap_or_default());
        let Some(lines) = self.kept.all().get(&input).cloned() else {
            return self.error(400, "There is no such file.", Some("input_file_id"), None);
        };
        let answer = |line: &str| {
            let asked: Value = serde_json::from_str(line).ok()?;
            let message = json!({"choices": [{"message": {"role": "assistant", "content": "hello"}}]});
            let answer = json!({"custom_id": asked["custom_id"], "response": {"status_code": 200, "body": message}});
            Some(answer.to_string() + "\n")
        };
        let output: String = String::from_utf8_lossy(&lines).lines().filter_map(answer).collect();
        let output = self.keep_file(output.into_bytes()).body["id"].clone();
        let (status, output) =
            if self.has(Quirk::BatchesFail) { ("failed", Value::Null) } else { ("completed", output) };
        self.make("/batches", "batch", json!({"object": "batch", "status": status, "output_file_id": output}))
    }

    /// Keeps an object and says it.
    fn make(&self, below: &str, kind: &str, mut object: Value) -> Said {
        let id = format!("{kind}_{}", self.count());
        object["id"] = id.clone().into();
        self.kept.all().insert(format!("{below}/{id}"), object.to_string().into_bytes());
        Said::ok(object)
    }

    fn kept(&self, method: &str, path: &str) -> Option<Script> {
        let mut kept = self.kept.all();
        if method == "GET" {
            return kept.get(path).cloned().map(Script::json);
        }
        kept.remove(path)?;
        let below = format!("{path}/");
        kept.retain(|path, _| !path.starts_with(&below));
        drop(kept);
        let id = path.rsplit('/').next().unwrap_or_default();
        Some(self.said(&Said::ok(json!({"id": id, "deleted": true}))))
    }
}

const PNG: [u8; 4] = [0x89, b'P', b'N', b'G'];

/// The bytes of a form's field.
fn part<'b>(body: &'b [u8], field: &str) -> Option<&'b [u8]> {
    let find = |of: &[u8], what: &[u8]| of.windows(what.len()).position(|window| window == what);
    let boundary = body.get(..find(body, b"\r\n")?)?;
    let rest = body.get(find(body, format!("name=\"{field}\"").as_bytes())?..)?;
    let rest = rest.get(find(rest, b"\r\n\r\n")? + 4..)?;
    rest.get(..find(rest, &[b"\r\n", boundary].concat())?)
}
