//! How an answer is read: the members that are taken of it, and the functions that it is given to.

use std::collections::HashMap;

use crate::scan::facts::{Call, Chain, Facts, Root, Step, Value};

/// How much of it is told.
const MOST: usize = 6;

/// A call, by the lines of its beginning and end: what is bound to names is kept apart from where it is called.
type CallKey = (u32, u32);

/// What happens to the results of the calls of a file.
#[derive(Debug, Default)]
pub(super) struct Readings<'f> {
    /// Names that a call's result is bound to, with what is taken of it at once.
    bound: HashMap<CallKey, Vec<Bound<'f>>>,
    /// What is done with names.
    uses: HashMap<&'f str, Vec<Use<'f>>>,
    /// What a call's result is given to.
    given: HashMap<CallKey, &'f str>,
}

#[derive(Debug)]
struct Bound<'f> {
    name: &'f str,
    line: u32,
    to: u32,
}

#[derive(Debug)]
struct Use<'f> {
    line: u32,
    members: String,
    parser: Option<&'f str>,
    /// The name that what is taken is bound to.
    bound: Option<&'f str>,
}

/// Functions that make something of a text.
const PARSERS: [&str; 32] = [
    "loads",
    "parse",
    "safeParse",
    "Unmarshal",
    "Deserialize",
    "DeserializeObject",
    "from_str",
    "from_slice",
    "from_value",
    "json_decode",
    "readValue",
    "readTree",
    "fromJson",
    "decodeFromString",
    "parseObject",
    "model_validate_json",
    "model_validate",
    "parse_raw",
    "parse_obj",
    "literal_eval",
    "safe_load",
    "NewDecoder",
    "Decode",
    "findall",
    "search",
    "match",
    "split",
    "int",
    "float",
    "invoke",
    "streamObject",
    "toDataStreamResponse",
];

impl<'f> Readings<'f> {
    /// Of everything in a file.
    pub(super) fn of(facts: &'f Facts) -> Readings<'f> {
        let mut readings = Readings::default();
        for binding in &facts.bindings {
            let Some(value) = &binding.value else { continue };
            if let Value::Chain(chain) = value {
                let name = binding.target.as_str();
                for step in &chain.steps {
                    if let Step::Call(call) = step {
                        let bound = Bound { name, line: binding.line, to: binding.to };
                        readings.bound.entry((call.line, call.end)).or_default().push(bound);
                    }
                }
                readings.chain(chain, None, Some(name));
            } else {
                readings.value(value, None);
            }
        }
        for value in &facts.values {
            readings.value(value, None);
        }
        readings
    }

    fn value(&mut self, value: &'f Value, parser: Option<&'f str>) {
        match value {
            Value::Chain(chain) => self.chain(chain, parser, None),
            Value::Object(pairs) => pairs.iter().for_each(|(_, value)| self.value(value, parser)),
            Value::List(values) => values.iter().for_each(|value| self.value(value, parser)),
            _ => {}
        }
    }

    fn chain(&mut self, chain: &'f Chain, parser: Option<&'f str>, bound: Option<&'f str>) {
        match &chain.root {
            Root::Name(name) => {
                let members = members(&chain.steps);
                let own = last_parser(&chain.steps).or(parser);
                let of = Use { line: chain.line, members, parser: own, bound };
                self.uses.entry(name).or_default().push(of);
            }
            Root::Group(values) => values.iter().for_each(|value| self.value(value, parser)),
            Root::Itself => {}
        }
        let mut name = match &chain.root {
            Root::Name(name) => name.as_str(),
            _ => "",
        };
        for step in &chain.steps {
            match step {
                Step::Member(member, _) => name = member,
                Step::Call(call) => {
                    if let Some(parser) = parser {
                        self.given.insert((call.line, call.end), parser);
                    }
                    let inner = PARSERS.contains(&name).then_some(name);
                    for argument in &call.arguments {
                        self.value(&argument.value, inner);
                    }
                }
            }
        }
    }

    /// How the answer of a call is read; `rest` follows it in its chain.
    pub(super) fn of_call(&self, call: &Call, rest: &[Step]) -> Vec<String> {
        let mut read = Vec::new();
        let key = (call.line, call.end);
        add(&mut read, &members(rest));
        if let Some(parser) = self.given.get(&key) {
            add(&mut read, &format!("{parser}()"));
        }
        for Bound { name, line, to } in self.bound.get(&key).into_iter().flatten() {
            self.named(name, *line, *to, 0, &mut read);
        }
        read
    }

    /// What is done with a name between two lines, and with what is taken of it, by one name more.
    fn named(&self, name: &str, line: u32, to: u32, depth: u32, read: &mut Vec<String>) {
        for of in self.uses.get(name).into_iter().flatten().filter(|of| of.line >= line && of.line <= to) {
            if depth == 0 {
                add(read, &of.members);
            }
            if let Some(parser) = of.parser {
                add(read, &format!("{parser}()"));
            }
            if let Some(bound) = of.bound.filter(|bound| depth == 0 && *bound != name) {
                self.named(bound, of.line, to, 1, read);
            }
        }
    }
}

fn add(read: &mut Vec<String>, text: &str) {
    if !text.is_empty() && read.len() < MOST && !read.iter().any(|own| own == text) {
        read.push(text.to_owned());
    }
}

/// The members of a chain, dotted; numbers between brackets are left out. What only waits is no member.
fn members(steps: &[Step]) -> String {
    let names = steps.iter().filter_map(|step| match step {
        Step::Member(name, _) => Some(name.as_str()),
        Step::Call(_) => None,
    });
    let waits = ["await", "unwrap", "expect", "ConfigureAwait", "then", "catch", "finally", "clone", "as_ref"];
    let names: Vec<&str> = names.filter(|name| !waits.contains(name) && !PARSERS.contains(name)).take(8).collect();
    names.join(".")
}

/// The parser that ends a chain: `response.text().split(",")`.
fn last_parser(steps: &[Step]) -> Option<&str> {
    steps.iter().rev().find_map(|step| match step {
        Step::Member(name, _) => Some(name.as_str()).filter(|name| PARSERS.contains(name)),
        Step::Call(_) => None,
    })
}
