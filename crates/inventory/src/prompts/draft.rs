//! A prompt in the form of the prompt registry (`docs/reference/prompts.md`).

use std::collections::BTreeMap;

use super::link::static_text;
use super::{Message, Piece, Prompt, Role};

/// A variable of the registry and the expression that it takes the place of.
pub type Variables = BTreeMap<String, String>;

/// A prompt as a file of the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drafted {
    /// The text of the file.
    pub yaml: String,
    /// Its variables.
    pub variables: Variables,
    /// How many examples became few-shots.
    pub few_shots: usize,
}

/// Variables for what a template cannot say: a brace before a tag, and a backslash before one.
const BRACE: (&str, &str) = ("open_brace", "{");
const BACKSLASH: (&str, &str) = ("backslash", "\\");

/// Writes a prompt.
#[must_use]
pub fn draft(prompt: &Prompt) -> Drafted {
    let shots = shots(&prompt.messages);
    let mut names = Names::default();
    let mut messages = String::new();
    for (idx, message) in prompt.messages.iter().enumerate() {
        if shots.iter().any(|shot| *shot == idx || *shot + 1 == idx) {
            continue;
        }
        let text = template(message, &mut names);
        let role = message.role.as_str();
        messages +=
            &format!("  - role: {role}    # {}:{}\n    text: {}\n", message.path, message.line, scalar(&text, 6));
    }
    let mut yaml = format!("# From {}:{}.\n", prompt.path, prompt.line);
    for note in &prompt.notes {
        yaml += &format!("# Not read: {}\n", one_line(note));
    }
    if !names.taken.is_empty() {
        yaml += "variables:\n";
        for (name, source) in &names.taken {
            let default = [BRACE, BACKSLASH].into_iter().find(|(own, _)| own == name);
            match default {
                Some((_, default)) => yaml += &format!("  {name}: {{ type: string, default: {} }}\n", quoted(default)),
                None => yaml += &format!("  {name}: {{ type: string }}    # {}\n", one_line(source)),
            }
        }
    }
    yaml += "messages:\n";
    yaml += &messages;
    if !shots.is_empty() {
        yaml += "few_shots:\n";
        for shot in &shots {
            let text = |idx: usize| scalar(&static_text(&prompt.messages[idx]), 6);
            let message = &prompt.messages[*shot];
            yaml += &format!("  # {}:{}\n", message.path, message.line);
            yaml += &format!("  - user: {}\n    assistant: {}\n", text(*shot), text(shot + 1));
        }
    }
    Drafted { yaml, variables: names.taken, few_shots: shots.len() }
}

/// The questions of examples: texts without anything to fill in, each with its answer behind it, between the system messages and what is asked.
fn shots(messages: &[Message]) -> Vec<usize> {
    let is_fixed = |message: &Message| message.pieces.iter().all(|piece| matches!(piece, Piece::Text(_)));
    let begins = messages.iter().take_while(|message| message.role == Role::System).count();
    let mut shots = Vec::new();
    let mut at = begins;
    while let Some([user, assistant, ..]) = messages.get(at..) {
        let is_shot =
            user.role == Role::User && assistant.role == Role::Assistant && is_fixed(user) && is_fixed(assistant);
        if !is_shot || messages.len() <= at + 2 && begins == 0 {
            break;
        }
        shots.push(at);
        at += 2;
    }
    shots
}

#[derive(Default)]
struct Names {
    taken: Variables,
}

impl Names {
    /// The variable for an expression; the same expression has the same one.
    fn of(&mut self, source: &str) -> String {
        let base = word(source);
        let free = (1..).map(|n| if n == 1 { base.clone() } else { format!("{base}_{n}") });
        for name in free {
            match self.taken.get(&name) {
                Some(taken) if taken != source => {}
                Some(_) => return name,
                None => {
                    self.taken.insert(name.clone(), source.to_owned());
                    return name;
                }
            }
        }
        base
    }

    fn fixed(&mut self, (name, value): (&str, &str)) -> String {
        self.taken.insert(name.to_owned(), value.to_owned());
        format!("{{{{{name}}}}}")
    }
}

