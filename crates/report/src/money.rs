//! What a successful task costs on both sides: the study of a worksheet, computed here from its text.

use std::collections::BTreeMap;

use cost::tco::odds::{Needed, Verdict};
use cost::tco::page::simulated_figures;
use cost::tco::{Costed, Draw, Exact, Provenance, Quantity, Study, what_if};

use crate::area::{Area, Found, Standing};
use crate::commands;
use crate::figure::{Figure, Unit};
use crate::quality::changed;
use crate::report::{Engine, Stale};
use crate::rows::{CALLS, Call, Rows, Run};
use crate::settings::{Move, Settings, TcoDemand, Worksheet};
use crate::words::{a_month, each, n_of};

/// What the interval of a figure is whose point is the median of the same draws.
const DRAWN: &str = "80 % of draws (P10 to P90)";

/// What is known of the costs of a move.
pub(crate) struct Money {
    pub found: Found,
    /// The saving.
    pub delta: Figure,
    /// Savings and how often they were drawn: where the first bar begins, how wide one is, and counts.
    pub histogram: Option<(f64, f64, Vec<u32>)>,
}

/// What a move's study says.
pub(crate) fn money(rows: &Rows, mv: &Move, engine: &dyn Engine, (key, stale): (&str, &mut Vec<Stale>)) -> Money {
    let demand = &rows.settings.scorecard.tco;
    let [saving, certainty] = [demand.saving.0, demand.certainty.0].map(|share| Unit::Share.shown(share));
    let asks = format!("a successful task costs at least {saving} less, with a certainty of {certainty}");
    let target = format!("saves ≥ {saving}, {certainty} sure");
    let label = "Cost delta: saving for a successful task, the median of draws";
    let unknown = Figure::new(format!("{key}.tco.saving"), label, None, Unit::Saved);
    let no_study = |because: &str, settle: &str| Money {
        found: Found::not_run(Area::Tco, (demand.required, asks.clone(), target.clone()), because, settle),
        delta: unknown.clone(),
        histogram: None,
    };
    let is_of_both = |run: &&Run| {
        run.head.baseline.name == mv.baseline.name
            && mv.candidate.as_ref().is_some_and(|candidate| candidate.name == run.head.candidate.name)
    };
    let run = rows.runs.iter().filter(is_of_both).max_by_key(|run| run.head.at_us);
    let settle = commands::tco(mv, run.map(|run| run.head.run.as_str()));
    let (idx, study) = match fitting(rows, mv, engine) {
        Ok(Fitting { counts: Some(found), refused }) => {
            stale.extend(refused);
            found
        }
        Ok(Fitting { counts: None, refused }) => {
            let because = none_counts(&refused);
            stale.extend(refused);
            return no_study(&because, &settle);
        }
        Err(why) => return no_study(&why, &settle),
    };
    let file = Settings::worksheet_file(idx);
    let demanded = [("target_saving", demand.saving.0), ("certainty", demand.certainty.0)];
    let exact = |(name, value): (&str, f64)| Some((name.to_owned(), Exact::parse(&value.to_string())?));
    let book = match what_if(&study, &demanded.into_iter().filter_map(exact).collect::<BTreeMap<_, _>>()) {
        Ok(book) => book,
        Err(error) => return no_study(&format!("the worksheet cannot be asked: {error}"), &settle),
    };
    let costed = Costed::new(&study, book, Draw { draws: rows.settings.draws, seed: rows.settings.seed });
    let mut figures = figures(&costed, key, &file);
    let made_up = made_up(&costed, mv);
    let target = format!("{target}{}", in_money(&costed, demand.saving.0));
    let Some(odds) = &costed.odds else {
        let missing: Vec<&str> = costed.book.unknown().map(|cell| cell.id.as_str()).collect();
        let because =
            format!("{} of the worksheet unknown; {}{made_up}", n_of(missing.len(), "figure"), dollars(&costed));
        let settle = format!("in the worksheet: {}", some(&missing));
        let simulated = !made_up.is_empty();
        let none = no_study(&because, &settle);
        let found = Found { standing: Standing::Undecided, figures, simulated, target, ..none.found };
        return Money { found, ..none };
    };
    let (standing, word) = match odds.verdict {
        Verdict::Reached => (Standing::Pass, "reached"),
        Verdict::Missed => (Standing::Fail, "missed"),
        Verdict::Undecided => (Standing::Undecided, "undecided"),
    };
    let delta = Figure::new(unknown.id.clone(), label, Some(odds.saving.p50), Unit::Saved);
    let delta = delta.between(Some(odds.saving.p10), Some(odds.saving.p90), DRAWN).of(&file);
    figures.insert(0, delta.clone());
    let found = Found {
        area: Area::Tco,
        required: demand.required,
        asks: asks.clone(),
        target,
        standing,
        because: format!(
            "{word}: a saving of {} or more is {} probable; {}{made_up}",
            Unit::Share.shown(odds.target),
            Unit::Share.shown(odds.reaches),
            dollars(&costed)
        ),
        settle: (standing == Standing::Undecided).then(|| needed(&odds.needed, (demand, mv, run))),
        again: None,
        figures,
        decides: Some(delta.id.clone()),
        simulated: !made_up.is_empty(),
    };
    Money { found, delta, histogram: Some(odds.histogram.clone()) }
}

