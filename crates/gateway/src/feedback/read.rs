//! A signal as a caller writes it.

use bytes::Bytes;
use serde_json::{Map, Value};
use wire::ids::ExchangeId;
use wire::openai::Refusal;
use wire::private::{Body, Private};
use wire::record::FeedbackKind;

use crate::snapshot::FeedbackRules;

const KNOWN: [&str; 5] = ["exchange_id", "kind", "value", "source", "comment"];
/// Who says so when the caller names nobody.
const SOMEBODY: &str = "user";
/// The longest label or source.
const LONGEST_WORD: usize = 64;
/// The longest comment, in bytes.
const LONGEST_COMMENT: usize = 8 << 10;

/// A signal that can be recorded.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Posted {
    pub(super) exchange: ExchangeId,
    pub(super) kind: FeedbackKind,
    pub(super) source: String,
    pub(super) value: Option<f64>,
    pub(super) label: Option<String>,
    pub(super) comment: Body,
    pub(super) bad: Option<bool>,
}

/// Reads a signal.
pub(super) fn signal(body: &[u8], rules: &FeedbackRules) -> Result<Posted, Refusal> {
    let fields = object(body, &KNOWN)?;
    let exchange = exchange(&fields, "exchange_id")?.ok_or_else(|| missing("exchange_id"))?;
    let kind = text(&fields, "kind")?.ok_or_else(|| missing("kind"))?;
    let Some(kind) = FeedbackKind::ALL.into_iter().find(|known| known.as_str() == kind) else {
        let words = format!("`kind` is one of `thumb`, `score`, `label` and `comment`, not `{}`.", short(kind));
        return Err(Refusal::invalid_value(words, "kind"));
    };
    let source = word(text(&fields, "source")?.unwrap_or(SOMEBODY), "source")?;
    let mut comment = text(&fields, "comment")?.unwrap_or_default();
    let (mut value, mut label) = (None, None);
    match kind {
        FeedbackKind::Thumb => value = Some(thumb(&fields)?),
        FeedbackKind::Score => value = Some(score(&fields)?),
        FeedbackKind::Label => {
            label = Some(word(text(&fields, "value")?.ok_or_else(|| missing("value"))?, "value")?);
        }
        FeedbackKind::Comment if comment.is_empty() => {
            comment = text(&fields, "value")?.filter(|text| !text.is_empty()).ok_or_else(|| missing("value"))?;
        }
        FeedbackKind::Comment => {
            return Err(Refusal::invalid_value("A comment is its `value`: leave `comment` out.", "comment"));
        }
    }
    if comment.len() > LONGEST_COMMENT {
        let words = format!("A comment is at most {LONGEST_COMMENT} bytes long; this one has {}.", comment.len());
        return Err(Refusal::invalid_value(words, if kind == FeedbackKind::Comment { "value" } else { "comment" }));
    }
    let bad = match (&label, value) {
        (Some(label), _) => rules.bad_labels.contains(label).then_some(true),
        (None, Some(value)) => Some(value < rules.bad_below),
        (None, None) => None,
    };
    let comment = Private::new(Bytes::copy_from_slice(comment.as_bytes()));
    Ok(Posted { exchange, kind, source, value, label, comment, bad })
}

/// The body as an object with these fields and no other.
pub(super) fn object(body: &[u8], known: &[&str]) -> Result<Map<String, Value>, Refusal> {
    let fields = match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) => return Err(Refusal::invalid_request("The body is to be a JSON object.", None)),
        Err(error) => {
            let words = format!("We could not parse the JSON body of your request: {error}.");
            return Err(Refusal::invalid_request(words, None));
        }
    };
    match fields.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(fields),
        Some(name) => {
            let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
            let words = format!("`{}` is not known here; known are {}.", short(name), known.join(", "));
            Err(Refusal::invalid_value(words, short(name)))
        }
    }
}

/// The exchange a field names, by the id in the header of an answer or by an id that Crossfade made of it.
pub(super) fn exchange(fields: &Map<String, Value>, name: &'static str) -> Result<Option<ExchangeId>, Refusal> {
    let Some(written) = text(fields, name)? else { return Ok(None) };
    let id = ["chatcmpl-", "resp_", "msg_"].iter().find_map(|prefix| written.strip_prefix(prefix)).unwrap_or(written);
    id.parse().map(Some).map_err(|_| {
        let words = format!(
            "`{name}` is to be what the answer's header `x-crossfade-exchange-id` says; `{}` is no such id.",
            short(written)
        );
        Refusal::invalid_value(words, name)
    })
}

pub(super) fn text<'a>(fields: &'a Map<String, Value>, name: &'static str) -> Result<Option<&'a str>, Refusal> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Refusal::invalid_value(format!("`{name}` is to be a string."), name)),
    }
}

