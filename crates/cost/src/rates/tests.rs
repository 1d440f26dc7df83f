use proptest::prelude::*;

use super::*;

fn per_million(rates: &[(Meter, &str)]) -> Vec<(Meter, Fraction)> {
    let one = |(meter, text): &(Meter, &str)| {
        (*meter, Fraction::per_one(Fraction::of(Decimal::parse(text).unwrap()), *meter).unwrap())
    };
    rates.iter().map(one).collect()
}

fn whole(base: &[(Meter, &str)], tiers: &[(u64, &[(Meter, &str)])]) -> Rates {
    let tiers: Vec<_> = tiers.iter().map(|(above, rates)| (*above, per_million(rates))).collect();
    Rates::new(TierKind::WholeRequest, &per_million(base), &tiers).unwrap()
}

const GPT: [(Meter, &str); 3] = [(Meter::Input, "2.50"), (Meter::Cached, "1.25"), (Meter::Output, "10")];

fn usage(counts: &[(Meter, u64)]) -> Usage {
    counts.iter().fold(Usage::new(), |usage, (meter, n)| usage.with(*meter, *n))
}

#[track_caller]
fn check(rates: &Rates, counts: &[(Meter, u64)], expected: Result<u64, Unknown>) {
    assert_eq!(rates.charge(&usage(counts)), expected, "{counts:?}");
}

#[test]
fn worked_example_of_the_azure_mean_conversation() {
    // research W7: 1155 in, 211 out at $2.50 and $10 a million is $0.0049975.
    check(&whole(&GPT, &[]), &[(Meter::Input, 1_155), (Meter::Output, 211)], Ok(4_997_500));
}

#[test]
fn a_meter_with_a_price_takes_its_part_out_of_what_it_is_within() {
    let rates = whole(&GPT, &[]);
    // 600 at 2.50, 400 at 1.25; reasoning has no price and is output.
    let counts = [(Meter::Input, 1_000), (Meter::Cached, 400), (Meter::Output, 100), (Meter::Reasoning, 90)];
    check(&rates, &counts, Ok(600 * 2_500 + 400 * 1_250 + 100 * 10_000));
    let rates = whole(&[(Meter::Input, "1"), (Meter::Output, "2"), (Meter::Reasoning, "5")], &[]);
    check(&rates, &[(Meter::Output, 100), (Meter::Reasoning, 90)], Ok(10 * 2_000 + 90 * 5_000));
}

#[test]
fn it_is_rounded_once_and_half_up() {
    // Ten meters of a third of a nano-dollar each are not ten roundings.
    let rates = whole(&[(Meter::Input, "0.0005"), (Meter::Output, "0.0005")], &[]);
    check(&rates, &[(Meter::Input, 1)], Ok(1));
    check(&rates, &[(Meter::Input, 1), (Meter::Output, 1)], Ok(1));
    check(&rates, &[(Meter::Input, 2), (Meter::Output, 1)], Ok(2));
    let rates = whole(&[(Meter::Input, "0.000499999999999")], &[]);
    check(&rates, &[(Meter::Input, 1)], Ok(0));
}

#[test]
fn a_tier_is_above_its_bound_and_for_the_whole_request() {
    let rates = whole(&GPT, &[(200_000, &[(Meter::Input, "5"), (Meter::Cached, "2.5"), (Meter::Output, "20")])]);
    check(&rates, &[(Meter::Input, 200_000), (Meter::Output, 1)], Ok(200_000 * 2_500 + 10_000));
    check(&rates, &[(Meter::Input, 200_001), (Meter::Output, 1)], Ok(200_001 * 5_000 + 20_000));
}

#[test]
fn a_marginal_tier_is_for_what_is_above() {
    let base = per_million(&[(Meter::Input, "1"), (Meter::Output, "2")]);
    let step = per_million(&[(Meter::Input, "3"), (Meter::Output, "2")]);
    let rates = Rates::new(TierKind::Marginal, &base, &[(1_000, step)]).unwrap();
    check(&rates, &[(Meter::Input, 1_000)], Ok(1_000_000));
    check(&rates, &[(Meter::Input, 1_500), (Meter::Output, 10)], Ok(1_000_000 + 1_500_000 + 20_000));
}

