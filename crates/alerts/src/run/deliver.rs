//! One delivery: signed, tried, and what became of it written down before the next.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use http::uri::PathAndQuery;
use http::{Method, StatusCode};
use providers::{Call, Special};
use store::{AlertRow, DeliveryRow, Tried};
use wire::record::Endpoint;
use wire::splice::Pieces;

use super::{Unsaved, Work, lock, now_us};
use crate::event;
use crate::schedule;
use crate::webhook::{Settings, Webhook};

/// The header names of Standard Webhooks.
const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
/// How much of an answer is read: enough to end it, and none of it is kept.
const ANSWER: usize = 64 << 10;
const ANSWER_PATIENCE: Duration = Duration::from_secs(2);

/// Why a try failed, and how long the receiver asks to wait.
struct Failed {
    problem: String,
    asked: Option<Duration>,
    is_final: bool,
}

impl Work {
    /// Begins what is due, one delivery at a time for each webhook.
    pub(super) fn deliver(self: &Rc<Self>, settings: &Arc<Settings>) {
        self.save_unsaved();
        for webhook in &settings.webhooks {
            let is_waiting = self.unsaved.borrow().iter().any(|unsaved| unsaved.webhook == webhook.name);
            if is_waiting || self.busy.borrow().contains(&webhook.name) {
                continue;
            }
            let Some(due) = self.store(self.parts.database.due_delivery(&webhook.name, now_us())) else { return };
            let Some((alert, delivery)) = due else { continue };
            self.busy.borrow_mut().insert(webhook.name.clone());
            let (work, webhook) = (Rc::clone(self), webhook.clone());
            self.tasks.spawn_local(async move { work.try_once(&webhook, &alert, &delivery).await });
        }
    }

    /// Writes down what the store did not take before. Until it does, nothing is tried again: receivers are told once, not every second.
    pub(super) fn save_unsaved(&self) {
        let unsaved = std::mem::take(&mut *self.unsaved.borrow_mut());
        for unsaved in unsaved {
            let Unsaved { alert, webhook, tried, at_us } = &unsaved;
            if self.store(self.parts.database.tried(alert, webhook, tried, *at_us)).is_none() {
                self.unsaved.borrow_mut().push(unsaved);
            }
        }
    }

    async fn try_once(&self, webhook: &Webhook, alert: &AlertRow, delivery: &DeliveryRow) {
        let sent = self.send(webhook, alert).await;
        let at_us = now_us();
        let n_failed = delivery.attempts.saturating_add(1);
        let tried = match sent {
            Ok(()) => Tried::Delivered,
            Err(Failed { problem, is_final: true, .. }) => Tried::GivenUp { problem },
            Err(Failed { problem, asked, .. }) => {
                let wait = schedule::wait(n_failed, jitter(alert, webhook, n_failed), asked);
                let next_at_us = at_us.saturating_add(u64::try_from(wait.as_micros()).unwrap_or(u64::MAX));
                if schedule::is_over(delivery.since_us, next_at_us) {
                    Tried::GivenUp { problem }
                } else {
                    Tried::Again { next_at_us, problem }
                }
            }
        };
        let outcome = match &tried {
            Tried::Delivered => "delivered",
            Tried::Again { problem, .. } => {
                tracing::info!(webhook = webhook.name, alert = alert.id, n_failed, problem, "alert not delivered");
                "failed"
            }
            Tried::GivenUp { problem } => {
                tracing::error!(webhook = webhook.name, alert = alert.id, n_failed, problem, "alert given up");
                "given_up"
            }
        };
        *lock(&self.status).tries.entry((webhook.name.clone(), outcome)).or_default() += 1;
        self.unsaved.borrow_mut().push(Unsaved {
            alert: alert.id.clone(),
            webhook: webhook.name.clone(),
            tried,
            at_us,
        });
        self.save_unsaved();
        self.busy.borrow_mut().remove(&webhook.name);
    }

    async fn send(&self, webhook: &Webhook, alert: &AlertRow) -> Result<(), Failed> {
        let failed = |problem: String| Failed { problem, asked: None, is_final: false };
        let provider = self.parts.providers.provider(Arc::clone(&webhook.provider));
        let provider = provider.map_err(|error| failed(error.to_string()))?;
        let withheld = webhook.is_outside() && self.parts.facts.is_internal(&alert.subject);
        let body = event::body(alert, withheld);
        let call = Call {
            // Not asked for: the path is the webhook's own.
            endpoint: Endpoint::ChatCompletions,
            body: Pieces::from(Bytes::from(body.clone())),
            streamed: false,
            request_id: None,
            hops: 0,
            timeouts: webhook.provider.timeouts,
            sent: None,
            pause: Duration::ZERO,
            special: Some(Box::new(special(&webhook.path, headers(webhook, &alert.id, now_us() / 1_000_000, &body)))),
        };
        let reply =
            self.client.call(&provider, call).await.map_err(|failure| failed(failure.kind.as_str().to_owned()))?;
        let (status, asked) = (reply.status, asked(&reply.headers));
        // What it says does not matter; a connection that is read to its end ends well.
        tokio::time::timeout(ANSWER_PATIENCE, reply.body.collect(ANSWER)).await.ok();
        if status.is_success() {
            return Ok(());
        }
        let is_final = status == StatusCode::GONE;
        Err(Failed { problem: format!("it answered {}", status.as_u16()), asked, is_final })
    }
}

fn special(path: &PathAndQuery, headers: HeaderMap) -> Special {
    Special { method: Some(Method::POST), below: Some(path.clone()), deployment: None, headers }
}

fn headers(webhook: &Webhook, id: &str, timestamp_s: u64, body: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(TIMESTAMP, HeaderValue::from(timestamp_s));
    let signature = webhook.secret.sign(id, timestamp_s, body.as_bytes());
    for (name, value) in [(ID, id), (SIGNATURE, signature.as_str())] {
        // Both are hexadecimal or base64: they always fit.
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
    headers
}

/// How long the receiver asks to wait, where it says so in seconds.
fn asked(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// A number from 0 to 1 that is another for every try, and needs no source of random numbers.
fn jitter(alert: &AlertRow, webhook: &Webhook, n_failed: u32) -> f64 {
    let name = format!("{}\u{1f}{}\u{1f}{n_failed}", alert.id, webhook.name);
    // 53 bits: what a double holds exactly.
    (xxhash_rust::xxh3::xxh3_64(name.as_bytes()) >> 11) as f64 / (1_u64 << 53) as f64
}
