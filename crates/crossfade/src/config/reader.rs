//! Reading the tree by name and type. Every problem is noted and reading goes on, so that one run shows them all.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use wire::private::Private;

use super::error::{ConfigError, nearest, snippet};
use super::tree::{Key, Kind, Node, Place};
use super::value;

/// Where the environment comes from; a test gives its own.
pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What was found wrong so far.
pub(crate) struct Problems<'a> {
    source_name: &'a str,
    text: &'a str,
    environment: Environment<'a>,
    found: RefCell<Vec<ConfigError>>,
}

impl<'a> Problems<'a> {
    /// No problems yet with `text`.
    pub(crate) fn new(source_name: &'a str, text: &'a str, environment: Environment<'a>) -> Problems<'a> {
        Problems { source_name, text, environment, found: RefCell::new(Vec::new()) }
    }

    /// Notes one problem.
    pub(crate) fn note(&self, place: Place, path: &str, message: impl Into<String>, hint: Option<String>) {
        let (source_line, length) = snippet(self.text, place);
        let (source_name, path, message) = (self.source_name.to_owned(), path.to_owned(), message.into());
        let Place { line, column, .. } = place;
        self.found.borrow_mut().push(ConfigError {
            source_name,
            line,
            column,
            length,
            path,
            message,
            hint,
            source_line,
        });
    }

    /// Notes what was found wrong in another file.
    pub(crate) fn adopt(&self, errors: Vec<ConfigError>) {
        self.found.borrow_mut().extend(errors);
    }

    /// Where occurrence `nth` of `piece` stands, counted from `place` on; `place` where it is written otherwise.
    fn piece(&self, place: Place, piece: &str, nth: usize) -> Place {
        let lines = || self.text.split_inclusive('\n');
        let before: usize = lines().take(place.line - 1).map(str::len).sum();
        let line = self.text.get(before..).unwrap_or_default();
        let column = line.char_indices().nth(place.column - 1).map_or(0, |(at, _)| at);
        let from = before + column;
        let Some((at, _)) = self.text.get(from..).unwrap_or_default().match_indices(piece).nth(nth) else {
            return place;
        };
        let above = self.text.get(..from + at).unwrap_or_default();
        let line_start = above.rfind('\n').map_or(0, |end| end + 1);
        Place {
            line: above.matches('\n').count() + 1,
            column: above[line_start..].chars().count() + 1,
            length: piece.lines().next().unwrap_or_default().chars().count().max(1),
        }
    }

    fn unknown_key<'w>(&self, place: Place, path: &str, key: &str, known: impl Iterator<Item = &'w str> + Clone) {
        let hint = match nearest(key, known.clone()) {
            Some(word) => format!("did you mean `{word}`?"),
            None => format!("known here: {}", known.collect::<Vec<_>>().join(", ")),
        };
        self.note(place, path, "unknown key", Some(hint));
    }

    /// Everything noted, in the order of the file, each place and message once.
    pub(crate) fn into_errors(self) -> Vec<ConfigError> {
        let mut errors = self.found.into_inner();
        errors.sort_by(|a, b| (a.line, a.column, &a.path).cmp(&(b.line, b.column, &b.path)));
        errors.dedup();
        errors
    }

    /// `path` as it counts from the directory of the config file.
    pub(crate) fn beside(&self, path: &str) -> PathBuf {
        Path::new(self.source_name).parent().unwrap_or(Path::new("")).join(path)
    }

    /// True while nothing was noted.
    pub(crate) fn is_empty(&self) -> bool {
        self.found.borrow().is_empty()
    }
}

/// A value and where it was written.
#[derive(Debug, Clone)]
pub(crate) struct Written<T> {
    /// The value.
    pub value: T,
    /// Where.
    pub place: Place,
    /// Its full key path.
    pub path: String,
}

/// One node being read as something.
#[derive(Clone)]
pub(crate) struct Item<'a> {
    node: &'a Node,
    path: String,
    problems: &'a Problems<'a>,
}

