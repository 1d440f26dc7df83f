//! What one file has of prompts: messages, and the texts that names stand for.

use tree_sitter::Node;

use super::message::{RawMessage, chain, message_of, pair_of};
use super::said::{Call, Said, is_one_of};
use super::shape::{Reader, line_of};
use super::{Prompt, Role, files, settings};
use crate::scan::syntax::{Shape, parse, shape};
use crate::scan::{self, Language};

/// How deep blocks are followed.
const DEPTH: u32 = 200;

/// What was read of one file.
#[derive(Debug, Clone, Default)]
pub struct Read {
    pub(super) path: String,
    pub(super) constants: Vec<Constant>,
    pub(super) candidates: Vec<Candidate>,
    /// A prompt in a file of its own.
    pub(super) whole: Option<files::Whole>,
    /// Prompts that stand among settings.
    pub(super) settings: Vec<Prompt>,
}

/// What a name stands for.
#[derive(Debug, Clone)]
pub(super) struct Constant {
    pub(super) name: String,
    pub(super) said: Said,
    pub(super) line: u32,
    /// The lines it is known in.
    pub(super) scope: (u32, u32),
    /// What a function of this name returns.
    pub(super) is_return: bool,
    /// Put behind what the name stood for before.
    pub(super) is_added: bool,
}

/// Where a prompt may be.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    /// What it is called, when it has a name.
    pub(super) name: Option<String>,
    /// Those of one receiver in one function are one prompt.
    pub(super) key: Option<((u32, u32), String)>,
    pub(super) line: u32,
    pub(super) items: Vec<Item>,
}

/// A part of it.
#[derive(Debug, Clone)]
pub(super) enum Item {
    Message(RawMessage),
    /// Messages that stand elsewhere.
    Spread(Said, u32),
}

/// Reads a file.
#[must_use]
pub fn read(path: &str, text: &str) -> Read {
    let mut read = Read { path: path.to_owned(), ..Read::default() };
    let Some(language) = Language::of_path(path) else {
        read.whole = files::read(path, text);
        read.settings = settings::read(path, text);
        return read;
    };
    if !text.is_ascii() && text.len() > 4_000_000 {
        return read;
    }
    let within = scan::source_within(path, text);
    let text = within.as_deref().unwrap_or(text);
    if !scan::may_hold_prompts(text) {
        return read;
    }
    let Some(tree) = parse(language, text) else { return read };
    let root = tree.root_node();
    let reader = Reader::new(language, text, root);
    let whole = (1, u32::MAX);
    let is_relevant = scan::names_a_vendor(text);
    let mut walk = Walk { reader, read: &mut read, scopes: vec![(whole, None)], depth: 0, is_relevant };
    walk.visit(root);
    read
}

struct Walk<'s, 'r> {
    reader: Reader<'s>,
    read: &'r mut Read,
    /// Lines and names of the functions it is in.
    scopes: Vec<((u32, u32), Option<String>)>,
    depth: u32,
    is_relevant: bool,
}

impl Walk<'_, '_> {
    fn scope(&self) -> (u32, u32) {
        self.scopes.last().map_or((1, u32::MAX), |(lines, _)| *lines)
    }

    fn children(&mut self, node: Node<'_>) {
        let mut cursor = node.walk();
        let children: Vec<Node<'_>> = node.named_children(&mut cursor).collect();
        children.into_iter().for_each(|child| self.visit(child));
    }

    fn visit(&mut self, node: Node<'_>) {
        if self.depth >= DEPTH {
            return;
        }
        self.depth += 1;
        match shape(node, self.reader.language) {
            Shape::Import => {}
            Shape::Skip if node.kind() != "decorator" => {}
            Shape::Function { name, .. } => {
                let name = name.map(|name| self.reader.name(name));
                self.function(node, name);
            }
            Shape::Assign { target, value: Some(value), .. } => self.assign(node, target, value),
            Shape::Return(Some(value)) => self.returned(value),
            Shape::Other if node.kind() == "annotation" => self.annotation(node),
            Shape::Other | Shape::Class | Shape::Skip | Shape::Return(None) | Shape::Assign { .. } => {
                self.children(node)
            }
            _ => {
                let said = self.reader.said(node);
                let is_tail = node.next_named_sibling().is_none()
                    && node
                        .parent()
                        .is_some_and(|parent| matches!(parent.kind(), "block" | "body_statement" | "function_body"));
                if is_tail && matches!(said, Said::Text(_) | Said::List(..) | Said::Call(_)) {
                    self.keep_return(&said, line_of(node));
                }
                self.scan(&said, None);
                self.functions_in(node);
            }
        }
        self.depth -= 1;
    }

