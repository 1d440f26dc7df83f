//! `crossfade exit drill ROUTE`: leaving, rehearsed on the running gateway and measured.
//!
//! The gateway switches, counts and goes back by itself; see [`gateway::detour`]. This side says when enough was seen, asks the alternative
//! what an application would have to rely on, and sends requests of its own where nobody else does.

mod own;
mod probes;
mod words;

use std::net::SocketAddr;
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use gateway::detour::{DetourReport, Phase, Plan, Probes};
use gateway::drill::Verdict;
use operations::leaving::{ExitDrillRequest, WayBackRequest};

use crate::config::Config;
use crate::load;
use crate::out::{Exit, Out, Stop};
use crate::verbs::Place;
use crate::verbs::source::{Source, percent};
use own::{Own, Where};

/// How often it is asked how it goes; a gateway that is not asked for ten seconds goes back by itself.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The route whose traffic is moved: the name that applications call.
    route: String,
    /// The target that takes over; without it the candidate of the route's rollout, else the first of its fallbacks.
    #[arg(long, value_name = "TARGET")]
    to: Option<String>,
    /// How long the route is watched as it is, before the switch.
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = time)]
    before: Duration,
    /// How long traffic stays with the alternative at least; longer until the probes have run.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = time)]
    hold: Duration,
    /// How long it stays there at most: then the gateway takes it back, whatever happens here.
    #[arg(long, value_name = "DURATION", default_value = "120s", value_parser = time)]
    at_most: Duration,
    /// How long the route is watched at most once traffic is back.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = time)]
    verify: Duration,
    /// How many requests must be answered once traffic is back.
    #[arg(long, value_name = "N", default_value_t = 5)]
    verify_requests: u64,
    /// The time to switch that is asked for, each way.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = time)]
    within: Duration,
    /// What part of the requests the alternative may fail; others answer them. No answer to a caller may fail.
    #[arg(long, value_name = "PART", default_value_t = 0.01)]
    error_limit: f64,
    /// How many requests a second the drill sends itself where nobody else sends any; 0 is none.
    #[arg(long, value_name = "N", default_value_t = 5.0, value_parser = rate)]
    own_rate: f64,
    /// Where the gateway takes requests, for the drill's own; without it as the config says.
    #[arg(long, value_name = "ADDRESS")]
    data: Option<SocketAddr>,
    /// Environment variable with the key for the drill's own requests.
    #[arg(long, value_name = "VARIABLE")]
    key_from: Option<String>,
    /// Neither golden tests nor conformance probes while traffic is away.
    #[arg(long)]
    no_probes: bool,
    /// Send the route back from the drill that is on, which comes to no verdict by that.
    #[arg(long)]
    end: bool,
    /// Why; the audit row keeps it.
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// Who asks; recorded where no key says so.
    #[arg(long, value_name = "NAME", env = "USER", default_value = "operator")]
    actor: String,
}

fn time(text: &str) -> Result<Duration, String> {
    let time = crate::config::parse_duration(text).filter(|time| !time.is_zero());
    time.ok_or_else(|| "expected a time such as 5s".to_owned())
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate: &f64| (0.0..=1000.0).contains(rate));
    rate.ok_or_else(|| "expected a number from 0 to 1000".to_owned())
}

