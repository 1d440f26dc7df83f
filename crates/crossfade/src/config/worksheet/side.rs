//! One side of a worksheet.

use cost::tco::Quantity;
use cost::tco::study::{
    Amount, Attempt, Capacity, Count, Fallback, GpuPrice, Gpus, HourCount, LineItem, Part, PeakCount, Review, Server,
    Side, SlotCount, TokenCost,
};

use super::figure::Kind;
use super::{Sheet, text};
use crate::config::reader::{Item, Section};

/// Months a server is used where nobody says.
const SERVER_MONTHS: u64 = 36;

/// Reads the side under `key`; `None` where there is none, which is noted once.
pub(super) fn read(root: &Section<'_>, key: &'static str, sheet: &Sheet<'_>) -> Option<Side> {
    let section = root.need(key)?.section()?;
    let nothing = || sheet.no_reason();
    let side = Side {
        name: text(&section, "name").unwrap_or_else(|| key.to_owned()),
        first_pass: sheet.figure(&section, "first_pass", Kind::Share),
        retries: retries(&section, sheet),
        attempt: section.need("attempt").map_or_else(|| Attempt::Nothing(nothing()), |item| attempt(&item, sheet)),
        price_change: sheet.figure(&section, "price_change", Kind::Change),
        review: review(&section, sheet),
        capacity: section.need("gpus").map_or_else(|| Capacity::Nothing(nothing()), |item| capacity(&item, sheet)),
        fallback: section.need("fallback").map_or_else(|| Fallback::Nothing(nothing()), |item| fallback(&item, sheet)),
        given: items(&section, sheet),
    };
    section.finish();
    Some(side)
}

fn retries(section: &Section<'_>, sheet: &Sheet<'_>) -> Vec<Quantity> {
    let Some(item) = section.need("retries") else { return Vec::new() };
    let items = item.list("shares, one for each retry; `[]` where nobody tries again").unwrap_or_default();
    items.iter().map(|item| sheet.read(item, Kind::Share)).collect()
}

fn attempt(item: &Item<'_>, sheet: &Sheet<'_>) -> Attempt {
    if item.has_key("none") {
        return Attempt::Nothing(sheet.because(item).unwrap_or_else(|| sheet.no_reason()));
    }
    if !item.has_key("input_tokens") && !item.has_key("output_tokens") {
        return Attempt::Dollars(sheet.read(item, Kind::Amount));
    }
    let Some(section) = item.section() else { return Attempt::Nothing(sheet.no_reason()) };
    let figure = |key| sheet.figure(&section, key, Kind::Amount);
    let is_cached = section.get("cached_tokens").is_some() | section.get("cached_price").is_some();
    let tokens = TokenCost {
        input: figure("input_tokens"),
        cached: is_cached.then(|| (figure("cached_tokens"), figure("cached_price"))),
        output: figure("output_tokens"),
        input_price: figure("input_price"),
        output_price: figure("output_price"),
    };
    if let Some((Some(cached), Some(input))) =
        tokens.cached.as_ref().map(|(cached, _)| (cached.value.as_ref(), tokens.input.value.as_ref()))
        && cached > input
    {
        item.note("`cached_tokens` are a part of `input_tokens`", None);
    }
    section.finish();
    Attempt::Tokens(Box::new(tokens))
}

fn review(section: &Section<'_>, sheet: &Sheet<'_>) -> Review {
    let (own, undetected) = (section.section("review"), section.section("undetected"));
    let review = Review {
        sampled: (sheet.figure(&own, "sampled", Kind::Share), sheet.figure(&own, "sampled_minutes", Kind::Amount)),
        escalated: (
            sheet.figure(&own, "escalated", Kind::Share),
            sheet.figure(&own, "escalated_minutes", Kind::Amount),
        ),
        fixed: sheet.figure(&own, "fixed", Kind::Share),
        undetected: (sheet.figure(&undetected, "share", Kind::Share), sheet.figure(&undetected, "cost", Kind::Amount)),
    };
    own.finish();
    undetected.finish();
    review
}

fn capacity(item: &Item<'_>, sheet: &Sheet<'_>) -> Capacity {
    if item.has_key("none") {
        return Capacity::Nothing(sheet.because(item).unwrap_or_else(|| sheet.no_reason()));
    }
    let Some(section) = item.section() else { return Capacity::Nothing(sheet.no_reason()) };
    let ways = ["count", "peak", "slots", "hours"].map(|key| section.get(key).is_some());
    if ways.iter().filter(|is_said| **is_said).count() > 1 {
        item.note("the number of GPUs is a `count`, or follows from a `peak`, from `slots` or from `hours`", None);
    }
    let count = match ways {
        [_, true, ..] => peak(section.section("peak"), sheet),
        [_, _, true, _] => slots(section.section("slots"), sheet),
        [_, _, _, true] => hours(section.section("hours"), item, sheet),
        _ => Count::Stated(sheet.figure(&section, "count", Kind::Amount)),
    };
    let [is_bought, is_rented] = ["server", "per_hour"].map(|key| section.get(key).is_some());
    if is_bought && is_rented {
        item.note("a GPU is rented `per_hour`, or part of a `server` that is bought", None);
    }
    let price = if is_bought {
        GpuPrice::Owned(Box::new(server(section.section("server"), item, sheet)))
    } else {
        GpuPrice::Rent(sheet.figure(&section, "per_hour", Kind::Amount))
    };
    section.finish();
    Capacity::Gpus(Box::new(Gpus { count, price }))
}

