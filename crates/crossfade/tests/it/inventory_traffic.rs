//! `inventory --traffic`: requests that a gateway recorded beside a small tree of code.

use scripted::{Script, Upstream, chat_completion, chat_stream};
use serde_json::{Value, json};

use crate::parts::{CALLER_KEY, House, request, until};

/// A gateway in front of a scripted vendor: one route whose model is another, and one that carries its model's name.
fn house(upstream: &Upstream) -> House {
    House::new(&format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\nproviders:\n  vendor: {{ dialect: openai, base_url: {}/v1 }}\ntargets:\n  \
         qwen: {{ provider: vendor, model: Qwen/Qwen3-32B }}\n  small: {{ provider: vendor, model: text-embedding-3-small }}\nroutes:\n  \
         gpt-4o: {{ target: qwen }}\n  text-embedding-3-small: {{ target: small }}\n",
        upstream.url()
    ))
}

fn vendor() -> Upstream {
    Upstream::with(|request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        match (request.path.as_str(), &body["stream"]) {
            ("/v1/embeddings", _) => Script::json(
                json!({ "object": "list", "model": "m", "data": [{ "object": "embedding", "index": 0, "embedding": [0.5] }],
                    "usage": { "prompt_tokens": 7, "total_tokens": 7 } })
                .to_string(),
            ),
            (_, Value::Bool(true)) => Script::stream(chat_stream(&["a", "b"], true)),
            _ => Script::json(chat_completion("yes")),
        }
    })
}

