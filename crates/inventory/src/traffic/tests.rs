use super::*;
use crate::scan::{Confidence, Finding, Flags, Kind, Model, ModelFrom};

/// 2026-11-23 00:00 UTC, a Monday.
const MONDAY: u64 = 1_795_392_000_000_000;

fn request<'r>(endpoint: &'r str, route: &'r str, at_s: u64) -> Request<'r> {
    Request {
        at_us: MONDAY + at_s * 1_000_000,
        endpoint,
        route,
        caller: None,
        streamed: false,
        is_retry: false,
        outcome: "complete",
        first_token_us: None,
        duration_us: Some(1_000_000),
        tokens: Some((100, 20)),
        served: Some(Served { provider: "vendor", model: route, simulated: false }),
        body: None,
    }
}

fn who() -> Who {
    Who {
        providers: [("vendor".to_owned(), "https://api.openai.com/v1".to_owned())].into(),
        own: ["gpu".to_owned()].into(),
        keys: [("k1".to_owned(), ("shop".to_owned(), Some("acme".to_owned())))].into(),
    }
}

fn gathered(requests: &[Request<'_>]) -> Vec<Use> {
    let mut gathering = Gathering::new();
    requests.iter().for_each(|request| gathering.add(request));
    gathering.uses(&who())
}

fn site(path: &str, kind: Kind, operation: &str, vendor: &str, model: Option<&str>) -> Finding {
    Finding {
        path: path.to_owned(),
        line: 1,
        kind,
        operation: operation.to_owned(),
        vendor: vendor.to_owned(),
        among: Vec::new(),
        sdk: "sdk".to_owned(),
        version: None,
        model: Model { id: model.map(str::to_owned), from: ModelFrom::Literal },
        parameters: Vec::new(),
        flags: Flags::default(),
        confidence: Confidence::Certain,
        seen: String::new(),
        prompt: None,
        response: Vec::new(),
        owners: Vec::new(),
        owners_from: None,
        sunsets: Vec::new(),
    }
}

/// Rows as `seen by operation model: paths`.
fn joined(findings: &[Finding], uses: &[Use]) -> Vec<String> {
    let row = |row: Row<'_>| {
        let paths: Vec<&str> = row.sites.iter().map(|finding| finding.path.as_str()).collect();
        format!("{:?} {:?} {} {}: {}", row.seen, row.by, row.operation, row.model, paths.join(" "))
    };
    join(findings, uses).into_iter().map(row).collect()
}

#[test]
fn requests_are_added_up_by_operation_and_name() {
    let body = br#"{"model":"gpt-4o","tools":[{}],"temperature":0}"#;
    let mut requests = vec![
        Request { caller: Some("k1"), body: Some(body), ..request("chat_completions", "gpt-4o", 0) },
        Request {
            caller: Some("k1"),
            streamed: true,
            first_token_us: Some(250_000),
            ..request("chat_completions", "gpt-4o", 59)
        },
        Request {
            caller: Some("0123456789abcdef"),
            outcome: "failed",
            tokens: None,
            ..request("chat_completions", "gpt-4o", 3600)
        },
        Request { tokens: Some((500, 0)), ..request("embeddings", "text-embedding-3-small", 10) },
    ];
    requests[2].is_retry = true;
    let uses = gathered(&requests);
    assert_eq!(uses.len(), 2);
    let chat = &uses[0];
    assert_eq!(chat.tally, Tally { requests: 3, complete: 2, refused: 0, streamed: 1, retries: 1 });
    assert_eq!((chat.peaks.minute.requests, chat.peaks.hour.requests), (2, 2));
    assert_eq!(chat.input_tokens, Some(Lengths { n: 2, p50: 100, p95: 100 }));
    assert_eq!(uses[1].output_tokens, Some(Lengths { n: 1, p50: 0, p95: 0 }), "no token is not one");
    let first = chat.first_token_ms.unwrap();
    assert!(first.n == 1 && (first.p50 / 250.0 - 1.0).abs() < 0.01, "{first:?}");
    assert_eq!(chat.end_ms.unwrap().n, 2, "what failed took no time that anybody needs");
    let callers: Vec<_> = chat.callers.iter().map(|of| (of.key.as_str(), of.tenant.as_deref(), of.requests)).collect();
    assert_eq!(callers, [("shop", Some("acme"), 2), ("0123456789ab", None, 1)]);
    assert_eq!((chat.models[0].vendor.as_str(), chat.models[0].requests), ("openai", 3));
    assert_eq!(chat.bodies_read, 1);
    assert_eq!(chat.capabilities, [("streaming", 1), ("tools", 1)].into());
    assert_eq!(chat.parameters.keys().collect::<Vec<_>>(), ["model", "temperature", "tools"]);
    assert_eq!((chat.week.requests[0], chat.week.requests[1], chat.week.recorded[2]), (2.0, 1.0, 0));
}

