//! All files of a repository with their facts, and what is asked about names across them.

use std::cell::RefCell;
use std::ops::{Deref, Range};
use std::rc::Rc;
use std::sync::Arc;

use super::index::Index;
use super::quick::Map;
use super::walk::Walker;
use super::{Hit, Object, State};
use crate::scan::facts::{Binding, BindingKind, Chain, Import, Root, Value};
use crate::scan::language::Language;
use crate::scan::rules::Rules;

/// All files of a repository, and what one thread has found out about their names.
#[derive(Debug)]
pub(crate) struct Repository<'s> {
    index: Arc<Index<'s>>,
    /// What bindings stand for, as far as it is known; none for those that are being followed.
    memo: RefCell<Vec<Vec<Known>>>,
    /// What names of each file stand for that are not bound there.
    symbols: RefCell<Vec<Map<String, State>>>,
}

impl<'s> Deref for Repository<'s> {
    type Target = Index<'s>;

    fn deref(&self) -> &Index<'s> {
        &self.index
    }
}

/// What is known of a binding.
#[derive(Debug, Clone)]
enum Known {
    Not,
    Followed,
    Is(Rc<State>),
}

/// Up to how many names what a name stands for is remembered: after more of them less is found.
const SURE: u32 = 6;

/// How many names are followed one after the other.
pub(super) const HOPS: u32 = 14;

impl<'s> Repository<'s> {
    /// Of which nothing is found out yet.
    pub(crate) fn new(index: Arc<Index<'s>>) -> Repository<'s> {
        let memo = index.files.iter().map(|file| vec![Known::Not; file.facts.bindings.len()]).collect();
        let symbols = RefCell::new(vec![Map::default(); index.files.len()]);
        Repository { index, memo: RefCell::new(memo), symbols }
    }

    /// Names under which clients and models of some files are known outside of their file.
    pub(crate) fn shared(&self, files: Range<usize>) -> Vec<String> {
        let mut names = Vec::new();
        for file in files {
            let source = &self.files[file];
            for (at, binding) in source.facts.bindings.iter().enumerate() {
                let is_shared = match binding.kind {
                    BindingKind::Local => binding.from == 1,
                    BindingKind::Field | BindingKind::Return => true,
                    // An interface of Java of which a framework makes a service.
                    BindingKind::Type => source.language.is_jvm(),
                    BindingKind::Parameter => false,
                };
                let is_known = || match self.bound(file, at, 0) {
                    State::Returns(inner) => matches!(*inner, State::Object(_)),
                    state => matches!(state, State::Object(_)),
                };
                if is_shared && is_known() {
                    names.push(binding.target.clone());
                }
            }
            // A class that is derived from a library's is made and asked where the library is not named.
            if source.language == Language::Php {
                let classes = source.facts.classes.iter().map(|class| &class.name);
                let is_derived = |name: &&String| matches!(self.derived(file, name, 0), Some(State::Symbol { .. }));
                names.extend(classes.filter(is_derived).cloned());
            }
            if source.language == Language::Ruby {
                let derived = source.facts.imports.iter().filter(|import| !import.local.is_empty());
                let is_known = |import: &&Import| matches!(self.import(file, import, 0), State::Symbol { .. });
                names.extend(derived.filter(is_known).map(|import| import.local.clone()));
            }
        }
        names.extend(self.crates_of_vendors());
        // What every file of C# sees without saying so.
        let rules = Rules::of(Language::CSharp);
        names.extend(self.everywhere.iter().flat_map(|sdk| rules.classes_of(*sdk)).map(str::to_owned));
        names
    }

    /// Whether the file imports the library.
    pub(super) fn imports(&self, file: usize, sdk: usize) -> bool {
        let is_everywhere = || self.files[file].language == Language::CSharp && self.everywhere.contains(&sdk);
        self.imported.get(file).is_some_and(|own| own.contains(&sdk)) || is_everywhere()
    }

    /// Whether the repository uses the library in the language.
    pub(super) fn uses(&self, language: Language, sdk: usize) -> bool {
        self.used.get(language.title()).is_some_and(|own| own.contains(&sdk))
    }

    /// Walks a chain of a file and collects where rules fit.
    pub(crate) fn walk<'f>(&self, file: usize, chain: &'f Chain, hits: &mut Vec<Hit<'f>>) {
        Walker { repository: self, file, hops: 0 }.chain(chain, Some(hits));
    }

