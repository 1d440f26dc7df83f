//! Keys from the command line: made, used, rotated, taken back, and what each role may do on the admin listener.

use serde_json::Value;

use crate::parts::{Answer, CONFIG, Gateway, House, request};

fn guarded() -> String {
    format!("auth: {{ required: true }}\n{CONFIG}")
}

const CHAT: &str = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}"#;

fn chat(gateway: &Gateway<'_>, key: &str) -> Answer {
    request(gateway.data, "POST", "/v1/chat/completions", &[("authorization", &format!("Bearer {key}"))], CHAT)
}

/// Makes a key where no gateway runs.
fn make(house: &House, arguments: &[&str]) -> String {
    let arguments: Vec<&str> = ["keys", "create"].into_iter().chain(arguments.iter().copied()).collect();
    house.run(&arguments).exits(0).stdout.trim().to_owned()
}

#[test]
fn a_key_for_what_the_config_does_not_have_is_made_and_doubted() {
    let house = House::new(&guarded());
    let made = house.run(&["keys", "create", "app", "--routes", "nope", "--budget", "1/day"]).exits(0);
    assert!(made.stderr.contains("warning: the config has no route `nope`"), "{}", made.stderr);
    assert!(made.stderr.contains("1.00 USD per day"), "the limits are said again: {}", made.stderr);
    let made = house.run(&["keys", "create", "other", "--budget", "1/day"]).exits(0);
    assert!(made.stderr.contains("warning: no price is known for route `gpt-4o`"), "{}", made.stderr);
    house.run(&["keys", "limit", "other", "--budget", "none", "--reason", "a flat fee"]).exits(0);
}

#[test]
fn a_key_made_before_the_start_opens_and_its_life_is_told() {
    let house = House::new(&guarded());
    let root = make(&house, &["root", "--role", "admin", "--reason", "first"]);
    let app = make(&house, &["app", "--routes", "gpt-4o", "--tenant", "acme", "--expires", "90d"]);
    let gateway = house.serve();
    let as_root = |arguments: &[&str]| gateway.run_as(&root, arguments);
    assert_eq!(chat(&gateway, &app).status, 200);
    assert_eq!(chat(&gateway, "sk-canary").status, 401);

    let second = as_root(&["keys", "rotate", "app", "--overlap", "1h"]).exits(0).stdout.trim().to_owned();
    assert_ne!(app, second);
    assert_eq!(app[..16], second[..16], "the same key, another secret");
    assert_eq!((chat(&gateway, &app).status, chat(&gateway, &second).status), (200, 200));
    let again = as_root(&["keys", "rotate", "app"]).exits(1);
    assert!(again.stderr.contains("hint: `--end-previous`"), "{}", again.stderr);
    let third = as_root(&["keys", "rotate", "app", "--end-previous"]).exits(0).stdout.trim().to_owned();
    let statuses = [&app, &second, &third].map(|key| chat(&gateway, key).status);
    assert_eq!(statuses, [401, 200, 200]);

    let shown = as_root(&["keys", "show", "app", "--format", "json"]).exits(0).json();
    assert_eq!((shown["state"].as_str(), shown["n_secrets"].as_u64()), (Some("live"), Some(2)));
    assert_eq!((shown["tenant"].as_str(), shown["routes"][0].as_str()), (Some("acme"), Some("gpt-4o")));

    as_root(&["keys", "revoke", "app", "--reason", "left", "--actor", "somebody else"]).exits(0);
    assert_eq!(chat(&gateway, &third).status, 401, "when the verb returns, the key is refused");
    let history = as_root(&["keys", "history", shown["id"].as_str().unwrap(), "--format", "json"]).exits(0).json();
    let told: Vec<_> = history
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let actor = row["actor"].as_str().unwrap();
            (row["action"].as_str().unwrap(), actor.split(" (").next().unwrap(), row["reason"].as_str().unwrap())
        })
        .collect();
    assert_eq!(
        told,
        [
            ("key.create", "tester", ""),
            ("key.rotate", "root", ""),
            ("key.rotate", "root", ""),
            ("key.revoke", "root", "left"),
        ],
        "who used a key is named by it, whatever `--actor` says"
    );
    let listed = as_root(&["keys", "list"]).exits(0).stdout;
    assert!(listed.contains("root") && !listed.contains("app"), "{listed}");
    assert_eq!(gateway.stop(), 0);
    let shown = house.run(&["keys", "show", "root"]).exits(0).stdout;
    assert!(shown.contains("role       admin") && !shown.contains("last used  never"), "{shown}");
}

