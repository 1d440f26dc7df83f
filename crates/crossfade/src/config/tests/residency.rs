//! What may not leave the house, as it is written.

use expect_test::expect;
use govern::Residency;

use super::{check, edited, right};

#[test]
fn a_route_is_as_strict_as_it_says_itself_or_its_workload_says() {
    let of = |text: &str| right(text).snapshot.routes["gpt-4o"].residency;
    let inside =
        edited("api_key: ${OPENAI_API_KEY} }", "api_key: ${OPENAI_API_KEY}, class: self_hosted, region: rack-7 }");
    assert_eq!(of(&inside), Residency::Anywhere);
    assert_eq!(
        of(&inside.replace("workload: support }", "workload: support, residency: internal }")),
        Residency::Internal
    );
    assert_eq!(of(&inside.replace("risk: medium }", "risk: medium, residency: internal }")), Residency::Internal);
    let both = inside.replace("workload: support }", "workload: support, residency: anywhere }");
    assert_eq!(of(&both.replace("risk: medium }", "risk: medium, residency: internal }")), Residency::Internal);
    let config =
        right(&(inside + "tenants: { clinic: { residency: internal }, shop: { residency: anywhere }, other: {} }\n"));
    assert_eq!(config.snapshot.internal_tenants.iter().collect::<Vec<_>>(), ["clinic"]);
    assert_eq!(config.snapshot.targets["gpt"].provider.region.as_deref(), Some("rack-7"));
    assert!(config.snapshot.tenants.contains_key("clinic"));
}

#[test]
fn an_internal_route_names_nobody_outside_the_house() {
    check(
        "fallback: [azure], workload: support }",
        "fallback: [azure, qwen], emergency_fallback: true, workload: support, residency: internal }",
        expect![[r#"
            crossfade.yaml:14:21: `routes.gpt-4o.target`: `gpt` is outside the house (provider `openai`, class vendor), and route `gpt-4o` is internal
             14 |   gpt-4o: { target: gpt, fallback: [azure, qwen], emergency_fallback: true, workload: support, residency: internal }
                |                     ^^^
               hint: name another target; if `openai` is in the house, write `class: self_hosted` there

            crossfade.yaml:14:37: `routes.gpt-4o.fallback[0]`: `azure` is outside the house (provider `openai`, class vendor), and route `gpt-4o` is internal
             14 |   gpt-4o: { target: gpt, fallback: [azure, qwen], emergency_fallback: true, workload: support, residency: internal }
                |                                     ^^^^^
               hint: name another target; if `openai` is in the house, write `class: self_hosted` there

            crossfade.yaml:20:15: `rollouts.support-to-qwen.baseline`: `gpt` is outside the house (provider `openai`, class vendor), and route `gpt-4o` is internal
             20 |     baseline: gpt
                |               ^^^
               hint: name another target; if `openai` is in the house, write `class: self_hosted` there

            3 errors in crossfade.yaml
        "#]],
    );
    check(
        "risk: medium }",
        "risk: medium, residency: internal }",
        expect![[r#"
        crossfade.yaml:14:21: `routes.gpt-4o.target`: `gpt` is outside the house (provider `openai`, class vendor), and route `gpt-4o` is internal
         14 |   gpt-4o: { target: gpt, fallback: [azure], workload: support }
            |                     ^^^
           hint: name another target; if `openai` is in the house, write `class: self_hosted` there

        crossfade.yaml:14:37: `routes.gpt-4o.fallback[0]`: `azure` is outside the house (provider `openai`, class vendor), and route `gpt-4o` is internal
         14 |   gpt-4o: { target: gpt, fallback: [azure], workload: support }
            |                                     ^^^^^
           hint: name another target; if `openai` is in the house, write `class: self_hosted` there

        crossfade.yaml:20:15: `rollouts.support-to-qwen.baseline`: `gpt` is outside the house (provider `openai`, class vendor), and route `gpt-4o` is internal
         20 |     baseline: gpt
            |               ^^^
           hint: name another target; if `openai` is in the house, write `class: self_hosted` there

        3 errors in crossfade.yaml
    "#]],
    );
}

#[test]
fn words_of_residency_are_held_to_their_list() {
    check(
        "workload: support }",
        "workload: support, residency: intern }",
        expect![[r#"
        crossfade.yaml:14:75: `routes.gpt-4o.residency`: expected one of `anywhere`, `internal`, found `intern`
         14 |   gpt-4o: { target: gpt, fallback: [azure], workload: support, residency: intern }
            |                                                                           ^^^^^^
           hint: did you mean `internal`?

        1 error in crossfade.yaml
    "#]],
    );
    check(
        "class: self_hosted",
        "class: selfhosted",
        expect![[r#"
        crossfade.yaml:6:69: `providers.gpu.class`: expected one of `vendor`, `hosted`, `self_hosted`, `external`, found `selfhosted`
         6 |   gpu:    { dialect: openai, base_url: http://gpu-1:8000/v1, class: selfhosted }
           |                                                                     ^^^^^^^^^^
           hint: did you mean `self_hosted`?

        1 error in crossfade.yaml
    "#]],
    );
    check(
        "class: self_hosted",
        "class: self_hosted, region: \"eu west\"",
        expect![[r#"
        crossfade.yaml:6:90: `providers.gpu.region`: expected a region such as `eu-west-1` or `rack-7`, found `eu west`
         6 |   gpu:    { dialect: openai, base_url: http://gpu-1:8000/v1, class: self_hosted, region: "eu west" }
           |                                                                                          ^^^^^^^^^^

        1 error in crossfade.yaml
    "#]],
    );
}

#[test]
fn no_rule_leads_an_internal_route_out_of_the_house() {
    let rules = "  gpt-4o: { target: qwen, residency: internal, rules: [{ when: { tools: true }, target: azure }, { when: { streamed: true }, route: other }] }\n  other: { target: gpt }\n";
    let text = edited("  gpt-4o: { target: gpt, fallback: [azure], workload: support }\n", rules);
    let text = &text[..text.find("rollouts:").unwrap()];
    let found = super::errors(text);
    let outside = found.lines().filter(|line| line.contains("is outside the house")).count();
    assert_eq!(outside, 2, "{found}");
}