    fn function(&mut self, node: Node<'_>, name: Option<String>) {
        let lines = (line_of(node), u32::try_from(node.end_position().row).unwrap_or(u32::MAX - 1) + 1);
        self.scopes.push((lines, name));
        self.children(node);
        self.scopes.pop();
    }

    /// Functions inside an expression.
    fn functions_in(&mut self, node: Node<'_>) {
        let mut cursor = node.walk();
        let children: Vec<Node<'_>> = node.named_children(&mut cursor).collect();
        for child in children {
            if self.depth < DEPTH && matches!(shape(child, self.reader.language), Shape::Function { .. } | Shape::Class)
                || matches!(child.kind(), "block" | "do_block" | "statement_block")
            {
                self.visit(child);
            } else if self.depth < DEPTH {
                self.depth += 1;
                self.functions_in(child);
                self.depth -= 1;
            }
        }
    }

    fn assign(&mut self, node: Node<'_>, target: Node<'_>, value: Node<'_>) {
        let name = self.reader.name(target);
        if let Shape::Function { .. } = shape(value, self.reader.language) {
            return self.function(value, Some(name));
        }
        let said = match self.reader.said(value) {
            // Go's right sides are lists.
            Said::Either(mut one, _) if one.len() == 1 => one.remove(0),
            said => said,
        };
        let line = line_of(node);
        let is_member = name.contains('.');
        let short = name.rsplit('.').next().unwrap_or(&name).to_owned();
        let operator = node.child_by_field_name("operator").map(|operator| self.reader.source(operator));
        let is_added =
            node.kind().contains("augmented") || operator.is_some_and(|operator| operator == "+=" || operator == ".=");
        let scope = if is_member { (1, u32::MAX) } else { self.scope() };
        self.keep(&short, &said, (line, scope), is_added);
        self.scan(&said, Some(&short));
        self.functions_in(value);
    }

    fn keep(&mut self, name: &str, said: &Said, (line, scope): (u32, (u32, u32)), is_added: bool) {
        if let Said::Object(pairs, _) = said {
            for (key, said) in pairs.iter().filter(|(key, _)| !key.is_empty()) {
                self.keep(&format!("{name}.{key}"), said, (line, scope), false);
            }
        }
        let constant = Constant { name: name.to_owned(), said: said.clone(), line, scope, is_return: false, is_added };
        self.read.constants.push(constant);
    }

    fn returned(&mut self, value: Node<'_>) {
        let said = self.reader.said(value);
        self.keep_return(&said, line_of(value));
        let name = self.scopes.last().and_then(|(_, name)| name.clone());
        self.scan(&said, name.as_deref());
        self.functions_in(value);
    }

    fn keep_return(&mut self, said: &Said, line: u32) {
        if let Some((_, Some(name))) = self.scopes.last() {
            let (name, said, scope) = (name.clone(), said.clone(), (1, u32::MAX));
            self.read.constants.push(Constant { name, said, line, scope, is_return: true, is_added: false });
        }
    }

    /// `@SystemMessage("…")` on a method: the annotations of one method are one prompt.
    fn annotation(&mut self, node: Node<'_>) {
        let name = node.child_by_field_name("name").or_else(|| node.named_child(0)).map(|name| self.reader.name(name));
        let arguments = node.child_by_field_name("arguments").or_else(|| node.named_child(1));
        let said = arguments.map(|arguments| match self.reader.said(arguments) {
            Said::List(..) | Said::Text(_) => self.reader.said(arguments),
            _ => Said::List(self.texts_in(arguments), line_of(node)),
        });
        let role = match name.as_deref().and_then(|name| name.rsplit('.').next()) {
            Some("SystemMessage") => Role::System,
            Some("UserMessage") => Role::User,
            _ => return,
        };
        let Some(said) = said else { return };
        let content = match said {
            Said::List(items, _) => items,
            one => vec![one],
        };
        let method =
            node.parent().and_then(|parent| parent.parent()).map_or((line_of(node), 0), |method| (line_of(method), 0));
        let message = RawMessage { role, content, line: line_of(node), is_template: true };
        let key = Some((method, "@".to_owned()));
        self.push(None, key, line_of(node), vec![Item::Message(message)]);
    }