impl<'a> Item<'a> {
    /// The root of a file.
    pub(crate) fn root(node: &'a Node, problems: &'a Problems<'a>) -> Item<'a> {
        Item { node, path: String::new(), problems }
    }

    fn wrong(&self, expected: &str) {
        self.note(format!("expected {expected}, found {}", self.node.describe()), None);
    }

    /// Notes a problem at this node.
    pub(crate) fn note(&self, message: impl Into<String>, hint: Option<String>) {
        self.problems.note(self.node.place, &self.path, message, hint);
    }

    /// Notes a problem of occurrence `nth` of a piece of this text.
    pub(crate) fn note_piece(&self, (piece, nth): (&str, usize), message: impl Into<String>, hint: Option<String>) {
        let place = self.problems.piece(self.node.place, piece, nth);
        self.problems.note(place, &self.path, message, hint);
    }

    /// Notes what was found wrong in a file that this node names.
    pub(crate) fn adopt(&self, errors: Vec<ConfigError>) {
        self.problems.adopt(errors);
    }

    fn with<T>(&self, value: T) -> Written<T> {
        Written { value, place: self.node.place, path: self.path.clone() }
    }

    /// A map whose keys the config names.
    pub(crate) fn section(&self) -> Option<Section<'a>> {
        self.entries().map(|entries| Section::new(entries, self.path.clone(), self.node.place, self.problems))
    }

    /// A map whose keys the user names; duplicates are problems.
    pub(crate) fn named(&self) -> Vec<(Written<String>, Item<'a>)> {
        let mut named = Vec::new();
        for (key, node) in self.entries().unwrap_or_default() {
            let path = join(&self.path, &key.name);
            if key.name.is_empty() {
                self.problems.note(key.place, &path, "a name may not be empty", None);
            }
            let name = Written { value: key.name.clone(), place: key.place, path: path.clone() };
            named.push((name, Item { node, path, problems: self.problems }));
        }
        named
    }

