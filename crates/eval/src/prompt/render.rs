//! A form with values filled in: the members of a chat request.

use serde_json::{Map, Value, json};

use super::variables::{ValueError, filled};
use super::{Delimiters, Form, Placement, Prompt, Role};

/// Why a prompt could not be filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// There is no such variant.
    #[error("the prompt has no variant `{0}`")]
    Variant(String),
    /// Values are missing, unknown or of another type.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Values(Vec<ValueError>),
}

impl Prompt {
    /// The members of a chat request, all but the model.
    ///
    /// # Errors
    /// When there is no such variant, or values are missing, unknown or of another type: all of them.
    pub fn request(
        &self,
        variant: Option<&str>,
        values: &Map<String, Value>,
    ) -> Result<Map<String, Value>, RenderError> {
        let form = self.form(variant).ok_or_else(|| RenderError::Variant(variant.unwrap_or_default().to_owned()))?;
        self.request_of(&form, values)
    }

    /// The same in a form that is none of the prompt's own.
    ///
    /// # Errors
    /// When values are missing, unknown or of another type: all of them.
    pub fn request_of(&self, form: &Form, values: &Map<String, Value>) -> Result<Map<String, Value>, RenderError> {
        let values = filled(&self.variables, values).map_err(RenderError::Values)?;
        let shown = |name: &str, value: &Value| {
            let text = as_text(value);
            let delimited = self.variables.get(name).is_some_and(|variable| variable.delimited);
            if delimited { form.delimiters.around(name, &text) } else { text }
        };
        let said = form.messages.iter().map(|message| (message.role, message.text.fill(&values, &shown)));
        let mut said: Vec<(Role, String)> = said.collect();
        let shots = form
            .few_shots
            .iter()
            .flat_map(|shot| [(Role::User, shot.user.clone()), (Role::Assistant, shot.assistant.clone())]);
        let first = said.iter().position(|(role, _)| *role != Role::System).unwrap_or(said.len());
        if let Some(instruction) = &form.instruction {
            instruct(&mut said, instruction);
        }
        said.splice(first..first, shots);
        let messages = placed(said, form.system);
        let mut request = form.parameters.clone();
        request.insert("messages".to_owned(), Value::Array(messages));
        Ok(request)
    }

    /// The system text of a form whose templates need no values, as a target of the config is bound to it.
    ///
    /// # Errors
    /// When there is no such variant, or a variable has no default.
    pub fn system(&self, variant: Option<&str>) -> Result<String, RenderError> {
        let form = self.form(variant).ok_or_else(|| RenderError::Variant(variant.unwrap_or_default().to_owned()))?;
        let named: Vec<&str> = form
            .messages
            .iter()
            .filter(|message| message.role == Role::System)
            .flat_map(|message| message.text.names())
            .collect();
        let variables = self.variables.iter().filter(|(name, _)| named.contains(&name.as_str()));
        let variables = variables.map(|(name, variable)| (name.clone(), variable.clone())).collect();
        let values = filled(&variables, &Map::new()).map_err(RenderError::Values)?;
        let shown = |name: &str, value: &Value| {
            let text = as_text(value);
            let delimited = self.variables.get(name).is_some_and(|variable| variable.delimited);
            if delimited { form.delimiters.around(name, &text) } else { text }
        };
        let system = form.messages.iter().filter(|message| message.role == Role::System);
        let mut texts: Vec<String> = system.map(|message| message.text.fill(&values, &shown)).collect();
        texts.extend(form.instruction.clone());
        Ok(texts.iter().map(|text| text.trim_end()).collect::<Vec<_>>().join("\n\n"))
    }
}

fn instruct(said: &mut [(Role, String)], instruction: &str) {
    let last = |role: Role| said.iter().rposition(|(said_by, _)| *said_by == role);
    let Some(idx) = last(Role::System).or_else(|| last(Role::User)) else { return };
    if let Some((_, text)) = said.get_mut(idx) {
        *text = format!("{}\n\n{instruction}", text.trim_end());
    }
}

fn placed(mut said: Vec<(Role, String)>, system: Placement) -> Vec<Value> {
    if system == Placement::User {
        let texts: Vec<String> =
            said.iter().filter(|(role, _)| *role == Role::System).map(|(_, text)| text.trim_end().to_owned()).collect();
        said.retain(|(role, _)| *role != Role::System);
        let before = texts.join("\n\n");
        match said.iter_mut().find(|(role, _)| *role == Role::User) {
            Some((_, text)) if !before.is_empty() => *text = format!("{before}\n\n{text}"),
            None if !before.is_empty() => said.insert(0, (Role::User, before)),
            _ => {}
        }
    }
    let role = |role: Role| match (role, system) {
        (Role::System, Placement::Developer) => "developer",
        (Role::System, _) => "system",
        (Role::User, _) => "user",
        (Role::Assistant, _) => "assistant",
    };
    said.into_iter().map(|(said_by, text)| json!({ "role": role(said_by), "content": text })).collect()
}

fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

impl Delimiters {
    /// `text` between the delimiters, so that nothing in it can end them.
    #[must_use]
    pub fn around(self, name: &str, text: &str) -> String {
        let text = text.trim_end_matches('\n');
        match self {
            Delimiters::None => text.to_owned(),
            Delimiters::Xml => {
                let text = text.replace(&format!("</{name}"), &format!("&lt;/{name}"));
                format!("<{name}>\n{text}\n</{name}>")
            }
            Delimiters::Brackets => {
                let text = text.replace(&format!("[/{name}]"), &format!("[ /{name}]"));
                format!("[{name}]\n{text}\n[/{name}]")
            }
            Delimiters::Fence => {
                let runs = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
                let fence = "`".repeat(runs.max(2) + 1);
                format!("{fence}\n{text}\n{fence}")
            }
        }
    }
}
