//! One golden text per kind of error, over a config that is right but for one edit.

mod cache;
mod calling;
mod cascade;
mod cohorts;
mod judged;
mod policy;
mod prices;
mod residency;
mod rules;
mod spaces;
mod vectors;

use expect_test::{Expect, expect, expect_file};

use gateway::snapshot::{OnInvalid, StreamValidation, Validation};

use super::{Config, render, resolve};

const RIGHT: &str = include_str!("tests/right.yaml");

fn environment(name: &str) -> Option<String> {
    matches!(name, "OPENAI_API_KEY" | "CROSSFADE_ADMIN_TOKEN").then(|| "sk-canary".to_owned())
}

fn right(text: &str) -> Config {
    resolve("crossfade.yaml", text, &environment).map_err(|errors| render(&errors)).unwrap()
}

fn errors(text: &str) -> String {
    let resolved = resolve("crossfade.yaml", text, &environment);
    resolved.err().map_or_else(|| "no errors\n".into(), |errors| render(&errors))
}

/// The right config with `from` (which must be there) replaced by `to`.
fn edited(from: &str, to: &str) -> String {
    assert!(RIGHT.contains(from), "`{from}` is not in right.yaml");
    RIGHT.replacen(from, to, 1)
}

#[expect(clippy::needless_pass_by_value, reason = "an expectation is written in place")]
fn check(from: &str, to: &str, expected: Expect) {
    expected.assert_eq(&errors(&edited(from, to)));
}

#[test]
fn the_right_config_and_the_one_init_writes_resolve() {
    let config = right(RIGHT);
    assert_eq!(config.snapshot.targets.len(), 3);
    assert_eq!(config.snapshot.rollouts["support-to-qwen"].policy.steps.len(), 6);
    right(crate::verbs::init::TEMPLATE);
    let rehearsal = right(crate::verbs::init::SIMULATED);
    assert_eq!(
        rehearsal.snapshot.prices.of.keys().collect::<Vec<_>>(),
        ["gpt", "qwen"],
        "what a rehearsal costs is known"
    );
    crate::verbs::init::PROFILES.into_iter().for_each(|(_, profile)| drop(right(profile)));
    right("");
}

#[test]
fn the_config_of_the_reference_page_resolves_to_the_defaults_of_its_risk() {
    let page = include_str!("../../../../docs/reference/config.md");
    let block = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let config = resolve("config.md", block, &|_| Some("a value of some length".into()))
        .map_err(|errors| render(&errors))
        .unwrap();
    let policy = &config.snapshot.rollouts["support-to-qwen"].policy;
    assert_eq!(policy, &rollout::Policy::template(rollout::Risk::Medium));
    assert_eq!(config.snapshot.limits, gateway::snapshot::Limits::default());
    assert_eq!(config.snapshot.drain, gateway::snapshot::Drain::default());
    let simulated = providers::simulated::SimulatedConfig::default();
    assert!(matches!(&config.snapshot.targets["qwen"].provider.dialect,
        providers::Dialect::Simulated(read) if **read == simulated));
}

#[test]
fn a_variable_is_replaced_and_never_printed() {
    let config = right(RIGHT);
    let key = config.snapshot.targets["gpt"].provider.api_key.as_ref();
    assert_eq!(key.map(|key| key.expose().as_str()), Some("sk-canary"));
    assert!(!format!("{config:?}").contains("sk-canary"));
}

#[test]
fn paths_count_from_the_directory_of_the_file() {
    let config =
        resolve("/etc/crossfade/crossfade.yaml", RIGHT, &environment).map_err(|errors| render(&errors)).unwrap();
    assert_eq!(config.store, std::path::Path::new("/etc/crossfade/./crossfade.db"));
    assert_eq!(config.record.dir, std::path::Path::new("/etc/crossfade/crossfade-journal"));
}