/// Exits 0 when everything held, 3 when something did not, 4 when it cannot be told.
pub(super) fn run(place: &Place, args: &Args, out: &Out) -> Result<Exit, Stop> {
    let source = Source::open(place)?;
    let path = format!("/api/routes/{}/drill", percent(&args.route));
    if args.end {
        let request = WayBackRequest { actor: Some(args.actor.clone()), ..WayBackRequest::default() };
        let report = changed(&source, &format!("{path}/end"), &request)?;
        out.answer(&report, || words::sent_back(&report));
        return Ok(Exit::Ok);
    }
    let config = load::config(&place.config)?;
    let (plan, to_send) = (plan(&config, args)?, own_requests(&config, (place, args))?);
    let to = plan.to.clone();
    let request = ExitDrillRequest { actor: Some(args.actor.clone()), reason: args.reason.clone(), plan };
    let begun = changed(&source, &path, &request)?;
    out.say(format_args!(
        "exit drill of {} from {} to {}: watched as it is for {:.0} s; `--end` sends traffic back at any time",
        begun.route,
        begun.from,
        begun.to,
        args.before.as_secs_f64()
    ));
    let report = std::thread::scope(|scope| {
        let probing = (!args.no_probes).then_some(move || scope.spawn(move || probes::ask(place, &to, out)));
        follow(&Drill { source: &source, path: &path, args, to_send, out }, begun, probing)
    })?;
    out.answer(&report, || words::page(&report));
    if let Some(next) = words::next(&report) {
        out.say(format_args!("hint: {next}"));
    }
    out.say(format_args!("on record: the audit of route:{}, action exit.drill_over", report.route));
    Ok(match report.verdict {
        Some(Verdict::Pass) => Exit::Ok,
        Some(Verdict::Fail) => Exit::No,
        Some(Verdict::Undecided) | None => Exit::Undecided,
    })
}

/// What following a drill needs.
struct Drill<'a> {
    source: &'a Source,
    path: &'a str,
    args: &'a Args,
    /// Where its own requests would go, or why there are none.
    to_send: Result<Where, String>,
    out: &'a Out,
}

impl Drill<'_> {
    /// Begins to send requests, where nobody else does and the drill knows where to; says which of the two it is.
    fn own(&self) -> Result<Option<Own>, Stop> {
        let rate = self.args.own_rate;
        match &self.to_send {
            Ok(to_send) => {
                self.out.say(format_args!("nobody sends any requests: the drill sends its own, {rate} a second"));
                to_send.start(rate).map(Some)
            }
            Err(why) => {
                self.out.say(format_args!(
                    "nobody sends any requests, and the drill sends none: {why}; {}",
                    self.waiting()
                ));
                Ok(None)
            }
        }
    }

    /// What is waited for, how long, and what to do.
    fn waiting(&self) -> String {
        let Args { before, hold, verify, route, .. } = self.args;
        let most = (*before + *hold + *verify).as_secs_f64();
        format!(
            "it waits for requests of `{route}`, for {most:.0} s and the time of its probes, and comes to no verdict without any. Send some, or break off \
             with `crossfade exit drill {route} --end` and name the data listener with `--data ADDRESS`"
        )
    }
}

/// Looks on until it is over; says when it has been away for long enough.
fn follow<'scope>(
    drill: &Drill<'_>,
    mut report: DetourReport,
    mut probe: Option<impl FnOnce() -> ScopedJoinHandle<'scope, Probes>>,
) -> Result<DetourReport, Stop> {
    let (args, out) = (drill.args, drill.out);
    let (began, mut away, mut phase, mut own) = (Instant::now(), None, report.phase, None::<Own>);
    let mut probing: Option<ScopedJoinHandle<'scope, Probes>> = None;
    let (mut probes, mut is_ended, mut is_told, mut is_lost) = (None, false, false, false);
    while report.phase != Phase::Over {
        std::thread::sleep(LOOK_EVERY);
        report = read(drill.source.read(drill.path, |_| Err::<(), _>(lost()))?)?;
        let is_quiet = report.before.arrived == 0 && began.elapsed() * 2 >= args.before;
        if report.phase == Phase::Before && is_quiet && !is_told {
            is_told = true;
            own = drill.own()?;
        }
        if let Some(why) = own.as_ref().and_then(Own::unreachable).filter(|_| !is_lost) {
            is_lost = true;
            out.say(format_args!("the drill's own requests come to nothing: {why}; {}", drill.waiting()));
        }
        if report.phase != phase {
            say(&report, out);
            phase = report.phase;
        }
        if report.phase != Phase::Away {
            continue;
        }
        let since = *away.get_or_insert_with(Instant::now);
        let is_elsewhere =
            own.is_some() && report.before.arrived + report.away.arrived == 0 && since.elapsed() * 2 >= args.hold;
        if let (true, false, Ok(to_send)) = (is_elsewhere, is_lost, &drill.to_send) {
            is_lost = true;
            let address = to_send.address();
            out.say(format_args!("the drill's own requests go to {address} and do not come here; {}", drill.waiting()));
        }
        if let Some(probe) = probe.take() {
            probing = Some(probe());
        }
        if let Some(done) = probing.take_if(|probing| probing.is_finished()) {
            probes = done.join().ok();
        }
        if !is_ended && probing.is_none() && since.elapsed() >= args.hold {
            let request = WayBackRequest { actor: Some(args.actor.clone()), probes: probes.take(), enough: true };
            changed(drill.source, &format!("{}/end", drill.path), &request)?;
            is_ended = true;
        }
    }
    drop(own);
    Ok(report)
}

