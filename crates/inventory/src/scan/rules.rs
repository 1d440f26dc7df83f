//! The tables of what is looked for: `rules/*.rules`, one per group of languages, in a small format of lines.
//!
//! | line | says |
//! |---|---|
//! | `makers SUFFIX…` | what follows a class's name where an object of it is made, besides nothing; one may end in `*`; in one that begins with `.&`, this is the class's name again |
//! | `sdk NAME VENDOR PACKAGE…` | a library, whose service it calls, its names in manifests; the lines below are its own |
//! | `of VENDOR PACKAGE…` | packages that bring the models of a vendor to a framework |
//! | `from MODULE…` | modules it is imported from, and all below them; `.` where names need no import |
//! | `named` | stands for libraries that no other line knows, by a word in the name of what is imported: `*WORD*`; `**WORD*` anywhere in a module's whole name |
//! | `general` | its packages serve other things too: that a manifest names one says nothing by itself |
//! | `installed` | counts only where a manifest names one of its packages: its modules serve other libraries too |
//! | `is TYPE` | the module itself can be used like an object of the type |
//! | `new SYMBOL… : TYPE OPERATION [adapter] [vendor=V] [only=TEXT] [by=NAME] [given=NAME]` | makes an object; with `only`, where a text given to it has TEXT in it; `only=()`: where nothing is given; with `by`, where a text is given first or under the name; with `given`, where something is given under it |
//! | `new SYMBOL… : TYPE -` | makes an object of settings, or of what is set up elsewhere: no place by itself |
//! | `gives SYMBOL… : TYPE [vendor=V]` | makes an object that calls a service later: of what is given to it, else the library's |
//! | `as SYMBOL… : TYPE [PATH]` | a declared type; with a path, a part of an object of the type |
//! | `object SYMBOL… : TYPE` | a symbol that is an object |
//! | `local SYMBOL…` | makes an object that calls no vendor |
//! | `fn SYMBOL… : OPERATION [TYPE]` | a function that calls the service, and what it returns; with `-` it only returns |
//! | `wraps TYPE [BUILDER]` | whatever else of the module is given a model, a chain or a client returns the type, and a builder the other |
//! | `on TYPE [fluent]` | methods of objects of the type follow; of a fluent one every other method returns itself |
//! | `call PATH… : OPERATION [TYPE] [near] [unless=TYPE]` | calls the service; with `near`, where a client or a model is made beside it; unless it is given an object of the other type |
//! | `loose TYPE` | classes of the library that are called like a client make an object of the type, and functions and methods do what the words in their names say |
//! | `word WORD… : OPERATION` | what a name says that has one of the words in it, of everything loose in the language; the first line that fits |
//! | `pass PATH… : TYPE` | returns an object of another type |
//! | `make PATH… : TYPE OPERATION [adapter] [vendor=V]` | makes an object |
//!
//! The path `@` is a call of the object itself, `@@` any method. A JavaScript module and its default export are the symbol `*`.
//! A path with `!` is so much the library's own that an unknown object's counts in a repository that uses the library; with
//! `?`, in a file that does. With `(NAME)` after it only where something is given under that name: `!chat(parameters)`; with `(*)`
//! only where something is given.

mod words;

use std::collections::HashMap;
use std::sync::OnceLock;

use super::facts::{Call, Value};
use super::finding::Confidence;
use super::language::Language;
use super::link::quick::{Map, Set};
use super::lower::SERVICE;

