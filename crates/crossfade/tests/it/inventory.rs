//! `inventory`: a small tree of several languages as a table, JSON, CSV and SARIF, what it exits with, and what it keeps.

use std::path::Path;

use serde_json::Value;

use crate::parts::{CONFIG, House};

/// A repository with a client in one file, its call in another, configuration, a manifest and a key.
fn tree(house: &House) -> String {
    let root = house.path().join("shop");
    let write = |path: &str, text: &str| {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("app/llm.py", "from openai import OpenAI\nmodel_client = OpenAI()\n");
    write("app/use.py", "from app.llm import model_client as c\nc.responses.create(model='claude-2.1', stream=True)\n");
    write("web/a.ts", "import OpenAI from 'openai';\nnew OpenAI().chat.completions.create({ model: 'gpt-4o' });\n");
    write("web/package.json", "{ \"dependencies\": { \"openai\": \"^4.20.1\" } }\n");
    write("deploy/.env", "OPENAI_API_KEY=${KEY}\n");
    write("node_modules/openai/index.ts", "import OpenAI from 'openai';\nnew OpenAI();\n");
    write("CODEOWNERS", "/web/ @web\n");
    root.display().to_string()
}

fn scan(house: &House, more: &[&str]) -> (i32, String, String) {
    let root = tree(house);
    let cache = house.path().join("kept").display().to_string();
    let mut arguments = vec!["inventory", &root, "--cache", &cache];
    arguments.extend(more);
    let done = house.run(&arguments);
    (done.code, done.stdout, done.stderr)
}

#[test]
fn sites_of_several_files_and_languages_are_found_with_version_owner_and_end() {
    let house = House::new(CONFIG);
    let (code, stdout, stderr) = scan(&house, &["--format", "json"]);
    assert_eq!(code, 0, "{stderr}");
    let facts: Value = serde_json::from_str(&stdout).unwrap();
    let findings = facts["findings"].as_array().unwrap();
    let shown: Vec<String> = findings
        .iter()
        .map(|of| {
            let text = |name: &str| of[name].as_str().unwrap_or("-").to_owned();
            format!("{}:{} {} {} {}", text("path"), of["line"], text("kind"), text("operation"), text("version"))
        })
        .collect();
    assert_eq!(
        shown,
        [
            "app/llm.py:2 client client -",
            "app/use.py:2 call responses -",
            "deploy/.env:1 setting client -",
            "web/a.ts:2 call chat 4.20.1",
            "web/package.json:1 dependency client 4.20.1",
        ]
    );
    assert_eq!(findings[1]["sunsets"][0]["ends"], "2025-07-21");
    assert_eq!(findings[1]["flags"]["streaming"], true);
    assert_eq!(findings[3]["owners"][0], "@web");
}

#[test]
fn a_second_run_reads_from_what_was_kept_and_finds_the_same() {
    let house = House::new(CONFIG);
    let (_, first, _) = scan(&house, &["--format", "json"]);
    let (_, second, _) = scan(&house, &["--format", "json"]);
    let (first, second): (Value, Value) =
        (serde_json::from_str(&first).unwrap(), serde_json::from_str(&second).unwrap());
    assert_eq!(first["findings"], second["findings"]);
    assert_eq!(first["files"]["kept"], 0);
    assert_eq!(second["files"]["kept"], second["files"]["candidates"]);
}

#[test]
fn other_forms_say_the_same_and_fail_on_ends_with_3() {
    let house = House::new(CONFIG);
    let (code, csv, _) = scan(&house, &["--as", "csv", "--fail-on", "certain"]);
    assert_eq!((code, csv.lines().count()), (3, 6), "{csv}");
    let (_, sarif, _) = scan(&house, &["--as", "sarif", "--sites"]);
    let sarif: Value = serde_json::from_str(&sarif).unwrap();
    assert_eq!(sarif["runs"][0]["results"].as_array().unwrap().len(), 3);
    assert_eq!(sarif["runs"][0]["results"][1]["level"], "error");
    let (code, table, stderr) = scan(&house, &[]);
    assert_eq!(code, 0);
    assert!(table.contains("app/use.py:2") && table.contains("over"), "{table}");
    assert!(stderr.contains("3 call sites"), "{stderr}");
}

#[test]
fn what_is_no_directory_is_said_with_a_hint() {
    let house = House::new(CONFIG);
    let done = house.run(&["inventory", "nowhere"]);
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("cannot read nowhere"), "{}", done.stderr);
    let done = house.run(&["inventory", "crossfade.yaml"]);
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("hint:"), "{}", done.stderr);
}

