//! Whatever an example is changed into, what is imported from it passes the check.

use std::path::{Path, PathBuf};

use inventory::import::{Beside, Imported, Source, VariableKind, import};

use crate::config;

/// Values that a person, or a slip of the hand, may put in the place of another.
const VALUES: [&str; 36] = [
    "",
    "null",
    "true",
    "0",
    "-1",
    "0.0001",
    "1e12",
    "99999999999",
    "5",
    "a",
    "*",
    "a/*",
    "*/*",
    "openai/*",
    "openai/x",
    "azure/x",
    "anthropic/x",
    "hosted_vllm/x",
    "os.environ/X",
    "env::X",
    "http://h",
    "http://h/v1",
    "https://h:99999/v1",
    "https://x.openai.azure.com/",
    "http://<host>/v1",
    "\"${X}\"",
    "\"a: b # c\"",
    "\"'\"",
    "[]",
    "{}",
    "[a, 5]",
    "{ a: 5 }",
    "\"\\u0007\\u2028\"",
    "yes",
    "0.5",
    "openai",
];

struct Random(u64);

impl Random {
    /// xorshift64*.
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(high).unwrap() % n
    }
}

fn examples() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let directories = [root.join("../../tests/fixtures/litellm"), root.join("../inventory/src/import/tests")];
    let entries = directories.iter().flat_map(|directory| std::fs::read_dir(directory).unwrap());
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    let is_example = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        path.is_file() && Source::detect(&name).is_some() && !name.contains(".crossfade.") && name != "routing.json"
    };
    files.retain(is_example);
    files.sort();
    files
}

/// The same text with one to three values changed, lines dropped or lines doubled.
fn changed(text: &str, random: &mut Random) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for _ in 0..=random.below(3) {
        let at = random.below(lines.len());
        match random.below(8) {
            0 if lines.len() > 1 => drop(lines.remove(at)),
            1 => lines.insert(at, lines[at].clone()),
            _ => {
                let value = VALUES[random.below(VALUES.len())];
                let after = [": ", "= ", "- "].iter().find_map(|mark| Some(lines[at].find(mark)? + mark.len()));
                if let Some(after) = after {
                    lines[at].truncate(after);
                    lines[at].push_str(value);
                }
            }
        }
    }
    lines.join("\n")
}

fn nothing(_: &str) -> Option<String> {
    None
}

fn problems(imported: &Imported) -> Option<String> {
    let environment = |name: &str| {
        let variable = imported.environment.iter().find(|variable| variable.name == name)?;
        Some(if variable.kind == VariableKind::Url { "http://127.0.0.1:9/v1".to_owned() } else { format!("k-{name}") })
    };
    config::resolve("crossfade.yaml", &imported.config, &environment).err().map(|errors| config::render(&errors))
}

#[test]
fn whatever_an_example_is_changed_into_passes_the_check_once_it_is_imported() {
    // A check reads the price sheet anew: 3 to 9 ms each.
    let n_rounds = if std::env::var_os("CROSSFADE_SLOW_TESTS").is_some() { 400 } else { 40 };
    let mut n_imported = 0;
    for path in examples() {
        let (name, text) = (path.display().to_string(), std::fs::read_to_string(&path).unwrap());
        let source = Source::detect(&name).unwrap();
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        for round in 0..n_rounds {
            let text = if round == 0 { text.clone() } else { changed(&text, &mut random) };
            let beside = Beside { file: &name, read: &nothing, today: "2026-11-25", routes: &[] };
            let Ok(imported) = import(source, &text, &beside) else { continue };
            n_imported += 1;
            if let Some(problems) = problems(&imported) {
                panic!("{name}, change {round}:\n{problems}\n{}\nfrom:\n{text}", imported.config);
            }
        }
    }
    assert!(n_imported > 500, "only {n_imported} of the changed examples could be read");
}
