//! What names say by the words in them, of libraries that no table knows well enough.

use super::{Maker, Method, Rules};

/// Parts of a class's name that is a client, in lower case.
const CLIENTS: [&str; 16] = [
    "client",
    "api",
    "openai",
    "chatgpt",
    "gpt",
    "anthropic",
    "claude",
    "gemini",
    "groq",
    "grok",
    "mistral",
    "deepseek",
    "cohere",
    "openrouter",
    "perplexity",
    "bedrock",
];

/// Parts of a class's name that holds what is sent, answered or set.
const DATA: [&str; 43] = [
    "Request",
    "Message",
    "Param",
    "Config",
    "Option",
    "Setting",
    "Error",
    "Role",
    "Content",
    "Response",
    "Tool",
    "Function",
    "Schema",
    "Body",
    "Payload",
    "Arg",
    "Input",
    "Output",
    "Part",
    "Choice",
    "Usage",
    "Model",
    "Format",
    "Type",
    "Kind",
    "Event",
    "Header",
    "Auth",
    "Credential",
    "Key",
    "Url",
    "Endpoint",
    "History",
    "Template",
    "Turn",
    "Token",
    "Job",
    "Info",
    "Data",
    "Result",
    "Capab",
    "Mode",
    "Version",
];

/// How the name of a method begins that sets or reads something.
const SETS: [&str; 31] = [
    "with", "set", "add", "new", "is", "has", "as", "into", "from", "default", "base", "api", "max", "on", "use",
    "enable", "disable", "to", "build", "builder", "config", "push", "insert", "clear", "reset", "append", "count",
    "parse", "format", "response", "register",
];

/// How such a name ends.
const SET: [&str; 23] = [
    "url",
    "key",
    "model",
    "builder",
    "config",
    "id",
    "ids",
    "tokens",
    "endpoint",
    "params",
    "options",
    "settings",
    "history",
    "name",
    "path",
    "format",
    "type",
    "limit",
    "role",
    "template",
    "client",
    "schema",
    "instruction",
];

/// Methods that do what the name before them says.
const VERBS: [&str; 18] = [
    "create",
    "send",
    "generate",
    "run",
    "execute",
    "stream",
    "post",
    "call",
    "get",
    "list",
    "retrieve",
    "complete",
    "request",
    "ask",
    "fetch",
    "create_stream",
    "stream_create",
    "create_with_stream",
];

impl Rules {
    /// What a function of a module does, or of a class that holds nothing.
    pub(in crate::scan) fn function_by_word(&self, path: &str) -> Option<Method> {
        let parts: Vec<&str> = path.split('.').collect();
        let is_function = match parts.iter().position(|part| part.starts_with(char::is_uppercase)) {
            Some(at) => at + 2 == parts.len() && !DATA.iter().any(|word| parts[at].contains(word)),
            None => true,
        };
        self.by_word(path).filter(|_| is_function)
    }

    /// What a function or a method does by its name; after a name that says it also a verb.
    pub(in crate::scan) fn by_word(&self, path: &str) -> Option<Method> {
        let last = path.rsplit('.').next().unwrap_or(path);
        let parts: Vec<&str> = last.split('_').filter(|part| !part.is_empty()).collect();
        let (first, end) = (parts.first()?, parts.last()?);
        let reads = *first == "get" && matches!(*end, "messages" | "prompt" | "history");
        if last.starts_with(char::is_uppercase) || SETS.contains(first) || SET.contains(end) || reads {
            return None;
        }
        let of = |parts: &[&str]| {
            let is_said = |word: &str| parts.iter().any(|part| part.starts_with(word));
            self.said.iter().find(|(word, _)| is_said(word)).map(|(_, operation)| *operation)
        };
        let before =
            path.strip_suffix(last).map(|before| before.trim_end_matches('.')).filter(|before| !before.is_empty());
        let by_group = || {
            let group = before.filter(|_| VERBS.contains(&last))?;
            let class = group.rsplit('.').next().unwrap_or(group);
            if DATA.iter().any(|word| class.contains(word)) {
                return None;
            }
            let lower = group.to_lowercase();
            of(&lower.split(['.', '_']).collect::<Vec<&str>>())
        };
        let operation = by_group().or_else(|| of(&parts))?;
        let (returns, vendor, unless) = (None, None, None);
        let (is_maker, is_adapter, is_near) = (false, false, false);
        Some(Method { operation: Some(operation), returns, is_maker, is_adapter, vendor, unless, is_near })
    }
}

/// What a class makes whose name is a client's.
pub(super) fn made_loosely(makes: &'static str, path: &str) -> Option<Maker> {
    let class = path.rsplit('.').next().unwrap_or(path);
    let lower = class.to_lowercase();
    let is_client = class.starts_with(char::is_uppercase)
        && CLIENTS.iter().any(|word| lower.contains(word))
        && !DATA.iter().any(|word| class.contains(word));
    let (operation, is_adapter) = ("client", false);
    is_client.then_some(Maker { makes, operation, is_adapter, vendor: None, only: None, by: None, given: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::language::Language;

    #[test]
    fn names_say_what_is_done() {
        let does =
            |path: &str| Rules::of(Language::Rust).by_word(path).and_then(|method| method.operation).unwrap_or("");
        let said = [
            ("message_create", "chat"),
            ("messages_stream", "chat"),
            ("embed_content", "embeddings"),
            ("image.generate", "images"),
            ("model.retrieve", "models"),
            ("completion.create_with_stream", "completions"),
            ("chat.completion.create", "chat"),
            ("with_chat_model", ""),
            ("message_id", ""),
            ("ChatRequest.create", ""),
            ("Message.user", ""),
            ("response_schema", ""),
            ("get_messages", ""),
        ];
        assert_eq!(said.map(|(path, _)| (path, does(path))), said);
    }

    #[test]
    fn clients_are_told_from_what_is_sent() {
        let is_client = |class: &str| made_loosely("any", class).is_some();
        let classes =
            ["Client", "client.GeminiClient", "GeminiClientBuilder", "ClientConfig", "ChatMessage", "ClaudeModel"];
        assert_eq!(classes.map(is_client), [true, true, true, false, false, false]);
    }
}
