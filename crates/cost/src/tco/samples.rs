//! Studies for tests: the worked answers W1 to W9, each computed by hand elsewhere.

use super::book::{Provenance, Quantity, Source};
use super::exact::Exact;
use super::spread::Spread;
use super::study::{
    Amount, Attempt, Because, Capacity, Count, Fallback, GpuPrice, Gpus, LineItem, Part, PeakCount, Review, Server,
    Side, SlotCount, Study, TokenCost,
};
use crate::date::Date;

pub(super) fn source() -> Source {
    Source {
        provenance: Provenance::Assumed,
        date: Date(20_783),
        evidence: "worked answers".to_owned(),
        id: "answers:w".to_owned(),
    }
}

pub(super) fn of(text: &str) -> Quantity {
    let value = Some(Exact::parse(text).unwrap_or_else(|| panic!("{text}")));
    Quantity { value, spread: None, source: source(), line: None }
}

pub(super) fn seen(successes: u64, of_all: u64) -> Quantity {
    let value = Exact::of(successes).over(&Exact::of(of_all));
    let spread = Some(Box::new(Spread::Seen { successes, of: of_all }));
    Quantity { value, spread, source: source(), line: None }
}

pub(super) fn between(low: &str, value: &str, high: &str) -> Quantity {
    let exact = |text| Exact::parse(text).unwrap();
    Quantity { spread: Some(Box::new(Spread::Triangular { low: exact(low), high: exact(high) })), ..of(value) }
}

pub(super) fn because(words: &str) -> Because {
    Because { words: words.to_owned(), source: source() }
}

/// Nothing costs anything and everything is right.
pub(super) fn free(name: &str) -> Side {
    Side {
        name: name.to_owned(),
        first_pass: of("1"),
        retries: Vec::new(),
        attempt: Attempt::Nothing(because("there is no vendor")),
        price_change: of("0"),
        review: Review {
            sampled: (of("0"), of("0")),
            escalated: (of("1"), of("0")),
            fixed: of("1"),
            undetected: (of("0"), of("0")),
        },
        capacity: Capacity::Nothing(because("there are no machines")),
        fallback: Fallback::Nothing(because("there is no fallback")),
        given: LineItem::GIVEN.map(|item| (item, Amount::Nothing(because("the example has none")))).into(),
    }
}

pub(super) fn study(baseline: Side, candidate: Side) -> Study {
    Study {
        name: "example".to_owned(),
        date: Date(20_783),
        example: false,
        tasks: of("1_200_000"),
        review_hour: of("60"),
        months: 12,
        discount: of("0"),
        volume_growth: of("0"),
        token_growth: of("0"),
        one_off: Vec::new(),
        target_saving: of("0.2"),
        certainty: of("0.8"),
        baseline,
        candidate,
        scenarios: Vec::new(),
    }
}

/// W1: one of 40 and one of 25 tokens/s a GPU at a peak of 1000.
pub(super) fn linear() -> Study {
    let side = |name: &str, speed: &str| {
        let count = Count::Peak(Box::new(PeakCount {
            tokens_per_second: of("1000"),
            per_gpu: of(speed),
            headroom: of("0.2"),
            spare: of("1"),
        }));
        Side { capacity: Capacity::Gpus(Box::new(Gpus { count, price: GpuPrice::Rent(of("2.5")) })), ..free(name) }
    };
    study(side("fast", "40"), side("slow", "25"))
}

/// W2: 40 and 25 tokens/s a stream, `rate` requests a second of 200 tokens, at most 5 % waiting longer than a second.
pub(super) fn streams(rate: &str) -> Study {
    let side = |name: &str, speed: &str| {
        let count = Count::Slots(Box::new(SlotCount {
            requests_per_second: of(rate),
            tokens: of("200"),
            tokens_per_second: of(speed),
            per_gpu: of("1"),
            wait_s: of("1"),
            late: of("0.05"),
            spare: of("0"),
        }));
        Side { capacity: Capacity::Gpus(Box::new(Gpus { count, price: GpuPrice::Rent(of("2.5")) })), ..free(name) }
    };
    study(side("fast", "40"), side("slow", "25"))
}

