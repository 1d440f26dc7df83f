//! Which arm of a rollout a request belongs to: a hash of its unit against the share, decided once per request.

use std::sync::Arc;

use govern::Residency;
use http::HeaderMap;
use rollout::Unit;
use rollout::assign::ASSIGN;
use wire::ids::ExchangeId;
use wire::record::{Arm, RolloutRef, UnitSource};
use xxhash_rust::xxh3::Xxh3;

use crate::authenticate::Principal;
use crate::live::{CandidateAttempt, Identity, LiveRollout, LiveTable};
use crate::parse::Parsed;
use crate::residency;
use crate::resolve::rules::Asked;
use crate::shadow::{self, Drawn, Stratum};
use crate::snapshot::{Route, Snapshot};

/// A request's place in a rollout.
#[derive(Debug, Clone)]
pub(crate) struct Assignment {
    pub(crate) live: Arc<LiveRollout>,
    pub(crate) epoch: u32,
    pub(crate) share: f64,
    /// Position of the unit in 0..2^64; also its name in the evidence.
    pub(crate) unit: u64,
    pub(crate) source: UnitSource,
    pub(crate) arm: Arm,
    /// That this request is copied to the candidate, when it was drawn.
    pub(crate) shadow: Option<Drawn>,
    /// The other rollouts of the route, which copy its requests to candidates of their own.
    pub(crate) contenders: Vec<Contender>,
    /// What kind of request it is, when it was drawn for any of them.
    pub(crate) stratum: Option<Arc<Stratum>>,
    /// The caller said which arm, and may: it is no evidence.
    pub(crate) forced: bool,
}

/// A request's place in a rollout that splits nothing.
#[derive(Debug, Clone)]
pub(crate) struct Contender {
    pub(crate) live: Arc<LiveRollout>,
    pub(crate) epoch: u32,
    pub(crate) unit: u64,
    pub(crate) shadow: Option<Drawn>,
}

/// What of a request the key of its unit is made from.
pub(crate) struct Caller<'a> {
    pub(crate) id: ExchangeId,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) principal: &'a Principal,
    pub(crate) request: &'a Parsed,
    /// How far the request may go.
    pub(crate) residency: Residency,
}

impl Assignment {
    /// What the record says of it.
    pub(crate) fn to_ref(&self) -> RolloutRef {
        RolloutRef {
            name: self.live.identity.name.clone(),
            epoch: self.epoch,
            share: self.share,
            unit: self.unit,
            unit_source: self.source,
            arm: self.arm,
            forced: self.forced,
        }
    }

    /// Asks to begin an attempt at the candidate.
    pub(crate) fn begin_candidate(&self) -> Option<CandidateAttempt> {
        if self.forced { self.live.begin_forced() } else { self.live.begin_candidate(self.unit) }
    }

    /// Its arm as the evidence names it.
    pub(crate) fn rollout_arm(&self) -> rollout::Arm {
        match self.arm {
            Arm::Baseline => rollout::Arm::Baseline,
            Arm::Candidate => rollout::Arm::Candidate,
        }
    }

    /// The side of the rollout a target is on.
    pub(crate) fn arm_of(&self, target: &str) -> Option<Arm> {
        if target == self.live.identity.candidate {
            Some(Arm::Candidate)
        } else if target == self.live.identity.baseline {
            Some(Arm::Baseline)
        } else {
            None
        }
    }
}

