//! The rules of the house that fmt, clippy and deny do not check. Every violation is reported at once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Longest source file, in lines.
const MAX_LINES: usize = 800;

/// Crates from outside that belong to one room, tests apart.
const OWNERS: [(&str, &[&str]); 23] = [
    ("anyhow", &["crossfade"]),
    ("clap", &["crossfade"]),
    ("clap_complete", &["crossfade"]),
    ("clap_mangen", &["crossfade"]),
    ("mimalloc", &["crossfade"]),
    ("saphyr-parser", &["crossfade", "inventory"]),
    ("toml", &["inventory"]),
    ("tree-sitter", &["inventory"]),
    ("signal-hook", &["crossfade"]),
    ("tracing-subscriber", &["crossfade"]),
    ("jsonschema", &["schema"]),
    ("whatlang", &["routing"]),
    ("nix", &["sandbox"]),
    ("candle-core", &["encoder"]),
    ("tokenizers", &["encoder"]),
    ("rusqlite", &["store", "vectors"]),
    ("parquet", &["vectors"]),
    ("sqlite-vec", &["vectors"]),
    ("half", &["vectors"]),
    ("tokio-postgres", &["vectors"]),
    ("zstd", &["store"]),
    ("hyper-rustls", &["providers", "vectors"]),
    ("rustls", &["providers"]),
];

/// The pure rooms and everything they may use.
const PURE: [(&str, &[&str]); 6] = [
    ("cost", &["serde", "serde_json", "stats", "thiserror"]),
    ("routing", &["whatlang"]),
    ("schema", &["jsonschema", "serde_json", "wire"]),
    ("stats", &["hdrhistogram", "serde"]),
    ("rollout", &["serde", "serde_json", "sha2", "stats", "thiserror"]),
    ("wire", &["bytes", "memchr", "serde", "serde_json", "thiserror", "uuid"]),
];

/// What the pure rooms do not say, as it would be written. Tests may.
const IMPURE: [&str; 9] = [
    "std::fs",
    "std::net",
    "std::thread",
    "std::process",
    "std::env",
    "Instant::now",
    "SystemTime::now",
    "Mutex",
    "RwLock",
];

/// Where `crossfade report` starts a browser to print its page.
const REPORT_PRINTER: &str = "crates/crossfade/src/verbs/report/pdf/devtools.rs";
/// Where `crossfade inventory` asks git.
const INVENTORY_GIT: &str = "crates/crossfade/src/verbs/inventory/tree/git.rs";
/// Where `crossfade bench` starts and kills a server.
const BENCH_SERVERS: [&str; 2] =
    ["crates/crossfade/src/verbs/bench/process.rs", "crates/crossfade/src/verbs/bench/matrix/server.rs"];

/// Only these rooms serve HTTP; `scripted` is the fake at the outer wall of tests.
const SERVERS: [&str; 3] = ["console", "gateway", "scripted"];

#[test]
fn the_house_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let mut house = House { manifests: manifests(&root), root, wrong: Vec::new() };
    house.arrows();
    house.owners();
    house.pure_rooms();
    house.manifests_inherit();
    house.dependencies_are_argued();
    house.sources();
    house.named_tests();
    assert!(house.wrong.is_empty(), "\n{}\n", house.wrong.join("\n"));
}

/// What a `Cargo.toml` names, by section.
type Manifest = BTreeMap<String, BTreeSet<String>>;

struct House {
    root: PathBuf,
    manifests: BTreeMap<String, Manifest>,
    wrong: Vec<String>,
}

