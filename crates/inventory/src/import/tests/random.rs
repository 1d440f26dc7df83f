//! Random documents made of a gateway's own words: nothing panics, every value ends exactly once, and no secret gets out.

use proptest::prelude::*;

use super::*;

const CANARY: &str = "canary-7d1f";

/// Words a config of LiteLLM's is made of, in places where they belong and where they do not.
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

fn node() -> impl Strategy<Value = Node> {
    let at = Place { line: 1, column: 1 };
    let leaf = prop_oneof![
        4 => prop::sample::select(VALUES).prop_map(text),
        1 => any::<bool>().prop_map(move |boolean| Node::new(at, Value::Boolean(boolean))),
        1 => (-2_i32..2000).prop_map(move |number| Node::new(at, Value::Number(number.to_string()))),
        1 => Just(Node::new(at, Value::Nothing)),
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        let key = prop::sample::select(LITELLM);
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
    let field = (prop::sample::select(&LITELLM[3..28]), node());
    let name = prop::sample::select(&["a", "b", "c/*", "*"][..]);
    let model = prop::sample::select(&VALUES[4..12]);
    let deployment = (name, model, prop::collection::vec(field, 0..5)).prop_map(move |(name, model, fields)| {
        let mut params = vec![("model".to_owned(), text(model))];
        params.extend(fields.into_iter().map(|(key, node)| (key.to_owned(), secret(key, node, CANARY))));
        let params = Node::new(at, Value::Map(params));
        Node::new(at, Value::Map(vec![("model_name".to_owned(), text(name)), ("litellm_params".to_owned(), params)]))
    });
    let settings = (node(), node());
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

fn holds(root: Node) -> Result<(), TestCaseError> {
    let Ok(tree) = Tree::new(root) else { return Ok(()) };
    let contested = contested(Source::Litellm, &tree);
    prop_assert!(contested.is_empty(), "decided twice: {contested:?}");
    let mut importing = Importing::new(&tree);
    litellm::read(&tree.root, &mut importing);
    let imported = importing.finish(Source::Litellm, "random.yaml");
    prop_assert_eq!(imported.keys.len(), tree.leaves.len());
    let said = serde_json::to_string(&imported).unwrap();
    prop_assert!(!said.contains(CANARY), "{said}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn any_tree_of_known_words_is_accounted_for_and_keeps_its_secrets(root in node()) {
        holds(root)?;
    }

    #[test]
    fn any_list_of_deployments_is_accounted_for_and_keeps_its_secrets(root in deployments()) {
        holds(root)?;
    }
}
