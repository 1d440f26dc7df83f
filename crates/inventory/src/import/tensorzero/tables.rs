//! What becomes of each of TensorZero's keys, where the key alone or its reader decides it.

use super::super::rules::{Rule, Section, harmless, mapped, unsupported};

/// Every table, for the reference.
pub(in crate::import) const SECTIONS: &[Section] = &[
    Section { at: "(top of the file)", rules: TOP },
    Section { at: "gateway", rules: GATEWAY },
    Section { at: "models.*, embedding_models.*", rules: MODEL },
    Section { at: "models.*.providers.*", rules: PROVIDER },
    Section { at: "functions.*", rules: FUNCTION },
    Section { at: "functions.*.experimentation", rules: EXPERIMENT },
    Section { at: "functions.*.variants.*", rules: VARIANT },
];

const OWN_STORE: &str = "TensorZero's own databases; Crossfade keeps its record and state in its own `store`";
const KEYS_HINT: &str = "make keys with `crossfade keys create`";
const HEADERS: &str = "a provider has no headers of its own";
const HEADERS_HINT: &str = "let a proxy in front of the provider add them";
const PRICE: &str = "a price of another kind than those per token";
const PRICE_HINT: &str = "write it into the target's `price`, see prices.md";
const TEMPLATES: &str = "Crossfade fills in no templates, so nothing is checked before";
const TEMPLATES_HINT: &str = "check what goes into a prompt in the application";
const EVALS: &str = "TensorZero's own evaluations";
const EVALS_HINT: &str = "run them against Crossfade's endpoint";

/// The top of the file.
pub(in crate::import) const TOP: &[Rule] = &[
    mapped("gateway", "see below"),
    mapped("models", "`providers`, `targets` and the routes `tensorzero::model_name::*`: see below"),
    mapped("embedding_models", "the same, with the routes `tensorzero::embedding_model_name::*`"),
    mapped("provider_types", "`providers.*.api_key` from `defaults.api_key_location`; the rest unsupported"),
    mapped("functions", "the routes `tensorzero::function_name::*`: see below"),
    mapped("tools", "`targets.*.parameters.default.tools` of the functions that use them"),
    harmless("clickhouse", OWN_STORE),
    harmless("postgres", OWN_STORE),
    harmless("object_storage", OWN_STORE),
    unsupported(
        "metrics",
        "no feedback is taken in",
        "keep the outcome in the application, with the id in `x-crossfade-exchange-id`",
    ),
    unsupported("rate_limiting", "limits are not in the config", KEYS_HINT),
    unsupported("evaluations", EVALS, EVALS_HINT),
    unsupported("optimizers", "Crossfade trains nothing", "keep the optimizer where the data is"),
    unsupported("autopilot", "Crossfade changes no prompts by itself", "keep it with TensorZero's data"),
];

/// `[gateway]`.
pub(super) const GATEWAY: &[Rule] = &[
    mapped("bind_address", "`listen`; beyond loopback only with authentication"),
    mapped("auth", "`auth.required`"),
    mapped("global_outbound_http_timeout_ms", "`providers.*.timeouts.total`"),
    harmless("debug", "how much TensorZero logs; Crossfade's own logs follow CROSSFADE_LOG"),
    harmless("observability", OWN_STORE),
    harmless("disable_pseudonymous_usage_analytics", "Crossfade sends no telemetry"),
    harmless("metrics", "buckets of TensorZero's metrics"),
    harmless("unstable_*", "a switch of TensorZero's own"),
    unsupported("base_path", "paths begin at the root", "let the proxy in front of it cut the prefix"),
    unsupported(
        "export",
        "Crossfade exports no traces",
        "scrape its Prometheus metrics, and correlate by `x-crossfade-exchange-id`",
    ),
    unsupported("relay", "every provider would be another TensorZero", "import the config of that one"),
    unsupported(
        "cache",
        "nothing is cached unless a route says so, and then exact repetitions only",
        "`routes.*.cache`, see cache.md",
    ),
    unsupported(
        "fetch_and_encode_input_files_before_inference",
        "Crossfade fetches nothing that a request names",
        "send the file itself",
    ),
    unsupported("template_filesystem_access", TEMPLATES, TEMPLATES_HINT),
];

/// `[models.M]`.
pub(super) const MODEL: &[Rule] = &[
    mapped("routing", "the order of the route's targets"),
    mapped("providers", "see below"),
    mapped("timeouts", "`providers.*.timeouts`, the shorter of the model's and the provider's"),
    mapped("timeout_ms", "`providers.*.timeouts.total`"),
    harmless("skip_relay", "there is no relay"),
    unsupported(
        "namespace",
        "a route is not bound to a namespace",
        "scope keys to routes: `crossfade keys create --routes`",
    ),
];

