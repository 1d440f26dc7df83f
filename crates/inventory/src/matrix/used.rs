//! One use of a vendor: a place in code, or what was recorded of a route.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::cell::Through;
use super::effort::Change;
use crate::scan::{Finding, Flags, Kind, Sunset, is_framework};
use crate::traffic::Use;

/// One use of a vendor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Used {
    /// Where, when it is a place in code or configuration.
    pub place: Option<Place>,
    /// Whether the place is where it is used, and not only configured or depended on.
    pub is_site: bool,
    /// Whether it is where a part of a message with an image is built, which some call carries.
    pub is_part: bool,
    /// Whether it is a hosted service that is no vendor's language model.
    pub is_service: bool,
    /// Requests on record, when it is of those.
    pub requests: u64,
    /// In which dialect they came; by operation and vendor where it is not said.
    pub through: Option<Through>,
    /// How many of them use what, in the matrix's words; by operation, parameters and flags where it is not said.
    pub words: BTreeMap<&'static str, u64>,
    /// What is done, in the inventory's word.
    pub operation: String,
    /// Whose service.
    pub vendor: String,
    /// Of one that is chosen at run time: among whom, where the code says so.
    pub among: Vec<String>,
    /// The library, with its version; empty without one.
    pub library: String,
    /// The model.
    pub model: Option<String>,
    /// Whether it is a call in code that some model answers.
    pub is_asked: bool,
    /// Names of parameters.
    pub parameters: Vec<String>,
    /// What it asks for.
    pub flags: Flags,
    /// What was seen.
    pub seen: String,
    /// Who owns the file.
    pub owners: Vec<String>,
    /// What has an end.
    pub sunsets: Vec<Sunset>,
}

/// A place in code.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The file.
    pub path: String,
    /// The line, from 1.
    pub line: u32,
}

/// In which words a use speaks to its vendor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaks {
    /// OpenAI's, which the gateway takes.
    Openai,
    /// Anthropic's Messages, which the gateway takes.
    Messages,
    /// Its vendor's own.
    Own,
}

/// Vendors with OpenAI's dialect: another base address is all there is to change.
const OPENAI_LIKE: [&str; 16] = [
    "openai",
    "openai-compatible",
    "azure-openai",
    "github",
    "groq",
    "together",
    "fireworks",
    "openrouter",
    "deepseek",
    "perplexity",
    "cerebras",
    "nvidia",
    "moonshot",
    "aimlapi",
    "xai",
    "self-hosted",
];

/// Frameworks: which vendor is behind them is said once, not at each call.
const FRAMEWORKS: [&str; 26] = [
    "langchain",
    "llama-index",
    "llamaindex",
    "litellm",
    "semantic-kernel",
    "spring-ai",
    "vercel-ai",
    "ai-sdk",
    "extensions-ai",
    "haystack",
    "pydantic-ai",
    "instructor",
    "dspy",
    "autogen",
    "crewai",
    "aisuite",
    "guidance",
    "marvin",
    "rig",
    "genai-rs",
    "ruby-llm",
    "llphant",
    "prism",
    "laravel-ai",
    "deepeval",
    "ragas",
];

/// Open weights that somebody else serves.
const HOSTED: [&str; 10] = [
    "groq",
    "together",
    "fireworks",
    "openrouter",
    "replicate",
    "huggingface",
    "cerebras",
    "deepinfra",
    "nvidia",
    "aimlapi",
];

impl Used {
    /// A place in code.
    #[must_use]
    pub fn of(finding: &Finding) -> Used {
        let version = finding.version.as_deref().map(|version| format!(" {version}")).unwrap_or_default();
        Used {
            place: Some(Place { path: finding.path.clone(), line: finding.line }),
            is_site: finding.kind.is_site(),
            is_part: finding.kind == Kind::Part,
            is_service: finding.kind == Kind::Service,
            requests: 0,
            through: None,
            words: BTreeMap::new(),
            operation: finding.operation.clone(),
            vendor: finding.vendor.clone(),
            among: finding.among.clone(),
            library: format!("{}{version}", finding.sdk),
            model: finding.model.id.clone(),
            is_asked: finding.asks_a_model(),
            parameters: finding.parameters.clone(),
            flags: finding.flags,
            seen: finding.seen.clone(),
            owners: finding.owners.clone(),
            sunsets: finding.sunsets.clone(),
        }
    }

    /// What was recorded: one use for each model that answered, in each dialect.
    #[must_use]
    pub fn recorded(uses: &[Use]) -> Vec<Used> {
        let one = |of: &Use| -> Vec<Used> {
            let used = of.needed.iter().map(|needed| Used {
                requests: needed.requests,
                through: Some(needed.through),
                words: needed.words.clone(),
                operation: of.operation.clone(),
                vendor: needed.vendor.clone(),
                model: Some(needed.model.clone()),
                ..Used::default()
            });
            used.collect()
        };
        uses.iter().flat_map(one).collect()
    }

    /// How many requests on record use this.
    pub(super) fn requests_of(&self, word: &str) -> u64 {
        if self.words.is_empty() { self.requests } else { self.words.get(word).copied().unwrap_or(0) }
    }

    /// Whether it is of the vendor, or may be.
    pub(super) fn is_of(&self, vendor: &str) -> bool {
        self.vendor == vendor || self.among.iter().any(|name| name == vendor)
    }

    fn is_framework(&self) -> bool {
        FRAMEWORKS.iter().any(|own| self.library.starts_with(own)) || is_framework(self.library_name())
    }

    /// The library, without its version.
    pub(super) fn library_name(&self) -> &str {
        self.library.split(' ').next().unwrap_or_default()
    }

    /// Whether it is OpenAI's dialect whoever answers: by a library of OpenAI's that is told another address, or by the path of plain HTTP.
    fn is_as_openai(&self) -> bool {
        let is_library = self.library.contains("openai") && !self.library.contains("azure");
        let is_older = ["betalgo", "okgodoit", "theokanning"].iter().any(|name| self.library.starts_with(name));
        is_library || is_older || self.library.is_empty() && self.seen.contains("/chat/completions")
    }

    pub(super) fn speaks(&self) -> Speaks {
        let is_anthropic_client = self.library.contains("anthropic");
        match self.vendor.as_str() {
            "anthropic" => Speaks::Messages,
            "aws-bedrock" | "google-vertex" if is_anthropic_client => Speaks::Messages,
            vendor if OPENAI_LIKE.contains(&vendor) || self.is_as_openai() => Speaks::Openai,
            _ => Speaks::Own,
        }
    }

    /// What has to be changed there for the gateway to be asked, whatever is behind it. A recorded request is asked of it already.
    pub(super) fn change(&self) -> Change {
        if self.place.is_none() {
            return Change::Configuration;
        }
        match self.speaks() {
            Speaks::Openai => Change::Configuration,
            Speaks::Messages if self.vendor == "anthropic" => Change::Configuration,
            Speaks::Messages => Change::Adjust,
            Speaks::Own if self.is_framework() => Change::Adjust,
            Speaks::Own => Change::Rewrite,
        }
    }
}

/// What kind of service a vendor is, in the config's words, and whether it is outside.
pub(super) fn class_of(vendor: &str) -> (&'static str, bool) {
    match vendor {
        "self-hosted" => ("self_hosted", false),
        vendor if HOSTED.contains(&vendor) => ("hosted", true),
        "unknown" | "openai-compatible" | "-" => ("external", true),
        _ => ("vendor", true),
    }
}
