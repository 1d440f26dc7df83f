//! `crossfade alerts list|test|resend`: what people are told, and whether it arrived.

use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Subcommand;
use operations::alerts::{self, AlertPage, Queued, Request};
use operations::{Actor, Role};
use serde_json::json;
use store::{AlertDetail, Database, DeliveryRow, WebhookState};

use super::Place;
use super::source::{Source, operation, percent};
use super::time::us_to_text;
use crate::out::{Exit, Out, Stop, table};

/// How long a test is waited for. It goes on after that.
const PATIENCE: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Among so many of the newest alerts a test is looked for.
const NEWEST: u32 = 100;

/// What can be typed.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// The newest alerts, whom they were delivered to, and how the webhooks stand.
    List {
        /// At most so many.
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: u32,
    },
    /// Send a test to every webhook of the config and wait for what comes of it; exits 1 when one does not take it.
    Test {
        /// Only to this one.
        #[arg(long, value_name = "NAME")]
        webhook: Option<String>,
    },
    /// Deliver an alert again.
    Resend {
        /// The alert's id, as `alerts list` and the header `webhook-id` have it.
        id: String,
        /// Only to this webhook.
        #[arg(long, value_name = "NAME")]
        webhook: Option<String>,
    },
}

/// Carries out one of them.
pub(crate) fn run(place: &Place, verb: Verb, out: &Out) -> Result<Exit, Stop> {
    let source = Source::open(place)?;
    match verb {
        Verb::List { limit } => {
            let page = read(&source, limit)?;
            out.answer(&page, || render(&page));
            Ok(Exit::Ok)
        }
        Verb::Test { webhook } => test(&source, webhook, out),
        Verb::Resend { id, webhook } => {
            let queued = resend(&source, &id, webhook)?;
            out.answer(&queued, || format!("{} waits for {} webhooks\n", queued.id, queued.deliveries));
            Ok(Exit::Ok)
        }
    }
}

fn read(source: &Source, limit: u32) -> Result<AlertPage, Stop> {
    let page = source.read(&format!("/api/alerts/{limit}"), |database| alerts::list(database, limit))?;
    Ok(serde_json::from_value(page).context("could not read the answer")?)
}

fn test(source: &Source, webhook: Option<String>, out: &Out) -> Result<Exit, Stop> {
    let body = json!(Request { webhook, actor: None });
    let queued = source.change("/api/alerts/test", &body)?.ok_or_else(|| source.nobody())?;
    let queued: Queued = serde_json::from_value(queued).context("could not read the answer")?;
    let until = Instant::now() + PATIENCE;
    let deliveries = loop {
        let page = read(source, NEWEST)?;
        let found = page.alerts.into_iter().find(|found| found.alert.id == queued.id);
        let deliveries = found.map(|found| found.deliveries).unwrap_or_default();
        let is_tried = |delivery: &DeliveryRow| delivery.attempts > 0;
        if deliveries.iter().all(is_tried) || Instant::now() >= until {
            break deliveries;
        }
        std::thread::sleep(LOOK_EVERY);
    };
    let took_it = deliveries.iter().all(|delivery| delivery.state == "delivered");
    out.answer(&json!({ "id": queued.id, "deliveries": deliveries }), || deliveries_table(&deliveries));
    if !took_it {
        out.say("hint: what was not taken is tried again for a day; `crossfade alerts list` shows it");
    }
    Ok(if took_it { Exit::Ok } else { Exit::Failed })
}

fn resend(source: &Source, id: &str, webhook: Option<String>) -> Result<Queued, Stop> {
    let body = json!(Request { webhook: webhook.clone(), actor: None });
    if let Some(queued) = source.change(&format!("/api/alerts/{}/resend", percent(id)), &body)? {
        return Ok(serde_json::from_value(queued).context("could not read the answer")?);
    }
    // It is delivered once a gateway runs.
    let database = Database::open(source.database()?.path()).map_err(Stop::failed)?;
    let actor = Actor::trusted("command-line", Role::Admin);
    alerts::resend(&database, &actor, id, webhook.as_deref()).map_err(operation)
}

fn render(page: &AlertPage) -> String {
    let row = |detail: &AlertDetail| {
        let state = |delivery: &DeliveryRow| match delivery.state.as_str() {
            "waiting" if delivery.attempts > 0 => format!("{} waiting ({} tries)", delivery.webhook, delivery.attempts),
            state => format!("{} {}", delivery.webhook, state.replace('_', " ")),
        };
        let to: Vec<String> = detail.deliveries.iter().map(state).collect();
        let alert = &detail.alert;
        let to = if to.is_empty() { "nobody".to_owned() } else { to.join(", ") };
        vec![us_to_text(alert.at_us), alert.id.clone(), alert.kind.clone(), to, alert.words.clone()]
    };
    let rows: Vec<Vec<String>> = page.alerts.iter().map(row).collect();
    let mut text = table(&["when (UTC)", "id", "what", "told", "words"], &rows);
    if !page.webhooks.is_empty() {
        text += &format!("\n{}", webhooks(&page.webhooks));
    }
    text
}

fn webhooks(webhooks: &[WebhookState]) -> String {
    let row = |state: &WebhookState| {
        vec![
            state.webhook.clone(),
            state.waiting.to_string(),
            state.oldest_us.map_or_else(|| "-".to_owned(), us_to_text),
            state.delivered.to_string(),
            state.given_up.to_string(),
            state.problem.clone().unwrap_or_else(|| "-".to_owned()),
        ]
    };
    let rows: Vec<Vec<String>> = webhooks.iter().map(row).collect();
    table(&["webhook", "waiting", "since (UTC)", "delivered", "given up", "problem"], &rows)
}

fn deliveries_table(deliveries: &[DeliveryRow]) -> String {
    let row = |delivery: &DeliveryRow| {
        let problem = delivery.problem.clone().unwrap_or_else(|| "-".to_owned());
        vec![delivery.webhook.clone(), delivery.state.replace('_', " "), delivery.attempts.to_string(), problem]
    };
    let rows: Vec<Vec<String>> = deliveries.iter().map(row).collect();
    table(&["webhook", "state", "tries", "problem"], &rows)
}
