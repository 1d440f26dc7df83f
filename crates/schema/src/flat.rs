//! One schema without names for what several with names say together: `$id`, anchors and documents beside it are followed once, before anything is
//! checked, and every reference becomes one to a place in the same schema. So what is checked, and what it costs, is what is written there.
//!
//! A `$dynamicRef` leads to the outermost schema resource on the way that has a `$dynamicAnchor` of the name (Core, section 8.2.3.2). Which one
//! that is differs from way to way, so a schema is written down once for each set of outermost anchors it can be reached with.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde_json::{Map, Value, json};

use crate::compile::Unvalidated;
use crate::graph::{Against, Holds, MAX_SCHEMAS, keyword};
use crate::resources::{Place, Resources, Vocabularies};

/// Most of what is written down, in values and bytes of text.
const MAX_SIZE: usize = 1 << 20;

/// For each name the outermost `$dynamicAnchor` on the way.
type Scope = BTreeMap<String, Place>;

/// Writes the schema down that is at a place of `resources`.
///
/// # Errors
/// When a reference leads to no document of them, or too much would have to be written.
pub(crate) fn flat(resources: Resources, root: &Place) -> Result<Value, Unvalidated> {
    let mut writer = Writer {
        resources,
        scopes: Vec::new(),
        scope_places: HashMap::new(),
        targets: HashMap::new(),
        queue: VecDeque::new(),
        n_schemas: 0,
        size: 0,
    };
    let resource = writer.resources.around(root);
    let scope = writer.entered(Scope::new(), resource);
    writer.targets.insert((root.clone(), scope), None);
    let mut whole = writer.schema(root, scope)?;
    let mut definitions = Map::new();
    while let Some((place, scope, name)) = writer.queue.pop_front() {
        let schema = writer.schema(&place, scope)?;
        definitions.insert(name, schema);
    }
    if let (Value::Object(members), false) = (&mut whole, definitions.is_empty()) {
        members.insert("$defs".to_owned(), Value::Object(definitions));
    }
    Ok(whole)
}

struct Writer {
    resources: Resources,
    scopes: Vec<Scope>,
    scope_places: HashMap<Scope, usize>,
    /// What was referred to, in which scope, and its name; the whole has none.
    targets: HashMap<(Place, usize), Option<String>>,
    queue: VecDeque<(Place, usize, String)>,
    n_schemas: usize,
    size: usize,
}

/// Where the writer is.
#[derive(Clone, Copy)]
struct At {
    resource: usize,
    scope: usize,
    uses: Vocabularies,
}

impl Writer {
    /// The scope inside a resource that is entered from another scope.
    fn entered(&mut self, mut scope: Scope, resource: usize) -> usize {
        for (name, place) in &self.resources.resource_at(resource).dynamic {
            scope.entry(name.clone()).or_insert_with(|| place.clone());
        }
        if let Some(known) = self.scope_places.get(&scope) {
            return *known;
        }
        self.scopes.push(scope.clone());
        self.scope_places.insert(scope, self.scopes.len() - 1);
        self.scopes.len() - 1
    }

    /// Writes the schema at `place`, whose resource was entered.
    fn schema(&mut self, place: &Place, scope: usize) -> Result<Value, Unvalidated> {
        let resource = self.resources.around(place);
        let uses = self.resources.vocabularies(resource)?;
        let document = self.resources.document(place).ok_or(Unvalidated::Reference)?;
        let schema = place.of(&document).ok_or(Unvalidated::Schema)?;
        self.written(schema, &mut place.clone(), At { resource, scope, uses })
    }

    fn written(&mut self, schema: &Value, place: &mut Place, at: At) -> Result<Value, Unvalidated> {
        self.n_schemas += 1;
        if self.n_schemas > MAX_SCHEMAS {
            return Err(Unvalidated::TooComplex);
        }
        let Value::Object(members) = schema else { return self.copied(schema) };
        let at = match self.resources.beginning_at(place) {
            Some(resource) if resource != at.resource => {
                let scope = self.entered(self.scopes[at.scope].clone(), resource);
                At { resource, scope, uses: self.resources.vocabularies(resource)? }
            }
            _ => at,
        };
        let mut written = Map::new();
        let mut references = Vec::new();
        for (name, value) in members {
            match name.as_str() {
                "$id" | "$schema" | "$anchor" | "$dynamicAnchor" | "$vocabulary" | "$comment" => {}
                "$ref" => references.push(self.reference(value, false, at)?),
                "$dynamicRef" => references.push(self.reference(value, true, at)?),
                name if !at.uses.has(name) => {}
                name => match keyword(name, value) {
                    // What is referred to is written down where it is needed.
                    Some((_, Against::Nobody)) => {}
                    Some((holds, _)) => {
                        let value = self.inside(&holds, value, name, place, at)?;
                        written.insert(name.to_owned(), value);
                    }
                    None => {
                        let value = self.copied(value)?;
                        written.insert(name.to_owned(), value);
                    }
                },
            }
        }
        refer(&mut written, references)?;
        Ok(Value::Object(written))
    }

