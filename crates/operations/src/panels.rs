//! Panels: people judge pairs of answers and are not told whose is whose. What is shown, and when, is decided here.

use std::collections::BTreeMap;

use eval::answer::read;
use eval::case::text_of;
use eval::panel::{Drawable, Judged, Summary, Why, assign, draw, shown, summarise};
use govern::Role;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{AuditRow, Database, ExchangeFilter, PairRow, PanelItemRow, PanelPairRow, PanelRow};
use wire::record::ComparisonRecord;

use crate::desk::{Actor, Desk, OperationError};
use crate::exchanges;

pub use eval::panel::Verdict;

/// The newest pairs that are looked at.
const MOST_PAIRS: u32 = 10_000;
/// The longest question or answer that is shown, in bytes.
const LONGEST: usize = 64 << 10;

/// What a panel is to be.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    /// The rollout whose shadow pairs are shown.
    pub rollout: String,
    /// Its epoch; all when it is not said.
    pub epoch: Option<u32>,
    /// The baseline's target.
    pub baseline: String,
    /// The candidate's target.
    pub candidate: String,
    /// Who judges.
    pub reviewers: Vec<String>,
    /// How many pairs.
    pub pairs: usize,
    /// The part of them that everybody judges.
    pub overlap: f64,
    /// The part of them that automatic comparison finds farthest apart.
    pub disagreeing: f64,
    /// What the two targets were when it was opened; empty where an older version opened it.
    #[serde(default)]
    pub fingerprints: Vec<String>,
    /// Whether the baseline's own noise was measured on any of the pairs it was opened with: where it was not, those that are farthest apart may be no
    /// farther than the baseline's answers from each other. Set when it is opened; nothing where an older version opened it.
    #[serde(default)]
    pub is_noise_measured: Option<bool>,
}

/// The two sides of a rollout, by the config in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sides {
    /// The baseline's target.
    pub baseline: String,
    /// The candidate's target.
    pub candidate: String,
    /// What both are now: a hash each.
    pub fingerprints: Vec<String>,
    /// What models are called: an answer that says its model's name tells whose it is.
    pub models: Vec<String>,
}

/// The sides of the rollout of this name; `None` where the config in force has none.
pub type SidesFn = Box<dyn Fn(&str) -> Option<Sides> + Send + Sync>;

/// What somebody without the config at hand asks for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenRequest {
    /// What the panel is to be called.
    pub panel: String,
    /// The rollout whose shadow pairs are shown.
    pub rollout: String,
    /// Only of this epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u32>,
    /// Who judges, by the names of keys.
    pub reviewers: Vec<String>,
    /// How many pairs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairs: Option<u16>,
    /// The part of them that everybody judges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<f64>,
    /// The part of them that automatic comparison finds farthest apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disagreeing: Option<f64>,
    /// Who opens it, where the door does not know better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
}

/// Pairs of a panel, where nobody says how many.
pub const PAIRS: u16 = 50;
/// The part of them that everybody judges, and the part that is farthest apart, where nobody says.
pub const SHARE: f64 = 0.2;

/// What was opened.
#[derive(Debug, Serialize, Deserialize)]
pub struct Opened {
    /// The panel.
    pub panel: String,
    /// Pairs that could be shown.
    pub candidates: usize,
    /// Pairs that are.
    pub pairs: usize,
    /// Judgements that are asked for.
    pub items: usize,
    /// Pairs that were asked for.
    #[serde(default)]
    pub asked: usize,
    /// Where fewer are shown than were asked for: why, in words with their numbers.
    #[serde(default)]
    pub short_of: Vec<String>,
    /// Whether the baseline's own noise was measured on any of the pairs.
    #[serde(default)]
    pub is_noise_measured: bool,
}

/// A panel and how far it is.
#[derive(Debug, Serialize, Deserialize)]
pub struct Listed {
    /// The panel.
    pub panel: String,
    /// When it was opened, Unix microseconds.
    pub at_us: u64,
    /// Who opened it.
    pub actor: String,
    /// What was planned.
    pub plan: Value,
    /// How far each reviewer is.
    pub reviewers: BTreeMap<String, Progress>,
}

