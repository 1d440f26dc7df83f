//! Which expressions are a message, and whose it is.

use std::sync::OnceLock;

use regex::Regex;

use super::Role;
use super::said::{Call, Said, is_one_of};

/// A message before names are followed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RawMessage {
    pub(super) role: Role,
    /// What is said; several where it is made of parts.
    pub(super) content: Vec<Said>,
    pub(super) line: u32,
    /// Whether `{name}` in it is filled in by a framework.
    pub(super) is_template: bool,
}

/// Names of the part of a message that is said.
const CONTENT: [&str; 9] = ["content", "text", "template", "contents", "parts", "message", "prompt", "input", "value"];

/// Whose message a word means.
pub(super) fn role_word(word: &str) -> Option<Role> {
    Some(match word.to_ascii_lowercase().as_str() {
        "system" | "developer" => Role::System,
        "user" | "human" => Role::User,
        "assistant" | "ai" | "model" | "bot" | "chatbot" => Role::Assistant,
        _ => return None,
    })
}

/// Whose message a role means: a text, or a constant such as `openai.ChatMessageRoleSystem`, `ChatRole.User`, `Role::Assistant`.
fn role_of(said: &Said) -> Option<Role> {
    match said {
        Said::Text(text) => role_word(text.plain()?.trim()),
        Said::Name(name) => {
            let parts: Vec<&str> = name.split('.').collect();
            let names_roles = parts.iter().any(|part| part.to_ascii_lowercase().contains("role"));
            let word = parts.iter().rev().find(|part| !matches!(**part, "value" | "Value" | "getValue"))?;
            let word = word.to_ascii_lowercase();
            let word = word.rsplit("role").next().unwrap_or(&word).trim_matches('_').to_owned();
            role_word(&word).filter(|_| names_roles)
        }
        Said::Call(call) => {
            role_of(&Said::Name(call.name.clone())).or_else(|| call.receiver.as_ref().and_then(role_of)).or_else(|| {
                call.arguments.first().and_then(|(_, said)| role_of(said)).filter(|_| call.arguments.len() == 1)
            })
        }
        _ => None,
    }
}

/// An expression that is a message.
pub(super) fn message_of(said: &Said) -> Option<RawMessage> {
    match said {
        Said::Object(pairs, line) => {
            let get = |names: &[&str]| pairs.iter().find(|(name, _)| is_one_of(name, names)).map(|(_, said)| said);
            let role = role_of(get(&["role"])?)?;
            Some(RawMessage { role, content: contents(get(&CONTENT)?), line: *line, is_template: false })
        }
        Said::Call(call) => of_call(call),
        _ => None,
    }
}

/// `("system", "…")`, which is a message only among others.
pub(super) fn pair_of(said: &Said) -> Option<RawMessage> {
    let Said::List(items, line) = said else { return None };
    let [role, content] = items.as_slice() else { return None };
    let Said::Text(role) = role else { return None };
    let role = role_word(role.plain()?.trim())?;
    Some(RawMessage { role, content: contents(content), line: *line, is_template: true })
}

/// What is said: parts that are no text are left out.
fn contents(said: &Said) -> Vec<Said> {
    let part = |said: &Said| match said {
        Said::Object(pairs, _) => {
            pairs.iter().find(|(name, _)| is_one_of(name, &["text", "content"])).map(|(_, said)| said.clone())
        }
        Said::Call(call) => call.get(&["text"]).cloned().or_else(|| Some(said.clone())),
        other => Some(other.clone()),
    };
    match said {
        Said::List(items, _) => items.iter().filter_map(part).collect(),
        other => part(other).into_iter().collect(),
    }
}

/// The calls of a chain, the first one first.
pub(super) fn chain(call: &Call) -> Vec<&Call> {
    let mut calls = vec![call];
    let mut at = call;
    while let Some(receiver) = &at.receiver {
        let mut receiver = receiver;
        while let Said::Member(inner, _) = receiver {
            receiver = inner;
        }
        let Said::Call(before) = receiver else { break };
        calls.push(before);
        at = before;
    }
    calls.reverse();
    calls
}