    /// Writes what a keyword holds.
    fn inside(
        &mut self,
        holds: &Holds,
        value: &Value,
        name: &str,
        place: &mut Place,
        at: At,
    ) -> Result<Value, Unvalidated> {
        match (holds, value) {
            (Holds::One, _) => place.inside(&[name], |place| self.written(value, place, at)),
            (Holds::List, Value::Array(list)) => {
                let inner = |(n, inner): (usize, &Value)| {
                    place.inside(&[name, &n.to_string()], |place| self.written(inner, place, at))
                };
                list.iter().enumerate().map(inner).collect::<Result<_, _>>().map(Value::Array)
            }
            (Holds::Map, Value::Object(map)) => {
                let mut written = Map::new();
                for (key, inner) in map {
                    let inner = place.inside(&[name, key], |place| self.written(inner, place, at))?;
                    written.insert(key.clone(), inner);
                }
                Ok(Value::Object(written))
            }
            _ => Err(Unvalidated::Schema),
        }
    }

    /// The reference to where `reference` leads from here.
    fn reference(&mut self, reference: &Value, is_dynamic: bool, at: At) -> Result<Value, Unvalidated> {
        let target = self.resources.target(at.resource, reference)?;
        let resource = self.resources.around(&target.place);
        let mut place = target.place;
        if is_dynamic
            && let Some(name) = target.anchor
            && self.resources.resource_at(resource).dynamic.get(&name) == Some(&place)
            && let Some(outermost) = self.scopes[at.scope].get(&name)
        {
            place = outermost.clone();
        }
        let resource = self.resources.around(&place);
        let scope = self.entered(self.scopes[at.scope].clone(), resource);
        let next = self.targets.len();
        let name = self.targets.entry((place.clone(), scope)).or_insert_with(|| {
            let name = next.to_string();
            self.queue.push_back((place, scope, name.clone()));
            Some(name)
        });
        Ok(Value::String(name.as_ref().map_or_else(|| "#".to_owned(), |name| format!("#/$defs/{name}"))))
    }

    fn copied(&mut self, value: &Value) -> Result<Value, Unvalidated> {
        self.size += size(value);
        if self.size > MAX_SIZE { Err(Unvalidated::TooComplex) } else { Ok(value.clone()) }
    }
}

/// Puts references into a schema: one as it is, and any other beside it.
fn refer(written: &mut Map<String, Value>, references: Vec<Value>) -> Result<(), Unvalidated> {
    for reference in references {
        if !written.contains_key("$ref") {
            written.insert("$ref".to_owned(), reference);
            continue;
        }
        let all = written.entry("allOf").or_insert_with(|| json!([]));
        all.as_array_mut().ok_or(Unvalidated::Schema)?.push(json!({ "$ref": reference }));
    }
    Ok(())
}

fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => 1 + text.len(),
        Value::Array(elements) => 1 + elements.iter().map(size).sum::<usize>(),
        Value::Object(members) => 1 + members.iter().map(|(key, value)| key.len() + size(value)).sum::<usize>(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
    }
}

impl Vocabularies {
    /// Whether a keyword says anything. Those of no vocabulary say nothing anyway.
    fn has(self, keyword: &str) -> bool {
        match keyword {
            "prefixItems"
            | "items"
            | "contains"
            | "additionalProperties"
            | "properties"
            | "patternProperties"
            | "dependentSchemas"
            | "propertyNames"
            | "if"
            | "then"
            | "else"
            | "allOf"
            | "anyOf"
            | "oneOf"
            | "not" => self.applicator,
            "unevaluatedItems" | "unevaluatedProperties" => self.unevaluated,
            "type" | "const" | "enum" | "multipleOf" | "maximum" | "exclusiveMaximum" | "minimum"
            | "exclusiveMinimum" | "maxLength" | "minLength" | "pattern" | "maxItems" | "minItems" | "uniqueItems"
            | "maxContains" | "minContains" | "maxProperties" | "minProperties" | "required" | "dependentRequired" => {
                self.validation
            }
            _ => true,
        }
    }
}