#[test]
fn what_gitignore_names_is_left_out_unless_asked_for() {
    let house = House::new(CONFIG);
    let root = std::path::PathBuf::from(tree(&house));
    let write = |path: &str, text: &str| {
        std::fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        std::fs::write(root.join(path), text).unwrap();
    };
    write(".gitignore", "generated/\n*.local.py\n!web/kept.local.py\n");
    write("web/.gitignore", "/only-here.py\n");
    let source = "from openai import OpenAI\nOpenAI()\n";
    for path in ["generated/a.py", "b.local.py", "web/kept.local.py", "web/only-here.py", "only-here.py"] {
        write(path, source);
    }
    let shown = |more: &[&str]| {
        let mut arguments = vec!["inventory", root.to_str().unwrap(), "--no-cache", "--format", "json", "--sites"];
        arguments.extend(more);
        let facts: Value = serde_json::from_str(&house.run(&arguments).stdout).unwrap();
        let findings = facts["findings"].as_array().unwrap().clone();
        findings.iter().map(|of| of["path"].as_str().unwrap().to_owned()).collect::<Vec<String>>()
    };
    let own = shown(&[]);
    assert!(own.contains(&"only-here.py".to_owned()) && own.contains(&"web/kept.local.py".to_owned()), "{own:?}");
    for path in ["generated/a.py", "b.local.py", "web/only-here.py"] {
        assert!(!own.contains(&path.to_owned()), "{own:?}");
        assert!(shown(&["--with-ignored"]).contains(&path.to_owned()), "{path}");
    }
}

