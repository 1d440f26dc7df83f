//! What people are told.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use store::{AlertRow, TransitionRow};

/// What a webhook can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// Every move of a rollout.
    Transitions,
    /// A rollout was thrown back.
    Breaches,
    /// A rollout waits for people.
    Approvals,
    /// Records or copies are lost.
    Drops,
    /// A rollout learns nothing any more.
    StaleEvidence,
    /// Whether the baseline could take all traffic back.
    Probe,
}

impl Topic {
    /// Every topic.
    pub const ALL: [Topic; 6] =
        [Topic::Transitions, Topic::Breaches, Topic::Approvals, Topic::Drops, Topic::StaleEvidence, Topic::Probe];

    /// The word in the config.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Topic::Transitions => "transitions",
            Topic::Breaches => "breaches",
            Topic::Approvals => "approvals",
            Topic::Drops => "drops",
            Topic::StaleEvidence => "stale_evidence",
            Topic::Probe => "probe",
        }
    }
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A rollout moved.
    Moved,
    /// A rollout was thrown back on proof of harm.
    RolledBack,
    /// A rollout has what it needs but people's consent.
    ApprovalWanted,
    /// The journal loses records.
    JournalDrops,
    /// The shadow loses copies.
    ShadowDrops,
    /// A rollout's evidence has not grown.
    StaleEvidence,
    /// The baseline could not take all traffic back.
    ProbeFailed,
    /// It can again.
    ProbePassed,
    /// A completed rollout's gates were read again and pass.
    Revalidated,
    /// They were read again and do not.
    NotRevalidated,
    /// Somebody tries whether alerts arrive.
    Test,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 11] = [
        Kind::Moved,
        Kind::RolledBack,
        Kind::ApprovalWanted,
        Kind::JournalDrops,
        Kind::ShadowDrops,
        Kind::StaleEvidence,
        Kind::ProbeFailed,
        Kind::ProbePassed,
        Kind::Revalidated,
        Kind::NotRevalidated,
        Kind::Test,
    ];

    /// The `type` of a message.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Moved => "rollout.moved",
            Kind::RolledBack => "rollout.rolled_back",
            Kind::ApprovalWanted => "rollout.approval_wanted",
            Kind::JournalDrops => "journal.drops",
            Kind::ShadowDrops => "shadow.drops",
            Kind::StaleEvidence => "rollout.stale_evidence",
            Kind::ProbeFailed => "baseline.probe_failed",
            Kind::ProbePassed => "baseline.probe_passed",
            Kind::Revalidated => "rollout.revalidated",
            Kind::NotRevalidated => "rollout.not_revalidated",
            Kind::Test => "test",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Who hears of it: webhooks that ask for any of these; all when there is none.
    #[must_use]
    pub const fn topics(self) -> &'static [Topic] {
        match self {
            Kind::Moved => &[Topic::Transitions],
            Kind::RolledBack => &[Topic::Breaches, Topic::Transitions],
            Kind::ApprovalWanted => &[Topic::Approvals, Topic::Transitions],
            Kind::JournalDrops | Kind::ShadowDrops => &[Topic::Drops],
            Kind::StaleEvidence => &[Topic::StaleEvidence],
            Kind::Revalidated => &[Topic::Transitions],
            Kind::NotRevalidated => &[Topic::StaleEvidence, Topic::Transitions],
            Kind::ProbeFailed | Kind::ProbePassed => &[Topic::Probe],
            Kind::Test => &[],
        }
    }
}

/// One thing to tell.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// What happened.
    pub kind: Kind,
    /// To what: a rollout's name, `journal`, `shadow`.
    pub subject: String,
    /// What makes it another event than the last of its kind and subject.
    pub occasion: u64,
    /// When, in Unix microseconds.
    pub at_us: u64,
    /// One sentence.
    pub words: String,
    /// Facts.
    pub data: Value,
}

/// What may be said of a rollout whose requests do not leave the house, to somebody outside it: where it stands, no reason and no exchange.
const SAID_OUTSIDE: [&str; 9] =
    ["rollout", "generation", "from", "to", "from_share", "to_share", "epoch", "event", "withheld"];

impl Event {
    /// What a transition is to people.
    #[must_use]
    pub fn of_transition(row: &TransitionRow) -> Event {
        let kind = match (row.event.as_str(), row.to.as_str()) {
            ("rollback", _) | (_, "rolled_back") => Kind::RolledBack,
            // Both wait for people: for their consent, or for what they make of it.
            ("await_approval" | "hold" | "alarm", _) => Kind::ApprovalWanted,
            _ => Kind::Moved,
        };
        let TransitionRow { rollout, from, to, from_share, to_share, reason, .. } = row;
        let data = json!({
            "rollout": rollout,
            "generation": row.generation,
            "from": from,
            "to": to,
            "from_share": from_share,
            "to_share": to_share,
            "epoch": row.epoch,
            "actor": row.actor,
            "event": row.event,
            "reason": reason,
        });
        let words = match kind {
            Kind::RolledBack => format!("{rollout} was thrown back from {from}: {reason}"),
            Kind::ApprovalWanted => format!("{rollout} waits for people on {from}: {reason}"),
            _ => format!("{rollout}: {from} -> {to} by {}: {reason}", row.actor),
        };
        Event { kind, subject: rollout.clone(), occasion: row.generation, at_us: row.at_us, words, data }
    }

