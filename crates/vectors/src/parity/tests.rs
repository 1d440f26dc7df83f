use super::*;

const ASK: Ask = Ask { k: 3, margin: 0.05, alpha: 0.05, power: 0.8, seed: 1 };

fn found(lists: impl IntoIterator<Item = (usize, Vec<&'static str>)>) -> Found {
    let owned = |list: Vec<&str>| list.into_iter().map(str::to_owned).collect();
    Found { lists: lists.into_iter().map(|(query, list)| (format!("q{query}"), owned(list))).collect(), exact: None }
}

fn relevant(n: usize) -> Scored {
    (0..n).map(|query| (format!("q{query}"), [("a".to_owned(), 1.0)].into())).collect()
}

fn same(n: usize) -> Found {
    found((0..n).map(|query| (query, vec!["a", "b", "c"])))
}

#[test]
fn nothing_changed_passes_on_enough_queries_and_not_on_few() {
    let parity = |n| compare((&same(n), &same(n)), &relevant(n), &BTreeMap::new(), ASK);
    assert_eq!(parity(200).verdict, Verdict::Pass);
    let few = parity(20);
    assert_eq!(few.verdict, Verdict::Undecided, "a loss on one query in twenty need not be among twenty");
    let needed = usize::try_from(few.quality[0].n_needed.unwrap()).unwrap();
    assert_eq!(parity(needed + 1).verdict, Verdict::Pass, "{needed} is what it said");
}

#[test]
fn a_loss_beyond_the_margin_fails() {
    let worse =
        found((0..200).map(|query| (query, if query % 4 == 0 { vec!["x", "y", "z"] } else { vec!["a", "b", "c"] })));
    let parity = compare((&same(200), &worse), &relevant(200), &BTreeMap::new(), ASK);
    assert_eq!(parity.verdict, Verdict::Fail);
    let ndcg = &parity.quality[0];
    assert_eq!((ndcg.source, ndcg.target, ndcg.n_better_worse_same), (1.0, 0.75, (0, 50, 150)));
    let (low, high) = ndcg.difference.interval.unwrap();
    assert!(low < -0.25 && -0.25 < high && high < -0.15, "{low} {high}");
}

#[test]
fn a_loss_in_one_slice_fails_though_the_whole_passes() {
    let worse = found((0..2000).map(|query| (query, if query < 40 { vec!["x"] } else { vec!["a", "b", "c"] })));
    let slices = [("language=de".to_owned(), (0..50).map(|query| format!("q{query}")).collect())].into();
    let parity = compare((&same(2000), &worse), &relevant(2000), &slices, ASK);
    assert_eq!(parity.quality[0].verdict, Verdict::Pass);
    assert_eq!(parity.verdict, Verdict::Fail);
    assert!(parity.why.starts_with("where language=de"), "{}", parity.why);
}

#[test]
fn without_judgement_only_the_same_lists_pass() {
    let parity = |target: &Found| compare((&same(300), target), &Scored::new(), &BTreeMap::new(), ASK);
    assert_eq!(parity(&same(300)).verdict, Verdict::Pass);
    let other = found((0..300).map(|query| (query, vec!["a", "b", "x"])));
    let parity = parity(&other);
    assert_eq!(parity.verdict, Verdict::Undecided);
    assert!(parity.why.contains("--qrels"), "{}", parity.why);
    assert!((parity.alike[0].mean - 2.0 / 3.0).abs() < 1e-12);
}

#[test]
fn a_query_that_was_not_answered_counts_as_nothing_found() {
    let parity = compare((&same(3), &same(2)), &relevant(4), &BTreeMap::new(), ASK);
    assert_eq!((parity.n_queries, parity.n_judged), (4, 4));
    assert_eq!((parity.coverage.0.n_answered, parity.coverage.1.n_answered), (3, 2));
    assert_eq!((parity.quality[1].source, parity.quality[1].target), (0.75, 0.5));
}

#[test]
fn an_index_is_measured_against_the_truly_nearest_and_ties_are_no_loss() {
    let list = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<String>>();
    assert_eq!(ann_recall(&list(&["a", "d", "x"]), &list(&["a", "b", "c", "d"]), 3), Some(2.0 / 3.0));
    assert_eq!(ann_recall(&list(&["a", "d", "c"]), &list(&["a", "b", "c", "d"]), 3), Some(1.0));
    assert_eq!(ann_recall(&list(&["a"]), &list(&["a"]), 3), Some(1.0), "there is no more to find");
    assert_eq!(ann_recall(&[], &[], 3), None);
}

/// A target that is worse by exactly the margin passes at most as often as `alpha` says (here over 400 runs, with a little room for chance).
#[test]
fn what_is_worse_by_the_margin_passes_no_more_often_than_alpha() {
    let mut random = stats::random::Random::new(11);
    let n_passed = (0..400u64)
        .filter(|run| {
            let scores: Vec<(f64, f64)> =
                (0..150).map(|_| if random.below(20) == 0 { (1.0, 0.0) } else { (1.0, 1.0) }).collect();
            change("ndcg@3", &scores, Ask { seed: *run, ..ASK }).verdict == Verdict::Pass
        })
        .count();
    assert!(n_passed <= 30, "{n_passed} of 400 at 5 %");
}
