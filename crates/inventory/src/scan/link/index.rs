//! What a repository's files are asked for: by name, by directory, by library. Made once, read by every thread.

use std::collections::HashSet;
use std::sync::OnceLock;

use super::quick::{Map, Set};
use super::repository::{FOLDERS, directory, last_part, stem};
use super::texts::{Constants, Uses};
use super::walk::required;
use crate::scan::facts::{BindingKind, Facts, Import, Value};
use crate::scan::language::Language;
use crate::scan::lower::imports::{GLOBAL, NAMESPACE};
use crate::scan::rules::Rules;
use crate::scan::told::Told;

/// A source file.
#[derive(Debug)]
pub(crate) struct SourceFile<'s> {
    /// From the directory that was named, with `/`.
    pub(crate) path: &'s str,
    /// Its language.
    pub(crate) language: Language,
    /// What it says.
    pub(crate) facts: &'s Facts,
}

/// All files of a repository, by what they are asked for.
#[derive(Debug)]
pub(crate) struct Index<'s> {
    pub(super) files: Vec<SourceFile<'s>>,
    /// Files by the last part of their path without its ending.
    pub(super) stems: Map<&'s str, Vec<usize>>,
    /// Files that stand for their directory, by the last part of its path.
    pub(super) folders: Map<&'s str, Vec<usize>>,
    /// Members of classes and what functions return, by name.
    pub(super) members: Map<&'s str, Vec<(usize, usize)>>,
    /// Classes by name: the file and the class.
    pub(super) classes: Map<&'s str, Vec<(usize, usize)>>,
    /// Types that are declared, by name.
    pub(super) types: Map<&'s str, Vec<(usize, usize)>>,
    /// Names of functions of the repository's own code, without its tests, by group of languages.
    pub(super) functions: Set<(&'static str, &'s str)>,
    /// Modules of Go: where they begin, and their names.
    pub(super) modules: Vec<(&'s str, &'s str)>,
    /// Of each file, its bindings by name, in their order.
    pub(super) bindings: Vec<Map<&'s str, Vec<usize>>>,
    /// Go files by their directory: they see each other's names.
    pub(super) packages: Map<&'s str, Vec<usize>>,
    /// Of each file, numbers of its directory and its group of languages.
    pub(super) places: Vec<(usize, usize)>,
    /// Libraries that each file imports.
    pub(super) imported: Vec<Set<usize>>,
    /// Libraries that the repository uses, by group of languages.
    pub(super) used: Map<&'static str, Set<usize>>,
    /// Libraries of Python that a manifest of the repository names.
    pub(super) installed: Set<usize>,
    /// The same of Java and Kotlin.
    pub(super) installed_jvm: Set<usize>,
    /// Classes of Ruby that inherit from something: the file and the import that says so.
    pub(super) inherited: Map<&'s str, (usize, usize)>,
    /// Constants of Ruby outside of classes, which every file sees.
    pub(super) seen: Map<&'s str, Vec<(usize, usize)>>,
    /// Namespaces that every C# file of the repository has without saying so.
    pub(super) global: Vec<String>,
    /// Libraries that are in those.
    pub(super) everywhere: Set<usize>,
    /// Addresses that configuration has.
    pub(super) told: Told,
    /// Constants with a text, by name; read when the first is asked for.
    pub(super) constants: OnceLock<Constants>,
    /// Names and where they are used; gathered when the first is asked for.
    pub(super) uses: OnceLock<Uses>,
    /// Calls of Ruby's functions; gathered when the first is asked for.
    pub(super) callers: OnceLock<super::callers::Callers>,
    /// Names of packages in manifests, as code writes them.
    pub(super) packages_named: Set<String>,
    /// Of each crate of the repository the library that it is like; found out when the first is asked for.
    pub(super) crates: OnceLock<Map<String, Option<usize>>>,
}

