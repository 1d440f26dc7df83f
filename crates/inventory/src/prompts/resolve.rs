//! Follows names to texts, through what is done to a text on the way.

use std::collections::{BTreeSet, HashMap};

use super::Piece;
use super::find::{Constant, Read};
use super::holes::{self, Style};
use super::literal::{self, Part};
use super::said::{Call, Said, Text, is_one_of};

/// How far names are followed.
const DEPTH: u32 = 6;

/// All files, for names of one that stand in another.
pub(super) struct Resolver<'a> {
    files: &'a [Read],
    /// Where a name of a whole file is given a text: places in `files` and its constants.
    by_name: HashMap<&'a str, Vec<(usize, usize)>>,
}

/// Where an expression stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct At {
    pub(super) file: usize,
    pub(super) line: u32,
}

/// What came of an expression.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) pieces: Vec<Piece>,
    /// Constants that it was made of: places as in `by_name`.
    pub(super) used: BTreeSet<(usize, usize)>,
    pub(super) notes: Vec<String>,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(files: &'a [Read]) -> Resolver<'a> {
        let mut by_name: HashMap<&str, Vec<(usize, usize)>> = HashMap::new();
        for (file, read) in files.iter().enumerate() {
            for (idx, constant) in read.constants.iter().enumerate() {
                by_name.entry(&constant.name).or_default().push((file, idx));
            }
        }
        Resolver { files, by_name }
    }

    pub(super) fn constant(&self, (file, idx): (usize, usize)) -> &'a Constant {
        &self.files[file].constants[idx]
    }

    /// The constants that a name stands for at a place: one, and what is put behind it.
    pub(super) fn named(&self, name: &str, at: At, is_call: bool) -> Vec<(usize, usize)> {
        let name = name.trim_start_matches("self.").trim_start_matches("this.");
        let short = name.rsplit('.').next().unwrap_or(name);
        let two = name.rmatch_indices('.').nth(1).map_or(name, |(at, _)| &name[at + 1..]);
        for name in [two, short] {
            let all = self.by_name.get(name).map(Vec::as_slice).unwrap_or_default();
            let fits = |(file, idx): &&(usize, usize)| self.files[*file].constants[*idx].is_return == is_call;
            let own: Vec<(usize, usize)> =
                all.iter().filter(fits).filter(|(file, _)| *file == at.file).copied().collect();
            let known = own.iter().filter(|place| {
                let constant = self.constant(**place);
                let (from, to) = constant.scope;
                from <= at.line && at.line <= to && (constant.line <= at.line || (from, to) == (1, u32::MAX))
            });
            // The innermost, the latest; what is added later comes behind it.
            let known: Vec<(usize, usize)> = known.copied().collect();
            let begun = known.iter().rposition(|place| {
                let constant = self.constant(*place);
                !constant.is_added
                    && (constant.line <= at.line || !known.iter().any(|other| self.constant(*other).line <= at.line))
            });
            if let Some(begun) = begun {
                let more = known[begun + 1..].iter().filter(|place| self.constant(**place).is_added);
                return std::iter::once(known[begun]).chain(more.copied()).collect();
            }
            let others: Vec<(usize, usize)> = all
                .iter()
                .filter(fits)
                .filter(|(file, _)| *file != at.file)
                .filter(|place| self.constant(**place).scope == (1, u32::MAX) && !self.constant(**place).is_added)
                .copied()
                .collect();
            if let [one] = others.as_slice() {
                return vec![*one];
            }
        }
        Vec::new()
    }

    /// The pieces of a text.
    pub(super) fn text(&self, said: &Said, at: At, is_template: bool) -> Found {
        let mut found = Found::default();
        let parts = self.parts(said, at, DEPTH, &mut found);
        let is_literal = |part: &Part| matches!(part, Part::Text(_));
        // A text with expressions in it is no template of a framework as well.
        let guesses = is_template || parts.iter().all(is_literal);
        for part in parts {
            match part {
                Part::Text(text) if guesses => {
                    let style = if is_template && !text.contains("{{") { Style::Braces(&[]) } else { Style::Guess };
                    found.pieces.extend(holes::pieces(&text, style));
                }
                Part::Text(text) => found.pieces.push(Piece::Text(text)),
                Part::Hole(Said::Name(name)) if name.starts_with(FILLED) => {
                    found.pieces.push(Piece::Hole(name[FILLED.len_utf8()..].to_owned()));
                }
                Part::Hole(said) => found.pieces.push(Piece::Hole(said.source())),
            }
        }
        found
    }

    fn parts(&self, said: &Said, at: At, depth: u32, found: &mut Found) -> Vec<Part> {
        if depth == 0 {
            return vec![Part::Hole(said.clone())];
        }
        match said {
            Said::Text(text) => self.inlined(text, at, depth, found),
            Said::Name(name) => self.of_name(name, said, at, depth, found),
            Said::Call(call) => self.of_call(call, at, depth, found).unwrap_or_else(|| vec![Part::Hole(said.clone())]),
            Said::Spread(inner) => self.parts(inner, at, depth - 1, found),
            Said::Either(_, source) => {
                found.notes.push(format!("which text stands here is decided at run time: `{}`", said.source()));
                vec![Part::Hole(Said::Other(source.clone()))]
            }
            _ => vec![Part::Hole(said.clone())],
        }
    }

    /// A text, with the constants in it.
    fn inlined(&self, text: &Text, at: At, depth: u32, found: &mut Found) -> Vec<Part> {
        let mut parts = Vec::new();
        for part in &text.parts {
            match part {
                Part::Hole(said @ (Said::Name(_) | Said::Call(_))) => {
                    parts.extend(self.parts(said, at, depth - 1, found))
                }
                part => parts.push(part.clone()),
            }
        }
        literal::joined(parts)
    }

    fn of_name(&self, name: &str, said: &Said, at: At, depth: u32, found: &mut Found) -> Vec<Part> {
        let mut parts = Vec::new();
        for place in self.named(name, at, false) {
            let constant = self.constant(place);
            let inner = At { file: place.0, line: constant.line };
            // What is empty at first is filled somewhere else.
            let is_text = matches!(&constant.said, Said::Text(text) if !text.parts.is_empty())
                || matches!(constant.said, Said::Call(_));
            let is_itself = matches!(&constant.said, Said::Name(other) if other == name);
            if !is_text && !constant.is_added || is_itself {
                return vec![Part::Hole(said.clone())];
            }
            let own = self.parts(&constant.said, inner, depth - 1, found);
            if matches!(own.as_slice(), [Part::Hole(_)]) && !constant.is_added {
                return vec![Part::Hole(said.clone())];
            }
            found.used.insert(place);
            parts.extend(own);
        }
        if parts.is_empty() { vec![Part::Hole(said.clone())] } else { literal::joined(parts) }
    }

    /// What is done to a text; `None` of a call that says no text.
    fn of_call(&self, call: &Call, at: At, depth: u32, found: &mut Found) -> Option<Vec<Part>> {
        let (owner, method) = self.method(call);
        let first = || call.arguments.first().map(|(_, said)| said);
        let plain = method.to_ascii_lowercase();
        let given = |from: usize| -> Vec<(Option<String>, String)> {
            call.arguments.iter().skip(from).map(|(name, said)| (name.clone(), said.source())).collect()
        };
        match plain.as_str() {
            "strip" | "trim" | "lstrip" | "rstrip" | "tostring" | "to_string" | "to_owned" | "into" | "chomp"
            | "freeze" | "trimend" | "trimstart" => Some(self.parts(owner.as_ref()?, at, depth - 1, found)),
            "trimindent" | "stripindent" | "strip_heredoc" | "squish" => {
                let parts = self.parts(owner.as_ref()?, at, depth - 1, found);
                Some(unindented(parts, plain != "trimindent"))
            }
            "dedent" | "cleandoc" | "indoc!" | "stripindents" | "outdent" | "codeblock" => {
                let parts = self.parts(first()?, at, depth - 1, found);
                let is_python = self.files.get(at.file).is_some_and(|read| read.path.ends_with(".py"));
                // Python's keeps the line breaks at both ends, JavaScript's and `cleandoc` take them away.
                let begins = matches!(parts.first(), Some(Part::Text(text)) if text.starts_with('\n'));
                let mut whole = unindented(parts, plain == "indoc!" || is_python && plain == "dedent");
                if begins && is_python && plain == "dedent" {
                    whole.insert(0, Part::Text("\n".to_owned()));
                }
                Some(literal::joined(whole))
            }
            "format" | "formatted" | "%" | "sprintf" | "errorf" | "format!" | "formatdoc!" | "format_map"
            | "printf" | "vsprintf" => {
                let is_of_owner = owner.as_ref().is_some_and(|owner| !matches!(owner, Said::Name(name) if matches!(name.as_str(), "String" | "string" | "fmt" | "util" | "std")));
                let (text, from) = if is_of_owner { (owner.as_ref()?, 0) } else { (first()?, 1) };
                let text = self.parts(text, at, depth - 1, found);
                if matches!(text.as_slice(), [Part::Hole(_)]) {
                    return None;
                }
                let given = given(from);
                let is_printf = matches!(plain.as_str(), "%" | "sprintf" | "formatted" | "printf" | "vsprintf")
                    || plain == "format" && matches!(&owner, Some(Said::Name(name)) if name == "String")
                    || plain == "format" && at_java(self.files, at);
                let style = if is_printf { Style::Printf(&given) } else { Style::Braces(&given) };
                let filled = filled(text, style);
                Some(if plain == "formatdoc!" { literal::dedented(filled, false) } else { filled })
            }
            "replace" | "replaceall" | "gsub" => self.replaced(owner.as_ref()?, call, at, depth, found),
            "join" => self.lines(owner.as_ref(), call, at, depth, found),
            _ => self.returned(call, at, depth, found),
        }
    }

    /// What a method is called on, and its name.
    fn method(&self, call: &Call) -> (Option<Said>, String) {
        match (&call.receiver, call.name.rsplit_once('.')) {
            (Some(receiver), None) => (Some(receiver.clone()), call.name.clone()),
            (_, Some((owner, method))) => (Some(Said::Name(owner.to_owned())), method.to_owned()),
            (None, None) => (None, call.name.clone()),
        }
    }

    /// `text.replace("{name}", value)`
    fn replaced(&self, owner: &Said, call: &Call, at: At, depth: u32, found: &mut Found) -> Option<Vec<Part>> {
        let parts = self.parts(owner, at, depth - 1, found);
        if matches!(parts.as_slice(), [Part::Hole(_)]) {
            return None;
        }
        let [(_, Said::Text(needle)), (_, value), ..] = call.arguments.as_slice() else { return Some(parts) };
        let needle = needle.plain().filter(|needle| !needle.is_empty())?;
        let mut whole = Vec::new();
        for part in parts {
            let Part::Text(text) = part else {
                whole.push(part);
                continue;
            };
            for (n, piece) in text.split(needle.as_str()).enumerate() {
                if n > 0 {
                    whole.push(match value {
                        Said::Text(text) => Part::Text(text.plain().unwrap_or_default()),
                        value => Part::Hole(Said::Name(format!("{FILLED}{}", value.source()))),
                    });
                }
                whole.push(Part::Text(piece.to_owned()));
            }
        }
        Some(literal::joined(whole))
    }

    /// `"\n".join(["…", "…"])`, `["…"].join("\n")`, `String.join("\n", …)`, `strings.Join([]string{…}, "\n")`
    fn lines(&self, owner: Option<&Said>, call: &Call, at: At, depth: u32, found: &mut Found) -> Option<Vec<Part>> {
        let first = call.arguments.first().map(|(_, said)| said);
        let second = call.arguments.get(1).map(|(_, said)| said);
        let (list, between) = match (owner, first, second) {
            (Some(Said::Text(between)), Some(Said::List(list, _)), _) => (list.clone(), between.plain()?),
            (Some(Said::List(list, _)), Some(Said::Text(between)), _) => (list.clone(), between.plain()?),
            (_, Some(Said::List(list, _)), Some(Said::Text(between))) => (list.clone(), between.plain()?),
            (Some(Said::Name(_)), Some(Said::Text(between)), Some(_)) => {
                (call.arguments.iter().skip(1).map(|(_, said)| said.clone()).collect(), between.plain()?)
            }
            _ => return None,
        };
        let mut parts = Vec::new();
        for (n, one) in list.iter().enumerate() {
            if n > 0 {
                parts.push(Part::Text(between.clone()));
            }
            parts.extend(self.parts(one, at, depth - 1, found));
        }
        Some(literal::joined(parts))
    }

    /// A function of the repository that returns a text, or a file that is read.
    fn returned(&self, call: &Call, at: At, depth: u32, found: &mut Found) -> Option<Vec<Part>> {
        if let Some(text) = self.file_that_is_read(call) {
            return Some(vec![Part::Text(text)]);
        }
        // A text in what makes a text of it: `Template("…")`, `types.Content("…")`.
        let wraps = is_one_of(
            call.last(),
            &["template", "prompt", "str", "string", "text", "from", "fromtext", "system", "frompromptvalue"],
        );
        if let ([(_, said @ Said::Text(_))], true) = (call.arguments.as_slice(), wraps) {
            return Some(self.parts(said, at, depth - 1, found));
        }
        let places = self.named(&call.name, at, true);
        let [place] = places.as_slice() else { return None };
        let constant = self.constant(*place);
        let own = self.parts(&constant.said, At { file: place.0, line: constant.line }, depth - 1, found);
        if matches!(own.as_slice(), [Part::Hole(_)]) {
            return None;
        }
        found.used.insert(*place);
        Some(own)
    }

    /// The text of a file of prompts that is named in a call: `read_text("prompts/support.md")`.
    fn file_that_is_read(&self, call: &Call) -> Option<String> {
        let mut texts = Vec::new();
        texts_in(&Said::Call(Box::new(call.clone())), &mut texts, 0);
        let named = texts.iter().find(|text| text.contains('.') && text.len() < 200 && !text.contains(['\n', ' ']))?;
        let named = named.trim_start_matches(['.', '/']);
        let fits = |read: &&Read| read.path == named || read.path.ends_with(&format!("/{named}"));
        let mut found = self.files.iter().filter(|read| read.whole.is_some()).filter(fits);
        let (one, None) = (found.next()?, found.next()) else { return None };
        one.whole.as_ref()?.text()
    }
}