    fn texts_in(&self, node: Node<'_>) -> Vec<Said> {
        let mut cursor = node.walk();
        let children: Vec<Node<'_>> = node.named_children(&mut cursor).collect();
        let texts = children.into_iter().flat_map(|child| match self.reader.said(child) {
            Said::Text(text) => vec![Said::Text(text)],
            Said::List(items, _) => items,
            _ => self.texts_in(child),
        });
        texts.collect()
    }

    fn push(&mut self, name: Option<&str>, key: Option<((u32, u32), String)>, line: u32, items: Vec<Item>) {
        let candidate = Candidate { name: name.map(str::to_owned), key, line, items };
        self.read.candidates.push(candidate);
    }

    /// Looks for prompts in an expression; `name` is what it is assigned to.
    fn scan(&mut self, said: &Said, name: Option<&str>) {
        match said {
            Said::List(items, at) => {
                if let Some(found) = messages(items, *at) {
                    let key = name.map(|name| (self.scope(), name.to_owned()));
                    return self.push(name, key, *at, found);
                }
                items.iter().for_each(|item| self.scan(item, None));
            }
            Said::Object(pairs, at) => {
                if let Some(message) = message_of(said) {
                    return self.push(name, None, *at, vec![Item::Message(message)]);
                }
                let get = |names: &[&str]| pairs.iter().find(|(name, _)| is_one_of(name, names)).map(|(_, said)| said);
                let is_asked = get(&["model", "modelid", "modelname"]).is_some();
                if let Some(items) = request(&get, *at, is_asked && self.is_relevant) {
                    return self.push(name, None, *at, items);
                }
                pairs.iter().for_each(|(key, said)| self.scan(said, Some(key)));
            }
            Said::Call(call) => self.call(call, said, name),
            Said::Either(all, _) => all.iter().for_each(|one| self.scan(one, None)),
            Said::Spread(inner) | Said::Member(inner, _) => self.scan(inner, None),
            _ => {}
        }
    }

    fn call(&mut self, call: &Call, said: &Said, name: Option<&str>) {
        // `messages.append({…})`, `history.AddSystemMessage("…")`: of one receiver in one function.
        let receiver = call.name.rsplit_once('.').map(|(receiver, _)| receiver.rsplit('.').next().unwrap_or(receiver));
        let adds = is_one_of(call.last(), &["append", "push", "add", "insert", "unshift", "pushback", "extend"]);
        let key = receiver.or(name).map(|receiver| (self.scope(), receiver.to_owned()));
        let is_go_append = call.name == "append" && call.arguments.len() > 1;
        if adds || is_go_append {
            let key =
                if is_go_append { call.arguments.first().map(|(_, said)| (self.scope(), said.source())) } else { key };
            let found: Vec<Item> =
                call.arguments.iter().filter_map(|(_, said)| message_of(said)).map(Item::Message).collect();
            if !found.is_empty() {
                return self.push(None, key, call.line, found);
            }
        } else if let Some(message) = message_of(said) {
            let first = call.last().chars().next().is_some_and(char::is_lowercase) || call.last().starts_with("Add");
            let key = key.filter(|_| first && receiver.is_some());
            return self.push(name, key, message.line, vec![Item::Message(message)]);
        }
        if let Some(items) = collection(call) {
            let key = name.map(|name| (self.scope(), name.to_owned()));
            return self.push(name, key, call.line, items);
        }
        let get = |names: &[&str]| call.get(names);
        let is_asked = self.is_relevant && (asks(call) || call.get(&["model", "modelid", "modelname"]).is_some());
        if let Some(items) = request(&get, call.line, is_asked).or_else(|| template(call)).or_else(|| fluent(call)) {
            return self.push(name, None, call.line, items);
        }
        if let Some(receiver) = &call.receiver {
            self.scan(receiver, None);
        }
        call.arguments.iter().for_each(|(name, said)| self.scan(said, name.as_deref()));
    }
}

/// The items of a list that is one of messages.
fn messages(items: &[Said], line: u32) -> Option<Vec<Item>> {
    let found = items.iter().map(|item| message_of(item).or_else(|| pair_of(item)));
    let found: Vec<Option<RawMessage>> = found.collect();
    if found.iter().flatten().count() == 0 {
        return None;
    }
    let item = |(said, message): (&Said, Option<RawMessage>)| match (message, said) {
        (Some(message), _) => Item::Message(message),
        (None, Said::Spread(inner)) => Item::Spread((**inner).clone(), line),
        (None, other) => Item::Spread(other.clone(), line),
    };
    Some(items.iter().zip(found).map(item).collect())
}