    /// What a name stands for at a line of a file.
    pub(super) fn name(&self, file: usize, name: &str, line: u32, hops: u32) -> State {
        if hops >= HOPS {
            return State::Unknown;
        }
        // A macro of Rust is imported without its mark.
        let name = name.strip_suffix('!').unwrap_or(name);
        let facts = &self.files[file].facts;
        // PHP's `$OpenAI = new OpenAI(…)`: the variable is not the class.
        let is_class = |at: &usize| {
            let binding = &facts.bindings[*at];
            let is_own =
                matches!(&binding.value, Some(Value::Chain(Chain { root: Root::Name(class), .. })) if class == name);
            self.files[file].language == Language::Php && is_own && binding.line == line
        };
        if let Some(at) = self.binding_at(file, name, line).filter(|at| !is_class(at)) {
            let mut state = self.bound(file, at, hops);
            if !is_whole(&state) && state != State::Local && facts.bindings[at].kind == BindingKind::Field {
                state = self.declared_field(file, name, line, hops).unwrap_or(state);
            }
            let is_other =
                matches!(state, State::Unknown | State::Foreign) && self.files[file].language == Language::Php;
            if state == State::Local || is_other {
                state = self.of_other_branch(file, at, hops).unwrap_or(state);
            }
            // `except ImportError: openai = None`
            let is_unset = facts.bindings[at].kind == BindingKind::Local
                && facts.bindings[at].value.is_none()
                && facts.imports.iter().any(|import| import.local == name);
            let is_open = facts.bindings[at].kind == BindingKind::Return || is_unset;
            if state != State::Unknown || !is_open {
                return state;
            }
        }
        match self.symbol(file, name, hops) {
            // Members of base classes are named without `this`.
            State::Unknown if self.files[file].language == Language::CSharp => {
                self.inherited(file, name, Some(line), hops + 1)
            }
            state => state,
        }
    }

    /// What a member is declared as, whatever else is put into it.
    fn declared_field(&self, file: usize, name: &str, line: u32, hops: u32) -> Option<State> {
        let fits = |binding: &&Binding| binding.from <= line && line <= binding.to;
        let types = self.named(file, name).map(|(_, binding)| binding).filter(fits).flat_map(|binding| &binding.types);
        types.map(|declared| self.declared(file, declared, hops + 1)).find(is_whole)
    }

    /// The bindings of a name in a file, in their order.
    pub(crate) fn named(&self, file: usize, name: &str) -> impl Iterator<Item = (usize, &'s Binding)> {
        let facts = self.files[file].facts;
        let found = self.bindings[file].get(name).map(Vec::as_slice).unwrap_or_default();
        found.iter().map(|at| (*at, &facts.bindings[*at]))
    }

    /// The binding that a name means at a line: of the narrowest scope around it, the last before it.
    pub(crate) fn binding_at(&self, file: usize, name: &str, line: u32) -> Option<usize> {
        let fits = |binding: &Binding| binding.from <= line && line <= binding.to;
        let rank = |binding: &Binding| {
            let width = binding.to.saturating_sub(binding.from);
            let is_said = binding.value.is_some() || !binding.types.is_empty();
            let is_return = binding.kind == BindingKind::Return;
            // `x = x.f()`: the name in it is the one before.
            let after = binding.line.cmp(&line) as i8 + 1;
            (is_return, width, after, !is_said, if after == 2 { binding.line } else { u32::MAX - binding.line })
        };
        self.named(file, name)
            .filter(|(_, binding)| fits(binding) && binding.kind != BindingKind::Type)
            .min_by_key(|(_, binding)| rank(binding))
            .map(|(at, _)| at)
    }

