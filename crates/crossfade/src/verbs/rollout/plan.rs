//! `crossfade rollout plan NAME`: what it will take, before it is started.

use std::collections::BTreeMap;
use std::time::Duration;

use cost::{Meter, Usage, When};
use gateway::control::RolloutSettings;
use operations::plan::{PlanReport, Planned, Stated};
use rollout::Action;
use rollout::outlook::{Amount, Finding, Question, ShadowLimits, StepOutlook};
use rollout::{Metric, Timestamp};
use store::Database;

use crate::config::{Config, parse_duration, show_share};
use crate::load;
use crate::out::{Exit, Out, Stop, table};
use crate::verbs::Place;
use crate::verbs::source::names_like;
use crate::verbs::time::now_us;

/// How long a step may last, and how far back the record is read, when nobody says.
const WITHIN: &str = "28d";
const SINCE: &str = "28d";

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The rollout, as the config names it.
    name: String,
    #[command(flatten)]
    traffic: TrafficArgs,
    /// How long a step may last where its policy does not say; a gate that takes longer is refused.
    #[arg(long, value_name = "DURATION", default_value = WITHIN)]
    within: String,
    /// Requests a minute that the baseline's provider takes; a rollback gives it back all of the traffic.
    #[arg(long, value_name = "N")]
    baseline_limit: Option<f64>,
    /// Tokens a minute that it takes.
    #[arg(long, value_name = "N")]
    baseline_token_limit: Option<f64>,
    /// Show every guard, not only the one with the largest part of the harm budget.
    #[arg(long)]
    all_guards: bool,
}

/// The traffic that is planned or simulated for.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct TrafficArgs {
    /// Requests a day, in place of what the store has recorded of the route.
    #[arg(long, value_name = "N")]
    requests_per_day: Option<f64>,
    /// Requests of a unit (conversation, user …) on average.
    #[arg(long, value_name = "N")]
    requests_per_unit: Option<f64>,
    /// The most requests in a minute.
    #[arg(long, value_name = "N")]
    peak_per_minute: Option<f64>,
    /// The baseline's error rate; 0.01 is 1 %.
    #[arg(long, value_name = "RATE")]
    error_rate: Option<f64>,
    /// The baseline's rate of another metric, such as `format=0.005`; repeatable.
    #[arg(long, value_name = "METRIC=RATE", value_parser = metric_rate)]
    rate: Vec<(Metric, f64)>,
    /// Tokens of a request and its answer on average.
    #[arg(long, value_name = "N")]
    tokens_per_request: Option<f64>,
    /// The fraction of answers of which somebody says something, such as `feedback=0.05`; repeatable.
    #[arg(long, value_name = "METRIC=FRACTION", value_parser = metric_rate)]
    observed: Vec<(Metric, f64)>,
    /// How far back the record is read.
    #[arg(long, value_name = "DURATION", default_value = SINCE)]
    since: String,
}

impl TrafficArgs {
    /// What is stated.
    pub(crate) fn stated(&self) -> Result<Stated, Stop> {
        let numbers = [
            ("--requests-per-day", self.requests_per_day),
            ("--requests-per-unit", self.requests_per_unit),
            ("--peak-per-minute", self.peak_per_minute),
            ("--tokens-per-request", self.tokens_per_request),
        ];
        for (option, number) in numbers {
            if number.is_some_and(|number| !(number > 0.0 && number.is_finite())) {
                return Err(Stop::usage(format!("`{option}` must be above 0")));
            }
        }
        let mut rates: BTreeMap<Metric, f64> = self.rate.iter().copied().collect();
        if let Some(rate) = self.error_rate {
            rates.insert(Metric::Error, rate);
        }
        if let Some((metric, rate)) = rates.iter().find(|(_, rate)| !(0.0..1.0).contains(*rate)) {
            return Err(Stop::usage(format!("the {} {rate} must be 0 or more and below 1", metric.rate_name()))
                .hint("for 1 % write 0.01"));
        }
        let Self { requests_per_day, requests_per_unit, peak_per_minute, tokens_per_request, .. } = *self;
        let observed = self.observed.iter().copied().collect();
        Ok(Stated { requests_per_day, requests_per_unit, peak_per_minute, rates, tokens_per_request, observed })
    }