impl<'s> Index<'s> {
    /// Of files, the names of packages in the repository's manifests, its modules of Go, and what its projects of C# bring to
    /// every file.
    pub(crate) fn new(
        files: Vec<SourceFile<'s>>,
        named: &HashSet<&str>,
        modules: Vec<(&'s str, &'s str)>,
        usings: Vec<String>,
        told: Told,
    ) -> Index<'s> {
        let mut stems: Map<&str, Vec<usize>> = Map::default();
        let mut folders: Map<&str, Vec<usize>> = Map::default();
        let mut members: Map<&str, Vec<(usize, usize)>> = Map::default();
        let mut classes: Map<&str, Vec<(usize, usize)>> = Map::default();
        let mut types: Map<&str, Vec<(usize, usize)>> = Map::default();
        let mut bindings = Vec::with_capacity(files.len());
        let mut packages: Map<&str, Vec<usize>> = Map::default();
        let mut imported = Vec::new();
        let mut places = Vec::with_capacity(files.len());
        let (mut directories, mut groups): (Map<&str, usize>, Map<&str, usize>) = Default::default();
        let mut used: Map<&'static str, Set<usize>> = Map::default();
        let mut inherited = Map::default();
        for (idx, file) in files.iter().enumerate() {
            stems.entry(stem(file.path)).or_default().push(idx);
            let (n_directories, n_groups) = (directories.len(), groups.len());
            places.push((
                *directories.entry(directory(file.path)).or_insert(n_directories),
                *groups.entry(file.language.title()).or_insert(n_groups),
            ));
            if FOLDERS.contains(&stem(file.path)) {
                folders.entry(last_part(directory(file.path))).or_default().push(idx);
            }
            if file.language == Language::Go {
                packages.entry(directory(file.path)).or_default().push(idx);
            }
            let mut names: Map<&str, Vec<usize>> = Map::default();
            for (at, binding) in file.facts.bindings.iter().enumerate() {
                names.entry(&binding.target).or_default().push(at);
                match binding.kind {
                    BindingKind::Field | BindingKind::Return => {
                        members.entry(&binding.target).or_default().push((idx, at));
                    }
                    BindingKind::Type => types.entry(&binding.target).or_default().push((idx, at)),
                    BindingKind::Local | BindingKind::Parameter => {}
                }
            }
            bindings.push(names);
            for (at, class) in file.facts.classes.iter().enumerate() {
                classes.entry(&class.name).or_default().push((idx, at));
            }
            let own = libraries_of(file);
            let group = used.entry(file.language.title()).or_insert_with(|| installed(file.language, named));
            group.extend(own.iter().copied());
            imported.push(own);
            if file.language == Language::Ruby {
                let named = file.facts.imports.iter().enumerate().filter(|(_, import)| !import.local.is_empty());
                inherited.extend(named.map(|(at, import)| (import.local.as_str(), (idx, at))));
            }
        }
        let (global, everywhere) = known_everywhere(&files, usings);
        let (seen, functions) = (seen_everywhere(&files), functions_of(&files));
        used.entry(Language::CSharp.title()).or_default().extend(everywhere.iter().copied());
        Index {
            files,
            stems,
            folders,
            members,
            classes,
            types,
            functions,
            modules,
            bindings,
            packages,
            places,
            imported,
            used,
            installed: installed(Language::Python, named),
            installed_jvm: installed(Language::Java, named),
            inherited,
            seen,
            global,
            everywhere,
            told,
            constants: OnceLock::new(),
            uses: OnceLock::new(),
            callers: OnceLock::new(),
            packages_named: named.iter().map(|name| name.replace('-', "_")).collect(),
            crates: OnceLock::new(),
        }
    }

    /// The classes of a name: of each the file, and which of its classes it is.
    pub(crate) fn classes_named(&self, name: &str) -> impl Iterator<Item = (usize, usize)> {
        self.classes.get(name).into_iter().flatten().copied()
    }

    /// The files.
    pub(crate) fn files(&self) -> &[SourceFile<'s>] {
        &self.files
    }
}

