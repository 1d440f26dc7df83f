//! What to do, in sentences that stand alone: of what is decided and of where the rollout stands today.

use crate::area::{Area, Found, Standing};
use crate::decision::Decision;
use crate::failing::Failing;
use crate::figure::Unit;
use crate::live::{Approvals, Live};
use crate::quality::{Part, disagreement};
use crate::settings::Move;
use crate::words::{moment, n_of};

/// What to do, for somebody who reads nothing else.
pub(crate) fn verdict(
    mv: &Move,
    (decision, rule): (Decision, &str),
    (areas, live, failing): (&[Found], Option<&Live>, [Option<&Failing>; 2]),
    [good, worse]: [&[Part]; 2],
) -> String {
    let from = &mv.baseline.name;
    let Some(to) = mv.candidate.as_ref().map(|target| &target.name) else {
        return format!("Keep `{from}`: no candidate is named, so there is nothing to compare it with.");
    };
    if mv.switched {
        return done(mv, to, (decision, areas, failing), (live, [good, worse]));
    }
    let today = live.filter(|live| live.has_traffic()).map(today);
    let slices = |parts: &[Part]| parts.iter().map(|part| format!("`{}`", part.slice)).collect::<Vec<_>>().join(", ");
    match (decision, rule) {
        (Decision::Switch, _) if live.is_some_and(Live::is_completed) => format!(
            "Make `{to}` the route's target: {}, and the rollout has completed with {} on it.{}",
            passes(areas),
            today.as_deref().unwrap_or("no traffic"),
            doubt(areas)
        ),
        (Decision::Switch, _) if mv.set_back => format!(
            "Find out why the config was set back to `{from}` after the rollout had completed, then switch to `{to}` again: {}.{}",
            passes(areas),
            doubt(areas)
        ),
        (Decision::Switch, _) => format!("Switch from `{from}` to `{to}`: {}.{}", passes(areas), doubt(areas)),
        (Decision::Hybridize, "H1") => format!("Move only {} to `{to}`; keep the rest on `{from}`.", slices(good)),
        (Decision::Hybridize, "H3") => format!("Move to `{to}` all but {}, which stays on `{from}`.", slices(worse)),
        (Decision::Hybridize, "H2") => {
            let held = areas.iter().find(|found| found.area == Area::Throughput).map(|found| found.because.as_str());
            let held = held.unwrap_or("not the whole peak");
            format!("Move to `{to}` only the share of the load that it holds ({held}); keep the rest on `{from}`.")
        }
        (Decision::Hybridize, _) => {
            format!("Move to `{to}` what its server accepts; keep the requests it refuses on `{from}`.")
        }
        (Decision::Stay, "S2") => taken_back((from, to), areas, live),
        (Decision::Stay, "S3") => match (&mv.down, failing[0]) {
            (Some(down), _) => format!(
                "Keep `{from}`: `{to}` takes no calls now; its breaker has been open since {}, the last failure before that `{}`.",
                moment(down.since_us),
                down.kind
            ),
            (None, seen) => format!(
                "Keep `{from}`: when `{to}` was asked last, {}, and nothing on record is newer than that.",
                seen.map(seen_failing).unwrap_or_default()
            ),
        },
        (Decision::Stay, _) => {
            let fails = format!("`{to}` fails {}", failed(areas));
            if let Some(live) = live.filter(|live| live.is_under_way() && !live.has_traffic()) {
                let when = if live.awaits_approval() { "once it is approved" } else { "when its gates pass" };
                return format!("Stop the rollout, which is at {} and goes on to users {when}: {fails}.", live.place());
            }
            match today {
                Some(today) => format!("Take it back to `{from}`: {fails}, and {today} are on it today."),
                None => format!("Keep `{from}`: {fails}."),
            }
        }
        (Decision::NotEnoughEvidence, "R1") => begun_again((from, to), areas, live),
        (Decision::NotEnoughEvidence, _) => {
            let open = open(areas);
            match today {
                Some(today) => {
                    format!(
                        "Go no further with `{to}`, which has {today}: {open}. Nothing proven says to take it back."
                    )
                }
                None => format!("Keep `{from}` for now: {open}."),
            }
        }
    }
}