#[test]
fn how_much_a_key_may_call_is_said_at_its_making_by_the_config_and_later() {
    let config = guarded().replace("required: true", "required: true, key_limits: { requests_per_minute: 3 }");
    let house = House::new(&config.replace("workload: support }", "workload: support, limits: { concurrency: 9 } }"));
    let (root, app) =
        (make(&house, &["root", "--role", "admin"]), make(&house, &["app", "--rpm", "2", "--tpm", "100000"]));
    let gateway = house.serve();
    let first = chat(&gateway, &app);
    assert_eq!((first.status, first.header("x-ratelimit-remaining-requests")), (200, Some("1")));
    assert_eq!(first.header("x-ratelimit-limit-tokens"), Some("100000"));
    assert_eq!((chat(&gateway, &app).status, chat(&gateway, &app).status), (200, 429));
    assert_eq!(
        chat(&gateway, &root).header("x-ratelimit-limit-requests"),
        Some("3"),
        "what it does not say, the config does"
    );
    let changed = gateway.run_as(&root, &["keys", "limit", "app", "--rpm", "5"]).exits(0);
    assert!(changed.stdout.contains("5 requests per minute, 100000 tokens per minute"), "{}", changed.stdout);
    assert_eq!(chat(&gateway, &app).header("x-ratelimit-remaining-requests"), Some("2"), "what was used stays used");
    let metrics = request(gateway.admin, "GET", "/metrics", &[("api-key", &root)], "").body;
    assert!(metrics.contains("crossfade_refused_total{failure=\"request_limit\"} 1"), "{metrics}");
}

#[test]
fn a_budget_is_spent_shown_kept_over_a_restart_and_refilled_by_hand() {
    let priced = guarded().replace(
        "  gpt:  { provider: old, model: gpt-4o }",
        "  gpt:  { provider: old, model: gpt-4o, price: { rates: { input: 1000, output: 1000 }, source: a test, checked: 2026-11-25 } }",
    );
    let house = House::new(&priced);
    let root = make(&house, &["root", "--role", "admin"]);
    let app = make(&house, &["app", "--budget", "3/month"]);
    let gateway = house.serve();
    let as_root = |arguments: &[&str]| gateway.run_as(&root, arguments);
    // A token is a tenth of a cent, and an answer of at most 1 024 tokens more than a dollar.
    let mut n_served = 0;
    while chat(&gateway, &app).status == 200 {
        n_served += 1;
        assert!(n_served < 1_000, "a budget of 3 dollars is never used up");
    }
    let over = chat(&gateway, &app);
    assert_eq!(over.status, 429);
    assert!(over.body.contains("insufficient_quota"), "{}", over.body);
    let spent = crate::parts::until(|| {
        let view = as_root(&["keys", "show", "app", "--format", "json"]).exits(0).json();
        view["spent_nanos"].as_u64().filter(|nanos| *nanos > 1_900_000_000)
    });
    assert!(spent <= 3_000_000_000, "{spent}");
    let shown = as_root(&["keys", "show", "app"]).exits(0).stdout;
    assert!(shown.contains("3.00 USD per month (") && shown.contains(" spent)"), "{shown}");
    assert_eq!(gateway.stop(), 0);
    let gateway = house.serve();
    assert_eq!(chat(&gateway, &app).status, 429, "a restart gives no money back");
    gateway.run_as(&root, &["keys", "limit", "app", "--budget", "30/month"]).exits(0);
    assert_eq!(chat(&gateway, &app).status, 200);
    let refused = gateway.run_as(&root, &["keys", "limit", "app", "--budget", "30"]).exits(2);
    assert!(refused.stderr.contains("such as `100/month`"), "{}", refused.stderr);
}

