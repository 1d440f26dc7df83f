//! The plan as Markdown and as a page.

use inventory::matrix::render::markdown_cell as cell;

use super::{Block, ExitPlan, Section};
use crate::html::{STYLE, code, escaped};
use crate::words::moment;

/// What the page has beside the style of all pages.
const OWN_STYLE: &str = include_str!("plan.css");
const ART10: &str = "What Art. 10 of Delegated Regulation (EU) 2024/1773 asks";
const MISSING: &str = "Everything that is missing";
const SIMULATED: &str = "SIMULATED: evidence of this plan is of providers that make up their answers. It rehearses the plan, it proves nothing of the vendor.";
const NO_ADVICE: &str =
    "The items are said in our own words; whether they are met is for a lawyer with the text of the Official Journal.";

fn made(plan: &ExitPlan) -> String {
    format!("{} · crossfade {}", moment(plan.at_us), plan.version)
}

/// The table of Art. 10.
fn items(plan: &ExitPlan) -> Block {
    let rows = plan.items.iter().map(|item| {
        let evidence = match (&item.evidence, &item.supply) {
            (Some(evidence), _) => evidence.clone(),
            (None, supply) => format!("MISSING: {}", supply.as_deref().unwrap_or_default()),
        };
        vec![item.asks.to_owned(), format!("§ {}", item.section), evidence]
    });
    Block::Table { headings: vec!["item", "section", "evidence"], rows: rows.collect() }
}

fn missing(plan: &ExitPlan) -> Block {
    let rows = plan
        .missing()
        .map(|(section, missing)| vec![format!("§ {section}"), missing.what.clone(), missing.supply.clone()]);
    Block::Table { headings: vec!["section", "missing", "what supplies it"], rows: rows.collect() }
}

pub(super) fn markdown(plan: &ExitPlan) -> String {
    let mut text = format!("# Exit plan: {}\n\n**{}**\n\n{}\n", cell(&plan.route), cell(&plan.headline), made(plan));
    if plan.simulated {
        text += &format!("\n> {SIMULATED}\n");
    }
    for section in &plan.sections {
        text += &format!("\n## {}. {}\n", section.number, section.title);
        section.blocks.iter().for_each(|block| text += &block_text(block));
        text += &lacks(section, |what, supply| format!("- MISSING: {what} ({supply})\n"), ("\n", ""));
    }
    text += &format!("\n## {}. {ART10}\n{}\n{NO_ADVICE}\n", plan.sections.len() + 1, block_text(&items(plan)));
    text += &format!("\n## {}. {MISSING}\n", plan.sections.len() + 2);
    let none = plan.missing().next().is_none();
    text + &if none { "\nNothing.\n".to_owned() } else { block_text(&missing(plan)) }
}

fn lacks(section: &Section, one: impl Fn(&str, &str) -> String, (before, after): (&str, &str)) -> String {
    if section.missing.is_empty() {
        return String::new();
    }
    let lines: String =
        section.missing.iter().map(|missing| one(&cell(&missing.what), &cell(&missing.supply))).collect();
    format!("{before}{lines}{after}")
}

fn block_text(block: &Block) -> String {
    let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    match block {
        Block::Says(text) => format!("\n{}\n", cell(text)),
        Block::List(lines) => lines.iter().fold("\n".to_owned(), |text, line| text + &format!("- {}\n", cell(line))),
        Block::Table { headings, rows } => {
            let mut text = "\n".to_owned() + &row(headings.iter().map(|heading| (*heading).to_owned()).collect());
            text += &format!("|{}\n", "---|".repeat(headings.len()));
            rows.iter().for_each(|cells| text += &row(cells.iter().map(|text| cell(text)).collect()));
            text
        }
    }
}