/// Why there is no worksheet to go by.
fn none_counts(refused: &[Stale]) -> String {
    match refused {
        [] => "no worksheet of costs for these two targets was given".to_owned(),
        refused => format!("{} of costs given, none counts: {}", n_of(refused.len(), "worksheet"), each(refused)),
    }
}

/// What of the costs is of simulated providers: figures, by their evidence, and sides, by the config.
fn made_up(costed: &Costed, mv: &Move) -> String {
    let figures = match simulated_figures(costed) {
        0 => None,
        n => Some(format!("{} of the worksheet", n_of(n, "figure"))),
    };
    let sides = [Some(&mv.baseline), mv.candidate.as_ref()].into_iter().flatten().filter(|target| target.simulated);
    let sides: Vec<String> = sides.map(|target| format!("the answers of `{}`", target.name)).collect();
    let parts: Vec<String> = figures.into_iter().chain(sides).collect();
    if parts.is_empty() { String::new() } else { format!("; simulated: {}", parts.join(", ")) }
}

/// The first few of many names.
fn some(names: &[&str]) -> String {
    const MOST: usize = 4;
    let shown = names.iter().take(MOST).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MOST) {
        0 => shown,
        more => format!("{shown} and {more} more, which `crossfade tco run` lists"),
    }
}

/// The worksheets of a move.
struct Fitting {
    /// The newest that counts, by its place.
    counts: Option<(usize, Study)>,
    /// Why others do not.
    refused: Vec<Stale>,
}

/// Worksheets of these two sides. Saying which workload one is of makes it of no other, and makes other sides not these.
fn fitting(rows: &Rows, mv: &Move, engine: &dyn Engine) -> Result<Fitting, String> {
    let (mut counts, mut refused): (Option<(usize, Study)>, Vec<Stale>) = (None, Vec::new());
    let moves = &rows.settings.moves;
    for (idx, (sheet, text)) in rows.settings.worksheets.iter().zip(&rows.worksheets).enumerate() {
        let file = Settings::worksheet_file(idx);
        let study = engine.study(&file, text)?;
        let sides = [study.baseline.name.as_str(), study.candidate.name.as_str()];
        let fits = |mv: &Move| is_meant(sheet, mv) && is_between(sides, mv);
        if !is_meant(sheet, mv) || (!fits(mv) && moves.iter().any(fits)) {
            continue;
        }
        let at_us = u64::try_from(study.date.0).unwrap_or(0) * 86_400_000_000;
        let old = rows.settings.too_old(at_us);
        let old =
            old.map(|days| format!("it is {days} days old; {} are the most", rows.settings.scorecard.max_age_days));
        let other = (!fits(mv)).then(|| of_other_sides(sheet, sides));
        let example = study.example.then(|| {
            "it is an example (`example: true`), whose figures are made up; `crossfade tco init` writes one to fill in"
                .to_owned()
        });
        if let Some(why) = example.or(other).or(old).or_else(|| of_other_targets(rows, mv, &study)) {
            refused.push(Stale { what: format!("worksheet `{}`", sheet.source), why });
        } else if counts.as_ref().is_none_or(|(_, other)| other.date <= study.date) {
            counts = Some((idx, study));
        }
    }
    Ok(Fitting { counts, refused })
}

/// Whether nobody said that a worksheet is of something else.
fn is_meant(sheet: &Worksheet, mv: &Move) -> bool {
    sheet.of.as_ref().is_none_or(|of| *of == mv.workload || *of == mv.route)
}

