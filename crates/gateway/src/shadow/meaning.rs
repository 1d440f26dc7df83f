//! How far the meanings of two texts are apart, by a target that makes embeddings: asked on the shadow's side, with a budget of its own.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderValue;
use providers::{Call, Timeouts};
use serde_json::{Value, json};
use wire::failure::Failure;
use wire::openai::answer::inspect;
use wire::private::Private;
use wire::record::{AttemptRecord, AttemptRole, Endpoint, Record, ShadowRecord};

use super::settings::{Meaning, ShadowBudget};
use super::{Offer, Room, Shadow, draw};
use crate::adapt::adapt_shadow;
use crate::parse::Parsed;
use crate::record::{begun, bytes_sent, micros};

/// The longest answer that is read: three vectors of many dimensions as text.
const MAX_ANSWER: usize = 4 << 20;

/// Nobody waits for it, but it holds both answers.
const LONGEST: Duration = Duration::from_secs(30);

/// The distances of every text after the first from the first, each from 0 to 1; `None` when this pair is not compared so.
pub(super) async fn distances(
    shadow: &Shadow,
    offer: &Offer,
    meaning: &Meaning,
    texts: &[&str],
) -> Option<Result<Vec<f64>, &'static str>> {
    if !draw::is_drawn(&offer.live.identity.salt, "meaning", offer.id, meaning.sample) {
        return None;
    }
    let budget = ShadowBudget {
        nanos_per_day: meaning.nanos_per_day,
        tokens_per_day: meaning.tokens_per_day,
        ..ShadowBudget::default()
    };
    let ledger = format!("{} meaning", offer.live.identity.name);
    let (now, mut nothing) = ((Instant::now(), crate::live::now().0), Room::default());
    if shadow.with_ledger(&ledger, |ledger| ledger.begin(&budget, &mut nothing, now)).is_err() {
        return Some(Err("the budget for embeddings is spent"));
    }
    let asked = ask(shadow, offer, meaning, texts).await;
    shadow.with_ledger(&ledger, |ledger| {
        ledger.end();
        if let Ok((record, _)) | Err((Some(record), _)) = &asked {
            ledger.spend(record, crate::live::now().0);
        }
    });
    Some(match asked {
        Ok((_, vectors)) => apart(&vectors, texts.len()).ok_or("the embeddings are not comparable"),
        Err((_, why)) => Err(why),
    })
}

