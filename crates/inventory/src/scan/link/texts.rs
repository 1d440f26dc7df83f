//! Texts behind names: in the file, and constants of other files.

use super::quick::{Map, Set};
use super::repository::{Repository, directory};
use crate::scan::facts::{Binding, BindingKind, Chain, Root, Step, Value};
use crate::scan::language::Language;

/// Constants by name: the files and the bindings.
pub(super) type Constants = Map<String, Vec<(usize, usize)>>;

/// Names of paths and addresses, and the files that use them.
pub(super) type Uses = Map<String, Vec<usize>>;

/// How many names are followed one after the other.
const DEPTH: u32 = 5;

impl Repository<'_> {
    /// The text that a value is, through names.
    pub(crate) fn text(&self, file: usize, value: &Value, line: u32) -> Option<String> {
        self.text_within(file, value, line, 0)
    }

    fn text_within(&self, file: usize, value: &Value, line: u32, depth: u32) -> Option<String> {
        if depth > DEPTH {
            return None;
        }
        match value {
            Value::Text(text) => Some(self.filled(file, &text.value, text.line)),
            Value::Chain(chain) => self.text_of_chain(file, chain, line, depth),
            _ => None,
        }
    }

    fn text_of_chain(&self, file: usize, chain: &Chain, line: u32, depth: u32) -> Option<String> {
        let mut steps: Vec<&Step> = chain.steps.iter().filter(|step| !changes_nothing(step)).collect();
        // `Model.GPT_4.getName()`: what the constant stands for.
        while let [before @ .., Step::Member(name, _)] = steps.as_slice()
            && reads(name)
            && is_constant(chain, before)
        {
            steps.pop();
        }
        let name = match (&chain.root, steps.as_slice()) {
            (Root::Name(name), []) => name,
            (Root::Itself | Root::Name(_), [.., Step::Member(name, _)]) => name,
            (Root::Group(values), []) => {
                return values.iter().find_map(|value| self.text_within(file, value, line, depth + 1));
            }
            (Root::Group(values), _) => match values.as_slice() {
                [one @ Value::Text(_)] => return self.text_within(file, one, line, depth + 1),
                _ => return None,
            },
            // `F("…")`, `Uri("…")`, `format!("…")`: what one text is given to, where it says what it is.
            (_, steps) => {
                return steps.iter().find_map(|step| match step {
                    Step::Call(call) => call.arguments.iter().find_map(|argument| match &argument.value {
                        Value::Text(text) if text.value.contains("//") => {
                            Some(self.filled(file, &text.value, text.line))
                        }
                        _ => None,
                    }),
                    Step::Member(..) => None,
                });
            }
        };
        match self.bound_value(file, name, line.max(chain.line)) {
            Some(at) => {
                let binding = &self.files[file].facts.bindings[at];
                self.text_within(file, binding.value.as_ref()?, binding.line, depth + 1)
            }
            None => self.constant(file, name),
        }
    }

    /// The text with the names in it replaced by the texts that are bound to them.
    pub(crate) fn filled(&self, file: usize, text: &str, line: u32) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        // JSON has braces of its own: a name is between the nearest two.
        while let Some(close) = rest.find('}') {
            let Some(open) = rest[..close].rfind('{') else {
                filled += &rest[..=close];
                rest = &rest[close + 1..];
                continue;
            };
            let name = rest[open + 1..close].rsplit(['.', '>', ':', '@']).next().unwrap_or_default();
            filled += &rest[..open];
            let bound = self.binding_value(file, name, line);
            // `{base}/{endpoint}`, where branches say the endpoint.
            let is_path = self.files[file].language == Language::Rust && rest[..open].ends_with('/');
            match bound.and_then(|bound| text_in(bound).or_else(|| text_of_branch(bound).filter(|_| is_path))) {
                Some(inner) if !name.is_empty() => filled += inner,
                // A constant of another file.
                None if name.len() > 2 && name.chars().all(|one| one.is_ascii_uppercase() || one == '_') => {
                    match self.constant(file, name) {
                        Some(inner) => filled += &inner,
                        None => filled += &rest[open..=close],
                    }
                }
                _ => filled += &rest[open..=close],
            }
            rest = &rest[close + 1..];
        }
        filled + rest
    }

    /// What is bound to a name at a line, in the file.
    pub(crate) fn binding_value(&self, file: usize, name: &str, line: u32) -> Option<&Value> {
        let at = self.bound_value(file, name, line)?;
        self.files[file].facts.bindings[at].value.as_ref()
    }

    /// The binding that a name has its value from.
    pub(crate) fn bound_value(&self, file: usize, name: &str, line: u32) -> Option<usize> {
        let bindings = &self.files[file].facts.bindings;
        let is_said = |binding: &Binding| binding.value.is_some();
        match self.binding_at(file, name, line) {
            Some(at) if is_said(&bindings[at]) => Some(at),
            Some(at) if !matches!(bindings[at].kind, BindingKind::Field | BindingKind::Return) => Some(at),
            // Constants of a class and members set elsewhere in the file.
            _ => self.named(file, name).find(|(_, binding)| is_said(binding)).map(|(at, _)| at),
        }
    }

    /// What a name is given anywhere in the class around a line, in the order of the file.
    pub(crate) fn named_in_class(&self, file: usize, name: &str, line: u32) -> impl Iterator<Item = &Binding> {
        let mut classes =
            self.files[file].facts.classes.iter().filter(move |class| class.from <= line && line <= class.to);
        let (from, to) = classes.next_back().map_or((1, u32::MAX), |class| (class.from, class.to));
        let is_within = move |binding: &&Binding| binding.value.is_some() && (from..=to).contains(&binding.line);
        self.named(file, name).map(|(_, binding)| binding).filter(is_within)
    }

    /// What else the name of a binding is given in the same function: in other branches.
    pub(crate) fn beside_binding(&self, file: usize, at: usize) -> impl Iterator<Item = &Binding> {
        let own = &self.files[file].facts.bindings[at];
        let is_beside = move |other: &Binding| {
            (other.from, other.to) == (own.from, own.to) && other.value.is_some() && own.kind == BindingKind::Local
        };
        self.named(file, &own.target).filter(move |(idx, other)| *idx != at && is_beside(other)).map(|(_, other)| other)
    }

    /// The text of a constant that another file has: one that is imported, or whose name only one text has.
    pub(crate) fn constant(&self, file: usize, name: &str) -> Option<String> {
        let candidates = self.constants().get(name)?;
        let source = &self.files[file];
        let import = source.facts.imports.iter().find(|import| import.local == name);
        let language = source.language.title();
        let is_constant = name.starts_with(char::is_uppercase) && name.len() > 2;
        // Files of a package of Go see each other's names.
        let is_shared = source.language == Language::Go && !is_constant;
        if import.is_none() && !is_constant && !is_shared {
            return None;
        }
        let mut found: Option<&str> = None;
        for (idx, at) in candidates {
            let other = &self.files[*idx];
            let is_hidden = is_shared && directory(other.path) != directory(source.path);
            if other.language.title() != language || is_hidden {
                continue;
            }
            let text = text_in(other.facts.bindings[*at].value.as_ref()?)?;
            if found.is_some_and(|own| own != text) {
                return None;
            }
            found = Some(text);
        }
        found.map(str::to_owned)
    }

    /// The address of a vendor that is written into a member of the name, where Rust's files have one such text alone: of the
    /// classes whose member it is here or that the file names, else beside it or anywhere.
    pub(crate) fn setting(&self, file: usize, name: &str) -> Option<String> {
        let is_address = ["url", "uri", "endpoint", "host", "base"].iter().any(|word| name.contains(word));
        if !is_address || self.files[file].language != Language::Rust {
            return None;
        }
        let all = self.constants().get(name)?.iter().filter_map(|(idx, at)| {
            let (other, binding) = (&self.files[*idx], &self.files[*idx].facts.bindings[*at]);
            let text = text_in(binding.value.as_ref()?).filter(|text| text.contains("://"))?;
            (other.language == Language::Rust).then_some((*idx, text, binding.types.first().map(String::as_str)))
        });
        let all: Vec<(usize, &str, Option<&str>)> = all.collect();
        let facts = self.files[file].facts;
        let around = |line: u32| facts.classes.iter().rfind(|class| class.from <= line && line <= class.to);
        let members = self.named(file, name).filter(|(_, binding)| binding.kind == BindingKind::Field);
        let own: Vec<&str> = members.filter_map(|(_, binding)| Some(around(binding.line)?.name.as_str())).collect();
        let is_named = |class: &str| {
            facts.imports.iter().any(|import| import.local == class)
                || facts.bindings.iter().any(|binding| binding.types.iter().any(|name| name == class))
        };
        let of_class: Vec<_> =
            all.iter().copied().filter(|(.., of)| of.is_some_and(|of| own.contains(&of) || is_named(of))).collect();
        let chosen = match of_class.as_slice() {
            // A member of a type of this file's own is nobody else's.
            [] if !own.is_empty() => return None,
            [] => all,
            _ => of_class,
        };
        let one = |texts: &mut dyn Iterator<Item = &(usize, &'_ str, Option<&str>)>| {
            let texts: Set<&str> = texts.map(|(_, text, _)| *text).collect();
            if texts.len() == 1 { texts.into_iter().next().map(str::to_owned) } else { None }
        };
        let place = directory(self.files[file].path);
        let is_beside = |(idx, ..): &&(usize, &str, Option<&str>)| directory(self.files[*idx].path) == place;
        one(&mut chosen.iter()).or_else(|| one(&mut chosen.iter().filter(is_beside)))
    }

    /// What the one function of the name returns that other files of Java, Kotlin or Rust have.
    pub(crate) fn returned_elsewhere(&self, file: usize, name: &str) -> Option<(usize, &'_ Binding)> {
        let language = self.files[file].language;
        let is_followed = language.is_jvm() || language == Language::Rust;
        let members = self.members.get(name).filter(|_| is_followed)?;
        let found = members.iter().map(|(other, at)| (*other, &self.files[*other].facts.bindings[*at]));
        let mut found = found.filter(|(other, own)| {
            let of = self.files[*other].language;
            let is_alike = of.is_jvm() && language.is_jvm() || of == language;
            own.kind == BindingKind::Return && own.value.is_some() && is_alike
        });
        let first = found.next()?;
        found.next().is_none().then_some(first)
    }

    /// Whether the file's language asks configuration by keys that are followed.
    fn asks_by_key(&self, file: usize) -> bool {
        let language = self.files[file].language;
        !self.told.is_empty() && (language.is_jvm() || matches!(language, Language::CSharp | Language::Go))
    }

    /// `configuration["OpenAI:Url"]`, `os.Getenv("OPENAI_URL")`: the address that configuration has under the key.
    pub(crate) fn told_under(&self, file: usize, chain: &Chain) -> Option<String> {
        if !self.asks_by_key(file) {
            return None;
        }
        let mut keys: Vec<&str> = Vec::new();
        for step in &chain.steps {
            match step {
                // C#'s `GetValue<string>("…")` has the type before it.
                Step::Call(call) => {
                    let mut given = call.arguments.iter().filter(|given| given.name.is_none());
                    keys.extend(given.next().and_then(|first| first.value.text()));
                }
                Step::Member(name, _) if name.contains([':', '.']) || !keys.is_empty() => keys.push(name),
                Step::Member(..) => {}
            }
        }
        let of_one = keys.iter().find_map(|key| self.told.under(key));
        of_one.or_else(|| self.told.under(&keys.join("."))).map(str::to_owned)
    }

    /// `options.Value.ApiUrl`: the address of the one key that ends in the member's name.
    pub(crate) fn told_called(&self, file: usize, chain: &Chain, name: &str) -> Option<String> {
        if !self.asks_by_key(file) {
            return None;
        }
        let mut beside = self.files[file].path.to_lowercase();
        let members = chain.steps.iter().filter_map(|step| match step {
            Step::Member(name, _) => Some(name.to_lowercase()),
            Step::Call(_) => None,
        });
        let members: Vec<String> = members.collect();
        members.iter().for_each(|member| beside.push_str(member));
        self.told.called(name, &beside).filter(|_| !members.is_empty()).map(str::to_owned)
    }

    /// The address that a framework puts into a member or a parameter: `@Value("${openai.url}") private String url`.
    pub(crate) fn injected(&self, file: usize, binding: &Binding) -> Option<(String, u32)> {
        /// How many lines an annotation stands above what it is of.
        const ABOVE: u32 = 3;
        let source = &self.files[file];
        if !source.language.is_jvm() || !matches!(binding.kind, BindingKind::Field | BindingKind::Parameter) {
            return None;
        }
        let is_near = |chain: &&Chain| chain.line <= binding.line && binding.line < chain.line + ABOVE;
        let annotations = source.facts.values.iter().filter_map(|value| match value {
            Value::Chain(chain @ Chain { root: Root::Name(name), .. })
                if matches!(name.as_str(), "Value" | "ConfigProperty" | "Property") =>
            {
                Some(chain)
            }
            _ => None,
        });
        let near: Vec<&Chain> = annotations.filter(is_near).collect();
        let line = near.iter().map(|chain| chain.line).max()?;
        let same = near.iter().filter(|chain| chain.line == line);
        // Of several on one line the one that stands where the name does.
        let beside = source.facts.bindings.iter().filter(|own| own.kind == binding.kind && own.line == binding.line);
        let place = beside.take_while(|own| own.target != binding.target).count();
        let texts = same.filter_map(|chain| match chain.steps.first() {
            Some(Step::Call(call)) => call.arguments.iter().find_map(|given| given.value.text()),
            _ => None,
        });
        let texts: Vec<&str> = texts.collect();
        let text = texts.get(place).or_else(|| texts.last())?;
        let default = || {
            let at = text.find("http")?;
            let address = text[at..].trim_end_matches('}');
            crate::scan::hosts::vendor_of(address).map(|_| address)
        };
        let address = self.told.under(text).or_else(default)?;
        Some((address.to_owned(), line))
    }

    /// Whether another file of the language uses the name of a path or an address.
    pub(crate) fn is_named_elsewhere(&self, file: usize, name: &str) -> bool {
        let language = self.files[file].language.title();
        let users = self.uses.get_or_init(|| self.gathered());
        let is_other = |idx: &usize| *idx != file && self.files[*idx].language.title() == language;
        users.get(name).is_some_and(|files| files.iter().any(is_other))
    }

    fn gathered(&self) -> Uses {
        let mut uses = Uses::default();
        for binding in self.files.iter().flat_map(|file| &file.facts.bindings) {
            if binding.value.as_ref().and_then(Value::text).is_some_and(|text| text.contains('/')) {
                uses.entry(binding.target.clone()).or_default();
            }
        }
        for (idx, file) in self.files.iter().enumerate() {
            let bound = file.facts.bindings.iter().filter_map(|binding| binding.value.as_ref());
            file.facts.values.iter().chain(bound).for_each(|value| add_uses(&mut uses, idx, value));
        }
        uses
    }

    fn constants(&self) -> &Constants {
        self.constants.get_or_init(|| {
            let mut constants = Constants::default();
            for (idx, file) in self.files.iter().enumerate() {
                for (at, binding) in file.facts.bindings.iter().enumerate() {
                    // C#'s constructor sets a member by its name alone.
                    let is_member = file.language == Language::CSharp && binding.target.starts_with(char::is_uppercase);
                    let is_kept = binding.kind == BindingKind::Field
                        || is_member
                        || binding.kind == BindingKind::Local && (binding.from == 1 || is_upper(&binding.target));
                    if is_kept && binding.value.as_ref().and_then(text_in).is_some() {
                        constants.entry(binding.target.clone()).or_default().push((idx, at));
                    }
                }
            }
            constants
        })
    }
}

