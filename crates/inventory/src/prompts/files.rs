//! Prompts in files of their own: text, Markdown, Jinja, Handlebars, Dotprompt, Prompty, and YAML.

use super::holes::{self, Style};
use super::link::name_of;
use super::message::role_word;
use super::yaml::{self, Tree};
use super::{Message, Piece, Prompt, Role, Unread};

/// A prompt in a file of its own.
#[derive(Debug, Clone)]
pub(super) struct Whole {
    /// Whose, what and at which line.
    messages: Vec<(Role, Vec<Piece>, u32)>,
    /// Why it cannot be read.
    why: Option<(u32, String)>,
    /// Its name says that it is a prompt; others are only read where code names them.
    is_prompt: bool,
}

/// Endings of files that are nothing but prompts.
const OWN: [&str; 8] = ["prompt", "prompty", "jinja", "jinja2", "j2", "mustache", "handlebars", "hbs"];
/// Endings of files that may be prompts where their place says so.
const MAYBE: [&str; 6] = ["txt", "md", "yaml", "yml", "prompt.json", "tmpl"];
/// Longest file that is a prompt.
const LONGEST: usize = 200_000;

/// Whether a file can be a prompt by its name.
pub(super) fn is_prompt_file(path: &str) -> bool {
    let ending = path.rsplit('/').next().and_then(|name| name.split_once('.')).map_or("", |(_, ending)| ending);
    let last = ending.rsplit('.').next().unwrap_or(ending);
    let names_prompts = path.to_ascii_lowercase().contains("prompt");
    matches!(last, "prompt" | "prompty")
        || OWN.contains(&last) && names_prompts
        || MAYBE.contains(&last) && names_prompts
}

/// Reads such a file; `None` of a file that is no prompt.
pub(super) fn read(path: &str, text: &str) -> Option<Whole> {
    if !is_prompt_file(path) || text.len() > LONGEST || text.trim().is_empty() {
        return None;
    }
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    let is_document = ["readme", "license", "changelog", "contributing", "requirements", "todo"]
        .iter()
        .any(|word| name.starts_with(word));
    if is_document {
        return None;
    }
    if name.ends_with(".yaml") || name.ends_with(".yml") {
        return of_yaml(text);
    }
    let (front, body, from) = front_matter(text);
    let logic = body.lines().position(has_logic);
    if let Some(at) = logic {
        let line = from + u32::try_from(at).unwrap_or(0);
        let why = "a template with logic of its own: what is said is decided at run time".to_owned();
        return Some(Whole { messages: Vec::new(), why: Some((line, why)), is_prompt: true });
    }
    let is_roles = front || name.ends_with(".prompty") || name.ends_with(".prompt");
    let spoken = if is_roles { by_role(body, from) } else { Vec::new() };
    let messages = if spoken.is_empty() {
        vec![(role_of_name(&name), holes::pieces(body.trim_end_matches('\n'), Style::Guess), from)]
    } else {
        spoken.into_iter().map(|(role, text, line)| (role, holes::pieces(text.trim(), Style::Guess), line)).collect()
    };
    // A page about something is prose of its own; what is filled in, or a place among prompts, makes it one.
    let in_place =
        path.to_ascii_lowercase().rsplit_once('/').is_some_and(|(directory, _)| directory.contains("prompt"));
    let is_prompt = in_place || !name.ends_with(".md") && !name.ends_with(".txt") || name.contains("prompt");
    Some(Whole { messages, why: None, is_prompt })
}

impl Whole {
    /// The text, when it is one.
    pub(super) fn text(&self) -> Option<String> {
        let [(_, pieces, _)] = self.messages.as_slice() else { return None };
        let text = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Hole(name) => format!("{{{{{name}}}}}"),
        };
        Some(pieces.iter().map(text).collect())
    }

    pub(super) fn prompt(&self, path: &str) -> Option<Prompt> {
        let message = |(role, pieces, line): &(Role, Vec<Piece>, u32)| Message {
            role: *role,
            pieces: pieces.clone(),
            path: path.to_owned(),
            line: *line,
        };
        let messages: Vec<Message> = self.messages.iter().map(message).collect();
        (self.is_prompt && !messages.is_empty()).then(|| Prompt {
            name: name_of(None, path),
            path: path.to_owned(),
            line: messages.first().map_or(1, |message| message.line),
            messages,
            notes: Vec::new(),
        })
    }

    pub(super) fn unread(&self, path: &str) -> Option<Unread> {
        self.why.as_ref().map(|(line, why)| Unread { path: path.to_owned(), line: *line, why: why.clone() })
    }
}