/// What a reviewer is shown: everything, and nothing else goes to a reviewer before the verdict.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Next {
    /// The panel.
    pub panel: String,
    /// What a verdict names.
    pub item: String,
    /// What was asked.
    pub question: String,
    /// One answer.
    pub a: String,
    /// The other.
    pub b: String,
    /// How far this reviewer is.
    pub progress: Progress,
}

/// How far a reviewer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Judgements given.
    pub judged: u64,
    /// Judgements that are asked for.
    pub of: u64,
}

/// What a reviewer asks for, or says.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Who, where the door does not know better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reviewer: Option<String>,
    /// The item that is judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    /// What was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// What there is to say of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// What a panel came to.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// The panel.
    pub panel: String,
    /// What was planned.
    pub plan: Value,
    /// Judgements that are asked for.
    pub items: u64,
    /// What the verdicts given come to.
    pub summary: Summary,
}

fn failed(doing: &'static str) -> impl Fn(store::DatabaseError) -> OperationError {
    move |source| OperationError::Store { doing, source }
}

/// Opens a panel: draws pairs, decides sides and order, and takes out of the answers what tells whose they are, the `names` among it.
///
/// # Errors
/// When the plan makes no sense, there are no pairs with two answers, or there is a panel of this name.
pub fn open(
    database: &Database,
    actor: &Actor,
    (name, at_us): (&str, u64),
    (plan, names): (&Plan, &[String]),
) -> Result<Opened, OperationError> {
    actor.needs(Role::Operator)?;
    sensible(name, plan)?;
    let filter = ExchangeFilter {
        rollout: Some(plan.rollout.clone()),
        epoch: plan.epoch,
        limit: Some(MOST_PAIRS),
        ..ExchangeFilter::default()
    };
    let recorded = database.pairs(&filter).map_err(failed("list pairs"))?;
    let pairs = whole(plan, &recorded);
    let n_whole = pairs.len();
    let seen = database.panel_sources().map_err(failed("read who sees which pairs"))?;
    let may_see = |source: &str, reviewer: &str| !seen.contains(&(reviewer.to_owned(), source.to_owned()));
    // A reviewer who sees a request in two pairs reads from the answer in both whose it is.
    let for_somebody = |pair: &&PairRow| {
        let source = pair.id.to_string();
        plan.reviewers.iter().any(|reviewer| may_see(&source, reviewer))
    };
    let pairs: Vec<&PairRow> = pairs.into_iter().filter(for_somebody).collect();
    let n_seen = n_whole - pairs.len();
    let noise = noise(&pairs);
    let plan = &Plan { is_noise_measured: Some(!noise.is_empty()), ..plan.clone() };
    let drawable: Vec<Drawable> = pairs.iter().map(|pair| of_pair(pair, &noise)).collect();
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)
        .map_err(|error| OperationError::Unavailable(format!("the system gives no random bytes: {error}")))?;
    let mut rows = Vec::new();
    let drawn = draw(&drawable, plan.pairs, plan.disagreeing, &secret);
    let n_drawn = drawn.len();
    for (idx, why) in drawn {
        if let (Some(pair), Some(drawn)) = (pairs.get(idx), drawable.get(idx)) {
            rows.extend(row(database, pair, (&drawn.stratum, why), (&plan.rollout, names))?);
        }
    }
    if rows.is_empty() {
        return Err(none(plan, n_seen));
    }
    let short_of = if rows.len() < plan.pairs {
        short_of(plan, &recorded, (n_whole, n_seen), (n_drawn, rows.len()))
    } else {
        Vec::new()
    };
    let item = |item: eval::panel::Item| PanelItemRow {
        item: item.id,
        pair: item.pair as u64,
        reviewer: item.reviewer,
        candidate_is_a: item.candidate_is_a,
        why: String::new(),
        verdict: None,
    };
    let may_judge = |pair: usize, reviewer: &str| rows.get(pair).is_some_and(|row| may_see(&row.source, reviewer));
    let items: Vec<PanelItemRow> =
        assign(rows.len(), (&plan.reviewers, plan.overlap), &secret, may_judge).into_iter().map(item).collect();
    // A plan is texts and numbers: it always serialises.
    let plan_json = serde_json::to_string(plan).unwrap_or_default();
    let panel = PanelRow { name: name.to_owned(), at_us, actor: actor.name.clone(), plan_json: plan_json.clone() };
    let audit = AuditRow {
        at_us,
        actor: actor.name.clone(),
        action: "panel.open".to_owned(),
        subject: format!("panel:{name}"),
        reason: String::new(),
        detail_json: plan_json,
    };
    let is_new = database.open_panel((&panel, &secret), &rows, &items, &audit).map_err(failed("open the panel"))?;
    if !is_new {
        return Err(OperationError::Refused(format!("there is a panel `{name}` already")));
    }
    Ok(Opened {
        panel: name.to_owned(),
        candidates: drawable.len(),
        pairs: rows.len(),
        items: items.len(),
        asked: plan.pairs,
        short_of,
        is_noise_measured: !noise.is_empty(),
    })
}