/// A word for an expression: what it is called where it is used, the last name in it, without what is done to it.
fn word(source: &str) -> String {
    const DONE: [&str; 20] = [
        "str",
        "strip",
        "trim",
        "join",
        "format",
        "json",
        "dumps",
        "stringify",
        "to_string",
        "tostring",
        "string",
        "value",
        "get",
        "len",
        "self",
        "this",
        "text",
        "content",
        "n",
        "unwrap",
    ];
    let names = source.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    let names: Vec<String> =
        names.filter(|name| name.starts_with(|c: char| c.is_alphabetic() || c == '_')).map(snake).collect();
    let dotted = !source.contains('(');
    let mut told: Vec<&String> = names.iter().filter(|name| !DONE.contains(&name.as_str())).collect();
    if told.is_empty() {
        told.extend(names.last());
    }
    let chosen = if dotted {
        // `user.name` is `user_name`.
        let last: Vec<&str> = told.iter().rev().take(2).rev().map(|name| name.as_str()).collect();
        last.join("_")
    } else {
        told.last().or(told.first()).map(|name| (*name).clone()).unwrap_or_default()
    };
    let chosen: String = chosen.trim_matches('_').chars().take(40).collect();
    let is_fixed = [BRACE.0, BACKSLASH.0].contains(&chosen.as_str());
    match chosen.chars().next() {
        Some(c) if c.is_alphabetic() && !is_fixed => chosen,
        _ => format!("value_{chosen}").trim_end_matches('_').to_owned(),
    }
}

fn snake(name: &str) -> String {
    let mut snake = String::new();
    let mut was_lower = false;
    for c in name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_') {
        if c.is_ascii_uppercase() && was_lower {
            snake.push('_');
        }
        was_lower = c.is_ascii_lowercase();
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

/// What is said as a template of the registry: braces of the text stay braces.
fn template(message: &Message, names: &mut Names) -> String {
    let mut text = String::new();
    for (idx, piece) in message.pieces.iter().enumerate() {
        match piece {
            Piece::Text(said) => {
                let is_before_tag = matches!(message.pieces.get(idx + 1), Some(Piece::Hole(_)));
                let (body, end) = match said.chars().next_back() {
                    Some('{') if is_before_tag => (&said[..said.len() - 1], Some(BRACE)),
                    Some('\\') if is_before_tag => (&said[..said.len() - 1], Some(BACKSLASH)),
                    _ => (said.as_str(), None),
                };
                text += &escaped(body, names);
                // Of two ends in a row the second would end the first's escape: braces in front of this one stay apart by the tag itself.
                if let Some(end) = end {
                    if text.ends_with(['{', '\\']) {
                        let last = if text.ends_with('{') { BRACE } else { BACKSLASH };
                        text.pop();
                        let own = names.fixed(last);
                        text += &own;
                    }
                    let own = names.fixed(end);
                    text += &own;
                }
            }
            Piece::Hole(source) => {
                let name = names.of(source);
                text += &format!("{{{{{name}}}}}");
            }
        }
    }
    text
}

/// Two braces of a text are written with a backslash before them; a backslash that stands before them already is a variable.
fn escaped(text: &str, names: &mut Names) -> String {
    let mut written = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("{{") {
        let before = &rest[..at];
        match before.strip_suffix('\\') {
            Some(before) => {
                written += before;
                let own = names.fixed(BACKSLASH);
                written += &own;
            }
            None => written += before,
        }
        written += "\\{{";
        rest = &rest[at + 2..];
    }
    written + rest
}

/// A text as YAML: a block where that says it exactly, else between quotation marks.
fn scalar(text: &str, indent: usize) -> String {
    let is_plain = |c: char| {
        c == '\n'
            || c == '\t'
            || (c >= ' '
                && c != '\u{7f}'
                && !matches!(c, '\u{80}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'))
    };
    let lines: Vec<&str> = text.split('\n').collect();
    let first = lines.first().copied().unwrap_or_default();
    let is_block = lines.len() > 1
        && text.chars().all(is_plain)
        && !first.starts_with([' ', '\t'])
        && !first.is_empty()
        && lines.iter().all(|line| line.is_empty() || !line.trim().is_empty())
        && !lines.iter().any(|line| line.starts_with('\t'));
    if !is_block {
        return quoted(text);
    }
    let n_ends = text.len() - text.trim_end_matches('\n').len();
    let mark = match n_ends {
        0 => "|-",
        1 => "|",
        _ => "|+",
    };
    let body = text.strip_suffix('\n').unwrap_or(text);
    let blank = " ".repeat(indent);
    let lines = body.split('\n').map(|line| if line.is_empty() { String::new() } else { format!("{blank}{line}") });
    format!("{mark}\n{}", lines.collect::<Vec<_>>().join("\n"))
}

/// As JSON writes a text, which YAML reads the same; what some readers of YAML take for the end of a line is an escape.
fn quoted(text: &str) -> String {
    let mut quoted = String::new();
    for c in serde_json::to_string(text).unwrap_or_default().chars() {
        match c {
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                quoted += &format!("\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted
}

fn one_line(text: &str) -> String {
    let is_shown =
        |c: char| !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{e000}'..='\u{e0ff}');
    let words: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().filter(|c| is_shown(*c)).take(160).collect()
}
