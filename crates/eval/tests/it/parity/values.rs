//! JSON, calls, rankings, vectors and citations.

use eval::metric::calls::{Matching, Parsed, check};
use eval::metric::citations::figures;
use eval::metric::path::Path;
use eval::metric::ranking::ndcg_of_scores;
use eval::metric::vectors::{Tokens, bert_score, cosine};
use eval::metric::{Answer, Call, Case, Measured, Tool};
use serde_json::{Map, Value, json};
use stats::agreement::{Weights, cohen};

use super::{Tally, cases, expected, metric, strings};

fn read<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

#[test]
fn calls_are_right_where_bfcl_says_so() {
    let mut tally = Tally::default();
    for case in cases("calls") {
        let tools = case["tools"].as_array().unwrap().iter().map(|tool| Tool {
            name: tool["name"].as_str().unwrap().to_owned(),
            parameters: tool["parameters"].clone(),
        });
        let calls: Vec<(String, Map<String, Value>)> = case["calls"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(read::<Map<String, Value>>)
            .map(|(name, arguments)| (name, read(&arguments)))
            .collect();
        let theirs = case["expected"].as_bool().unwrap();
        let dotless = case["dotless"].as_bool().unwrap();
        let expected = Case { tools: tools.collect(), calls: vec![read(&case["accepted"])], ..Case::default() };
        let called = calls.iter().map(|(name, arguments)| Call {
            name: name.clone(),
            arguments: Value::Object(arguments.clone()).to_string(),
        });
        let answer = Answer { calls: called.collect(), ..Answer::default() };
        let metric = metric("tool_calls", json!({ "dotless": dotless }));
        let ours = metric.score(&expected, &answer).as_value().map(|value| value == 1.0);
        tally.equal(&metric.id, &ours, &Some(theirs), &case);
        // No right answer is lost by looking for any pairing there is.
        let parsed: Vec<Parsed> = calls.into_iter().map(|(name, arguments)| Parsed { name, arguments }).collect();
        let maximum = check(&expected.tools, &parsed, &expected.calls[0], Matching::Maximum, dotless);
        assert!(!theirs || maximum == Ok(Ok(())), "{case}");
    }
    tally.finish();
}

/// Holds instances against schemas. What the room `schema` does not validate is counted.
fn held(family: &str, id: &str, settings: &Value) -> usize {
    let mut tally = Tally::default();
    let metric = metric("json_schema", settings.clone());
    let mut n_unscored = 0;
    for case in cases(family) {
        let expected = Case { schema: Some(case["schema"].clone()), ..Case::default() };
        let answer = Answer { text: case["instance"].to_string(), ..Answer::default() };
        let score = metric.score(&expected, &answer);
        match score.measured {
            Measured::Value(ours) => tally.equal(id, &(ours == 1.0), &case["expected"].as_bool().unwrap(), &case),
            Measured::Unscored(_) => {
                eprintln!("{}: {score:?}", case["what"]);
                n_unscored += 1;
                tally.unscored(id);
            }
        }
    }
    tally.finish();
    n_unscored
}

#[test]
fn answers_follow_random_schemas_where_jsonschema_says_so() {
    let n_unscored = held("schemas", "json_schema@2020-12, jsonschema 4.26", &Value::Null);
    // Each has a value: were they all unscored, nothing would differ either.
    assert_eq!(n_unscored, 0);
}

/// Everything that the suite requires, names of parts, dynamic references and meta-schemas included. What it has on a server is given as documents.
#[test]
fn answers_follow_the_schemas_of_the_official_suite_as_it_says() {
    let documents = cases("documents");
    let documents = documents.iter().map(|document| (document["uri"].as_str().unwrap(), document["schema"].clone()));
    let settings = json!({ "documents": documents.collect::<std::collections::BTreeMap<_, _>>() });
    let n_unscored = held("suite", "json_schema@2020-12, official suite", &settings);
    assert_eq!(n_unscored, 0);
}

/// Without the documents, what refers to them has no value and everything else has the same.
#[test]
fn what_of_the_official_suite_is_not_given_is_fetched_by_nobody() {
    let metric = metric("json_schema", Value::Null);
    let mut n_unscored = 0;
    for case in cases("suite") {
        let expected = Case { schema: Some(case["schema"].clone()), ..Case::default() };
        let answer = Answer { text: case["instance"].to_string(), ..Answer::default() };
        let scored = metric.score(&expected, &answer);
        match scored.measured {
            Measured::Value(ours) => assert_eq!(ours == 1.0, case["expected"], "{}", case["what"]),
            Measured::Unscored(_) => {
                assert_eq!(scored.outcome.as_deref(), Some("reference"), "{}", case["what"]);
                assert!(case["schema"].to_string().contains("http://localhost:1234/"), "{}", case["what"]);
                n_unscored += 1;
            }
        }
    }
    assert!(n_unscored > 30, "{n_unscored}");
}

#[test]
fn fields_are_right_where_the_definition_read_by_itself_says_so() {
    let mut tally = Tally::default();
    for case in cases("fields") {
        let metric = metric("field_accuracy", json!({ "tolerance": case["tolerance"], "ignore": case["ignore"] }));
        let expected = Case { values: read(&case["references"]), ..Case::default() };
        let answer = Answer { text: case["said"].to_string(), ..Answer::default() };
        let ours = metric.score(&expected, &answer).as_value();
        match case["expected"].as_f64() {
            Some(theirs) => tally.numbers("field_accuracy@crossfade-2", ours, theirs, &case),
            None => tally.equal("field_accuracy@crossfade-2, none", &ours, &None, &case),
        }
    }
    tally.finish();
}

#[test]
fn kappas_are_those_of_scikit_learn() {
    let mut tally = Tally::default();
    for case in cases("kappas") {
        let mut table = vec![vec![0; 3]; 3];
        for (one, other) in read::<Vec<usize>>(&case["one"]).into_iter().zip(read::<Vec<usize>>(&case["other"])) {
            table[one][other] += 1;
        }
        let ours = cohen(&table, Weights::Same).map(|agreement| agreement.estimate);
        match case["expected"].as_f64() {
            Some(theirs) => tally.numbers("cohen_kappa@scikit-learn-1.9", ours, theirs, &case),
            None => tally.equal("cohen_kappa@scikit-learn-1.9, none", &ours, &None, &case),
        }
    }
    tally.finish();
}

#[test]
fn paths_select_what_rfc_9535_says() {
    let mut tally = Tally::default();
    for case in cases("paths") {
        let text = case["path"].as_str().unwrap();
        let ours = Path::parse(text).ok().map(|path| json!(path.select(&case["document"]).unwrap()));
        let theirs = Some(case["expected"].clone()).filter(|expected| !expected.is_null());
        tally.equal("json_path@rfc9535", &ours, &theirs, &case);
    }
    tally.finish();
}

#[test]
fn rankings_are_scored_as_by_trec_eval() {
    let mut tally = Tally::default();
    for case in cases("rankings") {
        let case_read = Case { relevance: read(&case["relevance"]), ..Case::default() };
        let answer = Answer { ranking: strings(&case["ranking"]), ..Answer::default() };
        let at_k =
            expected(&case).into_iter().map(|(name, theirs)| (metric(&name, json!({ "k": case["k"] })), name, theirs));
        for (metric, name, theirs) in at_k {
            tally.numbers(
                &format!("{name}@trec_eval-9:k"),
                metric.score(&case_read, &answer).as_value(),
                theirs,
                &case,
            );
        }
        for (name, theirs) in read::<std::collections::BTreeMap<String, f64>>(&case["whole"]) {
            let metric = metric(&name, Value::Null);
            tally.numbers(&metric.id, metric.score(&case_read, &answer).as_value(), theirs, &case);
        }
    }
    tally.finish();
}

#[test]
fn ties_have_the_gain_that_scikit_learn_gives_them() {
    let mut tally = Tally::default();
    for case in cases("ties") {
        let (relevance, scores): (Vec<f64>, Vec<f64>) = (read(&case["relevance"]), read(&case["scores"]));
        let ours = ndcg_of_scores(&relevance, &scores, read(&case["k"]));
        tally.numbers("ndcg of scores@scikit-learn-1.9", Some(ours), case["expected"].as_f64().unwrap(), &case);
    }
    tally.finish();
}

#[test]
fn cosines_are_those_of_numpy() {
    let mut tally = Tally::default();
    for case in cases("cosines") {
        let ours = cosine(&read::<Vec<f32>>(&case["one"]), &read::<Vec<f32>>(&case["other"]));
        match case["expected"].as_f64() {
            Some(theirs) => tally.numbers("embedding_cosine@crossfade-1", ours, theirs, &case),
            None => tally.equal("embedding_cosine@crossfade-1, none", &ours, &None, &case),
        }
    }
    tally.finish();
}

#[test]
fn token_vectors_are_matched_as_by_bert_score() {
    let mut tally = Tally::default();
    for case in cases("bert_scores") {
        let side = |name: &str| Tokens { vectors: read(&case[name]), weights: read(&case[format!("{name}_weights")]) };
        let ours = bert_score(&side("answer"), &side("reference"));
        let theirs: [f64; 3] = read(&case["expected"]);
        for (ours, theirs) in
            ours.map_or([None; 3], |ours| [ours.precision, ours.recall, ours.f1].map(Some)).into_iter().zip(theirs)
        {
            tally.numbers("bert_score@bert-score-0.3.13, on given vectors", ours, theirs, &case);
        }
    }
    tally.finish();
}

#[test]
fn citations_are_scored_by_the_rules_of_alce() {
    let mut tally = Tally::default();
    for case in cases("citations") {
        let cited: Vec<Vec<u64>> = read(&case["cited"]);
        let told: Vec<(usize, Vec<u64>, bool)> = read(&case["told"]);
        let ours = figures(&cited, case["n_documents"].as_u64().unwrap(), |statement, documents| {
            let mut documents = documents.to_vec();
            documents.sort_unstable();
            documents.dedup();
            told.iter().find(|one| one.0 == statement && one.1 == documents).map(|one| one.2)
        });
        let theirs: [f64; 2] = read(&case["expected"]);
        tally.numbers("citation_recall@alce-246c476, its rules", ours.map(|ours| ours.recall), theirs[0], &case);
        tally.numbers("citation_precision@alce-246c476, its rules", ours.map(|ours| ours.precision), theirs[1], &case);
    }
    tally.finish();
}