#[test]
fn what_cannot_be_priced_is_unknown_and_never_nothing() {
    let rates = whole(&GPT, &[]);
    check(&rates, &[(Meter::WebSearches, 1)], Err(Unknown::Unpriced(Meter::WebSearches)));
    check(&rates, &[(Meter::Cached, 5)], Err(Unknown::Inconsistent(Meter::Input)));
    check(&rates, &[(Meter::Reasoning, 5)], Err(Unknown::Inconsistent(Meter::Output)));
    let input_only = whole(&[(Meter::Input, "0.02")], &[]);
    check(&input_only, &[(Meter::Input, 5), (Meter::Output, 1)], Err(Unknown::Unpriced(Meter::Output)));
    check(&rates, &[(Meter::Input, u64::MAX), (Meter::Output, u64::MAX)], Err(Unknown::TooMuch));
}

#[test]
fn tokens_that_two_prices_claim_are_not_charged_twice() {
    let two = [(Meter::Input, "1"), (Meter::Cached, "0.1"), (Meter::AudioInput, "10")];
    let counts = [(Meter::Input, 100), (Meter::Cached, 50), (Meter::AudioInput, 30)];
    check(&whole(&two, &[]), &counts, Ok(20 * 1_000 + 50 * 100 + 30 * 10_000));
    let shared = [counts.as_slice(), &[(Meter::CachedAudio, 20)]].concat();
    check(&whole(&two, &[]), &shared, Err(Unknown::Overlap(Meter::CachedAudio)));
    let three = [two.as_slice(), &[(Meter::CachedAudio, "2")]].concat();
    check(&whole(&three, &[]), &shared, Ok(40 * 1_000 + 30 * 100 + 10 * 10_000 + 20 * 2_000));
}

#[test]
fn rates_that_cannot_be_used_are_refused() {
    let base = per_million(&GPT);
    let new = |kind, tiers: &[(u64, Vec<(Meter, Fraction)>)]| Rates::new(kind, &base, tiers).unwrap_err();
    let tier = |above| (above, base.clone());
    assert_eq!(new(TierKind::WholeRequest, &[tier(5), tier(5)]), RatesError::Order(5));
    let uneven = (9, per_million(&[(Meter::Input, "1")]));
    assert!(matches!(new(TierKind::Marginal, &[uneven]), RatesError::Uneven(_)));
    assert_eq!(Rates::new(TierKind::WholeRequest, &[], &[]), Err(RatesError::Empty));
}

proptest! {
    /// The sum is exact: it equals the sum over a common denominator that is found another way.
    #[test]
    fn charges_are_exact(
        prices in prop::collection::vec((1u64..1_000_000, 0u32..12), 3),
        counts in prop::collection::vec(0u64..1_000, 3),
    ) {
        let meters = [Meter::Output, Meter::Request, Meter::AudioSeconds];
        let text = |(mantissa, scale): (u64, u32)| format!("{mantissa}e-{scale}");
        let texts: Vec<String> = prices.iter().map(|price| text(*price)).collect();
        let rates: Vec<(Meter, &str)> = meters.into_iter().zip(texts.iter().map(String::as_str)).collect();
        let usage = meters.into_iter().zip(&counts).fold(Usage::new(), |usage, (meter, n)| usage.with(meter, *n));
        let found = whole(&rates, &[]).charge(&usage).unwrap();
        // In units of 10^-12 / 9 of a nano-dollar, everything here is an integer.
        let unit = 9 * 10u128.pow(12);
        let exact: u128 = meters.into_iter().zip(&prices).zip(&counts).map(|((meter, (mantissa, scale)), n)| {
            let dollars = u128::from(*mantissa) * 10u128.pow(12 - scale);
            u128::from(*n) * dollars * 9 * NANOS / u128::from(meter.per())
        }).sum();
        prop_assert_eq!(u128::from(found), (exact + unit / 2) / unit);
    }

    /// A price may only go up with what is used.
    #[test]
    fn more_never_costs_less(input in 0u64..1_000_000, more in 0u64..1_000_000) {
        let rates = whole(&GPT, &[(200_000, &[(Meter::Input, "5"), (Meter::Cached, "2.5"), (Meter::Output, "20")])]);
        let cost = |n| rates.charge(&usage(&[(Meter::Input, n)])).unwrap();
        prop_assert!(cost(input + more) >= cost(input));
    }
}