/// Marks a name that is filled in already: it is shown as it is.
const FILLED: char = '\u{e001}';

/// Whether a file is Java or Kotlin, where `format` is a method of texts with `%s`.
fn at_java(files: &[Read], at: At) -> bool {
    files.get(at.file).is_some_and(|read| [".java", ".kt", ".kts"].iter().any(|end| read.path.ends_with(end)))
}

/// Without the indentation that all lines share; `keeps` is whether the last line break stays.
fn unindented(parts: Vec<Part>, keeps: bool) -> Vec<Part> {
    let mut parts = literal::dedented(parts, false);
    if let (Some(Part::Text(last)), false) = (parts.last_mut(), keeps) {
        last.truncate(last.trim_end().len());
    }
    literal::joined(parts)
}

fn filled(parts: Vec<Part>, style: Style<'_>) -> Vec<Part> {
    let mut whole = Vec::new();
    for part in parts {
        match part {
            Part::Text(text) => whole.extend(holes::pieces(&text, style).into_iter().map(|piece| match piece {
                Piece::Text(text) => Part::Text(text),
                Piece::Hole(source) => Part::Hole(Said::Name(format!("{FILLED}{source}"))),
            })),
            hole => whole.push(hole),
        }
    }
    literal::joined(whole)
}

fn texts_in(said: &Said, texts: &mut Vec<String>, depth: u32) {
    if depth > 6 {
        return;
    }
    match said {
        Said::Text(text) => texts.extend(text.plain()),
        Said::Call(call) => {
            call.receiver.iter().for_each(|said| texts_in(said, texts, depth + 1));
            call.arguments.iter().for_each(|(_, said)| texts_in(said, texts, depth + 1));
        }
        Said::Either(all, _) | Said::List(all, _) => all.iter().for_each(|said| texts_in(said, texts, depth + 1)),
        Said::Member(inner, _) | Said::Spread(inner) => texts_in(inner, texts, depth + 1),
        _ => {}
    }
}
