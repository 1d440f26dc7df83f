//! Libraries and their versions, from lock files and manifests.

mod maven;
mod npm;

use std::collections::HashSet;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::language::Language;
use super::rules::Rules;

/// A library that a manifest or lock file names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Package {
    /// Its name, as the rules write it.
    pub(crate) name: String,
    /// The version, exact from a lock file, else as it is asked for; empty when none is said.
    pub(crate) version: String,
    /// Whether it is the version that is really installed.
    pub(crate) is_locked: bool,
    /// The line.
    pub(crate) line: u32,
}

/// The languages whose packages a file names, and whether it is a lock file; none when it is no manifest.
fn kind_of(path: &str) -> Option<(Language, bool)> {
    let name = path.rsplit('/').next().unwrap_or(path);
    Some(match name {
        "pyproject.toml" | "Pipfile" | "setup.py" | "setup.cfg" | "environment.yml" | "environment.yaml" => {
            (Language::Python, false)
        }
        "poetry.lock" | "uv.lock" | "Pipfile.lock" | "pdm.lock" => (Language::Python, true),
        "package.json" => (Language::JavaScript, false),
        "package-lock.json" | "yarn.lock" | "pnpm-lock.yaml" | "npm-shrinkwrap.json" | "bun.lock" => {
            (Language::JavaScript, true)
        }
        "go.mod" => (Language::Go, true),
        "pom.xml" | "build.gradle" | "build.gradle.kts" | "libs.versions.toml" | "build.sbt" => (Language::Java, false),
        "packages.config" | "Directory.Packages.props" | "packages.lock.json" => (Language::CSharp, false),
        "Cargo.toml" => (Language::Rust, false),
        "Cargo.lock" => (Language::Rust, true),
        "Gemfile" => (Language::Ruby, false),
        "Gemfile.lock" => (Language::Ruby, true),
        "composer.json" => (Language::Php, false),
        "composer.lock" => (Language::Php, true),
        _ if name.ends_with(".csproj") || name.ends_with(".props") || name.ends_with(".fsproj") => {
            (Language::CSharp, false)
        }
        _ if name.ends_with(".gemspec") => (Language::Ruby, false),
        _ if name.contains("requirements") && (name.ends_with(".txt") || name.ends_with(".in")) => {
            (Language::Python, false)
        }
        _ => return None,
    })
}

/// Whether the file is one of those.
pub(crate) fn is_manifest(path: &str) -> bool {
    kind_of(path).is_some()
}

/// The rules' libraries that the file names.
pub(crate) fn packages_of(path: &str, text: &str) -> Vec<Package> {
    let Some((language, is_locked)) = kind_of(path) else { return Vec::new() };
    let known = known(language);
    match path.rsplit('/').next() {
        Some("package.json") => return npm::dependencies(text, known),
        Some("pom.xml") => return maven::of_pom(text, known),
        _ if language == Language::Java => return maven::of_lines(text, known),
        _ => {}
    }
    let lines: Vec<&str> = text.lines().collect();
    let mut packages: Vec<Package> = Vec::new();
    for (idx, line) in lines.iter().enumerate() {
        let trimmed = line.trim();
        if trimmed.starts_with('#') || trimmed.starts_with("//") {
            continue;
        }
        let is_said = |name: &&str| names(trimmed, name, language) && (!is_locked || is_entry(path, line, name));
        for name in known.iter().copied().filter(is_said) {
            let number = u32::try_from(idx + 1).unwrap_or(u32::MAX);
            let after = &trimmed[trimmed.find(short(name)).map_or(0, |at| at + short(name).len())..];
            // Yarn's line has what was asked for, and the one below what was installed.
            let here = version_in(after).filter(|_| !path.ends_with("yarn.lock"));
            let version = here.or_else(|| below(&lines[idx + 1..])).unwrap_or_default();
            match packages.iter_mut().find(|package| package.name == name) {
                Some(package) if package.version.is_empty() => package.version = version,
                Some(_) => {}
                None => packages.push(Package { name: name.to_owned(), version, is_locked, line: number }),
            }
        }
    }
    packages
}

/// Whether the line of a lock file is where the entry of the package itself begins, and no other's that asks for it.
fn is_entry(path: &str, line: &str, name: &str) -> bool {
    let bare = line.trim();
    let is_named = || bare.starts_with("name = ") || bare.starts_with("\"name\":");
    match path.rsplit('/').next().unwrap_or(path) {
        "package-lock.json" | "npm-shrinkwrap.json" => {
            bare.ends_with('{')
                && bare.strip_prefix('"').is_some_and(|key| key.trim_start_matches("node_modules/").starts_with(name))
        }
        "yarn.lock" => !line.starts_with(char::is_whitespace),
        "Cargo.lock" | "poetry.lock" | "uv.lock" | "pdm.lock" | "composer.lock" => is_named(),
        "Gemfile.lock" => line.len() - line.trim_start().len() == 4,
        _ => true,
    }
}