#[test]
fn an_application_keeps_the_key_it_has() {
    let house = House::new(&guarded());
    let theirs = "sk-canary-of-the-application-0123456789";
    let made = house.run_fed(&["keys", "create", "app", "--existing"], &format!("{theirs}\n")).exits(0);
    assert!(!format!("{made:?}").contains(theirs));
    let gateway = house.serve();
    assert_eq!(chat(&gateway, theirs).status, 200);
}

#[test]
fn what_the_command_line_refuses_it_explains() {
    let house = House::new(&guarded());
    for (arguments, code, words) in [
        (&["keys", "create", "a b"][..], 2, "a key's name has"),
        (&["keys", "create", "a", "--network", "nowhere"], 2, "neither an address nor a network"),
        (&["keys", "create", "a", "--role", "emperor"], 2, "possible values: viewer, operator, approver, admin"),
        (&["keys", "create", "a", "--routes", "*,b"], 2, "`*` is every route"),
        (&["keys", "revoke", "nobody"], 2, "hint: `crossfade keys list`"),
        (&["keys", "show", "nobody"], 2, "there is no"),
    ] {
        let done = house.run(arguments).exits(code);
        assert!(done.stderr.contains(words), "{arguments:?}: {}", done.stderr);
    }
    make(&house, &["a"]);
    let taken = house.run(&["keys", "create", "a"]).exits(1);
    assert!(taken.stderr.contains("has this name"), "{}", taken.stderr);
    let gateway = house.serve();
    let outside = gateway.run(&["rollout", "status"]).exits(1);
    assert!(outside.stderr.contains("hint: set CROSSFADE_ADMIN_TOKEN"), "{}", outside.stderr);
}

#[test]
fn whoever_may_read_the_store_reads_beside_a_guarded_gateway_and_changes_nothing_there() {
    let house = House::new(&guarded());
    make(&house, &["app"]);
    let gateway = house.serve();
    house.write(
        &guarded().replace("admin: { listen: 127.0.0.1:0 }", &format!("admin: {{ listen: {} }}", gateway.admin)),
    );
    let listed = house.run(&["keys", "list"]).exits(0);
    assert!(listed.stdout.contains("app"), "{}", listed.stdout);
    let refused = house.run(&["keys", "revoke", "app"]).exits(1);
    assert!(refused.stderr.contains("makes one while the gateway is stopped"), "{}", refused.stderr);
}

/// Every route of the admin API with something in place of its names.
fn admin_routes() -> impl Iterator<Item = (&'static str, String, operations::Role)> {
    console::ROUTES.iter().map(|route| {
        let path = route.path.replace("{provider}", "old").replace("{key}", "nobody");
        (route.method, path.replace("{name}", "to-qwen").replace("{id}", "nothing"), route.role)
    })
}

fn ask(gateway: &Gateway<'_>, method: &str, path: &str, header: Option<(&str, &str)>) -> Answer {
    let json = ("content-type", "application/json");
    let headers: Vec<_> = [json].into_iter().chain(header).collect();
    // Knobs of no name change nothing; a key of no name is none.
    let body = if method == "GET" { "" } else { "{}" };
    request(gateway.admin, method, path, &headers, body)
}

