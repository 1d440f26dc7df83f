//! Imports of each language.

use std::borrow::Cow;

use tree_sitter::Node;

use crate::scan::facts::Import;
use crate::scan::language::Language;

/// Adds what the import brings in.
pub(super) fn of(language: Language, node: Node<'_>, text: &str, imports: &mut Vec<Import>) {
    let source = text.get(node.byte_range()).unwrap_or("");
    let line = u32::try_from(node.start_position().row).unwrap_or(0) + 1;
    let mut add = |local: &str, module: &str, symbol: &str| {
        let module = module.trim_matches('.').to_owned();
        let module =
            if language == Language::Python && text_starts_relative(source) { format!(".{module}") } else { module };
        imports.push(Import { local: local.to_owned(), module, symbol: symbol.to_owned(), line });
    };
    match language {
        Language::Python => python(node, text, &mut add),
        Language::JavaScript | Language::TypeScript | Language::Tsx => script(node, text, imports, line),
        Language::Go => go(node, text, &mut add),
        Language::Java | Language::Kotlin => jvm(source, &mut add),
        Language::CSharp => csharp(source, &mut add),
        Language::Rust => {
            let body = source.trim_start_matches("pub ").trim_start_matches("use ").trim_end_matches(';');
            rust_use("", body, &mut add);
        }
        Language::Php => php(source, &mut add),
        Language::Ruby => {}
    }
}

fn text_starts_relative(source: &str) -> bool {
    source.strip_prefix("from").is_some_and(|rest| rest.trim_start().starts_with('.'))
}

fn of_node<'s>(node: Option<Node<'_>>, text: &'s str) -> &'s str {
    node.and_then(|node| text.get(node.byte_range())).unwrap_or("")
}

fn python(node: Node<'_>, text: &str, add: &mut dyn FnMut(&str, &str, &str)) {
    let module = node.child_by_field_name("module_name");
    let mut cursor = node.walk();
    let names: Vec<Node<'_>> = node.children_by_field_name("name", &mut cursor).collect();
    if module.is_some() && names.is_empty() {
        add("*", of_node(module, text), "");
    }
    for name in names {
        let (path, alias) = if name.kind() == "aliased_import" {
            (of_node(name.child_by_field_name("name"), text), of_node(name.child_by_field_name("alias"), text))
        } else {
            (of_node(Some(name), text), "")
        };
        if module.is_some() {
            add(if alias.is_empty() { path } else { alias }, of_node(module, text), path);
        } else if alias.is_empty() {
            // `import a.b` binds `a`.
            let first = path.split('.').next().unwrap_or(path);
            add(first, first, "");
        } else {
            add(alias, path, "");
        }
    }
}

fn script(node: Node<'_>, text: &str, imports: &mut Vec<Import>, line: u32) {
    let quoted = |node: Option<Node<'_>>| of_node(node, text).trim_matches(['"', '\'', '`']).to_owned();
    let mut module = quoted(node.child_by_field_name("source"));
    let mut add = |local: &str, module: &str, symbol: &str| {
        let module = package_of(module).into_owned();
        imports.push(Import { local: local.to_owned(), module, symbol: symbol.to_owned(), line });
    };
    let mut cursor = node.walk();
    for clause in node.named_children(&mut cursor) {
        if clause.kind() == "import_require_clause" {
            module = quoted(clause.child_by_field_name("source"));
            add(of_node(clause.named_child(0), text), &module, "");
        }
        if clause.kind() != "import_clause" {
            continue;
        }
        let mut parts = clause.walk();
        for part in clause.named_children(&mut parts) {
            match part.kind() {
                "identifier" => add(of_node(Some(part), text), &module, ""),
                "namespace_import" => add(of_node(part.named_child(0), text), &module, ""),
                _ => {
                    let mut specifiers = part.walk();
                    for specifier in part.named_children(&mut specifiers) {
                        let name = of_node(specifier.child_by_field_name("name"), text);
                        let alias = of_node(specifier.child_by_field_name("alias"), text);
                        let symbol = if name == "default" { "" } else { name };
                        add(if alias.is_empty() { name } else { alias }, &module, symbol);
                    }
                }
            }
        }
    }
}

