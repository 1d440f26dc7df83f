use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use eval::conformance::{Options, ProbeError, Report, Subject, Verdict, compare, page, probe, snippet};
use providers::{BaseUrl, Dialect, ProviderConfig};
use scripted::vendor::{MODEL, Quirk, vendor};
use scripted::{Received, Script, Upstream};
use wire::capability::{BackendKind, Capability, Profile};

/// Rows that the scripted server cannot have: its model does not reason.
const NEVER: [(&str, Verdict); 1] = [("reasoning_content", Verdict::NotMeasured)];

fn subject(url: &str, kind: BackendKind) -> Subject {
    let mut provider = ProviderConfig::new("probed", Dialect::Openai, BaseUrl::parse(url).unwrap());
    provider.capabilities = Arc::new(Profile::of(kind));
    Subject {
        name: "probed".into(),
        provider: Arc::new(provider),
        model: Some(MODEL.into()),
        embedding_model: None,
        service_models: BTreeMap::new(),
    }
}

fn ask(subject: &Subject, options: &Options) -> Result<Report, ProbeError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(probe(subject, options, &|_| ()))
}

fn report(quirks: &[Quirk]) -> Report {
    let server = vendor(quirks);
    // Nothing here is about time: on a busy machine the probe may take longer than on a quiet one.
    let options = Options { budget: Duration::from_secs(150), ..Options::default() };
    ask(&subject(&server.url(), BackendKind::Generic), &options).unwrap()
}

/// Every row that is not equivalent.
fn differs(report: &Report) -> BTreeMap<&'static str, Verdict> {
    let rows = report.rows.iter().filter(|row| row.verdict != Verdict::Equivalent);
    rows.map(|row| (row.capability.id(), row.verdict)).collect()
}

