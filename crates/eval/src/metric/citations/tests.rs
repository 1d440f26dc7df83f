use super::super::{Document, Judged, named};
use super::*;

fn documents(texts: &[&str]) -> Case {
    let documents = texts.iter().map(|text| Document { id: String::new(), text: (*text).to_owned() });
    Case { documents: documents.collect(), ..Case::default() }
}

#[test]
fn sentences_keep_the_citations_behind_them() {
    let answer = "Refunds take 3.5 days [1][2]. Is it free? Yes! [3]\nNo cite";
    let found: Vec<(String, Vec<u64>)> = statements(answer).into_iter().map(|one| (one.text, one.cited)).collect();
    let expected: [(&str, &[u64]); 4] =
        [("Refunds take 3.5 days.", &[1, 2]), ("Is it free?", &[]), ("Yes!", &[3]), ("No cite", &[])];
    assert_eq!(found, expected.map(|(text, cited)| (text.to_owned(), cited.to_vec())));
}

#[test]
fn a_citation_that_is_not_needed_costs_precision() {
    let holds = |_: usize, documents: &[u64]| Some(documents.contains(&1));
    let found = figures(&[vec![1, 2], vec![9], vec![]], 2, holds).unwrap();
    assert_eq!(found, Figures { recall: 1.0 / 3.0, precision: 0.5 });
    assert_eq!(figures(&[], 2, holds), None);
    assert_eq!(figures(&[vec![1]], 1, |_, _| None), None, "nobody knows");
}

#[test]
fn the_questions_are_those_whose_answers_decide() {
    let asked: Vec<(usize, Vec<u64>)> =
        questions("A [1][2]. B [2].", 2, true).into_iter().map(|one| (one.statement, one.documents)).collect();
    assert_eq!(asked, [(0, vec![1]), (0, vec![1, 2]), (0, vec![2]), (1, vec![2])]);
    let for_recall: Vec<Vec<u64>> =
        questions("A [1][2]. B [2]. C [9]. D.", 2, false).into_iter().map(|one| one.documents).collect();
    assert_eq!(for_recall, [vec![1, 2], vec![2]], "and nothing is asked of what cites nothing there is");
    let case = documents(&["x", "y"]);
    let mut answer = Answer { text: "A [1][2]. B [2].".into(), ..Answer::default() };
    let recall = named("citation_recall", &serde_json::Value::Null).unwrap();
    assert_eq!(recall.score(&case, &answer), Score::unscored(Unscored::NoJudgement));
    let mut entailed = questions(&answer.text, 2, true);
    entailed.iter_mut().for_each(|one| one.holds = one.documents.contains(&1));
    answer.judged = Some(Judged { entailed: Some(entailed), ..Judged::default() });
    assert_eq!(recall.score(&case, &answer).as_value(), Some(0.5));
}

#[test]
fn a_quote_stands_in_the_document_that_is_cited_for_it() {
    let case = documents(&["All items can be\nreturned within 30 days.", "Nothing."]);
    let check = |text: &str| quotes(text, &case.documents).into_iter().map(|quote| quote.source).collect::<Vec<_>>();
    assert_eq!(check("It says \"can be returned within\" [1]."), [Some((1, 10..32))]);
    assert_eq!(check("It says \"can be returned within\" [2]."), [None]);
    assert_eq!(check("It says \"can be exchanged within\" [1]."), [None]);
    assert_eq!(check("The \"old\" rule [1]."), []);
}

#[test]
fn no_claims_is_not_a_number() {
    let metric = named("groundedness", &serde_json::Value::Null).unwrap();
    let of = |claims| Answer { judged: Some(Judged { claims, ..Judged::default() }), ..Answer::default() };
    assert_eq!(metric.score(&Case::default(), &of(Some(vec![]))), Score::unscored(Unscored::NoClaims));
    let claim = |supported| Claim { text: String::new(), supported };
    assert_eq!(metric.score(&Case::default(), &of(Some(vec![claim(true), claim(false)]))).as_value(), Some(0.5));
}

/// Statements with what they cite, the sets of documents that entail each of them, and the two figures, worked out by hand after Gao et al. 2023, section 3
/// (and `compute_autoais` of ALCE 246c476): a citation is irrelevant if it does not support the statement alone and the others do so without it.
#[track_caller]
fn check_figures(cited: &[&[u64]], entailing: &[&[&[u64]]], (recall, precision): (f64, f64)) {
    let cited: Vec<Vec<u64>> = cited.iter().map(|numbers| numbers.to_vec()).collect();
    let entails =
        |statement: usize, documents: &[u64]| Some(entailing[statement].contains(&as_set(documents).as_slice()));
    assert_eq!(figures(&cited, 5, entails), Some(Figures { recall, precision }));
}

#[test]
fn citations_that_hold_alone_both_count() {
    check_figures(&[&[1, 2]], &[&[&[1, 2], &[1], &[2]]], (1.0, 1.0));
}

#[test]
fn citations_that_hold_only_together_both_count() {
    // Neither holds alone, and without one of them the other does not hold either.
    check_figures(&[&[1, 2]], &[&[&[1, 2]]], (1.0, 1.0));
}

#[test]
fn of_three_citations_the_one_that_the_other_two_do_without_does_not_count() {
    // 1 and 2 hold together; 3 holds nothing alone and is not missed. Without 1 or 2 nothing holds: both are needed.
    check_figures(&[&[1, 2, 3]], &[&[&[1, 2, 3], &[1, 2]]], (1.0, 2.0 / 3.0));
    // 1 holds alone. 2 and 3 do not, and neither is missed.
    check_figures(&[&[1, 2, 3]], &[&[&[1, 2, 3], &[1], &[1, 2], &[1, 3]]], (1.0, 1.0 / 3.0));
}