/// Where packages are brought from by their address: Deno, Bun and browsers.
const PLACES: [&str; 10] = [
    "npm:",
    "https://esm.sh/",
    "https://esm.run/",
    "https://deno.land/x/",
    "https://cdn.jsdelivr.net/npm/",
    "https://unpkg.com/",
    "https://cdn.skypack.dev/",
    "https://jspm.dev/npm:",
    "https://ga.jspm.io/npm:",
    "esm.sh/",
];

/// The package that a module is of: `@google/generative-ai` of `https://esm.sh/@google/generative-ai@0.21?target=deno`.
pub(in crate::scan) fn package_of(module: &str) -> Cow<'_, str> {
    let Some(rest) = PLACES.iter().find_map(|place| module.strip_prefix(place)) else { return Cow::Borrowed(module) };
    let rest = rest.split('?').next().unwrap_or(rest);
    // esm.sh has a version of its own before the package.
    let is_build = |part: &str| part.strip_prefix('v').is_some_and(|rest| rest.parse::<u32>().is_ok());
    let rest = rest.split_once('/').filter(|(part, _)| is_build(part)).map_or(rest, |(_, rest)| rest);
    let Some((name, version)) = rest.get(1..).and_then(|behind| behind.split_once('@')) else {
        return Cow::Borrowed(rest);
    };
    let name = &rest[..=name.len()];
    let path = version.split_once('/').map_or("", |(_, path)| path);
    match path {
        "" | "mod.ts" | "+esm" | "index.js" => Cow::Borrowed(name),
        path => Cow::Owned(format!("{name}/{path}")),
    }
}

fn go(node: Node<'_>, text: &str, add: &mut dyn FnMut(&str, &str, &str)) {
    let path = of_node(node.child_by_field_name("path"), text).trim_matches(['"', '`']);
    let alias = of_node(node.child_by_field_name("name"), text);
    if alias == "." {
        return add("*", path, "");
    }
    if !alias.is_empty() {
        return add(alias, path, "");
    }
    // The package's name is what its path ends in, without a version; `go-` and `-go` are often left out.
    let is_version = |part: &str| part.strip_prefix('v').is_some_and(|rest| rest.parse::<u32>().is_ok());
    let last = path.rsplit('/').find(|part| !is_version(part)).unwrap_or(path);
    let last = last.split(".v").next().unwrap_or(last);
    add(last, path, "");
    let short = last.trim_start_matches("go-").trim_end_matches("-go").trim_end_matches("-sdk").replace('-', "");
    if short != last {
        add(&short, path, "");
    }
}

fn jvm(source: &str, add: &mut dyn FnMut(&str, &str, &str)) {
    let path = source.trim_start_matches("import").trim().trim_end_matches(';').trim();
    let (path, is_static) = path.strip_prefix("static ").map_or((path, false), |path| (path.trim(), true));
    let (path, alias) = path.split_once(" as ").map_or((path, None), |(path, alias)| (path.trim(), Some(alias.trim())));
    let Some((module, last)) = path.rsplit_once('.') else { return };
    if last == "*" {
        return add("*", module, "");
    }
    if is_static && let Some((package, class)) = module.rsplit_once('.') {
        return add(last, package, &format!("{class}.{last}"));
    }
    add(alias.unwrap_or(last), module, last);
}

fn csharp(source: &str, add: &mut dyn FnMut(&str, &str, &str)) {
    let is_global = source.starts_with("global ");
    let path = source.trim_start_matches("global ").trim_start_matches("using").trim().trim_end_matches(';').trim();
    let path = path.strip_prefix("static ").map_or(path, str::trim);
    match path.split_once('=') {
        Some((alias, path)) => {
            let path = path.trim();
            let (module, symbol) = path.rsplit_once('.').unwrap_or(("", path));
            add(alias.trim(), module, symbol);
        }
        None => add("*", path, if is_global { GLOBAL } else { "" }),
    }
}

