//! What the keys mean.

use crate::json::Json;
use crate::meter::Meter;
use crate::sheet::STANDARD;

/// The service of keys that end in `_batches`.
pub(super) const BATCH: &str = "batch";

/// What a key is about.
pub(super) enum Meaning<'a> {
    /// A price.
    Price(Key<'a>),
    /// Nothing about prices, or nothing new.
    Harmless(&'static str),
    /// A price that sheets cannot say.
    Unsupported(&'static str),
}

/// A price key taken apart.
pub(super) struct Key<'a> {
    pub(super) meter: Meter,
    /// From their unit to the meter's.
    pub(super) factor: u64,
    pub(super) service: &'static str,
    /// The bound of a tier, in input tokens.
    pub(super) above: Option<u64>,
    /// The price, when it is within the value.
    pub(super) value: Option<&'a Json>,
}

const PER_MILLION: u64 = 1_000_000;
const PER_THOUSAND: u64 = 1_000;
const PER_HOUR: u64 = 3_600;

const BASES: [(&str, Meter, u64); 27] = [
    ("input_cost_per_token", Meter::Input, PER_MILLION),
    ("output_cost_per_token", Meter::Output, PER_MILLION),
    ("cache_read_input_token_cost", Meter::Cached, PER_MILLION),
    ("input_cost_per_token_cache_hit", Meter::Cached, PER_MILLION),
    ("cache_creation_input_token_cost", Meter::CacheWrite, PER_MILLION),
    ("cache_creation_input_token_cost_above_1hr", Meter::CacheWrite1h, PER_MILLION),
    ("cache_creation_input_audio_token_cost", Meter::CacheWriteAudio, PER_MILLION),
    ("cache_read_input_audio_token_cost", Meter::CachedAudio, PER_MILLION),
    ("cache_read_input_image_token_cost", Meter::CachedImage, PER_MILLION),
    ("input_cost_per_audio_token", Meter::AudioInput, PER_MILLION),
    ("output_cost_per_audio_token", Meter::AudioOutput, PER_MILLION),
    ("input_cost_per_image_token", Meter::ImageInput, PER_MILLION),
    ("output_cost_per_image_token", Meter::ImageOutput, PER_MILLION),
    ("input_cost_per_video_token", Meter::VideoInput, PER_MILLION),
    ("output_cost_per_video_token", Meter::VideoOutput, PER_MILLION),
    ("output_cost_per_reasoning_token", Meter::Reasoning, PER_MILLION),
    ("citation_cost_per_token", Meter::Citation, PER_MILLION),
    ("input_cost_per_request", Meter::Request, 1),
    ("input_cost_per_audio_per_second", Meter::AudioInputSeconds, PER_HOUR),
    ("input_cost_per_character", Meter::Characters, PER_MILLION),
    ("input_cost_per_text_message", Meter::Messages, PER_THOUSAND),
    ("input_cost_per_image", Meter::ImagesIn, 1),
    ("output_cost_per_image", Meter::ImagesOut, 1),
    ("ocr_cost_per_page", Meter::Pages, PER_THOUSAND),
    ("file_search_cost_per_1k_calls", Meter::FileSearches, 1),
    ("input_cost_per_second", Meter::AudioInputSeconds, PER_HOUR),
    ("input_cost_per_query", Meter::RerankSearches, PER_THOUSAND),
];

const SERVICES: [(&str, &str); 6] = [
    ("_batches", BATCH),
    ("_flex", "flex"),
    ("_priority", "priority"),
    ("_balanced", "balanced"),
    ("_ultrafast", "ultrafast"),
    ("_decisions", "decisions"),
];

/// Keys about what a model can do, how it is called and how it is counted.
const HARMLESS: [&str; 36] = [
    "audio_transcription_config",
    "bedrock_output_config_effort_ceiling",
    "comment",
    "default_reasoning_effort",
    "deprecation_date",
    "gemini_audio_only_live",
    "gemini_native_audio",
    "max_audio_length_hours",
    "max_audio_per_prompt",
    "max_document_chunks_per_query",
    "max_images_per_prompt",
    "max_input_tokens",
    "max_output_tokens",
    "max_pdf_size_mb",
    "max_query_tokens",
    "max_tokens",
    "max_tokens_per_document_chunk",
    "max_video_length",
    "max_videos_per_prompt",
    "mode",
    "output_vector_size",
    "prompt_cache_min_tokens",
    "reasoning_contexts",
    "reasoning_effort_levels",
    "reasoning_modes",
    "rpm",
    "supported_audio_formats",
    "supported_endpoints",
    "supported_modalities",
    "supported_output_modalities",
    "supported_regions",
    "thinking_always_on",
    "token_count_framing",
    "token_count_model",
    "token_count_tokenizer",
    "tpm",
];

/// The same, with a beginning or another name.
const HARMLESS_TOO: [&str; 5] =
    ["use_openai_responses_path", "uses_embed_content", "vertex_ai_audio_api", "metadata", "web_search_billing_unit"];

pub(super) fn meaning<'a>(name: &str, value: &'a Json, mode: &str) -> Meaning<'a> {
    if HARMLESS.contains(&name)
        || HARMLESS_TOO.contains(&name)
        || name.starts_with("supports_")
        || name.starts_with("bedrock_converse_supports_")
    {
        return Meaning::Harmless("not about prices");
    }
    if name == "search_context_cost_per_query" {
        return by_search_size(value);
    }
    let (rest, service) = SERVICES
        .iter()
        .find_map(|(suffix, service)| Some((name.strip_suffix(suffix)?, *service)))
        .unwrap_or((name, STANDARD));
    let (base, above) = tier(rest).unwrap_or((rest, None));
    let Some((_, meter, factor)) = BASES.iter().find(|(known, ..)| *known == base) else {
        return Meaning::Unsupported(unsupported(base));
    };
    // Of video and music a second is something else, and so is a query of a search engine.
    match (*meter, mode) {
        (Meter::AudioInputSeconds, "audio_transcription" | "realtime" | "chat" | "embedding")
        | (Meter::RerankSearches, "rerank") => {}
        (Meter::AudioInputSeconds, _) => return Meaning::Unsupported("seconds of something else than sound"),
        (Meter::RerankSearches, _) => return Meaning::Unsupported("queries of something else than a ranker"),
        _ => {}
    }
    Meaning::Price(Key { meter: *meter, factor: *factor, service, above, value: None })
}