    /// Its id: always the same for the same event, so that whoever is told twice knows. `webhook-id` of every try.
    #[must_use]
    pub fn id(&self) -> String {
        let hash = Sha256::new()
            .chain_update(self.kind.as_str())
            .chain_update([0x1f])
            .chain_update(&self.subject)
            .chain_update([0x1f])
            .chain_update(self.occasion.to_be_bytes())
            .finalize();
        let hex = hash.iter().take(16).fold(String::new(), |mut hex, byte| {
            // Writing to a String cannot fail.
            write!(hex, "{byte:02x}").unwrap_or_default();
            hex
        });
        format!("msg_{hex}")
    }

    /// As the store keeps it.
    #[must_use]
    pub fn row(&self) -> AlertRow {
        AlertRow {
            id: self.id(),
            at_us: self.at_us,
            kind: self.kind.as_str().to_owned(),
            subject: self.subject.clone(),
            words: self.words.clone(),
            data: self.data.to_string(),
        }
    }
}

/// The body of a message. `withheld`: its receiver is outside the house and its rollout's requests stay inside.
#[must_use]
pub fn body(alert: &AlertRow, withheld: bool) -> String {
    let data: Value = serde_json::from_str(&alert.data).unwrap_or(Value::Null);
    let (words, data) = if withheld {
        let mut said: Map<String, Value> = match data {
            Value::Object(data) => data.into_iter().filter(|(name, _)| SAID_OUTSIDE.contains(&name.as_str())).collect(),
            _ => Map::new(),
        };
        said.insert("withheld".to_owned(), json!("the route is internal: `crossfade alerts list` has the rest"));
        (format!("{} ({})", alert.kind, alert.subject), Value::Object(said))
    } else {
        (alert.words.clone(), data)
    };
    json!({ "type": alert.kind, "timestamp": timestamp(alert.at_us), "subject": alert.subject, "words": words, "data": data })
        .to_string()
}

/// A moment as RFC 3339 has it, in UTC. Days to a date: Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
#[must_use]
pub fn timestamp(us: u64) -> String {
    let (days, seconds) = (us / 86_400_000_000, us / 1_000_000 % 86_400);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second, ms) = (seconds / 3600, seconds / 60 % 60, seconds % 60, us / 1000 % 1000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transition(event: &str, to: &str) -> TransitionRow {
        TransitionRow {
            rollout: "to-qwen".into(),
            generation: 7,
            at_us: 1_709_210_096_000_001,
            from: "canary 5 %".into(),
            to: to.into(),
            from_share: 0.05,
            to_share: 0.0,
            epoch: 3,
            actor: "guards".into(),
            event: event.into(),
            reason: "error rate of the candidate is higher".into(),
            evidence_json: "{}".into(),
            policy_hash: String::new(),
        }
    }

    #[test]
    fn an_event_keeps_its_id_and_another_one_has_another() {
        let event = Event::of_transition(&transition("rollback", "rolled_back"));
        assert_eq!(event.kind, Kind::RolledBack);
        assert_eq!(event.id(), event.clone().id());
        assert_ne!(event.id(), Event { occasion: 8, ..event.clone() }.id());
        assert_ne!(event.id(), Event { kind: Kind::Moved, ..event.clone() }.id());
        assert!(event.id().len() == 36 && event.id().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
    }

    #[test]
    fn outside_the_house_an_internal_rollout_is_told_of_without_reasons() {
        let alert = Event::of_transition(&transition("rollback", "rolled_back")).row();
        let inside: Value = serde_json::from_str(&body(&alert, false)).unwrap();
        assert_eq!(inside["type"], "rollout.rolled_back");
        assert_eq!(inside["timestamp"], "2024-02-29T12:34:56.000Z");
        assert_eq!(inside["data"]["reason"], "error rate of the candidate is higher");
        let outside: Value = serde_json::from_str(&body(&alert, true)).unwrap();
        assert_eq!((&outside["data"]["to_share"], &outside["data"]["reason"]), (&json!(0.0), &Value::Null));
        assert!(!outside.to_string().contains("error rate") && outside["data"]["withheld"].is_string());
    }

    #[test]
    fn times_are_written_as_rfc_3339_has_them() {
        assert_eq!(timestamp(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(timestamp(951_782_400_000_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(timestamp(1_767_225_599_999_000), "2025-12-31T23:59:59.999Z");
    }
}