    /// From when on the record is read, Unix microseconds.
    pub(crate) fn since_us(&self) -> Result<u64, Stop> {
        crate::verbs::time::ago(&self.since).map_err(|problem| Stop::usage(format!("`--since`: {problem}")))
    }
}

/// `error=0.02`.
pub(crate) fn metric_rate(text: &str) -> Result<(Metric, f64), String> {
    let (name, rate) = text.split_once('=').ok_or("expected METRIC=RATE, such as error=0.02")?;
    let metric = Metric::ALL.into_iter().find(|metric| metric.as_str() == name.trim()).ok_or_else(|| {
        let names = Metric::ALL.map(Metric::as_str).join(", ");
        format!("there is no metric `{name}`; there are {names}")
    })?;
    let rate: f64 = rate.trim().parse().map_err(|_| format!("`{rate}` is no rate"))?;
    if (0.0..=1.0).contains(&rate) { Ok((metric, rate)) } else { Err("a rate is between 0 and 1".to_owned()) }
}

/// The store of the config, where there is one already.
pub(crate) fn store_of(config: &Config) -> Result<Option<Database>, Stop> {
    if config.store.exists() {
        Database::open_read_only(&config.store).map(Some).map_err(Stop::failed)
    } else {
        Ok(None)
    }
}

/// Prints the plan; exits 3 when a gate can never be decided, 4 when there is nothing to plan from.
pub(crate) fn run(place: &Place, args: &Args, out: &Out) -> Result<Exit, Stop> {
    let report = report(place, args)?;
    out.answer(&report, || render(&report, args.all_guards));
    for remark in &report.outlook.remarks {
        out.say(format_args!("note: {remark}"));
    }
    for refusal in &report.outlook.refusals {
        out.say(format_args!("refused: {refusal}"));
    }
    Ok(if report.outlook.refusals.is_empty() { Exit::Ok } else { Exit::No })
}

/// Why a plan at the recorded traffic refuses a rollout; nothing where there is no config, no such rollout or too little on record.
pub(crate) fn refusals(place: &Place, name: &str) -> Vec<String> {
    let traffic = TrafficArgs { since: SINCE.to_owned(), ..TrafficArgs::default() };
    let (name, within) = (name.to_owned(), WITHIN.to_owned());
    let args = Args { name, traffic, within, baseline_limit: None, baseline_token_limit: None, all_guards: false };
    report(place, &args).map(|report| report.outlook.refusals).unwrap_or_default()
}

fn report(place: &Place, args: &Args) -> Result<PlanReport, Stop> {
    let config = load::config(&place.config)?;
    let settings = config.snapshot.rollouts.get(&args.name).ok_or_else(|| unknown(&args.name, &config))?;
    let within =
        parse_duration(&args.within).ok_or_else(|| Stop::usage("`--within` must be a duration such as `14d`"))?;
    let planned = Planned {
        name: &settings.name,
        route: &settings.route,
        baseline: &settings.baseline,
        policy: &settings.policy,
    };
    let database = store_of(&config)?;
    let (stated, since_us) = (args.traffic.stated()?, args.traffic.since_us()?);
    let basis = operations::plan::basis(database.as_ref(), &planned, &stated, since_us).map_err(too_little)?;
    let question = Question {
        from: Timestamp(now_us()),
        within: Some(within),
        per_minute: args.baseline_limit,
        concurrency: concurrency(&config, &settings.baseline),
        tokens_per_minute: args.baseline_token_limit,
        shadow: copies(&config, settings, basis.tokens),
    };
    Ok(operations::plan::plan(&planned, basis, &question))
}

pub(crate) fn unknown(name: &str, config: &Config) -> Stop {
    let stop = Stop::usage(format!("there is no rollout `{name}` in the config"));
    stop.hint(names_like(name, config.snapshot.rollouts.keys().map(String::as_str)))
}

pub(crate) fn too_little(error: operations::OperationError) -> Stop {
    match error {
        operations::OperationError::Refused(_) => Stop::failed(error)
            .exit(Exit::Undecided)
            .hint("state the traffic: `--requests-per-day N --error-rate RATE`"),
        error => Stop::failed(error),
    }
}

/// What the baseline's target may have under way over all its replicas, where the config limits it.
fn concurrency(config: &Config, baseline: &str) -> Option<f64> {
    config.snapshot.target(baseline)?.calling.max_concurrency.map(|most| most as f64)
}

