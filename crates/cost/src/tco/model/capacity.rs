//! How many GPUs a side runs, and what one costs.

use crate::tco::book::{Book, Expr, Quantity, Ref};
use crate::tco::study::{Because, Capacity, Count, GpuPrice, Gpus, HourCount, LineItem, PeakCount, Server, SlotCount};

use super::{HOURS, nothing};

/// The machines of a side.
pub(in crate::tco) struct Machines {
    /// For the load as it is.
    base: Ref,
    /// Beyond it.
    headroom: Option<Ref>,
    /// Standing in.
    spare: Option<Ref>,
    /// Dollars a month for one.
    gpu_month: Ref,
    /// Dollars of electricity a month for one; `None` where the rent has it.
    power_month: Option<Ref>,
    /// How many for a load that has grown; `None` where the count is stated.
    grown: Option<Grown>,
}

enum Grown {
    Peak { tokens_per_second: Ref, per_gpu: Ref, headroom: Ref },
    Slots([Ref; 6]),
}

impl Machines {
    /// What they cost in a month in which there are `volume` times as many tasks of `tokens` times as many tokens.
    pub(super) fn month(&self, volume: &Expr, tokens: &Expr) -> Expr {
        let each = self.power_month.map_or(self.gpu_month.into(), |power| self.gpu_month + power);
        let spare = self.spare.map(Expr::from);
        let loaded = match &self.grown {
            None => Expr::sum([Some(self.base), self.headroom].into_iter().flatten().map(Expr::from)),
            Some(Grown::Peak { tokens_per_second, per_gpu, headroom }) => {
                let peak = *tokens_per_second * volume.clone() * tokens.clone();
                (peak * (Expr::ONE + Expr::from(*headroom)) / *per_gpu).ceiling()
            }
            Some(Grown::Slots([rate, answer, speed, per_gpu, wait, late])) => {
                let rate = *rate * volume.clone();
                let service = *answer * tokens.clone() / *speed;
                let slots = Expr::Slots(Box::new([rate, service, (*wait).into(), (*late).into()]));
                (slots / *per_gpu).ceiling()
            }
        };
        spare.map_or(loaded.clone(), |spare| loaded + spare) * each
    }
}

/// The machines of a side, as cells.
pub(super) fn machines(book: &mut Book, (id, capacity): (&str, &Capacity)) -> Option<Machines> {
    let Capacity::Gpus(gpus) = capacity else { return None };
    let Gpus { count, price } = &**gpus;
    let (gpu_month, power_month) = price_of(book, id, price);
    let at = |name: &str| format!("{id}.gpus.{name}");
    let input = |book: &mut Book, name: &str, label: (&str, &'static str), quantity: &Quantity| {
        book.input(&at(name), label, quantity)
    };
    Some(match count {
        Count::Stated(count) => {
            let base = input(book, "count", ("GPUs", "GPUs"), count);
            Machines { base, headroom: None, spare: None, gpu_month, power_month, grown: None }
        }
        Count::Peak(peak) => {
            let PeakCount { tokens_per_second, per_gpu, headroom, spare } = &**peak;
            let peak =
                input(book, "peak.tokens_per_second", ("Tokens a second at the peak", "tokens/s"), tokens_per_second);
            let per_gpu = input(book, "peak.per_gpu", ("Tokens a second of a GPU", "tokens/s"), per_gpu);
            let share = input(book, "peak.headroom", ("Headroom beyond the peak", "share"), headroom);
            let spare = input(book, "peak.spare", ("GPUs that stand in", "GPUs"), spare);
            let base = book.derive(&at("base"), ("GPUs for the peak", "GPUs"), (peak / per_gpu).ceiling());
            let whole = (peak * (Expr::ONE + Expr::from(share)) / per_gpu).ceiling();
            let headroom = book.derive(&at("headroom_gpus"), ("GPUs for the headroom", "GPUs"), whole - base);
            let count = Expr::from(base) + headroom + spare;
            book.derive(&at("count"), ("GPUs", "GPUs"), count);
            let grown = Grown::Peak { tokens_per_second: peak, per_gpu, headroom: share };
            Machines { base, headroom: Some(headroom), spare: Some(spare), gpu_month, power_month, grown: Some(grown) }
        }
        Count::Slots(count) => slots(book, id, count, (gpu_month, power_month)),
        Count::Hours(count) => by_hour(book, id, count, (gpu_month, power_month)),
    })
}

