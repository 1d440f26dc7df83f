//! What calls cost: brought in, looked up, put on record and shown.

use crate::parts::{CONFIG, House, until};

const LITELLM: &str = r#"{
  "sample_spec": { "litellm_provider": "one of many" },
  "acme/big": { "litellm_provider": "acme", "mode": "chat", "input_cost_per_token": 2e-06, "output_cost_per_token": 1e-05,
    "cache_read_input_token_cost": 5e-07, "max_input_tokens": 1000, "output_cost_per_second": 1 },
  "acme/free": { "litellm_provider": "acme", "mode": "chat", "input_cost_per_token": 0, "output_cost_per_token": 0 } }"#;

/// The usual config, its targets priced: the baseline by an imported sheet, the candidate by the hours of its server.
fn priced() -> String {
    let gpu = "{ gpu: { hour: 3.6, gpus: 1, concurrent_requests: 10 }, source: bench 7, checked: 2026-11-01 }";
    let config = CONFIG.replace("model: gpt-4o }", "model: gpt-4o, price: acme/big }");
    config.replace("model: qwen }", &format!("model: qwen, price: {gpu} }}")) + "prices: { files: [acme.json] }\n"
}

#[test]
fn a_file_is_imported_with_every_field_accounted_for_and_then_prices_calls() {
    let house = House::new(CONFIG);
    std::fs::write(house.path().join("litellm.json"), LITELLM).unwrap();
    let file = house.path().join("litellm.json").display().to_string();
    let sheet = house.path().join("acme.json").display().to_string();
    let import = ["prices", "import", "litellm", &file, "--checked", "2026-11-20"];
    let said = house.run(&import).exits(0);
    for words in ["unsupported  output_cost_per_second", "1 models: every price is 0", "mapped", "acme/free"] {
        assert!(said.stdout.contains(words), "{words} not in\n{}", said.stdout);
    }
    assert!(!std::path::Path::new(&sheet).exists(), "without --output nothing is written");
    let facts = house.run(&[&import[..], &["--output", &sheet, "--format", "json"]].concat()).exits(0).json();
    assert_eq!((&facts["models"], &facts["mapped"]), (&1.into(), &7.into()));

    house.write(&priced());
    let shown = house.run(&["prices", "show", "gpt"]).exits(0).stdout;
    assert!(shown.contains("acme:acme/big#") && shown.contains("\"checked\": \"2026-11-20\""), "{shown}");
    let cost = ["prices", "check", "gpt", "input=1000", "cached=400", "output=10", "--format", "json"];
    assert_eq!(house.run(&cost).exits(0).json()["nanos"], 600 * 2_000 + 400 * 500 + 10 * 10_000);
    let listed = house.run(&["prices", "list", "--vendor", "acme"]).exits(0).stdout;
    assert!(listed.contains("2.00") && listed.contains("0.50") && listed.contains("10.00"), "{listed}");
    assert!(house.run(&["check"]).exits(0).stdout.contains("acme:acme/big#"));
}

#[test]
fn what_is_not_known_is_said_with_the_next_step() {
    let house = House::new(CONFIG);
    let hint = |arguments: &[&str], code| house.run(arguments).exits(code).stderr;
    assert!(hint(&["prices", "show", "gpt"], 2).contains("give the target or its provider a `price`"));
    assert!(hint(&["prices", "show", "nobody/x"], 2).contains("known vendors: anthropic"));
    assert!(hint(&["prices", "show", "nothing"], 2).contains("nor VENDOR/MODEL"));
    assert!(hint(&["prices", "list", "--vendor", "nobody"], 2).contains("known: anthropic"));
    assert!(hint(&["prices", "check", "openai/gpt-4o", "input=1", "cached=2"], 4).contains("more was used within"));
    assert!(hint(&["prices", "check", "openai/gpt-4o", "input=1", "--service", "novel"], 4).contains("that service"));
    assert!(hint(&["prices", "import", "models.dev", "crossfade.yaml"], 2).contains("not JSON"));
}