#[test]
fn each_route_of_the_admin_api_is_open_to_its_role_and_those_above_and_to_nobody_else() {
    let house = House::new(&guarded());
    let keys: Vec<(Option<operations::Role>, String)> = [None]
        .into_iter()
        .chain(operations::Role::ALL.map(Some))
        .map(|role| {
            let name = role.map_or("app", operations::Role::as_str);
            let key = match role {
                None => make(&house, &[name]),
                Some(_) => make(&house, &[name, "--role", name]),
            };
            (role, key)
        })
        .collect();
    let gateway = house.serve();
    let mut n_checked = 0;
    for (method, path, least) in admin_routes() {
        assert_eq!(ask(&gateway, method, &path, None).status, 401, "{method} {path} with nothing");
        assert_eq!(
            ask(&gateway, method, &path, Some(("authorization", "Bearer cf-no"))).status,
            401,
            "{method} {path}"
        );
        for (role, key) in &keys {
            let bearer = format!("Bearer {key}");
            for header in [("authorization", bearer.as_str()), ("api-key", key), ("x-api-key", key)] {
                let status = ask(&gateway, method, &path, Some(header)).status;
                let may = *role >= Some(least);
                assert_eq!(matches!(status, 401 | 403), !may, "{method} {path} as {role:?} by {}: {status}", header.0);
                n_checked += 1;
            }
        }
    }
    assert_eq!(n_checked, console::ROUTES.len() * 5 * 3);
    // What is not in the table is not there, with any role, and for nobody without one.
    for (method, path) in [
        ("GET", "/api/config"),
        ("POST", "/api/rollouts/to-qwen/full"),
        ("DELETE", "/api/keys/app"),
        ("GET", "/api/keys/x/../../exchanges"),
    ] {
        assert_eq!(ask(&gateway, method, path, Some(("api-key", &keys[4].1))).status, 404, "{method} {path}");
        assert_eq!(ask(&gateway, method, path, None).status, 401, "{method} {path}");
    }
    // No role is a way to call models beyond the key's routes, and no path of one listener is on the other.
    assert_eq!(chat(&gateway, &keys[1].1).status, 403);
    let across = request(gateway.data, "GET", "/api/keys", &[("api-key", &keys[4].1)], "");
    assert_eq!(across.status, 404);
}

#[test]
fn nobody_gives_away_more_than_he_has() {
    let house = House::new(&guarded());
    let acme =
        make(&house, &["acme-admin", "--role", "admin", "--tenant", "acme", "--routes", "gpt-4o", "--expires", "30d"]);
    make(&house, &["root", "--role", "admin"]);
    let gateway = house.serve();
    let as_acme = |arguments: &[&str]| gateway.run_as(&acme, arguments);
    for (arguments, what) in [
        (&["keys", "create", "x"][..], "routes"),
        (&["keys", "create", "x", "--routes", "gpt-4o", "--expires", "1d"], "tenant"),
        (&["keys", "create", "x", "--routes", "gpt-4o", "--tenant", "acme"], "expiry"),
        (&["keys", "create", "x", "--routes", "gpt-4o,second", "--tenant", "acme", "--expires", "1d"], "routes"),
        (&["keys", "rotate", "root"], "routes"),
        (&["keys", "revoke", "root"], "tenant"),
    ] {
        let done = as_acme(arguments).exits(1);
        assert!(done.stderr.contains(&format!("its {what} would go beyond")), "{arguments:?}: {}", done.stderr);
    }
    as_acme(&["keys", "create", "x", "--routes", "gpt-4o", "--tenant", "acme", "--expires", "1d"]).exits(0);
}

#[test]
fn the_configs_token_opens_everything_and_names_whom_it_is_told() {
    let config =
        guarded().replace("admin: { listen: 127.0.0.1:0 }", "admin: { listen: 127.0.0.1:0, token: canary-token }");
    let house = House::new(&config);
    let gateway = house.serve();
    let made = gateway.run_as("canary-token", &["keys", "create", "app", "--actor", "ana"]).exits(0);
    assert_eq!(chat(&gateway, made.stdout.trim()).status, 200);
    let history = gateway.run_as("canary-token", &["keys", "history", "app", "--format", "json"]).exits(0).json();
    assert_eq!(history[0]["actor"], Value::from("ana"));
    gateway.run_as("canary-toke", &["keys", "list"]).exits(1);
}

#[test]
fn auth_is_taken_up_by_a_reload() {
    let house = House::new(CONFIG);
    let root = make(&house, &["root", "--role", "admin"]);
    let gateway = house.serve();
    assert_eq!(chat(&gateway, "sk-canary").status, 200);
    assert_eq!(ask(&gateway, "GET", "/api/keys", None).status, 200, "open on loopback where no key is asked for");
    house.write(&guarded());
    gateway.run(&["reload"]).exits(0);
    assert_eq!(chat(&gateway, "sk-canary").status, 401);
    assert_eq!(chat(&gateway, &root).status, 200);
    assert_eq!(ask(&gateway, "GET", "/api/keys", None).status, 401, "the admin door closes too");
    gateway.run(&["reload"]).exits(1);
    gateway.run_as(&root, &["reload"]).exits(0);
}
