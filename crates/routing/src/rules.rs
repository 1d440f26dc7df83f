//! Conditions on a request, and which of an ordered list holds first.

use std::fmt::{self, Write as _};

use crate::language::Language;
use crate::pattern::{Pattern, any_fits, cover};

#[cfg(test)]
mod tests;

/// When a rule is taken: every condition that it has holds. One without conditions always is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct When {
    /// Every one of these headers is as it says.
    pub headers: Vec<HeaderIs>,
    /// The tenant of the caller's key is one of these; no condition when empty.
    pub tenants: Vec<Pattern>,
    /// The request's workload is one of these; no condition when empty.
    pub workloads: Vec<Pattern>,
    /// How many bytes the prompt has.
    pub prompt_bytes: Option<Size>,
    /// How many tokens the prompt is estimated to have.
    pub prompt_tokens: Option<Size>,
    /// Which tools it offers.
    pub tools: Option<Tools>,
    /// What its last user message says is in one of these languages; no condition when empty.
    pub languages: Vec<Language>,
    /// The part of the world it is from is one of these; no condition when empty.
    pub geographies: Vec<Pattern>,
    /// The task that its caller names is one of these; no condition when empty.
    pub tasks: Vec<Pattern>,
}

/// A header and the values it may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderIs {
    /// Its name, in lower case.
    pub name: String,
    /// One of these fits one of its values.
    pub values: Vec<Pattern>,
}

/// More than `over` and no more than `up_to`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// The lower bound, itself not in.
    pub over: Option<u64>,
    /// The upper bound, itself in.
    pub up_to: Option<u64>,
}

/// A condition on the tools that a request offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tools {
    /// It offers none.
    None,
    /// It offers some.
    Some,
    /// It offers one whose name is one of these.
    Named(Vec<Pattern>),
}

/// What is known of a request. Each is asked for only where a rule needs it, and may be asked for more than once.
pub trait Facts {
    /// Whether the header `name` is there with a value that fits `test`.
    fn header_fits(&self, name: &str, test: &dyn Fn(&str) -> bool) -> bool;
    /// Whose key it came with.
    fn tenant(&self) -> Option<&str>;
    /// The class of requests it belongs to.
    fn workload(&self) -> Option<&str>;
    /// Bytes of the prompt.
    fn prompt_bytes(&self) -> u64;
    /// Tokens of the prompt, estimated.
    fn prompt_tokens(&self) -> u64;
    /// Whether it offers tools.
    fn has_tools(&self) -> bool;
    /// Whether it offers a tool whose name fits `test`.
    fn tool_fits(&self, test: &dyn Fn(&str) -> bool) -> bool;
    /// The language of its last user message.
    fn language(&self) -> Language;
    /// The part of the world it is from.
    fn geography(&self) -> Option<&str>;
    /// The task that its caller names.
    fn task(&self) -> Option<&str>;
}

/// The place of the first rule that holds. `None` when none does.
pub fn first<'w>(rules: impl IntoIterator<Item = &'w When>, facts: &impl Facts) -> Option<usize> {
    rules.into_iter().position(|when| when.holds(facts))
}

impl When {
    /// Whether every condition holds. The cheap ones are looked at first.
    pub fn holds(&self, facts: &impl Facts) -> bool {
        let is_one_of = |patterns: &[Pattern], fact: Option<&str>| {
            patterns.is_empty() || fact.is_some_and(|fact| any_fits(patterns, fact))
        };
        is_one_of(&self.tenants, facts.tenant())
            && is_one_of(&self.workloads, facts.workload())
            && is_one_of(&self.geographies, facts.geography())
            && is_one_of(&self.tasks, facts.task())
            && self
                .headers
                .iter()
                .all(|header| facts.header_fits(&header.name, &|value| any_fits(&header.values, value)))
            && self.prompt_bytes.is_none_or(|size| size.holds(facts.prompt_bytes()))
            && self.tools.as_ref().is_none_or(|tools| tools.hold(facts))
            && self.prompt_tokens.is_none_or(|size| size.holds(facts.prompt_tokens()))
            && (self.languages.is_empty() || self.languages.contains(&facts.language()))
    }

    /// Whether this holds whenever `other` does, so that `other` after this is never reached. False where only several of its
    /// conditions together could tell.
    #[must_use]
    pub fn covers(&self, other: &When) -> bool {
        let sets =
            |ours: &[Pattern], theirs: &[Pattern]| ours.is_empty() || (!theirs.is_empty() && cover(ours, theirs));
        let header = |ours: &HeaderIs| {
            other.headers.iter().any(|theirs| theirs.name == ours.name && cover(&ours.values, &theirs.values))
        };
        let languages = self.languages.is_empty()
            || (!other.languages.is_empty() && other.languages.iter().all(|theirs| self.languages.contains(theirs)));
        sets(&self.tenants, &other.tenants)
            && sets(&self.workloads, &other.workloads)
            && sets(&self.geographies, &other.geographies)
            && sets(&self.tasks, &other.tasks)
            && self.headers.iter().all(header)
            && Size::covers(self.prompt_bytes, other.prompt_bytes)
            && Size::covers(self.prompt_tokens, other.prompt_tokens)
            && self.tools.as_ref().is_none_or(|ours| other.tools.as_ref().is_some_and(|theirs| ours.covers(theirs)))
            && languages
    }

