//! Room `alerts`: tells people. What happened is read from the store and from counters, never asked of a worker or the
//! controller; each event is one row, and each webhook that is to hear of it has a row that waits until it was delivered or given up.
//!
//! The parts, in the order of an alert's life: [`watch`] finds what is worth telling in counters, [`event`] says what an alert is,
//! [`sign`] makes the headers by which a receiver knows it, [`schedule`] when it is tried again, [`run`] is the thread that does
//! all of it. Nothing here decides anything about a rollout, and nothing waits for it.

pub mod event;
pub mod probe;
pub mod run;
pub mod schedule;
pub mod sign;
pub mod watch;
mod webhook;

pub use event::{Event, Kind};
pub use run::{Alerts, Facts, Parts};
pub use webhook::{Settings, Webhook, WebhookUrl, WebhookUrlError};
