//! The tables of `docs/reference/import.md`.

use std::fmt::Write as _;

use super::rules::{Section, Verdict};
use super::vendors::{Reach, VENDORS};
use super::{litellm, portkey, tensorzero};

/// The tables of one chapter, as Markdown. Empty for a chapter that has none.
pub fn tables(chapter: &str) -> String {
    match chapter {
        "litellm" => sections(litellm::tables::SECTIONS),
        "litellm parameters" => {
            let names = litellm::tables::REQUEST_PARAMETERS.iter().map(|name| format!("`{name}`"));
            names.collect::<Vec<_>>().join(", ") + "\n"
        }
        "tensorzero" => sections(tensorzero::tables::SECTIONS),
        "portkey" => sections(portkey::tables::SECTIONS),
        "providers" => providers(),
        _ => String::new(),
    }
}

fn sections(sections: &[Section]) -> String {
    let mut text = String::new();
    let mut line = |words: std::fmt::Arguments<'_>| {
        // Writing to a String cannot fail.
        writeln!(text, "{words}").unwrap_or_default();
    };
    for Section { at, rules } in sections {
        line(format_args!("\n**{at}**\n\n| key | ends as | |\n|---|---|---|"));
        for rule in *rules {
            match rule.verdict {
                Verdict::Mapped(to) => line(format_args!("| `{}` | mapped | {to} |", rule.key)),
                Verdict::Harmless(why) => line(format_args!("| `{}` | harmless | {why} |", rule.key)),
                Verdict::Unsupported(why, hint) => {
                    line(format_args!("| `{}` | unsupported | {why}; {hint} |", rule.key))
                }
            }
        }
    }
    text
}

fn providers() -> String {
    let names =
        |names: &[&str], end: &str| names.iter().map(|name| format!("`{name}{end}`")).collect::<Vec<_>>().join(", ");
    let mut text = "\n| provider | LiteLLM | TensorZero | Portkey | dialect, class | reached at | key |\n|---|---|---|---|---|---|---|\n".to_owned();
    for vendor in VENDORS {
        let (at, key) = match vendor.reach {
            Reach::No { why, .. } => (format!("unsupported: {why}"), ""),
            reach if reach.base_url().is_empty() => ("the address given".to_owned(), reach.key()),
            reach => (reach.base_url().to_owned(), reach.key()),
        };
        let dialect = match vendor.reach {
            Reach::No { .. } => String::new(),
            reach => format!("{}, {}", reach.dialect(), reach.class()),
        };
        let key = if key.is_empty() { "none".to_owned() } else { format!("`{key}`") };
        let (litellm, tensorzero, portkey) =
            (names(vendor.litellm, "/"), names(vendor.tensorzero, ""), names(vendor.portkey, ""));
        writeln!(text, "| {} | {litellm} | {tensorzero} | {portkey} | {dialect} | {at} | {key} |", vendor.name)
            .unwrap_or_default();
    }
    text
}
