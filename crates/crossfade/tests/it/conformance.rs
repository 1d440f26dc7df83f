//! `conformance`: a report as text, facts or a page, a comparison, and what decides the exit code.

use scripted::vendor::{MODEL, Quirk, vendor};

use crate::parts::{CONFIG, House};

#[test]
fn a_report_says_what_is_wrong_and_what_to_write_in_the_config() {
    let house = House::new(CONFIG);
    let server = vendor(&Quirk::LLAMA_CPP_PYTHON);
    let url = format!("{}/v1", server.url());
    let done = house.run(&["conformance", &url, "--budget", "150s", "--write-config", "lines.yaml"]).exits(0);
    for words in ["drop-in score 0.", "max_completion_tokens", "leaked as text in the words of hermes", "rename"] {
        assert!(done.stdout.contains(words), "{words} is not in\n{}", done.stdout);
    }
    assert!(done.stderr.contains("requests in"), "{}", done.stderr);
    let lines = std::fs::read_to_string(house.path().join("lines.yaml")).unwrap();
    assert!(lines.contains("      json_schema: refuse"), "{lines}");
    // What is advised is what the config takes.
    let key = "    kind: generic";
    let lines = lines.replace(key, &format!("    base_url: {url}\n{key}")).replace("probed", "gpu");
    house.write(&lines);
    house.run(&["check"]).exits(0);
}

#[test]
fn facts_and_pages_are_written_to_files_and_a_score_decides_the_exit_code() {
    let house = House::new(CONFIG);
    let (good, bad) = (vendor(&[]), vendor(&[Quirk::JsonSchemaIgnored]));
    let (good, bad) = (good.url(), bad.url());
    let budget = ["--budget", "150s"];
    let facts = house.run(&[&["conformance", &bad, "--against", &good, "--format", "json"], &budget[..]].concat());
    let facts = facts.exits(0).json();
    assert_eq!((facts["comparison"]["worse"].as_u64(), facts["report"]["model"].as_str()), (Some(1), Some(MODEL)));
    assert_eq!(facts["comparison"]["rows"]["json_schema"], "worse");
    let n_evidence = facts["report"]["evidence"].as_array().unwrap().len();
    assert!(n_evidence > 40, "{n_evidence}");
    house.run(&[&["conformance", &bad, "--output", "report.html"], &budget[..]].concat()).exits(0);
    let page = std::fs::read_to_string(house.path().join("report.html")).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains("json_schema"));
    house.run(&[&["conformance", &bad, "--fail-under", "1"], &budget[..]].concat()).exits(3);
    house.run(&[&["conformance", &good, "--fail-under", "1"], &budget[..]].concat()).exits(0);
    house.run(&[&["conformance", &bad, "--against", &good, "--fail-on-worse"], &budget[..]].concat()).exits(3);
}

#[test]
fn services_are_asked_of_the_models_that_are_named_for_them_or_left_out() {
    let house = House::new(CONFIG);
    let (whole, text_only) = (vendor(&[]), vendor(&Quirk::LLAMA_SERVER));
    let probe = |url: String, more: &[&str]| {
        let url = format!("{url}/v1");
        let usual = ["conformance", &url, "--budget", "150s", "--format", "json"];
        house.run(&[&usual[..], more].concat()).exits(0).json()["report"].clone()
    };
    let named = probe(whole.url(), &["--service-model", "moderation=guard", "--service-model", "speech=voice"]);
    let row = |report: &serde_json::Value, id: &str| {
        let rows = report["rows"].as_array().unwrap();
        rows.iter().find(|row| row["capability"] == id).map(|row| row["verdict"].as_str().unwrap().to_owned())
    };
    let sent = |id: &str| {
        let evidence = named["evidence"].as_array().unwrap();
        evidence.iter().find(|one| one["capability"] == id).unwrap()["request"].as_str().unwrap().to_owned()
    };
    assert!(sent("moderation").contains("\"guard\"") && sent("speech").contains("\"voice\""), "{}", sent("speech"));
    assert!(sent("transcription").starts_with("(form) model=scripted-model"), "{}", sent("transcription"));
    let services = ["moderation", "rerank", "transcription", "speech", "images", "files", "batches", "assistants"];
    for id in services {
        assert_eq!(row(&named, id).as_deref(), Some("equivalent"), "{id}");
    }
    let lacking = probe(text_only.url(), &[]);
    for id in services {
        assert_eq!(row(&lacking, id).as_deref(), Some("none"), "{id}");
    }
    let left_out = probe(whole.url(), &["--no-services"]);
    assert!(services.iter().all(|id| row(&left_out, id).is_none()) && row(&left_out, "chat").is_some());
    assert_eq!(left_out["score"]["value"], named["score"]["value"], "services do not count");
    let wrong = house.run(&["conformance", "qwen", "--service-model", "sound=x"]).exits(2).stderr;
    assert!(wrong.contains("`sound` is none of moderation, rerank, transcription"), "{wrong}");
}

