//! Names that are known without being imported, and what a file has to offer by itself.

use super::State;
use super::index::SourceFile;
use super::repository::{Repository, directory, stem};
use crate::scan::facts::{Binding, BindingKind, Chain, Import, Root, Step, Value};
use crate::scan::language::Language;
use crate::scan::lower::imports::NAMESPACE;
use crate::scan::rules::Rules;

/// How many constants of one name are looked at.
const ALIKE: usize = 3;

impl Repository<'_> {
    /// Rust's `async_openai::Client`: a library that is used without being imported, and is no module of the repository.
    pub(super) fn named_in_full(&self, file: usize, name: &str) -> State {
        let is_imported = |import: &Import| import.module.split('.').next() == Some(name);
        let is_known = self.packages_named.contains(name)
            || self.modules.iter().any(|(_, own)| *own == name)
            || self.files[file].facts.imports.iter().any(is_imported);
        let is_used =
            |sdk: &usize| is_known || self.uses(Language::Rust, *sdk) && !Rules::of(Language::Rust).sdks[*sdk].is_named;
        let sdks: Vec<usize> = self.libraries(file, name).into_iter().filter(is_used).collect();
        let is_own = self
            .stems
            .get(name)
            .is_some_and(|files| files.iter().any(|file| self.files[*file].language == Language::Rust));
        if sdks.is_empty() || is_own { State::Unknown } else { State::Symbol { sdks, path: String::new() } }
    }

    /// The libraries that a module is of, where it is not the repository's own that only has a vendor's name.
    pub(super) fn libraries(&self, file: usize, module: &str) -> Vec<usize> {
        let rules = Rules::of(self.files[file].language);
        let mut sdks = rules.of_module(module);
        sdks.retain(|sdk| !rules.sdks[*sdk].is_installed || self.installed_jvm.contains(sdk));
        if sdks.iter().any(|sdk| rules.sdks[*sdk].is_named) && self.is_own_module(file, module) {
            sdks.clear();
        }
        if self.files[file].language == Language::Python
            && !sdks.is_empty()
            && self.is_own_of_python(file, module, &sdks)
        {
            sdks.clear();
        }
        if self.files[file].language == Language::Rust {
            let first = module.split('.').next().unwrap_or(module);
            if self.is_within_crate(file, first) || self.is_child_module(file, first) {
                sdks.clear();
            } else if sdks.is_empty() && is_example(self.files[file].path) {
                sdks.extend(self.crate_like(first));
            }
        }
        sdks
    }

    /// Whether Python's module is one of the repository that is only called like a library: no manifest names that, and the file
    /// is there.
    fn is_own_of_python(&self, file: usize, module: &str, sdks: &[usize]) -> bool {
        if sdks.iter().any(|sdk| self.installed.contains(sdk)) {
            return false;
        }
        let path = module.replace('.', "/");
        // A directory of examples may be called like the library that they use.
        let is_at_top = |found: &usize| {
            let own = self.files[*found].path;
            [".py", "/__init__.py"]
                .iter()
                .filter_map(|end| own.strip_suffix(end))
                .any(|own| own == path || own.strip_prefix("src/") == Some(path.as_str()))
        };
        let mut found = self.files_of(&path, Language::Python);
        found.retain(|other| *other != file);
        if path.contains('/') { !found.is_empty() } else { found.iter().any(is_at_top) }
    }

    /// Whether the file is the source of a crate of the repository with a library of the name: it is not used there, it is that.
    fn is_within_crate(&self, file: usize, name: &str) -> bool {
        let path = self.files[file].path;
        self.modules.iter().filter(|(_, own)| *own == name).any(|(begins, _)| {
            let source = if begins.is_empty() { "src".to_owned() } else { format!("{begins}/src") };
            let mut roots = self.stems.get("lib").into_iter().flatten();
            path.starts_with(&format!("{source}/"))
                && roots.any(|root| self.files[*root].path.strip_prefix(source.as_str()) == Some("/lib.rs"))
        })
    }

    /// Whether the name is that of a module below a file of Rust: `mod openai;` of `src/main.rs` is `src/openai.rs`.
    fn is_child_module(&self, file: usize, name: &str) -> bool {
        let path = self.files[file].path;
        let below = match stem(path) {
            "main" | "lib" | "mod" => directory(path).to_owned(),
            own => format!("{}/{own}", directory(path)).trim_start_matches('/').to_owned(),
        };
        let places = [self.stems.get(name), self.folders.get(name)];
        places.into_iter().flatten().flatten().any(|other| {
            let other = self.files[*other].path;
            let place = if stem(other) == "mod" { directory(directory(other)) } else { directory(other) };
            other.ends_with(".rs") && place == below
        })
    }

    /// Whether a module that is imported is the repository's own. The examples of a library are written like its users' code.
    fn is_own_module(&self, file: usize, module: &str) -> bool {
        let source = &self.files[file];
        let first = module.split('.').next().unwrap_or(module);
        let is_example = is_example(source.path);
        match source.language {
            Language::Rust => {
                let places = [self.stems.get(first), self.folders.get(first)];
                let mut beside = places.into_iter().flatten().flatten();
                !is_example && self.modules.iter().any(|(_, name)| *name == first)
                    || beside.any(|other| self.files[*other].language == Language::Rust)
            }
            Language::Go => !is_example && self.modules.iter().any(|(_, own)| module.starts_with(own)),
            // A package of the repository, or one beside it.
            Language::Java | Language::Kotlin => {
                let own: Vec<&str> = module.split('.').take(2).collect();
                let (whole, group) = (module.replace('.', "/"), format!("/{}/", own.join("/")));
                let is_there = |path: &str| path.contains(&whole) || format!("/{path}").contains(&group);
                self.files.iter().any(|other| other.language.is_jvm() && is_there(directory(other.path)))
            }
            Language::CSharp => self.files.iter().any(|other| {
                let mut said = other.facts.imports.iter().filter(|import| import.symbol == NAMESPACE);
                said.any(|import| import.module.split('.').next() == Some(first))
            }),
            _ => false,
        }
    }

    /// The object that a constant of Ruby is which another file sets outside of its classes: `Llm = Client.new(…)` of an initializer.
    pub(super) fn seen_everywhere(&self, name: &str, hops: u32) -> State {
        let known = self.seen.get(name).into_iter().flatten();
        let states = known.take(ALIKE).map(|(file, at)| self.bound(*file, *at, hops + 1));
        states.into_iter().find(|state| matches!(state, State::Object(_))).unwrap_or(State::Unknown)
    }

    /// Whether a class of a Rails application has the name, which is then no library's.
    pub(super) fn is_class_of_rails(&self, name: &str) -> bool {
        let is_own = |file: &SourceFile<'_>| {
            let path = file.path;
            let is_there = path.starts_with("app/") || path.contains("/app/");
            file.language == Language::Ruby && is_there && stem(path).replace('_', "").eq_ignore_ascii_case(name)
        };
        self.classes.get(name).is_some_and(|known| known.iter().any(|(file, _)| is_own(&self.files[*file])))
    }

    /// Whether PHP's import brings in a class that a file of the repository has, whose members are known by their names.
    pub(super) fn is_class_of_php(&self, language: Language, import: &Import) -> bool {
        let is_said = |file: usize| {
            let mut said = self.files[file].facts.imports.iter();
            said.any(|own| own.symbol == NAMESPACE && own.module == import.module)
        };
        let known = self.classes.get(import.symbol.as_str()).into_iter().flatten();
        language == Language::Php
            && known.map(|(file, _)| *file).any(|file| self.files[file].language == Language::Php && is_said(file))
    }

    /// What a variable of C# is given in another branch, where it is declared without a value: `IChatClient client; if (…) …`.
    /// In PHP what it is given before a branch makes it an object of the repository's own.
    pub(super) fn of_other_branch(&self, file: usize, at: usize, hops: u32) -> Option<State> {
        let bindings = &self.files[file].facts.bindings;
        let own = &bindings[at];
        let is_beside = |other: &Binding| (other.from, other.to) == (own.from, own.to);
        let mut beside = self.named(file, &own.target).filter(|(_, other)| is_beside(other));
        let is_declared = |other: &Binding| other.value.is_none() && !other.types.is_empty();
        let is_open = match self.files[file].language {
            Language::CSharp => beside.any(|(_, other)| is_declared(other)),
            Language::Php => is_made(own.value.as_ref()),
            _ => false,
        };
        if !is_open {
            return None;
        }
        let beside = self.named(file, &own.target).filter(|(other, binding)| *other != at && is_beside(binding));
        let given = beside.filter(|(_, other)| other.value.is_some() && other.line < own.line);
        given.map(|(other, _)| self.bound(file, other, hops + 1)).find(|state| matches!(state, State::Object(_)))
    }

    /// Whether Python's import brings in a class that a file of the repository has, whose members are known by their names.
    pub(super) fn is_class_of_python(&self, language: Language, import: &Import) -> bool {
        let module = import.module.replace('.', "/");
        let is_there = |(file, _): &(usize, usize)| {
            let own = &self.files[*file];
            own.language == language && own.path.strip_suffix(".py").is_some_and(|path| path.ends_with(&module))
        };
        let known =
            self.classes.get(import.symbol.as_str()).filter(|_| language == Language::Python && !module.is_empty());
        known.is_some_and(|known| known.iter().any(is_there))
    }

    /// The other files of the language in the directory of a file.
    pub(crate) fn beside_file(&self, file: usize) -> impl Iterator<Item = usize> {
        let place = self.places[file];
        (0..self.files.len()).filter(move |other| *other != file && self.places[*other] == place)
    }

    /// What a file exports by default: the one object made at its top.
    pub(super) fn exported_by_default(&self, file: usize, hops: u32) -> State {
        if self.is_go(file) {
            return State::Unknown;
        }
        let bindings = &self.files[file].facts.bindings;
        let tops =
            bindings.iter().enumerate().filter(|(_, binding)| binding.from == 1 && binding.kind == BindingKind::Local);
        let objects: Vec<State> = tops
            .map(|(at, _)| self.bound(file, at, hops + 1))
            .filter(|state| matches!(state, State::Object(_)))
            .collect();
        match objects.as_slice() {
            [one] => one.clone(),
            _ => State::Unknown,
        }
    }
}

/// Whether the file is an example of the library around it, written like its users' code.
fn is_example(path: &str) -> bool {
    path.split('/').any(|part| matches!(part, "examples" | "example" | "_examples"))
}

/// Whether it is `new Client(…)`, which is written like a call of the class.
fn is_made(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Chain(Chain { root: Root::Name(class), steps, .. })) => {
            class.starts_with(char::is_uppercase) && matches!(steps.as_slice(), [Step::Call(_)])
        }
        _ => false,
    }
}
