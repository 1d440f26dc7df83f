//! The matrix as a whole: uses and reports in, rows out.

use super::*;

const NOW_S: u64 = 1_795_000_000;
const ABOUT: About<'_> = About { of: &[], date: "2026-11-26", traffic: None };

fn used(line: u32, vendor: &str, operation: &str, parameters: &[&str]) -> Used {
    Used {
        place: Some(Place { path: "app.py".to_owned(), line }),
        is_site: true,
        operation: operation.to_owned(),
        vendor: vendor.to_owned(),
        library: vendor.to_owned(),
        parameters: parameters.iter().map(|name| (*name).to_owned()).collect(),
        ..Used::default()
    }
}

/// A report on `subject` with these verdicts.
fn report(subject: &str, rows: &[(&str, &str)]) -> Vec<Probe> {
    let row = |(capability, verdict): &(&str, &str)| {
        format!(r#"{{"capability":"{capability}","verdict":"{verdict}","how":"seen","evidence":["e1"]}}"#)
    };
    let rows: Vec<String> = rows.iter().map(row).collect();
    let began_s = NOW_S - 60;
    let text = format!(
        r#"{{"subject":"{subject}","model":"m","began_s":{began_s},"simulated":false,"kind":"generic","rows":[{}]}}"#,
        rows.join(",")
    );
    probes("probe.json", &text).unwrap()
}

fn target(name: &str, probes: &[Probe]) -> Candidate {
    let facts = Facts {
        name: name.to_owned(),
        provider: "gpu".to_owned(),
        model: "m".to_owned(),
        kind: "generic".to_owned(),
        class: "self_hosted".to_owned(),
        external: false,
        simulated: false,
    };
    Candidate::target(facts, probes, NOW_S)
}

/// Need, standing, effort and risk of each row, in a line.
fn lines(matrix: &Matrix) -> Vec<String> {
    let line =
        |row: &Row| format!("{} {} {} {}", row.id(), row.standing.as_str(), row.effort.as_str(), row.risk.as_str());
    matrix.rows.iter().map(line).collect()
}

#[test]
fn cells_are_what_the_probe_found_and_what_it_did_not_measure_is_unproved() {
    let probes = report(
        "qwen",
        &[("chat", "equivalent"), ("json_schema", "degraded"), ("seed", "none"), ("logprobs", "not_measured")],
    );
    let mut one = used(1, "openai", "chat", &["seed", "n"]);
    one.flags.schema = true;
    one.flags.logprobs = true;
    let made = matrix(&[one, used(2, "openai", "moderation", &[])], &[target("qwen", &probes)], ABOUT);
    assert_eq!(
        lines(&made),
        [
            "chat equivalent S low",
            "structured_output degraded S medium",
            "logprobs unproved S high",
            "seed none S medium",
            "choices unproved S high",
            "moderation unproved S high",
        ]
    );
    assert_eq!(made.rows[0].cells[0].proofs[0].evidence, ["e1"]);
    assert_eq!(made.rows[5].cells[0].how, "not measured: moderation");
    let video = matrix(&[used(3, "openai", "video", &[])], &[target("qwen", &probes)], ABOUT);
    assert!(video.rows[0].cells[0].how.contains("no probe"), "{}", video.rows[0].cells[0].how);
    assert!(
        made.headline
            .starts_with("6 capabilities of 1 vendor in use at 2 call sites. As replacements stand: 1 equivalent"),
        "{}",
        made.headline
    );
}

#[test]
fn nothing_is_green_without_a_report_that_counts() {
    let uses = [used(1, "openai", "chat", &[])];
    let good = report("qwen", &[("chat", "equivalent")]);
    let of = |probes: &[Probe], name: &str| matrix(&uses, &[target(name, probes)], ABOUT).rows[0].cells[0].clone();
    assert_eq!(of(&good, "qwen").standing, Standing::Equivalent);
    assert!(of(&good, "other").how.contains("not probed: `crossfade conformance other"));
    let mut old = good.clone();
    old[0].head.began_s = NOW_S - 91 * 86_400;
    assert!(of(&old, "qwen").how.contains("91 days old"), "{}", of(&old, "qwen").how);
    let mut other = good.clone();
    "another".clone_into(&mut other[0].head.model);
    assert!(of(&other, "qwen").how.contains("probe it again"));
    let mut made_up = good.clone();
    made_up[0].head.simulated = true;
    assert!(of(&made_up, "qwen").how.contains("made up"));
    for probes in [old, other, made_up] {
        assert_eq!(of(&probes, "qwen").standing, Standing::Unproved);
    }
    for candidate in Candidate::references() {
        let made = matrix(&uses, &[candidate], ABOUT);
        assert_eq!((made.rows[0].standing, made.rows[0].risk), (Standing::Unproved, Risk::High));
    }
}

#[test]
fn what_is_missing_and_the_gateway_puts_right_is_degraded_with_a_low_risk() {
    let mut probes = report("qwen", &[("chat", "equivalent"), ("max_completion_tokens", "none")]);
    let row = probes[0].rows.get_mut(&wire::capability::Capability::MaxCompletionTokens).unwrap();
    row.repair = Some("the gateway puts it right (`max_completion_tokens: rename`)".to_owned());
    let made = matrix(&[used(1, "openai", "chat", &["max_completion_tokens"])], &[target("qwen", &probes)], ABOUT);
    assert_eq!(lines(&made)[1], "max_completion_tokens degraded S low");
    assert!(made.rows[1].cells[0].how.contains("rename"));
}

#[test]
fn a_dialect_that_the_server_lacks_is_translated_and_one_that_it_has_proves_nothing_of_its_features() {
    let mut one = used(1, "openai", "responses", &[]);
    one.flags.tools = true;
    let chat = [("chat", "equivalent"), ("tools_auto", "equivalent"), ("tool_messages", "equivalent")];
    let lacks = report("qwen", &[&chat[..], &[("responses", "none")]].concat());
    let made = matrix(std::slice::from_ref(&one), &[target("qwen", &lacks)], ABOUT);
    assert_eq!(lines(&made), ["responses degraded S low", "responses.tools degraded S low"]);
    let has = report("qwen", &[&chat[..], &[("responses", "equivalent")]].concat());
    let made = matrix(&[one], &[target("qwen", &has)], ABOUT);
    assert_eq!(lines(&made), ["responses equivalent S low", "responses.tools unproved S high"]);
}

#[test]
fn a_vendor_with_a_dialect_of_its_own_is_written_anew_place_by_place() {
    let probes = report("qwen", &[("chat", "equivalent")]);
    let uses: Vec<Used> = (1..=9).map(|line| used(line, "google", "chat", &[])).collect();
    let of = |n: usize| lines(&matrix(&uses[..n], &[target("qwen", &probes)], ABOUT))[0].clone();
    assert_eq!([of(1), of(8), of(9)], ["chat equivalent S low", "chat equivalent M low", "chat equivalent L low"]);
}

#[test]
fn the_best_cell_of_several_is_the_replacement() {
    let chat = report("qwen", &[("chat", "equivalent"), ("embeddings", "none")]);
    let vectors = report("bge", &[("chat", "none"), ("embeddings", "equivalent")]);
    let uses = [used(1, "openai", "chat", &[]), used(2, "openai", "embeddings", &[])];
    let made = matrix(&uses, &[target("qwen", &chat), target("bge", &vectors)], ABOUT);
    let best: Vec<&str> = made.rows.iter().filter_map(|row| row.best.as_deref()).collect();
    assert_eq!(best, ["qwen", "bge"]);
    assert_eq!(made.counts, Counts { equivalent: 2, ..Counts::default() });
}

#[test]
fn of_two_that_are_as_good_the_one_that_serves_more_is_named() {
    let vectors = report("bge", &[("chat", "none"), ("embeddings", "equivalent")]);
    let chat = report("qwen", &[("chat", "equivalent"), ("embeddings", "equivalent")]);
    let uses =
        [used(1, "openai", "chat", &[]), used(2, "openai", "embeddings", &[]), used(3, "openai", "moderation", &[])];
    let made = matrix(&uses, &[target("bge", &vectors), target("qwen", &chat)], ABOUT);
    let best: Vec<String> =
        made.rows.iter().map(|row| format!("{} {}", row.id(), row.best.as_deref().unwrap_or("-"))).collect();
    assert_eq!(best, ["chat qwen", "embeddings qwen", "moderation qwen"]);
    // However alike the endpoints are, an index has vectors of the old model.
    assert_eq!(lines(&made)[..2], ["chat equivalent S low", "embeddings equivalent M medium"]);
    let again =
        made.rows[1].cells.iter().find(|cell| cell.alternative == "qwen").and_then(|cell| cell.workaround.clone());
    assert!(again.is_some_and(|again| again.contains("`crossfade vectors reembed`")));
}

#[test]
fn sovereignty_rises_only_as_far_as_is_proved() {
    let probes = report("qwen", &[("chat", "equivalent")]);
    let of = |uses: &[Used], candidates: &[Candidate]| {
        let made = matrix(uses, candidates, ABOUT);
        let first = &made.dependencies[0];
        [first.today.class, first.after.class, first.at_best.as_ref().and_then(|at_best| at_best.class)]
    };
    let (chat, files) = (used(1, "openai", "chat", &[]), used(2, "openai", "files", &[]));
    let own = target("qwen", &probes);
    assert_eq!(of(std::slice::from_ref(&chat), std::slice::from_ref(&own)), [Some(1), Some(4), Some(5)]);
    assert_eq!(of(&[chat.clone(), files], &[own]), [Some(1), Some(3), Some(5)]);
    assert_eq!(of(std::slice::from_ref(&chat), &[target("qwen", &[])]), [Some(1), Some(1), Some(5)]);
    assert_eq!(of(&[chat], &[]), [Some(1), Some(1), None]);
}

#[test]
fn nobody_is_taken_to_own_a_server_of_which_that_was_not_said() {
    let probe = &report("http://gpu:8000/v1", &[("chat", "equivalent")])[0];
    let of = |class: &str| {
        let made = matrix(&[used(1, "openai", "chat", &[])], &[Candidate::probed(probe, class, NOW_S)], ABOUT);
        [made.dependencies[0].today.class, made.dependencies[0].after.class]
    };
    assert_eq!(of("self_hosted"), [Some(1), Some(4)]);
    assert_eq!(of("hosted"), [Some(1), Some(2)]);
    assert_eq!(of(""), [Some(1), None]);
}

#[test]
fn a_client_without_a_call_and_a_dependency_are_told_and_recorded_requests_count() {
    let client = used(1, "openai", "client", &[]);
    let manifest = Used { is_site: false, ..used(1, "anthropic", "client", &[]) };
    let recorded = Used { place: None, is_site: false, requests: 7, ..used(0, "azure-openai", "embeddings", &[]) };
    let made = matrix(&[client, manifest, recorded], &[], ABOUT);
    assert_eq!(lines(&made), ["embeddings unproved L high", "unseen unproved L high"]);
    let told: Vec<String> = made
        .dependencies
        .iter()
        .map(|of| format!("{} {} {} {}", of.vendor, of.sites, of.configured, of.requests))
        .collect();
    assert_eq!(told, ["openai 1 0 0", "azure-openai 0 0 7", "anthropic 0 1 0"]);
}

#[test]
fn a_service_is_as_good_as_the_probe_of_it_found() {
    let verdicts =
        [("moderation", "none"), ("rerank", "equivalent"), ("files", "degraded"), ("assistants", "equivalent")];
    let probes = report("qwen", &verdicts);
    let uses = ["moderation", "rerank", "files", "assistants"].map(|operation| used(1, "openai", operation, &[]));
    let made = matrix(&uses, &[target("qwen", &probes)], ABOUT);
    assert_eq!(
        lines(&made),
        ["moderation none S high", "rerank equivalent S low", "assistants equivalent S low", "files degraded S medium"]
    );
}

#[test]
fn what_only_traffic_uses_is_a_row_and_what_both_use_has_places_and_requests() {
    let recorded = |vendor: &str, requests: u64, words: &[(&'static str, u64)]| Used {
        requests,
        through: Some(Through::Chat),
        words: words.iter().copied().collect(),
        operation: "chat".to_owned(),
        vendor: vendor.to_owned(),
        model: Some("gpt-4o".to_owned()),
        ..Used::default()
    };
    let uses = [
        used(1, "openai", "chat", &["seed"]),
        recorded("openai", 9, &[("chat", 9), ("tools", 4)]),
        recorded("self-hosted", 5, &[("chat", 5), ("logprobs", 5)]),
    ];
    let read = Recorded { requests: 15, unanswered: 1, bodies_read: 15, simulated: false, days: None };
    let probes = report("qwen", &[("chat", "equivalent"), ("tools_auto", "none"), ("tool_messages", "none")]);
    let made = matrix(&uses, &[target("qwen", &probes)], About { traffic: Some(&read), ..ABOUT });
    let of = |row: &Row| format!("{} {} {}", row.id(), row.places.len(), row.requests);
    assert_eq!(made.rows.iter().map(of).collect::<Vec<_>>(), ["chat 1 9", "tools 0 4", "seed 1 0"]);
    assert_eq!(lines(&made)[1], "tools none M high", "nobody knows how many places have to be written anew");
    assert!(
        made.headline.starts_with("3 capabilities of 1 vendor in use at 1 call site and in 9 recorded requests."),
        "{}",
        made.headline
    );
    let told: Vec<String> =
        made.dependencies.iter().map(|of| format!("{} {} {}", of.vendor, of.sites, of.requests)).collect();
    assert_eq!(told, ["openai 1 9", "self-hosted 0 5"]);
}

#[test]
fn recorded_requests_in_another_dialect_are_rows_of_that_dialect_and_what_a_vendor_keeps_is_of_none() {
    let one = |through: Through, words: &[&'static str]| Used {
        requests: 1,
        through: Some(through),
        words: words.iter().map(|word| (*word, 1)).collect(),
        vendor: "openai".to_owned(),
        ..Used::default()
    };
    let uses = [
        one(Through::Responses, &["responses", "tools", "responses_state"]),
        one(Through::Messages, &["messages", "tools"]),
    ];
    let made = matrix(&uses, &[], ABOUT);
    let rows: Vec<String> = made.rows.iter().map(Row::id).collect();
    assert_eq!(rows, ["messages", "responses", "responses_state", "responses.tools", "messages.tools"]);
}

#[test]
fn a_matrix_is_read_back_from_its_json() {
    let probes = report("qwen", &[("chat", "degraded")]);
    let made = matrix(&[used(1, "openai", "chat", &[])], &[target("qwen", &probes)], ABOUT);
    let text = serde_json::to_string(&made).unwrap();
    assert_eq!(serde_json::from_str::<Matrix>(&text).unwrap(), made);
}

#[test]
fn the_work_of_leaving_a_vendor_is_that_at_its_own_places_and_an_address_is_no_rewrite() {
    let mut uses: Vec<Used> = (1..=9).map(|line| used(line, "google", "chat", &[])).collect();
    uses.push(used(20, "openai", "chat", &[]));
    uses.push(Used { library: "openai 4.23.0".to_owned(), ..used(30, "mistral", "chat", &[]) });
    uses.push(Used { library: "mistral 1.3.5".to_owned(), ..used(40, "mistral", "embeddings", &[]) });
    let good = report("qwen", &[("chat", "equivalent"), ("embeddings", "equivalent")]);
    let made = matrix(&uses, &[target("qwen", &good)], ABOUT);
    let of = |vendor: &str| made.dependencies.iter().find(|of| of.vendor == vendor).unwrap();
    assert_eq!(made.rows[0].effort, Effort::L, "nine places are written anew");
    assert_eq!((of("google").effort, of("google").risk), (Effort::L, Risk::Low));
    assert_eq!((of("openai").effort, of("openai").risk), (Effort::S, Risk::Low));
    assert_eq!(
        (of("mistral").effort, of("mistral").risk),
        (Effort::M, Risk::Medium),
        "embeddings, not nine others' chats"
    );
    let by_address = Used {
        library: String::new(),
        seen: "post https://api.mistral.ai/v1/chat/completions".to_owned(),
        ..used(1, "mistral", "chat", &[])
    };
    for (library, seen, change) in [
        ("openai 4.23.0", "", Change::Configuration),
        ("", "post https://api.mistral.ai/v1/chat/completions", Change::Configuration),
        ("mistral 1.3.5", "", Change::Rewrite),
        ("spring-ai 1.1.0", "", Change::Adjust),
        ("koog", "", Change::Adjust),
    ] {
        let one = Used { library: library.to_owned(), seen: seen.to_owned(), ..by_address.clone() };
        assert_eq!(one.change(), change, "{library} {seen}");
    }
}

#[test]
fn a_list_of_what_has_an_end_says_of_how_many_calls_the_model_is_not_known() {
    let asks = |line: u32, model: Option<&str>| Used {
        is_asked: true,
        model: model.map(str::to_owned),
        ..used(line, "openai", "chat", &[])
    };
    let made = matrix(&[asks(1, Some("gpt-4o")), asks(2, None), asks(3, None)], &[target("qwen", &[])], ABOUT);
    assert_eq!(render::ended(&made.dependencies[0], "2026-11-26"), "model of 2 of 3 calls not known");
    let page = render::html(&made);
    assert!(page.contains("Of 3 calls that a model answers, the model of 2 is not known"), "{page}");
    assert!(render::markdown(&made).contains("the model of 2 is not known"));
    let known = matrix(&[asks(1, Some("gpt-4o"))], &[target("qwen", &[])], ABOUT);
    assert!(!render::html(&known).contains("not known from"));
}

#[test]
fn a_vendor_that_settings_choose_is_said_with_those_that_the_library_is_set_up_for() {
    let of = |line: u32, vendor: &str, library: &str| Used {
        library: library.to_owned(),
        ..used(line, vendor, "chat", &[])
    };
    let uses = [
        of(1, "unknown", "semantic-kernel 1.28.0"),
        of(2, "openai", "semantic-kernel 1.28.0"),
        of(3, "azure-openai", "semantic-kernel"),
        of(4, "mistral", "mistral"),
    ];
    let made = matrix(&uses, &[target("qwen", &[])], ABOUT);
    let open = made.dependencies.iter().find(|of| of.vendor == "unknown").unwrap();
    assert_eq!(render::vendor(open), "chosen at run time (azure-openai or openai)");
    let made = matrix(&uses[..1], &[target("qwen", &[])], ABOUT);
    assert_eq!(render::vendor(&made.dependencies[0]), "not said in the code");
}

#[test]
fn a_call_that_is_chosen_among_two_vendors_at_run_time_is_in_the_row_of_both() {
    let chosen = Used {
        among: vec!["azure-openai".to_owned(), "openai".to_owned()],
        library: "openai 4.23.0".to_owned(),
        ..used(1, "unknown", "embeddings", &[])
    };
    let made = matrix(&[used(2, "azure-openai", "chat", &[]), chosen], &[target("qwen", &[])], ABOUT);
    let of = |vendor: &str| made.dependencies.iter().find(|of| of.vendor == vendor).unwrap();
    assert_eq!(of("azure-openai").needs, ["chat", "embeddings"]);
    assert_eq!((of("openai").needs.as_slice(), of("openai").sites), (&["embeddings".to_owned()][..], 1));
    assert_eq!(render::vendor(of("unknown")), "chosen at run time (azure-openai or openai)");
    assert_eq!(made.rows[1].vendors, ["azure-openai", "openai"]);
}

#[test]
fn json_mode_is_a_row_of_its_own_that_a_schema_does_not_prove() {
    let mut one = used(1, "openai", "chat", &[]);
    one.flags.json_mode = true;
    let schema = report("qwen", &[("chat", "equivalent"), ("json_schema", "equivalent")]);
    let made = matrix(std::slice::from_ref(&one), &[target("qwen", &schema)], ABOUT);
    assert_eq!(lines(&made), ["chat equivalent S low", "json_mode unproved S high"]);
    let object = report("qwen", &[("chat", "equivalent"), ("json_object", "equivalent")]);
    let made = matrix(&[one], &[target("qwen", &object)], ABOUT);
    assert_eq!(lines(&made)[1], "json_mode equivalent S low");
}

#[test]
fn embeddings_are_days_of_work_also_where_nobody_measured_and_an_unproved_target_makes_nothing_less_work() {
    let made = matrix(&[used(1, "openai", "embeddings", &[])], &[target("qwen", &[])], ABOUT);
    assert_eq!(lines(&made), ["embeddings unproved M high"]);
    let none = report("qwen", &[("moderation", "none")]);
    let uses: Vec<Used> = (1..=4).map(|line| used(line, "openai", "moderation", &[])).collect();
    let alone = matrix(&uses, &[target("qwen", &none)], ABOUT);
    let both = matrix(&uses, &[target("qwen", &none), target("bge", &[])], ABOUT);
    assert_eq!(lines(&alone), ["moderation none M high"]);
    assert_eq!(lines(&both), ["moderation unproved M high"]);
    assert_eq!(both.dependencies[0].effort, Effort::M);
}

#[test]
fn vendors_are_counted_that_a_place_calls_and_not_who_is_only_configured_or_chosen_at_run_time() {
    let key = Used { is_site: false, ..used(3, "anthropic", "client", &[]) };
    let chosen =
        Used { among: vec!["azure-openai".to_owned(), "openai".to_owned()], ..used(2, "unknown", "chat", &[]) };
    let of = |uses: &[Used]| matrix(uses, &[target("qwen", &[])], ABOUT).headline;
    let both = of(&[used(1, "openai", "chat", &[]), chosen, key]);
    assert!(both.starts_with("1 capability of 2 vendors in use at 2 call sites."), "{both}");
    let open = of(&[used(1, "openai", "chat", &[]), used(2, "unknown", "chat", &[])]);
    assert!(open.starts_with("1 capability of 1 vendor that the code names, and of others, in use"), "{open}");
    let nobody = of(&[used(2, "unknown", "chat", &[])]);
    assert!(nobody.starts_with("1 capability of vendors that the code does not name in use"), "{nobody}");
}

#[test]
fn a_report_of_a_simulated_server_is_said_to_count_for_nothing_and_changes_nothing() {
    let uses = [used(1, "openai", "chat", &[])];
    let mut made_up = report("http://localhost:9/v1", &[("chat", "equivalent")]);
    made_up[0].head.simulated = true;
    let without = matrix(&uses, &Candidate::references(), ABOUT);
    let mut candidates = Candidate::references();
    candidates.push(Candidate::probed(&made_up[0], "", NOW_S));
    let with = matrix(&uses, &candidates, ABOUT);
    assert_eq!(with.dependencies[0].at_best, without.dependencies[0].at_best);
    let page = render::html(&with);
    assert!(page.contains("http://localhost:9/v1</code> is of a simulated server"), "{page}");
    assert!(page.contains("It counts for nothing: every cell is unproved."));
    assert!(render::html(&without).contains("No report of a probe stands behind this page"));
}

#[test]
fn images_that_are_built_anywhere_make_vision_required_of_whoever_is_sent_messages() {
    let part = Used {
        is_site: false,
        is_part: true,
        place: Some(Place { path: "lib/build-prompt.ts".to_owned(), line: 147 }),
        ..used(0, "-", "chat", &[])
    };
    let uses =
        [used(1, "openai", "chat", &[]), used(2, "anthropic", "chat", &[]), used(3, "cohere", "rerank", &[]), part];
    let probes = report("qwen", &[("chat", "equivalent"), ("messages", "none")]);
    let made = matrix(&uses, &[target("qwen", &probes)], ABOUT);
    assert_eq!(
        lines(&made),
        [
            "chat equivalent S low",
            "messages degraded S low",
            "vision unproved S high",
            "messages.vision unproved S high",
            "rerank unproved S high"
        ]
    );
    let of = |vendor: &str| made.dependencies.iter().find(|of| of.vendor == vendor).unwrap();
    assert_eq!(of("openai").needs, ["chat", "vision"]);
    assert_eq!((of("openai").risk, of("openai").configured), (Risk::High, 0));
    assert_eq!(of("cohere").needs, ["rerank"]);
    let said = "images are built in lib/build-prompt.ts:147; which calls carry them is not known";
    assert_eq!(made.rows[2].note, said);
    assert!(render::html(&made).contains(said) && render::markdown(&made).contains(said));
}

#[test]
fn a_hosted_service_that_is_no_model_vendor_is_listed_apart_and_is_no_vendor_and_no_row() {
    let search = Used { is_site: false, is_service: true, ..used(7, "azure-ai-search", "client", &[]) };
    let made = matrix(&[used(1, "openai", "chat", &[]), search], &[target("qwen", &[])], ABOUT);
    assert_eq!(made.dependencies.iter().map(|of| of.vendor.as_str()).collect::<Vec<_>>(), ["openai"]);
    assert_eq!(lines(&made), ["chat unproved S high"]);
    assert_eq!((made.services[0].name.as_str(), made.services[0].places[0].line), ("azure-ai-search", 7));
    for page in [render::html(&made), render::markdown(&made)] {
        assert!(page.contains("Other hosted AI services that the code uses") && page.contains("app.py:7"), "{page}");
    }
}