impl House {
    fn wrong(&mut self, words: String) {
        self.wrong.push(words);
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// The table in ARCHITECTURE.md against every `[dependencies]`.
    fn arrows(&mut self) {
        let text = self.read("ARCHITECTURE.md");
        let table = text.split("## Arrows").nth(1).expect("ARCHITECTURE.md has a section `Arrows`");
        let mut allowed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for line in table.lines().skip_while(|line| !line.starts_with("|---")).skip(1) {
            let Some(cells) = line.strip_prefix('|') else { break };
            let mut cells = cells.split('|').map(str::trim);
            let room = cells.next().unwrap_or_default().to_owned();
            let may = cells.next().unwrap_or_default().split(", ").filter(|name| !name.is_empty());
            allowed.insert(room, may.map(str::to_owned).collect());
        }
        let rooms: BTreeSet<String> = self.manifests.keys().cloned().collect();
        for room in allowed.keys().filter(|room| !rooms.contains(*room)) {
            self.wrong.push(format!("ARCHITECTURE.md names the room `{room}`, which is not under crates/"));
        }
        for (room, manifest) in self.manifests.clone() {
            let Some(may) = allowed.get(&room) else {
                self.wrong(format!("crates/{room} is not in the table of arrows in ARCHITECTURE.md"));
                continue;
            };
            for name in section(&manifest, "dependencies").filter(|name| rooms.contains(*name) && !may.contains(*name))
            {
                self.wrong(format!(
                    "crates/{room} imports `{name}`, which the table in ARCHITECTURE.md does not allow"
                ));
            }
        }
        let junk = ["core", "common", "util", "utils", "helpers", "manager", "misc"];
        for room in rooms.iter().filter(|room| junk.contains(&room.as_str())) {
            self.wrong.push(format!("no room is called `{room}`: name it by its subject"));
        }
    }

    fn owners(&mut self) {
        for (outside, owners) in OWNERS {
            for (room, manifest) in self.manifests.clone() {
                let uses = section(&manifest, "dependencies").any(|name| name == outside);
                if uses && !owners.contains(&room.as_str()) {
                    self.wrong(format!("crates/{room} uses {outside}, which belongs to {}", owners.join(", ")));
                }
            }
        }
    }

    fn pure_rooms(&mut self) {
        for (room, may) in PURE {
            let manifest = self.manifests[room].clone();
            for name in section(&manifest, "dependencies").filter(|name| !may.contains(name)) {
                self.wrong(format!("crates/{room} is pure and uses {name}"));
            }
            for path in files(&self.root.join("crates").join(room).join("src")) {
                if path.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs") {
                    continue;
                }
                let text = std::fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
                let lines =
                    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
                for word in IMPURE.iter().filter(|word| lines.contains(**word)) {
                    let path = self.shown(&path);
                    self.wrong(format!("{path}: `{word}` in a pure room"));
                }
            }
        }
    }

    fn manifests_inherit(&mut self) {
        for room in self.manifests.keys().cloned().collect::<Vec<_>>() {
            let text = self.read(&format!("crates/{room}/Cargo.toml"));
            if !text.contains("[lints]\nworkspace = true") {
                self.wrong(format!("crates/{room}/Cargo.toml does not inherit the workspace's lints"));
            }
            let pinned = text.lines().filter(|line| line.contains("version = \"") || line.contains("git = "));
            for line in pinned {
                self.wrong(format!("crates/{room}/Cargo.toml: `{line}` belongs in [workspace.dependencies]"));
            }
        }
    }