    /// What a binding stands for.
    pub(super) fn bound(&self, file: usize, at: usize, hops: u32) -> State {
        match &self.memo.borrow()[file][at] {
            Known::Not => {}
            // One that is being followed is not followed again.
            Known::Followed => return State::Unknown,
            Known::Is(state) => return State::clone(state),
        }
        self.memo.borrow_mut()[file][at] = Known::Followed;
        let binding = &self.files[file].facts.bindings[at];
        let mut state = match &binding.value {
            Some(value) => self.value(file, value, hops + 1),
            None => self.given_elsewhere(file, binding, hops),
        };
        if !is_whole(&state) && state != State::Local {
            let declared: Vec<State> = binding.types.iter().map(|name| self.declared(file, name, hops + 1)).collect();
            let object = declared.iter().find(|state| matches!(state, State::Object(_)));
            let is_of = |state: &&State| match state {
                State::Typed(..) | State::Local => true,
                // What another package declares is nothing of a vendor's.
                State::Foreign => declared.len() == 1 && binding.types[0].contains('.') && self.is_go(file),
                _ => false,
            };
            let is_open = state == State::Unknown;
            if let Some(of) = object.or_else(|| declared.iter().find(is_of).filter(|_| is_open)) {
                state = of.clone();
            }
        }
        if binding.kind == BindingKind::Return && state != State::Unknown {
            state = State::Returns(Box::new(state));
        }
        self.memo.borrow_mut()[file][at] = Known::Is(Rc::new(state.clone()));
        state
    }

    /// What a value stands for.
    pub(super) fn value(&self, file: usize, value: &Value, hops: u32) -> State {
        if hops >= HOPS {
            return State::Unknown;
        }
        match value {
            Value::Chain(chain) => Walker { repository: self, file, hops }.chain(chain, None),
            Value::List(values) if !values.is_empty() => {
                let states = values.iter().map(|value| self.value(file, value, hops + 1));
                states.into_iter().find(|state| matches!(state, State::Object(_))).unwrap_or(State::Foreign)
            }
            // Of clients by name any one.
            Value::Object(pairs) => {
                let mut states = pairs.iter().take(20).map(|(_, value)| self.value(file, value, hops + 1));
                states.find(is_whole).unwrap_or(State::Unknown)
            }
            Value::Text(_) | Value::Number(_) | Value::Flag(_) => State::Foreign,
            _ => State::Unknown,
        }
    }

    /// An object of the declared type.
    pub(super) fn declared(&self, file: usize, name: &str, hops: u32) -> State {
        let (first, rest) = name.split_once('.').unwrap_or((name, ""));
        let rules = Rules::of(self.files[file].language);
        let mut state = self.symbol(file, first, hops);
        if state == State::Unknown && self.files[file].language == Language::CSharp {
            state = qualified(rules, name).map_or(state, |sdks| State::Symbol { sdks, path: first.to_owned() });
        }
        if let State::Symbol { path, .. } = &mut state
            && !rest.is_empty()
        {
            extend(path, rest);
        }
        if let State::Symbol { sdks, path } = &state
            && let Some((sdk, part)) = sdks.iter().find_map(|sdk| Some((*sdk, rules.type_of(*sdk, path)?)))
        {
            let vendor = rules.maker(sdk, path).and_then(|maker| maker.vendor).unwrap_or(rules.sdks[sdk].vendor);
            let (path, confidence) = (part.path.to_owned(), rules.sdks[sdk].confidence());
            return State::Object(Object { path, confidence, ..Object::new(part.of, sdk, vendor) });
        }
        if let State::Symbol { sdks, path } = &state
            && sdks.iter().any(|sdk| rules.is_local(*sdk, path))
        {
            return State::Local;
        }
        let declares = match &state {
            State::File(other) if !rest.is_empty() => self.type_beside(*other, rest),
            State::Unknown if rest.is_empty() => self.type_beside(file, first),
            _ => None,
        };
        declares.map_or(state, |(file, at)| State::Typed(file, at))
    }

