//! What calls cost, and what is wrong with how it was written.

use expect_test::expect;

use super::{RIGHT, edited, errors, right};

const PRICES: &str = r#"
prices:
  source: contract 2026-114
  checked: 2026-11-01
  models:
    - { vendor: openai, id: gpt-4o, prices: [{ rates: { input: 1.75, output: 7.10 } }] }
"#;

/// The id of the row each target of the right config is priced by now, without its hash.
fn priced(text: &str) -> String {
    let config = right(text);
    let prices = &config.snapshot.prices;
    let row = |name: &String| {
        let target = &config.snapshot.targets[name];
        let tariff = prices.tariff(name, &target.model);
        let id = tariff.map(|tariff| tariff.row(cost::When(1_800_000_000), "standard").unwrap().id.to_string());
        format!("{name} {}", id.as_deref().and_then(|id| id.split('#').next()).unwrap_or("unknown"))
    };
    config.snapshot.targets.keys().map(row).collect::<Vec<_>>().join(", ")
}

#[test]
fn targets_are_priced_by_their_providers_host_unless_the_config_says_how() {
    assert_eq!(priced(RIGHT), "azure shipped:openai/gpt-4o-mini, gpt shipped:openai/gpt-4o, qwen unknown");
    let own = format!("{RIGHT}{PRICES}");
    assert_eq!(priced(&own), "azure shipped:openai/gpt-4o-mini, gpt config:openai/gpt-4o, qwen unknown");
    let alone = own.replace("prices:\n", "prices:\n  shipped: false\n");
    assert_eq!(priced(&alone), "azure unknown, gpt config:openai/gpt-4o, qwen unknown");
    let gpu = "gpu: { hour: 2.99, gpus: 2, concurrent_requests: 16 }, source: bench 7, checked: 2026-11-01";
    let with = |price: &str| edited("model: Qwen/Qwen3-32B,", &format!("model: Qwen/Qwen3-32B, price: {price},"));
    assert!(priced(&with(&format!("{{ {gpu} }}"))).contains("qwen config:gpu/Qwen/Qwen3-32B"));
    assert!(priced(&with("groq/qwen/qwen3-32b")).contains("qwen shipped:groq/qwen/qwen3-32b"));
    assert!(priced(&with("none")).contains("qwen unknown"));
}