/// Conditions, loops and inclusions of Jinja and Handlebars.
fn has_logic(line: &str) -> bool {
    ["{%", "{{#", "{{^", "{{>", "{{else", "{{~#"].iter().any(|mark| line.contains(mark)) && !line.contains("{{role")
}

/// Without the settings between `---` at the beginning: whether there were any, the rest, and the line it begins at.
fn front_matter(text: &str) -> (bool, &str, u32) {
    let after = text.strip_prefix("---\n").or_else(|| text.strip_prefix("---\r\n"));
    let Some((after, end)) = after.and_then(|after| Some((after, after.find("\n---")?))) else {
        return (false, text, 1);
    };
    let rest = &after[end + 4..];
    let rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
    let line = text[..text.len() - rest.len()].lines().count() + 1;
    (true, rest, u32::try_from(line).unwrap_or(1))
}

/// Parts that begin with `system:` on a line of its own, or with `{{role "system"}}`.
fn by_role(text: &str, from: u32) -> Vec<(Role, String, u32)> {
    let mut parts: Vec<(Role, String, u32)> = Vec::new();
    for (line, number) in text.split_inclusive('\n').zip(from..) {
        let words = line.trim();
        let marked = words.strip_prefix("{{role").and_then(|rest| rest.split_once("}}"));
        let (role, rest) = match marked {
            Some((role, rest)) => (role_word(role.trim_matches([' ', '"', '\''])), rest),
            None => (words.strip_suffix(':').and_then(role_word), ""),
        };
        match (role, parts.last_mut()) {
            (Some(role), _) => parts.push((role, rest.to_owned(), number)),
            (None, Some((_, said, _))) => *said += line,
            (None, None) => {}
        }
    }
    parts.retain(|(_, said, _)| !said.trim().is_empty());
    parts
}

fn role_of_name(name: &str) -> Role {
    if name.contains("system") || name.contains("instruction") { Role::System } else { Role::User }
}

/// YAML with messages, with texts by role, or with a template.
fn of_yaml(text: &str) -> Option<Whole> {
    let tree = yaml::parse(text)?;
    let mut messages = Vec::new();
    gather(&tree, &mut messages, 0);
    let piece = |(role, said, line): (Role, String, u32)| {
        (role, holes::pieces(said.trim_end_matches('\n'), Style::Guess), line)
    };
    let messages: Vec<_> = messages.into_iter().map(piece).collect();
    (!messages.is_empty()).then_some(Whole { messages, why: None, is_prompt: true })
}

fn gather(value: &Tree, messages: &mut Vec<(Role, String, u32)>, depth: u32) {
    if depth > 4 || !messages.is_empty() && depth > 2 {
        return;
    }
    match value {
        Tree::List(items) => {
            let said = items.iter().filter_map(|item| {
                let Tree::Map(pairs) = item else { return None };
                let text = |names: &[&str]| {
                    pairs.iter().find(|(name, _)| names.contains(&name.as_str())).and_then(|(_, value)| match value {
                        Tree::Text(text, line) => Some((text.clone(), *line)),
                        _ => None,
                    })
                };
                let (role, _) = text(&["role"])?;
                let (said, line) = text(&["content", "text", "message"])?;
                Some((role_word(role.trim())?, said, line))
            });
            messages.extend(said);
        }
        Tree::Map(pairs) => {
            for (name, value) in pairs {
                let plain = name.to_ascii_lowercase().replace(['-', '_'], "");
                let role = match plain.as_str() {
                    "system" | "systemprompt" | "systemmessage" | "instructions" => Some(Role::System),
                    "user" | "userprompt" | "usermessage" | "human" | "prompt" | "template" => Some(Role::User),
                    _ => None,
                };
                match (role, value) {
                    (Some(role), Tree::Text(said, line)) => messages.push((role, said.clone(), *line)),
                    _ if matches!(plain.as_str(), "messages" | "prompt" | "template" | "chat" | "prompts") => {
                        gather(value, messages, depth + 1);
                    }
                    _ => {}
                }
            }
        }
        Tree::Text(..) | Tree::Other => {}
    }
}