/// The symbol of a `using` that holds for every file.
pub(in crate::scan) const GLOBAL: &str = "global";

/// The symbol of an import that is the namespace of the file itself.
pub(in crate::scan) const NAMESPACE: &str = "namespace";

/// The namespace of a file. One of C# sees what is in it and in those around it without a `using`.
pub(super) fn of_namespace(language: Language, name: &str, line: u32, imports: &mut Vec<Import>) {
    let module = name.split_whitespace().collect::<String>().replace('\\', ".");
    let local = if language == Language::CSharp { "*" } else { "" };
    imports.push(Import { local: local.to_owned(), module, symbol: NAMESPACE.to_owned(), line });
}

/// `a::{b, c::{d as e}, f::*}`, taken apart from the outside.
fn rust_use(prefix: &str, body: &str, add: &mut dyn FnMut(&str, &str, &str)) {
    let body = body.trim();
    if let Some(open) = body.find('{') {
        let path = body[..open].trim_end_matches(':').trim();
        let whole = join(prefix, path);
        let inner = body[open + 1..].trim_end().trim_end_matches('}');
        let (mut depth, mut from) = (0_i32, 0);
        for (idx, character) in inner.char_indices() {
            match character {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    rust_use(&whole, &inner[from..idx], add);
                    from = idx + 1;
                }
                _ => {}
            }
        }
        let rest = &inner[from..];
        // A closing brace of a group inside was cut off with ours.
        let missing = rest.matches('{').count().saturating_sub(rest.matches('}').count());
        if !rest.trim().is_empty() {
            rust_use(&whole, &format!("{}{}", rest, "}".repeat(missing)), add);
        }
        return;
    }
    let (path, alias) = body.split_once(" as ").map_or((body, None), |(path, alias)| (path.trim(), Some(alias.trim())));
    let path = join(prefix, path);
    let (module, symbol) = path.split_once('.').unwrap_or((path.as_str(), ""));
    let last = path.rsplit('.').next().unwrap_or(&path);
    match last {
        "*" => add("*", path.trim_end_matches(".*"), ""),
        "self" => {
            let own = path.trim_end_matches(".self");
            let (module, symbol) = own.split_once('.').unwrap_or((own, ""));
            add(alias.unwrap_or(own.rsplit('.').next().unwrap_or(own)), module, symbol);
        }
        _ => add(alias.unwrap_or(last), module, symbol),
    }
}

fn join(prefix: &str, path: &str) -> String {
    let path = path.replace("::", ".");
    let path = path.trim().trim_matches('.');
    if prefix.is_empty() { path.to_owned() } else { format!("{prefix}.{path}").trim_end_matches('.').to_owned() }
}

fn php(source: &str, add: &mut dyn FnMut(&str, &str, &str)) {
    let body = source.trim_start_matches("use ").trim_end_matches(';').trim();
    let body = body.trim_start_matches("function ").trim_start_matches("const ");
    let mut one = |prefix: &str, path: &str| {
        let (path, alias) =
            path.split_once(" as ").map_or((path, None), |(path, alias)| (path.trim(), Some(alias.trim())));
        let path = format!("{prefix}{}", path.trim()).trim_start_matches('\\').replace('\\', ".");
        let (module, last) = path.rsplit_once('.').unwrap_or(("", &path));
        add(alias.unwrap_or(last), module, last);
    };
    match body.split_once('{') {
        Some((prefix, group)) => {
            for path in group.trim_end_matches('}').split(',').filter(|path| !path.trim().is_empty()) {
                one(prefix, path);
            }
        }
        None => body.split(',').for_each(|path| one("", path)),
    }
}
