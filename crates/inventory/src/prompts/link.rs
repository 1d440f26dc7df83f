//! From what was read of all files to prompts.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::find::{Candidate, Constant, Item, Read};
use super::message::RawMessage;
use super::resolve::{At, Resolver};
use super::said::Said;
use super::{Extracted, Message, Piece, Prompt, Role, Unread};

/// How far lists of messages that stand in others are followed.
const DEPTH: u32 = 3;
/// A text that nobody is seen to send is a prompt by its name when it is at least this long.
const LEAST_TEXT: usize = 40;

/// Every prompt of a repository, and what could not be read.
#[must_use]
pub fn link(files: &[Read]) -> Extracted {
    let linker = Linker { files, resolver: Resolver::new(files) };
    let mut found = Extracted::default();
    let mut used: BTreeSet<(usize, usize)> = BTreeSet::new();
    let mut made: Vec<(usize, Option<String>, Prompt)> = Vec::new();
    for (file, read) in files.iter().enumerate() {
        for candidate in merged(&read.candidates) {
            let drawn = linker.prompt(file, &candidate, &mut used);
            match drawn {
                Drawn::Prompt(prompt) => made.push((file, candidate.name.clone(), prompt)),
                Drawn::Unread(why) => {
                    found.unread.push(Unread { path: read.path.clone(), line: candidate.line, why });
                }
                Drawn::Nothing => {}
            }
        }
    }
    // A list that stands in another is part of that one.
    let spread: HashSet<(usize, &str)> =
        used.iter().map(|place| (place.0, linker.resolver.constant(*place).name.as_str())).collect();
    let is_part = |file: usize, name: &Option<String>| name.as_ref().is_some_and(|name| spread.contains(&(file, name)));
    found.prompts.extend(made.into_iter().filter(|(file, name, _)| !is_part(*file, name)).map(|(_, _, prompt)| prompt));
    let lines: HashSet<(String, u32)> = found.prompts.iter().map(|prompt| (prompt.path.clone(), prompt.line)).collect();
    for (file, read) in files.iter().enumerate() {
        let alone = read.constants.iter().enumerate().filter(|(idx, _)| !used.contains(&(file, *idx)));
        let prompts: Vec<Prompt> = alone.filter_map(|(_, constant)| linker.constant(file, constant)).collect();
        found.prompts.extend(prompts.into_iter().filter(|prompt| !lines.contains(&(prompt.path.clone(), prompt.line))));
        found.prompts.extend(read.whole.as_ref().and_then(|whole| whole.prompt(&read.path)));
        found.prompts.extend(read.settings.iter().cloned());
        found.unread.extend(read.whole.as_ref().and_then(|whole| whole.unread(&read.path)));
    }
    found.prompts.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    found.prompts.dedup_by(|a, b| (&a.path, a.line, &a.messages) == (&b.path, b.line, &b.messages));
    found.unread.sort();
    found.unread.dedup();
    name_apart(&mut found.prompts);
    found
}

/// Candidates of one receiver in one function are one.
fn merged(candidates: &[Candidate]) -> Vec<Candidate> {
    let mut whole: Vec<Candidate> = Vec::new();
    let mut places: HashMap<&((u32, u32), String), usize> = HashMap::new();
    for candidate in candidates {
        match candidate.key.as_ref().and_then(|key| places.get(key)) {
            Some(place) => whole[*place].items.extend(candidate.items.iter().cloned()),
            None => {
                if let Some(key) = &candidate.key {
                    places.insert(key, whole.len());
                }
                whole.push(candidate.clone());
            }
        }
    }
    whole
}

enum Drawn {
    Prompt(Prompt),
    Unread(String),
    Nothing,
}

struct Linker<'a> {
    files: &'a [Read],
    resolver: Resolver<'a>,
}