/// Opens a panel on a running gateway, on a connection of its own: nobody waits while pairs are drawn.
///
/// # Errors
/// The same as of [`open`], and when the config has no such rollout.
pub fn open_here(desk: &Desk, actor: &Actor, at_us: u64, request: &OpenRequest) -> Result<Opened, OperationError> {
    actor.needs(Role::Operator)?;
    let OpenRequest { panel, rollout, epoch, reviewers, pairs, overlap, disagreeing, actor: _ } = request;
    let part = |name: &str, share: Option<f64>| {
        let share = share.unwrap_or(SHARE);
        let wrong = || OperationError::Invalid(format!("`{name}` is a part, from 0 to 1, not {share}"));
        (0.0..=1.0).contains(&share).then_some(share).ok_or_else(wrong)
    };
    let sides = (desk.sides)(rollout);
    let sides =
        sides.ok_or_else(|| OperationError::NotFound(format!("there is no rollout `{rollout}` in the config")))?;
    let plan = Plan {
        rollout: rollout.clone(),
        epoch: *epoch,
        baseline: sides.baseline,
        candidate: sides.candidate,
        reviewers: reviewers.clone(),
        pairs: usize::from(pairs.unwrap_or(PAIRS)),
        overlap: part("overlap", *overlap)?,
        disagreeing: part("disagreeing", *disagreeing)?,
        fingerprints: sides.fingerprints,
        is_noise_measured: None,
    };
    let database = Database::open(&desk.identity.store).map_err(failed("open the store"))?;
    open(&database, actor, (panel, at_us), (&plan, &sides.models))
}

/// The pairs that both targets answered.
fn whole<'p>(plan: &Plan, recorded: &'p [PairRow]) -> Vec<&'p PairRow> {
    let is_whole = |pair: &&PairRow| {
        pair.dropped.is_none()
            && pair.live_target.as_ref() == Some(&plan.baseline)
            && pair.shadow_target.as_ref() == Some(&plan.candidate)
            && pair.outcome.as_deref() == Some("complete")
            && pair.shadow.as_ref().is_some_and(|shadow| shadow.failure.is_none())
    };
    recorded.iter().filter(is_whole).collect()
}

/// Why there is nothing to show.
fn none(Plan { rollout, baseline, candidate, .. }: &Plan, n_seen: usize) -> OperationError {
    OperationError::Refused(match n_seen {
        0 => format!("`{rollout}` has no pairs that both `{baseline}` and `{candidate}` answered in text"),
        _ => format!(
            "each of these reviewers has the {n_seen} pairs of `{rollout}` that both answered in a panel already: name others"
        ),
    })
}