/// A library.
#[derive(Debug, Default)]
pub(super) struct Sdk {
    pub(super) name: &'static str,
    pub(super) vendor: &'static str,
    pub(super) packages: Vec<&'static str>,
    /// Of those the ones that bring a vendor's models to a framework, and whose.
    brings: Vec<(&'static str, &'static str)>,
    pub(super) is_general: bool,
    /// Whether it stands for whatever library has a word in its name.
    pub(super) is_named: bool,
    /// Whether it is only known by a manifest that names one of its packages: its modules serve others too.
    pub(super) is_installed: bool,
    modules: Vec<&'static str>,
    pub(super) acts_as: Option<&'static str>,
    pub(super) wraps: Option<&'static str>,
    pub(super) builds: Option<&'static str>,
    makers: HashMap<&'static str, Maker>,
    /// What is made where no maker fits, and calls a service later.
    silent: HashMap<&'static str, Maker>,
    types: HashMap<&'static str, Part>,
    objects: HashMap<&'static str, &'static str>,
    functions: HashMap<&'static str, Method>,
    locals: Vec<&'static str>,
    /// What is made by classes that are called like a client.
    pub(super) loose: Option<&'static str>,
    /// What [`Sdk::beginnings`] found.
    known: OnceLock<Set<&'static str>>,
}

/// A declared type: of which type of the rules, or which part of an object of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) of: &'static str,
    pub(super) path: &'static str,
}

/// What makes an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Maker {
    pub(super) makes: &'static str,
    pub(super) operation: &'static str,
    pub(super) is_adapter: bool,
    pub(super) vendor: Option<&'static str>,
    /// What has to be in a text given to it.
    pub(super) only: Option<&'static str>,
    /// What a text has to be given as.
    pub(super) by: Option<&'static str>,
    /// What something has to be given as.
    pub(super) given: Option<&'static str>,
}

/// What a method does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Method {
    /// The operation; none where it only passes on.
    pub(super) operation: Option<&'static str>,
    /// What it returns.
    pub(super) returns: Option<&'static str>,
    /// Whether it makes an object rather than calls the service.
    pub(super) is_maker: bool,
    /// Whether what it makes is a framework's.
    pub(super) is_adapter: bool,
    /// Whose service, where it is another than the library's.
    pub(super) vendor: Option<&'static str>,
    /// The type of what must not be given to it.
    pub(super) unless: Option<&'static str>,
    /// Whether it calls a service only where a client or a model is made beside it.
    pub(super) is_near: bool,
}

/// How much a method's name says by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Distinct {
    /// In a file that imports the library.
    InFile,
    /// In a repository that uses the library.
    InRepository,
}

/// A method that is known by its name.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) of: &'static str,
    pub(super) path: &'static str,
    pub(super) distinct: Distinct,
    pub(super) method: Method,
    /// What has to be given by name.
    given: Option<&'static str>,
}

impl Own {
    /// Whether what is given fits.
    pub(super) fn fits(&self, call: &Call) -> bool {
        self.given.is_none_or(|name| {
            if name == "*" {
                return call.arguments.iter().any(|argument| argument.name.as_deref() != Some(SERVICE));
            }
            call.arguments.iter().any(|argument| match &argument.value {
                _ if argument.name.as_deref() == Some(name) => true,
                Value::Object(pairs) => pairs.iter().any(|(key, _)| key == name),
                _ => false,
            })
        })
    }
}