/// Replicas by the hour of the week: their mean, and what is started early so that it is usable when an hour begins.
fn by_hour(book: &mut Book, id: &str, count: &HourCount, (gpu_month, power_month): (Ref, Option<Ref>)) -> Machines {
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let at = |name: &str| format!("{id}.gpus.{name}");
    let each = book.input(&at("each"), ("GPUs of a replica", "GPUs/replica"), &count.gpus);
    let cold = book.input(&at("cold_start_s"), ("Start of a replica until it is usable", "s"), &count.cold_start_s);
    let hours: Vec<Ref> = count
        .replicas
        .iter()
        .enumerate()
        .map(|(idx, replicas)| {
            let label = format!("Replicas, {} {:02}:00 UTC", DAYS[idx / 24 % 7], idx % 24);
            book.input(&at(&format!("hour_{idx:03}")), (&label, "replicas"), replicas)
        })
        .collect();
    let n = Expr::Whole(hours.len().max(1) as u64);
    let sum = Expr::sum(hours.iter().map(|hour| Expr::from(*hour)));
    let base = book.derive(&at("base"), ("GPUs by the hour of the week, mean", "GPUs"), sum * each / n.clone());
    let before = hours.last().into_iter().chain(&hours);
    let more = hours
        .iter()
        .zip(before)
        .map(|(hour, before)| Expr::if_at_most((*hour).into(), (*before).into(), Expr::Whole(0), *hour - *before));
    let early = Expr::sum(more) * cold / Expr::Whole(3_600) * each / n;
    let early = book.derive(&at("early"), ("GPUs that start before they are needed, mean", "GPUs"), early);
    book.derive(&at("count"), ("GPUs", "GPUs"), base + early);
    Machines { base, headroom: Some(early), spare: None, gpu_month, power_month, grown: None }
}