type Asked = Result<(Box<AttemptRecord>, Vec<Vec<f64>>), (Option<Box<AttemptRecord>>, &'static str)>;

/// One call for all texts.
async fn ask(shadow: &Shadow, offer: &Offer, meaning: &Meaning, texts: &[&str]) -> Asked {
    let prepared = shadow.prepared();
    let destination = prepared.destination(&meaning.target).ok_or((None, "there is no such target"))?;
    let target = &destination.target;
    let texts: Vec<&str> = texts.iter().map(|text| beginning(text, meaning.max_text)).collect();
    let body = json!({ "model": target.model, "input": texts }).to_string();
    let request = Parsed::of_record(Endpoint::Embeddings, Bytes::from(body)).map_err(|_| (None, "no request"))?;
    let adapted = adapt_shadow(&request, target, &offer.live.identity.route).map_err(|_| (None, "not supported"))?;
    let provider = &destination.provider;
    let started = Instant::now();
    let mut record = Box::new(begun(target, &target.model, 0, (None, AttemptRole::Meaning), crate::live::now().0));
    let timeouts = Timeouts { total: LONGEST.min(provider.config().timeouts.total), ..provider.config().timeouts };
    let n_bytes = adapted.body.len() as u64;
    let call = Call {
        endpoint: Endpoint::Embeddings,
        body: adapted.body,
        streamed: false,
        request_id: HeaderValue::try_from(offer.id.to_string()).ok(),
        hops: offer.request.hops() + 1,
        timeouts,
        sent: None,
        pause: Duration::ZERO,
        special: None,
    };
    let read = async {
        let reply = shadow.client.call(offer.residency, provider, call).await;
        record.request_bytes = bytes_sent(reply.as_ref().err(), n_bytes);
        let reply = reply?;
        record.status = Some(reply.status.as_u16());
        let body = reply.body.collect(MAX_ANSWER).await?;
        record.answer_bytes = body.len() as u64;
        record.usage = inspect(&body).usage;
        Ok::<_, Failure>((reply.status.is_success(), body))
    };
    let read = tokio::time::timeout(timeouts.total, Box::pin(read)).await;
    record.duration_us = micros(started.elapsed());
    let answered = match read {
        Ok(Ok((true, body))) => vectors(&body).ok_or("the answer holds no embeddings"),
        Ok(Ok((false, _))) => Err("the embedding target refused"),
        Ok(Err(failure)) => {
            record.failure = Some(failure.kind);
            Err("the embedding target did not answer")
        }
        Err(_) => {
            record.failure = Some(wire::failure::FailureKind::TimeoutTotal);
            Err("the embedding target did not answer in time")
        }
    };
    record.cost = prepared.snapshot.prices.charge(Endpoint::Embeddings, &record);
    shadow.counters.count_cost(&record);
    // So that what left the house, and what it cost, is on record like any other call.
    shadow.write(&Record::Meaning(ShadowRecord {
        id: offer.id,
        rollout: offer.live.identity.name.clone(),
        epoch: offer.epoch,
        attempt: Some((*record).clone()),
        drop: None,
        body: Private::new(Bytes::new()),
        declined: None,
    }));
    match answered {
        Ok(vectors) => Ok((record, vectors)),
        Err(why) => Err((Some(record), why)),
    }
}

/// At most so many bytes of a text, whole letters.
fn beginning(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The vectors of an answer, in the order of the texts.
fn vectors(body: &[u8]) -> Option<Vec<Vec<f64>>> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let mut numbered = Vec::new();
    for (place, item) in answer["data"].as_array()?.iter().enumerate() {
        let vector: Option<Vec<f64>> = item["embedding"].as_array()?.iter().map(Value::as_f64).collect();
        numbered.push((item["index"].as_u64().unwrap_or(place as u64), vector?));
    }
    numbered.sort_by_key(|(idx, _)| *idx);
    Some(numbered.into_iter().map(|(_, vector)| vector).collect())
}

/// Half of 1 less the cosine, of each vector after the first with the first: 0 for the same direction, 1 for the opposite one.
fn apart(vectors: &[Vec<f64>], n: usize) -> Option<Vec<f64>> {
    let (first, others) = vectors.split_first().filter(|_| vectors.len() == n)?;
    let length = |vector: &[f64]| vector.iter().map(|x| x * x).sum::<f64>().sqrt();
    let distance = |other: &Vec<f64>| {
        let both = length(first) * length(other);
        let is_comparable = other.len() == first.len() && both > 0.0 && both.is_finite();
        let product: f64 = first.iter().zip(other).map(|(x, y)| x * y).sum();
        is_comparable.then(|| ((1.0 - product / both) / 2.0).clamp(0.0, 1.0))
    };
    others.iter().map(distance).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_are_compared_and_lengths_are_not() {
        let vectors = vec![vec![1.0, 0.0], vec![3.0, 0.0], vec![0.0, 2.0], vec![-1.0, 0.0]];
        assert_eq!(apart(&vectors, 4), Some(vec![0.0, 0.5, 1.0]));
        assert_eq!(apart(&vectors, 3), None, "as many as were asked for");
        assert_eq!(apart(&[vec![1.0], vec![1.0, 2.0]], 2), None);
        assert_eq!(apart(&[vec![0.0], vec![1.0]], 2), None);
    }

    #[test]
    fn vectors_are_put_in_the_order_of_the_texts() {
        let body = br#"{"data":[{"index":1,"embedding":[2]},{"index":0,"embedding":[1]}]}"#;
        assert_eq!(vectors(body), Some(vec![vec![1.0], vec![2.0]]));
        for body in [&b"{}"[..], br#"{"data":[{"embedding":"AAAA"}]}"#, b"no"] {
            assert_eq!(vectors(body), None);
        }
    }

    #[test]
    fn a_text_is_cut_between_letters() {
        assert_eq!(beginning("a\u{e9}b", 2), "a");
        assert_eq!(beginning("ab", 9), "ab");
    }
}
