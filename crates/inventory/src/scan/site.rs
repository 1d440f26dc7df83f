//! From places where a rule fits to findings: the parameters, the model, what is asked for, and plain HTTP.

mod address;
mod apart;
mod body;
mod curl;
mod dotnet;
mod http;
mod jvm;
mod known;
mod named;
mod near;
mod parameters;
mod php;
mod prompt;
mod request;
mod response;
mod rust;
mod sent;
mod settings;
mod whose;

use std::cell::OnceCell;
use std::collections::HashMap;

use super::facts::{Chain, Root, Step, Value};
use super::finding::{Confidence, Finding, Kind, Model};
use super::link::{Branches, Hit, Repository};
use super::rules::Rules;

pub(super) use http::{Consumed, bases_of};
pub(super) use named::whose as vendor_named;
use response::Readings;
pub(super) use whose::{Whose, of_client};

/// Every call site of a file, and calls that are some only where a client or a model is made beside them.
pub(super) fn sites_of(repository: &Repository<'_>, file: usize) -> (Vec<Finding>, Vec<Finding>) {
    let (findings, near) = (Vec::new(), Vec::new());
    let mut visitor =
        Visitor { repository, file, findings, near, consumed: Consumed::default(), readings: OnceCell::new() };
    let source = &repository.files()[file];
    for value in &source.facts.values {
        visitor.value(value);
    }
    visitor.inside_functions();
    visitor.addresses();
    visitor.only_opened();
    visitor.move_to_sending();
    visitor.endpoints();
    let in_file = |mut findings: Vec<Finding>| {
        for finding in &mut findings {
            finding.line = source.facts.line_in_file(finding.line);
        }
        one_per_line(findings)
    };
    (in_file(visitor.findings), in_file(visitor.near))
}

/// A line is one site: a call rather than a client, the surer rather than the other.
fn one_per_line(findings: Vec<Finding>) -> Vec<Finding> {
    let mut best: HashMap<(u32, bool), Finding> = HashMap::new();
    let rank = |finding: &Finding| {
        let does = matches!(finding.kind, Kind::Call | Kind::Http);
        (does, finding.confidence, finding.kind == Kind::Call, finding.operation != "client")
    };
    for finding in findings {
        let key = (finding.line, finding.kind.is_site());
        match best.get(&key) {
            Some(other) if rank(other) >= rank(&finding) => {}
            _ => {
                best.insert(key, finding);
            }
        }
    }
    let mut findings: Vec<Finding> = best.into_values().collect();
    findings.sort_by_key(|finding| (finding.line, finding.kind));
    findings
}

pub(super) struct Visitor<'r> {
    repository: &'r Repository<'r>,
    file: usize,
    findings: Vec<Finding>,
    near: Vec<Finding>,
    consumed: Consumed<'r>,
    readings: OnceCell<Readings<'r>>,
}

impl<'r> Visitor<'r> {
    /// Looks into an expression.
    fn value(&mut self, value: &'r Value) {
        match value {
            Value::Chain(chain) => self.chain(chain),
            Value::Object(pairs) => pairs.iter().for_each(|(_, value)| self.value(value)),
            Value::List(values) => values.iter().for_each(|value| self.value(value)),
            Value::Text(text) => self.text(text),
            Value::Flag(_) | Value::Number(_) | Value::Other => {}
        }
    }

    fn chain(&mut self, chain: &'r Chain) {
        let mut hits = Vec::new();
        self.repository.walk(self.file, chain, &mut hits);
        let has_hits = !hits.is_empty();
        for hit in hits {
            if hit.kind == Kind::Call && apart::is_none(self.repository, self.file, &hit, chain) {
                continue;
            }
            self.hit(&hit, chain);
        }
        if !has_hits {
            self.http(chain);
        }
        if let Root::Group(values) = &chain.root {
            values.iter().for_each(|value| self.value(value));
        }
        let mut name = match &chain.root {
            Root::Name(name) => name.as_str(),
            _ => "",
        };
        for step in &chain.steps {
            match step {
                Step::Member(member, _) => name = member,
                // What something is compared with is sent nowhere.
                Step::Call(call) => {
                    let is_check = address::is_check(name);
                    let given = call.arguments.iter().map(|argument| &argument.value);
                    given.filter(|value| !is_check || value.text().is_none()).for_each(|value| self.value(value));
                }
            }
        }
    }

