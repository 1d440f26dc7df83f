//! The pages for operators are what the binary is: its admin routes, its verbs.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::parts::{CONFIG, Gateway, House, request};

fn page(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The cells of the rows of the table behind `marker`.
fn table(page: &str, marker: &str) -> Vec<Vec<String>> {
    let (_, table) = page.split_once(marker).unwrap();
    let (table, _) = table.split_once("<!-- end -->").unwrap();
    let rows = table.lines().filter(|line| line.starts_with('|')).skip(2);
    let cells = |line: &str| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect();
    rows.map(cells).collect()
}

#[test]
fn the_page_of_the_admin_api_has_exactly_the_routes_there_are() {
    let told: Vec<(String, String, String)> = table(&page("docs/reference/admin-api.md"), "<!-- routes -->")
        .into_iter()
        .map(|row| (row[0].clone(), row[1].replace('`', ""), row[2].clone()))
        .collect();
    let there: Vec<(String, String, String)> = console::ROUTES
        .iter()
        .map(|route| (route.method.to_owned(), route.path.to_owned(), route.role.as_str().to_owned()))
        .collect();
    assert_eq!(told, there);
}

/// Method, path and body of a curl line of the page.
fn curl(line: &str) -> (String, String, String) {
    let method = line.split_once("-X ").map(|(_, rest)| rest.split(' ').next().unwrap().to_owned());
    let body = line.split_once("-d '").map(|(_, rest)| rest.split('\'').next().unwrap().to_owned());
    let (_, path) = line.split_once("127.0.0.1:4001").unwrap();
    let method = method.unwrap_or_else(|| if body.is_some() { "POST".to_owned() } else { "GET".to_owned() });
    (method, path.trim_matches('\'').to_owned(), body.unwrap_or_default())
}

#[test]
fn what_the_page_of_the_admin_api_sends_is_taken() {
    let config = CONFIG
        .replace("to-qwen:", "support-to-qwen:")
        .replace("  new:", "  gpu:")
        .replace("provider: new", "provider: gpu");
    let house = House::new(&config);
    let gateway = house.serve();
    let page = page("docs/reference/admin-api.md");
    let lines: Vec<&str> = page.lines().filter(|line| line.starts_with("curl ")).collect();
    assert!(lines.len() >= 12);
    for line in lines {
        let (method, path, body) = curl(line);
        let answer = sent(&gateway, &method, &path, &body);
        assert_eq!(answer.0, 200, "{line}\n{}", answer.1);
        serde_json::from_str::<Value>(&answer.1).unwrap();
    }
    assert_eq!(gateway.stop(), 0);
}

fn sent(gateway: &Gateway<'_>, method: &str, path: &str, body: &str) -> (u16, String) {
    let answer = request(gateway.admin, method, path, &[("content-type", "application/json")], body);
    (answer.status, answer.body)
}

#[test]
fn check_ends_as_its_reference_says() {
    let with = |words: &str| format!("{CONFIG}{words}\n");
    let cases: [(&str, String, &[&str], i32); 8] = [
        ("a good config", with(""), &["check"], 0),
        ("the same as JSON", with(""), &["check", "--format", "json"], 0),
        ("an unknown key", with("lissten: 127.0.0.1:0"), &["check"], 2),
        ("text that is not YAML", with("\tx"), &["check"], 2),
        (
            "a variable that is not set",
            with("alerts: [{ url: \"https://h.example/\", secret: ${NOT_SET}, on: [breaches] }]"),
            &["check"],
            2,
        ),
        ("a file that is not there", with("prices: { files: [none.json] }"), &["check"], 2),
        ("no config", with(""), &["check", "--config", "none.yaml"], 2),
        ("an option nobody knows", with(""), &["check", "--strictly"], 2),
    ];
    for (what, config, arguments, code) in cases {
        let done = House::new(&config).run(arguments);
        assert_eq!(done.code, code, "{what}:\n{}{}", done.stdout, done.stderr);
    }
}

/// The commands of a page: lines of its shell blocks that begin with the binary's name, continued ones joined, and commands in the text.
fn commands(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    let (mut in_block, mut joined) = (false, String::new());
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block && (line.trim() == "```sh" || line.trim() == "```bash");
            joined.clear();
            continue;
        }
        if in_block {
            joined += line.trim();
            match joined.strip_suffix('\\') {
                Some(begun) => joined = begun.to_owned(),
                None => found.extend(
                    std::mem::take(&mut joined)
                        .split(['|', ';', '&'])
                        .map(str::trim)
                        .filter(|part| part.starts_with("crossfade "))
                        .map(str::to_owned),
                ),
            }
        } else {
            found.extend(
                line.split('`').skip(1).step_by(2).filter(|code| code.starts_with("crossfade ")).map(str::to_owned),
            );
        }
    }
    found
}

