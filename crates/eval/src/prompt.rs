//! Prompts as assets: what is asked, with typed places to fill in, in one form for all models and variants for some.
//!
//! A [`Prompt`] is resolved: its templates name no variable that it does not declare. Its version is the SHA-256 of what it says
//! ([`Prompt::version`]); a comment or another layout of the file it was read from makes no other version. Templates have no logic but
//! "if it is there" and "for each of them" ([`template`]). Nothing here reads a file or calls anybody: [`Prompt::request`] makes the members
//! of a chat request, and whoever asks a target sends them.

pub mod diff;
mod golden;
pub mod propose;
mod render;
pub mod results;
pub mod template;
pub mod trial;
mod variables;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

pub use golden::{Expectation, Golden, Kind as ExpectationKind, UnknownExpectation};
pub use render::RenderError;
pub use template::{Template, TemplateError};
pub use variables::{Field, Type, ValueError, Variable};

/// A prompt with its variants and golden tests.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Prompt {
    /// What it is called.
    pub name: String,
    /// The user's task it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// What is filled in.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, Variable>,
    /// The form for every target that has no variant.
    pub form: Form,
    /// What is otherwise for some targets.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub variants: BTreeMap<String, Variant>,
    /// What it is held against.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<Golden>,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Form {
    /// The messages in their order.
    pub messages: Vec<Message>,
    /// Questions with their answers, shown after the system messages.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub few_shots: Vec<Shot>,
    /// Members of the request beside the messages.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub parameters: Map<String, Value>,
    /// Where the system messages go.
    pub system: Placement,
    /// What variables that are `delimited` stand between.
    pub delimiters: Delimiters,
    /// Said at the end of the last system message, or of the last user message where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instruction: Option<String>,
}

/// What is otherwise for the targets of a variant; what it does not say is as in the form.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Variant {
    /// Targets of the config it is for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    /// Other messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<Vec<Message>>,
    /// Other examples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub few_shots: Option<Vec<Shot>>,
    /// Parameters that replace those of the form one by one; `null` takes one away.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub parameters: Map<String, Value>,
    /// Another place for the system messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<Placement>,
    /// Other delimiters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delimiters: Option<Delimiters>,
    /// Another instruction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instruction: Option<String>,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Message {
    /// Who says it.
    pub role: Role,
    /// What is said.
    pub text: Template,
}

/// An example.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shot {
    /// What is asked.
    pub user: String,
    /// What is answered.
    pub assistant: String,
}

/// Who says a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The application, to the model.
    System,
    /// The user.
    User,
    /// The model.
    Assistant,
}

/// Where system messages go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// Messages of the role `system`.
    #[default]
    System,
    /// Messages of the role `developer`.
    Developer,
    /// The beginning of the first message of the user, for models whose chat template has no system role.
    User,
}

/// What `delimited` variables stand between.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Delimiters {
    /// Nothing.
    #[default]
    None,
    /// `<name>` and `</name>` on lines of their own.
    Xml,
    /// Code fences, longer than any in the value.
    Fence,
    /// `[name]` and `[/name]` on lines of their own.
    Brackets,
}

impl Role {
    /// Every role, with its word.
    pub const WORDS: [(&'static str, Role); 3] =
        [("system", Role::System), ("user", Role::User), ("assistant", Role::Assistant)];
}

impl Placement {
    /// Every placement, with its word.
    pub const WORDS: [(&'static str, Placement); 3] =
        [("system", Placement::System), ("developer", Placement::Developer), ("user", Placement::User)];
}

impl Delimiters {
    /// Every style, with its word.
    pub const WORDS: [(&'static str, Delimiters); 4] = [
        ("none", Delimiters::None),
        ("xml", Delimiters::Xml),
        ("fence", Delimiters::Fence),
        ("brackets", Delimiters::Brackets),
    ];

    /// The word in files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Delimiters::WORDS.iter().find(|(_, style)| *style == self).map_or("none", |(word, _)| word)
    }
}

impl Prompt {
    /// The SHA-256 of all it says, golden tests included, in hexadecimal.
    #[must_use]
    pub fn version(&self) -> String {
        let mut text = String::with_capacity(64);
        for byte in Sha256::digest(self.canonical()) {
            text.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
            text.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
        }
        text
    }

    /// All it says as one line of JSON in which members are sorted.
    #[must_use]
    pub fn canonical(&self) -> String {
        // Structs of texts, numbers and maps with text keys always serialise; a `Value` sorts its members.
        serde_json::to_value(self).map(|value| value.to_string()).unwrap_or_default()
    }

    /// The name of the variant for a target, if one is.
    #[must_use]
    pub fn variant_for(&self, target: &str) -> Option<&str> {
        let is_for = |variant: &&Variant| variant.targets.iter().any(|name| name == target);
        self.variants.iter().find(|(_, variant)| is_for(variant)).map(|(name, _)| name.as_str())
    }

    /// The form with what the variant of this name says otherwise; `None` when there is no such variant.
    #[must_use]
    pub fn form(&self, variant: Option<&str>) -> Option<Form> {
        match variant {
            None => Some(self.form.clone()),
            Some(name) => self.variants.get(name).map(|variant| self.form.with(variant)),
        }
    }

    /// Declared variables that no message of any form names.
    #[must_use]
    pub fn unused(&self) -> Vec<&str> {
        let forms = std::iter::once(&self.form.messages);
        let forms = forms.chain(self.variants.values().filter_map(|variant| variant.messages.as_ref()));
        let named: Vec<&str> = forms.flatten().flat_map(|message| message.text.names()).collect();
        self.variables.keys().map(String::as_str).filter(|name| !named.contains(name)).collect()
    }
}

impl Form {
    /// The same with what a variant says otherwise.
    #[must_use]
    pub fn with(&self, variant: &Variant) -> Form {
        let mut parameters = self.parameters.clone();
        for (name, value) in &variant.parameters {
            if value.is_null() {
                parameters.remove(name);
            } else {
                parameters.insert(name.clone(), value.clone());
            }
        }
        Form {
            messages: variant.messages.clone().unwrap_or_else(|| self.messages.clone()),
            few_shots: variant.few_shots.clone().unwrap_or_else(|| self.few_shots.clone()),
            parameters,
            system: variant.system.unwrap_or(self.system),
            delimiters: variant.delimiters.unwrap_or(self.delimiters),
            instruction: variant.instruction.clone().or_else(|| self.instruction.clone()),
        }
    }
}

#[cfg(test)]
mod tests;