#[test]
fn a_simulated_target_is_said_to_be_one_and_what_is_not_there_has_a_hint() {
    let house = House::new(CONFIG);
    let done = house.run(&["conformance", "qwen", "--budget", "150s"]).exits(0);
    assert!(done.stdout.contains("simulated: the answers were made up"), "{}", done.stdout);
    let done = house.run(&["conformance", "qewn"]).exits(2);
    assert!(done.stderr.contains("hint: defined: "), "{}", done.stderr);
    let done = house.run(&["conformance", "http://127.0.0.1:1/v1"]).exits(1);
    assert!(done.stderr.contains("hint: is the server up"), "{}", done.stderr);
    house.run(&["check", "--format", "html"]).exits(2);
}

/// What an application sees of each fault of these servers through the gateway, with the lines that the probe advises.
#[track_caller]
fn check_through_the_gateway(quirks: &[Quirk]) {
    let house = House::new(CONFIG);
    let server = vendor(quirks);
    let url = format!("{}/v1", server.url());
    let budget = ["--budget", "150s", "--format", "json", "--model", MODEL, "--context", "4096"];
    let bare = [&["conformance", &url, "--write-config", "lines.yaml"], &budget[..]].concat();
    let bare = house.run(&bare).exits(0).json();
    let lines = std::fs::read_to_string(house.path().join("lines.yaml")).unwrap();
    let lines = lines.replace("    kind:", &format!("    base_url: {url}\n    kind:"));
    house.write(&format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\n{lines}targets:\n  t: {{ provider: probed, model: {MODEL} }}\nroutes:\n  {MODEL}: {{ target: t }}\n"
    ));
    let gateway = house.serve();
    let through = format!("http://{}/v1", gateway.data);
    let through = house.run(&[&["conformance", &through], &budget[..]].concat()).exits(0).json();
    let metrics = crate::parts::get(gateway.admin, "/metrics").body;
    let row = |report: &serde_json::Value, id: &str| {
        let rows = report["report"]["rows"].as_array().unwrap();
        rows.iter().find(|row| row["capability"] == id).unwrap().clone()
    };
    for fault in bare["report"]["rows"].as_array().unwrap() {
        if !matches!(fault["verdict"].as_str(), Some("degraded" | "none")) {
            continue;
        }
        let id = fault["capability"].as_str().unwrap();
        let seen = row(&through, id);
        let evidence = through["report"]["evidence"].as_array().unwrap();
        let refused = seen["evidence"].as_array().unwrap().iter().any(|id| {
            let found = evidence.iter().find(|evidence| evidence["id"] == *id).unwrap();
            found["status"].as_u64().is_some_and(|status| status >= 400)
        });
        let field = wire::capability::Capability::named(id).unwrap().field();
        let label = format!("crossfade_adaptations_total{{target=\"t\",field=\"{field}\",action=\"counted\"}}");
        let counted = metrics.lines().any(|line| line.starts_with(&label));
        let fixed = seen["verdict"] == "equivalent";
        assert!(fixed || refused || counted, "{id} passes in silence: {fault}\nthrough the gateway: {seen}\n{metrics}");
    }
}

#[test]
fn nothing_that_llama_server_does_wrong_passes_in_silence() {
    check_through_the_gateway(&Quirk::LLAMA_SERVER);
}

#[test]
fn nothing_that_llama_cpp_python_does_wrong_passes_in_silence() {
    check_through_the_gateway(&Quirk::LLAMA_CPP_PYTHON);
}

#[test]
fn nothing_that_transformers_serve_does_wrong_passes_in_silence() {
    check_through_the_gateway(&Quirk::TRANSFORMERS);
}

#[test]
fn nothing_else_that_is_known_passes_in_silence() {
    check_through_the_gateway(&[
        Quirk::NoUsageDetails,
        Quirk::NoNulls,
        Quirk::NoFingerprint,
        Quirk::StopStringRefused,
        Quirk::DeveloperRefused,
        Quirk::StrictRefused,
        Quirk::MetadataRefused,
        Quirk::UnknownFieldsRefused,
        Quirk::Base64Ignored,
        Quirk::ContextWithoutCode,
        Quirk::ToolsFinishStop,
        Quirk::ToolsNoneIgnored,
        Quirk::WrongTypeTaken,
        Quirk::ImageIgnored,
        Quirk::LogprobsIgnored,
    ]);
    check_through_the_gateway(&[
        Quirk::MaxTokensIgnored,
        Quirk::SeedIgnored,
        Quirk::BiasIgnored,
        Quirk::NIgnored,
        Quirk::StopIgnored,
        Quirk::StreamDiffers,
        Quirk::NoStreamFinish,
        Quirk::ParallelIgnored,
        Quirk::ToolPartsRepeat,
        Quirk::Base64Refused,
        Quirk::BatchIgnored,
        Quirk::TokensRefused,
        Quirk::ReasoningEffortRefused,
        Quirk::ThinksAloud,
        Quirk::ErrorsInStreams,
        Quirk::BadJsonBroken,
        Quirk::ModelsBroken,
    ]);
}
