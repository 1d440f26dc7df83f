//! `crossfade vectors shadow`: what the queries say that were asked of both stores.

use vectors::facade::pair::Mode;
use vectors::facade::shadow::{Shadowed, judge};
use vectors::parity::{Figure, Verdict};

use super::moves::{self, Moving};
use crate::out::{Exit, Out, Stop};
use crate::verbs::Place;

/// How many of the events are looked through for the last shadow.
const MAX_EVENTS: u32 = 1000;

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The index.
    index: String,
}

/// Judges.
pub(super) fn run(place: &Place, args: &Args, out: &Out) -> Result<Exit, Stop> {
    let moving = moves::find(place, &args.index)?;
    let Some(shadowed) = of(&moving)? else {
        let stop = Stop::failed(anyhow::anyhow!(
            "index `{}` was never in shadow: no query was asked of both stores",
            args.index
        ));
        return Err(stop
            .exit(Exit::Undecided)
            .hint(format!("`crossfade vectors mode {} shadow` begins it", args.index)));
    };
    out.answer(&shadowed, || text(&shadowed));
    Ok(exit(shadowed.verdict))
}

/// What the last shadow of this move says; none where there was none.
pub(super) fn of(moving: &Moving) -> Result<Option<Shadowed>, Stop> {
    let standing = moving.standing()?;
    let epoch = if standing.mode == Mode::Shadow {
        Some(standing.epoch)
    } else {
        let events = moving.read(moving.changes.events(&moving.of.index, MAX_EVENTS))?;
        events.iter().find(|event| event.to == Mode::Shadow).map(|event| event.n)
    };
    let settings = &moving.moves_to.shadow;
    epoch.map(|epoch| moving.read(judge(&moving.changes, &moving.of, epoch, settings))).transpose()
}

/// How a process ends on a verdict.
pub(super) fn exit(verdict: Verdict) -> Exit {
    match verdict {
        Verdict::Pass => Exit::Ok,
        Verdict::Fail => Exit::No,
        Verdict::Undecided => Exit::Undecided,
    }
}

fn text(shadowed: &Shadowed) -> String {
    let word = match shadowed.verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::Undecided => "undecided",
    };
    let mut text = format!("{word}: {}\n", shadowed.why);
    text += &format!(
        "{} of {} different queries asked of both, {} not answered by the target, {} came too fast\n",
        shadowed.n_reads, shadowed.n_needed, shadowed.n_failed, shadowed.n_lost
    );
    text += &shadowed.trouble.as_ref().map(|why| format!("the target said: {why}\n")).unwrap_or_default();
    let alike: Vec<&Figure> = shadowed.parity.alike.iter().collect();
    for figure in alike.into_iter().filter(|figure| figure.n > 0) {
        text += &format!("{:<12} {:.3}{}\n", figure.name, figure.mean, interval(figure));
    }
    let latency = &shadowed.latency;
    text += &format!(
        "source       {:.2} ms half of the time, {:.2} ms 95 of 100 times\n",
        latency.source_ms.0, latency.source_ms.1
    );
    text += &format!("target       {:.2} ms and {:.2} ms", latency.target_ms.0, latency.target_ms.1);
    text + &format!("; {:+.2} ms on average{}\n", latency.difference.mean, interval(&latency.difference))
}

fn interval(figure: &Figure) -> String {
    figure.interval.map(|(low, high)| format!(" ({low:.3} to {high:.3})")).unwrap_or_default()
}