#[test]
fn stages_override_the_template_of_the_risk() {
    let stages =
        "stages: { shadow: { sample: 0.5, min_pairs: 40, min_duration: 2s }, canary: { shares: [0.2], approvals: 0 } }";
    let policy =
        &right(&edited("stages: { shadow: { sample: 1.0 } }", stages)).snapshot.rollouts["support-to-qwen"].policy;
    assert_eq!((policy.shadow_sample, policy.steps[0].min_pairs), (0.5, 40));
    assert_eq!(policy.steps.iter().map(|step| step.share).collect::<Vec<_>>(), [0.0, 0.2, 0.5, 0.9, 0.98]);
    assert_eq!((policy.steps[1].min_units, policy.steps[1].approvals), (2000, 0));
}

#[test]
fn many_errors_are_reported_at_once() {
    expect_file!["tests/many_errors.txt"].assert_eq(&errors(include_str!("tests/many_errors.yaml")));
}

#[test]
fn secrets_do_not_show_in_a_snippet() {
    for line in
        ["api_key: sk-live, dialect: x", "api_key: \"sk-live, more\", dialect: x", "dialect: x, api_key: 'sk-live'"]
    {
        let text = errors(&format!("providers:\n  a: {{ {line} }}\n"));
        assert!(text.contains("expected one of") && !text.contains("sk-live"), "{text}");
    }
}

