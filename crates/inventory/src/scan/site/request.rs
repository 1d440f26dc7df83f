//! What a call is given: its parameters by name, wherever the language puts them.

use crate::scan::facts::{Argument, Call, Chain, Root, Step, Value};
use crate::scan::finding::{Flags, Kind, Model, ModelFrom};
use crate::scan::link::{Hit, Repository};
use crate::scan::models;

/// The parameters of a request.
#[derive(Debug, Default)]
pub(super) struct Request {
    named: Vec<(String, Value)>,
    unnamed: Vec<Value>,
    /// Whether something of Azure's is given.
    pub(super) mentions_azure: bool,
}

/// How deep a request is followed through variables and builders.
const DEPTH: u32 = 4;

impl Request {
    /// Of a place where a rule fits.
    pub(super) fn of(repository: &Repository, file: usize, hit: &Hit<'_>) -> Request {
        let mut request = Request::default();
        let mut reader = Reader { repository, file, request: &mut request };
        reader.call(hit.call, 0);
        if hit.kind != Kind::Call {
            reader.steps(hit.chain, 0);
        }
        request
    }

    /// Of a call by itself.
    pub(super) fn of_call(repository: &Repository, file: usize, call: &Call) -> Request {
        let mut request = Request::default();
        let mut reader = Reader { repository, file, request: &mut request };
        reader.call(call, 0);
        // What is sent is the body, under whatever name.
        for body in ["json", "body", "data", "payload", "form"] {
            if let Some(value) = reader.request.get(&[body]).cloned() {
                reader.given(&value, call.line, 1);
            }
        }
        request
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

    fn get(&self, names: &[&str]) -> Option<&Value> {
        self.named.iter().find(|(name, _)| names.contains(&plain(name).as_str())).map(|(_, value)| value)
    }

    /// The address that a client is told to call instead of its own.
    pub(super) fn base_address(&self, repository: &Repository, file: usize) -> Option<String> {
        const NAMES: [&str; 15] = [
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
        let value = self.get(&NAMES)?;
        repository.text(file, value, 0)
    }

    /// The model.
    pub(super) fn model(&self, repository: &Repository, file: usize, line: u32) -> Model {
        const NAMES: [&str; 22] = [
            "model",
            "modelname",
            "modelid",
            "engine",
            "deployment",
            "deploymentid",
            "deploymentname",
            "azuredeployment",
            "chatmodel",
            "azureopenaiapideploymentname",
            "deploymentormodelname",
            "azureopenaiapiembeddingsdeploymentname",
            "embeddingmodelname",
            "languagemodel",
            "modelversion",
            "withmodel",
            "modelurl",
            "foundationmodelid",
            "embeddingmodel",
            "chatmodelname",
            "modelprovider",
            "imagemodel",
        ];
        if let Some(value) = self.get(&NAMES) {
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
        let has = |names: &[&str]| self.get(names).is_some();
        let seen = hit.seen.to_lowercase();
        let streams = self.get(&["stream", "streaming"]).is_some_and(|value| !matches!(value, Value::Flag(false)));
        let texts = |needle: &str| self.named.iter().any(|(_, value)| mentions(value, needle, 0));
        Flags {
            streaming: hit.kind == Kind::Call && seen.rsplit('.').next().is_some_and(|last| last.contains("stream"))
                || streams,
            tools: has(&["tools", "functions", "toolchoice", "functioncall", "withtools", "tool"]),
            schema: has(&[
                "responseformat",
                "textformat",
                "schema",
                "responseschema",
                "outputtype",
                "responsemodel",
                "jsonschema",
            ]) || seen.ends_with(".parse")
                || seen.contains("generateobject")
                || seen.contains("streamobject")
                || seen.contains("structured"),
            vision: texts("image_url") || texts("input_image") || has(&["images", "imageurl"]),
            logprobs: has(&["logprobs", "toplogprobs"]),
        }
    }
}

struct Reader<'a> {
    repository: &'a Repository,
    file: usize,
    request: &'a mut Request,
}

impl Reader<'_> {
    fn call(&mut self, call: &Call, depth: u32) {
        for Argument { name, value } in &call.arguments {
            match name {
                Some(name) => {
                    let wraps = matches!(
                        plain(name).as_str(),
                        "parameters"
                            | "request"
                            | "options"
                            | "req"
                            | "params"
                            | "config"
                            | "clientoptions"
                            | "configuration"
                            | "body"
                    );
                    self.request.named.push((name.clone(), value.clone()));
                    if wraps {
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
        if depth > DEPTH {
            return;
        }
        match value {
            Value::Object(pairs) => {
                for (name, value) in pairs {
                    if name.is_empty() {
                        self.given(value, line, depth + 1);
                    } else {
                        self.request.named.push((name.clone(), value.clone()));
                    }
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
            if let Some(value) = self.repository.binding_value(self.file, name, line.max(chain.line)) {
                let value = value.clone();
                self.given(&value, line, depth + 1);
            }
        }
        if let Root::Group(values) = &chain.root {
            values.iter().for_each(|value| self.given(value, line, depth + 1));
        }
        self.steps(&chain.steps, depth);
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
fn plain(name: &str) -> String {
    name.chars().filter(|character| character.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn mentions(value: &Value, needle: &str, depth: u32) -> bool {
    if depth > 6 {
        return false;
    }
    match value {
        Value::Text(text) => text.value == needle,
        Value::Object(pairs) => pairs.iter().any(|(key, value)| key == needle || mentions(value, needle, depth + 1)),
        Value::List(values) => values.iter().any(|value| mentions(value, needle, depth + 1)),
        Value::Chain(chain) => chain.steps.iter().any(|step| match step {
            Step::Call(call) => call.arguments.iter().any(|argument| mentions(&argument.value, needle, depth + 1)),
            Step::Member(..) => false,
        }),
        _ => false,
    }
}

/// The model that a value stands for.
fn model_of(repository: &Repository, file: usize, value: &Value, line: u32) -> Model {
    match value {
        Value::Text(text) if !text.value.contains('{') => {
            Model { id: Some(text.value.clone()), from: ModelFrom::Literal }
        }
        Value::Text(_) => Model { id: None, from: ModelFrom::Variable },
        Value::Chain(chain) => model_of_chain(repository, file, chain, line),
        _ => Model::default(),
    }
}

fn model_of_chain(repository: &Repository, file: usize, chain: &Chain, line: u32) -> Model {
    if is_environment(chain) {
        return Model { id: None, from: ModelFrom::Config };
    }
    // `openai.GPT4o`, `ChatModel.GPT_4_O`, `F(ChatModelGPT4o)`
    let last = chain.steps.iter().rev().find_map(|step| match step {
        Step::Member(name, _) => Some(name.as_str()),
        Step::Call(_) => None,
    });
    let root = match &chain.root {
        Root::Name(name) => Some(name.as_str()),
        _ => None,
    };
    if let Some(id) = last.and_then(models::of_constant).or_else(|| root.and_then(models::of_constant)) {
        return Model { id: Some(id.to_owned()), from: ModelFrom::Literal };
    }
    // `"gpt-4".to_string()`, `ModelId("gpt-4")`, `openai("gpt-4o")`
    if let Root::Group(values) = &chain.root
        && let [Value::Text(text)] = values.as_slice()
        && !text.value.contains('{')
    {
        return Model { id: Some(text.value.clone()), from: ModelFrom::Literal };
    }
    for step in &chain.steps {
        if let Step::Call(call) = step
            && let Some(first) = call.arguments.first()
        {
            let model = model_of(repository, file, &first.value, line);
            if model.id.as_deref().is_some_and(|id| models::vendor_of(id).is_some()) {
                return model;
            }
        }
    }
    if let Some(text) = repository.text(file, &Value::Chain(chain.clone()), line)
        && !text.contains('{')
    {
        return Model { id: Some(text), from: ModelFrom::Variable };
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