    /// Why it holds: its conditions, with the numbers of the request and no other part of it.
    pub fn because(&self, facts: &impl Facts) -> String {
        let mut words = Words(String::new());
        for header in &self.headers {
            words.add(format_args!("header {} is {}", header.name, either(&header.values)));
        }
        if !self.tenants.is_empty() {
            words.add(format_args!("tenant is {}", either(&self.tenants)));
        }
        if !self.workloads.is_empty() {
            words.add(format_args!("workload is {}", either(&self.workloads)));
        }
        for (what, patterns) in [("geography", &self.geographies), ("task", &self.tasks)] {
            if !patterns.is_empty() {
                words.add(format_args!("{what} is {}", either(patterns)));
            }
        }
        if let Some(size) = self.prompt_bytes {
            words.add(format_args!("prompt has {} bytes, {size}", facts.prompt_bytes()));
        }
        if let Some(size) = self.prompt_tokens {
            words.add(format_args!("prompt has about {} tokens, {size}", facts.prompt_tokens()));
        }
        if let Some(tools) = &self.tools {
            words.add(format_args!("{tools}"));
        }
        if !self.languages.is_empty() {
            words.add(format_args!("language is {}", facts.language()));
        }
        words.or("it always holds")
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Words(String::new());
        for header in &self.headers {
            words.add(format_args!("header {} is {}", header.name, either(&header.values)));
        }
        let sets = [
            ("tenant", &self.tenants),
            ("workload", &self.workloads),
            ("geography", &self.geographies),
            ("task", &self.tasks),
        ];
        for (what, patterns) in sets {
            if !patterns.is_empty() {
                words.add(format_args!("{what} is {}", either(patterns)));
            }
        }
        if let Some(size) = self.prompt_bytes {
            words.add(format_args!("prompt bytes are {size}"));
        }
        if let Some(size) = self.prompt_tokens {
            words.add(format_args!("prompt tokens are {size}"));
        }
        if let Some(tools) = &self.tools {
            words.add(format_args!("{tools}"));
        }
        if !self.languages.is_empty() {
            words.add(format_args!("language is {}", either(&self.languages)));
        }
        f.write_str(&words.or("always"))
    }
}

impl Size {
    fn holds(self, n: u64) -> bool {
        self.over.is_none_or(|over| n > over) && self.up_to.is_none_or(|up_to| n <= up_to)
    }

    /// Whether no number is in it.
    #[must_use]
    pub fn is_empty(self) -> bool {
        matches!((self.over, self.up_to), (Some(over), Some(up_to)) if up_to <= over)
    }

    fn covers(ours: Option<Size>, theirs: Option<Size>) -> bool {
        let (ours, theirs) = (ours.unwrap_or_default(), theirs.unwrap_or_default());
        let below = ours.over.is_none_or(|ours| theirs.over.is_some_and(|theirs| theirs >= ours));
        below && ours.up_to.is_none_or(|ours| theirs.up_to.is_some_and(|theirs| theirs <= ours))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.over, self.up_to) {
            (Some(over), Some(up_to)) => write!(f, "over {over} and up to {up_to}"),
            (Some(over), None) => write!(f, "over {over}"),
            (None, Some(up_to)) => write!(f, "up to {up_to}"),
            (None, None) => f.write_str("any"),
        }
    }
}

impl Tools {
    fn hold(&self, facts: &impl Facts) -> bool {
        match self {
            Tools::None => !facts.has_tools(),
            Tools::Some => facts.has_tools(),
            Tools::Named(names) => facts.tool_fits(&|tool| any_fits(names, tool)),
        }
    }

    fn covers(&self, other: &Tools) -> bool {
        match (self, other) {
            (Tools::Some, Tools::Named(_)) => true,
            (Tools::Named(ours), Tools::Named(theirs)) => cover(ours, theirs),
            (ours, theirs) => ours == theirs,
        }
    }
}

impl fmt::Display for Tools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Tools::None => f.write_str("no tools"),
            Tools::Some => f.write_str("tools"),
            Tools::Named(names) => write!(f, "a tool is {}", either(names)),
        }
    }
}

fn either(values: &[impl fmt::Display]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
}

/// Parts with commas between them.
struct Words(String);

impl Words {
    fn add(&mut self, part: fmt::Arguments<'_>) {
        let comma = if self.0.is_empty() { "" } else { ", " };
        // Writing to a String cannot fail.
        write!(self.0, "{comma}{part}").unwrap_or_default();
    }

    fn or(self, nothing: &str) -> String {
        if self.0.is_empty() { nothing.to_owned() } else { self.0 }
    }
}