fn slots(book: &mut Book, id: &str, count: &SlotCount, (gpu_month, power_month): (Ref, Option<Ref>)) -> Machines {
    let at = |name: &str| format!("{id}.gpus.{name}");
    let mut input =
        |name: &str, label: (&str, &'static str), quantity: &Quantity| book.input(&at(name), label, quantity);
    let rate =
        input("slots.requests_per_second", ("Requests a second at the peak", "requests/s"), &count.requests_per_second);
    let answer = input("slots.answer_tokens", ("Tokens of an answer", "tokens"), &count.tokens);
    let speed =
        input("slots.stream_tokens_per_second", ("Tokens a second of a stream", "tokens/s"), &count.tokens_per_second);
    let per_gpu = input("slots.streams_per_gpu", ("Streams of a GPU", "streams/GPU"), &count.per_gpu);
    let wait = input("slots.wait_s", ("Time an arrival may wait", "s"), &count.wait_s);
    let late = input("slots.late", ("Arrivals that may wait longer", "share"), &count.late);
    let spare = input("slots.spare", ("GPUs that stand in", "GPUs"), &count.spare);
    let parts = [rate.into(), answer / speed, wait.into(), late.into()];
    let needed = book.derive(&at("slots"), ("Streams at once", "streams"), Expr::Slots(Box::new(parts)));
    let base = book.derive(&at("base"), ("GPUs for these", "GPUs"), (needed / per_gpu).ceiling());
    book.derive(&at("count"), ("GPUs", "GPUs"), base + spare);
    let grown = Some(Grown::Slots([rate, answer, speed, per_gpu, wait, late]));
    Machines { base, headroom: None, spare: Some(spare), gpu_month, power_month, grown }
}

/// A month of a GPU, and its electricity where that is not in it.
fn price_of(book: &mut Book, id: &str, price: &GpuPrice) -> (Ref, Option<Ref>) {
    let at = |name: &str| format!("{id}.gpus.{name}");
    match price {
        GpuPrice::Rent(hour) => {
            let hour = book.input(&at("per_hour"), ("An hour of a GPU", "$/hour"), hour);
            (book.derive(&at("month"), ("A month of a GPU", "$/month"), hour * HOURS), None)
        }
        GpuPrice::Owned(server) => owned(book, id, server),
    }
}

/// Straight line: `(P - RV) / N`. Annuity at `i` a month: `(P - RV / (1+i)^N) i / (1 - (1+i)^-N)`, the payment whose worth today is what the
/// server costs less what its end brings.
fn owned(book: &mut Book, id: &str, server: &Server) -> (Ref, Option<Ref>) {
    let at = |name: &str| format!("{id}.gpus.{name}");
    let mut input =
        |name: &str, label: (&str, &'static str), quantity: &Quantity| book.input(&at(name), label, quantity);
    let price = input("server.price", ("A server", "$"), &server.price);
    let gpus = input("server.gpus", ("GPUs of a server", "GPUs/server"), &server.gpus);
    let residual = input("server.residual", ("What it is worth at the end", "share"), &server.residual);
    let kilowatts = input("server.kilowatts", ("Power of a server", "kW"), &server.kilowatts);
    let pue = input("server.pue", ("Power of the building for one of the server", "ratio"), &server.pue);
    let kwh = input("server.kwh", ("A kilowatt-hour", "$/kWh"), &server.kwh);
    let duty = input("server.duty", ("Share of full power", "share"), &server.duty);
    let utilization = input("server.utilization", ("Hours in which it works", "share"), &server.utilization);
    let interest =
        server.interest.as_ref().map(|rate| input("server.interest", ("What money costs in a year", "share"), rate));
    let worth = price * residual;
    let server_month = match interest {
        None => (Expr::from(price) - worth) / Expr::Whole(server.months.into()),
        Some(rate) => {
            let monthly =
                book.derive(&at("interest_monthly"), ("The same in a month", "share"), rate / Expr::Whole(12));
            let grown = (Expr::ONE + Expr::from(monthly)).power(server.months);
            let (whole, paid) = (worth / grown.clone(), Expr::ONE - Expr::ONE / grown);
            (Expr::from(price) - whole) * monthly / paid
        }
    };
    let server_month = book.derive(&at("server_month"), ("A server in a month", "$/month"), server_month);
    let power = kilowatts * pue * kwh * HOURS * duty;
    let server_power = book.derive(&at("server_power"), ("Its electricity in a month", "$/month"), power);
    let month = book.derive(&at("month"), ("A month of a GPU", "$/month"), server_month / gpus);
    let power = book.derive(&at("power_month"), ("Electricity of a GPU in a month", "$/month"), server_power / gpus);
    let hour = (month + power) / (HOURS * utilization);
    book.derive(&at("per_hour"), ("An hour of a GPU that works", "$/hour"), hour);
    (month, Some(power))
}

/// One of the items that machines cause.
pub(super) fn item(
    book: &mut Book,
    (name, label): (&str, (&str, &'static str)),
    (item, capacity): (LineItem, &Capacity),
    machines: Option<&Machines>,
) -> Ref {
    let (machines, source) = match (capacity, machines) {
        (Capacity::Nothing(because), _) => return nothing(book, name, label, because),
        (Capacity::Gpus(_), None) => return book.derive(name, label, Expr::Whole(0)),
        (Capacity::Gpus(_), Some(machines)) => (machines, book.cell(machines.base).source.clone()),
    };
    let because = |words: &str| Because::follows(words, &source);
    let (n, words) = match item {
        LineItem::AutoscalingHeadroom => {
            (machines.headroom, "the number of GPUs is given with what is beyond the load")
        }
        LineItem::Redundancy => (machines.spare, "the number of GPUs is given with those that stand in"),
        LineItem::Power => {
            let Some(power) = machines.power_month else {
                return nothing(book, name, label, &because("the rent of the GPUs has it"));
            };
            let all = [Some(machines.base), machines.headroom, machines.spare];
            let n = Expr::sum(all.into_iter().flatten().map(Expr::from));
            return book.derive(name, label, n * power);
        }
        _ => (Some(machines.base), ""),
    };
    match n {
        Some(n) => book.derive(name, label, n * machines.gpu_month),
        None => nothing(book, name, label, &because(words)),
    }
}