    /// What a name stands for that is not bound in the file.
    fn symbol(&self, file: usize, name: &str, hops: u32) -> State {
        if let Some(known) = self.symbols.borrow()[file].get(name) {
            return known.clone();
        }
        let state = self.symbol_anew(file, name, hops);
        // While a binding is followed, what leads back to it seems unknown.
        if hops == 0 || hops <= SURE && state != State::Unknown {
            self.symbols.borrow_mut()[file].insert(name.to_owned(), state.clone());
        }
        state
    }

    fn symbol_anew(&self, file: usize, name: &str, hops: u32) -> State {
        match self.imported_symbol(file, name, hops) {
            state @ (State::Unknown | State::Foreign) if self.files[file].language == Language::Php => {
                self.derived(file, name, hops + 1).unwrap_or(state)
            }
            state => state,
        }
    }

    /// What an import brings in, or something that needs none.
    fn imported_symbol(&self, file: usize, name: &str, hops: u32) -> State {
        let source = &self.files[file];
        let rules = Rules::of(source.language);
        if let Some(name) = name.strip_prefix('\\') {
            let sdks = if rules.is_root(name) { rules.of_module("") } else { Vec::new() };
            return if sdks.is_empty() { State::Foreign } else { State::Symbol { sdks, path: name.to_owned() } };
        }
        let mut best = State::Unknown;
        for import in source.facts.imports.iter().filter(|import| import.local == name) {
            match self.import(file, import, hops) {
                State::Unknown => {}
                state @ State::Foreign => best = state,
                state => return state,
            }
        }
        if let Some(object) = self.made_by_framework(file, name, hops) {
            return object;
        }
        // A class of PHP's repository that is imported is not the global one of that name.
        let is_imported =
            || source.language == Language::Php && source.facts.imports.iter().any(|import| import.local == name);
        if best != State::Unknown || is_imported() {
            return best;
        }
        let wildcards =
            source.facts.imports.iter().filter(|import| import.local == "*").map(|import| import.module.as_str());
        let global = self.global.iter().filter(|_| source.language == Language::CSharp).map(String::as_str);
        let knowing = |module: &str| -> Vec<usize> {
            self.libraries(file, module).into_iter().filter(|sdk| rules.knows(*sdk, name)).collect()
        };
        // Of namespaces that have the name the one that fewer libraries share.
        let known = wildcards.chain(global).map(knowing).filter(|sdks| !sdks.is_empty()).min_by_key(Vec::len);
        if let Some(sdks) = known {
            return State::Symbol { sdks, path: name.to_owned() };
        }
        let everywhere = rules.of_module("");
        let is_public = match source.language {
            // A class that is in a namespace is known under its own name alone only there.
            Language::Php => rules.is_root(name) || name.contains('_'),
            Language::Ruby => name.starts_with(char::is_uppercase) && !self.is_class_of_rails(name),
            _ => name.starts_with(char::is_uppercase),
        };
        if is_public && everywhere.iter().any(|sdk| rules.knows(*sdk, name)) {
            return State::Symbol { sdks: everywhere, path: name.to_owned() };
        }
        match source.language {
            // Files of a package see each other's names.
            Language::Go => self.beside(file, name, hops),
            Language::Rust => self.named_in_full(file, name),
            Language::Ruby if hops < HOPS => match self.inherited.get(name) {
                Some((other, at)) => self.import(*other, &self.files[*other].facts.imports[*at], hops + 1),
                None => self.seen_everywhere(name, hops),
            },
            _ => State::Unknown,
        }
    }

    fn beside(&self, file: usize, name: &str, hops: u32) -> State {
        let beside = self.packages.get(directory(self.files[file].path)).into_iter().flatten();
        for other in beside.copied().filter(|other| *other != file) {
            if let Some((at, _)) = self.named(other, name).find(|(_, binding)| binding.from == 1) {
                return self.bound(other, at, hops + 1);
            }
        }
        State::Unknown
    }

