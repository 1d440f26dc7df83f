//! `alerts`: who is told of what; `alert_when`: from when on.

use std::collections::BTreeSet;

use ::alerts::event::Topic;
use ::alerts::sign::Secret;
use ::alerts::{Settings, Webhook, WebhookUrl};
use providers::Class;

use super::reader::{Item, Section};

/// The longest name of a webhook.
const LONGEST_NAME: usize = 64;

/// Reads both.
pub(crate) fn read(root: &Section<'_>) -> Settings {
    let mut settings = Settings::default();
    let items = root.get("alerts").and_then(|item| item.list("webhooks such as `{ url: …, secret: … }`"));
    let mut names = BTreeSet::new();
    for item in items.unwrap_or_default() {
        let webhook = webhook(&item);
        if let Some(webhook) = webhook {
            if !names.insert(webhook.name.clone()) {
                let hint = "its deliveries are kept under its name: give each a `name` of its own";
                item.note(format!("another webhook is called `{}`", webhook.name), Some(hint.into()));
            }
            settings.webhooks.push(webhook);
        }
    }
    let section = root.section("alert_when");
    for (key, limit) in [("journal_drops", &mut settings.journal_drops), ("shadow_drops", &mut settings.shadow_drops)] {
        if let Some(share) = section.get(key).and_then(|item| item.share()) {
            *limit = share.value;
        }
    }
    if let Some(stale_after) = section.get("stale_after").and_then(|item| item.duration()) {
        settings.stale_after = stale_after;
    }
    section.finish();
    settings
}

fn webhook(item: &Item<'_>) -> Option<Webhook> {
    let section = item.section()?;
    let url = section.need("url").and_then(|item| {
        let text = item.string()?;
        let url = WebhookUrl::parse(&text.value);
        url.map_err(|error| item.note(error.to_string(), None)).ok()
    });
    let secret = section.need("secret").and_then(|item| {
        let secret = Secret::parse(item.secret()?.expose());
        let hint = "`openssl rand -base64 32` makes one; write `whsec_` before it, and keep it in the environment";
        secret.map_err(|error| item.note(error.to_string(), Some(hint.into()))).ok()
    });
    let name = match section.get("name") {
        Some(item) => item.parsed("a name of at most 64 letters, digits, `-`, `_` and `.`", name),
        None => url.as_ref().map(|url| url.host().to_owned()),
    };
    let topics = Topic::ALL.map(|topic| (topic.as_str(), topic));
    let on = match section.get("on") {
        Some(item) => item
            .one_or_more("topics such as `[breaches, approvals]`")
            .iter()
            .filter_map(|item| item.word(&topics))
            .collect(),
        None => Topic::ALL.into_iter().collect(),
    };
    let classes = [Class::SelfHosted, Class::External].map(|class| (class.as_str(), class));
    let class = section.get("class").and_then(|item| item.word(&classes)).unwrap_or(Class::External);
    section.finish();
    Some(Webhook::new(name?, url?, class, secret?, on))
}

fn name(text: &str) -> Option<String> {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    (plain && (1..=LONGEST_NAME).contains(&text.len())).then(|| text.to_owned())
}