/// Of a rollout whose guards took the candidate back: by what they did it, and by what they did before it was begun again.
fn taken_back((from, to): (&str, &str), areas: &[Found], live: Option<&Live>) -> String {
    let before = live.filter(|live| !live.taken_back).and_then(|live| live.taken_back_before.as_deref());
    let why = live.map_or("a guard was breached", |live| number(before.unwrap_or(&live.reason)));
    let (Some(_), Some(live)) = (before, live) else {
        return format!("Keep `{from}`: the rollout's guards took `{to}` back — {why}.");
    };
    let fails = areas.iter().any(|found| found.required && found.standing == Standing::Fail);
    let fails = if fails { format!(" And it fails {}.", failed(areas)) } else { String::new() };
    format!(
        "Keep `{from}`: the rollout's guards took `{to}` back — {why}; it was begun again with the same model, prompt and parameters, and ended ({}).{fails}",
        live.label
    )
}

/// Of a rollout that was begun again with nothing of its targets changed.
fn begun_again((from, to): (&str, &str), areas: &[Found], live: Option<&Live>) -> String {
    let before = live.and_then(|live| live.taken_back_before.as_deref()).map_or("a guard was breached", number);
    let again = format!(
        "the rollout's guards took `{to}` back — {before} — and it was begun again with the same model, prompt and parameters"
    );
    let open = if areas.iter().any(Found::is_open) { format!(" And {}.", open(areas)) } else { String::new() };
    format!(
        "Keep `{from}` as the route's target until the rollout, now at {}, has completed: {again}, so what is proven elsewhere does not count before that.{open}",
        live.map_or("its start", |live| &live.label)
    )
}

/// Of a move that is made: whether it still stands.
fn done(
    mv: &Move,
    to: &str,
    (decision, areas, [failing, repaired]): (Decision, &[Found], [Option<&Failing>; 2]),
    (live, [good, worse]): (Option<&Live>, [&[Part]; 2]),
) -> String {
    let rollout = mv.rollout.as_deref().unwrap_or_default();
    let done = match live {
        Some(live) if !live.is_completed() => format!(
            "the config made `{to}` the route's target though its rollout `{rollout}` did not complete ({}: {})",
            live.label,
            number(&live.reason)
        ),
        _ if rollout.is_empty() => {
            format!("the config made `{to}` the route's target, and no rollout on record proved it on live traffic")
        }
        _ => format!("`{to}` is the route's target since the rollout `{rollout}` completed"),
    };
    let parts = |parts: &[Part]| and(&parts.iter().map(|part| format!("`{}`", part.slice)).collect::<Vec<_>>());
    match decision {
        Decision::Switch => {
            let was = repaired.map_or_else(String::new, |was| {
                format!(
                    " Of its newest {} calls {} failed, most by `{}`, the last at {}, and none of the {} since: find out what that was.",
                    was.n,
                    was.n_failed,
                    was.most,
                    moment(was.last_us),
                    was.n_since
                )
            });
            format!("Done: {done}, and {}.{was}", passes(areas))
        }
        Decision::Stay => match failing {
            Some(seen) => {
                format!("Take it back to `{}` now: {done}, and {}.", mv.baseline.name, seen_failing(seen))
            }
            None if live.is_some_and(|live| live.taken_back) => {
                format!("Take it back to `{}`: {done}.", mv.baseline.name)
            }
            None => format!("Take it back to `{}`: {done}, and it fails {}.", mv.baseline.name, failed(areas)),
        },
        Decision::NotEnoughEvidence => {
            format!("Leave it as it is: {done}. Today {}. Nothing proven says to take it back.", open(areas))
        }
        Decision::Hybridize if !good.is_empty() => {
            format!("Give all but {} back to `{}`: {done}, and only these are proven.", parts(good), mv.baseline.name)
        }
        Decision::Hybridize if !worse.is_empty() => {
            format!("Give {} back to `{}`: {done}, and these are worse beyond chance.", parts(worse), mv.baseline.name)
        }
        Decision::Hybridize => {
            format!("Give a part back to `{}`: {done}, and it does not do all of it.", mv.baseline.name)
        }
    }
}

