//! One capability being measured: what is asked for it, and how the answers are judged.

use std::cell::RefCell;
use std::fmt;

use serde_json::{Value, json};
use wire::capability::Capability;
use wire::record::Endpoint;

use super::ask::{Answer, Ask, Line, Silence};
use super::{Row, Verdict};

/// Why a capability is not equivalent.
#[derive(Debug)]
pub(super) enum Fault {
    /// It is there and differs.
    Degraded(String),
    /// It is not there.
    Missing(String),
    /// It could not be measured.
    Unknown(String),
}

/// How a case ends: equivalent, with a remark, or not.
pub(super) type Outcome = Result<String, Fault>;

/// Equivalent, and nothing to add.
pub(super) fn fine() -> Outcome {
    Ok(String::new())
}

pub(super) fn degraded<T>(how: impl fmt::Display) -> Result<T, Fault> {
    Err(Fault::Degraded(how.to_string()))
}

pub(super) fn missing<T>(how: impl fmt::Display) -> Result<T, Fault> {
    Err(Fault::Missing(how.to_string()))
}

pub(super) fn unknown<T>(why: impl fmt::Display) -> Result<T, Fault> {
    Err(Fault::Unknown(why.to_string()))
}

/// A server that breaks off does not have what it was asked for; one that is slow is not known to lack it.
impl From<Silence> for Fault {
    fn from(silence: Silence) -> Fault {
        match &silence {
            Silence::TimeUp | Silence::TooLong(_) => Fault::Unknown(silence.words()),
            Silence::Failed(..) => Fault::Missing(format!("no answer ({})", silence.words())),
        }
    }
}

/// One capability being measured.
pub(super) struct Case<'l, 'p> {
    pub(super) line: &'l Line<'p>,
    capability: Capability,
    evidence: RefCell<Vec<String>>,
}

/// Measures `capability` by what `judge` says.
pub(super) async fn case<'l, 'p: 'l>(
    line: &'l Line<'p>,
    capability: Capability,
    judge: impl AsyncFnOnce(&Case<'l, 'p>) -> Outcome,
) -> Row {
    let case = Case { line, capability, evidence: RefCell::default() };
    let outcome = judge(&case).await;
    let (verdict, how) = match outcome {
        Ok(remark) => (Verdict::Equivalent, remark),
        Err(Fault::Degraded(how)) => (Verdict::Degraded, how),
        Err(Fault::Missing(how)) => (Verdict::None, how),
        Err(Fault::Unknown(why)) => (Verdict::NotMeasured, why),
    };
    let how = how.chars().map(|c| if c.is_control() { ' ' } else { c }).take(240).collect();
    Row { capability, verdict, how, evidence: case.evidence.into_inner(), advice: None }
}

impl Case<'_, '_> {
    /// What is measured.
    pub(super) const fn capability(&self) -> Capability {
        self.capability
    }

    /// Asks `ask`; the answer is evidence of this case.
    pub(super) async fn ask(&self, ask: Ask) -> Result<Answer, Silence> {
        let asked = self.line.ask(self.capability.id(), ask).await;
        if let Ok(answer) = &asked {
            self.rests_on(answer);
        }
        asked
    }

    /// The verdict rests on this answer, whoever asked for it.
    pub(super) fn rests_on(&self, answer: &Answer) {
        self.evidence.borrow_mut().push(answer.id.clone());
    }

    /// Asks for a chat completion with `fields` added to the question `words`.
    pub(super) async fn chat(&self, words: &str, fields: &Value) -> Result<Answer, Silence> {
        self.ask(Ask::of(Endpoint::ChatCompletions, &self.request(words, fields))).await
    }

    /// A chat request: one user message, temperature 0, a short answer; `fields` replace or add.
    pub(super) fn request(&self, words: &str, fields: &Value) -> Value {
        let mut request = json!({
            "model": self.line.model,
            "messages": [{"role": "user", "content": words}],
            "max_tokens": 16,
            "temperature": 0,
        });
        merge(&mut request, fields);
        request
    }
}

/// Puts the members of `fields` into `into`; null takes a member away.
pub(super) fn merge(into: &mut Value, fields: &Value) {
    let (Some(into), Some(fields)) = (into.as_object_mut(), fields.as_object()) else { return };
    for (name, value) in fields {
        if value.is_null() {
            into.remove(name);
        } else {
            into.insert(name.clone(), value.clone());
        }
    }
}

impl Answer {
    /// The JSON of an answer that is a success.
    pub(super) fn success(&self) -> Result<&Value, Fault> {
        if self.status != 200 {
            return missing(self.said());
        }
        match &self.json {
            Some(json) if json.get("error").is_some_and(|error| !error.is_null()) => {
                missing("status 200 with an error in it")
            }
            Some(json) => Ok(json),
            None => missing("status 200 with a body that is not JSON"),
        }
    }

    /// Its status and the server's own words.
    pub(super) fn said(&self) -> String {
        let words = self.json.as_ref().and_then(|json| {
            let error = &json["error"];
            let places = [&error["message"], error, &json["message"], &json["detail"]];
            places.into_iter().find_map(Value::as_str)
        });
        let words = words.map(str::to_owned).or_else(|| {
            let text = String::from_utf8_lossy(&self.body);
            (!text.trim().is_empty() && self.json.is_none()).then(|| text.trim().to_owned())
        });
        match words {
            Some(words) => format!("status {}: {}", self.status, words.chars().take(120).collect::<String>()),
            None => format!("status {}", self.status),
        }
    }

    /// Whether it is a refusal in the dialect's envelope, or what is wrong with it.
    pub(super) fn envelope(&self) -> Result<(), String> {
        let Some(json) = &self.json else { return Err("the body is not JSON".to_owned()) };
        let Some(error) = json.get("error") else { return Err("there is no error in the body".to_owned()) };
        if !error.is_object() {
            return Err("error is not an object".to_owned());
        }
        let text = |name: &str| error.get(name).is_some_and(Value::is_string);
        let text_or_null = |name: &str| error.get(name).is_some_and(|value| value.is_string() || value.is_null());
        let mut wrong = Vec::new();
        for name in ["message", "type"] {
            if !text(name) {
                wrong.push(format!("{name} is no text"));
            }
        }
        for name in ["param", "code"] {
            match error.get(name) {
                None => wrong.push(format!("{name} is missing")),
                Some(_) if !text_or_null(name) => wrong.push(format!("{name} is neither a text nor null")),
                Some(_) => {}
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join(", ")) }
    }
}

/// The text of a choice; empty when there is none.
pub(super) fn text_of(answer: &Value, choice: usize) -> &str {
    answer["choices"][choice]["message"]["content"].as_str().unwrap_or_default()
}

/// The reason a choice ended.
pub(super) fn finish_of(answer: &Value, choice: usize) -> &str {
    answer["choices"][choice]["finish_reason"].as_str().unwrap_or_default()
}

/// Completion tokens by the answer's own count.
pub(super) fn completion_tokens(answer: &Value) -> Option<u64> {
    answer["usage"]["completion_tokens"].as_u64()
}

/// Prompt tokens by the answer's own count.
pub(super) fn prompt_tokens(answer: &Value) -> Option<u64> {
    answer["usage"]["prompt_tokens"].as_u64()
}
