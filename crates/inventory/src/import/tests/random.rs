//! Random documents made of a gateway's own words: nothing panics, every value ends exactly once, and no secret gets out.

use proptest::prelude::*;

use super::*;

const CANARY: &str = "canary-7d1f";

/// Words a config is made of, in places where they belong and where they do not.
const LITELLM: &[&str] = &[
    "model_list",
    "model_name",
    "litellm_params",
    "model",
    "api_key",
    "api_base",
    "base_url",
    "custom_llm_provider",
    "timeout",
    "stream_timeout",
    "rpm",
    "weight",
    "order",
    "tags",
    "max_parallel_requests",
    "model_info",
    "id",
    "litellm_settings",
    "router_settings",
    "general_settings",
    "fallbacks",
    "default_fallbacks",
    "model_group_alias",
    "callbacks",
    "drop_params",
    "environment_variables",
    "extra_body",
    "temperature",
    "metadata",
    "master_key",
    "aws_secret_access_key",
    "unknown_key",
    "enable_tag_filtering",
    "request_timeout",
    "context_window_fallbacks",
    "a",
    "*",
    "a/*",
    "stop",
    "api_version",
    "hidden",
    "cache",
    "routing_strategy",
    "max_request_size_mb",
    "store_model_in_db",
    "stream",
    "messages",
];

const TENSORZERO: &[&str] = &[
    "gateway",
    "models",
    "embedding_models",
    "functions",
    "tools",
    "provider_types",
    "metrics",
    "routing",
    "providers",
    "type",
    "model_name",
    "deployment_id",
    "endpoint",
    "api_base",
    "api_key_location",
    "default",
    "fallback",
    "defaults",
    "timeouts",
    "non_streaming",
    "streaming",
    "total_ms",
    "ttft_ms",
    "extra_body",
    "pointer",
    "value",
    "delete",
    "variants",
    "model",
    "temperature",
    "weight",
    "json_mode",
    "output_schema",
    "system_template",
    "templates",
    "system",
    "path",
    "user_template",
    "experimentation",
    "candidate_variants",
    "fallback_variants",
    "tool_choice",
    "parallel_tool_calls",
    "auth",
    "enabled",
    "bind_address",
    "m",
    "p",
    "a",
    "openai",
    "unknown_key",
    "stop_sequences",
    "retries",
    "global_outbound_http_timeout_ms",
];

const PORTKEY: &[&str] = &[
    "strategy",
    "mode",
    "conditions",
    "default",
    "query",
    "then",
    "on_status_codes",
    "targets",
    "provider",
    "virtual_key",
    "api_key",
    "override_params",
    "model",
    "temperature",
    "stop",
    "custom_host",
    "request_timeout",
    "weight",
    "name",
    "retry",
    "attempts",
    "cache",
    "input_guardrails",
    "resource_name",
    "deployment_id",
    "api_version",
    "azure_auth_mode",
    "metadata",
    "forward_headers",
    "unknown_key",
    "a",
    "aws_secret_access_key",
    "messages",
    "stream",
];

const VALUES: &[&str] = &[
    "a",
    "b",
    "*",
    "a/*",
    "openai/a",
    "openai/*",
    "azure/d",
    "anthropic/c",
    "bedrock/x",
    "nobody/x",
    "gpt-4o",
    "hosted_vllm/m",
    "http://gpu-1:8000/v1",
    "http://localhost",
    "https://x.openai.azure.com/",
    "https://user:canary-7d1f@host/v1",
    "os.environ/X",
    "os.environ/Y_API_BASE",
    "${HOME}",
    "$${x}",
    "a: b",
    "# no comment",
    "'",
    "\"",
    "\\",
    "\u{2028}",
    "\u{e000}",
    "\u{7f}",
    "{}",
    "1",
    "0",
    "-1",
    "1e9",
    "0.5",
    "true",
    "null",
    "~",
    "",
    " ",
    "sk-canary-7d1f",
    "Bearer canary-7d1f",
    "simple-shuffle",
    "prometheus",
];

fn text(value: &str) -> Node {
    Node::new(Place { line: 1, column: 1 }, Value::Text(value.to_owned()))
}

fn node(words: &'static [&'static str]) -> impl Strategy<Value = Node> {
    let at = Place { line: 1, column: 1 };
    let leaf = prop_oneof![
        4 => prop::sample::select(VALUES).prop_map(text),
        1 => any::<bool>().prop_map(move |boolean| Node::new(at, Value::Boolean(boolean))),
        1 => (-2_i32..2000).prop_map(move |number| Node::new(at, Value::Number(number.to_string()))),
        1 => Just(Node::new(at, Value::Nothing)),
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        let key = prop::sample::select(words);
        let entries = prop::collection::vec((key, inner.clone()), 0..6);
        prop_oneof![
            3 => entries.prop_map(move |entries| {
                let entries = entries.into_iter().map(|(key, node)| (key.to_owned(), secret(key, node, "sk-canary-7d1f")));
                Node::new(at, Value::Map(entries.collect()))
            }),
            1 => prop::collection::vec(inner, 0..4).prop_map(move |items| Node::new(at, Value::List(items))),
        ]
    })
}

/// A secret where one is kept: anywhere at all it has to look like one, in a deployment the place is enough.
fn secret(key: &str, node: Node, written: &str) -> Node {
    let keeps = ["api_key", "master_key", "aws_secret_access_key"].contains(&key);
    let is_literal = matches!(&node.value, Value::Text(text) if !text.starts_with("os.environ/"));
    if keeps && is_literal { text(written) } else { node }
}