fn git(at: &Path, arguments: &[&str]) {
    let names = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "init.defaultBranch=main"];
    let done = std::process::Command::new("git").current_dir(at).args(names).args(arguments).output();
    let done = done.expect("these tests need git: apt-get install -y git");
    assert!(done.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn a_repository_without_its_files_is_read_as_its_last_commit_is() {
    let house = House::new(CONFIG);
    let root = std::path::PathBuf::from(tree(&house));
    git(&root, &["init", "--quiet"]);
    git(&root, &["add", "--all"]);
    git(&root, &["commit", "--quiet", "-m", "first"]);
    git(house.path(), &["clone", "--quiet", "--bare", "shop", "shop.git"]);
    // What is not committed is not in it.
    std::fs::write(root.join("app/new.py"), "from openai import OpenAI\nOpenAI()\n").unwrap();
    let found = |path: &Path| {
        let done = house.run(&["inventory", path.to_str().unwrap(), "--no-cache", "--format", "json"]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        serde_json::from_str::<Value>(&done.stdout).unwrap()["findings"].clone()
    };
    let bare = found(&house.path().join("shop.git"));
    assert_eq!(bare.as_array().unwrap().len(), 5, "{bare:#}");
    assert_eq!(bare, found(&root.join(".git")));
    assert_eq!(found(&root).as_array().unwrap().len(), 6);
    assert_eq!(bare[3]["owners"][0], "@web");
}

#[test]
fn who_wrote_a_line_last_owns_a_site_that_nobody_else_does() {
    let house = House::new(CONFIG);
    let root = std::path::PathBuf::from(tree(&house));
    git(&root, &["init", "--quiet"]);
    git(&root, &["add", "--all"]);
    git(&root, &["commit", "--quiet", "-m", "first"]);
    let done =
        house.run(&["inventory", root.to_str().unwrap(), "--no-cache", "--format", "json", "--sites", "--blame"]);
    let facts: Value = serde_json::from_str(&done.stdout).unwrap();
    let owners: Vec<String> = facts["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|of| format!("{} {}", of["owners"][0].as_str().unwrap_or("-"), of["owners_from"].as_str().unwrap_or("-")))
        .collect();
    assert_eq!(owners, ["ada@example.com blame", "ada@example.com blame", "@web codeowners"]);
}

#[test]
fn files_that_cannot_be_read_are_named_and_nothing_else_is_lost() {
    let house = House::new(CONFIG);
    let root = std::path::PathBuf::from(tree(&house));
    let source = b"from openai import OpenAI\nOpenAI()\n";
    std::fs::write(root.join("app/latin.py"), [source.as_slice(), b"# caf\xe9\n"].concat()).unwrap();
    let wide: Vec<u8> = [0xfeff_u16]
        .into_iter()
        .chain("using OpenAI.Chat;\nclass A { ChatClient c = new(\"gpt-4o\", k); }\n".encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    std::fs::write(root.join("app/wide.cs"), wide).unwrap();
    std::fs::write(root.join("app/binary.py"), b"\x7fELF\0\0\0").unwrap();
    std::fs::File::create(root.join("app/huge.py")).unwrap().set_len(5_000_000).unwrap();
    std::os::unix::fs::symlink("..", root.join("app/loop")).unwrap();
    std::os::unix::fs::symlink("nowhere", root.join("app/dangling.py")).unwrap();
    let done = house.run(&["inventory", root.to_str().unwrap(), "--no-cache", "--format", "json", "--sites"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let facts: Value = serde_json::from_str(&done.stdout).unwrap();
    let paths: Vec<&str> =
        facts["findings"].as_array().unwrap().iter().map(|of| of["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["app/latin.py", "app/llm.py", "app/use.py", "app/wide.cs", "web/a.ts"]);
    let not_read = facts["not_read"].as_array().unwrap();
    let why: Vec<String> =
        not_read.iter().map(|of| format!("{} {}", of["path"].as_str().unwrap(), of["why"].as_str().unwrap())).collect();
    assert_eq!(why, ["app/binary.py is no text", "app/huge.py is larger than 4 MB: 5 MB"]);
    assert!(done.stderr.contains("app/huge.py is larger than 4 MB"), "{}", done.stderr);
}

#[test]
fn each_form_of_fail_on_ends_with_3_only_when_it_is_found() {
    let house = House::new(CONFIG);
    for (form, code) in [
        ("certain", 3),
        ("ended", 3),
        ("ends", 3),
        ("key", 0),
        ("vendor:openai", 3),
        ("vendor:cohere", 0),
        ("operation:responses", 3),
        ("operation:images", 0),
        ("model:claude-2.1", 3),
        ("model:gpt-4", 0),
    ] {
        let (ended, _, stderr) = scan(&house, &["--fail-on", form]);
        assert_eq!(ended, code, "{form}: {stderr}");
        assert_eq!(stderr.contains(&format!("--fail-on {form}")), code == 3, "{stderr}");
    }
    let (ended, _, _) = scan(&house, &["--fail-on", "key", "--fail-on", "model:claude-2.1"]);
    assert_eq!(ended, 3);
    let (ended, _, stderr) = scan(&house, &["--fail-on", "certian"]);
    assert_eq!(ended, 2, "{stderr}");
    assert!(stderr.contains("did you mean `certain`?"), "{stderr}");
    let (ended, _, stderr) = scan(&house, &["--fail-on", "vendor:opnai"]);
    assert_eq!(ended, 2, "{stderr}");
    assert!(stderr.contains("did you mean `vendor:openai`?"), "{stderr}");
}

#[test]
fn the_ending_of_the_file_says_the_form() {
    let house = House::new(CONFIG);
    for (file, begins) in [
        ("x.html", "<!doctype html>"),
        ("x.csv", "path,"),
        ("x.cdx.json", "{\n  \"$schema\": \"http://cyclonedx.org/schema/bom-1.6.schema.json\""),
        ("x.json", "{\n  \"date\""),
        ("x.sarif", "{\n  \"$schema\""),
        ("x.txt", "where"),
    ] {
        let path = house.path().join(file);
        let (ended, _, stderr) = scan(&house, &["-o", path.to_str().unwrap()]);
        assert_eq!(ended, 0, "{file}: {stderr}");
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.starts_with(begins), "{file}: {text}");
    }
    let (ended, _, stderr) = scan(&house, &["-o", "x.pdf"]);
    assert_eq!(ended, 2, "{stderr}");
    assert!(stderr.contains(".cdx.json, .json, .html"), "{stderr}");
}

#[test]
fn a_run_after_one_that_was_cut_reads_what_is_missing_and_finds_the_same() {
    let house = House::new(CONFIG);
    let (_, first, _) = scan(&house, &["--format", "json"]);
    let kept = house.path().join("kept").join("read.bin");
    let bytes = std::fs::read(&kept).unwrap();
    std::fs::write(&kept, &bytes[..bytes.len() / 2]).unwrap();
    let (_, second, _) = scan(&house, &["--format", "json"]);
    let (_, third, _) = scan(&house, &["--format", "json"]);
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let (first, second, third) = (read(&first), read(&second), read(&third));
    assert_eq!(first["findings"], second["findings"]);
    assert_eq!(first["findings"], third["findings"]);
    let n_kept = second["files"]["kept"].as_u64().unwrap();
    assert!(n_kept > 0 && n_kept < second["files"]["candidates"].as_u64().unwrap(), "{n_kept}");
    assert_eq!(third["files"]["kept"], third["files"]["candidates"]);
}

#[test]
fn a_bill_of_materials_names_models_libraries_and_vendors_with_their_places() {
    let house = House::new(CONFIG);
    let (code, text, _) = scan(&house, &["--as", "bom"]);
    assert_eq!(code, 0);
    let bom: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&bom["bomFormat"], &bom["specVersion"]), (&"CycloneDX".into(), &"1.6".into()));
    let components = bom["components"].as_array().unwrap();
    let named =
        |name: &str| components.iter().find(|of| of["name"] == name).unwrap_or_else(|| panic!("{name}: {text}"));
    let old = named("claude-2.1");
    assert_eq!(old["type"], "machine-learning-model");
    assert_eq!(old["evidence"]["occurrences"][0]["location"], "app/use.py");
    assert_eq!(old["evidence"]["occurrences"][0]["line"], 2);
    assert!(components.iter().any(|of| of["purl"] == "pkg:npm/openai@4.20.1"), "{text}");
    assert!(bom["services"].as_array().unwrap().iter().any(|of| of["name"] == "openai"));
    let refs: std::collections::HashSet<&str> = components
        .iter()
        .chain(bom["services"].as_array().unwrap())
        .map(|of| of["bom-ref"].as_str().unwrap())
        .collect();
    assert_eq!(refs.len(), components.len() + bom["services"].as_array().unwrap().len(), "{text}");
}

#[test]
fn a_page_says_the_same_and_runs_nothing() {
    let house = House::new(CONFIG);
    let root = std::path::PathBuf::from(tree(&house));
    std::fs::write(
        root.join("app/page.py"),
        "from openai import OpenAI\nOpenAI().chat.completions.create(model='<script>alert(1)</script>')\n",
    )
    .unwrap();
    let file = house.path().join("page.html");
    let shown = file.display().to_string();
    let done = house.run(&["inventory", root.to_str().unwrap(), "--no-cache", "--as", "html", "-o", &shown]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let page = std::fs::read_to_string(&file).unwrap();
    assert!(page.contains("default-src 'none'") && !page.contains("<script>"), "{page}");
    for word in ["app/use.py:2", "claude-2.1", "2025-07-21", "&lt;script&gt;", "@web"] {
        assert!(page.contains(word), "{word}");
    }
}
