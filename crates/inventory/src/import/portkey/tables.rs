//! What becomes of each of Portkey's keys, where the key alone or its reader decides it.

use super::super::rules::{Rule, Section, harmless, mapped, unsupported};

/// Every table, for the reference.
pub(in crate::import) const SECTIONS: &[Section] = &[Section { at: "a config, and every target in it", rules: CONFIG }];

const GUARDS: &str = "Portkey's guardrails and hooks run checks on prompts and answers";
const GUARDS_HINT: &str = "keep the check in the application or in a service of its own";
const CLOUD: &str =
    "credentials and addresses of a cloud whose requests are signed, which no dialect of Crossfade does";
const CLOUD_HINT: &str = "put an OpenAI-compatible endpoint in front of it";
const ENTRA: &str = "Crossfade fetches no tokens from Entra ID";
const ENTRA_HINT: &str = "use an API key of the resource";
const HEADERS: &str = "a provider has no headers of its own";
const HEADERS_HINT: &str = "use a key that belongs to one organization and project only";

/// A config or a target: Portkey reads both alike.
pub(in crate::import) const CONFIG: &[Rule] = &[
    mapped("strategy", "the order of the route's targets: see `strategy.mode`"),
    mapped("targets", "targets, in the order they are tried"),
    mapped("provider", "decides the provider; `@name` is a key that Portkey keeps"),
    mapped("virtual_key", "a variable for the vendor's own key; the vendor is guessed from its name"),
    mapped("api_key", "`providers.*.api_key`, as `${NAME}`"),
    mapped("override_params", "`targets.*.model` and `targets.*.parameters.set`"),
    mapped("custom_host", "`providers.*.base_url`"),
    mapped("request_timeout", "`providers.*.timeouts.answer` and `first_token`"),
    mapped("resource_name", "`providers.*.base_url`, of Azure"),
    mapped("deployment_id", "`targets.*.model`, of Azure"),
    mapped("azure_deployment_name", "`targets.*.model`, of Azure"),
    mapped("api_version", "`providers.*.api_version`, of Azure"),
    mapped("azure_auth_mode", "harmless for `apiKey`, else the target is unsupported"),
    mapped("weight", "unsupported below `loadbalance`, else harmless"),
    mapped("name", "the target's name"),
    mapped("forward_headers", "unsupported: only two headers of a caller's may reach a provider"),
    mapped("retry", "`targets.*.retries.max_attempts`: one more than the retries"),
    unsupported(
        "cache",
        "nothing is cached unless a route says so, and then exact repetitions only",
        "`routes.*.cache`, see cache.md",
    ),
    unsupported(
        "on_status_codes",
        "which failures go elsewhere is Crossfade's own: no connection, a time limit, 429, 5xx",
        "check that these are the ones that are meant",
    ),
    unsupported("input_guardrails", GUARDS, GUARDS_HINT),
    unsupported("output_guardrails", GUARDS, GUARDS_HINT),
    unsupported("default_input_guardrails", GUARDS, GUARDS_HINT),
    unsupported("default_output_guardrails", GUARDS, GUARDS_HINT),
    unsupported("before_request_hooks", GUARDS, GUARDS_HINT),
    unsupported("after_request_hooks", GUARDS, GUARDS_HINT),
    unsupported("input_mutators", GUARDS, GUARDS_HINT),
    unsupported("output_mutators", GUARDS, GUARDS_HINT),
    unsupported("openai_organization", HEADERS, HEADERS_HINT),
    unsupported("openai_project", HEADERS, HEADERS_HINT),
    unsupported("openai_beta", HEADERS, "have the application send `openai-beta` itself"),
    unsupported("anthropic_beta", HEADERS, "have the application send it itself"),
    unsupported("anthropic_version", HEADERS, "the dialect names the version"),
    unsupported("azure_ad_token", ENTRA, ENTRA_HINT),
    unsupported("azure_entra_*", ENTRA, ENTRA_HINT),
    unsupported("azure_managed_client_id", ENTRA, ENTRA_HINT),
    unsupported("azure_workload_client_id", ENTRA, ENTRA_HINT),
    unsupported("aws_*", CLOUD, CLOUD_HINT),
    unsupported("amzn_*", CLOUD, CLOUD_HINT),
    unsupported("vertex_*", CLOUD, CLOUD_HINT),
    unsupported("oracle_*", CLOUD, CLOUD_HINT),
    unsupported(
        "cb_config",
        "a target's circuit breaker has rules of its own",
        "see Breakers in the reference of the config",
    ),
    unsupported(
        "model_pricing_config",
        "a price in a form of Portkey's own",
        "write it into the target's `price`, see prices.md",
    ),
    harmless("azure_model_name", "a note for Portkey's prices"),
    harmless("metadata", "labels of Portkey's logs; a caller's own `metadata` passes"),
    harmless("strict_open_ai_compliance", "answers are passed on as they came"),
    harmless("id", "Portkey's name of the config"),
    harmless("version_id", "Portkey's name of the config"),
];