/// A config that looks like one: deployments whose fields are mostly what they should be.
fn deployments() -> impl Strategy<Value = Node> {
    let at = Place { line: 1, column: 1 };
    let field = (prop::sample::select(&LITELLM[3..28]), node(LITELLM));
    let name = prop::sample::select(&["a", "b", "c/*", "*"][..]);
    let model = prop::sample::select(&VALUES[4..12]);
    let deployment = (name, model, prop::collection::vec(field, 0..5)).prop_map(move |(name, model, fields)| {
        let mut params = vec![("model".to_owned(), text(model))];
        params.extend(fields.into_iter().map(|(key, node)| (key.to_owned(), secret(key, node, CANARY))));
        let params = Node::new(at, Value::Map(params));
        Node::new(at, Value::Map(vec![("model_name".to_owned(), text(name)), ("litellm_params".to_owned(), params)]))
    });
    let settings = (node(LITELLM), node(LITELLM));
    (prop::collection::vec(deployment, 0..5), settings).prop_map(move |(deployments, (router, litellm))| {
        Node::new(
            at,
            Value::Map(vec![
                ("model_list".to_owned(), Node::new(at, Value::List(deployments))),
                ("router_settings".to_owned(), router),
                ("litellm_settings".to_owned(), litellm),
            ]),
        )
    })
}

/// Models and functions that look like some.
fn models() -> impl Strategy<Value = Node> {
    let at = Place { line: 1, column: 1 };
    let map = move |entries: Vec<(&'static str, Node)>| {
        Node::new(at, Value::Map(entries.into_iter().map(|(key, node)| (key.to_owned(), node)).collect()))
    };
    let field = || prop::collection::vec((prop::sample::select(TENSORZERO), node(TENSORZERO)), 0..5);
    let kind = || prop::sample::select(&["openai", "azure", "vllm", "anthropic", "aws_bedrock", "nobody"][..]);
    (kind(), field(), field(), field(), field()).prop_map(move |(kind, provider, model, variant, function)| {
        let with = |mut fields: Vec<(&'static str, Node)>, more: Vec<(&'static str, Node)>| {
            fields.extend(more);
            map(fields)
        };
        let provider = with(
            vec![("type", text(kind)), ("model_name", text("x")), ("api_base", text("http://gpu-1/v1"))],
            provider,
        );
        let routing = Node::new(at, Value::List(vec![text("p"), text("q")]));
        let model = with(vec![("routing", routing), ("providers", map(vec![("p", provider)]))], model);
        let variant = with(vec![("type", text("chat_completion")), ("model", text("m"))], variant);
        let function = with(
            vec![("type", text("json")), ("variants", map(vec![("a", variant.clone()), ("b", variant)]))],
            function,
        );
        map(vec![("models", map(vec![("m", model)])), ("functions", map(vec![("f", function)]))])
    })
}

/// Targets that look like some.
fn targets() -> impl Strategy<Value = Node> {
    let at = Place { line: 1, column: 1 };
    let mode = prop::sample::select(&["fallback", "loadbalance", "conditional", "single", "other"][..]);
    let provider = prop::sample::select(&["openai", "azure-openai", "bedrock", "ollama", "nobody"][..]);
    let field = (prop::sample::select(PORTKEY), node(PORTKEY));
    let target = (provider, prop::collection::vec(field, 0..6)).prop_map(move |(provider, fields)| {
        let mut entries = vec![("provider".to_owned(), text(provider))];
        entries.extend(fields.into_iter().map(|(key, node)| (key.to_owned(), secret(key, node, CANARY))));
        Node::new(at, Value::Map(entries))
    });
    (mode, prop::collection::vec(target, 0..4), node(PORTKEY)).prop_map(move |(mode, targets, more)| {
        let strategy = Node::new(at, Value::Map(vec![("mode".to_owned(), text(mode)), ("default".to_owned(), more)]));
        let targets = Node::new(at, Value::List(targets));
        Node::new(at, Value::Map(vec![("strategy".to_owned(), strategy), ("targets".to_owned(), targets)]))
    })
}

fn holds(source: Source, root: Node) -> Result<(), TestCaseError> {
    let Ok(tree) = Tree::new(root) else { return Ok(()) };
    let contested = contested(source, &tree);
    prop_assert!(contested.is_empty(), "decided twice: {contested:?}");
    let mut importing = Importing::new(&tree, &beside("random"));
    importing.read(source, &beside("random"));
    let imported = importing.finish(source);
    prop_assert_eq!(imported.keys.len(), tree.leaves.len());
    let said = serde_json::to_string(&imported).unwrap();
    prop_assert!(!said.contains(CANARY), "{said}");
    Ok(())
}

/// A thousand, unless `PROPTEST_CASES` says otherwise.
fn n_cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(1000)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(n_cases()))]

    #[test]
    fn any_tree_of_litellms_words_is_accounted_for_and_keeps_its_secrets(root in node(LITELLM)) {
        holds(Source::Litellm, root)?;
    }

    #[test]
    fn any_list_of_deployments_is_accounted_for_and_keeps_its_secrets(root in deployments()) {
        holds(Source::Litellm, root)?;
    }

    #[test]
    fn any_tree_of_tensorzeros_words_is_accounted_for_and_keeps_its_secrets(root in prop_oneof![node(TENSORZERO), models()]) {
        holds(Source::Tensorzero, root)?;
    }

    #[test]
    fn any_tree_of_portkeys_words_is_accounted_for_and_keeps_its_secrets(root in prop_oneof![node(PORTKEY), targets()]) {
        holds(Source::Portkey, root)?;
    }
}