/// Adds the file to the names that stand in the value.
fn add_uses(uses: &mut Uses, file: usize, value: &Value) {
    match value {
        Value::Text(text) => {
            let filled = text.value.split('{').skip(1).filter_map(|part| part.split('}').next());
            let is_name = |character: char| character.is_alphanumeric() || character == '_';
            filled
                .flat_map(|part| part.split(|character| !is_name(character)))
                .for_each(|name| add_use(uses, file, name));
        }
        Value::Object(pairs) => pairs.iter().for_each(|(_, value)| add_uses(uses, file, value)),
        Value::List(values) => values.iter().for_each(|value| add_uses(uses, file, value)),
        Value::Chain(chain) => {
            match &chain.root {
                Root::Name(root) => add_use(uses, file, root),
                Root::Itself => {}
                Root::Group(values) => values.iter().for_each(|value| add_uses(uses, file, value)),
            }
            for step in &chain.steps {
                match step {
                    Step::Member(member, _) => add_use(uses, file, member),
                    Step::Call(call) => {
                        call.arguments.iter().for_each(|argument| add_uses(uses, file, &argument.value))
                    }
                }
            }
        }
        _ => {}
    }
}

fn add_use(uses: &mut Uses, file: usize, name: &str) {
    if let Some(files) = uses.get_mut(name).filter(|files| files.last() != Some(&file)) {
        files.push(file);
    }
}