/// `32 of its newest 80 calls failed, most by …, the last at …`.
fn seen_failing(Failing { n_failed, n, most, last_us, .. }: &Failing) -> String {
    format!("{n_failed} of its newest {n} calls failed, most by `{most}`, the last at {}", moment(*last_us))
}

/// What is required and fails, with what was measured of each.
fn failed(areas: &[Found]) -> String {
    let failed = areas.iter().filter(|found| found.required && found.standing == Standing::Fail);
    let with_number = |found: &Found| match found.measured() {
        Some(figure) => format!("{} ({}; wanted: {})", found.area.word(), figure.shown(), found.target),
        None => format!("{} ({})", found.area.word(), found.because),
    };
    and(&failed.map(with_number).collect::<Vec<_>>())
}

/// How much of what is required is open, and which.
fn open(areas: &[Found]) -> String {
    let named = |found: &Found| format!("{} ({})", found.area.word(), found.standing.label());
    let open: Vec<String> = areas.iter().filter(|found| found.is_open()).map(named).collect();
    let n = areas.iter().filter(|found| found.required).count();
    let are = if open.len() == 1 { "is" } else { "are" };
    format!("{} of {n} required checks {are} open — {}", open.len(), and(&open))
}

/// That all that is required passes, with what was measured of each.
fn passes(areas: &[Found]) -> String {
    let measured = |found: &&Found| {
        let figure = found.measured()?;
        let shown = figure.unit.shown(figure.value?);
        let of = match (figure.unit, found.area) {
            (Unit::Count, _) => " cases",
            (Unit::Share, Area::Latency) => " in time",
            _ => "",
        };
        Some(format!("{} {shown}{of}", found.area.word()))
    };
    let numbers: Vec<String> =
        areas.iter().filter(|found| found.required).filter_map(|found| measured(&found)).collect();
    match numbers.as_slice() {
        [] => "every check that is required passes".to_owned(),
        numbers => format!("every check that is required passes ({})", numbers.join(", ")),
    }
}

/// That somebody asked before and was told otherwise.
fn doubt(areas: &[Found]) -> String {
    let said = areas.iter().filter(|found| found.area == Area::Quality).find_map(|found| disagreement(&found.because));
    said.map_or_else(String::new, |said| format!(" Of its quality {said}."))
}

/// What was seen, of a reason that goes on with how sure it was and how fast.
fn number(reason: &str) -> &str {
    let seen = reason.split("; ").next().unwrap_or(reason);
    seen.split(" (").next().unwrap_or(seen).trim_end_matches('.')
}

/// What the candidate has, in words: `98.0 % of users' requests`.
fn today(live: &Live) -> String {
    format!("{} of users' requests", Unit::Share.shown(live.share.value.unwrap_or_default()))
}

