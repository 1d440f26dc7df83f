//! Rules of routes, as they are written.

use expect_test::expect;

use super::{check, edited, right};

/// A second route, and rules that lead to it.
fn with_rules(rules: &str) -> String {
    let routes = format!(
        "routes:\n  long: {{ target: azure }}\n  small:\n    target: qwen\n    rules:\n{}\n",
        rules.lines().map(|rule| format!("      - {rule}")).collect::<Vec<_>>().join("\n")
    );
    edited("routes:\n", &routes)
}

#[test]
fn rules_are_read_in_order_and_shown_in_words() {
    let rules = "{ name: gold, when: { headers: { X-Tier: [gold, plat*] }, tenant: shop }, route: long }\n\
        { when: { prompt_tokens: { over: 30_000 }, prompt_bytes: { up_to: 1MiB } }, route: gpt-4o }\n\
        { when: { tools: [search_*, fetch] }, target: gpt }\n\
        { when: { tools: false, language: [ja, unknown] }, target: azure }\n\
        { when: { workload: support }, route: small }";
    let config = right(&with_rules(rules));
    let shown: Vec<_> = config.snapshot.routes["small"]
        .rules
        .iter()
        .map(|rule| format!("{}: {} -> {}", rule.name, rule.when, rule.to.choice()))
        .collect();
    expect![[r#"
        gold: header x-tier is gold or plat*, tenant is shop -> route long
        2: prompt bytes are up to 1048576, prompt tokens are over 30000 -> route gpt-4o
        3: a tool is search_* or fetch -> target gpt
        4: no tools, language is ja or unknown -> target azure
        5: workload is support -> route small"#]]
    .assert_eq(&shown.join("\n"));
    let rules = &config.snapshot.routes["small"].rules;
    assert!(rules.iter().all(|rule| rule.to.route().rules.is_empty()), "rules are looked at once");
    assert_eq!((rules[2].to.route().name.as_str(), rules[2].to.route().target.as_str()), ("small", "gpt"));
}

#[test]
fn a_rule_that_leads_nowhere_or_is_never_reached() {
    check(
        "routes:\n",
        "routes:\n  long: { target: azure }\n  any-*: { target: azure }\n  small:\n    target: qwen\n    rules:\n      \
         - { when: { prompt_bytes: { over: 1KiB } }, route: lnog }\n      \
         - { when: { prompt_bytes: { over: 2KiB } }, target: gtp }\n      \
         - { when: { tools: true }, route: long }\n      \
         - { when: { tools: [fetch], tenant: shop }, target: gpt }\n      \
         - { when: { tenant: shop }, route: any-* }\n      \
         - { when: { tenant: bank }, route: long, target: gpt }\n      \
         - { when: { tenant: bank } }\n      \
         - { name: none, when: {}, route: long }\n",
        expect![[r#"
            crossfade.yaml:19:58: `routes.small.rules[0].route`: there is no route `lnog`
             19 |       - { when: { prompt_bytes: { over: 1KiB } }, route: lnog }
                |                                                          ^^^^
               hint: did you mean `long`?

            crossfade.yaml:20:59: `routes.small.rules[1].target`: there is no target `gtp`
             20 |       - { when: { prompt_bytes: { over: 2KiB } }, target: gtp }
                |                                                           ^^^
               hint: did you mean `gpt`?

            crossfade.yaml:22:9: `routes.small.rules[3]`: this rule is never reached: rule `3` takes every request that it would
             22 |       - { when: { tools: [fetch], tenant: shop }, target: gpt }
                |         ^^
               hint: move it up, or remove it

            crossfade.yaml:23:42: `routes.small.rules[4].route`: a rule chooses one route, not a pattern
             23 |       - { when: { tenant: shop }, route: any-* }
                |                                          ^^^^^
               hint: name a route without `*`

            crossfade.yaml:24:56: `routes.small.rules[5].target`: a rule chooses a route or a target, not both
             24 |       - { when: { tenant: bank }, route: long, target: gpt }
                |                                                        ^^^
               hint: remove one of them

            crossfade.yaml:25:9: `routes.small.rules[6]`: a rule chooses something: `route` or `target` is missing
             25 |       - { when: { tenant: bank } }
                |         ^^

            crossfade.yaml:26:17: `routes.small.rules[7].name`: `none` is what requests are counted under for which no rule holds
             26 |       - { name: none, when: {}, route: long }
                |                 ^^^^
               hint: take another name

            crossfade.yaml:26:29: `routes.small.rules[7].when`: a rule without a condition takes every request
             26 |       - { name: none, when: {}, route: long }
                |                             ^
               hint: give it one, or make its choice the route's own target

            8 errors in crossfade.yaml
        "#]],
    );
}

#[test]
fn conditions_that_make_no_sense() {
    check(
        "routes:\n",
        "routes:\n  long: { target: azure }\n  small:\n    target: qwen\n    rules:\n      \
         - { when: { headers: { Authorization: x, \"a b\": y, x-a: \"*b*\" } }, route: long }\n      \
         - { when: { prompt_bytes: { over: 2KiB, up_to: 1KiB } }, route: long }\n      \
         - { when: { prompt_tokens: { above: 2 } }, route: long }\n      \
         - { when: { language: [xx], workload: suport, tenant: [] }, route: long }\n",
        expect![[r#"
            crossfade.yaml:18:45: `routes.small.rules[0].when.headers.Authorization`: a rule does not look at credentials
             18 |       - { when: { headers: { Authorization: x, "a b": y, x-a: "*b*" } }, route: long }
                |                                             ^
               hint: use `tenant`, which the key says

            crossfade.yaml:18:55: `routes.small.rules[0].when.headers."a b"`: this is no name of a header
             18 |       - { when: { headers: { Authorization: x, "a b": y, x-a: "*b*" } }, route: long }
                |                                                       ^
               hint: letters, digits and dashes

            crossfade.yaml:18:63: `routes.small.rules[0].when.headers.x-a`: expected a text with at most one `*`, which stands for any text
             18 |       - { when: { headers: { Authorization: x, "a b": y, x-a: "*b*" } }, route: long }
                |                                                               ^^^^^^

            crossfade.yaml:19:33: `routes.small.rules[1].when.prompt_bytes`: no size is over the one and up to the other
             19 |       - { when: { prompt_bytes: { over: 2KiB, up_to: 1KiB } }, route: long }
                |                                 ^^
               hint: make `up_to` the larger one

            crossfade.yaml:20:34: `routes.small.rules[2].when.prompt_tokens`: a size has a bound: `over`, `up_to` or both
             20 |       - { when: { prompt_tokens: { above: 2 } }, route: long }
                |                                  ^^

            crossfade.yaml:20:36: `routes.small.rules[2].when.prompt_tokens.above`: unknown key
             20 |       - { when: { prompt_tokens: { above: 2 } }, route: long }
                |                                    ^^^^^
               hint: known here: over, up_to

            crossfade.yaml:21:30: `routes.small.rules[3].when.language[0]`: expected the code of a language that can be told from its text
             21 |       - { when: { language: [xx], workload: suport, tenant: [] }, route: long }
                |                              ^^
               hint: such as `en`, `de`, `zh`, or `unknown`

            crossfade.yaml:21:45: `routes.small.rules[3].when.workload`: there is no workload `suport`
             21 |       - { when: { language: [xx], workload: suport, tenant: [] }, route: long }
                |                                             ^^^^^^
               hint: did you mean `support`?

            crossfade.yaml:21:61: `routes.small.rules[3].when.tenant`: an empty list of tenants never holds
             21 |       - { when: { language: [xx], workload: suport, tenant: [] }, route: long }
                |                                                             ^

            9 errors in crossfade.yaml
        "#]],
    );
}

#[test]
fn a_rule_goes_round_no_rollout() {
    check(
        "workload: support }",
        "workload: support, rules: [{ when: { tools: true }, target: azure }] }",
        expect![[r#"
            crossfade.yaml:14:105: `routes.gpt-4o.rules[0].target`: a rule that chooses a target, on the route `gpt-4o` that a rollout splits
             14 |   gpt-4o: { target: gpt, fallback: [azure], workload: support, rules: [{ when: { tools: true }, target: azure }] }
                |                                                                                                         ^^^^^
               hint: the rollout decides who answers here; choose another route (`route: NAME`), whose own rollout then applies

            1 error in crossfade.yaml
        "#]],
    );
}

#[test]
fn a_rollout_starts_afresh_when_rules_change_which_requests_its_route_gets() {
    let fingerprint = |text: &str| right(text).snapshot.rollouts["support-to-qwen"].fingerprint.clone();
    let none = fingerprint(&edited("routes:\n", "routes:\n  small: { target: qwen }\n"));
    let other = fingerprint(&with_rules("{ when: { tools: true }, route: long }"));
    assert_eq!(none, other, "rules about other routes change nothing");
    let here = fingerprint(&with_rules("{ when: { tools: true }, route: gpt-4o }"));
    let less = fingerprint(&with_rules("{ when: { tools: false }, route: gpt-4o }"));
    assert!(none != here && here != less);
}
