//! What an expression says, before names are followed.

use super::literal::Part;

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Said {
    /// A literal text.
    Text(Text),
    /// A number, as it is written.
    Number(String),
    /// A name, with dots.
    Name(String),
    /// A member of what is no name.
    Member(Box<Said>, String),
    /// A call, or an object that is made.
    Call(Box<Call>),
    /// Keys and values.
    Object(Vec<(String, Said)>, u32),
    /// A list.
    List(Vec<Said>, u32),
    /// A list whose items stand in another.
    Spread(Box<Said>),
    /// One of several, and how it is written.
    Either(Vec<Said>, String),
    /// Anything else, as it is written.
    Other(String),
}

/// A literal text with what is filled in.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Text {
    pub(super) parts: Vec<Part>,
    pub(super) line: u32,
}

/// A call.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Call {
    /// What it is a method of, when that is more than a name.
    pub(super) receiver: Option<Said>,
    /// The callee's name with dots, or the method's.
    pub(super) name: String,
    pub(super) arguments: Vec<(Option<String>, Said)>,
    pub(super) line: u32,
}

impl Text {
    /// The text, when nothing is filled in.
    pub(super) fn plain(&self) -> Option<String> {
        let text = |part: &Part| match part {
            Part::Text(text) => Some(text.clone()),
            Part::Hole(_) => None,
        };
        self.parts.iter().map(text).collect()
    }
}

impl Call {
    /// The last part of its name.
    pub(super) fn last(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or_default()
    }

    /// What is given by this name, in any spelling: directly, or in an object that is given.
    pub(super) fn get(&self, names: &[&str]) -> Option<&Said> {
        let direct = self.arguments.iter().find(|(name, _)| name.as_ref().is_some_and(|name| is_one_of(name, names)));
        direct.map(|(_, said)| said).or_else(|| {
            let objects = self.arguments.iter().filter_map(|(name, said)| match said {
                Said::Object(pairs, _) if name.as_ref().is_none_or(|name| is_one_of(name, &WRAPPERS)) => Some(pairs),
                _ => None,
            });
            objects.flatten().find(|(name, _)| is_one_of(name, names)).map(|(_, said)| said)
        })
    }
}

/// Names of arguments that hold the request.
const WRAPPERS: [&str; 7] = ["parameters", "request", "options", "params", "config", "body", "json"];

/// Whether a name is one of these, which are in lower case without underscores.
pub(super) fn is_one_of(name: &str, names: &[&str]) -> bool {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    names.contains(&plain.as_str())
}

impl Said {
    /// How it would be written, for who reads the prompt.
    pub(super) fn source(&self) -> String {
        match self {
            Said::Text(_) => "text".to_owned(),
            Said::Number(number) => number.clone(),
            Said::Name(name) => name.clone(),
            Said::Member(object, name) => format!("{}.{name}", object.source()),
            Said::Call(call) => {
                let receiver =
                    call.receiver.as_ref().map(|receiver| format!("{}.", receiver.source())).unwrap_or_default();
                let arguments: Vec<String> = call.arguments.iter().map(|(_, said)| said.source()).collect();
                let whole = format!("{receiver}{}({})", call.name, arguments.join(", "));
                whole.chars().take(120).collect()
            }
            Said::Object(..) => "{…}".to_owned(),
            Said::List(..) => "[…]".to_owned(),
            Said::Spread(inner) => inner.source(),
            Said::Either(_, source) | Said::Other(source) => source.split_whitespace().collect::<Vec<_>>().join(" "),
        }
    }
}