    /// What a module is that is asked for by its name alone.
    pub(super) fn module(&self, file: usize, module: &str, hops: u32) -> State {
        let import = Import { local: String::new(), module: module.to_owned(), symbol: String::new(), line: 0 };
        self.import(file, &import, hops)
    }

    pub(super) fn import(&self, file: usize, import: &Import, hops: u32) -> State {
        let language = self.files[file].language;
        let rules = Rules::of(language);
        let mut module = import.module.clone();
        let is_open = |name: &str| rules.is_root(name) || name.contains('_');
        if language == Language::Php && module.is_empty() && !is_open(&import.symbol) {
            return State::Foreign;
        }
        let mut sdks = self.libraries(file, &module);
        if sdks.is_empty() && !import.symbol.is_empty() && language != Language::JavaScript {
            // `from google import genai`, `use rig::providers::openai`
            let separator = if language == Language::Go { "/" } else { "." };
            module = format!("{module}{separator}{}", import.symbol);
            sdks = self.libraries(file, &module);
            if !sdks.is_empty() {
                return State::Symbol { sdks, path: String::new() };
            }
        }
        if !sdks.is_empty() {
            return State::Symbol { path: self.path_in(&sdks, &module, import, language), sdks };
        }
        if language == Language::Go {
            return self.package(&import.module).map_or(State::Foreign, State::File);
        }
        if language == Language::Ruby {
            // A class of the repository that inherits from one of the repository.
            let above = import.symbol.rsplit('.').next().filter(|above| *above != import.local && hops < HOPS);
            return above.map_or(State::Unknown, |above| self.symbol(file, above, hops + 1));
        }
        let found = self.in_repository(file, import, hops);
        if found != State::Unknown {
            return found;
        }
        let is_relative =
            import.module.starts_with(['.', '@', '~', '/']) && language.is_script() || import.module.starts_with('.');
        let is_own = matches!(import.module.split('.').next(), Some("crate" | "super" | "self"));
        let is_class = self.is_class_of_python(language, import) || self.is_class_of_php(language, import);
        if is_own && language == Language::Rust {
            return self.in_crate(file, import, hops + 1);
        }
        if is_relative || is_own || is_class { State::Unknown } else { State::Foreign }
    }

    /// What of the library is imported: in Go and PHP a package's own name says what a symbol of it is.
    fn path_in(&self, sdks: &[usize], module: &str, import: &Import, language: Language) -> String {
        let mut path = String::new();
        if matches!(language, Language::Go | Language::Php) {
            let rules = Rules::of(language);
            let rest = sdks.iter().find_map(|sdk| rules.sdks[*sdk].rest_of(module)).unwrap_or_default();
            path = rest.replace('/', ".");
        }
        if !import.symbol.is_empty() {
            extend(&mut path, &import.symbol);
        }
        path
    }

    /// What is imported from another file of the repository.
    fn in_repository(&self, file: usize, import: &Import, hops: u32) -> State {
        if hops >= HOPS {
            return State::Unknown;
        }
        let language = self.files[file].language;
        if language.is_script() && matches!(import.module.as_str(), "." | "./" | ".." | "../") {
            return self.in_directory(file, import, hops);
        }
        let module = import.module.trim_start_matches(['.', '/', '~', '@']).replace('.', "/");
        let module = if language.is_script() {
            strip_ending(import.module.trim_start_matches(['.', '/', '~', '@'])).to_owned()
        } else {
            module
        };
        for other in self.files_of(&module, language) {
            if other == file {
                continue;
            }
            if import.symbol.is_empty() {
                return State::File(other);
            }
            let state = self.exported(other, &import.symbol, hops + 1);
            if state != State::Unknown {
                return state;
            }
        }
        // `from package import module`
        let below = format!("{module}/{}", import.symbol);
        match self.files_of(below.trim_start_matches('/'), language).into_iter().find(|other| *other != file) {
            Some(other) if language == Language::Python => State::File(other),
            _ => State::Unknown,
        }
    }

