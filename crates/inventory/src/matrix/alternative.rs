//! What might take a vendor's place: targets of a config, servers that were probed, or kinds of servers that are known.

use serde::{Deserialize, Serialize};

use super::probe::{Probe, ProbeHead};
use super::reference;
use crate::sovereignty::Machine;

/// Older than this, a probe says nothing, in days.
pub const MAX_AGE_DAYS: u64 = 90;

/// What might take a vendor's place, and the report that proves it.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    pub(super) facts: Facts,
    /// Whether it is a kind of server, and no server.
    reference: bool,
    /// Whether the newest report on it is of answers that were made up.
    rehearsed: bool,
    counted: Result<Probe, String>,
}

/// What is known of a target or a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// What it is called.
    pub name: String,
    /// Its provider; empty where none is known.
    pub provider: String,
    /// Its model; empty where none is known.
    pub model: String,
    /// The kind of server, in the config's word; empty where none is known.
    pub kind: String,
    /// What kind of service, in the config's word.
    pub class: String,
    /// Whether what is sent there leaves the house.
    pub external: bool,
    /// Whether its answers are made up.
    pub simulated: bool,
}

/// An alternative as the matrix shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alternative {
    /// What it is called.
    pub name: String,
    /// Its provider.
    pub provider: String,
    /// Its model.
    pub model: String,
    /// The kind of server.
    pub kind: String,
    /// What kind of service.
    pub class: String,
    /// Whether it is a kind of server, and no server.
    pub reference: bool,
    /// The report that its cells are from.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub probe: Option<ProbeHead>,
    /// Whether there is one whose answers were made up, which counts for nothing.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub simulated: bool,
    /// Why there is none that counts.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unproved: Option<String>,
}

impl Candidate {
    /// A target of a config, with the newest of these reports that is about it.
    #[must_use]
    pub fn target(facts: Facts, probes: &[Probe], now_s: u64) -> Candidate {
        let of_it = probes.iter().filter(|probe| probe.head.subject == facts.name);
        let missing = || {
            format!("not probed: `crossfade conformance {} -o probe.json`, and `--conformance probe.json`", facts.name)
        };
        let newest = of_it.max_by_key(|probe| probe.head.began_s);
        let rehearsed = newest.is_some_and(|probe| probe.head.simulated);
        let counted = newest.ok_or_else(missing).and_then(|probe| counts(probe, &facts.model, now_s));
        Candidate { facts, reference: false, rehearsed, counted }
    }

    /// A server that a report is about and no config names; its class is empty where nobody said whose machine it is.
    #[must_use]
    pub fn probed(probe: &Probe, class: &str, now_s: u64) -> Candidate {
        let head = &probe.head;
        let facts = Facts {
            name: head.subject.clone(),
            provider: String::new(),
            model: head.model.clone(),
            kind: String::new(),
            class: class.to_owned(),
            external: class != "self_hosted",
            simulated: head.simulated,
        };
        Candidate { facts, reference: false, rehearsed: head.simulated, counted: counts(probe, &head.model, now_s) }
    }

    /// Kinds of servers of one's own, where there is neither config nor report.
    #[must_use]
    pub fn references() -> Vec<Candidate> {
        let one = |(kind, name): &(&str, &str)| {
            let facts = Facts {
                name: (*name).to_owned(),
                provider: String::new(),
                model: String::new(),
                kind: (*kind).to_owned(),
                class: "self_hosted".to_owned(),
                external: false,
                simulated: false,
            };
            let why = "not probed: it is a kind of server, and no server";
            Candidate { facts, reference: true, rehearsed: false, counted: Err(why.to_owned()) }
        };
        reference::KINDS.iter().map(one).collect()
    }

    /// Whether it is only known from a report whose answers were made up: then it is no server that anything could move to.
    #[must_use]
    pub fn is_made_up(&self) -> bool {
        self.rehearsed && self.facts.provider.is_empty()
    }

    pub(super) fn counted(&self) -> Result<&Probe, &str> {
        self.counted.as_ref().map_err(String::as_str)
    }

    pub(super) fn machine(&self) -> Machine<'_> {
        let Facts { name, class, external, simulated, .. } = &self.facts;
        Machine { name, class, external: *external, simulated: *simulated }
    }

    pub(super) fn shown(&self) -> Alternative {
        let Facts { name, provider, model, kind, class, .. } = self.facts.clone();
        Alternative {
            name,
            provider,
            model,
            kind,
            class,
            reference: self.reference,
            simulated: self.rehearsed,
            probe: self.counted.as_ref().ok().map(|probe| probe.head.clone()),
            unproved: self.counted.as_ref().err().cloned(),
        }
    }
}

/// The report, or why it says nothing.
fn counts(probe: &Probe, model: &str, now_s: u64) -> Result<Probe, String> {
    let ProbeHead { source, model: asked, began_s, simulated, .. } = &probe.head;
    let days = now_s.saturating_sub(*began_s) / 86_400;
    if *simulated {
        Err(format!("the answers of {source} were made up by a simulated provider"))
    } else if asked != model {
        Err(format!("{source} asked for the model {asked}, which is {model} now: probe it again"))
    } else if days > MAX_AGE_DAYS {
        Err(format!("{source} is {days} days old, more than {MAX_AGE_DAYS}: probe it again"))
    } else {
        Ok(probe.clone())
    }
}