/// Names of what makes a message: `SystemMessage`, `addUserMessage`, `ChatCompletionRequestSystemMessageArgs`.
fn maker(name: &str) -> Option<Role> {
    const PATTERN: &str = r"^(?:add|append|push|create|new|make|chat|completion|request|input|of|from|with)*(system|developer|user|human|assistant|ai|bot)(?:chat)?(?:message|prompt)(?:param|params|args|prompt|template|content|builder)*$";
    static FOUND: OnceLock<Option<Regex>> = OnceLock::new();
    let pattern = FOUND.get_or_init(|| Regex::new(PATTERN).ok()).as_ref()?;
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    role_word(pattern.captures(&plain)?.get(1)?.as_str())
}

/// `ChatMessage.system`, `Message::user`, `chat.ofSystem`.
fn factory(parts: &[&str]) -> Option<Role> {
    let [.., class, method] = parts else { return None };
    let class = class.to_ascii_lowercase();
    let is_message =
        ["message", "chatmessage", "content", "msg", "chatcompletionmessage"].iter().any(|end| class.ends_with(end));
    let method = method.trim_start_matches("of").trim_start_matches("from_").trim_start_matches("Create");
    role_word(method).filter(|_| is_message)
}

fn of_call(call: &Call) -> Option<RawMessage> {
    let calls = chain(call);
    let names: Vec<&str> = calls.iter().flat_map(|call| call.name.split('.')).collect();
    let made = names.iter().find_map(|name| maker(name));
    let role = made.or_else(|| calls.iter().find_map(|call| factory(&call.name.split('.').collect::<Vec<_>>())));
    let is_template = names.iter().any(|name| name.to_ascii_lowercase().contains("template"));
    if let Some(role) = role {
        let said = calls.iter().find_map(|call| {
            let is_setter = is_one_of(call.last(), &["content", "text", "contents"]);
            call.get(&CONTENT).or_else(|| {
                let first = call.arguments.first().filter(|(name, _)| name.is_none()).map(|(_, said)| said);
                first.filter(|said| is_setter || !matches!(said, Said::Object(..)))
            })
        });
        return Some(RawMessage { role, content: contents(said?), line: calls.first()?.line, is_template });
    }
    // `ChatMessage(ChatRole.System, "…")`, `ChatMessage{Role: …, Content: …}`
    let class = names.iter().any(|name| {
        let name = name.to_ascii_lowercase();
        name.contains("message") || name.contains("content") || name == "new" || name == "turn"
    });
    let (role, said) = match call.get(&["role"]) {
        Some(role) => (role_of(role)?, call.get(&CONTENT)?),
        None if class => {
            let [(None, role), (None, said), ..] = call.arguments.as_slice() else { return None };
            (role_of(role)?, said)
        }
        None => return None,
    };
    Some(RawMessage { role, content: contents(said), line: call.line, is_template })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makers_of_messages_are_told_from_what_shows_one() {
        for (name, role) in [
            ("SystemMessage", Some(Role::System)),
            ("AddUserMessage", Some(Role::User)),
            ("ChatCompletionRequestSystemMessageArgs", Some(Role::System)),
            ("SystemMessagePromptTemplate", Some(Role::System)),
            ("AIMessage", Some(Role::Assistant)),
            ("HumanMessage", Some(Role::User)),
            ("showUserMessage", None),
            ("getSystemMessageId", None),
            ("message", None),
        ] {
            assert_eq!(maker(name), role, "{name}");
        }
        assert_eq!(factory(&["ChatMessage", "system"]), Some(Role::System));
        assert_eq!(factory(&["logger", "system"]), None);
    }

    #[test]
    fn roles_are_words_or_constants() {
        let name = |name: &str| role_of(&Said::Name(name.to_owned()));
        assert_eq!(name("openai.ChatMessageRoleSystem"), Some(Role::System));
        assert_eq!(name("ChatCompletionRole.USER"), Some(Role::User));
        assert_eq!(name("Role.Assistant"), Some(Role::Assistant));
        assert_eq!(name("role"), None);
        assert_eq!(name("request.user"), None);
    }
}