/// The module that a `go.mod` is of, or the crate of a `Cargo.toml` as code names it.
pub(crate) fn module_of(path: &str, text: &str) -> Option<String> {
    let name = path.rsplit('/').next().unwrap_or(path);
    if name == "Cargo.toml" {
        return crate_of(text);
    }
    if name != "go.mod" {
        return None;
    }
    text.lines()
        .find_map(|line| line.trim().strip_prefix("module "))
        .map(|name| name.trim().trim_matches('"').to_owned())
}

fn crate_of(text: &str) -> Option<String> {
    let (mut table, mut package, mut library) = ("", None, None);
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            table = line;
        } else if let Some((key, value)) = line.split_once('=')
            && key.trim() == "name"
        {
            let name = value.trim().trim_matches('"').replace('-', "_");
            match table {
                "[package]" => package = package.or(Some(name)),
                "[lib]" => library = library.or(Some(name)),
                _ => {}
            }
        }
    }
    library.or(package)
}

/// Namespaces that a project of C# brings to all of its files: `<Using Include="…" />`.
pub(crate) fn usings(path: &str, text: &str) -> Vec<String> {
    if !(path.ends_with(".csproj") || path.ends_with(".props") || path.ends_with(".targets")) {
        return Vec::new();
    }
    let named = text.split("<Using ").skip(1).filter_map(|rest| rest.split('>').next()?.split_once("Include=\""));
    named.filter_map(|(_, rest)| Some(rest.split_once('"')?.0.to_owned())).collect()
}

fn known(language: Language) -> &'static HashSet<&'static str> {
    static SETS: OnceLock<Vec<HashSet<&'static str>>> = OnceLock::new();
    let sets = SETS.get_or_init(|| {
        let set =
            |language: Language| Rules::of(language).sdks.iter().flat_map(|sdk| sdk.packages.iter().copied()).collect();
        Language::TABLES.iter().map(|language| set(*language)).collect()
    });
    let idx = Language::TABLES.iter().position(|other| *other == language).unwrap_or(0);
    &sets[idx]
}

/// What stands in a line for a package: of Maven's `group:name` the name.
fn short(name: &str) -> &str {
    name.split_once(':').map_or(name, |(_, artifact)| artifact)
}

/// Whether the line names the package, as a whole word.
fn names(line: &str, name: &str, language: Language) -> bool {
    let name = short(name);
    let lower;
    let (line, name) = if language == Language::CSharp || language == Language::Python {
        lower = line.to_lowercase();
        (lower.as_str(), name.to_lowercase())
    } else {
        (line, name.to_owned())
    };
    let Some(at) = line.find(&name) else { return false };
    let is_part = |character: char| character.is_alphanumeric() || "-_./@".contains(character);
    let before = line[..at].chars().next_back();
    let after = line[at + name.len()..].chars().next();
    let path = before == Some('/') && (line[..at].ends_with("node_modules/") || language == Language::Go);
    (path || !before.is_some_and(is_part))
        && !after.is_some_and(|character| {
            is_part(character) && !(character == '@' || language == Language::Go && character == '/')
        })
}

/// The first version in a text.
fn version_in(text: &str) -> Option<String> {
    // `/v3 v3.1.0`: the first has no dot.
    let text = text.split_whitespace().find(|word| word.starts_with('v') && word.contains('.')).unwrap_or(text);
    let start = text.find(|character: char| character.is_ascii_digit())?;
    let before = &text[..start];
    // Far away it is something else's.
    if before.len() > 60 || before.contains("sha") || before.matches('"').count() > 4 {
        return None;
    }
    let version: String = text[start..]
        .chars()
        .take_while(|character| character.is_ascii_alphanumeric() || ".-+".contains(*character))
        .collect();
    let version = version.trim_end_matches(['.', '-']).to_owned();
    (version.contains('.') && version.len() < 40).then_some(version)
}