#[test]
fn unknown_key() {
    check(
        "model: gpt-4o",
        "modle: gpt-4o",
        expect![[r#"
        crossfade.yaml:10:10: `targets.gpt.model`: `model` is missing
         10 |   gpt:   { provider: openai, modle: gpt-4o }
            |          ^^

        crossfade.yaml:10:30: `targets.gpt.modle`: unknown key
         10 |   gpt:   { provider: openai, modle: gpt-4o }
            |                              ^^^^^
           hint: did you mean `model`?

        2 errors in crossfade.yaml
    "#]],
    );
    check(
        "dialect: openai, base_url: http://gpu",
        "zzz: 1, base_url: http://gpu",
        expect![[r#"
            crossfade.yaml:6:13: `providers.gpu.zzz`: unknown key
             6 |   gpu:    { zzz: 1, base_url: http://gpu-1:8000/v1, class: self_hosted }
               |             ^^^
               hint: known here: api_key, base_url, ca_file, capabilities, class, connection_lifetime, dialect, forward_headers, http2, http2_ping, idle_timeout, kind, max_connections, price, region, retries, retry_budget, speaks, timeouts

            1 error in crossfade.yaml
        "#]],
    );
}

#[test]
fn wrong_type() {
    check(
        "targets:\n",
        "limits: { max_connections: many, max_body: [1] }\ntargets:\n",
        expect![[r#"
        crossfade.yaml:9:28: `limits.max_connections`: expected a whole number from 1 to 1048576, found `many`
         9 | limits: { max_connections: many, max_body: [1] }
           |                            ^^^^

        crossfade.yaml:9:44: `limits.max_body`: expected a size such as `4096`, `64KiB`, `32MiB` or `1GiB`, found a list
         9 | limits: { max_connections: many, max_body: [1] }
           |                                            ^

        2 errors in crossfade.yaml
    "#]],
    );
    check(
        "fallback: [azure]",
        "fallback: azure",
        expect![[r#"
        crossfade.yaml:14:36: `routes.gpt-4o.fallback`: expected a list of targets, found `azure`
         14 |   gpt-4o: { target: gpt, fallback: azure, workload: support }
            |                                    ^^^^^

        1 error in crossfade.yaml
    "#]],
    );
    check(
        "risk: medium",
        "risk: mediun",
        expect![[r#"
        crossfade.yaml:16:20: `workloads.support.risk`: expected one of `low`, `medium`, `high`, found `mediun`
         16 |   support: { risk: mediun }
            |                    ^^^^^^
           hint: did you mean `medium`?

        1 error in crossfade.yaml
    "#]],
    );
    check(
        "workload: support",
        "workload: support, emergency_fallback: maybe",
        expect![[r#"
        crossfade.yaml:14:84: `routes.gpt-4o.emergency_fallback`: expected `true` or `false`, found `maybe`
         14 |   gpt-4o: { target: gpt, fallback: [azure], workload: support, emergency_fallback: maybe }
            |                                                                                    ^^^^^

        1 error in crossfade.yaml
    "#]],
    );
    check(
        "workload: support",
        "workload: support, emergency_fallback: yes",
        expect![[r#"
        crossfade.yaml:14:84: `routes.gpt-4o.emergency_fallback`: expected `true` or `false`, found `yes`
         14 |   gpt-4o: { target: gpt, fallback: [azure], workload: support, emergency_fallback: yes }
            |                                                                                    ^^^
           hint: did you mean `true`?

        1 error in crossfade.yaml
    "#]],
    );
}

#[test]
fn what_is_done_about_invalid_answers_is_one_of_a_few_words() {
    check(
        "workload: support",
        "workload: support, validation: { on_invalid: repare }",
        expect![[r#"
        crossfade.yaml:14:90: `routes.gpt-4o.validation.on_invalid`: expected one of `count`, `repair`, `retry`, `fail_over`, found `repare`
         14 |   gpt-4o: { target: gpt, fallback: [azure], workload: support, validation: { on_invalid: repare } }
            |                                                                                          ^^^^^^
           hint: did you mean `repair`?

        1 error in crossfade.yaml
    "#]],
    );
    check(
        "workload: support",
        "workload: support, validation: { streams: hold }",
        expect![[r#"
        crossfade.yaml:14:87: `routes.gpt-4o.validation.streams`: streams would be held back, and nothing done about what is found
         14 |   gpt-4o: { target: gpt, fallback: [azure], workload: support, validation: { streams: hold } }
            |                                                                                       ^^^^
           hint: write `on_invalid: repair`, `retry` or `fail_over` beside it

        1 error in crossfade.yaml
    "#]],
    );
    let config =
        right(&edited("workload: support", "workload: support, validation: { on_invalid: fail_over, streams: hold }"));
    let expected = Validation { on_invalid: OnInvalid::FailOver, streams: StreamValidation::Hold };
    assert_eq!(config.snapshot.routes["gpt-4o"].validation, expected);
}

#[test]
fn missing_key() {
    check(
        "provider: gpu, ",
        "",
        expect![[r#"
        crossfade.yaml:12:10: `targets.qwen.provider`: `provider` is missing
         12 |   qwen:  { model: Qwen/Qwen3-32B, prompt_variant: terse, parameters: { set: { temperature: 0.2 } } }
            |          ^^

        1 error in crossfade.yaml
    "#]],
    );
}

#[test]
fn target_names_no_provider() {
    check(
        "provider: gpu",
        "provider: gpus",
        expect![[r#"
        crossfade.yaml:12:22: `targets.qwen.provider`: there is no provider `gpus`
         12 |   qwen:  { provider: gpus, model: Qwen/Qwen3-32B, prompt_variant: terse, parameters: { set: { temperature: 0.2 } } }
            |                      ^^^^
           hint: did you mean `gpu`?

        1 error in crossfade.yaml
    "#]],
    );
}

#[test]
fn target_names_no_prompt() {
    check(
        "prompt_variant: terse",
        "prompt_variant: tense",
        expect![[r#"
        crossfade.yaml:12:66: `targets.qwen.prompt_variant`: there is no prompt `tense`
         12 |   qwen:  { provider: gpu, model: Qwen/Qwen3-32B, prompt_variant: tense, parameters: { set: { temperature: 0.2 } } }
            |                                                                  ^^^^^
           hint: did you mean `terse`?

        1 error in crossfade.yaml
    "#]],
    );
}

#[test]
fn route_names_no_target_and_no_workload() {
    check(
        "target: gpt, fallback: [azure], workload: support",
        "target: gtp, fallback: [azur], workload: sales",
        expect![[r#"
        crossfade.yaml:14:21: `routes.gpt-4o.target`: there is no target `gtp`
         14 |   gpt-4o: { target: gtp, fallback: [azur], workload: sales }
            |                     ^^^
           hint: did you mean `gpt`?

        crossfade.yaml:14:37: `routes.gpt-4o.fallback[0]`: there is no target `azur`
         14 |   gpt-4o: { target: gtp, fallback: [azur], workload: sales }
            |                                     ^^^^
           hint: did you mean `azure`?

        crossfade.yaml:14:54: `routes.gpt-4o.workload`: there is no workload `sales`
         14 |   gpt-4o: { target: gtp, fallback: [azur], workload: sales }
            |                                                      ^^^^^
           hint: defined: support

        3 errors in crossfade.yaml
    "#]],
    );
}

#[test]
fn route_falls_back_to_its_own_target() {
    check(
        "fallback: [azure]",
        "fallback: [gpt]",
        expect![[r#"
        crossfade.yaml:14:37: `routes.gpt-4o.fallback[0]`: `gpt` is the route's own target
         14 |   gpt-4o: { target: gpt, fallback: [gpt], workload: support }
            |                                     ^^^
           hint: name another, or remove it

        1 error in crossfade.yaml
    "#]],
    );
}

#[test]
fn a_star_stands_for_one_thing_and_for_something() {
    check(
        "model: gpt-4o }",
        "model: \"*\" }",
        expect![[r#"
        crossfade.yaml:14:21: `routes.gpt-4o.target`: the `*` in the model of `gpt` means nothing on the route `gpt-4o`, which has none
         14 |   gpt-4o: { target: gpt, fallback: [azure], workload: support }
            |                     ^^^
           hint: name a target with a model of its own, or a route such as `openai/*`

        1 error in crossfade.yaml
    "#]],
    );
    check(
        "  gpt-4o: { target: gpt,",
        "  \"*/*\": { target: gpt,",
        expect![[r#"
        crossfade.yaml:14:10: `routes.*/*`: a name has at most one `*`
         14 |   "*/*": { target: gpt, fallback: [azure], workload: support }
            |          ^^

        crossfade.yaml:19:12: `rollouts.support-to-qwen.route`: there is no route `gpt-4o`
         19 |     route: gpt-4o
            |            ^^^^^^
           hint: defined: */*

        2 errors in crossfade.yaml
    "#]],
    );
}

#[test]
fn rollout_names_no_route_and_no_target() {
    check(
        "route: gpt-4o\n    baseline: gpt",
        "route: gpt-4\n    baseline: gp",
        expect![[r#"
        crossfade.yaml:19:12: `rollouts.support-to-qwen.route`: there is no route `gpt-4`
         19 |     route: gpt-4
            |            ^^^^^
           hint: did you mean `gpt-4o`?

        crossfade.yaml:20:15: `rollouts.support-to-qwen.baseline`: there is no target `gp`
         20 |     baseline: gp
            |               ^^
           hint: did you mean `gpt`?

        2 errors in crossfade.yaml
    "#]],
    );
}

#[test]
fn candidate_is_the_baseline() {
    check(
        "candidate: qwen",
        "candidate: gpt",
        expect![[r#"
        crossfade.yaml:21:16: `rollouts.support-to-qwen.candidate`: the candidate is the baseline, `gpt`
         21 |     candidate: gpt
            |                ^^^
           hint: name the target you want to move to

        1 error in crossfade.yaml
    "#]],
    );
}

#[test]
fn two_listeners_on_one_address() {
    check(
        "admin:  { listen: 127.0.0.1:4001 }",
        "admin: { listen: 127.0.0.1:4000 }",
        expect![[r#"
            crossfade.yaml:2:18: `admin.listen`: 127.0.0.1:4000 is `listen` already, where callers come in
             2 | admin: { listen: 127.0.0.1:4000 }
               |                  ^^^^^^^^^^^^^^
               hint: give it a port of its own

            1 error in crossfade.yaml
        "#]],
    );
}

#[test]
fn baseline_is_not_what_the_route_serves() {
    check(
        "baseline: gpt",
        "baseline: azure",
        expect![[r#"
        crossfade.yaml:20:15: `rollouts.support-to-qwen.baseline`: route `gpt-4o` serves `gpt`, not this baseline
         20 |     baseline: azure
            |               ^^^^^
           hint: write `baseline: gpt`; a rollout that has completed is taken out instead

        1 error in crossfade.yaml
    "#]],
    );
}

#[test]
fn candidate_is_a_fallback_of_its_route() {
    check(
        "fallback: [azure]",
        "fallback: [azure, qwen]",
        expect![[r#"
        crossfade.yaml:14:44: `routes.gpt-4o.fallback[1]`: `qwen` is the candidate of a rollout on this route, so it is nobody's fallback
         14 |   gpt-4o: { target: gpt, fallback: [azure, qwen], workload: support }
            |                                            ^^^^
           hint: remove it, or write `emergency_fallback: true` on the route: such answers are labelled and no evidence

        1 error in crossfade.yaml
    "#]],
    );
    let allowed = edited("fallback: [azure]", "fallback: [azure, qwen], emergency_fallback: true");
    assert_eq!(errors(&allowed), "no errors\n");
    let guarded = edited("listen: 127.0.0.1:4000", "auth: { required: true }\nlisten: 0.0.0.0:4000");
    assert_eq!(errors(&guarded.replace("127.0.0.1:4001", "0.0.0.0:4001")), "no errors\n");
}

#[test]
fn two_rollouts_of_one_route_are_contenders_and_have_a_candidate_each() {
    let twice = "rollouts:\n  second: { route: gpt-4o, baseline: gpt, candidate: qwen }\n";
    check(
        "rollouts:\n",
        twice,
        expect![[r#"
            crossfade.yaml:22:16: `rollouts.support-to-qwen.candidate`: the rollout `second` already takes `gpt-4o` to `qwen`
             22 |     candidate: qwen
                |                ^^^^
               hint: several rollouts of one route are contenders, each with a candidate of its own; remove one

            1 error in crossfade.yaml
        "#]],
    );
}

#[test]
fn missing_environment_variable() {
    check(
        "${OPENAI_API_KEY}",
        "Bearer ${OPENAI_KEY}",
        expect![[r#"
        crossfade.yaml:5:83: `providers.openai.api_key`: the environment variable OPENAI_KEY is not set
         5 |   openai: { dialect: openai, base_url: https://api.openai.com/v1, api_key: *******************} }
           |                                                                                   ^^^^^^^^^^^^^
           hint: export OPENAI_KEY=… before you start Crossfade; write `$${` for a literal `${`

        1 error in crossfade.yaml
    "#]],
    );
}

#[test]
fn share_out_of_range() {
    check(
        "sample: 1.0",
        "sample: 25%",
        expect![[r#"
        crossfade.yaml:23:33: `rollouts.support-to-qwen.stages.shadow.sample`: a share is a fraction from 0 to 1, not a percentage
         23 |     stages: { shadow: { sample: 25% } }
            |                                 ^^^
           hint: for 25 % write 0.25

        1 error in crossfade.yaml
    "#]],
    );
    check(
        "sample: 1.0",
        "sample: -0.5",
        expect![[r#"
        crossfade.yaml:23:33: `rollouts.support-to-qwen.stages.shadow.sample`: a share is between 0 and 1, found -0.5
         23 |     stages: { shadow: { sample: -0.5 } }
            |                                 ^^^^

        1 error in crossfade.yaml
    "#]],
    );
    check(
        "stages: {",
        "stages: { canary: { shares: [5, 10] },",
        expect![[r#"
        crossfade.yaml:23:34: `rollouts.support-to-qwen.stages.canary.shares[0]`: a share is between 0 and 1, found 5
         23 |     stages: { canary: { shares: [5, 10] }, shadow: { sample: 1.0 } }
            |                                  ^
           hint: for 5 % write 0.05

        crossfade.yaml:23:37: `rollouts.support-to-qwen.stages.canary.shares[1]`: a share is between 0 and 1, found 10
         23 |     stages: { canary: { shares: [5, 10] }, shadow: { sample: 1.0 } }
            |                                     ^^
           hint: for 10 % write 0.1

        2 errors in crossfade.yaml
    "#]],
    );
    check(
        "stages: {",
        "stages: { canary: { shares: [0.2, 0.1] },",
        expect![[r#"
        crossfade.yaml:23:13: `rollouts.support-to-qwen.stages`: stages.canary: share 0.1 must be higher than the step before (0.2)
         23 |     stages: { canary: { shares: [0.2, 0.1] }, shadow: { sample: 1.0 } }
            |             ^^

        1 error in crossfade.yaml
    "#]],
    );
}

#[test]
fn bad_duration_and_size() {
    let limits = "limits: { header_timeout: 10, max_body: 32MB }\ntargets:\n";
    check(
        "targets:\n",
        limits,
        expect![[r#"
        crossfade.yaml:9:27: `limits.header_timeout`: expected a duration such as `250ms`, `30s`, `5m`, `24h` or `7d`, found `10`
         9 | limits: { header_timeout: 10, max_body: 32MB }
           |                           ^^

        crossfade.yaml:9:41: `limits.max_body`: expected a size such as `4096`, `64KiB`, `32MiB` or `1GiB`, found `32MB`
         9 | limits: { header_timeout: 10, max_body: 32MB }
           |                                         ^^^^

        2 errors in crossfade.yaml
    "#]],
    );
}

#[test]
fn bad_url() {
    check(
        "base_url: http://gpu-1:8000/v1",
        "base_url: gpu-1:8000/v1",
        expect![[r#"
        crossfade.yaml:6:40: `providers.gpu.base_url`: `gpu-1:8000/v1` is not a URL; write https://host/v1
         6 |   gpu:    { dialect: openai, base_url: gpu-1:8000/v1, class: self_hosted }
           |                                        ^^^^^^^^^^^^^

        1 error in crossfade.yaml
    "#]],
    );
    check(
        "http://gpu-1:8000/v1",
        "http://user:pass@gpu-1:8000/v1",
        expect![[r#"
            crossfade.yaml:6:40: `providers.gpu.base_url`: a provider's URL carries no user name or password; use `api_key`
             6 |   gpu:    { dialect: openai, base_url: http://*********@gpu-1:8000/v1, class: self_hosted }
               |                                        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

            1 error in crossfade.yaml
        "#]],
    );
}

#[test]
fn bad_addresses() {
    check(
        "listen: 127.0.0.1:4000",
        "listen: 4000",
        expect![[r#"
        crossfade.yaml:1:9: `listen`: expected an address such as `127.0.0.1:4000` or `[::]:4000`, found `4000`
         1 | listen: 4000
           |         ^^^^

        1 error in crossfade.yaml
    "#]],
    );
    check(
        "listen: 127.0.0.1:4000",
        "listen: 0.0.0.0:4000",
        expect![[r#"
            crossfade.yaml:1:9: `listen`: 0.0.0.0:4000 can be reached from other machines and asks nobody for a key
             1 | listen: 0.0.0.0:4000
               |         ^^^^^^^^^^^^
               hint: write `auth: { required: true }` and make keys with `crossfade keys create`, or listen on 127.0.0.1; `allow_unauthenticated: true` is for a place where something else asks for keys

            1 error in crossfade.yaml
        "#]],
    );
    check(
        "admin:  { listen: 127.0.0.1:4001 }",
        "admin: { listen: \"[::]:4001\" }",
        expect![[r#"
            crossfade.yaml:2:18: `admin.listen`: [::]:4001 can be reached from other machines and has no `admin.token`
             2 | admin: { listen: "[::]:4001" }
               |                  ^^^^^^^^^^^^
               hint: write `auth: { required: true }` and make a key with a role, add `token: ${CROSSFADE_ADMIN_TOKEN}` next to it, or listen on 127.0.0.1

            1 error in crossfade.yaml
        "#]],
    );
    let allowed = edited("listen: 127.0.0.1:4000", "allow_unauthenticated: true\nlisten: 0.0.0.0:4000");
    assert_eq!(errors(&allowed), "no errors\n");
}

#[test]
fn store_of_another_kind() {
    check(
        "store:  sqlite:./crossfade.db",
        "store: postgres://db/crossfade",
        expect![[r#"
        crossfade.yaml:3:8: `store`: this version stores in SQLite only
         3 | store: postgres://db/crossfade
           |        ^^^^^^^^^^^^^^^^^^^^^^^
           hint: write `store: sqlite:./crossfade.db`

        1 error in crossfade.yaml
    "#]],
    );
}

#[test]
fn duplicate_key() {
    check(
        "targets:\n",
        "store: sqlite:other.db\ntargets:\n",
        expect![[r#"
        crossfade.yaml:9:1: `store`: `store` is written twice; the first is on line 3
         9 | store: sqlite:other.db
           | ^^^^^

        1 error in crossfade.yaml
    "#]],
    );
}

#[test]
fn yaml_syntax() {
    check(
        "targets:\n",
        "targets: [\n",
        expect![[r#"
        crossfade.yaml:11:3: not YAML: while parsing a flow mapping, did not find expected ',' or '}'
         11 |   azure: { provider: openai, model: gpt-4o-mini }
            |   ^

        1 error in crossfade.yaml
    "#]],
    );
    check(
        "  gpt:",
        "\tgpt:",
        expect![[r#"
        crossfade.yaml:10:2: not YAML: tabs disallowed within this context (block indentation)
         10 |  gpt:   { provider: openai, model: gpt-4o }
            |  ^
           hint: indent with spaces; YAML refuses tabs

        1 error in crossfade.yaml
    "#]],
    );
    check(
        "targets:\n",
        "---\ntargets:\n",
        expect![[r#"
        crossfade.yaml:9:1: not YAML: one file holds one document: remove the second `---`
         9 | ---
           | ^^^

        1 error in crossfade.yaml
    "#]],
    );
}

#[test]
fn policy_that_cannot_be_run() {
    let policy = "unit: conversation\n    policy: { alpha_harm: 0, guards: { error: { weight: 0.9 }, eror: {} } }";
    check(
        "unit: conversation",
        policy,
        expect![[r#"
            crossfade.yaml:23:13: `rollouts.support-to-qwen.policy`: alpha_harm: 0 must be above 0 and below 1
             23 |     policy: { alpha_harm: 0, guards: { error: { weight: 0.9 }, eror: {} } }
                |             ^^

            crossfade.yaml:23:13: `rollouts.support-to-qwen.policy`: guards: the weights sum to 1.1400000000000001, more than 1
             23 |     policy: { alpha_harm: 0, guards: { error: { weight: 0.9 }, eror: {} } }
                |             ^^

            crossfade.yaml:23:64: `rollouts.support-to-qwen.policy.guards.eror`: unknown key
             23 |     policy: { alpha_harm: 0, guards: { error: { weight: 0.9 }, eror: {} } }
                |                                                                ^^^^
               hint: did you mean `error`?

            3 errors in crossfade.yaml
        "#]],
    );
}

#[test]
fn capabilities_are_the_kinds_own_unless_written() {
    use wire::capability::{BackendKind, Capability, Treatment};
    let config =
        right(&edited("class: self_hosted", "class: self_hosted, kind: llama_cpp, capabilities: { seed: drop }"));
    let profile = &config.snapshot.targets["qwen"].provider.capabilities;
    assert_eq!(profile.kind(), BackendKind::LlamaCpp);
    assert!(profile.does(Capability::Seed, Treatment::Drop));
    assert!(profile.does(Capability::Functions, Treatment::Refuse));
    assert_eq!(config.snapshot.targets["gpt"].provider.capabilities.kind(), BackendKind::Openai, "by its address");
    let plain = right(RIGHT);
    assert_eq!(plain.snapshot.targets["qwen"].provider.capabilities.kind(), BackendKind::Generic);
    assert_ne!(plain.snapshot.targets["qwen"].fingerprint, config.snapshot.targets["qwen"].fingerprint);
}

#[test]
fn a_treatment_that_cannot_be_is_an_error_with_the_possible_ones() {
    check(
        "class: self_hosted",
        "class: self_hosted, kind: llama-cpp, capabilities: { sead: drop, seed: rename, models: fix }",
        expect![[r#"
            crossfade.yaml:6:88: `providers.gpu.kind`: expected one of `openai`, `azure`, `anthropic`, `vllm`, `sglang`, `llama_cpp`, `llama_cpp_python`, `transformers`, `tgi`, `ollama`, `generic`, found `llama-cpp`
             6 |   gpu:    { dialect: openai, base_url: http://gpu-1:8000/v1, class: self_hosted, kind: llama-cpp, capabilities: { sead: drop, seed: rename, models: fix } }
               |                                                                                        ^^^^^^^^^
               hint: did you mean `llama_cpp`?

            crossfade.yaml:6:115: `providers.gpu.capabilities.sead`: unknown key
             6 |   gpu:    { dialect: openai, base_url: http://gpu-1:8000/v1, class: self_hosted, kind: llama-cpp, capabilities: { sead: drop, seed: rename, models: fix } }
               |                                                                                                                   ^^^^
               hint: did you mean `seed`?

            crossfade.yaml:6:133: `providers.gpu.capabilities.seed`: expected one of `pass`, `count`, `drop`, `refuse`, found `rename`
             6 |   gpu:    { dialect: openai, base_url: http://gpu-1:8000/v1, class: self_hosted, kind: llama-cpp, capabilities: { sead: drop, seed: rename, models: fix } }
               |                                                                                                                                     ^^^^^^

            crossfade.yaml:6:149: `providers.gpu.capabilities.models`: this is the same for every provider
             6 |   gpu:    { dialect: openai, base_url: http://gpu-1:8000/v1, class: self_hosted, kind: llama-cpp, capabilities: { sead: drop, seed: rename, models: fix } }
               |                                                                                                                                                     ^^^
               hint: the gateway lists its routes; remove the line

            4 errors in crossfade.yaml
        "#]],
    );
}

#[test]
fn what_a_provider_keeps_goes_to_the_provider_the_config_names() {
    use wire::record::Endpoint;
    let config = right(&format!("{RIGHT}\npassthrough: {{ files: openai, batches: openai }}\n"));
    let route = &config.snapshot.passthrough[&Endpoint::Files];
    assert_eq!(config.snapshot.targets[&route.target].provider.name, "openai");
    assert_eq!(config.snapshot.passthrough.len(), 2);
    let wrong = errors(&format!("{RIGHT}\npassthrough: {{ file: openai, batches: opena }}\n"));
    assert!(wrong.contains("did you mean `files`?") && wrong.contains("did you mean `openai`?"), "{wrong}");
}

#[test]
fn an_azure_provider_has_a_version_and_a_bare_host() {
    use providers::Dialect;
    let azure =
        "azure: { dialect: azure, base_url: https://x.openai.azure.com, api_version: 2024-10-21, speaks: [chat] }";
    let config =
        right(&edited("  gpu: ", &format!("  {azure}\n  gpu: ")).replace("provider: openai", "provider: azure"));
    let provider = &config.snapshot.targets["gpt"].provider;
    assert_eq!(provider.base_url.as_str(), "https://x.openai.azure.com/openai");
    assert!(matches!(&provider.dialect, Dialect::Azure { api_version: Some(version) } if version == "2024-10-21"));
    assert_eq!(provider.speaks, [wire::translate::Dialect::Chat]);
    let wrong =
        errors(&edited("  gpu: ", "  azure: { dialect: azur, base_url: https://x, api_version: \"1&a=b\" }\n  gpu: "));
    assert!(wrong.contains("did you mean `azure`?") && wrong.contains("a version such as"), "{wrong}");
}
