//! What a call is given: its parameters by name, wherever the language puts them.

use super::known::model_in_json;
use super::near::{in_form, key_model, model_near, set_before};
use super::parameters::{MODELS, SCHEMAS, TOOLS, VISION, VISION_NAMES, WRAPS, WRITES};
use crate::scan::facts::{Argument, BindingKind, Call, Chain, Root, Step, Value};
use crate::scan::finding::{Flags, Kind, Model, ModelFrom};
use crate::scan::link::{Hit, Repository};
use crate::scan::models;

/// The parameters of a request.
#[derive(Debug, Default)]
pub(super) struct Request {
    named: Vec<(String, Value)>,
    unnamed: Vec<Value>,
    /// Whether something of Azure's is given.
    mentions_azure: bool,
}

/// How deep a request is followed through variables and builders.
const DEPTH: u32 = 12;

/// How many values are looked at for one request.
const BUDGET: u32 = 400;

impl Request {
    /// Of a place where a rule fits.
    pub(super) fn of(repository: &Repository<'_>, file: usize, hit: &Hit<'_>) -> Request {
        // A call of Rust that is given nothing begins the request that is sent at the end of its chain.
        let is_begun =
            hit.call.arguments.is_empty() && repository.files()[file].language == crate::scan::language::Language::Rust;
        let chain = if hit.kind == Kind::Call && !is_begun { &[] } else { hit.chain };
        Request::of_made(repository, file, hit.call, chain)
    }

    /// Of a call, and what follows in its chain.
    pub(super) fn of_made(repository: &Repository<'_>, file: usize, call: &Call, chain: &[Step]) -> Request {
        let mut request = Request::default();
        let mut reader = Reader::new(repository, file, &mut request);
        reader.call(call, 0);
        reader.steps(chain, 0);
        request
    }

    /// Of settings that come before the call in its chain.
    pub(super) fn of_steps(repository: &Repository<'_>, file: usize, steps: &[Step]) -> Request {
        let mut request = Request::default();
        Reader::new(repository, file, &mut request).steps(steps, 0);
        request
    }

    /// Of what is sent by plain HTTP: the call, and what the chain adds to it.
    pub(super) fn of_sent(repository: &Repository<'_>, file: usize, call: &Call, rest: &[Step]) -> Request {
        let mut request = Request::default();
        let mut reader = Reader::new(repository, file, &mut request);
        reader.call(call, 0);
        reader.steps(rest, 0);
        // What is sent is the body, under whatever name.
        for body in
            ["json", "body", "data", "payload", "form", "setbody", "content", "bodyvalue", "sendjson", "jsonbody"]
        {
            if let Some(value) = reader.request.get(&[body]).cloned() {
                reader.given(&value, call.line, 1);
            }
        }
        // `request.body = …` before it is sent.
        for value in reader.request.unnamed.clone() {
            if let Value::Chain(Chain { root: Root::Name(name), steps, .. }) = &value
                && steps.is_empty()
                && let Some(body) = ["body", "Content"]
                    .iter()
                    .find_map(|member| repository.binding_value(file, &format!("{name}.{member}"), call.line))
            {
                reader.given(&body.clone(), call.line, 1);
            }
        }
        request
    }

    /// Of a call by itself.
    pub(super) fn of_call(repository: &Repository<'_>, file: usize, call: &Call) -> Request {
        let mut request = Request::default();
        Reader::new(repository, file, &mut request).call(call, 0);
        request
    }

    /// Of a body that is sent by itself.
    pub(super) fn of_body(repository: &Repository<'_>, file: usize, body: &Value, line: u32) -> Request {
        let mut request = Request::default();
        Reader::new(repository, file, &mut request).given(body, line, 0);
        request
    }

