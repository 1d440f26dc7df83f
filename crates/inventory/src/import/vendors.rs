//! Who answers: the providers that other gateways know by a prefix or a type, and how Crossfade reaches them.
//!
//! Addresses and names of variables are the vendors' own, as LiteLLM 1.110, TensorZero (April 2026) and Portkey 1.15 use them.

/// A provider as the source names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Vendor {
    /// What it is called in a config of Crossfade's.
    pub name: &'static str,
    /// LiteLLM's prefixes before the model name.
    pub litellm: &'static [&'static str],
    /// TensorZero's words for `type`.
    pub tensorzero: &'static [&'static str],
    /// Portkey's words for `provider`.
    pub portkey: &'static [&'static str],
    /// How it is reached.
    pub reach: Reach,
    /// `kind`: what server it is, when the capabilities of such servers are known.
    pub kind: Option<&'static str>,
}

/// How a provider is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// It speaks OpenAI's API at this address.
    Openai {
        /// `base_url`; empty when there is no usual one.
        base_url: &'static str,
        /// The variable its key is taken from when none is given; empty when it needs no key.
        key: &'static str,
        /// `class`.
        class: &'static str,
    },
    /// Azure's OpenAI service: the address is the customer's own.
    Azure,
    /// Anthropic's Messages API.
    Anthropic,
    /// Not at all.
    No {
        /// Why not.
        why: &'static str,
        /// What to do.
        hint: &'static str,
    },
}

const fn vendor(
    name: &'static str,
    litellm: &'static [&'static str],
    base_url: &'static str,
    key: &'static str,
) -> Vendor {
    Vendor {
        name,
        litellm,
        tensorzero: &[],
        portkey: &[],
        reach: Reach::Openai { base_url, key, class: "vendor" },
        kind: None,
    }
}

const fn hosted(
    name: &'static str,
    litellm: &'static [&'static str],
    base_url: &'static str,
    key: &'static str,
) -> Vendor {
    Vendor {
        name,
        litellm,
        tensorzero: &[],
        portkey: &[],
        reach: Reach::Openai { base_url, key, class: "hosted" },
        kind: None,
    }
}

const fn own(
    name: &'static str,
    litellm: &'static [&'static str],
    base_url: &'static str,
    key: &'static str,
) -> Vendor {
    Vendor {
        name,
        litellm,
        tensorzero: &[],
        portkey: &[],
        reach: Reach::Openai { base_url, key, class: "self_hosted" },
        kind: None,
    }
}

const fn no(name: &'static str, litellm: &'static [&'static str], why: &'static str, hint: &'static str) -> Vendor {
    Vendor { name, litellm, tensorzero: &[], portkey: &[], reach: Reach::No { why, hint }, kind: None }
}

impl Vendor {
    const fn also(self, tensorzero: &'static [&'static str], portkey: &'static [&'static str]) -> Vendor {
        Vendor { tensorzero, portkey, ..self }
    }

    const fn at(self, reach: Reach) -> Vendor {
        Vendor { reach, ..self }
    }

    const fn is(self, kind: &'static str) -> Vendor {
        Vendor { kind: Some(kind), ..self }
    }
}

const COMPATIBLE: &str = "if it has an OpenAI-compatible endpoint, write a provider with its base_url by hand";
const AWS: &str = "requests to AWS are signed with SigV4, which no dialect of Crossfade does";
const AWS_HINT: &str = "put an OpenAI-compatible endpoint in front of it, or name the vendor's own API as the provider";
const GOOGLE: &str = "Vertex AI takes short-lived tokens of a service account, which no dialect of Crossfade fetches";
const GOOGLE_HINT: &str =
    "use the Gemini API's OpenAI-compatible endpoint (`gemini/`), or put a proxy that signs in front of it";

impl Reach {
    /// The word for `dialect`.
    pub(super) const fn dialect(self) -> &'static str {
        match self {
            Reach::Azure => "azure",
            Reach::Anthropic => "anthropic",
            Reach::Openai { .. } | Reach::No { .. } => "openai",
        }
    }

    /// The address to call when none is given; empty when there is no usual one.
    pub(super) const fn base_url(self) -> &'static str {
        match self {
            Reach::Openai { base_url, .. } => base_url,
            Reach::Anthropic => "https://api.anthropic.com/v1",
            Reach::Azure | Reach::No { .. } => "",
        }
    }

    /// The variable to take a key from when none is given; empty when none is needed.
    pub(super) const fn key(self) -> &'static str {
        match self {
            Reach::Openai { key, .. } => key,
            Reach::Anthropic => "ANTHROPIC_API_KEY",
            Reach::Azure => "AZURE_API_KEY",
            Reach::No { .. } => "",
        }
    }

    /// The word for `class`.
    pub(super) const fn class(self) -> &'static str {
        match self {
            Reach::Openai { class, .. } => class,
            Reach::Azure | Reach::Anthropic | Reach::No { .. } => "vendor",
        }
    }
}

