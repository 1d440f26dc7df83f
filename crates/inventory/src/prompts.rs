//! Finds the prompts of a code base: messages that are sent, templates, system messages and examples, as far as they can be read without
//! running anything.
//!
//! [`read`] looks into one file. [`link`] follows names between files and returns every prompt with where each part of it stands, and every
//! place where a prompt is made that cannot be read. [`draft`] writes a prompt in the form of the prompt registry.

pub mod draft;
mod files;
mod find;
mod holes;
mod link;
mod literal;
mod message;
mod resolve;
mod said;
mod settings;
mod shape;
#[cfg(test)]
mod tests;
mod yaml;

use serde::Serialize;

pub use self::find::{Read, read};
pub use self::link::link;

/// Whether a file can be or have a prompt by its name.
#[must_use]
pub fn is_prompt_file(path: &str) -> bool {
    files::is_prompt_file(path) || settings::is_settings(path)
}

/// Who says a message, in the words of the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The application, to the model.
    System,
    /// The user.
    User,
    /// The model.
    Assistant,
}

impl Role {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        }
    }
}

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Piece {
    /// What is always said.
    Text(String),
    /// What is filled in: the expression as it stands in code.
    Hole(String),
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Who says it.
    pub role: Role,
    /// What is said.
    pub pieces: Vec<Piece>,
    /// The file it stands in.
    pub path: String,
    /// The line it begins at.
    pub line: u32,
}

/// A prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Prompt {
    /// What it is called: the name it has in code, or the file's.
    pub name: String,
    /// The file.
    pub path: String,
    /// The line.
    pub line: u32,
    /// Its messages in their order.
    pub messages: Vec<Message>,
    /// What of it could not be read, in words.
    pub notes: Vec<String>,
}

/// A place where a prompt is made that cannot be read without running it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Unread {
    /// The file.
    pub path: String,
    /// The line.
    pub line: u32,
    /// What is there.
    pub why: String,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Extracted {
    /// In the order of paths and lines.
    pub prompts: Vec<Prompt>,
    /// In the same order.
    pub unread: Vec<Unread>,
}

impl Extracted {
    /// Takes in what was found elsewhere, with this before its paths; a name that is taken gets a number.
    pub fn add(&mut self, other: Extracted, prefix: &str) {
        let prompts = other.prompts.into_iter().map(|prompt| {
            let message = |message: Message| Message { path: format!("{prefix}{}", message.path), ..message };
            let messages = prompt.messages.into_iter().map(message).collect();
            Prompt { path: format!("{prefix}{}", prompt.path), messages, ..prompt }
        });
        self.prompts.extend(prompts);
        link::name_apart(&mut self.prompts);
        let unread = other.unread.into_iter();
        self.unread.extend(unread.map(|unread| Unread { path: format!("{prefix}{}", unread.path), ..unread }));
    }
}