    /// What becomes of the results of the file's calls; gathered where there is one to ask about.
    fn readings(&self) -> &Readings<'r> {
        self.readings.get_or_init(|| Readings::of(self.repository.files()[self.file].facts))
    }

    fn hit(&mut self, hit: &Hit<'r>, chain: &Chain) {
        let source = &self.repository.files()[self.file];
        let sdk = &Rules::of(source.language).sdks[hit.sdk];
        let request = request::Request::of(self.repository, self.file, hit);
        let own = Whose { vendor: hit.vendor, confidence: hit.confidence };
        let Whose { mut vendor, mut confidence } =
            whose::of_request(self.repository, self.file, &request, hit.kind, own);
        let is_call = hit.kind == Kind::Call;
        // What the chain was given before, down to where it begins.
        let earlier = request::Request::of_steps(self.repository, self.file, if is_call { hit.before } else { &[] });
        let mut model = request.model(self.repository, self.file, hit.call.line);
        if model == Model::default() {
            model = earlier.model(self.repository, self.file, hit.call.line);
        }
        if vendor == "-" {
            vendor = model.id.as_deref().and_then(super::models::vendor_of).unwrap_or("unknown");
        }
        let mut among = Vec::new();
        let branches = if is_call { self.repository.branches(self.file, chain) } else { Branches::new() };
        if branches.contains_key(vendor) {
            confidence = branches.values().copied().fold(confidence, Confidence::max);
            among = branches.into_keys().map(str::to_owned).collect();
            vendor = "unknown";
        }
        // A method that serves every model does what its model is for.
        let of_model = model.id.as_deref().and_then(super::models::operation_of);
        let of_model = of_model.or_else(|| request.asks_responses().then_some("responses"));
        let operation = of_model.filter(|_| hit.operation == "chat").unwrap_or(hit.operation);
        if hit.is_near {
            confidence = confidence.min(Confidence::Likely);
        }
        if operation == "tokens" {
            // Counting is asked for, but no model answers.
            confidence = Confidence::Possible;
        }
        // A framework whose vendor another file chooses, in `OllamaConfiguration.java`.
        let is_open = source.language.is_jvm() && hit.kind != Kind::Client && model.id.is_none();
        if is_open && whose::is_for_own_server(source.path) {
            confidence = Confidence::Possible;
        }
        let flags = request.flags(hit).or(earlier.flags_of_body());
        let asked = |request: &request::Request| {
            prompt::prompt_of(self.repository, self.file, operation, request, hit.call.line)
        };
        let prompt = if is_call { asked(&request).or_else(|| asked(&earlier)) } else { None };
        let response = if is_call { self.readings().of_call(hit.call, hit.chain) } else { Vec::new() };
        let to = if hit.is_near { &mut self.near } else { &mut self.findings };
        to.push(Finding {
            path: source.path.to_owned(),
            line: hit.line,
            kind: hit.kind,
            operation: operation.to_owned(),
            vendor: vendor.to_owned(),
            among,
            sdk: sdk.name.to_owned(),
            version: None,
            model,
            parameters: request.names(),
            flags,
            confidence,
            seen: hit.seen.clone(),
            prompt,
            response,
            owners: Vec::new(),
            owners_from: None,
            sunsets: Vec::new(),
        });
    }

    fn plain(&self, kind: Kind, line: u32, operation: &str, vendor: &str, seen: &str) -> Finding {
        let path = &self.repository.files()[self.file].path;
        Finding::plain(path, line, kind, (operation, vendor), seen.chars().take(120).collect())
    }
}