/// Everybody who is known.
pub(super) const VENDORS: &[Vendor] = &[
    vendor("openai", &["openai", "text-completion-openai"], "https://api.openai.com/v1", "OPENAI_API_KEY")
        .also(&["openai"], &["openai"]),
    vendor("azure", &["azure", "azure_text"], "", "").at(Reach::Azure).also(&["azure"], &["azure-openai"]),
    vendor("anthropic", &["anthropic"], "", "").at(Reach::Anthropic).also(&["anthropic"], &["anthropic"]),
    vendor("gemini", &["gemini"], "https://generativelanguage.googleapis.com/v1beta/openai", "GEMINI_API_KEY")
        .also(&["google_ai_studio_gemini"], &["google"]),
    vendor("cohere", &["cohere", "cohere_chat"], "https://api.cohere.ai/compatibility/v1", "COHERE_API_KEY")
        .also(&[], &["cohere"]),
    vendor("mistral", &["mistral"], "https://api.mistral.ai/v1", "MISTRAL_API_KEY").also(&["mistral"], &["mistral-ai"]),
    vendor("codestral", &["codestral"], "https://codestral.mistral.ai/v1", "CODESTRAL_API_KEY"),
    vendor("xai", &["xai"], "https://api.x.ai/v1", "XAI_API_KEY").also(&["xai"], &["x-ai"]),
    vendor("deepseek", &["deepseek"], "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY")
        .also(&["deepseek"], &["deepseek"]),
    vendor("moonshot", &["moonshot"], "https://api.moonshot.ai/v1", "MOONSHOT_API_KEY").also(&[], &["moonshot"]),
    vendor("zai", &["zai"], "https://api.z.ai/api/paas/v4", "ZAI_API_KEY").also(&[], &["z-ai"]),
    vendor("dashscope", &["dashscope"], "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "DASHSCOPE_API_KEY")
        .also(&[], &["dashscope"]),
    vendor("voyage", &["voyage"], "https://api.voyageai.com/v1", "VOYAGE_API_KEY").also(&[], &["voyage"]),
    vendor("jina", &["jina_ai"], "https://api.jina.ai/v1", "JINA_AI_API_KEY").also(&[], &["jina"]),
    hosted("groq", &["groq"], "https://api.groq.com/openai/v1", "GROQ_API_KEY").also(&["groq"], &["groq"]),
    hosted("together", &["together_ai"], "https://api.together.ai/v1", "TOGETHER_API_KEY")
        .also(&["together"], &["together-ai"]),
    hosted("fireworks", &["fireworks_ai"], "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY")
        .also(&["fireworks"], &["fireworks-ai"]),
    hosted("openrouter", &["openrouter"], "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY")
        .also(&["openrouter"], &["openrouter"]),
    hosted("deepinfra", &["deepinfra"], "https://api.deepinfra.com/v1/openai", "DEEPINFRA_API_KEY")
        .also(&[], &["deepinfra"]),
    hosted("cerebras", &["cerebras"], "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY").also(&[], &["cerebras"]),
    hosted("sambanova", &["sambanova"], "https://api.sambanova.ai/v1", "SAMBANOVA_API_KEY").also(&[], &["sambanova"]),
    hosted("nvidia", &["nvidia_nim"], "https://integrate.api.nvidia.com/v1", "NVIDIA_NIM_API_KEY"),
    hosted("novita", &["novita"], "https://api.novita.ai/v3/openai", "NOVITA_API_KEY").also(&[], &["novita-ai"]),
    hosted("nebius", &["nebius"], "https://api.studio.nebius.ai/v1", "NEBIUS_API_KEY").also(&[], &["nebius"]),
    hosted("hyperbolic", &["hyperbolic"], "https://api.hyperbolic.xyz/v1", "HYPERBOLIC_API_KEY")
        .also(&["hyperbolic"], &["hyperbolic"]),
    hosted("lambda", &["lambda_ai"], "https://api.lambda.ai/v1", "LAMBDA_API_KEY").also(&[], &["lambda"]),
    hosted("friendli", &["friendliai"], "https://api.friendli.ai/serverless/v1", "FRIENDLIAI_API_KEY"),
    hosted("featherless", &["featherless_ai"], "https://api.featherless.ai/v1", "FEATHERLESS_AI_API_KEY")
        .also(&[], &["featherless-ai"]),
    hosted("baseten", &["baseten"], "https://inference.baseten.co/v1", "BASETEN_API_KEY"),
    hosted("nscale", &["nscale"], "https://inference.api.nscale.com/v1", "NSCALE_API_KEY").also(&[], &["nscale"]),
    hosted("wandb", &["wandb"], "https://api.inference.wandb.ai/v1", "WANDB_API_KEY"),
    hosted("meta", &["meta_llama"], "https://api.llama.com/compat/v1", "LLAMA_API_KEY"),
    hosted("huggingface", &["huggingface"], "https://router.huggingface.co/v1", "HF_TOKEN").also(&[], &["huggingface"]),
    hosted("databricks", &["databricks"], "", "DATABRICKS_API_KEY"),
    own("vllm", &["hosted_vllm"], "", "").is("vllm").also(&["vllm"], &[]),
    own("sglang", &[], "", "").is("sglang").also(&["sglang"], &[]),
    own("tgi", &[], "", "").is("tgi").also(&["tgi"], &[]),
    own("openai-like", &["openai_like", "custom_openai"], "", ""),
    own("ollama", &["ollama", "ollama_chat"], "http://localhost:11434/v1", "").is("ollama").also(&[], &["ollama"]),
    own("llamafile", &["llamafile"], "http://127.0.0.1:8080/v1", "").is("llama_cpp"),
    own("lm-studio", &["lm_studio"], "http://localhost:1234/v1", ""),
    own("lemonade", &["lemonade"], "http://localhost:8000/api/v1", ""),
    own("xinference", &["xinference"], "http://127.0.0.1:9997/v1", ""),
    own("infinity", &["infinity"], "", ""),
    own("litellm", &["litellm_proxy"], "", ""),
    no("bedrock", &["bedrock", "bedrock_mantle"], AWS, AWS_HINT).also(&["aws_bedrock"], &["bedrock"]),
    no("sagemaker", &["sagemaker", "sagemaker_chat"], AWS, AWS_HINT).also(&["aws_sagemaker"], &["sagemaker"]),
    no("vertex", &["vertex_ai", "vertex_ai_beta"], GOOGLE, GOOGLE_HINT)
        .also(&["gcp_vertex_gemini", "gcp_vertex_anthropic"], &["vertex-ai"]),
    no("azure-ai", &["azure_ai"], "Azure AI Foundry's model endpoint has paths of its own", COMPATIBLE)
        .also(&[], &["azure-ai"]),
    no("perplexity", &["perplexity"], "its endpoint is at the root of its host, where Crossfade adds /v1", COMPATIBLE)
        .also(&[], &["perplexity-ai"]),
    no("github-copilot", &["github_copilot"], "its key is fetched by a login in the browser", COMPATIBLE),
    no("chatgpt", &["chatgpt"], "its key is fetched by a login in the browser", COMPATIBLE),
    no("watsonx", &["watsonx", "watsonx_text"], "watsonx speaks an API of its own", COMPATIBLE),
    no("replicate", &["replicate"], "Replicate speaks an API of its own", COMPATIBLE).also(&[], &["replicate"]),
    no("cloudflare", &["cloudflare"], "the path has the account in it", COMPATIBLE).also(&[], &["workers-ai"]),
    no("snowflake", &["snowflake"], "Cortex speaks an API of its own", COMPATIBLE).also(&[], &["cortex"]),
    no("triton", &["triton"], "Triton speaks an API of its own", COMPATIBLE).also(&[], &["triton"]),
    no("predibase", &["predibase"], "Predibase speaks an API of its own", COMPATIBLE).also(&[], &["predibase"]),
    no(
        "vllm-in-process",
        &["vllm"],
        "it runs inside LiteLLM's own process",
        "serve the model with vLLM and use `hosted_vllm/`",
    ),
    no(
        "auto-router",
        &["auto_router"],
        "LiteLLM's own routers pick a model by what is asked, which Crossfade does by rules",
        "name one target as the route's, or write a rollout to the model you mean to move to",
    ),
];

/// The vendor of this prefix of LiteLLM's.
pub(super) fn by_litellm_prefix(prefix: &str) -> Option<&'static Vendor> {
    VENDORS.iter().find(|vendor| vendor.litellm.contains(&prefix))
}