    /// What a body asks for, by the names in it.
    pub(super) fn asked(&self) -> Option<&'static str> {
        let value = |wanted: &str| {
            self.named.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value)
        };
        let has = |wanted: &str| value(wanted).is_some();
        let is_of_google = has("generationConfig") || has("generation_config") || has("safetySettings");
        if value("contents").is_some_and(|contents| is_of_google || mentions(contents, &["parts"], 0)) {
            return Some("chat");
        }
        if has("vector") && has("topK") || has("vectors") && has("namespace") {
            return Some("vector_store");
        }
        // A prompt that the vendor keeps, by its id.
        let is_kept = |prompt: &Value| match prompt {
            Value::Object(pairs) => ["id", "variables"].iter().all(|key| pairs.iter().any(|(name, _)| name == key)),
            _ => false,
        };
        if value("prompt").is_some_and(is_kept) {
            return Some("responses");
        }
        if !has("model") {
            return None;
        }
        match () {
            () if has("messages") => Some("chat"),
            () if has("prompt") && (has("max_tokens") || has("temperature")) => Some("completions"),
            () if has("input") && (has("instructions") || has("tools")) => Some("responses"),
            () => None,
        }
    }

    /// The model in what is sent by plain HTTP: a parameter, in a text of JSON, or in what the same function builds.
    pub(super) fn sent_model(&self, repository: &Repository<'_>, file: usize, line: u32) -> Model {
        let model = self.model(repository, file, line);
        if model.id.is_some() || model.from == ModelFrom::Config {
            return model;
        }
        let given = self.unnamed.iter().chain(self.named.iter().map(|(_, value)| value));
        let mut written = given.filter_map(|value| match value {
            Value::Text(text) => model_in_json(&repository.filled(file, &text.value, text.line)),
            _ => None,
        });
        let written = written
            .next()
            .or_else(|| if self.get(&["model"]).is_none() { model_near(repository, file, line) } else { None });
        written.or_else(|| in_form(repository, file, line)).unwrap_or(model)
    }

    /// Whether its model is one by the API of responses: `openai.responses("gpt-4o")`.
    pub(super) fn asks_responses(&self) -> bool {
        let Some(Value::Chain(chain)) = self.get(&["model"]) else { return false };
        matches!(chain.steps.as_slice(), [.., Step::Member(name, _), Step::Call(_)] if name == "responses")
    }

    /// The names, in the order they are given.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for (name, _) in &self.named {
            let is_name = !name.is_empty()
                && name.len() < 50
                && name.chars().all(|character| character.is_alphanumeric() || "_-".contains(character));
            if is_name && !names.contains(name) && names.len() < 40 {
                names.push(name.clone());
            }
        }
        names
    }

    pub(super) fn get(&self, names: &[&str]) -> Option<&Value> {
        let is_it = |name: &str| {
            let plain = plain(name);
            // A builder's `setModelName("…")`.
            names.contains(&plain.as_str()) || plain.strip_prefix("set").is_some_and(|rest| names.contains(&rest))
        };
        self.named.iter().find(|(name, _)| is_it(name)).map(|(_, value)| value)
    }

    /// Whether something is given under the name, in any case.
    pub(super) fn has_key(&self, wanted: &str) -> bool {
        self.named.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted))
    }

    /// What is given without a name.
    pub(super) fn unnamed(&self) -> &[Value] {
        &self.unnamed
    }

    /// The address that a client is told to call instead of its own.
    pub(super) fn base_address(&self, repository: &Repository<'_>, file: usize) -> Option<String> {
        repository.text(file, self.base()?, 0)
    }

    /// The same, as it is given.
    pub(super) fn base(&self) -> Option<&Value> {
        const NAMES: [&str; 16] = [
            "baseaddress",
            "baseurl",
            "apibase",
            "openaiapibase",
            "basepath",
            "endpoint",
            "azureendpoint",
            "uribase",
            "host",
            "url",
            "withbaseurl",
            "withendpoint",
            "baseuri",
            "serverurl",
            "apihost",
            "withapibase",
        ];
        self.get(&NAMES)
    }

    /// Whether it is Azure that is asked: something of its name is given, or its version in every address.
    pub(super) fn is_azure(&self) -> bool {
        self.mentions_azure || self.get(&["defaultquery"]).is_some_and(|value| mentions(value, &["api-version"], 0))
    }

    /// The model.
    pub(super) fn model(&self, repository: &Repository<'_>, file: usize, line: u32) -> Model {
        if let Some(value) = self.get(&MODELS) {
            return model_of(repository, file, value, line);
        }
        // `request.model = …` before it is given.
        for value in &self.unnamed {
            if let Value::Chain(Chain { root: Root::Name(name), steps, .. }) = value
                && steps.iter().all(|step| !matches!(step, Step::Call(_)))
            {
                let set = ["model", "Model", "model_id", "modelId", "ModelId", "engine", "Engine", "DeploymentName"]
                    .iter()
                    .find_map(|member| repository.binding_value(file, &format!("{name}.{member}"), line));
                if let Some(value) = set {
                    return model_of(repository, file, value, line);
                }
            }
        }
        // `options.setModel("…")` before it is given.
        for value in &self.unnamed {
            if let Value::Chain(Chain { root: Root::Name(name), steps, .. }) = value
                && steps.is_empty()
                && let Some((value, at)) = set_before(repository, file, name, line)
            {
                return model_of(repository, file, value, at);
            }
        }
        // `chat("gpt-4o")` at the beginning of a chain.
        // Agno's `OpenAIChat(id="gpt-4o")`, too.
        let is_begun = |name: &str| matches!(plain(name).as_str(), "chat" | "completion" | "responses" | "id");
        let is_id = |value: &Value| value.text().is_some_and(|id| models::vendor_of(id).is_some());
        if let Some((_, value)) = self.named.iter().find(|(name, value)| is_begun(name) && is_id(value)) {
            return model_of(repository, file, value, line);
        }
        // CrewAI's `Agent(llm="gpt-4o")`.
        if let Some(value) = self.get(&["llm"])
            && repository.text(file, value, line).is_some_and(|id| models::vendor_of(&id).is_some())
        {
            return model_of(repository, file, value, line);
        }
        // Given without a name: a text or a constant that is an id.
        for value in &self.unnamed {
            let model = model_of(repository, file, value, line);
            if model.id.as_deref().is_some_and(|id| models::vendor_of(id).is_some()) {
                return model;
            }
        }
        Model::default()
    }

    /// What is asked for.
    pub(super) fn flags(&self, hit: &Hit<'_>) -> Flags {
        let seen = hit.seen.to_lowercase();
        let own = self.flags_of_body();
        let streams = hit.kind == Kind::Call && seen.rsplit('.').next().is_some_and(|last| last.contains("stream"));
        let is_typed = seen.ends_with(".parse")
            || ["generateobject", "streamobject", "structured"].iter().any(|word| seen.contains(word));
        let is_after =
            |word: &str| hit.chain.iter().any(|step| matches!(step, Step::Member(name, _) if plain(name) == word));
        Flags {
            streaming: own.streaming || streams || hit.kind == Kind::Call && is_after("stream"),
            tools: own.tools || seen.contains("bind_tools") || seen.contains("bindtools"),
            // Spring AI's `.call().entity(Type.class)`
            schema: own.schema || is_typed || is_after("entity"),
            ..own
        }
    }

    /// The same from what is given alone.
    pub(super) fn flags_of_body(&self) -> Flags {
        let is_on = |names: &[&str]| self.get(names).is_some_and(|value| !matches!(value, Value::Flag(false)));
        let says = |needles: &[&str]| self.named.iter().any(|(_, value)| mentions(value, needles, 0));
        let form = self.get(&SCHEMAS);
        let is_form = |needles: &[&str]| form.is_some_and(|value| mentions(value, needles, 0));
        let asks_schema = self.get(&BY_SCHEMA).is_some() || says(&["json_schema"]) || is_form(&SCHEMA_FORMS);
        let json_mode = !asks_schema && (says(&["json_object"]) || is_form(&JSON_FORMS));
        Flags {
            streaming: is_on(&["stream", "streaming", "withstream"]),
            tools: self.named.iter().any(|(name, _)| TOOLS.contains(&plain(name).as_str())),
            schema: says(&["json_schema"]) || !json_mode && form.is_some_and(|value| !is_file_form(value)),
            json_mode,
            vision: says(&VISION) || self.named.iter().any(|(name, _)| VISION_NAMES.contains(&plain(name).as_str())),
            logprobs: is_on(&[
                "logprobs",
                "toplogprobs",
                "includelogprobabilities",
                "withlogprobs",
                "responselogprobs",
            ]),
        }
    }
}

