//! Keys go in by every door and come out by none.

use std::path::Path;

use crate::parts::{CALLER_KEY, CONFIG, Done, House, request};

const PROVIDER_KEY: &str = "sk-canary-provider-81bc";
const ADMIN_TOKEN: &str = "canary-token-77d0";

#[test]
fn no_key_reaches_a_file_a_log_or_an_output() {
    let config = CONFIG
        .replace("admin: { listen: 127.0.0.1:0 }", "admin: { listen: 127.0.0.1:0, token: ${ADMIN_TOKEN} }")
        .replace("providers:\n", "providers:\n  gone: { base_url: http://127.0.0.1:1/v1, api_key: ${PROVIDER_KEY} }\n")
        .replace("targets:\n", "targets:\n  gone: { provider: gone, model: m }\n")
        .replace("routes:\n", "routes:\n  gone: { target: gone }\n");
    let environment =
        [("PROVIDER_KEY", PROVIDER_KEY), ("ADMIN_TOKEN", ADMIN_TOKEN), ("CROSSFADE_LOG", "trace"), ("USER", "tester")];
    let house = House::new(&config);
    let gateway = house.serve_with(&environment);
    let mut outputs: Vec<Done> = Vec::new();
    let admin = gateway.admin.to_string();
    let as_operator: Vec<(&str, &str)> = environment
        .into_iter()
        .chain([("CROSSFADE_ADMIN", admin.as_str()), ("CROSSFADE_ADMIN_TOKEN", ADMIN_TOKEN)])
        .collect();
    let made = house.run_with(&["keys", "create", "app", "--role", "admin"], &as_operator).exits(0);
    let own_key = made.stdout.trim();
    assert!(!made.stderr.contains(own_key));
    let bearer = format!("Bearer {own_key}");
    for headers in [[("authorization", bearer.as_str())], [("x-api-key", own_key)]] {
        let body = r#"{"model":"gpt-4o","messages":[]}"#;
        assert_eq!(request(gateway.data, "POST", "/v1/chat/completions", &headers, body).status, 200);
        assert_eq!(request(gateway.admin, "GET", "/api/keys", &headers, "").status, 200);
    }
    for n in 0..5 {
        let answer = gateway.chat("gpt-4o", &format!("question {n}"));
        let failed = gateway.chat("gone", &format!("question {n}"));
        assert_eq!((answer.status, failed.status / 100), (200, 5));
        check(&format!("{answer:?}{failed:?}"));
    }
    let environment: Vec<(&str, &str)> = environment.into_iter().chain([("CROSSFADE_ADMIN", admin.as_str())]).collect();
    for arguments in [
        ["check", "--format", "json"].as_slice(),
        &["rollout", "start", "to-qwen"],
        &["rollout", "status", "to-qwen"],
        &["exchanges", "list", "--format", "json"],
        &["keys", "show", "app"],
        &["keys", "history", "--format", "json"],
        &["reload"],
    ] {
        outputs.push(house.run_with(arguments, &environment).exits(0));
    }
    assert_eq!(gateway.stop(), 0);
    for output in outputs {
        check(&format!("{output:?}"));
    }
    scan(house.path(), &[CALLER_KEY, PROVIDER_KEY, ADMIN_TOKEN, &own_key[16..]]);
}

fn check(output: &str) {
    for secret in [CALLER_KEY, PROVIDER_KEY, ADMIN_TOKEN] {
        assert!(!output.contains(secret), "{secret} in {output}");
    }
}

fn scan(directory: &Path, secrets: &[&str]) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            scan(&path, secrets);
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        for secret in secrets {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{secret} in {}", path.display());
        }
    }
}