/// All rules for a language.
#[derive(Debug, Default)]
pub(super) struct Rules {
    suffixes: Vec<&'static str>,
    pub(super) sdks: Vec<Sdk>,
    methods: HashMap<&'static str, HashMap<&'static str, Method>>,
    fluent: Vec<&'static str>,
    /// Types whose methods do what the words in their names say, and those words.
    pub(super) loose: Vec<&'static str>,
    pub(super) said: Vec<(&'static str, &'static str)>,
    /// Methods known by their name, by the last part of their path.
    own: HashMap<&'static str, Vec<Own>>,
    /// Libraries by the modules they are imported from; those whose name only begins so apart.
    modules: Map<&'static str, Vec<usize>>,
    starts: Vec<(&'static str, usize)>,
    /// Libraries by a word in the name of what is imported.
    words: Vec<(&'static str, usize)>,
}

impl Rules {
    /// Of a language.
    pub(super) fn of(language: Language) -> &'static Rules {
        static TABLES: OnceLock<Vec<Rules>> = OnceLock::new();
        let tables = TABLES.get_or_init(|| TEXTS.iter().map(|text| Rules::read(text).0).collect());
        let idx = match language {
            Language::Python => 0,
            Language::JavaScript | Language::TypeScript | Language::Tsx => 1,
            Language::Go => 2,
            Language::Java | Language::Kotlin => 3,
            Language::CSharp => 4,
            Language::Rust => 5,
            Language::Ruby => 6,
            Language::Php => 7,
        };
        &tables[idx]
    }

    /// Whether both languages have the same table.
    pub(super) fn is_table_of(one: Language, other: Language) -> bool {
        std::ptr::eq(Rules::of(one), Rules::of(other))
    }

    /// Modules of libraries that serve nothing but models.
    pub(super) fn modules_of_models(&self) -> impl Iterator<Item = &'static str> {
        let sdks = self.sdks.iter().filter(|sdk| !sdk.is_general);
        sdks.flat_map(|sdk| sdk.modules.iter().copied()).filter(|module| *module != ".")
    }