/// Assigns a request, when a rollout splits its route. One that may not go to both arms takes no part: whichever arm it would be
/// assigned to, it says nothing of the other.
pub(crate) fn assign(table: &LiveTable, snapshot: &Snapshot, route: &Route, caller: &Caller<'_>) -> Option<Assignment> {
    if !caller.request.endpoint.is_evidence() {
        return None;
    }
    // A conversation that only a provider knows stays with the route's target.
    if caller.request.goes_on_elsewhere() {
        return None;
    }
    let live = live(table, snapshot, route, caller).filter(|live| snapshot.covers(&live.identity))?;
    if caller.residency != Residency::Anywhere && !may_go_to_both(snapshot, caller.residency, &live.identity) {
        return None;
    }
    let (key, source) = key(live.identity.unit, caller);
    let unit = rollout::assign::position(&live.identity.salt, ASSIGN, key.as_bytes());
    let forced = forced(caller);
    // Who says which arm answers takes no part in a drill.
    let live = if forced.is_some() { live } else { live.acting() };
    let view = live.view();
    if let Some(arm) = forced {
        let (epoch, share) = (view.epoch, view.share);
        drop(view);
        let (shadow, contenders, stratum) = (None, Vec::new(), None);
        return Some(Assignment { live, epoch, share, unit, source, arm, shadow, contenders, stratum, forced: true });
    }
    let arm = match rollout::assign::arm(unit, view.share, view.holdback) {
        rollout::Arm::Candidate => Arm::Candidate,
        rollout::Arm::Baseline => Arm::Baseline,
    };
    let (epoch, share, sample) = (view.epoch, view.share, view.shadow_sample);
    drop(view);
    live.count_key_source(epoch, source);
    let mut assignment = Assignment {
        live,
        epoch,
        share,
        unit,
        source,
        arm,
        shadow: None,
        contenders: Vec::new(),
        stratum: None,
        forced: false,
    };
    if arm == Arm::Baseline {
        assignment.contenders = contenders(table, snapshot, assignment.live.slot(), caller);
        draw(&mut assignment, sample, snapshot, caller);
    }
    Some(assignment)
}

/// The places of a request in the rollouts that copy it beside the one that splits its route. Each has a key of its own unit.
fn contenders(table: &LiveTable, snapshot: &Snapshot, slot: &str, caller: &Caller<'_>) -> Vec<Contender> {
    let takes_part = |live: &Arc<LiveRollout>| {
        snapshot.covers(&live.identity)
            && (caller.residency == Residency::Anywhere || may_go_to_both(snapshot, caller.residency, &live.identity))
    };
    let place = |live: Arc<LiveRollout>| {
        let live = live.acting();
        let (key, source) = key(live.identity.unit, caller);
        let unit = rollout::assign::position(&live.identity.salt, ASSIGN, key.as_bytes());
        let epoch = live.view().epoch;
        live.count_key_source(epoch, source);
        Contender { live, epoch, unit, shadow: None }
    };
    table.contenders(slot).into_iter().filter(takes_part).map(place).collect()
}

/// Draws the request for every rollout that copies its route's requests.
fn draw(assignment: &mut Assignment, sample: f64, snapshot: &Snapshot, caller: &Caller<'_>) {
    let settings = |live: &LiveRollout| snapshot.rollouts.get(&live.identity.name).map(|settings| &settings.shadow);
    let samples = |live: &LiveRollout, sample: f64| sample > 0.0 || live.view().shadow_sample > 0.0;
    let is_copied = samples(&assignment.live, sample) || assignment.contenders.iter().any(|it| samples(&it.live, 0.0));
    if !is_copied {
        return;
    }
    let task = shadow::task(caller.headers, caller.request);
    let drawn = |live: &LiveRollout, sample: f64| {
        if sample <= 0.0 {
            return None;
        }
        shadow::draw(&live.identity.salt, caller.id, (sample, task.as_deref()), settings(live))
    };
    assignment.shadow = drawn(&assignment.live, sample);
    for contender in &mut assignment.contenders {
        contender.shadow = drawn(&contender.live, contender.live.view().shadow_sample);
    }
    if assignment.shadow.is_some() || assignment.contenders.iter().any(|contender| contender.shadow.is_some()) {
        let request = caller.request;
        assignment.stratum = Some(Stratum::of(request.body.len(), task, request.streamed()));
    }
}

/// The header by which a key that may says which arm answers.
const ARM: &str = "x-crossfade-arm";

/// The arm that the caller asks for, if it may. Whoever may not is assigned like anybody.
fn forced(caller: &Caller<'_>) -> Option<Arm> {
    let asked = caller.headers.get(ARM).filter(|_| caller.principal.may_force_arm())?;
    match asked.as_bytes() {
        b"baseline" => Some(Arm::Baseline),
        b"candidate" => Some(Arm::Candidate),
        _ => None,
    }
}

/// The rollout that the request belongs to: that of the first cohort it is in, or of the route where it is in none. A cohort without
/// rollouts keeps its requests out of all.
fn live(table: &LiveTable, snapshot: &Snapshot, route: &Route, caller: &Caller<'_>) -> Option<Arc<LiveRollout>> {
    let cohorts = snapshot.cohorts(route);
    if cohorts.is_empty() {
        return table.for_route(&route.name);
    }
    let asked = Asked::new(caller.headers, caller.principal, (route, caller.request));
    match routing::first(cohorts.iter().map(|cohort| &cohort.when), &asked) {
        Some(idx) => table.for_route(cohorts[idx].slot.as_deref()?),
        None => table.for_route(&route.name),
    }
}