fn say(report: &DetourReport, out: &Out) {
    match (report.phase, report.way_back) {
        (Phase::Away, _) => out.say(format_args!("switched: {} answers; {} is the way back", report.to, report.from)),
        (Phase::Back, Some(why)) => out.say(why.words()),
        _ => {}
    }
}

/// Where to and within which bounds, by what was typed and what the config says of the route.
fn plan(config: &Config, args: &Args) -> Result<Plan, Stop> {
    let snapshot = &config.snapshot;
    let to = super::plan::alternative(snapshot, &args.route, args.to.as_deref())?.ok_or_else(|| {
        let targets: Vec<&str> = snapshot.targets.keys().map(String::as_str).collect();
        let stop = Stop::usage(format!("route `{}` has no alternative in the config", args.route));
        stop.hint(format!("name one with `--to TARGET`; there are: {}", targets.join(", ")))
    })?;
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let plan = Plan {
        before_ms: ms(args.before),
        at_most_ms: ms(args.at_most),
        verify_ms: ms(args.verify),
        verify_requests: args.verify_requests,
        error_limit: args.error_limit,
        within_ms: ms(args.within),
        own_per_second: Some(args.own_rate).filter(|rate| *rate > 0.0),
        ..Plan::to(to)
    };
    match plan.problem() {
        Some(why) => Err(Stop::usage(why)),
        None if args.hold >= args.at_most => Err(Stop::usage("`--hold` must be shorter than `--at-most`")),
        None => Ok(plan),
    }
}

/// Where the drill's own requests would go, or why there are none.
fn own_requests(config: &Config, (place, args): (&Place, &Args)) -> Result<Result<Where, String>, Stop> {
    let key = match &args.key_from {
        Some(variable) => Some(std::env::var(variable).map_err(|_| Stop::usage(format!("{variable} is not set")))?),
        None => None,
    };
    let address = args.data.unwrap_or(config.listen);
    Ok(if args.own_rate <= 0.0 {
        Err("`--own-rate 0` asks for none".to_owned())
    } else if args.route.contains('*') {
        Err(format!("`{}` is a pattern, and no name to ask for", args.route))
    } else if address.port() == 0 {
        Err(format!("the `listen` of {} has port 0, which is another at every start", place.config.display()))
    } else {
        Ok(Where::new(address, &args.route, key))
    })
}

fn changed(source: &Source, path: &str, request: &impl serde::Serialize) -> Result<DetourReport, Stop> {
    let body = serde_json::to_value(request).context("the order cannot be written down")?;
    read(source.change(path, &body)?.ok_or_else(|| source.nobody())?)
}

fn lost() -> operations::OperationError {
    operations::OperationError::Unavailable(
        "the gateway is gone, and the drill with it: a gateway that starts serves every route by its own target"
            .to_owned(),
    )
}

fn read(answer: serde_json::Value) -> Result<DetourReport, Stop> {
    Ok(serde_json::from_value(answer).context("could not read the answer")?)
}