fn is_upper(name: &str) -> bool {
    !name.chars().any(char::is_lowercase)
}

/// Whether a member is read by the name that gives a constant's text out.
fn reads(name: &str) -> bool {
    name.starts_with("get") && name[3..].starts_with(char::is_uppercase)
        || matches!(name, "id" | "model" | "modelName" | "modelId" | "key" | "code" | "string")
}

/// Whether what comes before is a constant by its name.
fn is_constant(chain: &Chain, before: &[&Step]) -> bool {
    let is_it = |name: &str| name.len() > 2 && is_upper(name) && name.chars().any(char::is_alphabetic);
    match (before.last(), &chain.root) {
        (Some(Step::Member(name, _)), _) => is_it(name),
        (None, Root::Name(name)) => is_it(name),
        _ => false,
    }
}

/// The literal text of a constant.
pub(crate) fn text_in(value: &Value) -> Option<&str> {
    match value {
        Value::Text(text) => Some(&text.value),
        Value::Chain(Chain { root: Root::Group(values), .. }) => match values.as_slice() {
            [Value::Text(text)] => Some(&text.value),
            _ => None,
        },
        // `String::from("…")`
        Value::Chain(Chain { root: Root::Name(name), steps, .. }) if name == "String" => match steps.last()? {
            Step::Call(call) => call.arguments.first()?.value.text(),
            Step::Member(..) => None,
        },
        _ => None,
    }
}

/// The text of the first branch that is one: `if is_edit { "images/edits" } else { "images/generations" }`.
pub(crate) fn text_of_branch(value: &Value) -> Option<&str> {
    match value {
        Value::Chain(Chain { root: Root::Group(values), steps, .. }) if steps.is_empty() => {
            values.iter().find_map(|value| value.text().or_else(|| text_of_branch(value)))
        }
        _ => None,
    }
}

/// Steps after which a text is still the same text.
fn changes_nothing(step: &Step) -> bool {
    const SAME: [&str; 14] = [
        "to_string",
        "to_owned",
        "into",
        "clone",
        "as_str",
        "value",
        "Value",
        "toString",
        "ToString",
        "to_s",
        "trim",
        "strip",
        "freeze",
        "as_ref",
    ];
    match step {
        Step::Member(name, _) => SAME.contains(&name.as_str()),
        Step::Call(call) => call.arguments.is_empty(),
    }
}
