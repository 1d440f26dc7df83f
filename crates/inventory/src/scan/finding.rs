//! What is reported.

use serde::{Deserialize, Serialize};

/// Every operation that a finding can have.
pub const OPERATIONS: [&str; 20] = [
    "chat",
    "completions",
    "responses",
    "embeddings",
    "images",
    "audio",
    "video",
    "moderation",
    "assistants",
    "files",
    "fine-tuning",
    "batches",
    "vector_store",
    "rerank",
    "realtime",
    "models",
    "client",
    "evals",
    "search",
    "tokens",
];

/// What kind of place it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An operation of a vendor is called through a library.
    Call,
    /// A client or a model object is made.
    Client,
    /// A framework is made to use a vendor.
    Adapter,
    /// An operation of a vendor is called by plain HTTP.
    Http,
    /// A vendor's address, in code or configuration.
    Endpoint,
    /// A model's id, in code or configuration.
    Model,
    /// A part of a message with an image is built; which calls carry it is not seen.
    Part,
    /// A hosted AI service is used that is no vendor's language model: search, documents, speech, the safety of contents.
    Service,
    /// A variable of the environment or a setting that a library or framework reads.
    Setting,
    /// A library is depended on.
    Dependency,
    /// What looks like a vendor's key, in the clear.
    Key,
}

impl Kind {
    /// The kind as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Call => "call",
            Kind::Client => "client",
            Kind::Adapter => "adapter",
            Kind::Http => "http",
            Kind::Endpoint => "endpoint",
            Kind::Model => "model",
            Kind::Part => "part",
            Kind::Service => "service",
            Kind::Setting => "setting",
            Kind::Dependency => "dependency",
            Kind::Key => "key",
        }
    }

    /// Whether it is a place in code where a vendor is used: a call site.
    #[must_use]
    pub const fn is_site(self) -> bool {
        matches!(self, Kind::Call | Kind::Client | Kind::Adapter | Kind::Http)
    }
}

/// How sure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// It looks like it, and nothing else in the repository says that the library is used.
    Possible,
    /// The name is the library's own and the repository uses the library, but where the object comes from is not seen.
    Likely,
    /// The name was followed to an import of the library, or the text says it.
    Certain,
}

impl Confidence {
    /// The level as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Confidence::Certain => "certain",
            Confidence::Likely => "likely",
            Confidence::Possible => "possible",
        }
    }
}

/// Which model is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// The id, when it can be known without running anything.
    pub id: Option<String>,
    /// Where it comes from.
    pub from: ModelFrom,
}

/// Where a model's id comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelFrom {
    /// Written in the call or the request it is given.
    Literal,
    /// A variable; the id is known where one constant is behind it.
    Variable,
    /// The environment or configuration.
    Config,
    /// None is given here.
    #[default]
    Unknown,
}

impl ModelFrom {
    /// The word as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            ModelFrom::Literal => "literal",
            ModelFrom::Variable => "variable",
            ModelFrom::Config => "config",
            ModelFrom::Unknown => "unknown",
        }
    }
}

/// What a call asks for besides an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts of a call, each written as a word of its own")]
pub struct Flags {
    /// The answer comes in pieces.
    pub streaming: bool,
    /// Tools or functions are offered.
    pub tools: bool,
    /// The answer has to keep to a schema.
    pub schema: bool,
    /// The answer has to be JSON, whatever is in it.
    #[serde(default)]
    pub json_mode: bool,
    /// Images are sent.
    pub vision: bool,
    /// Log probabilities are asked for.
    pub logprobs: bool,
}

impl Flags {
    /// Those of both.
    #[must_use]
    pub(crate) const fn or(self, other: Flags) -> Flags {
        Flags {
            streaming: self.streaming || other.streaming,
            tools: self.tools || other.tools,
            schema: self.schema || other.schema,
            json_mode: self.json_mode || other.json_mode,
            vision: self.vision || other.vision,
            logprobs: self.logprobs || other.logprobs,
        }
    }

    /// The words of those that are set.
    #[must_use]
    pub fn words(self) -> Vec<&'static str> {
        let all = [
            (self.streaming, "streaming"),
            (self.tools, "tools"),
            (self.schema, "schema"),
            (self.json_mode, "json_mode"),
            (self.vision, "vision"),
            (self.logprobs, "logprobs"),
        ];
        all.into_iter().filter(|(set, _)| *set).map(|(_, word)| word).collect()
    }
}

/// Where what is asked is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prompt {
    /// The file, from the directory that was named.
    pub path: String,
    /// The line, from 1.
    pub line: u32,
    /// What stands there.
    pub form: PromptForm,
}