/// `…_above_272k_tokens` as the rest and the bound.
fn tier(name: &str) -> Option<(&str, Option<u64>)> {
    let (base, bound) = name.strip_suffix("_tokens")?.rsplit_once("_above_")?;
    let bound = match bound.strip_suffix('k') {
        Some(thousands) => thousands.parse::<u64>().ok()?.checked_mul(1_000)?,
        None => bound.parse().ok()?,
    };
    Some((base, Some(bound)))
}

/// Searches cost by how much they bring back; where that makes no difference, it is a price.
fn by_search_size(value: &Json) -> Meaning<'_> {
    let mut prices = value.members().iter().map(|(_, price)| price);
    let Some(first) = prices.next() else { return Meaning::Harmless("nothing") };
    if prices.all(|price| price == first) {
        let key =
            Key { meter: Meter::WebSearches, factor: PER_THOUSAND, service: STANDARD, above: None, value: Some(first) };
        return Meaning::Price(key);
    }
    Meaning::Unsupported("a price by the size of the search")
}

fn unsupported(base: &str) -> &'static str {
    if base.ends_with("_above_12hr") {
        "caches kept for twelve hours are not metered apart"
    } else if base.contains("uplift_multiplier") {
        "a surcharge for some regions"
    } else if base == "provider_specific_entry" {
        "multipliers and settings of one provider"
    } else if base.contains("dbu") {
        "a price in units of the vendor's own"
    } else if base.contains("cost") || base.contains("search_free_requests") || base == "rules" {
        "a price of something that is not metered"
    } else {
        "unknown key"
    }
}
