//! Which language a file is in, and the source in files that hold more than source.

use serde::{Deserialize, Serialize};

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
        Some(notebook(text))
    } else if path.ends_with(".vue") || path.ends_with(".svelte") {
        Some(component(text))
    } else {
        None
    }
}

/// The code of a notebook. Its format keeps every source line as one JSON text on a line of its own (nbformat 4 as every
/// editor writes it), so a line of code keeps its line; lines for the notebook itself (`%`, `!`) are left blank.
fn notebook(text: &str) -> String {
    let mut code = String::with_capacity(text.len() / 2);
    let (mut in_code, mut in_source) = (false, false);
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.starts_with("\"cell_type\"") {
            in_code = trimmed.contains("\"code\"");
        }
        if trimmed.starts_with("\"source\"") {
            in_source = true;
        }
        let literal =
            trimmed.strip_prefix("\"source\": [").unwrap_or(trimmed).trim_end_matches(']').trim_end_matches(',');
        let is_line = in_code && in_source && literal.starts_with('"') && !trimmed.starts_with("\"source\": \"");
        let source = if is_line { serde_json::from_str::<String>(literal).unwrap_or_default() } else { String::new() };
        let source = source.trim_end_matches('\n');
        if !source.trim_start().starts_with(['%', '!']) && !source.contains('\n') {
            code += source;
        }
        if in_source && (trimmed.ends_with(']') || trimmed.ends_with("],")) {
            in_source = false;
        }
        code.push('\n');
    }
    code
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
    fn code_of_a_notebook_stays_on_its_lines() {
        let text = "{\n \"cells\": [\n  {\n   \"cell_type\": \"code\",\n   \"source\": [\n    \"%pip install openai\\n\",\n    \
                    \"x = \\\"a\\\"\\n\",\n    \"y = f(x)\"\n   ]\n  },\n  {\n   \"cell_type\": \"markdown\",\n   \"source\": [\n    \
                    \"words\"\n   ]\n  }\n ]\n}\n";
        let code = notebook(text);
        assert_eq!(code.lines().filter(|line| !line.is_empty()).collect::<Vec<_>>(), ["x = \"a\"", "y = f(x)"]);
        assert_eq!(code.lines().position(|line| line.starts_with('y')), Some(7));
    }

    #[test]
    fn a_component_is_its_script() {
        let text = "<template>\n<p/>\n</template>\n<script setup>\nf()\n</script>\n";
        assert_eq!(component(text), "\n\n\n\nf()\n\n");
    }
}
