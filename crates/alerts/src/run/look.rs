//! What is looked at: transitions, counters, probes.

use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::StatusCode;
use providers::{Call, Timeouts};
use store::ProbeRow;
use wire::failure::FailureKind;
use wire::splice::Pieces;

use super::{Work, lock, now_us};
use crate::event::{Event, Kind};
use crate::probe::{Finding, Made, Peak, Plan, judge};
use crate::webhook::Settings;

/// Transitions told of in one go.
const MOST_AT_ONCE: u32 = 100;
/// How long a probe may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// A peak counts for so long.
const PEAK_COUNTS: Duration = Duration::from_secs(7 * 24 * 3600);
/// Readings whose peaks are looked at after a start.
const READINGS: u32 = 1000;

/// Where a rollout's probe stands.
#[derive(Debug, Default)]
pub(super) struct Probing {
    /// When the next one is due, Unix microseconds.
    next_us: u64,
    under_way: bool,
    /// What the last one found; `None` before any.
    was_ok: Option<bool>,
    /// The busiest minute that earlier processes saw.
    peak_before: f64,
}

impl Work {
    /// Tells of what happened to rollouts, whoever did it and whether this process lived then.
    pub(super) fn tell_transitions(&self, settings: &Settings) {
        let Some(rows) = self.store(self.parts.database.untold_transitions(MOST_AT_ONCE)) else { return };
        for row in rows {
            if !self.tell(&Event::of_transition(&row), Some((&row.rollout, row.generation)), settings) {
                return;
            }
        }
    }

    /// Tells of what counters say.
    pub(super) fn look(&self, settings: &Settings) {
        let (reading, now_us) = (self.parts.facts.reading(), now_us());
        let mut busiest = self.busiest.borrow_mut();
        for rollout in &reading.rollouts {
            busiest.entry(rollout.name.clone()).or_default().read(rollout.epoch, rollout.requests, now_us);
        }
        drop(busiest);
        let events = self.watch.borrow_mut().look(reading, settings, now_us);
        let found = self.parts.facts.findings(&self.parts.database, now_us);
        for event in events.into_iter().chain(found) {
            self.tell(&event, None, settings);
        }
        if let Some(webhooks) = self.store(self.parts.database.webhook_states()) {
            lock(&self.status).webhooks = webhooks;
        }
        let names: Vec<String> = settings.webhooks.iter().map(|webhook| webhook.name.clone()).collect();
        self.store(self.parts.database.give_up_others(&names, now_us));
    }

    /// Makes the probes that are due.
    pub(super) fn probe(self: &Rc<Self>, settings: &std::sync::Arc<Settings>) {
        let now_us = now_us();
        for plan in self.parts.facts.probes() {
            let mut probes = self.probes.borrow_mut();
            let probing = match probes.get_mut(&plan.rollout) {
                Some(probing) => probing,
                None => {
                    let Some(probing) = self.remembered(&plan, now_us) else { continue };
                    probes.entry(plan.rollout.clone()).or_insert(probing)
                }
            };
            if probing.under_way || now_us < probing.next_us {
                continue;
            }
            probing.under_way = true;
            probing.next_us = now_us.saturating_add(us(plan.every));
            let (work, settings) = (Rc::clone(self), std::sync::Arc::clone(settings));
            self.tasks.spawn_local(async move { work.probe_once(&plan, &settings).await });
        }
    }

    /// What earlier processes found; a restart is no reason to probe sooner.
    fn remembered(&self, plan: &Plan, now_us: u64) -> Option<Probing> {
        let rows = self.store(self.parts.database.probes(&plan.rollout, READINGS))?;
        let recent = rows.iter().filter(|row| now_us.saturating_sub(row.at_us) < us(PEAK_COUNTS));
        let peaks = recent.filter_map(|row| serde_json::from_str::<Finding>(&row.json).ok());
        Some(Probing {
            next_us: rows.first().map_or(0, |row| row.at_us.saturating_add(us(plan.every))),
            under_way: false,
            was_ok: rows.first().map(|row| row.ok),
            peak_before: peaks.map(|finding| finding.peak.requests_per_minute).fold(0.0, f64::max),
        })
    }