    fn all() -> impl Iterator<Item = &'static Sdk> {
        Language::TABLES.into_iter().flat_map(|language| Rules::of(language).sdks.iter())
    }

    /// Every vendor that the rules name.
    pub(super) fn vendors() -> Vec<&'static str> {
        let of_sdks = Rules::all()
            .flat_map(|sdk| std::iter::once(sdk.vendor).chain(sdk.makers.values().filter_map(|maker| maker.vendor)));
        let of_sdks = of_sdks.chain(Rules::all().flat_map(|sdk| sdk.brings.iter().map(|(_, vendor)| *vendor)));
        let methods = Language::TABLES.into_iter().flat_map(|language| Rules::of(language).methods.values());
        of_sdks.chain(methods.flat_map(|methods| methods.values().filter_map(|method| method.vendor))).collect()
    }

    /// The library and the vendor of a package of a manifest.
    pub(super) fn of_package(package: &str) -> (&'static str, &'static str) {
        Rules::all().find(|sdk| sdk.packages.contains(&package)).map_or(("", "-"), |sdk| {
            let brought = sdk.brings.iter().find(|(own, _)| *own == package);
            (sdk.name, brought.map_or(sdk.vendor, |(_, vendor)| vendor))
        })
    }

    /// Whether the library is nobody's by itself.
    pub(super) fn is_framework(name: &str) -> bool {
        Rules::all().any(|sdk| sdk.name == name && sdk.vendor == "-")
    }

    /// Whether the package brings a vendor's models to a framework.
    pub(super) fn brings(package: &str) -> bool {
        Rules::all().any(|sdk| sdk.brings.iter().any(|(own, _)| *own == package))
    }

    /// Whether the library's packages serve other things too.
    pub(super) fn is_general(name: &str) -> bool {
        Rules::all().any(|sdk| sdk.name == name && sdk.is_general)
    }

    /// The packages under which a library is installed.
    pub(super) fn packages_of_sdk(name: &str) -> Vec<&'static str> {
        Rules::all().filter(|sdk| sdk.name == name).flat_map(|sdk| sdk.packages.iter().copied()).collect()
    }

    /// The rules, and lines that are none.
    fn read(text: &'static str) -> (Rules, Vec<&'static str>) {
        let mut rules = Rules::default();
        let mut wrong = Vec::new();
        let mut on = "";
        for line in text.lines() {
            let content = line.split(" #").next().unwrap_or(line).trim();
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            if rules.line(content, &mut on).is_none() {
                wrong.push(line);
            }
        }
        for (idx, sdk) in rules.sdks.iter().enumerate() {
            for module in &sdk.modules {
                match module.strip_suffix('*') {
                    Some(start) if sdk.is_named => rules.words.push((start, idx)),
                    Some(start) => rules.starts.push((start, idx)),
                    None if *module == "." => rules.modules.entry("").or_default().push(idx),
                    None => rules.modules.entry(module).or_default().push(idx),
                }
            }
        }
        (rules, wrong)
    }

    fn line(&mut self, line: &'static str, on: &mut &'static str) -> Option<()> {
        let (head, tail) = line.split_once(" : ").unwrap_or((line, ""));
        let mut words = head.split_whitespace();
        let verb = words.next()?;
        let names: Vec<&'static str> = words.collect();
        let says: Vec<&'static str> = tail.split_whitespace().collect();
        match verb {
            "makers" => self.suffixes.extend(names),
            "sdk" => {
                let packages = names.get(2..)?.to_vec();
                self.sdks.push(Sdk { name: names.first()?, vendor: names.get(1)?, packages, ..Sdk::default() });
            }
            "on" => {
                *on = names.first()?;
                if names.get(1) == Some(&"fluent") {
                    self.fluent.push(on);
                }
            }
            "word" => self.said.extend(names.iter().map(|word| (*word, says[0]))),
            "loose" => {
                let of = *names.first()?;
                self.loose.push(of);
                self.sdks.last_mut()?.loose = Some(of);
            }
            "call" | "pass" | "make" => self.method(verb, on, &names, &says)?,
            _ => Rules::of_sdk(self.sdks.last_mut()?, verb, &names, &says)?,
        }
        Some(())
    }

    fn method(&mut self, verb: &str, on: &'static str, names: &[&'static str], says: &[&'static str]) -> Option<()> {
        let first = *says.first()?;
        let vendor = says.iter().find_map(|word| word.strip_prefix("vendor="));
        let (is_adapter, is_near) = (says.contains(&"adapter"), says.contains(&"near"));
        let (operation, returns) = match verb {
            "pass" => (None, Some(first)),
            "make" => (Some(*says.get(1)?), Some(first)),
            _ => (Some(first), says.get(1).copied().filter(|word| *word != "near")),
        };
        let unless = says.iter().find_map(|word| word.strip_prefix("unless="));
        let returns = returns.filter(|word| !word.contains('='));
        let method = Method { operation, returns, is_maker: verb == "make", is_adapter, vendor, unless, is_near };
        for name in names {
            let path = name.trim_start_matches(['!', '?']);
            let (path, given) = match path.split_once('(') {
                Some((path, given)) => (path, Some(given.trim_end_matches(')'))),
                None => (path, None),
            };
            let distinct = match name.as_bytes().first() {
                Some(b'!') => Some(Distinct::InRepository),
                Some(b'?') => Some(Distinct::InFile),
                _ => None,
            };
            if let Some(distinct) = distinct {
                let last = path.rsplit('.').next()?;
                self.own.entry(last).or_default().push(Own { of: on, path, distinct, method, given });
            }
            self.methods.entry(on).or_default().insert(path, method);
        }
        Some(())
    }

    fn of_sdk(sdk: &mut Sdk, verb: &str, names: &[&'static str], says: &[&'static str]) -> Option<()> {
        match verb {
            "from" => sdk.modules.extend(names),
            "of" => {
                let (vendor, packages) = names.split_first()?;
                sdk.brings.extend(packages.iter().map(|package| (*package, *vendor)));
                sdk.packages.extend(packages);
            }
            "local" => sdk.locals.extend(names),
            "general" => sdk.is_general = true,
            "named" => sdk.is_named = true,
            "installed" => sdk.is_installed = true,
            "is" => sdk.acts_as = Some(names.first()?),
            "wraps" => (sdk.wraps, sdk.builds) = (Some(*names.first()?), names.get(1).copied()),
            "new" | "gives" => {
                let is_silent = verb == "gives";
                let after = |start: &str| says.iter().find_map(|word| word.strip_prefix(start));
                let maker = Maker {
                    makes: says.first()?,
                    operation: if is_silent { "client" } else { says.get(1)? },
                    is_adapter: says.contains(&"adapter"),
                    vendor: after("vendor="),
                    only: after("only="),
                    by: after("by="),
                    given: after("given="),
                };
                let makers = if is_silent { &mut sdk.silent } else { &mut sdk.makers };
                makers.extend(names.iter().map(|name| (*name, maker)));
            }
            "as" => {
                let part = Part { of: says.first()?, path: says.get(1).copied().unwrap_or_default() };
                sdk.types.extend(names.iter().map(|name| (*name, part)));
            }
            "object" => sdk.objects.extend(names.iter().map(|name| (*name, says[0]))),
            "fn" => {
                let (operation, returns) = (Some(*says.first()?).filter(|word| *word != "-"), says.get(1).copied());
                let (is_maker, is_adapter, is_near) = (false, false, false);
                let method = Method { operation, returns, is_maker, is_adapter, vendor: None, unless: None, is_near };
                sdk.functions.extend(names.iter().map(|name| (*name, method)));
            }
            _ => return None,
        }
        Some(())
    }

    /// Libraries that the module is of, in the order of the table; where the table has none, those whose word its name has.
    pub(super) fn of_module(&self, module: &str) -> Vec<usize> {
        let ends = module.char_indices().filter(|(_, character)| matches!(character, '.' | '/')).map(|(at, _)| at);
        let parts = ends.filter(|at| *at > 0).chain([module.len()]).map(|end| &module[..end]);
        let mut found: Vec<usize> = parts.filter_map(|part| self.modules.get(part)).flatten().copied().collect();
        found.extend(self.starts.iter().filter(|(start, _)| module.starts_with(start)).map(|(_, idx)| *idx));
        if found.is_empty() && !self.words.is_empty() {
            let package = if module.contains('/') { module } else { module.split('.').next().unwrap_or(module) };
            let (package, whole) = (package.to_lowercase(), module.to_lowercase());
            let has = |word: &str| match (word.strip_prefix("**"), word.strip_prefix('*')) {
                (Some(word), _) => whole.contains(word),
                (None, Some(word)) => package.contains(word),
                (None, None) => package.starts_with(word),
            };
            found.extend(self.words.iter().filter(|(word, _)| has(word)).map(|(_, idx)| *idx));
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Whether a module is called so that names of libraries are in.
    pub(super) fn is_root(&self, name: &str) -> bool {
        self.modules.contains_key(name)
    }

    /// What makes an object under the dotted path.
    pub(super) fn maker(&self, sdk: usize, path: &str) -> Option<Maker> {
        let sdk = self.sdks.get(sdk)?;
        ends(path, |end| sdk.makers.get(end).copied()).or_else(|| {
            let stem = self.stem(path)?;
            ends(stem, |end| sdk.makers.get(end).copied()).or_else(|| words::made_loosely(sdk.loose?, stem))
        })
    }

    /// The path without the function that makes an object of what comes before it.
    fn stem<'p>(&self, path: &'p str) -> Option<&'p str> {
        self.suffixes.iter().find_map(|suffix| match (suffix.strip_suffix('*'), suffix.strip_prefix(".&")) {
            (Some(start), _) => {
                let (stem, last) = path.rsplit_once('.')?;
                last.starts_with(start.trim_start_matches('.')).then_some(stem)
            }
            (None, Some(end)) => {
                let (stem, last) = path.rsplit_once('.')?;
                let class = stem.rsplit('.').next()?;
                (last.strip_suffix(end)? == class).then_some(stem)
            }
            (None, None) => path.strip_suffix(suffix),
        })
    }

    /// What makes an object under the dotted path that calls a service later.
    pub(super) fn silent(&self, sdk: usize, path: &str) -> Option<Maker> {
        let sdk = self.sdks.get(sdk)?;
        ends(path, |end| sdk.silent.get(end).copied())
    }

    /// Whether what the dotted path makes calls no vendor.
    pub(super) fn is_local(&self, sdk: usize, path: &str) -> bool {
        let Some(sdk) = self.sdks.get(sdk).filter(|sdk| !sdk.locals.is_empty()) else { return false };
        let stem = self.stem(path).unwrap_or(path);
        let last = stem.rsplit('.').next().unwrap_or(stem);
        sdk.locals.iter().any(|local| *local == last || *local == stem)
    }

    /// The function under the dotted path.
    pub(super) fn function(&self, sdk: usize, path: &str) -> Option<Method> {
        let sdk = self.sdks.get(sdk)?;
        ends(path, |end| sdk.functions.get(end).copied())
    }

    /// The object that the symbol is.
    pub(super) fn object(&self, sdk: usize, path: &str) -> Option<&'static str> {
        let sdk = self.sdks.get(sdk)?;
        ends(path, |end| sdk.objects.get(end).copied())
    }

    /// The type of things that are declared as this.
    pub(super) fn type_of(&self, sdk: usize, path: &str) -> Option<Part> {
        let table = self.sdks.get(sdk)?;
        let made = |end: &str| {
            let maker = table.makers.get(end).or_else(|| table.silent.get(end));
            maker.map(|maker| Part { of: maker.makes, path: "" })
        };
        let loosely = || words::made_loosely(table.loose?, path).map(|maker| Part { of: maker.makes, path: "" });
        ends(path, |end| table.types.get(end).copied().or_else(|| made(end))).or_else(loosely)
    }

    /// The method of a type.
    pub(super) fn of_type(&self, of: &str, path: &str) -> Option<Method> {
        let methods = self.methods.get(of)?;
        let whole = if path.is_empty() { "@" } else { path };
        methods.get(whole).or_else(|| methods.get("@@").filter(|_| !path.is_empty())).copied()
    }

    /// Whether the path is a method of the type because every method is one.
    pub(super) fn is_open(&self, of: &str, path: &str) -> bool {
        self.methods.get(of).is_some_and(|methods| methods.contains_key("@@") && !methods.contains_key(path))
    }

    /// Whether a longer path of the type begins with the path, or one that needs something given ends there.
    pub(super) fn is_prefix(&self, of: &str, path: &str) -> bool {
        let longer = |other: &&str| other.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
        let needs = |own: &&Own| own.of == of && own.path == path && own.given.is_some();
        self.methods.get(of).is_some_and(|methods| methods.keys().any(longer))
            || self
                .own
                .get(path.rsplit('.').next().unwrap_or(path))
                .is_some_and(|all| all.iter().any(|own| needs(&own)))
    }

    /// Whether methods that are not named return the object itself.
    pub(super) fn is_fluent(&self, of: &str) -> bool {
        self.fluent.contains(&of)
    }

    /// Methods known by their name that the dotted path ends in, whose last part is given, the longest first.
    pub(super) fn own(&self, last: &str, path: impl Fn() -> String) -> Vec<&Own> {
        let Some(all) = self.own.get(last.rsplit('.').next().unwrap_or(last)) else { return Vec::new() };
        let path = path();
        let mut found: Vec<&Own> = all.iter().filter(|own| ends_in(&path, own.path)).collect();
        found.sort_by_key(|own| std::cmp::Reverse(own.path.len()));
        found
    }

    /// The libraries that make objects of a type.
    pub(super) fn makers_of<'r>(&'r self, of: &'r str) -> impl Iterator<Item = usize> + use<'r> {
        let makes = move |sdk: &Sdk| {
            sdk.acts_as == Some(of)
                || sdk.wraps == Some(of)
                || sdk.builds == Some(of)
                || sdk.makers.values().chain(sdk.silent.values()).any(|maker| maker.makes == of)
                || sdk.types.values().any(|part| part.of == of)
                || sdk.objects.values().any(|name| *name == of)
        };
        self.sdks.iter().enumerate().filter(move |(_, sdk)| makes(sdk)).map(|(idx, _)| idx)
    }

    /// Classes of a library, by their simple names.
    pub(super) fn classes_of(&self, sdk: usize) -> impl Iterator<Item = &'static str> {
        let tables = self.sdks.get(sdk).map(|sdk| sdk.makers.keys().chain(sdk.types.keys()));
        tables.into_iter().flatten().copied().filter(|name| !name.contains('.'))
    }

    /// Whether a library knows the simple name as a class or an object.
    pub(super) fn knows(&self, sdk: usize, name: &str) -> bool {
        self.sdks.get(sdk).is_some_and(|sdk| sdk.known.get_or_init(|| sdk.beginnings()).contains(name))
    }
}