/// Parameters that are given a schema, and forms of an answer that name one.
const BY_SCHEMA: [&str; 7] =
    ["schema", "responseschema", "responsejsonschema", "outputtype", "responsemodel", "jsonschema", "outputschema"];
const SCHEMA_FORMS: [&str; 6] =
    ["json_schema", "jsonSchema", "JsonSchema", "JSON_SCHEMA", "CreateJsonSchemaFormat", "ResponseFormatJSONSchema"];

/// Forms of an answer that is JSON, and no more.
const JSON_FORMS: [&str; 11] = [
    "json_object",
    "jsonObject",
    "JsonObject",
    "JSON_OBJECT",
    "JSONObject",
    "OfJSONObject",
    "CreateJsonObjectFormat",
    "ResponseFormatJSONObject",
    "ResponseFormatJSONObjectParam",
    "ChatCompletionResponseFormatTypeJSONObject",
    "application/json",
];

/// Forms of images, speech and transcripts, which are asked for by the same name.
fn is_file_form(value: &Value) -> bool {
    const FORMS: [&str; 13] =
        ["url", "b64_json", "text", "json", "srt", "vtt", "verbose_json", "mp3", "opus", "aac", "flac", "wav", "pcm"];
    matches!(value, Value::Flag(false)) || value.text().is_some_and(|text| FORMS.contains(&text))
}