    /// Notes that the key this item stands under is none of `known`.
    pub(crate) fn unknown_key<'w>(&self, key: &Written<String>, known: impl Iterator<Item = &'w str> + Clone) {
        self.problems.unknown_key(key.place, &key.path, &key.value, known);
    }

    fn entries(&self) -> Option<Vec<(&'a Key, &'a Node)>> {
        let entries = match &self.node.kind {
            Kind::Map(entries) => entries,
            _ if self.node.is_nothing() => return Some(Vec::new()),
            _ => {
                self.wrong("a map (`key: value` lines)");
                return None;
            }
        };
        let mut first = std::collections::HashMap::new();
        let mut kept: Vec<(&Key, &Node)> = Vec::new();
        for (key, node) in entries {
            if let Some(line) = first.get(key.name.as_str()) {
                let message = format!("`{}` is written twice; the first is on line {line}", key.name);
                self.problems.note(key.place, &join(&self.path, &key.name), message, None);
                continue;
            }
            first.insert(key.name.as_str(), key.place.line);
            kept.push((key, node));
        }
        Some(kept)
    }

    /// The items of a list.
    pub(crate) fn list(&self, of: &str) -> Option<Vec<Item<'a>>> {
        let Kind::List(nodes) = &self.node.kind else {
            self.wrong(&format!("a list of {of}"));
            return None;
        };
        let item = |(idx, node)| Item { node, path: format!("{}[{idx}]", self.path), problems: self.problems };
        Some(nodes.iter().enumerate().map(item).collect())
    }

    /// The items of a list, at least one, or the one that is written without a list.
    pub(crate) fn one_or_more(&self, of: &str) -> Vec<Item<'a>> {
        if !matches!(self.node.kind, Kind::List(_)) {
            return vec![self.clone()];
        }
        let items = self.list(of).unwrap_or_default();
        if items.is_empty() {
            self.note(format!("an empty list of {of} never holds"), None);
        }
        items
    }

    /// Which of the two it is, when it is one, written without quotes.
    pub(crate) fn is_boolean(&self) -> Option<bool> {
        match &self.node.kind {
            Kind::Scalar { text, quoted: false } => text.parse().ok(),
            _ => None,
        }
    }

    /// A text, `${NAME}` replaced from the environment.
    pub(crate) fn string(&self) -> Option<Written<String>> {
        self.text("a text").map(|text| self.with(text))
    }

    fn text(&self, expected: &str) -> Option<String> {
        match &self.node.kind {
            Kind::Scalar { text, .. } if !self.node.is_nothing() => self.expanded(text),
            _ => {
                self.wrong(expected);
                None
            }
        }
    }

    fn expanded(&self, text: &str) -> Option<String> {
        let mut missing = false;
        let expanded = value::expand(text, &mut |name, offset| {
            let found = if name.is_empty() { None } else { (self.problems.environment)(name) };
            if found.is_none() {
                missing = true;
                let Place { line, column, .. } = self.node.place;
                let place = Place { line, column: column + offset, length: name.chars().count() + 3 };
                let hint = format!("export {name}=… before you start Crossfade; write `$${{` for a literal `${{`");
                let message = format!("the environment variable {name} is not set");
                self.problems.note(place, &self.path, message, Some(hint));
            }
            found
        });
        match expanded {
            Ok(text) if !missing => Some(text),
            Ok(_) => None,
            Err(what) => {
                self.note(what, None);
                None
            }
        }
    }

    /// Text of the node read by `read`; `expected` says what it should have been.
    pub(crate) fn parsed<T>(&self, expected: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        let text = self.text(expected)?;
        let value = read(&text);
        if value.is_none() {
            // The text after expansion may hold a secret: what was written is shown instead.
            self.wrong(expected);
        }
        value
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&self) -> Option<bool> {
        let text = self.text("`true` or `false`")?;
        let read = text.parse().ok();
        if read.is_none() {
            let meant = match text.to_lowercase().as_str() {
                "yes" | "y" | "on" => Some("true"),
                "no" | "n" | "off" => Some("false"),
                _ => nearest(&text, ["true", "false"]),
            };
            let hint = meant.map(|word| format!("did you mean `{word}`?"));
            self.note(format!("expected `true` or `false`, found {}", self.node.describe()), hint);
        }
        read
    }

    /// A time such as `30s`.
    pub(crate) fn duration(&self) -> Option<Duration> {
        self.parsed("a duration such as `250ms`, `30s`, `5m`, `24h` or `7d`", value::duration)
    }

    /// How long something is kept, such as `30d`.
    pub(crate) fn age(&self) -> Option<Duration> {
        self.parsed("an age such as `24h`, `30d` or `400d`", value::age)
    }

    /// A size such as `32MiB`.
    pub(crate) fn size(&self) -> Option<usize> {
        self.parsed("a size such as `4096`, `64KiB`, `32MiB` or `1GiB`", value::size)
    }

    /// A whole number in `from..=to`.
    pub(crate) fn count(&self, from: u64, to: u64) -> Option<u64> {
        let expected = if to == u64::MAX {
            format!("a whole number of at least {from}")
        } else {
            format!("a whole number from {from} to {to}")
        };
        self.parsed(&expected, |text| text.replace('_', "").parse().ok().filter(|n| (from..=to).contains(n)))
    }

    /// A number in `from..=to`.
    pub(crate) fn number(&self, from: f64, to: f64) -> Option<f64> {
        let number = self.parsed("a number", |text| text.parse::<f64>().ok().filter(|n| n.is_finite()))?;
        if !(from..=to).contains(&number) {
            self.note(format!("expected a number from {from} to {to}, found {number}"), None);
            return None;
        }
        Some(number)
    }

    /// A fraction from 0 to 1.
    pub(crate) fn share(&self) -> Option<Written<f64>> {
        if let Kind::Scalar { text, .. } = &self.node.kind
            && let Some(percent) = text.trim().strip_suffix('%').and_then(|percent| percent.trim().parse::<f64>().ok())
        {
            self.note("a share is a fraction from 0 to 1, not a percentage", Some(fraction(percent)));
            return None;
        }
        let share = self.parsed("a share from 0 to 1", |text| text.parse::<f64>().ok().filter(|n| n.is_finite()))?;
        if !(0.0..=1.0).contains(&share) {
            let hint = (share > 1.0 && share <= 100.0).then(|| fraction(share));
            self.note(format!("a share is between 0 and 1, found {share}"), hint);
            return None;
        }
        Some(self.with(share))
    }

    /// One of a few words.
    pub(crate) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let known: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
        let expected = format!("one of {}", known.join(", "));
        let text = self.text(&expected)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let hint =
                nearest(&text, words.iter().map(|(word, _)| *word)).map(|word| format!("did you mean `{word}`?"));
            self.note(format!("expected {expected}, found {}", self.node.describe()), hint);
        }
        found
    }

    /// A text that no message may show.
    pub(crate) fn secret(&self) -> Option<Private<String>> {
        match &self.node.kind {
            Kind::Scalar { text, .. } if !self.node.is_nothing() => self.expanded(text).map(Private::new),
            _ => {
                self.note("expected a key, best as `${NAME}` of an environment variable", None);
                None
            }
        }
    }

    /// A path; a relative one counts from the directory of the config file.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        self.string().map(|text| self.beside(&text.value))
    }

    /// `path` as it counts from the directory of the config file.
    pub(crate) fn beside(&self, path: &str) -> PathBuf {
        self.problems.beside(path)
    }

    /// The line it stands on, from 1.
    pub(crate) fn line(&self) -> usize {
        self.node.place.line
    }

    /// Whether it is a map with this key.
    pub(crate) fn has_key(&self, key: &str) -> bool {
        matches!(&self.node.kind, Kind::Map(entries) if entries.iter().any(|(entry, _)| entry.name == key))
    }

    /// Whether nothing is written.
    pub(crate) fn is_nothing(&self) -> bool {
        self.node.is_nothing()
    }

    /// Whether it is a list.
    pub(crate) fn is_list(&self) -> bool {
        matches!(self.node.kind, Kind::List(_))
    }

    /// Whether it is a map, or nothing, which is an empty one.
    pub(crate) fn is_map(&self) -> bool {
        self.node.is_nothing() || matches!(self.node.kind, Kind::Map(_))
    }

    /// The part of it that these steps lead to: a place in a list, or a key of a map. Where they lead nowhere, the last place
    /// that is there.
    pub(crate) fn inside<'s>(&self, steps: impl IntoIterator<Item = Result<usize, &'s str>>) -> Item<'a> {
        let mut item = self.clone();
        for step in steps {
            let found = match (step, &item.node.kind) {
                (Ok(idx), Kind::List(nodes)) => nodes.get(idx).map(|node| (node, format!("{}[{idx}]", item.path))),
                (Err(name), Kind::Map(entries)) => {
                    let entry = entries.iter().rev().find(|(key, _)| key.name == name);
                    entry.map(|(_, node)| (node, join(&item.path, name)))
                }
                _ => None,
            };
            let Some((node, path)) = found else { break };
            item = Item { node, path, problems: item.problems };
        }
        item
    }

    /// The node as a tree whose numbers are as they were written: a price is a decimal and stays one.
    pub(crate) fn exact(&self) -> Option<cost::json::Json> {
        use cost::json::Json;
        let looks_numeric = |text: &str| {
            text.starts_with(|c: char| c.is_ascii_digit() || "-+.".contains(c)) && text.parse::<f64>().is_ok()
        };
        Some(match &self.node.kind {
            _ if self.node.is_nothing() => Json::Object(Vec::new()),
            Kind::Scalar { text, quoted } => match self.expanded(text)? {
                text if *quoted => Json::String(text),
                text if text == "true" || text == "false" => Json::Bool(text == "true"),
                text if looks_numeric(&text) => Json::Number(text),
                text => Json::String(text),
            },
            Kind::List(_) => Json::Array(self.list("values")?.iter().map(Item::exact).collect::<Option<_>>()?),
            Kind::Map(entries) => {
                let member = |(key, node): &'a (Key, Node)| {
                    let item = Item { node, path: join(&self.path, &key.name), problems: self.problems };
                    Some((key.name.clone(), item.exact()?))
                };
                Json::Object(entries.iter().map(member).collect::<Option<_>>()?)
            }
        })
    }

    /// The node as JSON text: numbers, booleans and nothing as YAML 1.2 reads them.
    pub(crate) fn json(&self) -> Option<serde_json::Value> {
        match &self.node.kind {
            _ if self.node.is_nothing() => Some(serde_json::Value::Null),
            Kind::Scalar { text, quoted: true } => self.expanded(text).map(Into::into),
            Kind::Scalar { text, .. } => self.expanded(text).map(|text| value::plain_json(&text)),
            Kind::List(_) => self.list("values")?.iter().map(Item::json).collect(),
            Kind::Map(_) => self.named().iter().map(|(name, item)| Some((name.value.clone(), item.json()?))).collect(),
        }
    }
}