impl Sdk {
    /// Every name under which the library has something, and what stands before a dot in one.
    fn beginnings(&self) -> Set<&'static str> {
        let tables = (self.makers.keys()).chain(self.silent.keys()).chain(self.types.keys());
        let names = tables.chain(self.objects.keys()).chain(self.functions.keys()).chain(self.locals.iter()).copied();
        names.flat_map(|name| name.match_indices('.').map(move |(at, _)| &name[..at]).chain([name])).collect()
    }

    /// How sure it is that something imported from it calls the vendor.
    pub(super) fn confidence(&self) -> Confidence {
        if self.is_named { Confidence::Likely } else { Confidence::Certain }
    }

    /// What follows the library's own part of the module's name.
    pub(super) fn rest_of<'m>(&self, module: &'m str) -> Option<&'m str> {
        let rests = self.modules.iter().filter_map(|own| module.strip_prefix(own.trim_end_matches('*')));
        rests.map(|rest| rest.trim_start_matches(['.', '/'])).min_by_key(|rest| rest.len())
    }
}

/// Tries the path, then what is left of it without its first part, and so on.
fn ends<T>(path: &str, found: impl Fn(&str) -> Option<T>) -> Option<T> {
    let mut rest = path;
    loop {
        if let Some(value) = found(rest) {
            return Some(value);
        }
        rest = rest.split_once('.')?.1;
    }
}