/// `listOf(…)`, `new List<ChatMessage> { … }`, `vec![…]`: a list of messages that is made by a call.
fn collection(call: &Call) -> Option<Vec<Item>> {
    const NAMES: [&str; 9] =
        ["list", "listof", "mutablelistof", "arraylist", "aslist", "of", "vec", "arrayof", "arraylistof"];
    if call.arguments.iter().any(|(name, _)| name.is_some()) {
        return None;
    }
    let given: Vec<Said> = call.arguments.iter().map(|(_, said)| said.clone()).collect();
    let n_messages = given.iter().filter(|said| message_of(said).is_some()).count();
    (n_messages > 1 || n_messages == 1 && is_one_of(call.last(), &NAMES)).then(|| messages(&given, call.line))?
}

/// Calls that ask a model, by the last part of their name.
fn asks(call: &Call) -> bool {
    const NAMES: [&str; 22] = [
        "generatetext",
        "streamtext",
        "generateobject",
        "streamobject",
        "generatecontent",
        "generatecontentasync",
        "generatecontentstream",
        "completion",
        "acompletion",
        "agent",
        "createcompletion",
        "chatcompletion",
        "createchatcompletion",
        "assistant",
        "llmagent",
        "assistantagent",
        "chatcompletionagent",
        "reactagent",
        "createagent",
        "createreactagent",
        "generativemodel",
        "getgenerativemodel",
    ];
    is_one_of(call.last(), &NAMES)
}

/// The messages of a request by its members.
fn request<'s>(get: &dyn Fn(&[&str]) -> Option<&'s Said>, line: u32, is_asked: bool) -> Option<Vec<Item>> {
    let mut items = Vec::new();
    let list = get(&["messages", "contents", "input", "chathistory"]).and_then(|said| match said {
        Said::List(items, at) => messages(items, *at),
        _ => None,
    });
    if list.is_none() && !is_asked {
        return None;
    }
    let mut say = |role: Role, names: &[&str]| {
        let said = get(names).filter(|said| !matches!(said, Said::List(..) | Said::Object(..)));
        if let Some(said) = said {
            let content = vec![said.clone()];
            items.push(Item::Message(RawMessage { role, content, line, is_template: false }));
        }
    };
    say(
        Role::System,
        &["system", "systemprompt", "systeminstruction", "instructions", "systemmessage", "preamble", "backstory"],
    );
    if let Some(list) = list {
        items.extend(list);
        return Some(items);
    }
    say(Role::User, &["prompt", "input", "contents"]);
    if let Some(said @ Said::Name(_)) = get(&["messages"]) {
        items.push(Item::Spread(said.clone(), line));
    }
    (!items.is_empty()).then_some(items)
}

/// `PromptTemplate.from_template("…")`, `new PromptTemplate({ template: "…" })`.
fn template(call: &Call) -> Option<Vec<Item>> {
    let name = call.name.to_ascii_lowercase();
    if !(name.contains("prompttemplate") || name.ends_with("promptfromtemplate")) {
        return None;
    }
    let first = || call.arguments.first().filter(|(name, _)| name.is_none()).map(|(_, said)| said);
    let said = call.get(&["template"]).or_else(first)?;
    if let Said::List(items, at) = said {
        return messages(items, *at);
    }
    if matches!(said, Said::Object(..)) {
        return None;
    }
    let content = vec![said.clone()];
    Some(vec![Item::Message(RawMessage { role: Role::User, content, line: call.line, is_template: true })])
}

/// `client.prompt().system("…").user("…").call()`
fn fluent(call: &Call) -> Option<Vec<Item>> {
    let calls = chain(call);
    let is_prompt =
        calls.iter().any(|call| is_one_of(call.last(), &["prompt", "defaultsystem", "chat", "builder", "using"]));
    let item = |call: &&Call| {
        let role = match call.last() {
            "system" | "defaultSystem" | "withSystemPrompt" | "with_instructions" | "instructions" | "preamble" => {
                Role::System
            }
            "user" | "defaultUser" | "withPrompt" | "ask" => Role::User,
            _ => return None,
        };
        let (None, said) = call.arguments.first()? else { return None };
        let content = vec![said.clone()];
        Some(Item::Message(RawMessage { role, content, line: call.line, is_template: true }))
    };
    let items: Vec<Item> = calls.iter().filter_map(item).collect();
    let has_system = items.iter().any(|item| matches!(item, Item::Message(message) if message.role == Role::System));
    (!items.is_empty() && (is_prompt || has_system) && calls.len() > 1).then_some(items)
}