/// What copies may use, and what one costs by the candidate's price and the tokens that were recorded.
fn copies(config: &Config, settings: &RolloutSettings, tokens: Option<(f64, f64)>) -> ShadowLimits {
    let budget = &settings.shadow.budget;
    let nanos_per_copy =
        config.snapshot.target(&settings.candidate).zip(tokens).and_then(|(target, (input, output))| {
            let tariff = config.snapshot.prices.tariff(&target.name, &target.model)?;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "means of counts")]
            let usage = Usage::new().with(Meter::Input, input as u64).with(Meter::Output, output as u64);
            let cost = tariff.price(&usage, When::from_us(now_us()), cost::sheet::STANDARD).ok()?;
            Some(cost.nanos as f64)
        });
    ShadowLimits {
        tokens_per_day: budget.tokens_per_day,
        per_second: budget.per_second,
        nanos_per_day: budget.nanos_per_day,
        nanos_per_copy,
    }
}

fn render(report: &PlanReport, all: bool) -> String {
    let (basis, outlook) = (&report.basis, &report.outlook);
    let mut text = format!("Plan of {} for {:.0} requests a day", report.rollout, basis.traffic.per_day());
    if basis.recorded_requests > 0 {
        text.push_str(&format!(
            " ({} recorded in {:.1} days)",
            basis.recorded_requests,
            basis.recorded_hours as f64 / 24.0
        ));
    }
    text.push_str(&format!(", {:.1} requests of a unit\n", basis.traffic.requests_per_unit));
    for assumed in &basis.assumed {
        text.push_str(&format!("  assumed: {assumed}\n"));
    }
    text.push('\n');
    text.push_str(&table(
        &["step", "share", "what", "units", "requests", "days", "9 in 10: requests", "days"],
        &outlook.steps.iter().flat_map(gate_rows).collect::<Vec<_>>(),
    ));
    text.push_str(
        "\nRequests of the route until a guard finds a candidate so many times worse, typically (9 in 10):\n",
    );
    text.push_str(&table(
        &["step", "share", "guard", "base rate", "1.5x", "2x", "3x", "5x", "10x", "in the step"],
        &outlook.steps.iter().flat_map(|step| guard_rows(step, all)).collect::<Vec<_>>(),
    ));
    text.push_str(if all {
        "A star: found, and so small an effect that it pauses. Costs: so many times what is allowed, 1.5, 2 and 3.\n"
    } else {
        "The guard with the largest part of the budget; `--all-guards` shows every one, and that of costs.\n"
    });
    text.push_str(&blind(report));
    let days = |days: Option<f64>| days.map_or("never".to_owned(), |days| format!("{days:.1} days"));
    text.push_str(&format!(
        "\nTo the end: {}, nine in ten {}; people's time not counted.\n",
        days(outlook.typical_days),
        days(outlook.nine_in_ten_days)
    ));
    text.push_str(&give_back(report));
    text
}

fn give_back(report: &PlanReport) -> String {
    let outlook = &report.outlook;
    let most = outlook.steps.iter().map(|step| step.given_back_per_minute).fold(0.0, f64::max);
    let calls = outlook.peak_concurrency.map_or(String::new(), |calls| format!(" and about {calls:.0} calls at once"));
    format!(
        "A rollback at the peak gives the baseline up to {most:.0} requests a minute back: {:.0} in all{calls}.\n",
        outlook.peak_per_minute
    )
}

fn place_of(step: &StepOutlook) -> [String; 2] {
    [step.stage.as_str().to_owned(), show_share(step.share)]
}