/// The version on one of the lines below: of TOML locks, XML and `version:` of YAML.
fn below(lines: &[&str]) -> Option<String> {
    let lines = lines.iter().take(3);
    lines.map(|line| line.trim()).find_map(|line| {
        let is_version =
            line.starts_with("version") || line.starts_with("\"version\"") || line.starts_with("<version>");
        is_version.then(|| version_in(line)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str, expected: &[(&str, &str)]) {
        let found = packages_of(path, text);
        let found: Vec<(&str, &str)> =
            found.iter().map(|package| (package.name.as_str(), package.version.as_str())).collect();
        assert_eq!(found, expected, "{path}");
    }

    #[test]
    fn versions_are_read_from_manifests_and_lock_files() {
        check("requirements.txt", "openai==1.3.5\nopenai-whisper==2\n", &[("openai", "1.3.5")]);
        check("a/poetry.lock", "[[package]]\nname = \"openai\"\nversion = \"0.27.8\"\n", &[("openai", "0.27.8")]);
        check(
            "package.json",
            "{ \"dependencies\": {\n  \"openai\": \"^4.20.1\",\n  \"openai-extra\": \"1.0.0\"\n} }",
            &[("openai", "4.20.1")],
        );
        check("go.mod", "\tgithub.com/openai/openai-go/v3 v3.1.0\n", &[("github.com/openai/openai-go", "3.1.0")]);
        check("Cargo.toml", "async-openai = { version = \"0.14.0\" }\n", &[("async-openai", "0.14.0")]);
        check("Gemfile.lock", "    ruby-openai (7.1.0)\n", &[("ruby-openai", "7.1.0")]);
        check(
            "x.csproj",
            "<PackageReference Include=\"Azure.AI.OpenAI\" Version=\"1.0.0-beta.17\" />\n",
            &[("Azure.AI.OpenAI", "1.0.0-beta.17")],
        );
        check(
            "pom.xml",
            "<dependency>\n<groupId>dev.langchain4j</groupId>\n<artifactId>langchain4j-open-ai</artifactId>\n<version>0.35.0</version>\n</dependency>\n",
            &[("dev.langchain4j:langchain4j-open-ai", "0.35.0")],
        );
    }

    #[test]
    fn a_lock_file_says_versions_in_the_entry_of_a_package_and_not_where_another_asks_for_it() {
        check(
            "package-lock.json",
            "  \"node_modules/a\": {\n  \"dependencies\": {\n    \"openai\": \"^3.0.0\"\n  }\n  \"node_modules/a/node_modules/openai\": {\n    \
             \"version\": \"3.1.0\"\n  },\n  \"node_modules/openai\": {\n    \"version\": \"4.20.1\",\n",
            &[("openai", "4.20.1")],
        );
        check(
            "yarn.lock",
            "a@^1:\n  version \"1.0.0\"\n  dependencies:\n    openai \"^3.0.0\"\n\nopenai@^4.0.0:\n  version \"4.20.1\"\n",
            &[("openai", "4.20.1")],
        );
        check(
            "Cargo.lock",
            "[[package]]\nname = \"a\"\ndependencies = [\n \"async-openai\",\n]\n[[package]]\nname = \"b\"\nversion = \"9.9.9\"\n[[package]]\nname = \"async-openai\"\nversion = \"0.14.0\"\n",
            &[("async-openai", "0.14.0")],
        );
        check(
            "Gemfile.lock",
            "    a (1.0.0)\n      ruby-openai (>= 6.0)\n    ruby-openai (7.1.0)\n",
            &[("ruby-openai", "7.1.0")],
        );
    }

    #[test]
    fn a_library_of_maven_has_its_group_and_a_version_of_its_own_and_what_is_commented_out_is_not_there() {
        check(
            "pom.xml",
            "<artifactId>client</artifactId>\n<properties><ai.version>1.1.0</ai.version></properties>\n<!-- <dependency>\n\
             <groupId>org.springframework.ai</groupId><artifactId>spring-ai-starter-model-openai</artifactId></dependency> -->\n\
             <dependency>\n<groupId>org.springframework.ai</groupId>\n<artifactId>spring-ai-starter-model-anthropic</artifactId>\n\
             </dependency>\n<dependency><groupId>a</groupId><artifactId>b</artifactId>\n<version>9.9.9</version></dependency>\n\
             <dependency><groupId>org.springframework.ai</groupId><artifactId>spring-ai-bom</artifactId>\n\
             <version>${ai.version}</version><scope>import</scope></dependency>\n",
            &[("org.springframework.ai:spring-ai-starter-model-anthropic", "1.1.0")],
        );
        check(
            "pom.xml",
            "<dependencyManagement><dependencies><dependency><groupId>dev.langchain4j</groupId>\n\
             <artifactId>langchain4j-open-ai</artifactId><version>1.0.0</version></dependency><dependency>\n\
             <groupId>dev.langchain4j</groupId><artifactId>langchain4j-anthropic</artifactId></dependency></dependencies></dependencyManagement>\n\
             <dependency><groupId>dev.langchain4j</groupId><artifactId>langchain4j-open-ai</artifactId></dependency>\n",
            &[("dev.langchain4j:langchain4j-open-ai", "1.0.0")],
        );
        check(
            "build.gradle",
            "implementation 'dev.langchain4j:langchain4j-open-ai:0.35.0'\n\
             implementation('org.springframework.ai:spring-ai-starter-model-openai') // then 'a:b:7.0'\n\
             // implementation 'dev.langchain4j:langchain4j-anthropic:0.35.0'\nrun 'com.example:client:2.0'\n",
            &[
                ("dev.langchain4j:langchain4j-open-ai", "0.35.0"),
                ("org.springframework.ai:spring-ai-starter-model-openai", ""),
            ],
        );
        check(
            "libs.versions.toml",
            "[versions]\nlc4j = \"1.2.3\"\n[libraries]\n\
             openai = { module = \"dev.langchain4j:langchain4j-open-ai\", version.ref = \"lc4j\" }\n",
            &[("dev.langchain4j:langchain4j-open-ai", "1.2.3")],
        );
    }
}