/// With just this quirk, just these rows are not equivalent, and every verdict has its evidence.
#[track_caller]
fn check(quirk: Quirk, expected: &[(&'static str, Verdict)]) {
    let report = report(&[quirk]);
    let expected: BTreeMap<_, _> = NEVER.iter().chain(expected).copied().collect();
    let said: Vec<_> = report.quirks().map(|row| (row.capability.id(), row.how.clone())).collect();
    assert_eq!(differs(&report), expected, "{quirk:?}: {said:?}");
    for row in report.quirks() {
        assert!(!row.how.is_empty(), "{} says nothing", row.capability.id());
        assert!(!row.evidence.is_empty(), "{} has no evidence", row.capability.id());
        for id in &row.evidence {
            assert!(report.evidence.iter().any(|evidence| evidence.id == *id), "{id} is not there");
        }
    }
}

use Verdict::{Degraded, NotMeasured};

const NONE: Verdict = Verdict::None;

#[test]
fn a_server_that_does_everything_right_has_the_whole_score() {
    let report = report(&[]);
    assert_eq!(differs(&report), NEVER.into(), "{:?}", report.rows);
    assert_eq!(report.score.value, Some(1.0));
    assert_eq!(report.rows.len(), Capability::ALL.len());
    assert!(report.quirks().next().is_none());
    assert_eq!(snippet(&report, "gpu", BackendKind::Generic), "providers:\n  gpu:\n    kind: generic\n");
}

#[test]
fn streams() {
    check(Quirk::NoDone, &[("stream_done", NONE)]);
    check(Quirk::NoStreamUsage, &[("stream_usage", NONE)]);
    check(Quirk::UsageOnFinish, &[("stream_usage", Degraded)]);
    check(Quirk::StreamOptionsRefused, &[("stream_options", NONE), ("stream_usage", NotMeasured)]);
    check(Quirk::NoStreamFinish, &[("stream_finish", NONE)]);
    check(Quirk::StreamDiffers, &[("stream_parity", Degraded)]);
    check(Quirk::ClosesAfterStream, &[("keep_alive", Degraded)]);
    check(Quirk::ErrorsInStreams, &[("stream_errors", Degraded)]);
    check(
        Quirk::NoStreams,
        &[
            ("stream", NONE),
            ("stream_done", NotMeasured),
            ("stream_finish", NotMeasured),
            ("stream_parity", NotMeasured),
            ("stream_options", NONE),
            ("stream_usage", NONE),
            ("tools_stream", NotMeasured),
        ],
    );
}

#[test]
fn tools() {
    check(
        Quirk::ToolsLeak,
        &[
            ("tools_auto", NONE),
            ("tools_stream", NONE),
            ("tools_finish_reason", NotMeasured),
            ("tool_choice_named", NONE),
            ("tool_choice_required", NONE),
            ("parallel_tool_calls", NotMeasured),
        ],
    );
    check(Quirk::ToolsFinishStop, &[("tools_finish_reason", Degraded), ("tools_stream", Degraded)]);
    check(Quirk::ToolPartsWithoutIndex, &[("tools_stream", Degraded)]);
    check(Quirk::ToolPartsRepeat, &[("tools_stream", Degraded)]);
    check(Quirk::NamedIgnored, &[("tool_choice_named", NONE)]);
    check(Quirk::RequiredIgnored, &[("tool_choice_required", NONE)]);
    check(Quirk::ToolsNoneIgnored, &[("tool_choice_none", NONE)]);
    check(Quirk::ParallelIgnored, &[("parallel_tool_calls", Degraded)]);
    check(Quirk::StrictRefused, &[("tool_strict", NONE)]);
    check(Quirk::ToolMessagesRefused, &[("tool_messages", NONE)]);
    check(Quirk::FunctionsIgnored, &[("functions", NONE)]);
}

#[test]
fn formats_and_content() {
    check(Quirk::JsonSchemaBroken, &[("json_schema", NONE)]);
    check(Quirk::JsonSchemaIgnored, &[("json_schema", NONE)]);
    check(Quirk::JsonObjectIgnored, &[("json_object", NONE)]);
    check(Quirk::DeveloperRefused, &[("developer_role", NONE)]);
    check(Quirk::PartsRefused, &[("text_parts", NONE), ("image_part", NONE)]);
    check(Quirk::ImageIgnored, &[("image_part", NONE)]);
    check(Quirk::ImageBroken, &[("image_part", NONE)]);
    check(Quirk::ThinksAloud, &[("reasoning_content", Degraded), ("json_schema", NONE), ("json_object", NONE)]);
}

#[test]
fn sampling() {
    check(Quirk::MaxCompletionTokensIgnored, &[("max_completion_tokens", NONE)]);
    check(Quirk::MaxTokensIgnored, &[("max_tokens", NONE), ("usage_n", NotMeasured)]);
    check(Quirk::StopStringRefused, &[("stop_string", NONE)]);
    check(Quirk::StopIgnored, &[("stop_string", NONE), ("stop_array", NONE)]);
    check(Quirk::NIgnored, &[("n", NONE), ("usage_n", NotMeasured)]);
    check(Quirk::UsageCountsOne, &[("usage_n", Degraded)]);
    check(Quirk::LogprobsIgnored, &[("logprobs", NONE)]);
    check(Quirk::SeedIgnored, &[("seed", NONE)]);
    check(Quirk::BiasIgnored, &[("logit_bias", NONE)]);
    check(Quirk::MetadataRefused, &[("vendor_fields", Degraded)]);
    check(Quirk::UnknownFieldsRefused, &[("unknown_fields", Degraded)]);
    check(Quirk::ReasoningEffortRefused, &[("reasoning_effort", NONE)]);
    check(
        Quirk::NoUsage,
        &[
            ("chat_usage", NONE),
            ("usage_details", NONE),
            ("usage_n", NONE),
            ("max_tokens", NotMeasured),
            ("max_completion_tokens", NotMeasured),
            ("image_part", NotMeasured),
        ],
    );
    check(Quirk::NoUsageDetails, &[("usage_details", NONE)]);
    check(Quirk::NoNulls, &[("answer_members", Degraded)]);
    check(Quirk::NoFingerprint, &[("system_fingerprint", NONE)]);
}

#[test]
fn errors_and_endpoints() {
    check(Quirk::AnyModel, &[("unknown_model", NONE)]);
    check(
        Quirk::NoMessagesBroken,
        &[("missing_messages", Degraded), ("stream_errors", Degraded), ("error_envelope", Degraded)],
    );
    check(Quirk::BadJsonBroken, &[("bad_json", Degraded)]);
    check(Quirk::WrongTypeTaken, &[("wrong_type", NONE)]);
    check(Quirk::DetailErrors, &[("error_envelope", NONE), ("unknown_model", Degraded), ("context_length", Degraded)]);
    check(
        Quirk::NumericCodes,
        &[("error_envelope", Degraded), ("unknown_model", Degraded), ("context_length", Degraded)],
    );
    check(Quirk::ContextWithoutCode, &[("context_length", Degraded)]);
    check(Quirk::ModelsBroken, &[("models", NONE), ("context_length", NotMeasured)]);
    check(Quirk::ModelsEmpty, &[("models", NONE), ("context_length", NotMeasured)]);
    check(Quirk::NoCompletions, &[("completions", NONE)]);
    check(Quirk::NoResponses, &[("responses", NONE)]);
}

#[test]
fn embeddings() {
    let unknown = |rows: &[&'static str]| rows.iter().map(|row| (*row, NotMeasured)).collect::<Vec<_>>();
    let others = ["embeddings_base64", "embeddings_dimensions", "embeddings_batch", "embeddings_tokens"];
    check(Quirk::NoEmbeddings, &[vec![("embeddings", NONE)], unknown(&others)].concat());
    check(Quirk::EmbeddingsNested, &[vec![("embeddings", Degraded)], unknown(&others)].concat());
    check(Quirk::Base64Ignored, &[("embeddings_base64", Degraded)]);
    check(Quirk::Base64Refused, &[("embeddings_base64", NONE)]);
    check(Quirk::DimensionsIgnored, &[("embeddings_dimensions", NONE)]);
    check(Quirk::BatchIgnored, &[("embeddings_batch", NONE)]);
    check(Quirk::TokensRefused, &[("embeddings_tokens", NONE)]);
}

/// The path below the base URL.
fn below(request: &Received) -> &str {
    request.path.strip_prefix("/v1").unwrap_or(&request.path)
}

#[test]
fn services_of_their_own() {
    let services = ["moderation", "rerank", "transcription", "speech", "images", "files", "batches", "assistants"];
    check(Quirk::NoServices, &services.map(|service| (service, NONE)));
    check(Quirk::ModerationBare, &[("moderation", Degraded)]);
    check(Quirk::RerankReversed, &[("rerank", Degraded)]);
    check(Quirk::TranscriptionPlain, &[("transcription", Degraded)]);
    check(Quirk::SpeechMp3, &[("speech", Degraded)]);
    check(Quirk::NoImageEdits, &[("images", Degraded)]);
    check(Quirk::FilesUnreadable, &[("files", Degraded), ("batches", NotMeasured)]);
    check(Quirk::BatchesFail, &[("batches", NONE)]);
    check(Quirk::RunsFail, &[("assistants", NONE)]);
}

#[test]
fn a_model_that_cannot_says_nothing_of_the_server_unless_it_was_named_for_the_service() {
    let server = Upstream::with(|request| match (request.method.as_str(), below(request)) {
        ("GET", _) => Script::json(r#"{"object":"list","data":[]}"#),
        (_, "/moderations") => Script::error(400, "invalid_request_error", "wrong_model"),
        (_, "/rerank") => Script::error(404, "invalid_request_error", "model_not_found"),
        _ => Script::error(404, "invalid_request_error", "unknown_url"),
    });
    let of = |subject: &Subject, capability: Capability| {
        let report = ask(subject, &Options::default()).unwrap();
        let row = report.row(capability).unwrap().clone();
        (row.verdict, row.how)
    };
    let mut subject = subject(&server.url(), BackendKind::Generic);
    let (verdict, how) = of(&subject, Capability::Moderation);
    assert_eq!(verdict, NotMeasured);
    assert!(how.contains("--service-model moderation=MODEL"), "{how}");
    assert_eq!(
        of(&subject, Capability::Rerank).0,
        NotMeasured,
        "a model that is not there is not a path that is not there"
    );
    assert_eq!(of(&subject, Capability::Speech).0, NONE);
    subject.service_models = [(Capability::Moderation, "guard".to_owned())].into();
    assert_eq!(of(&subject, Capability::Moderation).0, NONE);
}

#[test]
fn what_was_made_at_the_server_is_deleted_and_nothing_is_asked_where_services_are_left_out() {
    let server = vendor(&[]);
    let options = Options { budget: Duration::from_secs(150), ..Options::default() };
    ask(&subject(&server.url(), BackendKind::Generic), &options).unwrap();
    let received = server.requests();
    let of = |method: &str, paths: &[&str]| {
        received
            .iter()
            .filter(|request| request.method == method && paths.iter().any(|path| below(request).starts_with(path)))
            .count()
    };
    let made = received
        .iter()
        .filter(|request| request.method == "POST" && ["/files", "/assistants", "/threads"].contains(&below(request)));
    // The output of the batch is a file, too.
    assert_eq!(made.count() + 1, of("DELETE", &["/files/", "/assistants/", "/threads/"]));
    let sound = received.iter().find(|request| below(request) == "/audio/transcriptions").unwrap();
    assert!(sound.header("content-type").unwrap().starts_with("multipart/form-data; boundary="));
    let options = Options { services: false, ..options };
    let report = ask(&subject(&server.url(), BackendKind::Generic), &options).unwrap();
    assert!(report.row(Capability::Moderation).is_none() && report.row(Capability::Chat).is_some());
    let n_files = server.requests().iter().filter(|request| below(request).starts_with("/files")).count();
    assert_eq!(n_files, of("POST", &["/files"]) + of("GET", &["/files"]) + of("DELETE", &["/files"]));
}

#[test]
fn what_three_real_servers_do_wrong_is_found_in_full() {
    for (quirks, rows) in [
        (
            &Quirk::LLAMA_SERVER[..],
            &[
                "usage_n",
                "keep_alive",
                "tool_choice_named",
                "tool_choice_required",
                "unknown_model",
                "functions",
                "image_part",
                "error_envelope",
                "embeddings_dimensions",
                "moderation",
                "transcription",
                "speech",
                "images",
                "files",
                "batches",
                "assistants",
            ][..],
        ),
        (
            &Quirk::LLAMA_CPP_PYTHON[..],
            &[
                "stream_usage",
                "json_schema",
                "tools_auto",
                "tools_stream",
                "max_completion_tokens",
                "embeddings",
                "greedy",
            ],
        ),
        (
            &Quirk::TRANSFORMERS[..],
            &[
                "stream_done",
                "stream_usage",
                "json_schema",
                "json_object",
                "tools_auto",
                "tool_choice_named",
                "embeddings",
                "error_envelope",
                "missing_messages",
                "models",
            ],
        ),
    ] {
        let report = report(quirks);
        let found: Vec<&str> = report.quirks().map(|row| row.capability.id()).collect();
        for row in rows {
            assert!(found.contains(row), "{row} is not among {found:?}");
        }
    }
}

#[test]
fn what_is_found_becomes_lines_for_the_config_and_a_comparison() {
    let (good, bad) = (report(&[]), report(&[Quirk::MaxCompletionTokensIgnored, Quirk::JsonSchemaBroken]));
    let text = snippet(&bad, "gpu", BackendKind::Generic);
    assert!(text.contains("      max_completion_tokens: rename   # none: 40 tokens for a limit of 6\n"), "{text}");
    assert!(text.contains("      json_schema: refuse   # none: status 500"), "{text}");
    assert_eq!(text.lines().count(), 6, "{text}");
    let comparison = compare(&bad, &good);
    assert_eq!((comparison.worse, comparison.better), (2, 0));
    assert_eq!(compare(&good, &bad).better, 2);
    assert!(bad.score.value < good.score.value);
    let page = page(&bad, Some((&good, &comparison)), &text);
    assert!(page.contains("worse in 2") && page.contains("max_completion_tokens"));
}

#[test]
fn nobody_there_and_a_key_that_does_not_fit_are_no_reports() {
    let gone = {
        let upstream = Upstream::start(vec![Script::status(200)]);
        upstream.url()
    };
    let error = ask(&subject(&gone, BackendKind::Generic), &Options::default()).unwrap_err();
    assert!(matches!(error, ProbeError::Unreachable { .. }), "{error}");
    let locked = Upstream::start(vec![Script::error(401, "invalid_request_error", "invalid_api_key")]);
    let error = ask(&subject(&locked.url(), BackendKind::Generic), &Options::default()).unwrap_err();
    assert!(matches!(error, ProbeError::Key(_)), "{error}");
}

#[test]
fn a_server_that_hangs_costs_no_more_than_the_budget_and_nothing_is_claimed_of_it() {
    let hanging = Upstream::with(|request| {
        if request.method == "GET" { Script::json(r#"{"object":"list","data":[]}"#) } else { Script::silent() }
    });
    let options =
        Options { budget: Duration::from_millis(600), patience: Duration::from_millis(200), ..Options::default() };
    let report = ask(&subject(&hanging.url(), BackendKind::Generic), &options).unwrap();
    let known: Vec<_> = report.rows.iter().filter(|row| row.verdict != NotMeasured).map(|row| row.capability).collect();
    assert!(known.iter().all(|capability| *capability == Capability::Models), "{known:?}");
    assert!(report.score.coverage() < 0.1);
    assert_eq!(report.rows.len(), Capability::ALL.len());
}

#[test]
fn a_server_whose_answers_say_that_they_were_made_up_has_a_report_that_says_so() {
    let simulated = |made_up: bool| {
        let server = Upstream::with(move |_| {
            let answer = Script::json(scripted::chat_completion("ready"));
            if made_up { answer.header("x-simulated", "true") } else { answer }
        });
        let options = Options { budget: Duration::from_millis(600), ..Options::default() };
        ask(&subject(&server.url(), BackendKind::Generic), &options).unwrap().simulated
    };
    assert_eq!([simulated(true), simulated(false)], [true, false]);
}