#[test]
fn prices_are_refused_where_they_are_wrong() {
    let with =
        |price: &str| errors(&edited("model: Qwen/Qwen3-32B,", &format!("model: Qwen/Qwen3-32B, price: {price},")));
    expect![[r#"
        crossfade.yaml:12:57: `targets.qwen.price`: no price sheet knows the vendor `opneai`
         12 |   qwen:  { provider: gpu, model: Qwen/Qwen3-32B, price: opneai, prompt_variant: terse, parameters: { set: { temperature: 0.2 } } }
            |                                                         ^^^^^^
           hint: did you mean `openai`?

        1 error in crossfade.yaml
    "#]].assert_eq(&with("opneai"));
    expect![[r#"
        crossfade.yaml:12:57: `targets.qwen.price`: no price is known for `gpt-99` at `openai`
         12 |   qwen:  { provider: gpu, model: Qwen/Qwen3-32B, price: openai/gpt-99, prompt_variant: terse, parameters: { set: { temperature: 0.2 } } }
            |                                                         ^^^^^^^^^^^^^
           hint: `crossfade prices list --vendor openai` shows what is known

        1 error in crossfade.yaml
    "#]].assert_eq(&with("openai/gpt-99"));
    expect![[r#"
        crossfade.yaml:12:57: `targets.qwen.price`: `checked` is missing, here and above
         12 |   qwen:  { provider: gpu, model: Qwen/Qwen3-32B, price: { gpu: { hour: 3, concurrent_requests: 0 }, source: x, chekced: 2026-11-01 }, prompt_variant: terse, parameters: { set: { temperature: 0.2 } } }
            |                                                         ^^

        crossfade.yaml:12:96: `targets.qwen.price.gpu.concurrent_requests`: expected a decimal above 0, found `0`
         12 |   qwen:  { provider: gpu, model: Qwen/Qwen3-32B, price: { gpu: { hour: 3, concurrent_requests: 0 }, source: x, chekced: 2026-11-01 }, prompt_variant: terse, parameters: { set: { temperature: 0.2 } } }
            |                                                                                                ^

        crossfade.yaml:12:121: `targets.qwen.price.chekced`: unknown key
         12 |   qwen:  { provider: gpu, model: Qwen/Qwen3-32B, price: { gpu: { hour: 3, concurrent_requests: 0 }, source: x, chekced: 2026-11-01 }, prompt_variant: terse, parameters: { set: { temperature: 0.2 } } }
            |                                                                                                                         ^^^^^^^^^^
           hint: did you mean `checked`?

        3 errors in crossfade.yaml
    "#]].assert_eq(&with("{ gpu: { hour: 3, concurrent_requests: 0 }, source: x, chekced: 2026-11-01 }"));
    let own = format!("{RIGHT}{PRICES}");
    expect![[r#"
        crossfade.yaml:29:78: `prices.models[0].prices[0].rates.outptu`: unknown meter
         29 |     - { vendor: openai, id: gpt-4o, prices: [{ rates: { input: 1.75, outptu: 7.10 } }] }
            |                                                                              ^^^^
           hint: did you mean `output`?

        1 error in crossfade.yaml
    "#]]
    .assert_eq(&errors(&own.replace("output: 7.10", "outptu: 7.10")));
    expect![[r#"
        crossfade.yaml:28:46: `prices.models[0].prices[0]`: `source` is missing, here and above
         28 |     - { vendor: openai, id: gpt-4o, prices: [{ rates: { input: -1.75, output: 7.10 } }] }
            |                                              ^^

        crossfade.yaml:28:64: `prices.models[0].prices[0].rates.input`: expected a decimal of at most 19 digits, not negative, found `-1.75`
         28 |     - { vendor: openai, id: gpt-4o, prices: [{ rates: { input: -1.75, output: 7.10 } }] }
            |                                                                ^^^^^

        2 errors in crossfade.yaml
    "#]].assert_eq(&errors(&own.replace("input: 1.75", "input: -1.75").replace("  source: contract 2026-114\n", "")));
    expect![[r#"
        crossfade.yaml:26:11: `prices.shiped`: unknown key
         26 |   shiped: false
            |           ^^^^^
           hint: did you mean `shipped`?

        crossfade.yaml:27:11: `prices.files[0]`: cannot read nowhere.json: No such file or directory (os error 2)
         27 |   files: [nowhere.json]
            |           ^^^^^^^^^^^^

        2 errors in crossfade.yaml
    "#]]
    .assert_eq(&errors(&own.replace("prices:\n", "prices:\n  shiped: false\n  files: [nowhere.json]\n")));
}

#[test]
fn a_budget_of_a_route_without_a_price_is_refused_and_one_with_a_price_is_kept() {
    let with = |route: &str| {
        edited(
            "workloads:\n",
            &format!("  own: {{ target: {route}, limits: {{ budget: {{ usd: 5, per: day }} }} }}\nworkloads:\n"),
        )
    };
    expect![[r#"
        crossfade.yaml:15:42: `routes.own.limits.budget`: what target `qwen` costs is not known, and a budget cannot be kept without
         15 |   own: { target: qwen, limits: { budget: { usd: 5, per: day } } }
            |                                          ^^
           hint: give target `qwen` or its provider a `price`; `crossfade prices list` shows what is known

        1 error in crossfade.yaml
    "#]].assert_eq(&errors(&with("qwen")));
    let config = right(&with("gpt"));
    assert_eq!(config.snapshot.routes["own"].limits.budget.unwrap().nanos, 5_000_000_000);
}