/// What stands where a prompt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptForm {
    /// A text.
    Literal,
    /// A text with places that are filled in at run time.
    Template,
    /// A parameter or variable; its text comes from elsewhere.
    Variable,
    /// An expression that makes it.
    Expression,
}

impl PromptForm {
    /// The word as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            PromptForm::Literal => "literal",
            PromptForm::Template => "template",
            PromptForm::Variable => "variable",
            PromptForm::Expression => "expression",
        }
    }
}

/// How the owners of a place are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OwnersFrom {
    /// A CODEOWNERS file names them.
    Codeowners,
    /// They wrote the line last.
    Blame,
}

impl OwnersFrom {
    /// The word as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            OwnersFrom::Codeowners => "codeowners",
            OwnersFrom::Blame => "blame",
        }
    }
}

/// A warning that something has an end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sunset {
    /// What ends.
    pub what: String,
    /// The day it ends, `YYYY-MM-DD`.
    pub ends: String,
    /// Where the vendor says so.
    pub source: String,
    /// How the day is known: `vendor` (read there), `cited` (read where others cite it), `unread`.
    pub known_by: String,
}

/// One place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The file, from the directory that was named, with `/`.
    pub path: String,
    /// The line, from 1.
    pub line: u32,
    /// What kind of place.
    pub kind: Kind,
    /// What is done there.
    pub operation: String,
    /// Whose service.
    pub vendor: String,
    /// Of a call whose client is made in branches: whose services it is chosen among at run time.
    #[serde(default)]
    pub among: Vec<String>,
    /// The library; empty without one.
    pub sdk: String,
    /// Its version, by the nearest lock file or manifest.
    pub version: Option<String>,
    /// The model.
    pub model: Model,
    /// Names of the parameters that are given.
    pub parameters: Vec<String>,
    /// What it asks for.
    pub flags: Flags,
    /// How sure it is.
    pub confidence: Confidence,
    /// What was seen: the dotted name, a variable, or a masked key.
    pub seen: String,
    /// Where what is asked is written, where that can be seen.
    pub prompt: Option<Prompt>,
    /// How the answer is read: members, and functions that parse it.
    pub response: Vec<String>,
    /// Who owns the file, where that is known.
    pub owners: Vec<String>,
    /// How that is known.
    pub owners_from: Option<OwnersFrom>,
    /// What has an end.
    pub sunsets: Vec<Sunset>,
}

/// Operations that some model answers.
const ASKED: [&str; 11] = [
    "chat",
    "completions",
    "responses",
    "embeddings",
    "images",
    "audio",
    "moderation",
    "assistants",
    "rerank",
    "realtime",
    "video",
];

impl Finding {
    /// A place of which no more is known than this, for certain.
    pub(super) fn plain(path: &str, line: u32, kind: Kind, (operation, vendor): (&str, &str), seen: String) -> Finding {
        Finding {
            path: path.to_owned(),
            line,
            kind,
            operation: operation.to_owned(),
            vendor: vendor.to_owned(),
            among: Vec::new(),
            sdk: String::new(),
            version: None,
            model: Model::default(),
            parameters: Vec::new(),
            flags: Flags::default(),
            confidence: Confidence::Certain,
            seen,
            prompt: None,
            response: Vec::new(),
            owners: Vec::new(),
            owners_from: None,
            sunsets: Vec::new(),
        }
    }

    /// Whether it is a call that some model answers.
    #[must_use]
    pub fn asks_a_model(&self) -> bool {
        matches!(self.kind, Kind::Call | Kind::Http) && ASKED.contains(&self.operation.as_str())
    }
}

/// How many calls there are that some model answers, and of how many of them the model is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Calls.
    pub calls: usize,
    /// Those whose model the code does not say.
    pub unknown: usize,
}

impl Asked {
    /// Of calls, whether the model of each is known.
    pub fn of(known: impl IntoIterator<Item = bool>) -> Asked {
        known.into_iter().fold(Asked::default(), |asked, is_known| Asked {
            calls: asked.calls + 1,
            unknown: asked.unknown + usize::from(!is_known),
        })
    }

    /// Of findings.
    #[must_use]
    pub fn of_findings(findings: &[Finding]) -> Asked {
        Asked::of(findings.iter().filter(|found| found.asks_a_model()).map(|found| found.model.id.is_some()))
    }

    /// What a list of what has an end leaves out, in a sentence; empty where it leaves nothing out.
    #[must_use]
    pub fn words(self) -> String {
        let Asked { calls, unknown } = self;
        if unknown == 0 {
            return String::new();
        }
        format!(
            "Of {calls} {} a model answers, the model of {unknown} is not known from the call (it comes from a variable, a setting or a table of \
             the application): whether it has an end is not said here. Recorded traffic says it.",
            if calls == 1 { "call that" } else { "calls that" }
        )
    }
}