/// Whether these are the move's baseline and candidate.
fn is_between(sides: [&str; 2], mv: &Move) -> bool {
    sides[0] == mv.baseline.name && Some(sides[1]) == mv.candidate.as_ref().map(|target| target.name.as_str())
}

fn of_other_sides(sheet: &Worksheet, [baseline, candidate]: [&str; 2]) -> String {
    let of = sheet.of.as_ref().map_or_else(|| "any workload of this report".to_owned(), |of| format!("`{of}`"));
    format!("its sides are `{baseline}` and `{candidate}`, which are not the baseline and the candidate of {of}")
}

/// Two worksheets that claim the same move, of which only one could count; `sides` are those of each.
#[must_use]
pub fn doubled(settings: &Settings, sides: &[[String; 2]]) -> Option<String> {
    settings.moves.iter().find_map(|mv| {
        let is_its_only = |sheet: &Worksheet| settings.moves.iter().filter(|other| is_meant(sheet, other)).count() == 1;
        let claims = |(sheet, [baseline, candidate]): &(&Worksheet, &[String; 2])| {
            let is_said = sheet.of.is_some() && is_its_only(sheet);
            is_meant(sheet, mv) && (is_said || is_between([baseline, candidate], mv))
        };
        let mut of_move = settings.worksheets.iter().zip(sides).filter(claims).map(|(sheet, _)| &sheet.source);
        let (one, other) = (of_move.next()?, of_move.next()?);
        Some(format!("{one} and {other} are both worksheets of costs of `{}`", mv.workload))
    })
}

/// Why the first-pass success of a worksheet is not that of the targets of now, where it is from an evaluation that is on record.
fn of_other_targets(rows: &Rows, mv: &Move, study: &Study) -> Option<String> {
    let candidate = mv.candidate.as_ref()?;
    let cited = |quantity: &Quantity| quantity.source.id.strip_prefix("eval-run:").map(str::to_owned);
    let is_of = |run: &&Run, name: &str| run.head.run == name && run.head.candidate.name == candidate.name;
    [&study.baseline.first_pass, &study.candidate.first_pass].into_iter().filter_map(cited).find_map(|name| {
        let run = rows.runs.iter().find(|run| is_of(run, &name))?;
        let why = changed(&run.head.baseline, &mv.baseline).or_else(|| changed(&run.head.candidate, candidate))?;
        Some(format!("its first-pass success is of the evaluation `{name}`, and {why}"))
    })
}

fn figures(costed: &Costed, key: &str, file: &str) -> Vec<Figure> {
    let exact = |id: &str| costed.book.value(id).map(Exact::to_f64);
    let cell = |side: usize, name: &str| costed.cell(side, name).and_then(|cell| Some(cell.value.as_ref()?.to_f64()));
    let odds = costed.odds.as_ref();
    let mut figures = Vec::new();
    for (idx, (which, name)) in
        [("baseline", &costed.sides[0]), ("candidate", &costed.sides[1])].into_iter().enumerate()
    {
        let spread = odds.map(|odds| if idx == 0 { odds.baseline } else { odds.candidate });
        let id = format!("{key}.tco.{which}");
        let stated = cell(idx, "cost_per_successful_task");
        // Of draws the middle one: where what may come is lopsided, the worksheet's own figure may lie outside most of it.
        let figure = match spread {
            Some(spread) => Figure::new(
                &id,
                format!("A successful task at {name}, the median of draws"),
                Some(spread.p50),
                Unit::Dollars,
            )
            .between(Some(spread.p10), Some(spread.p90), DRAWN),
            None => Figure::new(&id, format!("A successful task at {name}"), stated, Unit::Dollars),
        };
        figures.push(figure.of(file));
        if spread.is_some() {
            let label = format!("A successful task at {name}, every figure of the worksheet as it is stated");
            figures.push(Figure::new(format!("{id}.stated"), label, stated, Unit::Dollars).of(file));
        }
    }
    let id = |name: &str| format!("{key}.tco.{name}");
    let month = Figure::new(
        id("per_month"),
        "Saving a month, every figure of the worksheet as it is stated",
        exact("saving.per_month"),
        Unit::Dollars,
    );
    figures.push(month.of(file));
    figures.push(Figure::new(id("once"), "What the change costs, once", exact("one_off"), Unit::Dollars).of(file));
    let cheaper =
        Figure::new(id("cheaper"), "Probability that it is cheaper", odds.map(|odds| odds.cheaper), Unit::Share);
    figures.push(cheaper.of(file));
    let reaches = Figure::new(
        id("reaches"),
        "Probability that the saving reaches the target",
        odds.map(|odds| odds.reaches),
        Unit::Share,
    );
    figures.push(reaches.of(file));
    if let Some(month) = exact("even.month").filter(|month| *month > 0.0) {
        figures.push(
            Figure::new(id("even_month"), "Month in which the change has paid for itself", Some(month), Unit::Count)
                .of(file),
        );
    }
    figures
}