fn may_go_to_both(snapshot: &Snapshot, residency: Residency, rollout: &Identity) -> bool {
    let mut arms = [&rollout.baseline, &rollout.candidate].into_iter();
    arms.all(|arm| snapshot.target(arm).is_none_or(|target| residency::admits(residency, target)))
}

/// What comes back to the same replica: the conversation, when the request shows one.
pub(crate) fn affinity(caller: &Caller<'_>) -> Option<u64> {
    let (key, source) = key(Unit::Conversation, caller);
    let comes_back = !matches!(source, UnitSource::Request | UnitSource::Principal);
    comes_back.then(|| xxhash_rust::xxh3::xxh3_64(key.as_bytes()))
}

/// The bytes that name a unit.
enum Key<'a> {
    Text(std::borrow::Cow<'a, str>),
    Hash([u8; 16]),
}

impl Key<'_> {
    fn as_bytes(&self) -> &[u8] {
        match self {
            Key::Text(text) => text.as_bytes(),
            Key::Hash(hash) => hash,
        }
    }
}

/// The key of the unit and where it came from: the most explicit source that the request has.
fn key<'a>(unit: Unit, caller: &'a Caller<'_>) -> (Key<'a>, UnitSource) {
    let header = |name: &str| {
        let value = caller.headers.get(name)?.to_str().ok()?;
        Some((Key::Text(value.into()), UnitSource::Header))
    };
    let conversation = || header("x-crossfade-conversation-id").or_else(|| metadata(caller));
    let found = match unit {
        Unit::Request => None,
        Unit::Conversation => conversation().or_else(|| user(caller)).or_else(|| prefix(caller)),
        Unit::Session => {
            header("x-crossfade-session-id").or_else(conversation).or_else(|| user(caller)).or_else(|| prefix(caller))
        }
        Unit::User => header("x-crossfade-user-id").or_else(|| user(caller)).or_else(|| principal(caller)),
        // What a key says of its tenant, no header overrules.
        Unit::Tenant => tenant(caller).or_else(|| header("x-crossfade-tenant-id")).or_else(|| principal(caller)),
    };
    let rest = || if unit == Unit::Request { None } else { principal(caller) };
    found.or_else(rest).unwrap_or_else(|| (Key::Hash(caller.id.to_bytes()), UnitSource::Request))
}

fn metadata<'a>(caller: &'a Caller<'_>) -> Option<(Key<'a>, UnitSource)> {
    caller.request.conversation_id().map(|id| (Key::Text(id), UnitSource::Metadata))
}

fn user<'a>(caller: &'a Caller<'_>) -> Option<(Key<'a>, UnitSource)> {
    caller.request.user().map(|user| (Key::Text(user), UnitSource::User))
}

fn principal<'a>(caller: &'a Caller<'_>) -> Option<(Key<'a>, UnitSource)> {
    caller.principal.id().map(|principal| (Key::Text(principal.into()), UnitSource::Principal))
}

fn tenant<'a>(caller: &'a Caller<'_>) -> Option<(Key<'a>, UnitSource)> {
    caller.principal.tenant().map(|tenant| (Key::Text(tenant.into()), UnitSource::Principal))
}

/// The principal and the messages up to the first user message: what stays the same while a conversation grows.
fn prefix<'a>(caller: &'a Caller<'_>) -> Option<(Key<'a>, UnitSource)> {
    if let Some(kept) = &caller.request.kept {
        return Some((Key::Hash(kept.conversation), UnitSource::Prefix));
    }
    let prefix = caller.request.conversation_prefix()?;
    Some((Key::Hash(prefix_hash(caller.principal.id(), prefix)), UnitSource::Prefix))
}

/// The key of a conversation that begins with `prefix`.
pub(crate) fn prefix_hash(principal: Option<&str>, prefix: &[u8]) -> [u8; 16] {
    let mut hash = Xxh3::new();
    hash.update(principal.unwrap_or_default().as_bytes());
    hash.update(b"\x1f");
    hash.update(prefix);
    hash.digest128().to_be_bytes()
}