pub(super) fn html(plan: &ExitPlan) -> String {
    let title = format!("Exit plan: {}", escaped(&plan.route));
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{title}</title>\n<style>\n{STYLE}{OWN_STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n\
         <p class=\"small\">{}</p>\n<div class=\"box\"><p class=\"say\">{}</p></div>\n",
        made(plan),
        code(&plan.headline)
    );
    if plan.simulated {
        page += &format!("<p class=\"warn\">{SIMULATED}</p>\n");
    }
    page += "<p class=\"contents\">";
    for section in &plan.sections {
        let n = section.missing.len();
        let mark = if n == 0 { String::new() } else { format!(" <span class=\"s undecided\">{n} missing</span>") };
        page += &format!("<a href=\"#s{0}\">{0}. {1}</a>{mark}<br>\n", section.number, section.title);
    }
    page += "</p>\n";
    for section in &plan.sections {
        page += &format!("<section id=\"s{0}\">\n<h2>{0}. {1}</h2>\n", section.number, section.title);
        section.blocks.iter().for_each(|block| page += &block_html(block));
        if !section.missing.is_empty() {
            page += "<ul class=\"missing\">\n";
            for missing in &section.missing {
                page += &format!(
                    "<li><span class=\"s fail\">MISSING</span> {}: {}</li>\n",
                    code(&missing.what),
                    code(&missing.supply)
                );
            }
            page += "</ul>\n";
        }
        page += "</section>\n";
    }
    page += &format!("<section>\n<h2>{}. {ART10}</h2>\n{}", plan.sections.len() + 1, block_html(&items(plan)));
    page += &format!("<p class=\"small\">{NO_ADVICE}</p>\n</section>\n");
    page += &format!("<section>\n<h2>{}. {MISSING}</h2>\n", plan.sections.len() + 2);
    page += &if plan.missing().next().is_none() { "<p>Nothing.</p>\n".to_owned() } else { block_html(&missing(plan)) };
    page + "</section>\n</body>\n</html>\n"
}

fn block_html(block: &Block) -> String {
    match block {
        Block::Says(text) => format!("<p>{}</p>\n", code(&text.replace("**", ""))),
        Block::List(lines) => {
            let lines: String = lines.iter().map(|line| format!("<li>{}</li>\n", code(line))).collect();
            format!("<ul>\n{lines}</ul>\n")
        }
        Block::Table { headings, rows } => {
            let head: String = headings.iter().map(|heading| format!("<th>{}</th>", escaped(heading))).collect();
            let head = if headings.iter().all(|heading| heading.is_empty()) {
                String::new()
            } else {
                format!("<tr>{head}</tr>\n")
            };
            let cell = |(heading, text): (&&str, &String)| format!("<td>{}</td>", mark(heading, text));
            let cells = |cells: &Vec<String>| headings.iter().zip(cells).map(cell).collect::<String>();
            let rows: String = rows.iter().map(|row| format!("<tr>{}</tr>\n", cells(row))).collect();
            format!("<table class=\"n{}\">\n{head}{rows}</table>\n", headings.len())
        }
    }
}

/// The columns that say how something went.
const VERDICTS: [&str; 4] = ["result", "standing", "verdict", "holds"];

/// A cell; a word that stands for how something went has a badge as well as its word, and so has what nobody knows.
fn mark(heading: &str, text: &str) -> String {
    let badge = |class: &str, word: &str| format!("<span class=\"s {class}\">{word}</span>");
    let is_verdict = VERDICTS.contains(&heading);
    match text {
        "pass" | "yes" | "equivalent" if is_verdict => badge("pass", text),
        "fail" | "NO" | "none" if is_verdict => badge("fail", text),
        "undecided" | "degraded" if is_verdict => badge("undecided", text),
        "not run" | "unproved" if is_verdict => badge("not_run", text),
        "not known" | "not measured" => badge("not_run", text),
        text => match text.strip_prefix("MISSING: ") {
            Some(rest) => format!("{} {}", badge("fail", "MISSING"), code(rest)),
            None => code(text),
        },
    }
}