/// `[models.M.providers.P]`.
pub(super) const PROVIDER: &[Rule] = &[
    mapped("type", "`providers.*.dialect`"),
    mapped("model_name", "`targets.*.model`"),
    mapped("deployment_id", "`targets.*.model`"),
    mapped("api_base", "`providers.*.base_url`"),
    mapped("endpoint", "`providers.*.base_url`"),
    mapped("api_key_location", "`providers.*.api_key`; `env::NAME` and `none` only"),
    mapped("api_type", "harmless for `chat_completions`, else unsupported"),
    mapped("extra_body", "`targets.*.parameters.set` and `remove`, for fields at the top of a request"),
    mapped("timeouts", "`providers.*.timeouts`"),
    mapped("timeout_ms", "`providers.*.timeouts.total`"),
    unsupported("extra_headers", HEADERS, HEADERS_HINT),
    mapped("cost", "`targets.*.price.rates`, of tokens that go in and out"),
    unsupported("batch_cost", PRICE, PRICE_HINT),
    unsupported("provider_tools", "Crossfade adds no tools that run at a provider", "send them in the request"),
    unsupported("include_encrypted_reasoning", "what a provider sends is passed on", "ask for it in the request"),
    unsupported("reasoning_format", "a field that the provider takes", "write it into the target's `parameters.set`"),
    unsupported("prompt_mode", "a field that the provider takes", "write it into the target's `parameters.set`"),
    unsupported(
        "content_type_overrides",
        "files are passed on as they came",
        "send them with the type that the provider wants",
    ),
    harmless("discard_unknown_chunks", "every chunk is passed on as it came"),
];

/// `[functions.F]`.
pub(super) const FUNCTION: &[Rule] = &[
    mapped("type", "`json` lets `json_mode` of its variants count"),
    mapped("variants", "see below"),
    mapped("tools", "`targets.*.parameters.default.tools`"),
    mapped("tool_choice", "`targets.*.parameters.default.tool_choice`"),
    mapped("parallel_tool_calls", "`targets.*.parameters.default.parallel_tool_calls`"),
    mapped("output_schema", "`targets.*.parameters.default.response_format` of variants whose `json_mode` is `strict`"),
    mapped("experimentation", "the order of the route's targets; see below"),
    harmless("description", "a note for people"),
    unsupported("system_schema", TEMPLATES, TEMPLATES_HINT),
    unsupported("user_schema", TEMPLATES, TEMPLATES_HINT),
    unsupported("assistant_schema", TEMPLATES, TEMPLATES_HINT),
    unsupported("schemas", TEMPLATES, TEMPLATES_HINT),
    unsupported("evaluators", EVALS, EVALS_HINT),
];

/// `[functions.F.experimentation]`.
pub(super) const EXPERIMENT: &[Rule] = &[
    mapped("candidate_variants", "the targets of the route, the heaviest first; weights are unsupported"),
    mapped("fallback_variants", "`routes.*.fallback`"),
    harmless("type", "what draws a variant; none is drawn"),
];

/// `[functions.F.variants.V]`.
pub(super) const VARIANT: &[Rule] = &[
    mapped("type", "`chat_completion` is a target, every other unsupported"),
    mapped("model", "`targets.*`: one per provider of the model"),
    mapped("weight", "unsupported: a share moves on evidence; the heaviest variant serves"),
    mapped("system_template", "`prompts` and `targets.*.prompt_variant`, when it has no places to fill in"),
    mapped("templates", "as `system_template`; others unsupported"),
    mapped("user_template", "unsupported: Crossfade fills in no templates"),
    mapped("assistant_template", "unsupported: Crossfade fills in no templates"),
    mapped("json_mode", "`targets.*.parameters.default.response_format`"),
    mapped("extra_body", "`targets.*.parameters.set` and `remove`, for fields at the top of a request"),
    mapped("timeouts", "`providers.*.timeouts`, the shorter of the variant's and the provider's"),
    mapped("temperature", "`targets.*.parameters.default`, as every request parameter"),
    mapped("top_p", "`targets.*.parameters.default`"),
    mapped("max_tokens", "`targets.*.parameters.default`"),
    mapped("presence_penalty", "`targets.*.parameters.default`"),
    mapped("frequency_penalty", "`targets.*.parameters.default`"),
    mapped("seed", "`targets.*.parameters.default`"),
    mapped("stop_sequences", "`targets.*.parameters.default.stop`"),
    mapped("reasoning_effort", "`targets.*.parameters.default`"),
    mapped("service_tier", "`targets.*.parameters.default`"),
    mapped("verbosity", "`targets.*.parameters.default`"),
    mapped("retries", "`targets.*.retries`: one attempt more than the retries, and the longest wait"),
    unsupported("extra_headers", HEADERS, HEADERS_HINT),
    unsupported(
        "thinking_budget_tokens",
        "each vendor writes it in its own way",
        "write the vendor's field into the target's `parameters.set`",
    ),
    unsupported("input_wrappers", TEMPLATES, TEMPLATES_HINT),
];

/// Request parameters of a variant, and the field that each is in a request.
pub(super) const PARAMETERS: &[(&str, &str)] = &[
    ("temperature", "temperature"),
    ("top_p", "top_p"),
    ("max_tokens", "max_tokens"),
    ("presence_penalty", "presence_penalty"),
    ("frequency_penalty", "frequency_penalty"),
    ("seed", "seed"),
    ("stop_sequences", "stop"),
    ("reasoning_effort", "reasoning_effort"),
    ("service_tier", "service_tier"),
    ("verbosity", "verbosity"),
];