    /// Every outside crate has its line in docs/reference/dependencies.md, and the other way round.
    fn dependencies_are_argued(&mut self) {
        let reference = self.read("docs/reference/dependencies.md");
        let argued: BTreeSet<&str> =
            reference.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next()).collect();
        let text = self.read("Cargo.toml");
        let table = text.split("[workspace.dependencies]").nth(1).unwrap_or_default();
        let table = table.split("\n[").next().unwrap_or_default();
        let outside =
            table.lines().filter(|line| line.contains('=') && !line.contains("path =") && !line.starts_with('#'));
        let mut names = BTreeSet::new();
        for line in outside {
            let name = line.split([' ', '=']).next().unwrap_or_default();
            names.insert(name);
            if !line.contains("default-features = false") {
                self.wrong.push(format!("Cargo.toml: `{name}` without `default-features = false`"));
            }
            if !argued.contains(name) {
                self.wrong.push(format!("docs/reference/dependencies.md has no line for `{name}`"));
            }
        }
        for name in argued.difference(&names).filter(|name| !matches!(**name, "crate" | "---")) {
            self.wrong.push(format!("docs/reference/dependencies.md argues for `{name}`, which nobody uses"));
        }
    }

    fn sources(&mut self) {
        // Built from parts, so that this file does not hold what it looks for.
        let join = |words: &[[&str; 2]]| words.iter().map(|parts| parts.concat()).collect::<Vec<_>>();
        let anywhere = join(&[
            ["TO", "DO"],
            ["FIX", "ME"],
            ["crates", ".io"],
            ["py", "pi.org"],
            ["npm", "js."],
            ["debian", ".org"],
            ["/wo", "rk/"],
            ["/tmp/", "brief"],
        ]);
        let in_rust = join(&[["#[ign", "ore"], ["#[should_", "panic"], ["todo", "!("], ["#[all", "ow("]]);
        for path in files(&self.root) {
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            let shown = self.shown(&path);
            if shown.starts_with("Cargo.lock") || shown.ends_with("package-lock.json") {
                continue;
            }
            let is_rust = path.extension().is_some_and(|extension| extension == "rs");
            let forbidden = anywhere.iter().chain(in_rust.iter().filter(|_| is_rust));
            for word in forbidden.filter(|word| text.contains(word.as_str())) {
                self.wrong(format!("{shown}: `{word}`"));
            }
            if is_rust {
                self.rust(&shown, &text);
            }
        }
    }

    fn rust(&mut self, shown: &str, text: &str) {
        let n_lines = text.lines().count();
        if n_lines > MAX_LINES {
            self.wrong(format!("{shown}: {n_lines} lines; {MAX_LINES} are the most"));
        }
        let room = shown.split('/').nth(1).unwrap_or_default();
        let serves = ["hyper::", "hyper_util::"].iter().any(|name| text.contains(&format!("{name}server")));
        if serves && !SERVERS.contains(&room) && shown.contains("/src/") {
            self.wrong(format!("{shown}: only {} serve HTTP", SERVERS.join(", ")));
        }
        // Nothing that came over the wire ever starts a program: one room does, and one verb makes what it does it by; `bench` starts and kills the server
        // that its operator names on the command line or in a file, and `report` prints its own page by a browser, and `inventory` asks git of local
        // repositories. Tests run the binary.
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        if code.contains(&["Command", "::new("].concat())
            && shown.contains("/src/")
            && room != "sandbox"
            && !BENCH_SERVERS.contains(&shown)
            && shown != REPORT_PRINTER
            && shown != INVENTORY_GIT
        {
            self.wrong(format!("{shown}: starts a program, which only `sandbox` does"));
        }
        let makes = code.contains(&["Sandbox", "::"].concat()) && shown.contains("/src/") && room != "sandbox";
        if makes && !shown.starts_with("crates/crossfade/src/verbs/eval/") {
            self.wrong(format!("{shown}: makes a sandbox, which only `crossfade eval` does"));
        }
        let is_test = shown.contains("/tests/") || shown.ends_with("tests.rs");
        if !is_test && text.contains(&["use super::", "*;\n"].concat()) && !text.contains("#[cfg(test)]") {
            self.wrong(format!("{shown}: a glob import"));
        }
    }

    /// Every test that docs/security.md names is there.
    fn named_tests(&mut self) {
        let page = self.read("docs/security.md");
        let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| what"));
        let named = rows.filter_map(|line| line.trim_end_matches([' ', '|']).rsplit('|').next());
        let names: BTreeSet<&str> = named.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
        let sources: String = files(&self.root.join("crates"))
            .iter()
            .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
            .filter_map(|path| std::fs::read_to_string(path).ok())
            .collect();
        assert!(names.len() > 20, "docs/security.md names tests in its last column");
        for name in names.into_iter().filter(|name| !sources.contains(&format!("fn {name}("))) {
            self.wrong(format!("docs/security.md names the test `{name}`, which is not there"));
        }
    }

    fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }
}

fn section<'a>(manifest: &'a Manifest, name: &str) -> impl Iterator<Item = &'a str> {
    manifest.get(name).into_iter().flatten().map(String::as_str)
}

fn manifests(root: &Path) -> BTreeMap<String, Manifest> {
    let rooms = std::fs::read_dir(root.join("crates")).unwrap().map(|entry| entry.unwrap());
    let rooms = rooms.filter(|entry| entry.path().join("Cargo.toml").exists());
    rooms
        .map(|entry| {
            let text = std::fs::read_to_string(entry.path().join("Cargo.toml")).unwrap();
            let mut manifest = Manifest::new();
            let mut section = String::new();
            for line in text.lines() {
                if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                    name.clone_into(&mut section);
                } else if let Some(name) =
                    line.split(['.', ' ', '=']).next().filter(|name| !name.is_empty() && !name.starts_with('#'))
                {
                    manifest.entry(section.clone()).or_default().insert(name.to_owned());
                }
            }
            (entry.file_name().to_string_lossy().into_owned(), manifest)
        })
        .collect()
}

/// Every file below, but for what is built, fetched or hidden.
fn files(directory: &Path) -> Vec<PathBuf> {
    let skipped = ["target", "node_modules", "__pycache__", ".git", ".venv"];
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap()) {
        let path = entry.path();
        if skipped.contains(&entry.file_name().to_string_lossy().as_ref()) {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}