    async fn probe_once(&self, plan: &Plan, settings: &Settings) {
        let peak = self.peak(plan);
        let (began, started_us) = (Instant::now(), now_us());
        let called = self.call(plan).await;
        let (status, failure, body) = match &called {
            Ok(called) => (Some(called.status), called.failure, called.body.clone()),
            Err(kind) => (None, Some(*kind), Bytes::new()),
        };
        let made = Made { started_us, took: began.elapsed(), status, failure, body };
        self.parts.facts.probed(plan, &made);
        let answer = match &called {
            Ok(called) => Ok((called.status, &called.headers)),
            Err(kind) => Err(kind.as_str()),
        };
        let finding = judge(plan, answer, made.took, peak);
        let at_us = now_us();
        let was_ok = {
            let mut probes = self.probes.borrow_mut();
            let probing = probes.entry(plan.rollout.clone()).or_default();
            probing.under_way = false;
            probing.was_ok.replace(finding.ok)
        };
        let row = ProbeRow {
            rollout: plan.rollout.clone(),
            at_us,
            ok: finding.ok,
            json: serde_json::to_string(&finding).unwrap_or_default(),
        };
        self.store(self.parts.database.add_probe(&row));
        // What goes on is in the status; people are told when it changes.
        let kind = match (was_ok, finding.ok) {
            (None | Some(true), false) => Some(Kind::ProbeFailed),
            (Some(false), true) => Some(Kind::ProbePassed),
            _ => None,
        };
        if let Some(kind) = kind {
            let event = Event {
                kind,
                subject: plan.rollout.clone(),
                occasion: at_us,
                at_us,
                words: finding.words.clone(),
                data: serde_json::json!({ "rollout": plan.rollout, "probe": finding }),
            };
            self.tell(&event, None, settings);
        }
        lock(&self.status).probes.insert(plan.rollout.clone(), finding);
    }

    fn peak(&self, plan: &Plan) -> Peak {
        let before = self.probes.borrow().get(&plan.rollout).map_or(0.0, |probing| probing.peak_before);
        let seen = self.busiest.borrow().get(&plan.rollout).map_or(0.0, |busiest| busiest.per_minute);
        let requests_per_minute = f64::max(before, seen);
        let mean = self.store(self.parts.database.mean_tokens(&plan.rollout)).flatten();
        Peak { requests_per_minute, tokens_per_minute: mean.map(|mean| mean * requests_per_minute) }
    }

    async fn call(&self, plan: &Plan) -> Result<Called, FailureKind> {
        let provider =
            self.parts.providers.provider(std::sync::Arc::clone(&plan.provider)).map_err(|_| FailureKind::Connect)?;
        let call = Call {
            endpoint: plan.endpoint,
            body: Pieces::from(plan.body.clone()),
            streamed: false,
            request_id: None,
            hops: 0,
            timeouts: Timeouts { total: PATIENCE, first_token: PATIENCE, answer: None, ..plan.provider.timeouts },
            sent: None,
            pause: Duration::ZERO,
            special: plan.special.clone(),
        };
        let reply = self.client.call(&provider, call).await.map_err(|failure| failure.kind)?;
        let (status, headers) = (reply.status, reply.headers.clone());
        // Read to its end, so that the provider counts one whole call.
        let (body, failure) = match tokio::time::timeout(PATIENCE, reply.body.collect(1 << 20)).await {
            Ok(Ok(body)) => (body, None),
            Ok(Err(failure)) => (Bytes::new(), Some(failure.kind)),
            Err(_) => (Bytes::new(), Some(FailureKind::TimeoutTotal)),
        };
        Ok(Called { status, headers, body, failure })
    }
}

/// An answer that began.
struct Called {
    status: StatusCode,
    headers: http::HeaderMap,
    body: Bytes,
    /// Why it is not whole.
    failure: Option<FailureKind>,
}

fn us(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
