//! What a route looks for, as it is written.

use expect_test::expect;
use govern::policy::{Kind, Streams, When};
use wire::record::Verdict;

use super::{check, edited, right};

const WORKLOAD: &str = "workload: support }";

#[test]
fn a_policy_is_read_in_the_order_in_which_it_is_written() {
    let text = edited(
        WORKLOAD,
        "workload: support, policy: { streams: cut, checks: { keys: { deny: [\"sk-[a-z]+\"], when: both, then: redact }, \
         size: { max_bytes: 64KiB }, tools: { tools: [search] }, flagged: { moderation: azure, on_error: allow, when: after } } } }",
    );
    let config = right(&text);
    let policy = config.snapshot.routes["gpt-4o"].policy.as_ref().unwrap();
    let names: Vec<_> = policy.checks.iter().map(|check| check.name.as_str()).collect();
    assert_eq!((names.as_slice(), policy.streams), (["keys", "size", "tools", "flagged"].as_slice(), Streams::Cut));
    assert_eq!((policy.checks[0].when, policy.checks[0].then), (When::Both, Verdict::Redact));
    assert_eq!((policy.checks[1].when, policy.checks[1].then), (When::Before, Verdict::Block));
    assert!(matches!(&policy.checks[3].kind, Kind::Moderation(moderation) if moderation.on_error == Verdict::Allow));
}

#[test]
fn what_a_policy_leaves_open_or_gets_wrong_is_said_where_it_is_written() {
    check(
        WORKLOAD,
        "workload: support, policy: { checks: { a: { deny: [\"(\"] }, b: { deny: [x*], max_bytes: 1 } } } }",
        expect![[r#"
            crossfade.yaml:14:95: `routes.gpt-4o.policy.checks.a.deny`: no pattern to look for
             14 |   gpt-4o: { target: gpt, fallback: [azure], workload: support, policy: { checks: { a: { deny: ["("] }, b: { deny: [x*], max_bytes: 1 } } } }
                |                                                                                               ^

            crossfade.yaml:14:96: `routes.gpt-4o.policy.checks.a.deny[0]`: not a pattern: unclosed group
             14 |   gpt-4o: { target: gpt, fallback: [azure], workload: support, policy: { checks: { a: { deny: ["("] }, b: { deny: [x*], max_bytes: 1 } } } }
                |                                                                                                ^^^
               hint: the syntax is that of Rust's `regex`: no look-around, no back-references

            crossfade.yaml:14:132: `routes.gpt-4o.policy.checks.b.max_bytes`: a check looks for one thing: one of `deny`, `max_bytes`, `tools`, `moderation`, `always`
             14 |   gpt-4o: { target: gpt, fallback: [azure], workload: support, policy: { checks: { a: { deny: ["("] }, b: { deny: [x*], max_bytes: 1 } } } }
                |                                                                                                                                    ^
               hint: make it two checks

            3 errors in crossfade.yaml
        "#]],
    );
    check(
        WORKLOAD,
        "workload: support, policy: { checks: { a: { deny: [x], when: after }, b: { max_bytes: 1, then: redact } } } }",
        expect![[r#"
            crossfade.yaml:14:72: `routes.gpt-4o.policy`: answers are looked at, and it is not said what is done with streams
             14 |   gpt-4o: { target: gpt, fallback: [azure], workload: support, policy: { checks: { a: { deny: [x], when: after }, b: { max_bytes: 1, then: redact } } } }
                |                                                                        ^^
               hint: write `streams: hold` (held back until they are whole) or `streams: cut` (passed on, and cut at the end)

            crossfade.yaml:14:140: `routes.gpt-4o.policy.checks.b.then`: only what patterns find can be taken out
             14 |   gpt-4o: { target: gpt, fallback: [azure], workload: support, policy: { checks: { a: { deny: [x], when: after }, b: { max_bytes: 1, then: redact } } } }
                |                                                                                                                                            ^^^^^^
               hint: write `block`, `escalate` or `allow`

            2 errors in crossfade.yaml
        "#]],
    );
    check(
        WORKLOAD,
        "workload: support, policy: { checks: { a: { moderation: gp }, b: { tools: [x], when: both }, c: { moderation: gpt } }, streams: hold } }",
        expect![[r#"
            crossfade.yaml:14:101: `routes.gpt-4o.policy.checks.a.moderation`: there is no target `gp`
             14 |   gpt-4o: { target: gpt, fallback: [azure], workload: support, policy: { checks: { a: { moderation: gp }, b: { tools: [x], when: both }, c: { moderation: gpt } }, streams: hold } }
                |                                                                                                     ^^
               hint: did you mean `gpt`?

            crossfade.yaml:14:130: `routes.gpt-4o.policy.checks.b.when`: this check is of requests
             14 |   gpt-4o: { target: gpt, fallback: [azure], workload: support, policy: { checks: { a: { moderation: gp }, b: { tools: [x], when: both }, c: { moderation: gpt } }, streams: hold } }
                |                                                                                                                                  ^^^^
               hint: remove `when`, or write `when: before`

            crossfade.yaml:14:141: `routes.gpt-4o.policy.checks.c.on_error`: `on_error` is missing
             14 |   gpt-4o: { target: gpt, fallback: [azure], workload: support, policy: { checks: { a: { moderation: gp }, b: { tools: [x], when: both }, c: { moderation: gpt } }, streams: hold } }
                |                                                                                                                                             ^^

            3 errors in crossfade.yaml
        "#]],
    );
}

#[test]
fn a_moderation_target_of_an_internal_route_is_in_the_house() {
    let text = super::RIGHT.replace(
        "  gpt-4o: { target: gpt, fallback: [azure], workload: support }\n",
        "  gpt-4o: { target: qwen, residency: internal, policy: { checks: { a: { moderation: gpt, on_error: block } } } }\n",
    );
    let text = &text[..text.find("rollouts:").unwrap()];
    assert!(super::errors(text).contains("`routes.gpt-4o.policy.checks.a.moderation`: `gpt` is outside the house"));
}
