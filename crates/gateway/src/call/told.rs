//! What the answer of a cascade's step tells: whether it has its form, whether it refuses, how it begins, how sure the model was.

use routing::cascade::{Confidence, Told, folded};
use wire::messages;
use wire::openai::answer as dialect;
use wire::openai::content::{Accumulator, ChoiceText};
use wire::openai::logprobs::Logprobs;
use wire::openai::response;
use wire::record::Endpoint;

use super::Heard;
use crate::record::Exchange;

/// Reasons to stop that are a refusal, by a filter or by the model.
const REFUSALS: [&str; 2] = ["content_filter", "refusal"];

/// The beginnings of the choices, and whether one refused.
type Said = (Vec<String>, bool);

/// Of an answer that came in one piece, in the dialect of `endpoint`.
pub(super) fn whole(exchange: &mut Exchange, endpoint: Endpoint, body: &[u8], finish_reason: Option<&str>) {
    let said = match endpoint {
        Endpoint::Messages => of(&[messages::answer::inspect(body).said(body)]),
        Endpoint::Responses => of(&response::inspect(body).texts(body)),
        _ => of(&dialect::inspect(body).texts(body)),
    };
    let mut logprobs = Logprobs::default();
    logprobs.push(body);
    tell(exchange, said, finish_reason, &logprobs);
}

/// Of a stream that was held back to its end.
pub(super) fn stream(exchange: &mut Exchange, endpoint: Endpoint, held: &[Heard], finish_reason: Option<&str>) {
    let mut logprobs = Logprobs::default();
    let said = match endpoint {
        Endpoint::Messages => {
            let mut text = messages::content::Accumulator::new();
            held.iter().for_each(|heard| text.push(&heard.event.data));
            of(text.choices().unwrap_or_default())
        }
        Endpoint::Responses => {
            let whole = held.iter().rev().find_map(|heard| {
                let data = &heard.event.data;
                response::of_event(data).map(|facts| facts.texts(data))
            });
            of(&whole.unwrap_or_default())
        }
        _ => {
            let mut text = Accumulator::new();
            for heard in held {
                text.push(&heard.event.data);
                logprobs.push(&heard.event.data);
            }
            of(text.choices().unwrap_or_default())
        }
    };
    tell(exchange, said, finish_reason, &logprobs);
}

fn of(choices: &[ChoiceText]) -> Said {
    let beginnings = choices.iter().map(|choice| beginning(&choice.content)).collect();
    (beginnings, choices.iter().any(|choice| choice.refused))
}

fn beginning(text: &[u8]) -> String {
    // A beginning in characters has at most four bytes each, after what white space is skipped.
    let enough = text.trim_ascii_start();
    let end = enough.len().min(routing::cascade::BEGINNING * 8);
    folded(&String::from_utf8_lossy(&enough[..end]))
}

fn tell(exchange: &mut Exchange, (beginnings, refused): Said, finish_reason: Option<&str>, logprobs: &Logprobs) {
    exchange.told = Some(Box::new(Told {
        invalid: exchange.form.is_invalid(),
        refused: refused || finish_reason.is_some_and(|reason| REFUSALS.contains(&reason)),
        beginnings,
        confidence: logprobs.worst().map(|(mean, min)| Confidence { mean, min }),
    }));
}