fn peak(section: Section<'_>, sheet: &Sheet<'_>) -> Count {
    let figure = |key, kind| sheet.figure(&section, key, kind);
    let count = PeakCount {
        tokens_per_second: figure("tokens_per_second", Kind::Amount),
        per_gpu: figure("per_gpu", Kind::Positive),
        headroom: figure("headroom", Kind::Amount),
        spare: figure("spare", Kind::Amount),
    };
    section.finish();
    Count::Peak(Box::new(count))
}

fn slots(section: Section<'_>, sheet: &Sheet<'_>) -> Count {
    let figure = |key, kind| sheet.figure(&section, key, kind);
    let count = SlotCount {
        requests_per_second: figure("requests_per_second", Kind::Amount),
        tokens: figure("answer_tokens", Kind::Positive),
        tokens_per_second: figure("stream_tokens_per_second", Kind::Positive),
        per_gpu: figure("streams_per_gpu", Kind::Positive),
        wait_s: figure("wait_s", Kind::Amount),
        late: figure("late", Kind::Share),
        spare: figure("spare", Kind::Amount),
    };
    section.finish();
    Count::Slots(Box::new(count))
}

/// Replicas of the 168 hours of a week; their source is said once.
fn hours(section: Section<'_>, item: &Item<'_>, sheet: &Sheet<'_>) -> Count {
    let what = "replicas of the 168 hours of a week, from Monday 00:00 UTC on";
    let items = section.need("replicas").and_then(|item| item.list(what)).unwrap_or_default();
    if !items.is_empty() && items.len() != 168 {
        item.note(format!("`hours.replicas` has {} numbers; there are 168: {what}", items.len()), None);
    }
    let source = sheet.source_of(&section);
    let of_hour = |item: &Item<'_>| {
        let quantity = sheet.read(item, Kind::Amount);
        Quantity { source: source.clone().unwrap_or(quantity.source), ..quantity }
    };
    let count = HourCount {
        replicas: items.iter().map(of_hour).collect(),
        gpus: sheet.figure(&section, "gpus_each", Kind::Positive),
        cold_start_s: sheet.figure(&section, "cold_start_s", Kind::Amount),
    };
    section.finish();
    Count::Hours(Box::new(count))
}

fn server(section: Section<'_>, item: &Item<'_>, sheet: &Sheet<'_>) -> Server {
    let months = section.get("months").and_then(|item| item.count(1, 240)).unwrap_or(SERVER_MONTHS);
    let figure = |key, kind| sheet.figure(&section, key, kind);
    let is_straight = section.get("interest").is_none_or(|item| item.has_key("none"));
    let interest = match section.get("interest") {
        Some(interest) if is_straight => {
            sheet.because(&interest);
            None
        }
        Some(_) => Some(figure("interest", Kind::Positive)),
        None => {
            item.note("`server.interest` is missing: what money costs in a year, or `{ none: the reason }` to write off in a straight line", None);
            None
        }
    };
    let server = Server {
        price: figure("price", Kind::Amount),
        gpus: figure("gpus", Kind::Positive),
        months: u32::try_from(months).unwrap_or(240),
        residual: figure("residual", Kind::Share),
        interest,
        kilowatts: figure("kilowatts", Kind::Amount),
        pue: figure("pue", Kind::Positive),
        kwh: figure("kwh", Kind::Amount),
        duty: figure("duty", Kind::Share),
        utilization: figure("utilization", Kind::Positive),
    };
    section.finish();
    server
}

fn fallback(item: &Item<'_>, sheet: &Sheet<'_>) -> Fallback {
    if item.has_key("none") {
        return Fallback::Nothing(sheet.because(item).unwrap_or_else(|| sheet.no_reason()));
    }
    let Some(section) = item.section() else { return Fallback::Nothing(sheet.no_reason()) };
    let share = sheet.figure(&section, "share", Kind::Share);
    let minimum = sheet.figure(&section, "minimum", Kind::Amount);
    section.finish();
    Fallback::Share { share, minimum }
}

/// The line items that are given, each; one that is not written is unknown.
fn items(section: &Section<'_>, sheet: &Sheet<'_>) -> Vec<(LineItem, Amount)> {
    let own = section.section("items");
    let read = |item: LineItem| {
        let amount = match own.get(item.as_str()) {
            Some(written) => amount(&written, sheet),
            None => Amount::Parts(vec![Part::Monthly(sheet.unwritten(&own))]),
        };
        (item, amount)
    };
    let items = LineItem::GIVEN.map(read).into();
    own.finish();
    items
}

fn amount(item: &Item<'_>, sheet: &Sheet<'_>) -> Amount {
    if item.has_key("none") {
        return Amount::Nothing(sheet.because(item).unwrap_or_else(|| sheet.no_reason()));
    }
    if item.is_list() {
        let parts = item.list("amounts").unwrap_or_default();
        if parts.is_empty() {
            item.note("what costs nothing needs a reason: `{ none: the reason }`", None);
        }
        return Amount::Parts(parts.iter().map(|part| self::part(part, sheet)).collect());
    }
    Amount::Parts(vec![part(item, sheet)])
}

fn part(item: &Item<'_>, sheet: &Sheet<'_>) -> Part {
    let has = |key| item.has_key(key);
    let section = if has("quantity") || has("price") || has("once") || has("months") { item.section() } else { None };
    let Some(section) = section else { return Part::Monthly(sheet.read(item, Kind::Amount)) };
    let figure = |key, kind| sheet.figure(&section, key, kind);
    let part = if has("once") || has("months") {
        Part::Amortised { once: figure("once", Kind::Amount), months: figure("months", Kind::Positive) }
    } else {
        Part::Product { quantity: figure("quantity", Kind::Amount), price: figure("price", Kind::Amount) }
    };
    section.finish();
    part
}
