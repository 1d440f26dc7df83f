//! What only Rust's plain HTTP has: tests beside the source, functions of the file that send what they are given, and addresses
//! that are put together without being sent to.

use super::Visitor;
use super::known::calls_in;
use crate::scan::facts::{Argument, Binding, BindingKind, Call, Chain, Root, Step, Text, Value};
use crate::scan::finding::{Finding, Kind};
use crate::scan::hosts;
use crate::scan::language::Language;

/// A call that sends to an address.
#[derive(Debug, Clone, Copy)]
pub(super) struct Through<'r> {
    /// The line of what is found.
    line: u32,
    /// Where the address is written.
    at: u32,
    /// The function of the file that is called.
    function: Option<&'r str>,
}

impl<'r> Visitor<'r> {
    /// Whether another place is that of the call: of a test beside the source the function of the file that it calls, of a
    /// request that is handed on where it is made.
    pub(super) fn is_elsewhere_in_file(&self, name: &str, call: &Call) -> bool {
        let facts = self.repository.files()[self.file].facts;
        facts.is_in_tests(call.line) && self.function_lines(name).is_some() || self.is_given_request(call)
    }

    /// `fetch_with_retry(request, &url)` of `let request = client.post(&url)`.
    fn is_given_request(&self, call: &Call) -> bool {
        let is_request = |given: &Argument| {
            let Value::Chain(Chain { root: Root::Name(name), steps, .. }) = &given.value else { return false };
            let is_whole = steps.iter().all(|step| !matches!(step, Step::Call(call) if !call.arguments.is_empty()));
            let bound = self.repository.binding_value(self.file, name, call.line).filter(|_| is_whole);
            matches!(bound, Some(Value::Chain(made)) if made.line < call.line && is_posted(made))
        };
        self.language() == Language::Rust && call.arguments.iter().any(is_request)
    }