/// The saving that is wanted as money, where it is known what the baseline costs a month.
fn in_money(costed: &Costed, wanted: f64) -> String {
    let month = costed.book.value("baseline.total").map(Exact::to_f64).filter(|month| *month > 0.0);
    let dollars = |month: f64| Unit::Dollars.shown(month);
    month.map_or_else(String::new, |month| {
        format!(": {} of the {} that a month at the baseline costs", dollars(wanted * month), dollars(month))
    })
}

/// What it comes to in money, for somebody who reads only that: a month, once, and when it is back.
fn dollars(costed: &Costed) -> String {
    let exact = |id: &str| costed.book.value(id).map(Exact::to_f64);
    let month = exact("saving.per_month").map_or_else(|| "what it saves a month is unknown".to_owned(), a_month);
    let once = match exact("one_off") {
        Some(0.0) => "no cost of the change itself is stated".to_owned(),
        Some(once) => format!("the change costs {} once", Unit::Dollars.shown(once)),
        None => "what the change costs once is unknown".to_owned(),
    };
    let even = match exact("even.month") {
        Some(month) if month >= 1.0 => format!("paid for itself in month {month}"),
        Some(_) => format!("not paid for itself within {} months", costed.months),
        None => "when it has paid for itself is unknown".to_owned(),
    };
    let assumed = match costed.n_from(Provenance::Assumed) {
        0 => String::new(),
        n => format!("; {} of the worksheet {} assumed", n_of(n, "figure"), if n == 1 { "is" } else { "are" }),
    };
    format!("as the worksheet states it, {month}, {once}, {even}{assumed}")
}

/// What settles costs, with what it would show and its commands; the counts are those that `crossfade tco run` says.
fn needed(needed: &Needed, (demand, mv, run): (&TcoDemand, &Move, Option<&Run>)) -> String {
    let share = |share: f64| Unit::Share.shown(share);
    let what = format!("a saving of {} is {} probable", share(demand.saving.0), share(demand.certainty.0));
    let again = format!(
        "{}, then {}",
        commands::eval(mv, run.map(|run| run.head.dataset.as_str())),
        commands::tco(mv, Some("NAME"))
    );
    match needed {
        Needed::Cases { more, reached, .. } if *more > 0 => {
            let not = if *reached { "" } else { "not " };
            format!("{more} more evaluation cases a side, to show that the target is {not}reached ({what}): {again}")
        }
        Needed::Cases { .. } => {
            format!("a fresh evaluation of as many cases: there are enough to show whether {what}; {again}")
        }
        Needed::NotByCases { because: Some(input) } => {
            format!("a surer figure for `{input}` in the worksheet: cases alone do not settle whether {what}")
        }
        Needed::NotByCases { because: None } => format!(
            "another demand, or figures of the worksheet that move the saving: it is too close to the target for any number of cases to show whether {what}; `--set tco.saving=…` asks for another"
        ),
        Needed::NotCounted => format!("first-pass success from counted cases, to say whether {what}: {again}"),
    }
}

/// What calls cost on the record, by side: beside the study, and for a plausibility check of it.
pub(crate) fn recorded(key: &str, which: &str, calls: &[&Call]) -> Figure {
    let known: Vec<u64> = calls.iter().filter_map(|call| call.cost_nanos).collect();
    let mean = (!known.is_empty()).then(|| known.iter().sum::<u64>() as f64 * 1e-9 / known.len() as f64);
    let label = format!("A recorded call of the {which}, provider's price ({} priced of {})", known.len(), calls.len());
    Figure::new(format!("{key}.record.{which}"), label, mean, Unit::Dollars).of(CALLS)
}