/// Code that asks for the route, for a model nobody asked for through the gateway, and for whichever is configured.
fn tree(house: &House) {
    for (path, text) in [
        (
            "app/ask.py",
            "from openai import OpenAI\nc = OpenAI()\nc.chat.completions.create(model='gpt-4o', messages=[])\n",
        ),
        (
            "app/old.py",
            "from openai import OpenAI\nc = OpenAI()\nc.chat.completions.create(model='gpt-3.5-turbo', messages=[])\n",
        ),
        (
            "app/any.py",
            "import os\nfrom openai import OpenAI\nc = OpenAI()\nc.embeddings.create(model=os.environ['M'], input='x')\n",
        ),
    ] {
        let path = house.path().join("shop").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

/// Three chats, one of them streamed and one with tools, under a key; and two embeddings under another's.
fn recorded(house: &House) {
    let key = house.run(&["keys", "create", "shop", "--tenant", "acme"]).exits(0).stdout.trim().to_owned();
    let gateway = house.serve();
    let ask = |key: &str, path: &str, body: Value| {
        let bearer = format!("Bearer {key}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let answer = request(gateway.data, "POST", path, &headers, &body.to_string());
        assert_eq!(answer.status, 200, "{}", answer.body);
    };
    let messages = json!([{ "role": "user", "content": "hi" }]);
    let tools = json!([{ "type": "function", "function": { "name": "f" } }]);
    ask(&key, "/v1/chat/completions", json!({ "model": "gpt-4o", "messages": messages, "temperature": 0 }));
    ask(&key, "/v1/chat/completions", json!({ "model": "gpt-4o", "messages": messages, "tools": tools }));
    ask(&key, "/v1/chat/completions", json!({ "model": "gpt-4o", "messages": messages, "stream": true }));
    for _ in 0..2 {
        ask(CALLER_KEY, "/v1/embeddings", json!({ "model": "text-embedding-3-small", "input": "x" }));
    }
    until(|| {
        let rows = gateway.run(&["exchanges", "list", "--format", "json"]).exits(0).json();
        (rows.as_array().unwrap().len() == 5).then_some(())
    });
    assert_eq!(gateway.stop(), 0);
}

fn facts(house: &House, more: &[&str]) -> Value {
    let arguments = [&["inventory", "shop", "--no-cache", "--traffic", "--format", "json"][..], more].concat();
    house.run(&arguments).exits(0).json()
}

#[test]
fn what_was_recorded_stands_beside_the_code_that_asked_for_it() {
    let upstream = vendor();
    let house = house(&upstream);
    tree(&house);
    recorded(&house);
    let traffic = &facts(&house, &[])["traffic"];
    let rows = traffic["joined"].as_array().unwrap().iter().map(|row| {
        let sites: Vec<String> = row["sites"]
            .as_array()
            .unwrap()
            .iter()
            .map(|site| format!("{}:{}", site["path"].as_str().unwrap(), site["line"]))
            .collect();
        let text = |key: &str| row[key].as_str().unwrap_or("-").to_owned();
        format!("{} {} {} {} {}", text("seen"), text("by"), text("operation"), text("model"), sites.join(" "))
    });
    assert_eq!(
        rows.collect::<Vec<_>>(),
        [
            "both model chat gpt-4o app/ask.py:3",
            "both operation embeddings text-embedding-3-small app/any.py:4",
            "both vendor client  app/any.py:3 app/ask.py:2 app/old.py:2",
            "code_only - chat gpt-3.5-turbo app/old.py:3",
        ]
    );
    let chat = &traffic["uses"][0];
    assert_eq!((&chat["requests"], &chat["complete"], &chat["streamed"]), (&3.into(), &3.into(), &1.into()));
    assert_eq!(chat["capabilities"], json!({ "streaming": 1, "tools": 1 }));
    assert_eq!((&chat["bodies_read"], &chat["parameters"]["temperature"]), (&3.into(), &1.into()));
    assert_eq!(chat["callers"], json!([{ "key": "shop", "tenant": "acme", "requests": 3 }]));
    assert_eq!(chat["models"][0]["model"], "Qwen/Qwen3-32B");
    assert_eq!((&chat["input_tokens"]["p95"], &chat["output_tokens"]["p50"]), (&9.into(), &3.into()));
    assert_eq!((&chat["peaks"]["hour"]["requests"], &chat["first_token_ms"]["n"]), (&3.into(), &1.into()));
    assert!(chat["end_ms"]["p95"].as_f64().unwrap() > 0.0);
    let other = &traffic["uses"][1];
    assert_eq!((&other["requests"], &other["models"][0]["vendor"]), (&2.into(), &"openai".into()));
    assert!(!other["callers"][0]["key"].as_str().unwrap().contains("sk-"), "a hash, never the key");
    let sum = |name: &str| traffic["week"][name].as_array().unwrap().iter().map(|n| n.as_f64().unwrap()).sum::<f64>();
    assert_eq!((sum("requests"), traffic["week"]["requests"].as_array().unwrap().len()), (5.0, 168));
    assert!((1.0..=2.0).contains(&sum("recorded")), "an hour, or two when the clock struck in between");
}

#[test]
fn tables_csv_and_a_look_at_no_bodies_say_the_same() {
    let upstream = vendor();
    let house = house(&upstream);
    tree(&house);
    recorded(&house);
    let done = house.run(&["inventory", "shop", "--no-cache", "--traffic", "--hours"]).exits(0);
    for words in
        ["code only", "app/old.py:3", "tools 33 %", "acme", "UTC", "Qwen/Qwen3-32B (vendor)", "week, chat gpt-4o"]
    {
        assert!(done.stdout.contains(words), "{words} not in\n{}", done.stdout);
    }
    assert!(done.stderr.contains("3 in both, 1 in code only, 0 in traffic only"), "{}", done.stderr);
    let csv = house.run(&["inventory", "--traffic", "--as", "csv"]).exits(0);
    assert_eq!(csv.stdout.lines().count(), 3, "without a path the traffic alone:\n{}", csv.stdout);
    assert!(csv.stdout.lines().skip(1).all(|line| line.starts_with("traffic only,")), "{}", csv.stdout);
    house.run(&["inventory", "shop", "--no-cache", "--traffic", "-o", "uses.html"]).exits(0);
    let page = std::fs::read_to_string(house.path().join("uses.html")).unwrap();
    for words in ["Recorded traffic and code of shop", "app/old.py:3", "tools 33 %", "<td>acme", "5 requests on record"]
    {
        assert!(page.contains(words), "{words} not in\n{page}");
    }
    let unread = facts(&house, &["--bodies", "0"]);
    let chat = &unread["traffic"]["uses"][0];
    assert_eq!((&chat["bodies_read"], &chat["capabilities"]), (&0.into(), &json!({ "streaming": 1 })));
    let later = facts(&house, &["--since", "1ms"]);
    assert_eq!((&later["traffic"]["requests"], &later["traffic"]["week"]), (&0.into(), &Value::Null));
    assert_eq!(later["traffic"]["joined"][0]["seen"], "code_only");
}

#[test]
fn the_replacement_matrix_has_what_was_recorded_beside_the_code_in_every_form() {
    let upstream = vendor();
    let house = house(&upstream);
    tree(&house);
    recorded(&house);
    let matrix = |more: &[&str]| house.run(&[&["inventory", "matrix", "--no-cache", "--traffic"], more].concat());
    let rows = |more: &[&str]| -> Vec<String> {
        let made = matrix(&[&["--format", "json"], more].concat()).exits(0).json();
        let rows = made["rows"].as_array().unwrap().iter();
        rows.map(|row| {
            format!("{} {} {}", row["need"], row["places"].as_array().unwrap().len(), row["requests"]).replace('"', "")
        })
        .collect()
    };
    assert_eq!(rows(&["shop"]), ["chat 2 3", "streaming 0 1", "tools 0 1", "embeddings 1 2"]);
    assert_eq!(rows(&[]), ["chat 0 3", "streaming 0 1", "tools 0 1", "embeddings 0 2"], "the traffic alone");
    let unread = matrix(&["shop", "--format", "json", "--bodies", "0"]).exits(0).json();
    assert_eq!(unread["rows"].as_array().unwrap().len(), 3, "a stream is on record without its body, tools are not");
    assert_eq!((&unread["traffic"]["requests"], &unread["traffic"]["bodies_read"]), (&5.into(), &0.into()));
    let table = matrix(&["shop"]).exits(0);
    assert!(table.stdout.contains("requests") && table.stdout.contains("5 requests on record"), "{}", table.stdout);
    assert!(table.stderr.contains("in use at 6 call sites and in 5 recorded requests"), "{}", table.stderr);
    for (file, words) in [
        ("m.html", ["no place seen, 1 request", "Traffic: 5 requests on record"]),
        ("m.md", ["| Tools (`tools`) | no place seen, 1 request |", "Traffic: 5 requests on record"]),
        ("m.csv", ["tools,Tools,0,1,", "embeddings,Embeddings,1,2,"]),
    ] {
        matrix(&["shop", "-o", file]).exits(0);
        let text = std::fs::read_to_string(house.path().join(file)).unwrap();
        for words in words {
            assert!(text.contains(words), "{words} not in {file}\n{text}");
        }
    }
    house.run(&["inventory", "matrix"]).exits(2);
    house.run(&["inventory", "matrix", "shop", "--since", "1d"]).exits(2);
}

#[test]
fn without_a_record_the_next_step_is_said() {
    let upstream = vendor();
    let house = house(&upstream);
    let done = house.run(&["inventory", "--traffic"]).exits(1);
    assert!(done.stderr.contains("there is no record") && done.stderr.contains("hint:"), "{}", done.stderr);
    let done = house.run(&["inventory", "--traffic", "--as", "sarif"]).exits(2);
    assert!(done.stderr.contains("hint: with `--traffic` there are a table"), "{}", done.stderr);
    house.run(&["inventory"]).exits(2);
    house.run(&["inventory", ".", "--since", "1d"]).exits(2);
}
