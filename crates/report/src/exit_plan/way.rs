//! Sections of the way out and back: runbook, rollback, data, what stays, and the log of rehearsals.

use super::Section;
use super::facts::{DrillPart, ExitDrill, Leaving, RECORD_ALONE, day, ms};

/// Drills that are shown; the audit has all.
const MOST_DRILLS: usize = 10;

pub(super) fn drill_command(of: &Leaving) -> String {
    let to = of.to().map_or_else(String::new, |target| format!(" --to {}", target.name));
    format!("`crossfade exit drill {}{to}`", of.mv.route)
}

pub(super) fn runbook(of: &Leaving) -> Section {
    let mut section = Section::new("Runbook");
    let (said, drill) = (of.said(), of.last_drill());
    let (route, provider) = (&of.mv.route, &of.mv.baseline.provider);
    let to = of.to().map_or("TARGET", |target| target.name.as_str());
    let people = |what: Option<u64>, unit: &str| match what {
        Some(n) => format!("{n} {unit} (stated)"),
        None => "not known".to_owned(),
    };
    let switched =
        |way: fn(&ExitDrill) -> Option<f64>| drill.map_or_else(unmeasured, |drill| switched(drill, way(drill)));
    let by = |name: Option<&String>| name.cloned().unwrap_or_else(|| "not known".to_owned());
    let (technical, approver) = (by(said.technical_owner.as_ref()), by(said.approver.as_ref()));
    let contract = &said.contract;
    let steps = [
        ("decide that a trigger holds", approver.clone(), String::new(), people(said.decide_hours, "h")),
        ("switch the route", technical.clone(), set_target(of, to), switched(|drill| drill.there.time_to_switch_ms)),
        (
            "watch: golden tests, probes, error rate",
            technical.clone(),
            format!("`crossfade prompts test --target {to}`, `crossfade conformance {to}`"),
            drill.map_or_else(unmeasured, watched),
        ),
        (
            "if it does not hold: back",
            technical.clone(),
            format!("`routes.{route}.target: {}` in the config, then `crossfade reload`", of.mv.baseline.name),
            switched(|drill| drill.home.time_to_switch_ms),
        ),
        (
            "take the data out, and check it",
            technical.clone(),
            format!("`crossfade exit export DIR --provider {provider} --sign KEY`, `crossfade exit verify DIR`"),
            of.export.as_ref().map_or_else(unmeasured, |export| format!("resumes where {} files are", export.files.0)),
        ),
        ("give notice", approver, String::new(), people(contract.notice_days, "days")),
        (
            "take keys, config and code of the vendor away",
            technical,
            "`crossfade inventory PATH` finds what is left".to_owned(),
            people(said.decommission_days, "days"),
        ),
        (
            "have the deletion certified",
            by(said.business_owner.as_ref()),
            String::new(),
            people(contract.deletion_days, "days"),
        ),
    ];
    let row = |(idx, (what, who, how, takes)): (usize, &(&str, String, String, String))| {
        vec![(idx + 1).to_string(), (*what).to_owned(), who.clone(), how.clone(), takes.clone()]
    };
    section.table(&["", "step", "who", "how", "takes"], steps.iter().enumerate().map(row).collect());
    section.says(
        "A drill switches in the memory of the running gateway; a reload reads and checks the config first and then swaps it whole. Requests \
         under way end where they began, in both.",
    );
    if drill.is_none() {
        section.lacks("measured times of the switch, of the watch and of the way back", drill_command(of));
    }
    for (what, key, is_known) in [
        ("hours from a trigger to the decision", "schedule.decide_hours", said.decide_hours.is_some()),
        ("days until the last of the vendor is gone", "schedule.decommission_days", said.decommission_days.is_some()),
    ] {
        if !is_known {
            section.lacks(what, of.worksheet(key));
        }
    }
    section
}

/// The lines that make the alternative the route's target. A rollout from the old one is no rollout of the new one: the config is refused with both.
fn set_target(of: &Leaving, to: &str) -> String {
    let set = format!("in the config `routes.{}.target: {to}`", of.mv.route);
    match &of.mv.live {
        Some(live) if live.is_under_way() || live.status == "paused" => format!(
            "`crossfade rollout abort {0} --reason TEXT`; {set} and the rollout `{0}` taken out; then `crossfade reload`",
            live.rollout
        ),
        _ => format!("{set}, rollouts of this route taken out, then `crossfade reload`"),
    }
}

fn unmeasured() -> String {
    "not measured".to_owned()
}