fn fraction(percent: f64) -> String {
    format!("for {percent} % write {}", value::short(percent / 100.0))
}

fn join(path: &str, key: &str) -> String {
    let key = if key.contains(['.', ' ']) { format!("\"{key}\"") } else { key.to_owned() };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

/// A map whose keys the config names. Whatever was never asked for when it is finished is an unknown key.
pub(crate) struct Section<'a> {
    entries: Vec<(&'a Key, &'a Node)>,
    path: String,
    place: Place,
    problems: &'a Problems<'a>,
    asked: RefCell<BTreeSet<&'static str>>,
}

impl<'a> Section<'a> {
    fn new(entries: Vec<(&'a Key, &'a Node)>, path: String, place: Place, problems: &'a Problems<'a>) -> Section<'a> {
        Section { entries, path, place, problems, asked: RefCell::default() }
    }

    /// A path as it counts from the directory of the config file.
    pub(crate) fn beside(&self, path: &str) -> PathBuf {
        self.problems.beside(path)
    }

    /// The line it begins on, from 1.
    pub(crate) fn line(&self) -> usize {
        self.place.line
    }

    /// Where something that is not written would belong: `at the top level`, `under review (from line 18)`.
    pub(crate) fn home(&self) -> String {
        match (self.path.as_str(), self.entries.is_empty()) {
            ("", _) => "at the top level".to_owned(),
            (path, true) => format!("under `{path}`"),
            (path, false) => format!("under `{path}`, from line {}", self.place.line),
        }
    }

    /// Notes a problem of the whole map.
    pub(crate) fn note(&self, message: impl Into<String>, hint: Option<String>) {
        self.problems.note(self.place, &self.path, message, hint);
    }

    /// Notes a problem of something written in or outside this map.
    pub(crate) fn note_at(&self, written: &Written<String>, message: impl Into<String>, hint: Option<String>) {
        self.problems.note(written.place, &written.path, message, hint);
    }

    /// The value under `key`, if written.
    pub(crate) fn get(&self, key: &'static str) -> Option<Item<'a>> {
        self.asked.borrow_mut().insert(key);
        let (_, node) = self.entries.iter().find(|(entry, _)| entry.name == key)?;
        Some(Item { node, path: join(&self.path, key), problems: self.problems })
    }

    /// The value under `key`; noted when it is not there.
    pub(crate) fn need(&self, key: &'static str) -> Option<Item<'a>> {
        let item = self.get(key);
        if item.is_none() {
            self.problems.note(self.place, &join(&self.path, key), format!("`{key}` is missing"), None);
        }
        item
    }

    /// The map under `key`, or an empty one.
    pub(crate) fn section(&self, key: &'static str) -> Section<'a> {
        self.get(key)
            .and_then(|item| item.section())
            .unwrap_or_else(|| Section::new(Vec::new(), join(&self.path, key), self.place, self.problems))
    }

    /// The user's names under `key`, none when it is not written.
    pub(crate) fn named(&self, key: &'static str) -> Vec<(Written<String>, Item<'a>)> {
        self.get(key).map(|item| item.named()).unwrap_or_default()
    }

    /// Notes a problem of the value under `key`; of the whole map where it is not written.
    pub(crate) fn note_under(&self, key: &'static str, message: impl Into<String>) {
        match self.get(key) {
            Some(item) => item.note(message, None),
            None => self.note(message, None),
        }
    }

    /// Notes every key that was never asked for.
    pub(crate) fn finish(self) {
        self.unknown_keys();
    }

    /// Notes every key that was not asked for so far.
    pub(crate) fn unknown_keys(&self) {
        let asked = self.asked.borrow();
        let known = asked.iter().copied();
        for (key, _) in self.entries.iter().filter(|(key, _)| !asked.contains(key.name.as_str())) {
            self.problems.unknown_key(key.place, &join(&self.path, &key.name), &key.name, known.clone());
        }
    }
}