#[test]
fn where_the_statement_is_not_entailed_no_citation_of_it_counts_though_one_would_alone() {
    // A reader that says no to both together and yes to one: recall fails first, so that nothing of it is looked at.
    check_figures(&[&[1, 2]], &[&[&[1]]], (0.0, 0.0));
    // Its two citations are in the denominator all the same: one of three counts.
    check_figures(&[&[1, 2], &[3]], &[&[], &[&[3]]], (0.5, 1.0 / 3.0));
}

#[test]
fn a_statement_without_citations_costs_recall_alone_and_one_that_cites_nothing_there_is_costs_recall_alone_too() {
    check_figures(&[&[1], &[]], &[&[&[1]], &[]], (0.5, 1.0));
    check_figures(&[&[1], &[1, 9]], &[&[&[1]], &[&[1]]], (0.5, 1.0));
    check_figures(&[&[], &[]], &[&[], &[]], (0.0, 0.0));
}

#[test]
fn the_fourth_citation_of_a_sentence_is_not_looked_at_and_one_that_stands_twice_counts_twice() {
    // Only 1, 2 and 3 are read: 4, which would hold, is not among them.
    check_figures(&[&[1, 2, 3, 4]], &[&[&[4], &[1, 2, 3, 4]]], (0.0, 0.0));
    // Without the first 1 there is the second.
    check_figures(&[&[1, 1]], &[&[&[1]]], (1.0, 1.0));
}

#[test]
fn what_says_whether_an_answer_abstains_is_part_of_the_id_and_a_judge_knows_other_languages() {
    let case = Case { answerable: Some(false), ..documents(&["x"]) };
    let said = |text: &str, abstained, missing| Answer {
        text: text.to_owned(),
        judged: Some(Judged { abstained, missing, ..Judged::default() }),
        ..Answer::default()
    };
    let by = |settings: serde_json::Value| named("abstention", &settings).unwrap();
    let (words, judge) = (by(serde_json::Value::Null), by(serde_json::json!({ "abstains": "judge", "judge": "j" })));
    assert_eq!(
        (words.id.as_str(), judge.id.as_str()),
        ("abstention@crossfade-1", "abstention@crossfade-1:abstains=judge:judge=j")
    );
    assert!(judge.needs.abstained && !words.needs.is_any());
    let german = said("Das steht nicht in den Unterlagen.", Some(true), None);
    assert_eq!(
        (words.score(&case, &german).as_value(), judge.score(&case, &german).as_value()),
        (Some(0.0), Some(1.0))
    );
    // What a judge says is no part of the definition by words, and where it said nothing that can be read there is no number.
    let english = said("I don't know.", Some(false), None);
    assert_eq!(
        (words.score(&case, &english).as_value(), judge.score(&case, &english).as_value()),
        (Some(1.0), Some(0.0))
    );
    let unread = said("I don't know.", None, Some(Unscored::NoVerdict));
    assert_eq!(judge.score(&case, &unread), Score::unscored(Unscored::NoVerdict));
    // Nothing that was said need be judged.
    assert_eq!(judge.score(&case, &said(" ", None, None)).as_value(), Some(0.0));
}

#[test]
fn whose_word_it_is_is_part_of_the_id_and_why_it_is_missing_of_the_score() {
    let case = documents(&["x"]);
    let answer = Answer {
        text: "A [1].".into(),
        judged: Some(Judged { missing: Some(Unscored::Withheld), ..Judged::default() }),
        ..Answer::default()
    };
    for name in ["citation_recall", "citation_precision", "groundedness"] {
        let metric = named(name, &serde_json::json!({ "judge": "j", "threshold": 0.5 })).unwrap();
        assert!(metric.id.ends_with(":judge=j:threshold=0.5") && metric.needs.is_any(), "{}", metric.id);
        assert_eq!(metric.score(&case, &answer), Score::unscored(Unscored::Withheld));
    }
    let rag =
        named("rag_generation", &serde_json::json!({ "abstains": "judge", "judge": "j", "correct": "groundedness" }))
            .unwrap();
    assert!(rag.needs.abstained && rag.needs.claims && rag.id.contains("abstains=judge:judge=j"), "{}", rag.id);
    let rag = named("rag_generation", &serde_json::Value::Null).unwrap();
    assert_eq!((rag.needs.is_any(), rag.id.contains("judge")), (false, false));
}

#[test]
fn recall_is_known_where_only_whole_sets_are_and_precision_is_not() {
    let case = documents(&["x", "y"]);
    let mut entailed = questions("A [1][2]. [1]\nB [2].", 2, false);
    entailed.iter_mut().for_each(|one| one.holds = true);
    assert_eq!(entailed.len(), 2, "citations by themselves state nothing: {entailed:?}");
    let answer = Answer {
        text: "A [1][2]. [1]\nB [2].".into(),
        judged: Some(Judged { entailed: Some(entailed), ..Judged::default() }),
        ..Answer::default()
    };
    let of = |name: &str| named(name, &serde_json::Value::Null).unwrap().score(&case, &answer).as_value();
    let n_statements = statements(&answer.text).len() as f64;
    assert_eq!((of("citation_recall"), of("citation_precision")), (Some(2.0 / n_statements), None));
}