/// The vendor of this type of TensorZero's.
pub(super) fn by_tensorzero_type(kind: &str) -> Option<&'static Vendor> {
    VENDORS.iter().find(|vendor| vendor.tensorzero.contains(&kind))
}

/// The vendor that Portkey calls so.
pub(super) fn by_portkey_name(name: &str) -> Option<&'static Vendor> {
    VENDORS.iter().find(|vendor| vendor.portkey.contains(&name))
}

/// The vendor of a model that is named without a prefix, going by how vendors name theirs.
pub(super) fn by_model_name(model: &str) -> Option<&'static Vendor> {
    const OPENAI: [&str; 12] = [
        "gpt-",
        "chatgpt-",
        "o1",
        "o3",
        "o4",
        "text-embedding-",
        "text-moderation-",
        "omni-moderation-",
        "dall-e-",
        "whisper-",
        "tts-",
        "ft:gpt-",
    ];
    let named = |name: &str| VENDORS.iter().find(|vendor| vendor.name == name);
    let starts = |beginnings: &[&str]| beginnings.iter().any(|beginning| model.starts_with(beginning));
    match model {
        "*" | "babbage-002" | "davinci-002" => named("openai"),
        _ if starts(&OPENAI) => named("openai"),
        _ if model.starts_with("claude-") => named("anthropic"),
        _ if starts(&["command-", "embed-english-", "embed-multilingual-"]) => named("cohere"),
        _ if model.starts_with("gemini-") => named("vertex"),
        _ => None,
    }
}