fn gate_rows(step: &StepOutlook) -> Vec<Vec<String>> {
    let row = |what: String, typical: &Amount, most: &Amount| {
        let [stage, share] = place_of(step);
        let days = |days: Option<f64>| days.map_or("never".to_owned(), |days| format!("{days:.2}"));
        let count = |n: Option<u64>| n.map_or("never".to_owned(), |n| n.to_string());
        vec![
            stage,
            share,
            what,
            count(typical.n),
            count(typical.requests),
            days(typical.days),
            count(most.requests),
            days(most.days),
        ]
    };
    let of_people = |what: String| {
        let [stage, share] = place_of(step);
        let mut row = vec![stage, share, what];
        row.resize(8, "-".to_owned());
        row
    };
    let minimum = row("minimum".to_owned(), &step.minimum, &step.minimum);
    let gates = step.gates.iter().map(|gate| {
        row(format!("gate {} +{}", gate.metric, show_share(gate.margin)), &gate.typical, &gate.nine_in_ten)
    });
    let certificates = step.certificates.iter().map(|one| {
        row(format!("certificate {} <{}", one.metric, show_share(one.limit)), &one.typical, &one.nine_in_ten)
    });
    let strata = step.strata.iter().map(|kind| {
        let mut row = of_people(format!("each kind {} +{}", kind.metric, show_share(kind.margin)));
        row[3] = kind.typical.map_or("never".to_owned(), |n| n.to_string());
        row
    });
    let coverage = step.coverage.iter().map(|coverage| {
        let (expected, need) = (show_share((coverage.expected * 1e3).round() / 1e3), show_share(coverage.need));
        of_people(format!("coverage {expected} of {need}"))
    });
    let filed = step.filed.iter().map(|filed| of_people(format!("filed {} {}", filed.kind.as_str(), filed.name)));
    let approvals = (step.approvals > 0).then(|| of_people(format!("approvals {}", step.approvals)));
    let proofs = gates.chain(certificates).chain(strata);
    std::iter::once(minimum).chain(proofs).chain(coverage).chain(filed).chain(approvals).collect()
}

fn guard_rows(step: &StepOutlook, all: bool) -> Vec<Vec<String>> {
    let row = |what: String, rate: String, cells: Vec<String>, last: String| {
        let [stage, share] = place_of(step);
        let mut row = vec![stage, share, what, rate];
        row.extend(cells);
        row.resize(9, "-".to_owned());
        row.push(last);
        row
    };
    let count = |amount: &Amount| amount.requests.map_or("never".to_owned(), short);
    // A star: found, and as small an effect as pauses.
    let cell = |finding: &Finding| {
        let star = if finding.action == Action::Pause { "*" } else { "" };
        format!("{} ({}){star}", count(&finding.typical), count(&finding.nine_in_ten))
    };
    let sees = step.guards.iter().filter(|guard| guard.blind.is_none());
    let mut rows: Vec<Vec<String>> = sees
        .take(if all { usize::MAX } else { 1 })
        .map(|guard| {
            let found = guard.smallest_in_step.map_or("nothing".to_owned(), |ratio| format!("{ratio}x and more"));
            let rate = format!("{:.2} %", guard.rate * 100.0);
            row(guard.metric.to_string(), rate, guard.finds.iter().map(cell).collect(), found)
        })
        .collect();
    if let Some(cost) = step.cost.as_ref().filter(|_| all) {
        let cells = cost.finds.iter().map(|find| format!("{} ({})", count(&find.typical), count(&find.nine_in_ten)));
        let then = if cost.action == Action::Pause { ", pauses" } else { "" };
        rows.push(row("cost".into(), "-".into(), cells.collect(), format!("times {} allowed{then}", cost.allowed)));
    }
    let found = |requests: Option<u64>| requests.map_or_else(|| "never".to_owned(), |n| n.to_string());
    for (what, how, limit) in [("outage", "failing", step.outage), ("all late", "late", step.late)] {
        if let Some([all, half]) = limit {
            let last = format!("all {how} {}, half {}", found(all), found(half));
            rows.push(row(what.into(), "-".into(), Vec::new(), last));
        }
    }
    rows
}

/// Guards that see nothing, each once with why.
fn blind(report: &PlanReport) -> String {
    let mut lines: Vec<String> = Vec::new();
    for guard in report.outlook.steps.iter().flat_map(|step| &step.guards) {
        let Some(why) = guard.blind.as_ref().filter(|why| *why != "copies have no users") else { continue };
        let line = format!("The guard on the {} sees nothing: {why}.\n", guard.metric.rate_name());
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines.concat()
}

/// `24.3k`.
fn short(n: u64) -> String {
    match n {
        0..10_000 => n.to_string(),
        10_000..10_000_000 => format!("{:.1}k", n as f64 / 1e3),
        _ => format!("{:.1}M", n as f64 / 1e6),
    }
}

/// The time a text names.
pub(crate) fn duration(option: &str, text: &str) -> Result<Duration, Stop> {
    parse_duration(text).ok_or_else(|| Stop::usage(format!("`{option}` must be a duration such as `14d`")))
}