    /// What is sent to an address, for [`Visitor::inside_functions`].
    pub(super) fn through(
        &self,
        chain: &'r Chain,
        idx: usize,
        name: &'r str,
        line: u32,
        at: u32,
    ) -> Option<Through<'r>> {
        if self.language() != Language::Rust {
            return None;
        }
        let is_own = match (&chain.root, idx) {
            (Root::Name(_), 0) | (Root::Itself, 1) => true,
            (Root::Name(own), 1) => own == "Self",
            _ => false,
        };
        Some(Through { line, at, function: Some(name).filter(|_| is_own) })
    }

    /// First and last line of the one function of the file with the name.
    fn function_lines(&self, name: &str) -> Option<(u32, u32)> {
        let facts = self.repository.files()[self.file].facts;
        let (_, first) = self.repository.named(self.file, name).find(|(_, own)| own.kind == BindingKind::Return)?;
        let parameters = facts.bindings.iter().filter(|own| own.kind == BindingKind::Parameter);
        let around = parameters.filter(|own| own.from <= first.line && first.line <= own.to);
        around.map(|own| (own.from, own.to)).min_by_key(|(from, to)| to - from)
    }

    /// The name of Rust's function around a line.
    pub(super) fn function_around(&self, line: u32) -> Option<&'r str> {
        let bindings = &self.repository.files()[self.file].facts.bindings;
        let is_around =
            |own: &&Binding| own.kind == BindingKind::Parameter && own.from <= line && line <= own.to && own.from > 1;
        let from = bindings.iter().filter(is_around).min_by_key(|own| own.to - own.from)?.from;
        let named = bindings.iter().find(|own| own.kind == BindingKind::Return && own.line == from);
        named.map(|own| own.target.as_str()).filter(|_| self.language() == Language::Rust)
    }

    /// A function of the file that sends what it is given is the place, where all of the file give it addresses of one vendor and
    /// one operation; else they are the places.
    pub(super) fn inside_functions(&mut self) {
        let through = std::mem::take(&mut self.consumed.through);
        let mut functions: Vec<&str> = through.iter().filter_map(|own| own.function).collect();
        functions.sort_unstable();
        functions.dedup();
        for function in functions {
            let Some((from, to)) = self.function_lines(function) else { continue };
            let callers: Vec<&Through<'_>> = through.iter().filter(|own| own.function == Some(function)).collect();
            let is_http = |own: &&Finding| own.kind == Kind::Http;
            let is_inside = |line: u32| (from..=to).contains(&line);
            let of = |own: &Finding| (own.vendor.clone(), own.operation.clone());
            let at = |line: u32| self.findings.iter().filter(is_http).find(move |own| own.line == line);
            let mut asked: Vec<(String, String)> =
                callers.iter().filter(|own| !is_inside(own.line)).filter_map(|own| at(own.line)).map(of).collect();
            asked.sort_unstable();
            asked.dedup();
            let given: Vec<u32> = callers.iter().map(|own| own.at).collect();
            let inner = through.iter().filter(|own| own.function.is_none() && is_inside(own.line));
            let inner: Vec<u32> = inner.filter(|own| given.contains(&own.at)).map(|own| own.line).collect();
            let dropped: Vec<u32> = match asked.len() {
                _ if inner.is_empty() => continue,
                1 => callers.iter().map(|own| own.line).filter(|line| !is_inside(*line)).collect(),
                _ => inner,
            };
            self.findings.retain(|own| own.kind != Kind::Http || !dropped.contains(&own.line));
        }
    }

    /// Whether an address of Rust is put together, while nothing is seen to be sent to it: in a test, or as what a function
    /// returns or a setting is.
    pub(super) fn is_only_written(&self, text: &Text) -> bool {
        if self.language() != Language::Rust {
            return false;
        }
        let facts = self.repository.files()[self.file].facts;
        if facts.is_in_tests(text.line) {
            return true;
        }
        if hosts::vendor_of(&text.value).is_some() && !text.value.starts_with('{') {
            return self.is_another_branch(text);
        }
        !self.is_handed_on(text)
    }

    /// Whether a constant, or what a function returns, is what the file sends to in another case.
    fn is_another_branch(&self, text: &Text) -> bool {
        let bindings = &self.repository.files()[self.file].facts.bindings;
        let is_shared = |own: &Binding| match own.kind {
            BindingKind::Return => true,
            BindingKind::Local => own.from == 1,
            _ => false,
        };
        let operation = hosts::operation_of(&text.value);
        bindings.iter().any(|own| is_shared(own) && own.value.as_ref().is_some_and(|value| has(value, text, 0)))
            && self.findings.iter().any(|found| {
                // What is sent has the name before the address.
                let is_sent = found.kind == Kind::Http && !found.seen.starts_with("http");
                is_sent && Some(found.operation.as_str()) == operation
            })
    }

    /// Whether what the text is bound to, or the text itself, is given to a call near it that may send.
    fn is_handed_on(&self, text: &Text) -> bool {
        let facts = self.repository.files()[self.file].facts;
        let is_it = |value: &Value| matches!(value, Value::Text(own) if own == text);
        let bound = facts
            .bindings
            .iter()
            .find(|own| own.kind == BindingKind::Local && own.from > 1 && own.value.as_ref().is_some_and(is_it));
        let is_named = |value: &Value| match (value, bound) {
            (Value::Chain(Chain { root: Root::Name(name), steps, .. }), Some(bound)) => {
                name == &bound.target
                    && steps.iter().all(|step| !matches!(step, Step::Call(call) if !call.arguments.is_empty()))
            }
            (value, _) => is_it(value),
        };
        // `Ok((url, headers, body))`: a request that somebody else sends.
        let is_request =
            |value: &Value| matches!(value, Value::List(parts) if parts.len() > 1 && parts.iter().any(is_named));
        let (from, to) = bound.map_or((text.line, text.line), |bound| (bound.line, bound.to));
        let mut is_used = false;
        let values = facts.bindings.iter().filter_map(|own| own.value.as_ref());
        for value in facts.values.iter().chain(values) {
            calls_in(value, 0, &mut |name, call| {
                let is_near = from <= call.end && call.line <= to;
                let takes = !name.ends_with('!') && !HOLDS.contains(&name) && !super::address::is_check(name);
                let is_given = |given: &Argument| takes && is_named(&given.value) || is_request(&given.value);
                is_used |= is_near && call.arguments.iter().any(is_given);
            });
        }
        is_used
    }
}

/// Whether the text is the value, or in a branch of it.
fn has(value: &Value, text: &Text, depth: u32) -> bool {
    match value {
        Value::Text(own) => own == text,
        Value::List(values) => depth < 6 && values.iter().any(|value| has(value, text, depth + 1)),
        Value::Chain(chain) if depth < 6 => {
            let of_root = match &chain.root {
                Root::Group(values) => values.iter().any(|value| has(value, text, depth + 1)),
                _ => false,
            };
            of_root
                || chain.steps.iter().any(|step| match step {
                    Step::Call(call) => call.arguments.iter().any(|given| has(&given.value, text, depth + 1)),
                    Step::Member(..) => false,
                })
        }
        _ => false,
    }
}

/// Whether the chain begins a request of plain HTTP that is not sent in it.
fn is_posted(chain: &Chain) -> bool {
    let is_called =
        |step: &Step, names: &[&str]| matches!(step, Step::Member(name, _) if names.contains(&name.as_str()));
    chain.steps.iter().any(|step| is_called(step, &["post"]))
        && !chain.steps.iter().any(|step| is_called(step, &["send", "send_json", "call"]))
}

/// What an address is only held by.
const HOLDS: [&str; 8] = ["Self", "Some", "Ok", "Err", "insert", "push", "from", "to_string"];

/// Whether the address is of an account: what is left to pay, who has the key.
pub(super) fn is_account(address: &str) -> bool {
    const PARTS: [&str; 9] = ["credits", "key", "keys", "auth", "balance", "user", "usage", "subscription", "billing"];
    let path = address.split('?').next().unwrap_or(address).trim_end_matches('/');
    path.rsplit('/').take(2).any(|part| PARTS.contains(&part))
}