/// The words of a command up to what stands for something else (`NAME`, `…`, a comment), each as the shell would give it.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = command.trim();
    while !rest.is_empty() && !rest.starts_with('#') && !rest.starts_with(['>', '<']) {
        let (word, tail) = match rest.chars().next() {
            Some(quote @ ('"' | '\'')) => rest[1..].split_once(quote).unwrap_or((&rest[1..], "")),
            _ => rest.split_once(' ').unwrap_or((rest, "")),
        };
        words.push(word.to_owned());
        rest = tail.trim_start();
    }
    words
}

/// What each verb's own help says, by the verb; `None` where there is no such verb.
type Helps = BTreeMap<Vec<String>, Option<String>>;

fn help_of(house: &House, verbs: &[String], helps: &mut Helps) -> Option<String> {
    let help = helps.entry(verbs.to_vec()).or_insert_with(|| {
        let arguments: Vec<&str> = verbs.iter().map(String::as_str).chain(["--help"]).collect();
        let done = house.run(&arguments);
        (done.code == 0).then_some(done.stdout)
    });
    help.clone()
}

/// The verb a command names: as many of its first words as there are verbs to choose from.
fn verbs(house: &House, words: &[String], helps: &mut Helps) -> Vec<String> {
    let is_verb = |word: &&String| word.starts_with(|c: char| c.is_ascii_lowercase());
    let mut verbs = Vec::new();
    for word in words.iter().skip(1).take_while(is_verb) {
        let has_verbs = help_of(house, &verbs, helps).is_some_and(|help| help.contains("\nCommands:"));
        if !has_verbs {
            break;
        }
        verbs.push(word.clone());
    }
    verbs
}

#[test]
fn every_command_of_the_readme_and_the_pages_is_one_with_options_that_it_has() {
    let house = House::new(CONFIG);
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut pages = vec!["README.md".to_owned()];
    for directory in ["docs", "docs/reference"] {
        let names = std::fs::read_dir(root.join(directory)).unwrap().map(|entry| entry.unwrap().file_name());
        let names = names.map(|name| name.into_string().unwrap()).filter(|name| name.ends_with(".md"));
        pages.extend(names.map(|name| format!("{directory}/{name}")));
    }
    let mut helps = Helps::new();
    let (mut wrong, mut n) = (Vec::new(), 0);
    for name in pages {
        for command in commands(&page(&name)) {
            n += 1;
            let words = words(&command);
            let verbs = verbs(&house, &words, &mut helps);
            let help = help_of(&house, &verbs, &mut helps);
            let Some(help) = help else {
                wrong.push(format!("{name}: `{command}`: there is no `{}`", verbs.join(" ")));
                continue;
            };
            for option in words.iter().filter(|word| word.starts_with("--") && word.len() > 2) {
                let option = option.split(['=', ']', ',']).next().unwrap_or_default();
                let is_there = help.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').any(|word| word == option);
                if !is_there {
                    wrong.push(format!("{name}: `{command}`: no {option}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(n > 50, "{n} commands");
}

/// The text of the page's block in this language.
fn block<'a>(page: &'a str, language: &str) -> &'a str {
    let (_, block) = page.split_once(&format!("```{language}\n")).unwrap();
    block.split_once("```").unwrap().0
}

/// Runs a tool where the machine has it; what it says when it does not accept.
fn accepts(tool: &str, arguments: &[&str]) {
    let Ok(done) = std::process::Command::new(tool).args(arguments).output() else { return };
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{tool} {arguments:?}\n{said}");
}

#[test]
fn the_service_and_the_proxy_of_the_page_on_deployment_are_taken_by_their_programs() {
    let page = page("docs/deployment.md");
    let room = tempfile::TempDir::new().unwrap();
    let at = |name: &str| room.path().join(name).display().to_string();
    let unit = block(&page, "ini").replace("/usr/local/bin/crossfade", env!("CARGO_BIN_EXE_crossfade"));
    std::fs::write(at("crossfade.service"), unit).unwrap();
    accepts("systemd-analyze", &["verify", &at("crossfade.service")]);
    // Certificates are another's, and only root listens there.
    let server = block(&page, "nginx").replace("listen 443 ssl;", "listen 127.0.0.1:44390;");
    let without: Vec<&str> = server.lines().filter(|line| !line.trim().starts_with("ssl_certificate")).collect();
    assert_eq!(server.lines().count(), without.len() + 2);
    let (pid, server) = (at("nginx.pid"), without.join("\n"));
    let whole = format!("pid {pid};\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n{server}\n}}\n");
    std::fs::write(at("nginx.conf"), whole).unwrap();
    accepts("nginx", &["-t", "-e", "stderr", "-c", &at("nginx.conf")]);
}
