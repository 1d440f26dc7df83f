//! The endpoints beside chat: what passes, what is asked of the provider, what is recorded, and what is never copied.

use std::sync::Arc;

use gateway::snapshot::{Route, Snapshot};
use http::header::HeaderName;
use providers::ProviderConfig;
use scripted::{Cut, Framing, Received, Script, Upstream};
use store::BodyKind;
use wire::record::Endpoint;

use crate::client::{Answer, Connection, get};
use crate::harness::{Gateway, Setup, rollout, until};

/// Sends one request and returns its answer.
fn ask(gateway: &Gateway, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut connection = Connection::open(gateway.addr);
    connection.send(method, path, headers, body);
    connection.answer().expect("an answer")
}

const JSON: (&str, &str) = ("content-type", "application/json");

#[test]
fn json_endpoints_pass_in_both_directions_and_are_recorded_under_their_names() {
    let cases = [
        (
            "/v1/completions",
            r#"{"model":"gpt-4o","prompt":["a","b"],"echo":true,"best_of":2,"suffix":"z","logprobs":5}"#,
            r#"{"object":"text_completion","choices":[{"index":0,"text":"x","logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
            "completions",
        ),
        (
            "/v1/moderations",
            r#"{"model":"gpt-4o","input":["a"]}"#,
            r#"{"id":"modr-1","model":"m","results":[{"flagged":false}]}"#,
            "moderations",
        ),
        (
            "/v1/rerank",
            r#"{"model":"gpt-4o","query":"q","documents":["a","b"],"top_n":1}"#,
            r#"{"results":[{"index":1,"relevance_score":0.9}],"usage":{"total_tokens":9}}"#,
            "rerank",
        ),
        ("/rerank", r#"{"model":"gpt-4o","query":"q","documents":["a","b"]}"#, r#"{"results":[]}"#, "rerank"),
        (
            "/v1/images/generations",
            r#"{"model":"gpt-4o","prompt":"a cat","n":1,"size":"1024x1024","response_format":"b64_json","user":"u"}"#,
            r#"{"created":1,"data":[{"b64_json":"iVBORw0KGgo="}],"usage":{"input_tokens":5,"output_tokens":100,"total_tokens":105}}"#,
            "image_generations",
        ),
    ];
    for (path, request, body, name) in cases {
        let upstream = Upstream::start(vec![Script::json(body)]);
        let gateway = Setup::to(&[&upstream]).start();
        let answer = ask(&gateway, "POST", path, &[JSON], request.as_bytes());
        assert_eq!((answer.status, answer.text()), (200, body.to_owned()));
        let received = &upstream.requests()[0];
        assert_eq!(received.text(), request.replace("gpt-4o", "model-a"));
        assert!(received.path.ends_with(path.trim_start_matches("/v1")) && received.path.starts_with("/v1/"));
        let exchange = gateway.exchange().exchange;
        assert_eq!(exchange.endpoint.as_deref(), Some(name));
        assert_eq!(exchange.outcome, "complete");
        if name == "image_generations" {
            assert_eq!(exchange.usage.unwrap().output_tokens, 100);
        }
    }
}

#[test]
fn a_streamed_completion_is_a_stream_of_text_and_asks_for_its_usage() {
    let chunk = |text: &str, finish: &str| {
        format!(
            "data: {{\"object\":\"text_completion\",\"choices\":[{{\"index\":0,\"text\":\"{text}\",\"finish_reason\":{finish}}}]}}\n\n"
        )
    };
    let usage = "data: {\"object\":\"text_completion\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\n";
    let shown = [chunk("on", "null"), chunk("ce", "\"stop\"")].concat();
    let done = "data: [DONE]\n\n";
    let upstream = Upstream::start(vec![Script::stream([shown.clone(), usage.to_owned(), done.to_owned()])]);
    let gateway = Setup::to(&[&upstream]).start();
    let request = br#"{"model":"gpt-4o","prompt":"x","stream":true}"#;
    assert_eq!(ask(&gateway, "POST", "/v1/completions", &[JSON], request).text(), shown + done);
    let exchange = gateway.exchange();
    assert_eq!(exchange.exchange.usage.unwrap().output_tokens, 2);
    assert_eq!(exchange.attempts[0].measured.finish_reason.as_deref(), Some("stop"));
    assert!(exchange.exchange.time_to_first_token_us.is_some());
}

#[test]
fn a_model_left_out_of_a_moderation_is_the_vendors_and_its_route() {
    let upstream = Upstream::start(vec![Script::json(r#"{"results":[]}"#)]);
    let gateway = Setup::to(&[&upstream]).start();
    let refused = ask(&gateway, "POST", "/v1/moderations", &[JSON], br#"{"input":"x"}"#);
    assert_eq!(refused.status, 404);
    assert!(refused.error()["message"].as_str().unwrap().contains("omni-moderation-latest"));
    change(&gateway, |snapshot| {
        let mut route = Route::clone(&snapshot.routes["gpt-4o"]);
        route.name = "omni-moderation-latest".to_owned();
        snapshot.routes.insert(route.name.clone(), Arc::new(route));
    });
    let answer = ask(&gateway, "POST", "/v1/moderations", &[JSON], br#"{"input":"x"}"#);
    assert_eq!(answer.status, 200);
    assert_eq!(upstream.requests()[0].text(), r#"{"input":"x","model":"model-a"}"#);
}

#[test]
fn speech_streams_through_as_bytes_and_is_recorded_up_to_the_limit() {
    let sound: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
    let script = sound.chunks(50_000).fold(Script::status(200), |script, piece| script.piece(piece.to_vec()));
    let script = script.header("content-type", "audio/mpeg").framing(Framing::Chunked);
    let upstream = Upstream::start(vec![script]);
    let gateway = Setup::to(&[&upstream]).limits(|limits| limits.max_recorded_answer = 1000).start();
    let request = br#"{"model":"gpt-4o","input":"hello","voice":"alloy","response_format":"mp3"}"#;
    let answer = ask(&gateway, "POST", "/v1/audio/speech", &[JSON], request);
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("audio/mpeg")));
    assert!(answer.whole);
    assert_eq!(answer.body, sound);
    assert_eq!(upstream.requests()[0].header("accept"), Some("*/*"));
    let exchange = gateway.exchange();
    assert_eq!(exchange.attempts[0].answer_bytes, 200_000);
    assert_eq!(exchange.exchange.outcome, "complete");
    let body = gateway.database.body(exchange.exchange.id, BodyKind::Answer).unwrap().unwrap();
    assert_eq!(body.expose(), &sound[..1000]);
}

#[test]
fn sound_that_is_cut_never_looks_whole() {
    let script = Script::status(200)
        .header("content-type", "audio/mpeg")
        .framing(Framing::Chunked)
        .piece(vec![1; 1000])
        .piece(vec![2; 1000])
        .cut_after(1500, Cut::Fin);
    let upstream = Upstream::start(vec![script]);
    let gateway = Setup::to(&[&upstream]).start();
    let request = br#"{"model":"gpt-4o","input":"hello","voice":"alloy"}"#;
    let answer = ask(&gateway, "POST", "/v1/audio/speech", &[JSON], request);
    assert!(!answer.whole);
    let exchange = gateway.exchange();
    assert_eq!((exchange.exchange.outcome.as_str(), exchange.attempts[0].truncated), ("truncated", true));
}

#[test]
fn speech_fails_over_until_its_first_byte() {
    let (a, b) = (
        Upstream::start(vec![Script::error(500, "server_error", "x")]),
        Upstream::start(vec![Script::status(200).header("content-type", "audio/wav").piece("RIFF")]),
    );
    let gateway = Setup::to(&[&a, &b]).falling_back_to(&["b"]).start();
    let request = br#"{"model":"gpt-4o","input":"hello","voice":"alloy"}"#;
    let answer = ask(&gateway, "POST", "/v1/audio/speech", &[JSON], request);
    assert_eq!((answer.text().as_str(), answer.header("x-crossfade-target")), ("RIFF", Some("b")));
}

const FORM: (&str, &str) = ("content-type", "multipart/form-data; boundary=\"a1b2\"");

fn form(model: &str, more: &str) -> Vec<u8> {
    let file = "--a1b2\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\n";
    let field = |name: &str, value: &str| {
        format!("--a1b2\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    [
        file.as_bytes(),
        b"RIFF\0\xff\r\n\r\n--a1b",
        b"\r\n",
        field("model", model).as_bytes(),
        more.as_bytes(),
        b"--a1b2--\r\n",
    ]
    .concat()
}

#[test]
fn a_form_is_passed_on_with_another_model_and_its_files_untouched() {
    for (path, name) in [
        ("/v1/audio/transcriptions", "transcriptions"),
        ("/v1/audio/translations", "translations"),
        ("/v1/images/edits", "image_edits"),
        ("/v1/images/variations", "image_variations"),
    ] {
        let upstream = Upstream::start(vec![Script::json(r#"{"text":"hello"}"#)]);
        let gateway = Setup::to(&[&upstream]).start();
        let answer = ask(&gateway, "POST", path, &[FORM], &form("gpt-4o", ""));
        assert_eq!((answer.status, answer.text().as_str()), (200, r#"{"text":"hello"}"#));
        let received = &upstream.requests()[0];
        assert_eq!(received.body, form("model-a", ""));
        assert_eq!(received.header("content-type"), Some(FORM.1));
        let exchange = gateway.exchange().exchange;
        assert_eq!(exchange.endpoint.as_deref(), Some(name));
        assert!(exchange.adaptations.to_string().contains("model"));
    }
}

#[test]
fn a_transcription_may_be_text_or_a_stream() {
    let stream = "data: {\"type\":\"transcript.text.delta\",\"delta\":\"I\"}\n\ndata: {\"type\":\"transcript.text.done\",\"text\":\"I\",\"usage\":{\"type\":\"tokens\",\"input_tokens\":14,\"output_tokens\":1}}\n\n";
    let upstream = Upstream::with(move |received: &Received| {
        if received.text().contains("name=\"stream\"") {
            Script::stream([stream])
        } else {
            Script::status(200).header("content-type", "text/plain; charset=utf-8").piece("1\n00:00:00,000\n")
        }
    });
    let gateway = Setup::to(&[&upstream]).start();
    let plain = ask(&gateway, "POST", "/v1/audio/transcriptions", &[FORM], &form("gpt-4o", ""));
    assert_eq!(
        (plain.text().as_str(), plain.header("content-type")),
        ("1\n00:00:00,000\n", Some("text/plain; charset=utf-8"))
    );
    let streamed = "--a1b2\r\nContent-Disposition: form-data; name=\"stream\"\r\n\r\ntrue\r\n";
    let answer = ask(&gateway, "POST", "/v1/audio/transcriptions", &[FORM], &form("gpt-4o", streamed));
    assert!(answer.whole);
    assert_eq!(answer.text(), stream);
    let exchanges = gateway.exchanges(2);
    let usage = exchanges.iter().find_map(|exchange| exchange.exchange.usage).unwrap();
    assert_eq!(usage.input_tokens, 14);
}

#[test]
fn a_form_that_names_two_models_is_refused_and_reaches_nobody() {
    let upstream = Upstream::start(vec![Script::json("{}")]);
    let gateway = Setup::to(&[&upstream]).start();
    let second = "--a1b2\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nother\r\n";
    let refused = ask(&gateway, "POST", "/v1/audio/transcriptions", &[FORM], &form("gpt-4o", second));
    assert_eq!((refused.status, refused.error()["param"].as_str()), (400, Some("model")));
    assert_eq!(upstream.requests().len(), 0);
}

#[test]
fn other_endpoints_stay_with_the_routes_target_and_are_never_copied() {
    let (a, b) = (Upstream::start(vec![Script::json(r#"{"results":[]}"#)]), Upstream::start(vec![Script::status(500)]));
    for (share, sample) in [(0.0, 1.0), (1.0, 0.0)] {
        let live = rollout(share, sample);
        let gateway = Setup::to(&[&a, &b]).with(&live).start();
        for path in ["/v1/moderations", "/v1/rerank"] {
            let answer = ask(&gateway, "POST", path, &[JSON], br#"{"model":"gpt-4o","input":"x"}"#);
            assert_eq!(answer.header("x-crossfade-target"), Some("a"));
        }
        let exchanges = gateway.exchanges(2);
        assert!(exchanges.iter().all(|exchange| exchange.exchange.rollout.is_none() && exchange.attempts.len() == 1));
        let untouched = serde_json::to_string(&rollout(share, sample).evidence()).unwrap();
        assert_eq!(serde_json::to_string(&live.evidence()).unwrap(), untouched);
    }
    assert_eq!(b.requests().len(), 0);
}

/// Swaps in a changed config.
pub fn change(gateway: &Gateway, change: impl FnOnce(&mut Snapshot)) {
    let mut new = (*gateway.snapshot.load_full()).clone();
    new.hash = "changed".to_owned();
    change(&mut new);
    gateway.reload(new).unwrap();
}

pub fn passing_on(gateway: &Gateway, endpoints: &[Endpoint]) {
    change(gateway, |snapshot| {
        for endpoint in endpoints {
            let mut route = Route::clone(&snapshot.routes["gpt-4o"]);
            route.name = format!("passthrough:{}", endpoint.as_str());
            snapshot.passthrough.insert(*endpoint, Arc::new(route));
        }
    });
}

#[test]
fn what_a_provider_keeps_is_passed_on_whole_and_recorded() {
    let upstream = Upstream::with(|received: &Received| match received.path.as_str() {
        "/v1/files/file-1/content" => {
            Script::status(200).header("content-type", "application/octet-stream").piece(vec![0, 159, 146, 150])
        }
        _ => Script::json(format!(r#"{{"asked":"{} {}"}}"#, received.method, received.path)),
    });
    let gateway = Setup::to(&[&upstream]).start();
    let all: Vec<_> = Endpoint::ALL.to_vec();
    passing_on(&gateway, &all);
    let upload = form("not-a-route", "");
    let cases: &[(&str, &str, &[u8])] = &[
        ("POST", "/v1/files", &upload),
        ("GET", "/v1/files?limit=2&after=file-1", b""),
        ("GET", "/v1/files/file-1", b""),
        ("DELETE", "/v1/files/file-1", b""),
        (
            "POST",
            "/v1/batches",
            br#"{"input_file_id":"file-1","endpoint":"/v1/chat/completions","completion_window":"24h"}"#,
        ),
        ("POST", "/v1/batches/batch_1/cancel", b""),
        ("POST", "/v1/uploads/upload_1/parts", &upload),
        ("POST", "/v1/vector_stores/vs_1/search", br#"{"query":"x"}"#),
        ("GET", "/v1/chat/completions?metadata=1", b""),
        ("GET", "/v1/chat/completions/chatcmpl-1/messages", b""),
        ("POST", "/v1/chat/completions/chatcmpl-1", br#"{"metadata":{"a":"b"}}"#),
        ("GET", "/v1/fine_tuning/jobs/ftjob-1/events", b""),
    ];
    for (method, path, body) in cases {
        let kind = if body.starts_with(b"--") { FORM } else { JSON };
        let answer = ask(&gateway, method, path, &[kind], body);
        assert_eq!(answer.text(), format!(r#"{{"asked":"{method} {path}"}}"#));
        let received = upstream.requests().pop().unwrap();
        assert_eq!(received.body, *body);
        assert_eq!(received.header("content-type"), (!body.is_empty()).then_some(kind.1), "{path}");
    }
    let content = ask(&gateway, "GET", "/v1/files/file-1/content", &[], b"");
    assert_eq!(content.body, [0, 159, 146, 150]);
    let exchanges = gateway.exchanges(cases.len() + 1);
    let asked: Vec<_> = exchanges.iter().filter_map(|exchange| exchange.exchange.asked.as_deref()).collect();
    assert!(asked.contains(&"GET /files?limit=2&after=file-1") && asked.contains(&"POST /batches/batch_1/cancel"));
    assert_eq!(asked.len(), cases.len() + 1);
    assert!(exchanges.iter().all(|exchange| exchange.exchange.outcome == "complete"));
    let mut names: Vec<_> = exchanges.iter().filter_map(|exchange| exchange.exchange.endpoint.as_deref()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names, ["batches", "files", "fine_tuning", "stored_completions", "uploads", "vector_stores"]);
}

#[test]
fn what_nobody_keeps_is_refused_in_clear_words() {
    let upstream = Upstream::start(vec![Script::json("{}")]);
    let gateway = Setup::to(&[&upstream]).start();
    let refused = get(gateway.addr, "/v1/files");
    assert_eq!((refused.status, refused.error()["code"].as_str()), (404, Some("not_passed_on")));
    assert!(refused.error()["message"].as_str().unwrap().contains("passthrough: { files: PROVIDER }"));
    passing_on(&gateway, &[Endpoint::Files]);
    for trap in ["/v1/files/%2e%2e/admin", "/v1/files/..%2fadmin", "/v1/files/a@evil", "/v1/files//x"] {
        assert_eq!(get(gateway.addr, trap).status, 400, "{trap}");
    }
    assert_eq!(get(gateway.addr, "/v1/batches").status, 404);
    assert_eq!(upstream.requests().len(), 0);
}

#[test]
fn a_providers_refusal_about_what_it_keeps_arrives_in_its_own_words() {
    let upstream = Upstream::start(vec![Script::error(404, "invalid_request_error", "no_such_file")]);
    let gateway = Setup::to(&[&upstream]).start();
    passing_on(&gateway, &[Endpoint::Files]);
    let refused = get(gateway.addr, "/v1/files/file-2");
    assert_eq!((refused.status, refused.error()["code"].as_str()), (404, Some("no_such_file")));
}

#[test]
fn of_the_callers_headers_only_those_on_the_list_travel() {
    let upstream = Upstream::start(vec![Script::json(scripted::chat_completion("x"))]);
    let mut setup = Setup::to(&[&upstream]);
    let mut provider: ProviderConfig = (*setup.targets[0].provider).clone();
    provider.forward_headers = vec![HeaderName::from_static("openai-project")];
    setup.targets[0].provider = Arc::new(provider);
    let gateway = setup.start();
    let sent = [
        ("authorization", "Bearer sk-canary-caller"),
        ("api-key", "sk-canary-caller"),
        ("x-api-key", "sk-canary-caller"),
        ("cookie", "session=canary"),
        ("x-forwarded-for", "10.0.0.1"),
        ("idempotency-key", "once"),
        ("openai-beta", "assistants=v2"),
        ("openai-organization", "org-1"),
        ("openai-project", "proj-1"),
        JSON,
    ];
    let answer = ask(&gateway, "POST", "/v1/chat/completions", &sent, crate::harness::PLAIN.as_bytes());
    assert_eq!(answer.status, 200);
    let received = &upstream.requests()[0];
    let mut names: Vec<_> = received.headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "accept",
            "authorization",
            "content-length",
            "content-type",
            "host",
            "idempotency-key",
            "openai-beta",
            "openai-project",
            "user-agent",
            "x-crossfade-hops",
            "x-request-id"
        ]
    );
    assert_eq!(received.header("authorization"), Some(format!("Bearer {}", crate::harness::PROVIDER_KEY).as_str()));
}

const VECTOR: &str = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5]}],"usage":{"prompt_tokens":2,"total_tokens":2}}"#;

#[test]
fn token_ids_reach_only_targets_with_the_tokenizer_of_the_routes_own() {
    let (a, b) = (Upstream::start(vec![Script::json(VECTOR)]), Upstream::start(vec![Script::json(VECTOR)]));
    let tokens = br#"{"model":"gpt-4o","input":[[1,2],[3]]}"#;
    let gateway = Setup::to(&[&a, &b]).with(&rollout(1.0, 0.0)).start();
    let answer = ask(&gateway, "POST", "/v1/embeddings", &[JSON], tokens);
    assert_eq!((answer.status, answer.header("x-crossfade-target")), (200, Some("a")));
    let text = ask(&gateway, "POST", "/v1/embeddings", &[JSON], br#"{"model":"gpt-4o","input":["text"]}"#);
    assert_eq!(text.header("x-crossfade-target"), Some("b"));
    let exchanges = gateway.exchanges(2);
    let refused = exchanges.iter().find(|exchange| exchange.attempts.len() == 2).unwrap();
    assert_eq!(refused.attempts[0].measured.failure.as_deref(), Some("unsupported"));

    let gateway = Setup::to(&[&b, &a]).with(&rollout(0.0, 1.0)).start();
    let n = a.requests().len();
    ask(&gateway, "POST", "/v1/embeddings", &[JSON], tokens);
    until("the copy is on record as refused", || gateway.exchange().attempts.len() == 2);
    assert_eq!(a.requests().len(), n, "the copy was not sent");
}

const SPACES: [&str; 2] = [
    "p/m@-#1#-#unit##-#f32~00000000000000000000000000000000",
    "p/m@-#1#-#unit##-#f32~ffffffffffffffffffffffffffffffff",
];

#[test]
fn vectors_of_two_spaces_never_answer_one_route() {
    let text = br#"{"model":"gpt-4o","input":["text"]}"#;
    let served = |spaces: [Option<&str>; 2], wanted: Option<&str>| {
        let (a, b) = (Upstream::start(vec![Script::status(500)]), Upstream::start(vec![Script::json(VECTOR)]));
        let mut setup = Setup::to(&[&a, &b]).falling_back_to(&["b"]);
        for (target, space) in setup.targets.iter_mut().zip(spaces) {
            target.space = space.map(str::to_owned);
        }
        let headers: Vec<(&str, &str)> =
            [JSON].into_iter().chain(wanted.map(|space| ("x-crossfade-space", space))).collect();
        let answer = ask(&setup.start(), "POST", "/v1/embeddings", &headers, text);
        let asked = (a.requests().len(), b.requests().len());
        assert!(b.requests().iter().all(|request| request.header("x-crossfade-space").is_none()));
        (answer, asked)
    };
    let [one, other] = SPACES.map(Some);
    let (same, _) = served([one, one], one);
    assert_eq!((same.status, same.header("x-crossfade-space")), (200, one));
    let (mixed, asked) = served([one, other], None);
    assert_ne!(mixed.status, 200);
    assert_eq!(asked.1, 0, "the other space is not asked");
    assert_ne!(served([one, None], None).0.status, 200);
    let (unknown, _) = served([None, None], None);
    assert_eq!((unknown.status, unknown.header("x-crossfade-space")), (200, None));
    let (refused, asked) = served([one, one], other);
    assert_eq!((refused.status, asked), (409, (0, 0)));
    let words = refused.error()["message"].as_str().unwrap().to_owned();
    assert!(SPACES.iter().all(|space| words.contains(space)), "{words}");
    assert_eq!(served([None, None], one).0.status, 409, "nobody said which it is");
}

#[test]
fn token_ids_go_on_where_the_config_says_that_they_mean_the_same() {
    let (a, b) = (Upstream::start(vec![Script::status(500)]), Upstream::start(vec![Script::json(VECTOR)]));
    let tokens = br#"{"model":"gpt-4o","input":[1]}"#;
    let refused = ask(&Setup::to(&[&a, &b]).falling_back_to(&["b"]).start(), "POST", "/v1/embeddings", &[JSON], tokens);
    assert_eq!(refused.status, 400);
    assert!(refused.error()["message"].as_str().unwrap().contains("token ids"));
    let mut setup = Setup::to(&[&a, &b]).falling_back_to(&["b"]);
    setup.targets.iter_mut().for_each(|target| target.tokenizer = Some("cl100k".to_owned()));
    assert_eq!(ask(&setup.start(), "POST", "/v1/embeddings", &[JSON], tokens).header("x-crossfade-target"), Some("b"));
}

#[test]
fn one_route_can_be_asked_about() {
    let upstream = Upstream::start(vec![Script::status(500)]);
    let gateway = Setup::to(&[&upstream]).start();
    change(&gateway, |snapshot| {
        let mut route = Route::clone(&snapshot.routes["gpt-4o"]);
        route.name = "org/model v1".to_owned();
        snapshot.routes.insert(route.name.clone(), Arc::new(route));
    });
    assert_eq!(
        get(gateway.addr, "/v1/models/gpt-4o").text(),
        r#"{"id":"gpt-4o","object":"model","created":0,"owned_by":"crossfade"}"#
    );
    assert_eq!(get(gateway.addr, "/v1/models/org/model%20v1").status, 200);
    let missing = get(gateway.addr, "/v1/models/nope");
    assert_eq!((missing.status, missing.error()["code"].as_str()), (404, Some("model_not_found")));
}
