use super::*;

fn attempt(role: AttemptRole) -> AttemptRecord {
    AttemptRecord {
        idx: 0,
        target: "qwen".to_owned(),
        provider: "gpu".to_owned(),
        model: "Qwen/Qwen3-32B".to_owned(),
        arm: Some(Arm::Candidate),
        role,
        started_us: 1,
        status: Some(200),
        failure: None,
        time_to_first_token_us: Some(5),
        duration_us: 9,
        usage: Some(Usage {
            input_tokens: 1,
            output_tokens: 2,
            cached_tokens: 3,
            reasoning_tokens: 4,
            ..Usage::default()
        }),
        finish_reason: Some("stop".to_owned()),
        format_valid: Some(true),
        simulated: true,
        truncated: false,
        answer_bytes: 3,
        cost: Some(Charge::Priced { nanos: 2_450, row: "shipped:acme/one#0123abcd".to_owned() }),
        validity: Default::default(),
        request_bytes: 0,
    }
}

fn records() -> Vec<Record> {
    let id = ExchangeId::new(1_700_000_000_123, [7; 10]);
    let body = Body::from(b"{\"canary\":1}".to_vec());
    let mut records = vec![
        Record::Request(RequestRecord {
            id,
            received_at_us: 1_700_000_000_123_456,
            endpoint: Endpoint::ChatCompletions,
            route: "gpt-4o".to_owned(),
            principal: None,
            streamed: true,
            rollout: Some(RolloutRef {
                name: "support".to_owned(),
                epoch: 2,
                share: 0.05,
                unit: u64::MAX,
                unit_source: UnitSource::Prefix,
                arm: Arm::Baseline,
                forced: false,
            }),
            body: body.clone(),
            client_retry: 2,
            asked: Some("GET /files?limit=2".to_owned()),
        }),
        Record::Answer(AnswerRecord {
            id,
            finished_at_us: 9,
            status: 502,
            outcome: ExchangeOutcome::Truncated,
            failure: Some(FailureKind::Disconnected),
            served_by: Some("gpt".to_owned()),
            time_to_first_token_us: None,
            duration_us: 8,
            usage: None,
            decisions: vec![Decision {
                by: DecidedBy::Rule,
                choice: "route long".into(),
                because: "prompt has 9 bytes, over 8".into(),
            }],
            adaptations: vec![Adaptation {
                field: "model".into(),
                action: AdaptationAction::Replaced,
                target: "qwen".to_owned(),
            }],
            attempts: vec![attempt(AttemptRole::Live), attempt(AttemptRole::Failover)],
            body: body.clone(),
            cost: Some(Charge::Unknown { why: "no_usage".into() }),
            declined: vec![(1, false)],
        }),
        Record::Shadow(ShadowRecord {
            id,
            rollout: "support".to_owned(),
            epoch: 2,
            attempt: Some(attempt(AttemptRole::Shadow)),
            drop: Some(ShadowDrop::QueueFull),
            body,
            declined: Some(true),
        }),
        Record::Outcome(OutcomeRecord {
            id,
            at_us: 1,
            name: "format_valid".to_owned(),
            value: 1.0,
            source: "gateway".to_owned(),
        }),
        Record::Gap(GapRecord { from_us: 1, to_us: 2, n: 3, reason: "disk full".to_owned() }),
    ];
    records.extend(beside(id));
    records
}

/// Entries beside requests and answers.
fn beside(id: ExchangeId) -> [Record; 4] {
    [
        Record::Connection(ConnectionRecord {
            opened_at_us: 1,
            closed_at_us: Some(2),
            lane: Lane::Shadow,
            provider: "gpu".to_owned(),
            region: Some("eu".to_owned()),
            class: "self_hosted".to_owned(),
            host: "gpu-1".to_owned(),
            sni: None,
            local: "10.0.0.1:40000".parse().unwrap(),
            remote: "[2001:db8::1]:443".parse().unwrap(),
            bytes_out: 3,
            bytes_in: 4,
        }),
        Record::Checks(ChecksRecord {
            id,
            shadow: false,
            route: "gpt-4o".to_owned(),
            at_us: 1,
            checks: vec![CheckRecord {
                name: "keys".to_owned(),
                phase: Phase::After,
                verdict: Verdict::Block,
                target: Some("gpt".to_owned()),
                arm: Some(Arm::Baseline),
                latency_us: 2,
                detail: Some("pattern 1".into()),
                failed: false,
                asked: Some(("omni".to_owned(), "openai".to_owned())),
                request_bytes: 3,
                answer_bytes: 4,
            }],
        }),
        Record::Feedback(FeedbackRecord {
            id,
            at_us: 1,
            kind: FeedbackKind::Thumb,
            source: "user".to_owned(),
            value: Some(0.0),
            label: None,
            comment: Body::new(bytes::Bytes::from_static(b"canary")),
            bad: Some(true),
        }),
        Record::UnitOutcome(UnitOutcomeRecord {
            rollout: "support".to_owned(),
            epoch: 2,
            unit: u64::MAX,
            arm: Arm::Candidate,
            metric: "tickets".to_owned(),
            bad: true,
            happened_us: 1,
            at_us: 2,
            source: "desk".to_owned(),
            exchange: None,
        }),
    ]
}

#[test]
fn every_record_reads_back_from_the_journals_encoding() {
    for record in records() {
        let bytes = postcard::to_stdvec(&record).unwrap();
        assert_eq!(postcard::from_bytes::<Record>(&bytes).unwrap(), record);
    }
    assert!(records()[4..6].iter().all(|record| record.exchange_id().is_none()));
    assert!(records()[..4].iter().all(|record| record.exchange_id().is_some()));
}

#[test]
fn the_encoding_of_a_request_is_the_one_journals_hold() {
    let bytes = postcard::to_stdvec(&records()[0]).unwrap();
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    expect_test::expect!["0010018bcfe5687b77078707070707070707c0c480c1c1c4820300066770742d346f00010107737570706f7274029a9999999999a93fffffffffffffffffff010300000c7b2263616e617279223a317d020112474554202f66696c65733f6c696d69743d32"].assert_eq(&hex);
}

#[test]
fn a_record_never_prints_a_body() {
    for record in records() {
        assert!(!format!("{record:?}").contains("canary"));
        assert!(!serde_json::to_string(&record).unwrap().contains("canary"));
    }
}

#[test]
fn a_sum_with_an_unknown_part_is_unknown() {
    let priced = |nanos| Charge::Priced { nanos, row: format!("row {nanos}") };
    let unknown = Charge::Unknown { why: "no_usage".into() };
    assert_eq!(Charge::sum([]), None);
    assert_eq!(Charge::sum([&priced(1), &priced(2)]), Some(Charge::Priced { nanos: 3, row: "row 2".to_owned() }));
    assert_eq!(Charge::sum([&priced(1), &unknown, &priced(2)]), Some(unknown.clone()));
    assert_eq!(Charge::sum([&unknown]), Some(unknown));
}