impl Linker<'_> {
    fn prompt(&self, file: usize, candidate: &Candidate, used: &mut BTreeSet<(usize, usize)>) -> Drawn {
        let path = &self.files[file].path;
        let mut own = BTreeSet::new();
        let mut prompt = Prompt {
            name: name_of(candidate.name.as_deref(), path),
            path: path.clone(),
            line: candidate.line,
            messages: Vec::new(),
            notes: Vec::new(),
        };
        for item in &candidate.items {
            self.item(item, At { file, line: candidate.line }, DEPTH, (&mut prompt, &mut own));
        }
        let says = |message: &Message| static_text(message).chars().any(char::is_alphabetic);
        let is_asked = prompt.messages.iter().any(|message| message.role != Role::Assistant);
        if prompt.messages.iter().any(|message| message.role != Role::Assistant && says(message)) {
            used.extend(own);
            return Drawn::Prompt(prompt);
        }
        if !is_asked && prompt.messages.iter().any(says) {
            // An answer that somebody makes is no prompt.
            return Drawn::Nothing;
        }
        let holes = prompt.messages.iter().flat_map(|message| &message.pieces).filter_map(|piece| match piece {
            Piece::Hole(source) => Some(format!("`{source}`")),
            Piece::Text(_) => None,
        });
        let holes: Vec<String> = holes.take(4).collect();
        match (holes.is_empty(), prompt.notes.first()) {
            (false, _) => Drawn::Unread(format!("what is said is given at run time: {}", holes.join(", "))),
            (true, Some(note)) => Drawn::Unread(note.clone()),
            (true, None) => Drawn::Nothing,
        }
    }

    fn item(&self, item: &Item, at: At, depth: u32, (prompt, used): (&mut Prompt, &mut BTreeSet<(usize, usize)>)) {
        match item {
            Item::Message(raw) => {
                let message = self.message(raw, at.file, (prompt, used));
                prompt.messages.push(message);
            }
            Item::Spread(said, line) => {
                let at = At { file: at.file, line: *line };
                let list = match said {
                    Said::Name(name) => self.resolver.named(name, at, false),
                    Said::Call(call) => self.resolver.named(&call.name, at, true),
                    _ => Vec::new(),
                };
                let found = list.first().filter(|_| depth > 0).and_then(|place| {
                    let constant = self.resolver.constant(*place);
                    let candidates = &self.files[place.0].candidates;
                    let fits = |candidate: &&Candidate| candidate.name.as_deref() == Some(constant.name.as_str());
                    candidates.iter().find(fits).map(|candidate| (*place, candidate))
                });
                match found {
                    Some((place, candidate)) => {
                        used.insert(place);
                        for item in &candidate.items {
                            self.item(item, At { file: place.0, line: candidate.line }, depth - 1, (prompt, used));
                        }
                    }
                    None => prompt.notes.push(format!(
                        "line {line}: messages of `{}` stand here after {}, given at run time",
                        said.source(),
                        prompt.messages.len()
                    )),
                }
            }
        }
    }

    fn message(
        &self,
        raw: &RawMessage,
        file: usize,
        (prompt, used): (&mut Prompt, &mut BTreeSet<(usize, usize)>),
    ) -> Message {
        let at = At { file, line: raw.line };
        let mut pieces: Vec<Piece> = Vec::new();
        let mut place = (file, raw.line);
        for (n, said) in raw.content.iter().enumerate() {
            let found = self.resolver.text(said, at, raw.is_template);
            if n > 0 {
                pieces.push(Piece::Text("\n".to_owned()));
            }
            // A message that is one constant stands where the constant does.
            if let (1, Said::Name(_), Some(constant)) = (raw.content.len(), said, found.used.first())
                && found.used.len() == 1
            {
                place = (constant.0, self.resolver.constant(*constant).line);
            }
            pieces.extend(found.pieces);
            used.extend(found.used);
            prompt.notes.extend(found.notes.into_iter().map(|note| format!("line {}: {note}", raw.line)));
        }
        Message { role: raw.role, pieces: touching(pieces), path: self.files[place.0].path.clone(), line: place.1 }
    }

    /// A text that is a prompt by its name.
    fn constant(&self, file: usize, constant: &Constant) -> Option<Prompt> {
        let plain: String =
            constant.name.chars().filter(|c| c.is_ascii_alphanumeric()).map(|c| c.to_ascii_lowercase()).collect();
        let is_named = ["prompt", "systemmessage", "systemmsg", "sysmsg", "instructions", "fewshot"]
            .iter()
            .any(|word| plain.contains(word));
        let is_text = matches!(constant.said, Said::Text(_))
            || matches!(&constant.said, Said::Call(call) if call.receiver.is_some() || call.name.contains("dedent"));
        if !is_named || !is_text || constant.is_added {
            return None;
        }
        let path = &self.files[file].path;
        let found = self.resolver.text(&constant.said, At { file, line: constant.line }, false);
        let role = if plain.contains("system") || plain.contains("instruction") || plain.contains("sysmsg") {
            Role::System
        } else {
            Role::User
        };
        let message = Message { role, pieces: touching(found.pieces), path: path.clone(), line: constant.line };
        let said = static_text(&message);
        let n_words = said.split_whitespace().filter(|word| word.chars().any(char::is_alphabetic)).count();
        (said.trim().len() >= LEAST_TEXT && n_words >= 6).then(|| Prompt {
            name: name_of(Some(&constant.name), path),
            path: path.clone(),
            line: constant.line,
            messages: vec![message],
            notes: found.notes,
        })
    }
}