/// Constants of Ruby outside of classes, by name: the files and the bindings.
fn seen_everywhere<'s>(files: &[SourceFile<'s>]) -> Map<&'s str, Vec<(usize, usize)>> {
    let mut seen: Map<&str, Vec<(usize, usize)>> = Map::default();
    for (idx, file) in files.iter().enumerate().filter(|(_, file)| file.language == Language::Ruby) {
        for (at, binding) in file.facts.bindings.iter().enumerate() {
            let is_constant = binding.kind == BindingKind::Local && binding.target.starts_with(char::is_uppercase);
            if is_constant && binding.from == 1 && matches!(binding.value, Some(Value::Chain(_))) {
                seen.entry(&binding.target).or_default().push((idx, at));
            }
        }
    }
    seen
}

/// Names of functions of the repository's own code, without its tests, by group of languages.
fn functions_of<'s>(files: &[SourceFile<'s>]) -> Set<(&'static str, &'s str)> {
    let own = files.iter().filter(|file| !is_test(file.path));
    own.flat_map(|file| {
        let returned = file.facts.bindings.iter().filter(|binding| binding.kind == BindingKind::Return);
        returned.map(|binding| (file.language.title(), binding.target.as_str()))
    })
    .collect()
}

/// Libraries that a file imports.
fn libraries_of(file: &SourceFile<'_>) -> Set<usize> {
    let rules = Rules::of(file.language);
    // That a file is in a library's namespace is no use of it, but in C# it sees what is there.
    let imports = file.facts.imports.iter().filter(|import| !(import.symbol == NAMESPACE && import.local.is_empty()));
    // `use Exception;` of PHP brings in a name of no namespace, and so only the library that has this name.
    let module_of = |import: &'_ Import| match import.module.as_str() {
        "" if file.language == Language::Php => rules.of_module(&import.symbol),
        module => rules.of_module(module),
    };
    let mut own = imports.flat_map(module_of).collect::<Set<_>>();
    let required = file.facts.bindings.iter().filter_map(|binding| match &binding.value {
        Some(Value::Chain(chain)) if file.language.is_script() => required(chain),
        _ => None,
    });
    own.extend(required.flat_map(|module| rules.of_module(&module)));
    own
}

/// Libraries of a language that manifests name.
fn installed(language: Language, named: &HashSet<&str>) -> Set<usize> {
    let sdks = Rules::of(language).sdks.iter().enumerate();
    sdks.filter(|(_, sdk)| sdk.packages.iter().any(|package| named.contains(*package))).map(|(idx, _)| idx).collect()
}

/// Namespaces that every C# file has, of its projects and its files, and the libraries in them.
fn known_everywhere(files: &[SourceFile<'_>], usings: Vec<String>) -> (Vec<String>, Set<usize>) {
    let mut global: Vec<String> = files.iter().flat_map(global_namespaces).chain(usings).collect();
    global.sort_unstable();
    global.dedup();
    let libraries = global.iter().flat_map(|module| Rules::of(Language::CSharp).of_module(module)).collect();
    (global, libraries)
}

/// Namespaces of C# that the file brings to every file: one of its own, or beside the program's start.
fn global_namespaces(file: &SourceFile<'_>) -> impl Iterator<Item = String> {
    let is_csharp = file.language == Language::CSharp;
    let is_global =
        is_csharp && (file.path.to_lowercase().contains("globalusings") || file.path.ends_with("Usings.cs"));
    let usings = file.facts.imports.iter().filter(move |import| {
        import.local == "*" && import.symbol != NAMESPACE && (is_global || is_csharp && import.symbol == GLOBAL)
    });
    usings.map(|import| import.module.clone())
}

/// Whether the path is a test's.
fn is_test(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.contains("_test.")
        || name.contains("Test.")
        || path.split('/').any(|part| matches!(part, "test" | "tests" | "mocks"))
}