/// Why a panel has fewer pairs than its plan: what was recorded, and what of it cannot be shown.
fn short_of(
    plan: &Plan,
    recorded: &[PairRow],
    (whole, seen): (usize, usize),
    (drawn, shown): (usize, usize),
) -> Vec<String> {
    let mut words = vec![format!("{} pairs are recorded of `{}`", recorded.len(), plan.rollout)];
    let mut say = |n: usize, what: String| {
        if n > 0 {
            words.push(format!("{n} {what}"));
        }
    };
    let dropped = recorded.iter().filter(|pair| pair.dropped.is_some()).count();
    let is_other = |pair: &&PairRow| {
        let (live, shadow) = (pair.live_target.as_ref(), pair.shadow_target.as_ref());
        live.is_some_and(|live| *live != plan.baseline) || shadow.is_some_and(|shadow| *shadow != plan.candidate)
    };
    let others = recorded.iter().filter(|pair| pair.dropped.is_none()).filter(is_other).count();
    let Plan { baseline, candidate, .. } = plan;
    say(dropped, "of them have no second answer: their copy was dropped".to_owned());
    say(others, format!("of them were answered by other targets than `{baseline}` and `{candidate}`"));
    let failed = recorded.len().saturating_sub(dropped + others + whole);
    say(failed, "of them failed, were cut or are under way on one side".to_owned());
    say(seen, "of them stand in another panel for each of these reviewers".to_owned());
    let wanted = plan.pairs.min(whole.saturating_sub(seen));
    say(
        wanted.saturating_sub(drawn),
        match plan.is_noise_measured {
            Some(true) => "places of `--disagreeing` are empty: no further pair is farther apart than noise",
            _ => "places of `--disagreeing` are empty: no further pair is apart",
        }
        .to_owned(),
    );
    say(drawn.saturating_sub(shown), "of those drawn have no text on a side, or their bodies were pruned".to_owned());
    words
}

fn sensible(name: &str, plan: &Plan) -> Result<(), OperationError> {
    let wrong = |words: &str| Err(OperationError::Invalid(words.to_owned()));
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')) {
        return wrong("a panel's name has letters, digits, `-`, `_` and `.`");
    }
    if plan.reviewers.is_empty() || plan.reviewers.iter().any(|reviewer| reviewer.trim().is_empty()) {
        return wrong("a panel needs reviewers");
    }
    let twice =
        plan.reviewers.iter().enumerate().any(|(idx, one)| plan.reviewers.iter().take(idx).any(|other| other == one));
    if twice {
        return wrong("a reviewer is named twice");
    }
    Ok(())
}

fn comparisons(pair: &PairRow) -> &[ComparisonRecord] {
    pair.compared.as_ref().map(|compared| compared.comparisons.as_slice()).unwrap_or_default()
}

/// How far the baseline's second answers are from its first on average, by kind, where it was asked twice.
fn noise(pairs: &[&PairRow]) -> BTreeMap<String, f64> {
    let mut sums: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    for one in pairs.iter().flat_map(|pair| comparisons(pair)) {
        if let Some(noise) = one.noise {
            let sum = sums.entry(one.kind.clone()).or_default();
            *sum = (sum.0 + noise, sum.1 + 1.0);
        }
    }
    sums.into_iter().map(|(kind, (sum, n))| (kind, sum / n)).collect()
}

/// The distance beyond the baseline's noise: that of the pair, where its baseline was asked twice, else what it is on average in this respect. Where
/// it was measured nowhere there is nothing to take off, and [`Opened::is_noise_measured`] says so.
fn of_pair(pair: &PairRow, noise: &BTreeMap<String, f64>) -> Drawable {
    let compared = pair.compared.as_ref();
    let task = compared.and_then(|compared| compared.task.clone());
    let size = compared.map(|compared| compared.size.clone());
    let route = pair.route.clone().unwrap_or_default();
    let excess = |one: &ComparisonRecord| match one.noise.or_else(|| noise.get(&one.kind).copied()) {
        Some(noise) => one.distance - noise,
        None => one.distance,
    };
    Drawable {
        stratum: [Some(route), task, size].into_iter().flatten().collect::<Vec<_>>().join(" / "),
        disagreement: comparisons(pair).iter().map(excess).fold(0.0, f64::max),
    }
}