/// A drill switches in memory: a reload was not what took so long.
fn switched(drill: &ExitDrill, time: Option<f64>) -> String {
    time.map_or_else(unmeasured, |time| {
        format!(
            "the drill of {} switched in {}, in memory; the reload itself is not measured",
            day(drill.at_us),
            ms(time)
        )
    })
}

/// What was watched while a drill was away, and for how long.
fn watched(drill: &ExitDrill) -> String {
    let Some(away) = drill.away_ms else { return unmeasured() };
    let probes = match &drill.probes {
        Some(probes) => {
            let n_golden = probes.golden_passed + probes.golden_failed.len() as u64;
            let golden = if n_golden == 0 { "no golden test".to_owned() } else { format!("{n_golden} golden tests") };
            let n_found = probes.capabilities_there + probes.essential_missing.len() as u64;
            let found = if n_found == 0 { "no capability".to_owned() } else { format!("{n_found} capabilities") };
            format!("{golden}, {found} probed")
        }
        None => "no probes".to_owned(),
    };
    let (day, requests) = (day(drill.at_us), drill.away.requests);
    format!("the drill of {day} was away for {}, with {requests} requests, {probes}", ms(away))
}

pub(super) fn rollback(of: &Leaving) -> Section {
    let mut section = Section::new("The way back");
    let mut rows = Vec::new();
    if let Some(drill) = of.last_drill()
        && let Some(home) = drill.home.time_to_switch_ms
    {
        rows.push(vec![
            "route sent back to its own target (exit drill)".to_owned(),
            ms(home),
            day(drill.at_us),
            drill.verdict.clone().unwrap_or_default(),
            short(&drill.digest),
        ]);
    }
    let filed = of.filed.iter().filter(|row| row.kind == "drill" && row.name != "exit").take(MOST_DRILLS);
    rows.extend(filed.map(|row| {
        let verdict = if row.passed { "pass" } else { "fail" };
        let what = format!("rollback of rollout `{}`, candidate fails by `{}`", row.rollout, row.name);
        vec![what, row.note.clone(), day(row.at_us), verdict.to_owned(), short(&row.digest)]
    }));
    if rows.is_empty() {
        section.lacks("a measured way back", drill_command(of));
    }
    section.table(&["what", "measured", "on", "verdict", "digest"], rows);
    section.says(
        "Until the vendor's key and contract are gone the way back is one reload. After that it is a new contract: its time is not measured.",
    );
    section
}

fn short(digest: &str) -> String {
    digest.chars().take(12).collect()
}

pub(super) fn data(of: &Leaving) -> Section {
    let mut section = Section::new("Data");
    // One's own record is no data of the vendor's.
    if of.export.as_ref().is_none_or(|export| export.source == RECORD_ALONE) {
        let provider = &of.mv.baseline.provider;
        section.lacks(
            "an export of what the vendor holds",
            format!(
                "`crossfade exit export DIR --provider {provider} --sign KEY`, then `crossfade exit plan {} --export DIR`",
                of.mv.route
            ),
        );
    }
    let Some(export) = &of.export else { return section };
    section.says(format!(
        "{} in {}: {} files, {} bytes, manifest {}, {}.",
        export.source,
        export.directory,
        export.files.0,
        export.files.1,
        short(&export.digest),
        if export.signed { "signed" } else { "not signed" }
    ));
    let row = |(name, objects, bytes): &(String, u64, u64)| vec![name.clone(), objects.to_string(), bytes.to_string()];
    section.table(&["collection", "objects", "bytes of contents"], export.collections.iter().map(row).collect());
    let row = |(what, instead): &(String, String)| vec![what.clone(), instead.clone()];
    section.table(&["not given out by its API", "what to do"], export.not_given.iter().map(row).collect());
    let again = format!("`crossfade exit export {}` goes on where it was", export.directory);
    if !export.complete {
        section.lacks("the rest of the export: it is not complete", again);
    }
    if export.n_refused > 0 {
        section.says(format!("Refused by the vendor: {}; the manifest names each.", export.n_refused));
    }
    if !export.signed {
        section.lacks("a signature of the export", "`crossfade keys signing`, then the export again with `--sign KEY`");
    }
    section
}

