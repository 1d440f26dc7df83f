//! Which language a file is in, and the source in files that hold more than source.

use serde::{Deserialize, Serialize};

use super::notebook;

/// A language that is read by its grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Python, notebooks too.
    Python,
    /// JavaScript, also with JSX and inside Vue and Svelte components.
    JavaScript,
    /// TypeScript.
    TypeScript,
    /// TypeScript with JSX.
    Tsx,
    /// Go.
    Go,
    /// Java.
    Java,
    /// Kotlin.
    Kotlin,
    /// C#.
    CSharp,
    /// Rust.
    Rust,
    /// Ruby.
    Ruby,
    /// PHP.
    Php,
}

impl Language {
    /// One of each table of rules and of packages: TypeScript goes by JavaScript, Kotlin by Java.
    pub(crate) const TABLES: [Language; 8] = [
        Language::Python,
        Language::JavaScript,
        Language::Go,
        Language::Java,
        Language::CSharp,
        Language::Rust,
        Language::Ruby,
        Language::Php,
    ];

    /// By the end of a path.
    #[must_use]
    pub fn of_path(path: &str) -> Option<Language> {
        let name = path.rsplit('/').next().unwrap_or(path);
        let (_, extension) = name.rsplit_once('.')?;
        Some(match extension {
            "py" | "pyi" | "ipynb" => Language::Python,
            "js" | "jsx" | "mjs" | "cjs" => Language::JavaScript,
            "ts" | "mts" | "cts" | "vue" | "svelte" => Language::TypeScript,
            "tsx" => Language::Tsx,
            "go" => Language::Go,
            "java" => Language::Java,
            "kt" | "kts" => Language::Kotlin,
            "cs" => Language::CSharp,
            "rs" => Language::Rust,
            "rb" | "rake" => Language::Ruby,
            "php" => Language::Php,
            _ => return None,
        })
    }

    /// What people call it; one name for dialects of one language.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Language::Python => "Python",
            Language::JavaScript | Language::TypeScript | Language::Tsx => "TypeScript/JavaScript",
            Language::Go => "Go",
            Language::Java | Language::Kotlin => "Java/Kotlin",
            Language::CSharp => "C#",
            Language::Rust => "Rust",
            Language::Ruby => "Ruby",
            Language::Php => "PHP",
        }
    }

    /// Whether it is Java or Kotlin.
    pub(crate) const fn is_jvm(self) -> bool {
        matches!(self, Language::Java | Language::Kotlin)
    }

    /// Whether it is JavaScript in one of its dialects.
    pub(crate) const fn is_script(self) -> bool {
        matches!(self, Language::JavaScript | Language::TypeScript | Language::Tsx)
    }
}

/// The source in a file that holds more than source, on the same lines; nothing when all of it is source.
pub(crate) fn source_within(path: &str, text: &str) -> Option<String> {
    if path.ends_with(".ipynb") {
        Some(notebook::in_place(&notebook::lines(text)))
    } else if path.ends_with(".vue") || path.ends_with(".svelte") {
        Some(component(text))
    } else {
        None
    }
}

/// The same for a reader that can be told where each line of the source stands; no lines where they are those of the file.
pub(super) fn code_within(path: &str, text: &str) -> Option<(String, Vec<u32>)> {
    if path.ends_with(".ipynb") {
        return Some(notebook::laid_out(&notebook::lines(text)));
    }
    if path.ends_with(".cs") && text.starts_with("#") {
        return Some((without_directives(text), Vec::new()));
    }
    source_within(path, text).map(|source| (source, Vec::new()))
}

/// A program of C# in one file: what it says to the build (`#:package …`, `#!/usr/bin/env dotnet`) is left blank.
fn without_directives(text: &str) -> String {
    let is_code = |line: &&str| !line.starts_with("#:") && !line.starts_with("#!");
    text.lines()
        .map(|line| format!("{}\n", Some(line).filter(is_code).unwrap_or_default().replace('\u{feff}', "")))
        .collect()
}

/// The scripts of a component; everything else is left blank.
fn component(text: &str) -> String {
    let mut script = String::with_capacity(text.len());
    let mut in_script = false;
    for line in text.lines() {
        let trimmed = line.trim_start();
        if trimmed.starts_with("</script") {
            in_script = false;
        }
        if in_script {
            script += line;
        }
        if trimmed.starts_with("<script") && !trimmed.contains("</script") {
            in_script = true;
        }
        script.push('\n');
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_its_script() {
        let text = "<template>\n<p/>\n</template>\n<script setup>\nf()\n</script>\n";
        assert_eq!(component(text), "\n\n\n\nf()\n\n");
    }
}