fn ends_in(path: &str, end: &str) -> bool {
    path.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// The operation of what is no place by itself.
pub(super) const NONE: &str = "-";

const TEXTS: [&str; 8] = [
    include_str!("rules/python.rules"),
    include_str!("rules/script.rules"),
    include_str!("rules/go.rules"),
    include_str!("rules/jvm.rules"),
    include_str!("rules/dotnet.rules"),
    include_str!("rules/rust.rules"),
    include_str!("rules/ruby.rules"),
    include_str!("rules/php.rules"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::finding::OPERATIONS;

    #[test]
    fn every_line_of_the_tables_is_a_rule_with_a_known_operation_and_a_type_that_something_makes() {
        for text in TEXTS {
            let (rules, wrong) = Rules::read(text);
            assert_eq!(wrong, Vec::<&str>::new());
            let operations = rules.sdks.iter().flat_map(|sdk| {
                sdk.makers
                    .values()
                    .map(|maker| maker.operation)
                    .chain(sdk.functions.values().filter_map(|of| of.operation))
            });
            let operations = operations.chain(
                rules.methods.values().flat_map(|methods| methods.values().filter_map(|method| method.operation)),
            );
            for operation in operations {
                assert!(OPERATIONS.contains(&operation) || operation == NONE, "{operation}");
            }
            let returned =
                rules.methods.values().flat_map(|methods| methods.values().filter_map(|method| method.returns));
            let returned: Vec<&str> = returned
                .chain(rules.sdks.iter().flat_map(|sdk| sdk.functions.values().filter_map(|method| method.returns)))
                .collect();
            for of in rules.methods.keys() {
                assert!(rules.makers_of(of).next().is_some() || returned.contains(of), "nothing makes a {of}");
            }
        }
    }
}