pub(super) fn residual(of: &Leaving) -> Section {
    let mut section = Section::new("What stays behind");
    let (said, mut lines) = (of.said(), Vec::new());
    let [today, after] = &of.mv.sovereignty;
    let class =
        |class: Option<u8>| class.map_or_else(|| "class not known".to_owned(), |class| format!("class {class} of 5"));
    section.says(format!(
        "Dependence on others today: {} ({}). As the report decides: {} ({}).",
        class(today.class),
        today.means,
        class(after.class),
        after.means
    ));
    if let Some(drill) = of.last_drill().filter(|drill| drill.away.stayed > 0) {
        lines.push(format!(
            "{} of {} requests of the last drill could not be moved: they go on from what only the vendor keeps, make vectors or files, or may \
             not go where the alternative is.",
            drill.away.stayed, drill.away.requests
        ));
    }
    let none = of.replacements.iter().flat_map(|matrix| &matrix.rows).filter(|row| row.standing == "none");
    lines.extend(none.map(|row| format!("Without a replacement: {}.", row.what)));
    lines.extend(
        of.export.iter().flat_map(|export| &export.not_given).map(|(what, _)| format!("Not given out: {what}.")),
    );
    lines.extend(said.residual.iter().map(|it| format!("{}: {}", it.what, it.why)));
    section.list(lines);
    if said.residual.is_empty() {
        section.lacks("what stays with the vendor by people's knowledge", of.worksheet("residual"));
    }
    section
}

pub(super) fn tests(of: &Leaving) -> Section {
    let mut section = Section::new("Rehearsals and their findings");
    let row = |drill: &ExitDrill| {
        let time = |time: Option<f64>| time.map_or_else(|| "–".to_owned(), ms);
        let own = if drill.away.own > 0 { format!(" ({} own)", drill.away.own) } else { String::new() };
        let DrillPart { failed, fell_back, .. } = drill.away;
        let at_alternative =
            if fell_back > 0 { format!(" (alternative {})", fell_back + failed) } else { String::new() };
        vec![
            day(drill.at_us),
            format!("{} → {}", drill.from, drill.to),
            drill.verdict.clone().unwrap_or_default(),
            time(drill.there.time_to_switch_ms),
            time(drill.home.time_to_switch_ms),
            format!("{}{own}", drill.away.requests),
            format!("{failed}{at_alternative}"),
            drill.actor.clone(),
            short(&drill.digest),
        ]
    };
    let headings = ["on", "drill", "verdict", "there", "back", "requests", "failed", "by", "digest"];
    section.table(&headings, of.drills.iter().take(MOST_DRILLS).map(row).collect());
    let Some(last) = of.last_drill() else {
        section.lacks("a rehearsal that came to a verdict", drill_command(of));
        return section;
    };
    findings(&mut section, of, last);
    if last.simulated {
        section.says("The last drill was of SIMULATED providers.");
        section.lacks("a rehearsal with the real providers", drill_command(of));
    }
    section
}

fn findings(section: &mut Section, of: &Leaving, last: &ExitDrill) {
    let row = |check: &super::facts::DrillCheck| {
        let holds = if check.holds { "yes" } else { "NO" };
        vec![check.what.clone(), check.measured.clone(), check.target.clone(), holds.to_owned()]
    };
    section.table(&["last drill", "measured", "target", "holds"], last.checks.iter().map(row).collect());
    let mut lines: Vec<String> = Vec::new();
    let held = last.checks.iter().filter(|check| !check.holds);
    lines.extend(
        held.map(|check| format!("Did not hold: {} was {}, must be {}.", check.what, check.measured, check.target)),
    );
    if let (Some(before), Some(away)) = (last.before.median_ms, last.away.median_ms) {
        lines.push(format!("Half of the answers took longer than {} before, and than {} away.", ms(before), ms(away)));
    }
    match &last.probes {
        Some(probes) => {
            let score = probes.score.map_or_else(String::new, |score| format!(", drop-in score {score:.2}"));
            let n_golden = probes.golden_passed + probes.golden_failed.len() as u64;
            let golden = match n_golden {
                0 => "no golden test was run".to_owned(),
                n => format!("{} of {n} golden tests passed", probes.golden_passed),
            };
            lines.push(format!(
                "Probes: {golden}, {} essential capabilities missing{score}.",
                probes.essential_missing.len()
            ));
            if n_golden == 0 {
                section.lacks(
                    "golden tests in a drill",
                    format!(
                        "prompts with golden tests in the registry (`crossfade prompts`), then {}",
                        drill_command(of)
                    ),
                );
            }
        }
        None => section.lacks("acceptance probes in a drill", format!("{}, without `--no-probes`", drill_command(of))),
    }
    section.list(lines);
}