    /// `from "."`: what the file that stands for the directory exports.
    fn in_directory(&self, file: usize, import: &Import, hops: u32) -> State {
        match self.of_directory(file, &import.module) {
            Some(other) if import.symbol.is_empty() => State::File(other),
            Some(other) => self.exported(other, &import.symbol, hops + 1),
            None => State::Unknown,
        }
    }

    /// The file that stands for the directory of a file, or for the one above.
    fn of_directory(&self, file: usize, module: &str) -> Option<usize> {
        let own = directory(self.files[file].path);
        let wanted = if module.starts_with("..") { directory(own) } else { own };
        let in_it = |other: &usize| directory(self.files[*other].path) == wanted && *other != file;
        self.folders.get(last_part(wanted))?.iter().copied().find(in_it)
    }

    pub(super) fn files_of(&self, module: &str, language: Language) -> Vec<usize> {
        if module.is_empty() {
            return Vec::new();
        }
        let last = last_part(module);
        let is_rust = language == Language::Rust;
        let of_language = |idx: &usize| self.files[*idx].language.title() == language.title();
        // In Rust modules are not what files are called.
        let fits = |path: &str| {
            let is_end = path.strip_suffix(module).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'));
            is_end || is_rust && stem(path) == last
        };
        let named = self.stems.get(last).into_iter().flatten().copied();
        let mut found: Vec<usize> =
            named.filter(|idx| of_language(idx) && fits(strip_ending(self.files[*idx].path))).collect();
        for name in FOLDERS {
            let folders = self.folders.get(last).into_iter().flatten().copied();
            found.extend(folders.filter(|idx| {
                let path = self.files[*idx].path;
                stem(path) == name && of_language(idx) && fits(directory(path))
            }));
        }
        found
    }

    /// What a file exports under a name.
    pub(super) fn exported(&self, file: usize, name: &str, hops: u32) -> State {
        if self.is_go(file) {
            return self.exported_by_package(file, name, hops);
        }
        let facts = &self.files[file].facts;
        let at = self.named(file, name).find(|(_, binding)| {
            (binding.from == 1 || binding.kind == BindingKind::Return) && binding.kind != BindingKind::Parameter
        });
        if let Some((at, _)) = at {
            return self.bound(file, at, hops);
        }
        match facts.imports.iter().find(|import| import.local == name) {
            Some(import) if hops < HOPS => self.import(file, import, hops + 1),
            _ => State::Unknown,
        }
    }

    /// Where a name is bound that is used at a line: in the file, or in a file of the repository that it is imported from.
    pub(crate) fn defined(&self, file: usize, name: &str, line: u32) -> Option<(usize, usize)> {
        let own = self.binding_at(file, name, line).or_else(|| self.named(file, name).map(|(at, _)| at).next());
        if let Some(at) = own {
            return Some((file, at));
        }
        let source = &self.files[file];
        let import = source.facts.imports.iter().find(|import| import.local == name && !import.symbol.is_empty())?;
        let module = import.module.trim_start_matches(['.', '/', '~', '@']);
        let module =
            if source.language.is_script() { strip_ending(module).to_owned() } else { module.replace('.', "/") };
        let is_directory = source.language.is_script() && module.is_empty();
        let of_directory = if is_directory { self.of_directory(file, &import.module) } else { None };
        let mut files: Vec<usize> = self.files_of(&module, source.language).into_iter().chain(of_directory).collect();
        // Of several the nearest: one repository may have many applications.
        let shared = |other: &str| source.path.bytes().zip(other.bytes()).take_while(|(own, one)| own == one).count();
        files.sort_by_key(|other| std::cmp::Reverse(shared(self.files[*other].path)));
        let files = files.into_iter();
        files.filter(|other| *other != file).find_map(|other| {
            let at = self.named(other, &import.symbol).find(|(_, binding)| binding.from == 1)?.0;
            Some((other, at))
        })
    }