#[test]
fn exchanges_arms_and_metrics_show_what_was_paid() {
    let house = House::new(CONFIG);
    let sheet = r#"{ "source": "a test", "checked": "2026-11-20", "models": [
      { "vendor": "acme", "id": "big", "prices": [{ "rates": { "request": "0.25", "input": 0, "output": 0 } }] } ] }"#;
    std::fs::write(house.path().join("acme.json"), sheet).unwrap();
    house.write(&priced());
    let gateway = house.serve();
    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    let answer = gateway.chat("gpt-4o", "hello");
    let id = answer.header("x-crossfade-exchange-id").unwrap().to_owned();
    let exchange = until(|| {
        let done = gateway.run(&["exchanges", "show", &id, "--format", "json"]);
        let exchange = if done.code == 0 { done.json() } else { return None };
        (exchange["attempts"].as_array().unwrap().len() == 2).then_some(exchange)
    });
    assert_eq!(exchange["cost"]["nanos"], 250_000_000);
    let copy = &exchange["attempts"][1];
    // $3.60 an hour is a nano-dollar a microsecond, shared by ten, rounded half up.
    assert_eq!(copy["cost"]["nanos"].as_u64().unwrap(), (copy["duration_us"].as_u64().unwrap() + 5) / 10);
    assert!(copy["cost"]["row"].as_str().unwrap().starts_with("config:new/qwen#"), "{copy}");
    let shown = gateway.run(&["exchanges", "show", &id]).exits(0).stdout;
    assert!(shown.contains("$0.25 by acme:acme/big#"), "{shown}");
    assert!(gateway.run(&["exchanges", "list"]).exits(0).stdout.contains("cost $"));

    let costs = gateway.run(&["rollout", "status", "to-qwen", "--format", "json"]).json()["costs"].clone();
    assert_eq!((&costs["baseline"]["nanos"], &costs["baseline"]["requests"]), (&250_000_000.into(), &1.into()));
    assert_eq!(costs["candidate"]["nanos"], copy["cost"]["nanos"]);
    let page = gateway.run(&["rollout", "status", "to-qwen"]).stdout;
    assert!(page.contains("cost/request $") && page.contains("0.25"), "{page}");
    let spent = gateway.run(&["prices", "spent", "--days", "2", "--format", "json"]).exits(0).json();
    assert_eq!((&spent["targets"][0]["target"], &spent["targets"][0]["nanos"]), (&"gpt".into(), &250_000_000.into()));
    assert_eq!(
        (&spent["targets"][1]["role"], &spent["targets"][1]["nanos"]),
        (&"shadow".into(), &copy["cost"]["nanos"])
    );
    let metrics = crate::parts::get(gateway.admin, "/metrics").body;
    assert!(metrics.contains("crossfade_cost_usd_total{target=\"gpt\"} 0.25\n"), "{metrics}");
    assert_eq!(gateway.stop(), 0);
    let text = house.run(&["prices", "spent"]).exits(0).stdout;
    assert!(text.contains("gpt") && text.contains("0.25"), "from the store too: {text}");
}

#[test]
fn a_reload_takes_changed_price_files_in() {
    let house = House::new(CONFIG);
    let sheet = |price: &str| {
        let sheet = format!(
            r#"{{ "source": "a test", "checked": "2026-11-20", "models": [
              {{ "vendor": "acme", "id": "big", "prices": [{{ "rates": {{ "request": {price}, "input": 0, "output": 0 }} }}] }} ] }}"#
        );
        std::fs::write(house.path().join("acme.json"), sheet).unwrap();
    };
    sheet("1");
    house.write(&priced());
    let gateway = house.serve();
    sheet("2");
    assert!(gateway.run(&["reload"]).exits(0).stdout.contains("is now in force"));
    gateway.chat("gpt-4o", "hello");
    let paid = until(|| {
        let rows = gateway.run(&["exchanges", "list", "--format", "json"]).exits(0).json();
        rows[0]["cost"]["nanos"].as_u64()
    });
    assert_eq!(paid, 2_000_000_000);
    std::fs::write(house.path().join("acme.json"), "{").unwrap();
    assert!(gateway.run(&["reload"]).stderr.contains("acme.json: not JSON"));
}