/// W3: 5 minutes of review at $40 an hour for every failure.
pub(super) fn better(retries: [&[&str]; 2]) -> Study {
    let side = |name: &str, right: &str, attempt: &str, retries: &[&str]| {
        let plain = free(name);
        Side {
            first_pass: of(right),
            retries: retries.iter().map(|text| of(text)).collect(),
            attempt: Attempt::Dollars(of(attempt)),
            review: Review { escalated: (of("1"), of("5")), ..plain.review.clone() },
            ..plain
        }
    };
    let [a, b] = retries;
    Study { review_hour: of("40"), ..study(side("a", "0.8", "0.004", a), side("b", "0.92", "0.010", b)) }
}

/// W4: attempts by first-pass success alone.
pub(super) fn retries() -> Study {
    let side = |name: &str, right: &str, attempt: &str| Side {
        first_pass: of(right),
        retries: vec![of("1")],
        attempt: Attempt::Dollars(of(attempt)),
        ..free(name)
    };
    study(side("a", "0.75", "0.010"), side("b", "0.5", "0.009"))
}

/// W5: $120 000 a month against $70 000, and $450 000 once.
pub(super) fn paid_back() -> Study {
    let api = Side { attempt: Attempt::Dollars(of("0.1")), ..free("api") };
    let mut own = free("own");
    own.given[4].1 = Amount::Parts(vec![Part::Monthly(of("70_000"))]);
    Study { one_off: vec![("migration".to_owned(), of("450_000"))], ..study(api, own) }
}

/// W6: eight GPUs that are bought.
pub(super) fn owned(interest: Option<&str>, utilization: &str) -> Study {
    let server = Server {
        price: of("300_000"),
        gpus: of("8"),
        months: 36,
        residual: of("0.25"),
        interest: interest.map(of),
        kilowatts: of("10.2"),
        pue: of("1.4"),
        kwh: of("0.10"),
        duty: of("1"),
        utilization: of(utilization),
    };
    let count = Count::Stated(of("8"));
    let capacity = Capacity::Gpus(Box::new(Gpus { count, price: GpuPrice::Owned(Box::new(server)) }));
    study(free("api"), Side { capacity, ..free("own") })
}

/// W7 and W8: support questions at a vendor, and on two rented GPUs with `right` of 1 right at once.
pub(super) fn support(right: Quantity) -> Study {
    let people = |name: &str| Side {
        retries: vec![of("0.5")],
        review: Review { escalated: (of("1"), of("2.4")), ..free(name).review },
        ..free(name)
    };
    let tokens = TokenCost {
        input: of("1155"),
        cached: None,
        output: of("211"),
        input_price: of("2.50"),
        output_price: of("10"),
    };
    let api = Side { first_pass: of("0.9"), attempt: Attempt::Tokens(Box::new(tokens)), ..people("api") };
    let mut own = Side {
        first_pass: right,
        capacity: Capacity::Gpus(Box::new(Gpus { count: Count::Stated(of("2")), price: GpuPrice::Rent(of("3")) })),
        fallback: Fallback::Share { share: of("0.01"), minimum: of("0") },
        ..people("own")
    };
    // Of $7282.78, 4380 are GPUs and 2250 on-call.
    own.given[2].1 = Amount::Parts(vec![Part::Monthly(of("652.78"))]);
    own.given[4].1 = Amount::Parts(vec![Part::Monthly(of("2250"))]);
    study(api, own)
}

/// W9: W8 with how little is known.
pub(super) fn uncertain() -> Study {
    let mut study = support(seen(460, 500));
    study.baseline.first_pass = seen(450, 500);
    study.review_hour = between("30", "60", "120");
    let price = GpuPrice::Rent(between("2", "3", "4.5"));
    study.candidate.capacity = Capacity::Gpus(Box::new(Gpus { count: Count::Stated(of("2")), price }));
    study.candidate.given[4].1 = Amount::Parts(vec![Part::Monthly(between("1500", "2250", "4500"))]);
    study
}