/// `a, b and c`.
pub(crate) fn and(names: &[String]) -> String {
    match names {
        [] => "nothing".to_owned(),
        [only] => only.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// What to do now, with the command for it.
pub(crate) fn next(mv: &Move, (decision, rule): (Decision, &str), areas: &[Found], live: Option<&Live>) -> String {
    if (rule, mv.switched) == ("S3", false)
        && let Some((rollout, live)) = mv.rollout.as_ref().zip(live).filter(|(_, live)| live.is_under_way())
    {
        return format!(
            "Approve nothing and switch nothing by hand; find out why it fails: `crossfade rollout status {rollout}`. The rollout goes on with copies at {}, and this page follows once enough of them are answered, twenty in a row at the least. To stop it: `crossfade rollout abort {rollout} --reason TEXT`.",
            live.place()
        );
    }
    if (rule, mv.switched) == ("S3", false) {
        let again = areas.iter().find(|found| found.area == Area::Latency).and_then(|found| found.again.as_ref());
        return format!(
            "Leave the route where it is, and find out why it failed. Once it is repaired a benchmark shows it{}; then live traffic, by a rollout{}.",
            again.map_or_else(String::new, |again| format!(", {again}")),
            again_by_rollout(mv).map_or_else(String::new, |lines| format!(": {lines}"))
        );
    }
    match (mv.rollout.as_deref(), live) {
        _ if mv.switched => {
            let back = set_target(mv, &mv.baseline.name);
            match decision {
                Decision::Switch => format!(
                    "No change. No guard watches it any more: alert on its errors and times yourself, and make this report again when the model or the traffic changes. The way back: {back}."
                ),
                Decision::NotEnoughEvidence => format!("{} The way back: {back}.", missing(areas)),
                Decision::Stay => format!("The way back: {back}."),
                Decision::Hybridize => format!("By a rule of the route for that part; or all of it: {back}."),
            }
        }
        (Some(rollout), Some(live)) if live.has_traffic() => with_traffic(mv, decision, areas, (rollout, live)),
        (rollout, _) => without_traffic(mv, decision, areas, (rollout, live)),
    }
}

/// How what is required and failed is measured again, where that is known.
fn of_failed(areas: &[Found]) -> Option<&String> {
    let failed = areas.iter().filter(|found| found.required && found.standing == Standing::Fail);
    failed.filter_map(|found| found.again.as_ref()).next()
}

/// What a rollout that proves the same move once more is called.
pub(crate) fn again_name(mv: &Move) -> Option<String> {
    let (from, to) = (&mv.baseline.name, &mv.candidate.as_ref()?.name);
    Some(mv.rollout.as_ref().map_or_else(|| format!("{from}-to-{to}"), |before| format!("{before}-again")))
}

/// A rollout that proves the same move once more, with its line of the config.
pub(crate) fn again_by_rollout(mv: &Move) -> Option<String> {
    let (from, to) = (&mv.baseline.name, &mv.candidate.as_ref()?.name);
    let name = again_name(mv)?;
    let stages = mv.rollout.as_ref().map_or_else(String::new, |before| {
        format!(" (with the stages and the policy that `{before}` had; without them it takes the default ones)")
    });
    let back = if mv.switched {
        let out = out_of_fallback(mv, from);
        format!(
            "in one edit of the config, which gives users back to `{from}` meanwhile, `routes.{}.target: {from}`{out} and ",
            mv.route
        )
    } else {
        "in the config ".to_owned()
    };
    Some(format!(
        "{back}`rollouts: {{ {name}: {{ route: {}, baseline: {from}, candidate: {to} }} }}`{stages}, then `crossfade reload` and `crossfade rollout start {name}`",
        mv.route
    ))
}

/// That a target of a route stands in for it no more, where it does.
fn out_of_fallback(mv: &Move, name: &str) -> String {
    let is_fallback = mv.fallback.iter().any(|target| target.name == name);
    if is_fallback { format!(" and take `{name}` out of `routes.{}.fallback`", mv.route) } else { String::new() }
}

/// The lines of the config that make `name` the route's target.
fn set_target(mv: &Move, name: &str) -> String {
    let out = out_of_fallback(mv, name);
    format!("in the config set `routes.{}.target: {name}`{out}, then `crossfade reload`", mv.route)
}

/// What becomes of it without anybody.
pub(crate) fn idle(mv: &Move, live: Option<&Live>, failing: Option<&Failing>) -> String {
    let from = &mv.baseline.name;
    let to = mv.candidate.as_ref().map_or("the candidate", |to| &to.name);
    match live {
        _ if mv.switched && failing.is_some() => {
            let others: Vec<String> = mv.fallback.iter().map(|target| format!("`{}`", target.name)).collect();
            let caught = if others.is_empty() {
                String::new()
            } else {
                format!(", though its fallback {} answers callers where it can", and(&others))
            };
            format!("`{to}` goes on failing those who ask it{caught}, and nothing takes it back by itself.")
        }
        _ if mv.switched => format!("`{to}` goes on answering all, and nothing takes it back by itself."),
        Some(live) if live.is_completed() => format!(
            "{} stay on `{to}` and the rest on `{from}`; proof of harm still takes it back by itself.",
            today(live)
        ),
        Some(live) if live.awaits_approval() => {
            let back = if live.has_traffic() {
                "proof of harm still takes it back by itself"
            } else {
                "no user is sent to it"
            };
            format!("it stays at {} until {} it to {}; {back}.", live.place(), missing_approvals(live), next_step(live))
        }
        Some(live) if live.is_under_way() && !live.has_traffic() && (failing.is_some() || mv.down.is_some()) => {
            format!(
                "copies go on at {}; users are sent to `{to}` only once all its gates pass, and proof of harm ends it by itself.",
                live.place()
            )
        }
        Some(live) if live.is_under_way() && live.next.is_none() => format!(
            "the rollout is on its last step, {}: it completes by itself when its gates pass and then stays there, and goes back by itself on proof of harm.",
            live.place()
        ),
        Some(live) if live.is_under_way() => {
            let on = match live.approvals {
                Some(Approvals { have, need, .. }) if need > have => {
                    format!("waits for {} when its gates pass", n_of((need - have) as usize, "approval"))
                }
                _ => {
                    "goes on to more users by itself when its gates pass, until a step asks for an approval".to_owned()
                }
            };
            format!("the rollout, now at {}, {on}, and goes back by itself on proof of harm.", live.place())
        }
        Some(live) if live.has_traffic() => {
            format!("{} stay on `{to}`; proof of harm still takes it back by itself.", today(live))
        }
        _ => format!("`{from}` goes on answering all."),
    }
}

fn without_traffic(
    mv: &Move,
    decision: Decision,
    areas: &[Found],
    (rollout, live): (Option<&str>, Option<&Live>),
) -> String {
    let set_back = live.is_some_and(Live::is_set_back);
    match (decision, rollout) {
        (Decision::Switch, Some(rollout)) if set_back => format!(
            "The rollout `{rollout}` completed and the config was set back to `{}` since. To prove it on live traffic first, the careful way after an outage: {}. To switch again at once: {}.",
            mv.baseline.name,
            again_by_rollout(mv).unwrap_or_default(),
            set_target(mv, mv.candidate.as_ref().map_or("CANDIDATE", |to| &to.name))
        ),
        (Decision::Hybridize, Some(_)) if set_back => {
            "By a rule of the route for that part, or a rollout of another name for its cohort.".to_owned()
        }
        (Decision::Switch | Decision::Hybridize, Some(rollout)) => match live {
            None => format!("Start with copies, which users do not see: `crossfade rollout start {rollout}`."),
            Some(live) if live.is_over() => format!(
                "The rollout `{rollout}` was ended ({}): begin again with copies, `crossfade rollout resume {rollout} --reason TEXT`.",
                live.label
            ),
            Some(live) => raised(rollout, live),
        },
        (Decision::Switch | Decision::Hybridize, None) => format!(
            "Start a rollout, which begins with copies that users do not see: {}.",
            again_by_rollout(mv).unwrap_or_default()
        ),
        (Decision::Stay, Some(rollout)) if live.is_some_and(Live::was_taken_back) => {
            format!(
                "Leave the route where it is. `crossfade rollout history {rollout}` has what was seen; after a fix `crossfade rollout resume {rollout} --reason TEXT` begins again with copies."
            )
        }
        (Decision::Stay, Some(rollout)) if live.is_some_and(Live::is_under_way) => {
            let abort = format!("`crossfade rollout abort {rollout} --reason TEXT`");
            match of_failed(areas) {
                Some(again) => format!("{abort}. If what failed was repaired since, measure it again first: {again}."),
                None => format!("{abort}. Then look for another candidate, or change what failed and measure again."),
            }
        }
        (Decision::Stay, _) => match of_failed(areas) {
            Some(again) => format!(
                "Leave the route where it is; once it is repaired, measure it again: {again}. Or look for another candidate."
            ),
            None => "Leave the route where it is; look for another candidate, or change what failed and measure again."
                .to_owned(),
        },
        (Decision::NotEnoughEvidence, Some(rollout))
            if !areas.iter().any(Found::is_open) && live.is_some_and(|live| live.taken_back_before.is_some()) =>
        {
            live.map_or_else(String::new, |live| proving(rollout, live))
        }
        (Decision::NotEnoughEvidence, _) if mv.candidate.is_none() => {
            format!("Name a candidate: a rollout on the route `{}`, or `--candidate TARGET`.", mv.route)
        }
        (Decision::NotEnoughEvidence, Some(rollout)) if live.is_some_and(|live| live.status == "aborted") => format!(
            "{} The rollout was aborted: `crossfade rollout resume {rollout} --reason TEXT` begins again with copies.",
            missing(areas)
        ),
        (Decision::NotEnoughEvidence, Some(rollout)) if live.is_some_and(Live::awaits_approval) => {
            format!("{} Until then give the rollout `{rollout}` no approval: it waits for that alone.", missing(areas))
        }
        (Decision::NotEnoughEvidence, Some(rollout)) if live.is_some_and(Live::is_under_way) => {
            format!("{} To hold the rollout until then: `crossfade rollout pause {rollout}`.", missing(areas))
        }
        (Decision::NotEnoughEvidence, _) => missing(areas),
    }
}

/// Of a rollout whose candidate answers users today.
fn with_traffic(mv: &Move, decision: Decision, areas: &[Found], (rollout, live): (&str, &Live)) -> String {
    let to = mv.candidate.as_ref().map_or("the candidate", |to| &to.name);
    let back = format!("`crossfade rollout abort {rollout} --reason TEXT`");
    match decision {
        Decision::Switch if live.is_completed() => format!(
            "In the config set `routes.{}.target: {to}`{} and take the rollout `{rollout}` out, then `crossfade reload`: with that its guards end. Until then {back} takes it back.",
            mv.route,
            if mv.fallback.iter().any(|target| target.name == to) {
                format!(", take `{to}` out of its `fallback`")
            } else {
                String::new()
            }
        ),
        Decision::Switch => raised(rollout, live),
        Decision::Hybridize => format!(
            "The rollout `{rollout}` moves every part alike, {} today: take it back with {back}, then move the stated part alone, by a cohort of the rollout or a rule of the route.",
            today(live)
        ),
        Decision::Stay => {
            format!(
                "{back}: from then on `{}` answers all. Or have what failed accepted by those whom it concerns.",
                mv.baseline.name
            )
        }
        Decision::NotEnoughEvidence if live.taken_back_before.is_some() && !areas.iter().any(Found::is_open) => {
            proving(rollout, live)
        }
        Decision::NotEnoughEvidence => {
            let (leave, further) = if live.status == "paused" {
                (
                    format!(
                        "Leave it paused, guards armed (`crossfade rollout resume {rollout} --reason TEXT` lets it go on)"
                    ),
                    "let it rise no further".to_owned(),
                )
            } else if live.awaits_approval() {
                (
                    format!("Leave it at {}, guards armed", live.place()),
                    format!("give the rollout `{rollout}` no approval until that is settled"),
                )
            } else if live.is_completed() {
                (
                    "Leave the completed rollout as it is; its guards stay armed".to_owned(),
                    format!("do not make `{to}` the route's target yet"),
                )
            } else {
                (
                    format!("Hold it where it is, guards armed, with `crossfade rollout pause {rollout}`"),
                    "let it rise no further".to_owned(),
                )
            };
            format!("{leave}, and {further}. {} To undo it instead: {back}.", missing(areas))
        }
    }
}

/// Of a rollout that was begun again and has to prove itself: nothing else is open, so it is to go on.
fn proving(rollout: &str, live: &Live) -> String {
    let on = match live.status.as_str() {
        "awaiting_approval" => {
            format!(
                "Its gates have passed again. First know what took it back, and that it is repaired. {}",
                raised(rollout, live)
            )
        }
        "paused" => format!(
            "It is paused, guards armed: once you know what took it back and that it is repaired, `crossfade rollout resume {rollout} --reason TEXT` lets it go on."
        ),
        _ => format!("Let the rollout prove it: {}", raised(rollout, live)),
    };
    format!(
        "{on} `crossfade rollout history {rollout}` has what took it back. To stop it instead: `crossfade rollout abort {rollout} --reason TEXT`."
    )
}

/// Whose word is asked for, and what it does.
fn approvals(live: &Live) -> String {
    let Some(Approvals { have, need, author_may }) = live.approvals else { return String::new() };
    let who = if author_may { "" } else { " by others than who started it" };
    let are = if have == 1 { "is" } else { "are" };
    format!("{have} of {need} approvals{who} {are} given, and the last takes it to {}. Each is ", next_step(live))
}

/// `2 more approvals take`, of a rollout that waits for them.
fn missing_approvals(live: &Live) -> String {
    match live.approvals {
        Some(Approvals { have, need, .. }) if need == have + 1 => "1 more approval takes".to_owned(),
        Some(Approvals { have, need, .. }) => format!("{} more approvals take", need.saturating_sub(have)),
        None => "an approval takes".to_owned(),
    }
}

fn next_step(live: &Live) -> &str {
    live.next.as_deref().unwrap_or("its end")
}

/// What a rollout that is to go on waits for: its gates, or a person.
fn raised(rollout: &str, live: &Live) -> String {
    let at = live.place();
    match live.status.as_str() {
        "awaiting_approval" => format!(
            "The rollout `{rollout}` is at {at}, every gate has passed, and it waits for people: {}`crossfade rollout approve {rollout} --actor NAME`.",
            approvals(live)
        ),
        "paused" => format!(
            "The rollout `{rollout}` is paused at {at}: `crossfade rollout resume {rollout} --reason TEXT` lets it go on."
        ),
        _ if live.next.is_none() => format!(
            "The rollout `{rollout}` is on its last step, {at}, and completes by itself when its gates pass: `crossfade rollout status {rollout}` says what they wait for. Then page one has the line of the config that ends it."
        ),
        _ => format!(
            "Nothing has to be typed today: the rollout `{rollout}` is at {at}, and its gates raise that step by step as live traffic proves it. Where the workload's risk asks for a person, a step waits for `crossfade rollout approve {rollout} --actor NAME`; `crossfade rollout status {rollout}` says what each still waits for."
        ),
    }
}

fn missing(areas: &[Found]) -> String {
    let open = areas.iter().find(|found| found.is_open());
    let first = open.and_then(|found| Some((found.area.label(), found.settle.as_ref()?)));
    first.map_or_else(
        || "See what is open below.".to_owned(),
        |(area, settle)| format!("First of what is missing — {area}: {settle}."),
    )
}

/// What could go wrong.
pub(crate) fn risks(mv: &Move, areas: &[Found], live: Option<&Live>, worse: &[Part]) -> Vec<String> {
    let mut risks = Vec::new();
    for part in worse {
        risks.push(format!("Worse beyond chance where {}: {}.", part.slice, part.difference.shown()));
    }
    for found in areas.iter().filter(|found| !found.required && found.standing != Standing::Pass) {
        risks.push(format!(
            "{} is not required and is {}: {}.",
            found.area.label(),
            found.standing.label(),
            found.because
        ));
    }
    if let Some(why) = live.and_then(|live| live.taken_back_before.as_deref()) {
        risks.push(format!(
            "Its rollout's guards took it back before, and the same model was begun again: {}.",
            number(why)
        ));
    }
    // Gates of a rollout that has ended wait for nothing any more.
    let running = live.filter(|live| !live.is_over() && !live.is_completed());
    let open: Vec<&str> = running
        .iter()
        .flat_map(|live| &live.gates)
        .filter(|gate| !gate.passed)
        .map(|gate| gate.name.as_str())
        .collect();
    if !open.is_empty() {
        risks.push(format!("Live gates not passed yet: {}.", open.join("; ")));
    }
    if let Some(candidate) = mv.candidate.as_ref().filter(|candidate| candidate.external && !mv.baseline.external) {
        risks.push(format!(
            "Requests would leave the house: `{}` is at {} ({}).",
            candidate.name, candidate.provider, candidate.class
        ));
    }
    if mv.candidate.as_ref().is_some_and(|candidate| candidate.class == "self_hosted") && mv.baseline.external {
        risks.push(
            "Own machines have to be run day and night: who is woken is in the worksheet of costs, or should be."
                .to_owned(),
        );
    }
    if mv.fallback.is_empty() && mv.switched {
        risks.push(format!(
            "The route names no `fallback`: when `{}` fails nobody stands in; to have one, set `routes.{}.fallback: [{}]`.",
            mv.candidate.as_ref().map_or("its target", |candidate| &candidate.name),
            mv.route,
            mv.baseline.name
        ));
    } else if mv.fallback.is_empty() && !mv.set_back {
        risks.push(
            format!(
                "The route names no `fallback`: the baseline stands by only as long as the rollout; to keep one after it, set `routes.{}.fallback`.",
                mv.route
            ),
        );
    }
    risks
}