/// A word that can stand in a table.
pub(super) fn word(text: &str, name: &'static str) -> Result<String, Refusal> {
    let is_word = !text.is_empty() && text.len() <= LONGEST_WORD && !text.chars().any(char::is_control);
    if is_word {
        return Ok(text.to_owned());
    }
    Err(Refusal::invalid_value(format!("`{name}` is to be 1 to {LONGEST_WORD} bytes of printable text."), name))
}

pub(super) fn missing(name: &'static str) -> Refusal {
    Refusal::invalid_value(format!("`{name}` is missing."), name)
}

/// What another system counted of a unit.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Counted {
    pub(super) about: About,
    pub(super) metric: String,
    pub(super) bad: bool,
    pub(super) happened_us: u64,
    pub(super) source: String,
}

/// Whose outcome it is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum About {
    /// The unit of an exchange.
    Exchange(ExchangeId),
    /// The unit with this key, of this rollout or of the one that counts the metric.
    Unit { key: String, rollout: Option<String> },
}

const COUNTED: [&str; 7] = ["exchange_id", "unit", "rollout", "metric", "bad", "at", "source"];
/// The longest key of a unit.
const LONGEST_KEY: usize = 512;
/// No clock is wrong by more.
const AHEAD_US: u64 = 300_000_000;

/// Reads what another system counted, at `now_us`.
pub(super) fn counted(body: &[u8], now_us: u64) -> Result<Counted, Refusal> {
    let fields = object(body, &COUNTED)?;
    let rollout = text(&fields, "rollout")?.map(str::to_owned);
    let about = match (exchange(&fields, "exchange_id")?, text(&fields, "unit")?) {
        (Some(_), Some(_)) => {
            return Err(Refusal::invalid_value("An outcome is of an exchange or of a `unit`, not of both.", "unit"));
        }
        (Some(exchange), None) => About::Exchange(exchange),
        (None, Some(key)) if !key.is_empty() && key.len() <= LONGEST_KEY => {
            About::Unit { key: key.to_owned(), rollout }
        }
        (None, Some(_)) => {
            return Err(Refusal::invalid_value(format!("`unit` is to be 1 to {LONGEST_KEY} bytes of text."), "unit"));
        }
        (None, None) => return Err(missing("exchange_id")),
    };
    let metric = word(text(&fields, "metric")?.ok_or_else(|| missing("metric"))?, "metric")?;
    let bad = match fields.get("bad") {
        None | Some(Value::Null) => return Err(missing("bad")),
        Some(Value::Bool(bad)) => *bad,
        Some(_) => return Err(Refusal::invalid_value("`bad` is to be `true` or `false`.", "bad")),
    };
    let source = word(text(&fields, "source")?.unwrap_or(SOMEBODY_ELSE), "source")?;
    Ok(Counted { about, metric, bad, happened_us: happened(&fields, now_us)?, source })
}

/// Who says so when the caller names nobody.
const SOMEBODY_ELSE: &str = "outside";

fn happened(fields: &Map<String, Value>, now_us: u64) -> Result<u64, Refusal> {
    let at = match fields.get("at") {
        None | Some(Value::Null) => return Err(missing("at")),
        Some(at) => at.as_f64().filter(|at| at.is_finite() && *at >= 0.0),
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is not negative, and a cast saturates"
    )]
    let at_us = at.map(|at| (at * 1e6) as u64).filter(|at_us| *at_us <= now_us.saturating_add(AHEAD_US));
    at_us.ok_or_else(|| {
        Refusal::invalid_value("`at` is to be when it happened, in Unix seconds, and not in the future.", "at")
    })
}

fn thumb(fields: &Map<String, Value>) -> Result<f64, Refusal> {
    match fields.get("value") {
        None | Some(Value::Null) => Err(missing("value")),
        Some(Value::String(text)) if text == "up" => Ok(1.0),
        Some(Value::String(text)) if text == "down" => Ok(0.0),
        Some(_) => Err(Refusal::invalid_value("The `value` of a thumb is `\"up\"` or `\"down\"`.", "value")),
    }
}

fn score(fields: &Map<String, Value>) -> Result<f64, Refusal> {
    match fields.get("value") {
        None | Some(Value::Null) => Err(missing("value")),
        Some(value) => value.as_f64().filter(|score| (0.0..=1.0).contains(score)).ok_or_else(|| {
            Refusal::invalid_value("The `value` of a score is a number from 0 (bad) to 1 (good).", "value")
        }),
    }
}

fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LONGEST_WORD).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0192f0c1-7a2b-7c3d-8e4f-5a6b7c8d9e0f";

    fn read(body: &str) -> Result<Posted, Refusal> {
        let rules = FeedbackRules { bad_labels: ["wrong".to_owned()].into(), ..FeedbackRules::default() };
        signal(body.replace("ID", ID).as_bytes(), &rules)
    }

    fn check(body: &str) -> (Option<f64>, Option<String>, Option<bool>) {
        let signal = read(body).unwrap_or_else(|refusal| panic!("{refusal:?}"));
        assert_eq!(signal.exchange.to_string(), ID);
        (signal.value, signal.label, signal.bad)
    }

    #[test]
    fn every_kind_is_read_with_what_it_means() {
        let of = |kind: &str, value: &str| check(&format!(r#"{{"exchange_id":"ID","kind":"{kind}","value":{value}}}"#));
        assert_eq!(of("thumb", r#""up""#), (Some(1.0), None, Some(false)));
        assert_eq!(of("thumb", r#""down""#), (Some(0.0), None, Some(true)));
        assert_eq!(of("score", "0.49"), (Some(0.49), None, Some(true)));
        assert_eq!(of("score", "0.5"), (Some(0.5), None, Some(false)));
        assert_eq!(of("label", r#""wrong""#), (None, Some("wrong".into()), Some(true)));
        assert_eq!(of("label", r#""funny""#), (None, Some("funny".into()), None));
        assert_eq!(of("comment", r#""no""#), (None, None, None));
    }

    #[test]
    fn what_is_counted_outside_is_read_or_refused_with_the_field_at_fault() {
        let read = |body: &str| counted(body.replace("ID", ID).as_bytes(), 2_000_000);
        let good = read(r#"{"unit":"c-1","metric":"tickets","bad":true,"at":1.5,"rollout":"to-b"}"#).unwrap();
        assert_eq!((good.happened_us, good.bad, good.source.as_str()), (1_500_000, true, "outside"));
        assert_eq!(good.about, About::Unit { key: "c-1".into(), rollout: Some("to-b".into()) });
        assert!(matches!(
            read(r#"{"exchange_id":"ID","metric":"t","bad":false,"at":1}"#).unwrap().about,
            About::Exchange(_)
        ));
        for (body, param) in [
            (r#"{"metric":"t","bad":true,"at":1}"#, "exchange_id"),
            (r#"{"exchange_id":"ID","unit":"c","metric":"t","bad":true,"at":1}"#, "unit"),
            (r#"{"unit":"","metric":"t","bad":true,"at":1}"#, "unit"),
            (r#"{"unit":"c","bad":true,"at":1}"#, "metric"),
            (r#"{"unit":"c","metric":"t","at":1}"#, "bad"),
            (r#"{"unit":"c","metric":"t","bad":1,"at":1}"#, "bad"),
            (r#"{"unit":"c","metric":"t","bad":true}"#, "at"),
            (r#"{"unit":"c","metric":"t","bad":true,"at":-1}"#, "at"),
            (r#"{"unit":"c","metric":"t","bad":true,"at":1e12}"#, "at"),
            (r#"{"unit":"c","metric":"t","bad":true,"at":1,"value":2}"#, "value"),
        ] {
            assert_eq!(read(body).unwrap_err().body.param.as_deref(), Some(param), "{body}");
        }
    }

    #[test]
    fn an_exchange_is_also_known_by_the_ids_made_of_it() {
        let hex = ID.replace('-', "");
        for id in [format!("resp_{hex}"), format!("msg_{ID}"), format!("chatcmpl-{hex}")] {
            check(&format!(r#"{{"exchange_id":"{id}","kind":"score","value":1}}"#));
        }
    }

    #[test]
    fn what_is_malformed_is_refused_with_the_field_at_fault() {
        for (body, param) in [
            (r#"{"kind":"thumb","value":"up"}"#, Some("exchange_id")),
            (r#"{"exchange_id":"chatcmpl-9xyz","kind":"thumb","value":"up"}"#, Some("exchange_id")),
            (r#"{"exchange_id":7,"kind":"thumb","value":"up"}"#, Some("exchange_id")),
            (r#"{"exchange_id":"ID","value":"up"}"#, Some("kind")),
            (r#"{"exchange_id":"ID","kind":"stars","value":5}"#, Some("kind")),
            (r#"{"exchange_id":"ID","kind":"thumb"}"#, Some("value")),
            (r#"{"exchange_id":"ID","kind":"thumb","value":true}"#, Some("value")),
            (r#"{"exchange_id":"ID","kind":"score","value":1.5}"#, Some("value")),
            (r#"{"exchange_id":"ID","kind":"score","value":"1"}"#, Some("value")),
            (r#"{"exchange_id":"ID","kind":"label","value":""}"#, Some("value")),
            (r#"{"exchange_id":"ID","kind":"comment"}"#, Some("value")),
            (r#"{"exchange_id":"ID","kind":"thumb","value":"up","source":"a\nb"}"#, Some("source")),
            (r#"{"exchange_id":"ID","kind":"thumb","value":"up","rating":1}"#, Some("rating")),
            ("[]", None),
            ("{", None),
        ] {
            let refusal = read(body).unwrap_err();
            assert_eq!((refusal.status, refusal.body.param.as_deref()), (400, param), "{body}");
        }
        let long = format!(r#"{{"exchange_id":"ID","kind":"thumb","value":"up","comment":"{}"}}"#, "x".repeat(8193));
        assert_eq!(read(&long).unwrap_err().body.param.as_deref(), Some("comment"));
    }
}