/// The pair as it is shown; nothing where one of the answers has no text.
fn row(
    database: &Database,
    pair: &PairRow,
    (stratum, why): (&str, Why),
    (rollout, names): (&str, &[String]),
) -> Result<Option<PanelPairRow>, OperationError> {
    let view = exchanges::show(database, &pair.id.to_string())?;
    let copies = database.copy_bodies(pair.id).map_err(failed("read the copy"))?;
    let copy = copies.iter().find(|copy| copy.rollout == rollout && !copy.duplicate);
    let copy = copy.map(|copy| String::from_utf8_lossy(copy.body.expose()).into_owned()).or(view.shadow);
    let text = |body: Option<String>| {
        let answer = read(body?.as_bytes())?;
        Some(cut(shown(&answer, names))).filter(|text| !text.is_empty())
    };
    let question = view.request.and_then(|body| question(&body));
    let (Some(question), Some(baseline), Some(candidate)) = (question, text(view.answer), text(copy)) else {
        return Ok(None);
    };
    let why = match why {
        Why::Chance => "chance",
        Why::Disagreement => "disagreement",
    };
    let source = pair.id.to_string();
    Ok(Some(PanelPairRow { source, stratum: stratum.to_owned(), why: why.to_owned(), question, baseline, candidate }))
}

/// The conversation up to the answer, without the system's words: these may name a model.
fn question(body: &str) -> Option<String> {
    let body: Value = serde_json::from_str(body).ok()?;
    let messages = body.get("messages").and_then(Value::as_array)?;
    let turns: Vec<String> = messages
        .iter()
        .filter(|message| matches!(message["role"].as_str(), Some("user" | "assistant")))
        .map(|message| format!("[{}] {}", message["role"].as_str().unwrap_or_default(), text_of(&message["content"])))
        .collect();
    Some(cut(turns.join("\n\n"))).filter(|text| !text.is_empty())
}

fn cut(text: String) -> String {
    if text.len() <= LONGEST {
        return text;
    }
    format!("{}\n[cut here]", &text[..text.floor_char_boundary(LONGEST)])
}

/// Every panel, and how far its reviewers are.
///
/// # Errors
/// When the actor may not, or the store cannot be read.
pub fn list(database: &Database, actor: &Actor) -> Result<Vec<Listed>, OperationError> {
    actor.needs(Role::Operator)?;
    let panels = database.panels().map_err(failed("list panels"))?;
    let listed = |panel: PanelRow| {
        let items = database.panel_items(&panel.name).map_err(failed("read the panel"))?;
        let names = items.iter().map(|item| item.reviewer.clone());
        let reviewers = names.map(|name| (name.clone(), progress(&items, &name))).collect();
        let plan = serde_json::from_str(&panel.plan_json).unwrap_or_default();
        Ok(Listed { panel: panel.name, at_us: panel.at_us, actor: panel.actor, plan, reviewers })
    };
    panels.into_iter().map(listed).collect()
}

/// Who judges: the holder of a key by the key's name.
fn reviewer(actor: &Actor) -> &str {
    reviewer_name(&actor.name)
}

/// How a panel calls whoever has this name: by the name of the key, without its id.
#[must_use]
pub fn reviewer_name(actor: &str) -> &str {
    actor.split(" (").next().unwrap_or(actor)
}

/// The panels that have something for whoever asks, and how far that is.
///
/// # Errors
/// When the actor may not, or the store cannot be read.
pub fn mine(database: &Database, actor: &Actor) -> Result<Vec<(String, Progress)>, OperationError> {
    actor.needs(Role::Viewer)?;
    let panels = database.panels().map_err(failed("list panels"))?;
    let mut own = Vec::new();
    for panel in panels {
        let items = database.panel_items(&panel.name).map_err(failed("read the panel"))?;
        let progress = progress(&items, reviewer(actor));
        if progress.of > 0 {
            own.push((panel.name, progress));
        }
    }
    Ok(own)
}

fn items(database: &Database, panel: &str) -> Result<Vec<PanelItemRow>, OperationError> {
    let items = database.panel_items(panel).map_err(failed("read the panel"))?;
    if items.is_empty() {
        let panels = database.panels().map_err(failed("list panels"))?;
        let names: Vec<String> = panels.into_iter().map(|panel| format!("`{}`", panel.name)).collect();
        let known =
            if names.is_empty() { "none is open".to_owned() } else { format!("there are: {}", names.join(", ")) };
        return Err(OperationError::NotFound(format!("there is no panel `{panel}`; {known}")));
    }
    Ok(items)
}