pub(super) fn static_text(message: &Message) -> String {
    let mut text = String::new();
    for piece in &message.pieces {
        if let Piece::Text(said) = piece {
            text += said;
        }
    }
    text
}

/// Texts that touch are one.
pub(super) fn touching(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut whole: Vec<Piece> = Vec::new();
    for piece in pieces {
        match (whole.last_mut(), piece) {
            (Some(Piece::Text(before)), Piece::Text(text)) => *before += &text,
            (_, piece) => whole.push(piece),
        }
    }
    whole
}

/// Names that say nothing of what a prompt is for.
const EMPTY_NAMES: [&str; 22] = [
    "messages",
    "prompt",
    "response",
    "completion",
    "result",
    "res",
    "resp",
    "chat",
    "msgs",
    "params",
    "request",
    "req",
    "body",
    "payload",
    "data",
    "output",
    "answer",
    "text",
    "message",
    "content",
    "template",
    "history",
];

pub(super) fn name_of(name: Option<&str>, path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    let stem = file.split('.').next().filter(|stem| !stem.is_empty()).unwrap_or("prompt");
    let own = name.map(|name| name.rsplit(['.', ' ', ':']).next().unwrap_or(name)).map(slug);
    match own.filter(|own| !own.is_empty() && !EMPTY_NAMES.contains(&own.as_str())) {
        Some(own) => own,
        None => slug(stem),
    }
}

/// A name as files and the registry have it.
fn slug(name: &str) -> String {
    let mut slug = String::new();
    let mut was_lower = false;
    for c in name.chars() {
        if c.is_ascii_uppercase() && was_lower {
            slug.push('-');
        }
        was_lower = c.is_ascii_lowercase() || c.is_ascii_digit();
        slug.push(if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' });
    }
    let parts: Vec<&str> = slug.split('-').filter(|part| !part.is_empty()).collect();
    parts.join("-").chars().take(60).collect()
}

/// No two prompts have one name.
pub(super) fn name_apart(prompts: &mut [Prompt]) {
    let mut taken: HashSet<String> = HashSet::new();
    for prompt in prompts {
        let base = if prompt.name.is_empty() { "prompt".to_owned() } else { prompt.name.clone() };
        let free =
            (1..).map(|n| if n == 1 { base.clone() } else { format!("{base}-{n}") }).find(|name| !taken.contains(name));
        prompt.name = free.unwrap_or(base);
        taken.insert(prompt.name.clone());
    }
}