struct Reader<'a> {
    repository: &'a Repository<'a>,
    file: usize,
    request: &'a mut Request,
    budget: u32,
}

impl<'a> Reader<'a> {
    fn new(repository: &'a Repository<'a>, file: usize, request: &'a mut Request) -> Reader<'a> {
        Reader { repository, file, request, budget: BUDGET }
    }

    fn call(&mut self, call: &Call, depth: u32) {
        for Argument { name, value } in &call.arguments {
            match name {
                Some(name) => {
                    self.request.named.push((name.clone(), value.clone()));
                    if WRAPS.contains(&plain(name).as_str()) {
                        self.given(value, call.line, depth + 1);
                    }
                }
                None => {
                    self.request.unnamed.push(value.clone());
                    self.given(value, call.line, depth + 1);
                }
            }
        }
    }

    /// Something given without a name: an object of parameters, a request built elsewhere, an option.
    fn given(&mut self, value: &Value, line: u32, depth: u32) {
        self.budget = self.budget.saturating_sub(1);
        if depth > DEPTH || self.budget == 0 {
            return;
        }
        match value {
            Value::Object(pairs) => {
                for (name, value) in pairs {
                    // PHP's `['http' => ['content' => $body]]` of a stream.
                    let is_stream = name == "http" && matches!(value, Value::Object(_));
                    if name.is_empty() || is_stream {
                        self.given(value, line, depth + 1);
                    } else {
                        self.request.named.push((name.clone(), value.clone()));
                    }
                }
                // `query({ prompt, options: { model: "…" } })`
                let own = pairs.iter().find(|(name, _)| name == "options").map(|(_, own)| own);
                if let Some(own @ Value::Object(_)) = own.filter(|_| depth < 2) {
                    self.given(own, line, depth + 2);
                }
            }
            Value::Chain(chain) => self.built(chain, line, depth),
            _ => {}
        }
    }

    fn built(&mut self, chain: &Chain, line: u32, depth: u32) {
        if let Root::Name(name) = &chain.root {
            if name.to_lowercase().contains("azure") {
                self.request.mentions_azure = true;
            }
            // `config.BaseURL = …` before it is given.
            let set = self.repository.binding_value(self.file, &format!("{name}.BaseURL"), line.max(chain.line));
            if let Some(address) = set.filter(|_| chain.steps.is_empty()) {
                self.request.named.push(("BaseURL".to_owned(), address.clone()));
            }
            let repository = self.repository;
            let bound = repository.bound_value(self.file, name, line.max(chain.line));
            let binding = bound.map(|at| &repository.files()[self.file].facts.bindings[at]);
            match binding.and_then(|binding| binding.value.as_ref()) {
                Some(value) => self.given(value, line, depth + 1),
                // What the one call of the function gives it.
                None => {
                    let passed =
                        binding.map(|binding| repository.passed_by_callers(self.file, binding)).unwrap_or_default();
                    if let [(value, at)] = passed.as_slice() {
                        self.given(value, *at, depth + 2);
                    }
                }
            }
        }
        if let Root::Group(values) = &chain.root {
            values.iter().for_each(|value| self.given(value, line, depth + 1));
        }
        self.returned(chain, depth);
        // `JsonContent.Create(new { … })`: what is written as JSON.
        if let (Root::Name(name), [Step::Member(made, _), Step::Call(call)]) = (&chain.root, chain.steps.as_slice())
            && (name.as_str(), made.as_str()) == ("JsonContent", "Create")
            && let Some(first) = call.arguments.first()
        {
            self.given(&first.value, call.line, depth + 1);
        }
        self.steps(&chain.steps, depth);
    }

    /// `build_body(messages)`: what a function of the file returns, where that is an object.
    fn returned(&mut self, chain: &Chain, depth: u32) {
        let name = match (&chain.root, chain.steps.as_slice()) {
            (Root::Name(name), [Step::Call(_), ..]) => name,
            (Root::Name(_) | Root::Itself, [Step::Member(name, _), Step::Call(_), ..]) => name,
            _ => return,
        };
        let repository = self.repository;
        let returns = repository.named(self.file, name).filter(|(_, binding)| binding.kind == BindingKind::Return);
        let mut said = returns.filter_map(|(_, binding)| Some((binding.value.as_ref()?, binding.line)));
        if let Some((value, line)) = said.next() {
            self.given(value, line, depth + 2);
        }
    }

    /// The setters of a builder, and calls with named arguments.
    fn steps(&mut self, steps: &[Step], depth: u32) {
        if depth > DEPTH {
            return;
        }
        for pair in steps.windows(2) {
            if let [Step::Member(name, _), Step::Call(call)] = pair {
                match call.arguments.first() {
                    Some(first) if call.arguments.len() == 1 && first.name.is_none() => {
                        self.request.named.push((name.clone(), first.value.clone()));
                        // `getGenerativeModel({ model: "…" }).generateContent(…)`
                        let is_model = name == "getGenerativeModel";
                        if is_model || WRAPS.contains(&plain(name).as_str()) || WRITES.contains(&name.as_str()) {
                            self.given(&first.value, call.line, depth + 1);
                        }
                    }
                    Some(_) => self.call(call, depth + 1),
                    None => {}
                }
            }
        }
        if let Some(Step::Call(call)) = steps.first() {
            self.call(call, depth + 1);
        }
    }
}

/// Lower case without underscores.
pub(super) fn plain(name: &str) -> String {
    name.chars().filter(|character| character.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Whether one of the words is a key, a text or a name in the value.
fn mentions(value: &Value, needles: &[&str], depth: u32) -> bool {
    if depth > 6 {
        return false;
    }
    match value {
        Value::Text(text) => needles.contains(&text.value.as_str()),
        Value::Object(pairs) => {
            pairs.iter().any(|(key, value)| needles.contains(&key.as_str()) || mentions(value, needles, depth + 1))
        }
        Value::List(values) => values.iter().any(|value| mentions(value, needles, depth + 1)),
        Value::Chain(chain) => {
            let root = match &chain.root {
                Root::Name(name) => needles.contains(&name.as_str()),
                Root::Group(values) => values.iter().any(|value| mentions(value, needles, depth + 1)),
                Root::Itself => false,
            };
            root || chain.steps.iter().any(|step| match step {
                Step::Call(call) => call.arguments.iter().any(|argument| {
                    argument.name.as_deref().is_some_and(|name| needles.contains(&name))
                        || mentions(&argument.value, needles, depth + 1)
                }),
                Step::Member(name, _) => needles.contains(&name.as_str()),
            })
        }
        _ => false,
    }
}

/// The model that a value stands for; an empty text, to be filled in by whoever copies the code, is none.
pub(super) fn model_of(repository: &Repository<'_>, file: usize, value: &Value, line: u32) -> Model {
    model_at(repository, file, value, line, 0)
}

/// The same, after some names.
pub(super) fn model_at(repository: &Repository<'_>, file: usize, value: &Value, line: u32, depth: u32) -> Model {
    let model = match value {
        Value::Text(text) if !text.value.contains('{') => {
            Model { id: Some(text.value.clone()), from: ModelFrom::Literal }
        }
        Value::Text(text) => {
            // `f"gemini/{MODEL}"`
            let id = Some(repository.filled(file, &text.value, text.line)).filter(|id| !id.contains('{'));
            Model { id, from: ModelFrom::Variable }
        }
        Value::Chain(chain) => model_of_chain(repository, file, chain, line, depth),
        _ => Model::default(),
    };
    if model.id.as_deref().is_some_and(|id| id.trim().is_empty()) { Model::default() } else { model }
}

fn model_of_chain(repository: &Repository<'_>, file: usize, chain: &Chain, line: u32, depth: u32) -> Model {
    if is_environment(chain) {
        return Model { id: None, from: ModelFrom::Config };
    }
    // `openai.GPT4o`, `ChatModel.GPT_4_O`, `F(ChatModelGPT4o)`
    let members = chain.steps.iter().rev().filter_map(|step| match step {
        Step::Member(name, _) => Some(name.as_str()),
        Step::Call(_) => None,
    });
    let named = members.take(3).find_map(models::of_constant);
    let root = match &chain.root {
        Root::Name(name) => Some(name.as_str()),
        _ => None,
    };
    if let Some(id) = named.or_else(|| root.and_then(models::of_constant)) {
        return Model { id: Some(id.to_owned()), from: ModelFrom::Literal };
    }
    // `"gpt-4".to_string()`, `ModelId("gpt-4")`, `openai("gpt-4o")`
    if let Root::Group(values) = &chain.root
        && let [Value::Text(text)] = values.as_slice()
        && !text.value.contains('{')
    {
        return Model { id: Some(text.value.clone()), from: ModelFrom::Literal };
    }
    let mut called = root.unwrap_or_default();
    for step in &chain.steps {
        match step {
            Step::Member(name, _) => called = name,
            Step::Call(call) => {
                // `ModelId(MODEL)` says by its name that it is one.
                let is_named = plain(called).contains("model");
                let first = call.arguments.first().filter(|_| depth < 8).map(|first| &first.value);
                let model = first.map(|first| {
                    // `wrapLanguageModel({ model: google("…") })`
                    let given = if let Value::Object(_) = first { key_model(first, 0).unwrap_or(first) } else { first };
                    model_at(repository, file, given, line, depth + 1)
                });
                let is_it = |id: &str| is_named || models::vendor_of(id).is_some();
                if let Some(model) = model.filter(|model| model.id.as_deref().is_some_and(is_it)) {
                    return model;
                }
            }
        }
    }
    if let Some(text) = repository.text(file, &Value::Chain(chain.clone()), line)
        && !text.contains('{')
    {
        return Model { id: Some(text), from: ModelFrom::Variable };
    }
    if let Some(model) = repository.model_behind(file, chain, line, depth) {
        return model;
    }
    match root.and_then(|name| repository.binding_value(file, name, line.max(chain.line))) {
        Some(Value::Chain(inner)) if is_environment(inner) => Model { id: None, from: ModelFrom::Config },
        _ => Model { id: None, from: ModelFrom::Variable },
    }
}

/// Whether the value is read from the environment or a configuration.
fn is_environment(chain: &Chain) -> bool {
    let names = chain.steps.iter().filter_map(|step| match step {
        Step::Member(name, _) => Some(name.as_str()),
        Step::Call(_) => None,
    });
    let root = match &chain.root {
        Root::Name(name) => name.as_str(),
        _ => "",
    };
    let words = [
        "getenv",
        "environ",
        "env",
        "ENV",
        "GetEnvironmentVariable",
        "Getenv",
        "configuration",
        "config",
        "settings",
        "LookupEnv",
    ];
    words.contains(&root)
        || names.into_iter().any(|name| words.contains(&name))
        || chain.steps.is_empty()
            && matches!(&chain.root, Root::Group(values) if values.iter().any(|value| matches!(value, Value::Chain(chain) if is_environment(chain))))
}