fn progress(items: &[PanelItemRow], reviewer: &str) -> Progress {
    let own = items.iter().filter(|item| item.reviewer == reviewer);
    own.fold(Progress { judged: 0, of: 0 }, |sum, item| Progress {
        judged: sum.judged + u64::from(item.verdict.is_some()),
        of: sum.of + 1,
    })
}

/// The next pair of a reviewer; `None` when all are judged.
///
/// # Errors
/// When there is no such panel, or nothing in it is for this reviewer.
pub fn next(database: &Database, actor: &Actor, panel: &str, at_us: u64) -> Result<Option<Next>, OperationError> {
    actor.needs(Role::Viewer)?;
    let reviewer = reviewer(actor);
    let progress = progress(&items(database, panel)?, reviewer);
    if progress.of == 0 {
        return Err(OperationError::Forbidden(format!("`{reviewer}` is no reviewer of the panel `{panel}`")));
    }
    let shown = database.show_next(panel, reviewer, at_us).map_err(failed("show a pair"))?;
    Ok(shown.map(|row| Next {
        panel: panel.to_owned(),
        item: row.item,
        question: row.question,
        a: row.a,
        b: row.b,
        progress,
    }))
}

/// Takes a verdict: once, of whom the item is for, after it was shown. What comes back says how far the reviewer is and nothing else.
///
/// # Errors
/// When the request says no verdict, or this reviewer was not shown the item, or has judged it.
pub fn judge(
    database: &Database,
    actor: &Actor,
    (panel, at_us): (&str, u64),
    request: &Request,
) -> Result<Progress, OperationError> {
    actor.needs(Role::Viewer)?;
    let (Some(item), Some(verdict)) = (&request.item, request.verdict) else {
        return Err(OperationError::Invalid(
            "a verdict names an `item` and a `verdict`: a, b, tie or neither".to_owned(),
        ));
    };
    let reviewer = reviewer(actor);
    let word = match verdict {
        Verdict::A => "a",
        Verdict::B => "b",
        Verdict::Tie => "tie",
        Verdict::Neither => "neither",
    };
    let is_taken = database.judge_item((panel, item, reviewer), (word, request.note.trim()), at_us);
    if !is_taken.map_err(failed("write the verdict down"))? {
        return Err(OperationError::Refused(format!("`{item}` was not shown to `{reviewer}`, or is judged already")));
    }
    Ok(progress(&items(database, panel)?, reviewer))
}

/// What the verdicts come to. It says nothing of single pairs.
///
/// # Errors
/// When the actor may not, or there is no such panel.
pub fn result(database: &Database, actor: &Actor, panel: &str) -> Result<Outcome, OperationError> {
    actor.needs(Role::Operator)?;
    let items = items(database, panel)?;
    let row = database.panels().map_err(failed("read the panel"))?.into_iter().find(|row| row.name == panel);
    let plan: Value = row.and_then(|row| serde_json::from_str(&row.plan_json).ok()).unwrap_or_default();
    let reviewers = plan["reviewers"].as_array().into_iter().flatten();
    let reviewers: Vec<String> = reviewers.filter_map(|name| name.as_str().map(str::to_owned)).collect();
    let judged: Vec<Judged> = items.iter().filter_map(judged).collect();
    let summary = summarise(&judged, &reviewers);
    Ok(Outcome { panel: panel.to_owned(), plan, items: items.len() as u64, summary })
}

fn judged(item: &PanelItemRow) -> Option<Judged> {
    let (verdict, took_us) = item.verdict.as_ref()?;
    let verdict = match verdict.as_str() {
        "a" => Verdict::A,
        "b" => Verdict::B,
        "tie" => Verdict::Tie,
        _ => Verdict::Neither,
    };
    Some(Judged {
        pair: usize::try_from(item.pair).ok()?,
        why: if item.why == "disagreement" { Why::Disagreement } else { Why::Chance },
        reviewer: item.reviewer.clone(),
        candidate_is_a: item.candidate_is_a,
        verdict,
        took_us: *took_us,
    })
}