#[test]
fn what_was_used_of_whom_is_counted_by_dialect_and_of_what_somebody_answered() {
    let tools = br#"{"tools":[{}],"stream":true,"seed":7}"#;
    let own = Some(Served { provider: "gpu", model: "qwen", simulated: false });
    let made_up = Some(Served { provider: "stage", model: "stand-in", simulated: true });
    let uses = gathered(&[
        Request { body: Some(tools), streamed: true, ..request("chat_completions", "gpt-4o", 0) },
        Request { streamed: true, ..request("chat_completions", "gpt-4o", 1) },
        Request { body: Some(br#"{"tools":[{}]}"#), ..request("messages", "gpt-4o", 2) },
        Request { served: own, ..request("chat_completions", "gpt-4o", 3) },
        Request { served: made_up, ..request("chat_completions", "gpt-4o", 4) },
        Request { served: None, outcome: "refused", ..request("chat_completions", "gpt-4o", 5) },
    ]);
    let of = |needed: &Needed| {
        let words: Vec<String> = needed.words.iter().map(|(word, n)| format!("{word} {n}")).collect();
        format!("{} {:?} {}: {}", needed.vendor, needed.through, needed.requests, words.join(", "))
    };
    assert_eq!(
        uses[0].needed.iter().map(of).collect::<Vec<_>>(),
        [
            "self-hosted Chat 1: chat 1",
            "simulated Chat 1: chat 1",
            "openai Chat 2: chat 2, seed 1, streaming 2, tools 1, tools_streaming 1",
            "openai Messages 1: messages 1, tools 1",
        ]
    );
}

#[test]
fn names_that_anybody_can_make_up_take_no_more_space_than_there_is() {
    let names: Vec<String> = (0..1500).map(|n| format!("made-up-{n}")).collect();
    let mut gathering = Gathering::new();
    for (at, name) in names.iter().enumerate() {
        gathering.add(&request("chat_completions", name, at as u64));
    }
    assert_eq!((gathering.n(), gathering.uses(&who()).len(), gathering.beyond()), (1500, 1000, 500));
    assert_eq!(gathering.week().unwrap().requests[0], 1500.0, "they came all the same");
}

#[test]
fn code_and_traffic_meet_by_operation_and_model() {
    let findings = [
        site("a.py", Kind::Call, "chat", "openai", Some("gpt-4o")),
        site("b.ts", Kind::Call, "chat", "openrouter", Some("openai/gpt-4o")),
        site("c.py", Kind::Call, "chat", "openai", Some("gpt-3.5-turbo")),
        site("d.py", Kind::Call, "embeddings", "openai", Some("gpt-4o")),
    ];
    let uses =
        gathered(&[request("chat_completions", "gpt-4o", 0), request("moderations", "omni-moderation-latest", 1)]);
    assert_eq!(
        joined(&findings, &uses),
        [
            "Both Some(Model) chat gpt-4o: a.py b.ts",
            "CodeOnly None chat gpt-3.5-turbo: c.py",
            "CodeOnly None embeddings gpt-4o: d.py",
            "TrafficOnly None moderation omni-moderation-latest: ",
        ]
    );
}

#[test]
fn a_route_whose_model_is_another_is_met_by_its_name_and_by_the_model() {
    let served = Some(Served { provider: "gpu", model: "Qwen/Qwen3-32B", simulated: false });
    let uses = gathered(&[Request { served, ..request("chat_completions", "gpt-4o", 0) }]);
    for model in ["gpt-4o", "qwen/qwen3-32b"] {
        let findings = [site("a.py", Kind::Call, "chat", "openai", Some(model))];
        assert_eq!(joined(&findings, &uses), ["Both Some(Model) chat gpt-4o: a.py"]);
    }
}

#[test]
fn sites_that_do_not_say_their_model_may_be_any_of_their_operation_and_vendor() {
    let findings = [
        site("any.py", Kind::Call, "chat", "openai", None),
        site("own.py", Kind::Http, "chat", "self-hosted", None),
        site("other.py", Kind::Call, "chat", "anthropic", None),
        site("named.py", Kind::Call, "chat", "openai", Some("gpt-4o")),
    ];
    let uses = gathered(&[request("chat_completions", "gpt-4o", 0), request("chat_completions", "gpt-4o-mini", 1)]);
    assert_eq!(
        joined(&findings, &uses),
        [
            "Both Some(Model) chat gpt-4o: named.py any.py own.py",
            "Both Some(Operation) chat gpt-4o-mini: any.py own.py",
            "CodeOnly None chat : other.py",
        ]
    );
}

#[test]
fn a_framework_that_chooses_the_operation_is_met_by_the_model() {
    let findings = [site("a.ts", Kind::Adapter, "chat", "openai", Some("gpt-4o"))];
    let uses = gathered(&[request("responses", "gpt-4o", 0)]);
    assert_eq!(joined(&findings, &uses), ["Both Some(ModelAlone) responses gpt-4o: a.ts"]);
    let uses = gathered(&[request("embeddings", "gpt-4o", 0)]);
    assert_eq!(joined(&findings, &uses).len(), 2, "vectors are nothing a chat asks for");
}

#[test]
fn a_model_of_configuration_and_a_client_are_evidence_of_their_own_kind() {
    let findings = [
        site("values.yaml", Kind::Model, "client", "openai", Some("gpt-4o")),
        site("llm.py", Kind::Client, "client", "openai", None),
        site("llm.go", Kind::Client, "client", "cohere", None),
    ];
    let uses = gathered(&[request("chat_completions", "gpt-4o", 0)]);
    assert_eq!(
        joined(&findings, &uses),
        [
            "Both Some(Setting) chat gpt-4o: values.yaml",
            "Both Some(Vendor) client : llm.py",
            "CodeOnly None client : llm.go",
        ]
    );
}

#[test]
fn without_traffic_everything_is_code_only_and_without_code_traffic_only() {
    let findings = [site("a.py", Kind::Call, "chat", "openai", Some("gpt-4o"))];
    assert_eq!(joined(&findings, &[]), ["CodeOnly None chat gpt-4o: a.py"]);
    let uses = gathered(&[request("chat_completions", "gpt-4o", 0)]);
    assert_eq!(joined(&[], &uses), ["TrafficOnly None chat gpt-4o: "]);
}

#[test]
fn a_table_for_spreadsheets_has_as_many_cells_in_every_row() {
    let findings = [site("a,b.py", Kind::Call, "chat", "openai", Some("gpt-3.5-turbo"))];
    let uses = gathered(&[Request { caller: Some("k1"), ..request("chat_completions", "gpt-4o", 0) }]);
    let rows = join(&findings, &uses);
    let text = render::csv(&rows);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0].split(',').count(), 25);
    // The path has a comma of its own, between quotation marks.
    assert_eq!(lines[1].split(',').count(), 26, "{}", lines[1]);
    assert!(
        lines[1].starts_with("code only,,chat,gpt-3.5-turbo,openai,,") && lines[1].ends_with("\"a,b.py:1\""),
        "{}",
        lines[1]
    );
    assert_eq!(lines[2].split(',').count(), 25, "{}", lines[2]);
    assert!(lines[2].starts_with("traffic only,,chat,gpt-4o,openai,1,1,0,0,0,1,1,100,100,20,20,,,"), "{}", lines[2]);
    assert!(lines[2].ends_with(",vendor/gpt-4o:1,shop@acme:1,"), "{}", lines[2]);
    let facts = render::facts(&rows, &uses);
    assert_eq!((&facts[0]["traffic"], &facts[1]["traffic"]), (&serde_json::Value::Null, &0.into()));
}

#[test]
fn the_page_shows_every_row_and_what_others_wrote_is_text_on_it() {
    let evil = "<script>alert('x')</script>";
    let findings = [site(evil, Kind::Call, "chat", "openai", Some("gpt-4o"))];
    let uses = gathered(&[
        Request { caller: Some("k1"), ..request("chat_completions", "gpt-4o", 0) },
        request("chat_completions", evil, 3600),
    ]);
    let mut gathering = Gathering::new();
    gathering.add(&request("chat_completions", "gpt-4o", 0));
    let rows = join(&findings, &uses);
    let about = html::About { names: &[evil.to_owned()], words: &[], now: "2026-11-26 10:00" };
    let page = html::html(&rows, &uses, gathering.week().as_ref(), about);
    assert!(!page.contains("<script") && page.contains("&lt;script&gt;"), "{page}");
    for outside in ["src=", "<link", "@import", "url(", "href="] {
        assert!(!page.contains(outside), "{outside}");
    }
    for words in ["<b>traffic only</b>", "<td>both", "<td>shop", "<td>acme", "rgba(var(--bar),0.70)\">1"] {
        assert!(page.contains(words), "{words} not in\n{page}");
    }
}