    /// What a member is called that way: of the file's own classes, else of files beside it, else anywhere, if all agree.
    pub(super) fn member(&self, file: usize, name: &str, is_own: bool, hops: u32) -> State {
        let Some(candidates) = self.members.get(name) else { return State::Unknown };
        if is_own && !candidates.iter().any(|(idx, _)| *idx == file) {
            let inherited = self.inherited(file, name, None, hops + 1);
            let inherited = if is_known(&inherited) { inherited } else { self.of_heirs(file, name, hops + 1) };
            if is_known(&inherited) {
                return inherited;
            }
        }
        if hops >= HOPS {
            return State::Unknown;
        }
        let (place, group) = self.places[file];
        let (mut n_here, mut n_beside) = (0, 0);
        for (idx, _) in candidates {
            n_here += usize::from(*idx == file);
            n_beside += usize::from(self.places[*idx].0 == place);
        }
        let level = if n_here > 0 && is_own {
            0
        } else if n_beside > 0 {
            1
        } else {
            2
        };
        // Of many that are called alike nobody says which it is, but in the file itself.
        let alike = if level == 0 { n_here } else { candidates.len() };
        if alike > 60 {
            return State::Unknown;
        }
        let chosen = candidates.iter().filter(|(idx, _)| match level {
            0 => *idx == file,
            1 => self.places[*idx].0 == place,
            _ => self.places[*idx].1 == group,
        });
        let mut object: Option<State> = None;
        // What is put into a member says more than what it is declared as.
        let mut is_made = false;
        for (idx, at) in chosen {
            let binding = &self.files[*idx].facts.bindings[*at];
            match self.bound(*idx, *at, hops + 1) {
                state @ (State::Object(_) | State::Returns(_)) => {
                    if level > 0 && object.as_ref().is_some_and(|other| type_of(other) != type_of(&state)) {
                        return State::Unknown;
                    }
                    let is_more =
                        type_of(&state).is_some() && object.as_ref().is_some_and(|own| type_of(own).is_none());
                    if object.is_none() || is_more || !is_made && binding.value.is_some() {
                        (object, is_made) = (Some(state), binding.value.is_some());
                    }
                }
                _ if level > 0 && (binding.value.is_some() || !binding.types.is_empty()) => return State::Unknown,
                _ => {}
            }
        }
        let mut state = object.unwrap_or(State::Unknown);
        if level > 0 {
            mark_guess(&mut state);
        }
        state
    }
}

/// Whether it is an object, or a function that returns one.
pub(super) fn is_known(state: &State) -> bool {
    matches!(state, State::Object(_) | State::Returns(_))
}

/// Whether it is an object of which nothing is left open.
fn is_whole(state: &State) -> bool {
    matches!(state, State::Object(object) if object.path.is_empty())
}

fn mark_guess(state: &mut State) {
    match state {
        State::Object(object) => object.is_guess = true,
        State::Returns(inner) => mark_guess(inner),
        _ => {}
    }
}

fn type_of(state: &State) -> Option<&'static str> {
    match state {
        State::Object(object) => Some(object.of),
        State::Returns(inner) => type_of(inner),
        _ => None,
    }
}

/// The libraries that a name written with its whole namespace is of.
pub(super) fn qualified(rules: &Rules, dotted: &str) -> Option<Vec<usize>> {
    let (module, _) = dotted.rsplit_once('.')?;
    let mut sdks: Vec<usize> = rules.of_module(module);
    // A vendor's name before a dot may be a class's.
    sdks.retain(|sdk| !rules.sdks[*sdk].is_named);
    (!sdks.is_empty()).then_some(sdks)
}

/// Adds to a dotted path.
pub(super) fn extend(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(name);
}

pub(super) fn directory(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

pub(super) fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.split('.').next().unwrap_or(name)
}

/// Names of files that stand for their directory.
pub(super) const FOLDERS: [&str; 3] = ["index", "__init__", "mod"];

pub(super) fn last_part(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn strip_ending(path: &str) -> &str {
    let endings = [".ts", ".tsx", ".js", ".jsx", ".mjs", ".cjs", ".py", ".rs", ".go", ".vue", ".svelte"];
    endings.iter().find_map(|ending| path.strip_suffix(ending)).unwrap_or(path)
}
