//! Which schema a URI names: the schemas inside a set of documents by their `$id` and their anchors, as draft 2020-12 has them
//! (Core, section 8.2). What no document of the set has is nowhere: nothing is ever fetched.

use std::collections::HashMap;
use std::sync::Arc;

use jsonschema::{Registry, Uri, uri};
use serde_json::{Map, Value, json};

use crate::compile::Unvalidated;
use crate::graph::{Holds, decoded, escaped, keyword};

/// The draft by which references are followed.
pub(crate) const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
/// Where its meta-schema and the parts of it are.
const META: &str = "https://json-schema.org/draft/2020-12/";
const VOCABULARIES: [&str; 8] = [
    "applicator",
    "content",
    "core",
    "format-annotation",
    "format-assertion",
    "meta-data",
    "unevaluated",
    "validation",
];
/// Where a document is that says nothing about it.
const NOWHERE: &str = "json-schema:///";

/// A place in a set of documents.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    document: usize,
    /// As a JSON pointer.
    pointer: String,
}

/// A schema with a URI of its own.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    place: Place,
    uri: Uri<String>,
    /// Its `$schema`, or that of the schema around it.
    dialect: Option<String>,
    /// Where `$anchor` and `$dynamicAnchor` name a schema of it; nowhere when two have the same.
    anchors: HashMap<String, Option<String>>,
    /// Names of `$dynamicAnchor` and where they are.
    pub(crate) dynamic: HashMap<String, Place>,
}

/// Documents and what is in them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Resources {
    documents: Vec<Arc<Value>>,
    resources: Vec<Resource>,
    /// Nothing where two different schemas have the same URI.
    by_uri: HashMap<String, Option<usize>>,
    roots: HashMap<Place, usize>,
}

/// Where a reference leads.
pub(crate) struct Target {
    pub(crate) place: Place,
    /// The anchor by which it was named.
    pub(crate) anchor: Option<String>,
}

/// The parts of the draft that say something about a schema.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Vocabularies {
    pub(crate) applicator: bool,
    pub(crate) unevaluated: bool,
    pub(crate) validation: bool,
}

impl Resources {
    /// Adds a document that was found at this URI, and everything in it that has one.
    ///
    /// # Errors
    /// When something in it has an `$id` that is no URI, or a `$schema` where there is no `$id`.
    pub(crate) fn add(&mut self, found_at: Option<&str>, document: Value) -> Result<Place, Unvalidated> {
        let place = Place { document: self.documents.len(), pointer: String::new() };
        let at = uri::from_str(found_at.unwrap_or(NOWHERE)).map_err(|_| Unvalidated::Schema)?;
        let document = Arc::new(document);
        self.documents.push(Arc::clone(&document));
        let root = self.resource(place.clone(), at, None);
        self.gather(&document, &mut place.clone(), root)?;
        Ok(place)
    }

    /// Whether a document or a part of one has this URI.
    pub(crate) fn has(&self, uri: &Uri<String>) -> bool {
        self.by_uri.contains_key(key(uri))
    }

    /// The schema at a place.
    pub(crate) fn at(&self, place: &Place) -> Option<&Value> {
        place.of(self.documents.get(place.document)?)
    }

    /// The document of a place, so that it can be walked through.
    pub(crate) fn document(&self, place: &Place) -> Option<Arc<Value>> {
        self.documents.get(place.document).cloned()
    }

    /// The resource that begins at this place.
    pub(crate) fn beginning_at(&self, place: &Place) -> Option<usize> {
        self.roots.get(place).copied()
    }

    /// The resource that a place is in.
    pub(crate) fn around(&self, place: &Place) -> usize {
        let mut place = place.clone();
        loop {
            match (self.roots.get(&place), place.pointer.rfind('/')) {
                (Some(resource), _) => return *resource,
                (None, Some(end)) => place.pointer.truncate(end),
                // Every document begins with a resource.
                (None, None) => return 0,
            }
        }
    }

    pub(crate) fn resource_at(&self, resource: usize) -> &Resource {
        &self.resources[resource]
    }

    /// Where a reference leads that stands in `resource`.
    ///
    /// # Errors
    /// When it leads to no document of the set, or to nothing in it.
    pub(crate) fn target(&mut self, resource: usize, reference: &Value) -> Result<Target, Unvalidated> {
        let reference = reference.as_str().ok_or(Unvalidated::Schema)?;
        let (to, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let named = if to.is_empty() { resource } else { self.named(&self.resources[resource].uri.clone(), to)? };
        let fragment = decoded(fragment).ok_or(Unvalidated::Reference)?;
        let Resource { place: root, anchors, .. } = &self.resources[named];
        let (pointer, anchor) = if fragment.is_empty() || fragment.starts_with('/') {
            (format!("{}{fragment}", root.pointer), None)
        } else {
            (anchors.get(&fragment).cloned().flatten().ok_or(Unvalidated::Reference)?, Some(fragment))
        };
        let place = Place { document: root.document, pointer };
        match self.at(&place) {
            Some(Value::Object(_) | Value::Bool(_)) => Ok(Target { place, anchor }),
            _ => Err(Unvalidated::Schema),
        }
    }

    /// What of the draft the schemas of a resource go by.
    ///
    /// # Errors
    /// When they are of another draft, or of one that asks for what is not known here.
    pub(crate) fn vocabularies(&self, resource: usize) -> Result<Vocabularies, Unvalidated> {
        let all = Vocabularies { applicator: true, unevaluated: true, validation: true };
        let Some(dialect) = self.resources[resource].dialect.as_deref() else { return Ok(all) };
        if dialect.trim_end_matches('#') == DIALECT {
            return Ok(all);
        }
        let meta = uri::from_str(dialect).map_err(|_| Unvalidated::Schema)?;
        let meta = self.by_uri.get(key(&meta)).copied().flatten().ok_or(Unvalidated::Reference)?;
        let above = self.resources[meta].dialect.as_deref();
        if above.is_some_and(|above| above.trim_end_matches('#') != DIALECT) {
            return Err(Unvalidated::Reference);
        }
        let meta = self.at(&self.resources[meta].place).and_then(|meta| meta.get("$vocabulary"));
        let Some(vocabulary) = meta.and_then(Value::as_object) else { return Ok(all) };
        let mut used = Vocabularies { applicator: false, unevaluated: false, validation: false };
        for (name, is_needed) in vocabulary {
            match name.strip_prefix(META).and_then(|name| name.strip_prefix("vocab/")) {
                Some("applicator") => used.applicator = true,
                Some("unevaluated") => used.unevaluated = true,
                Some("validation") => used.validation = true,
                Some("core" | "content" | "meta-data" | "format-annotation") => {}
                _ if is_needed == &Value::Bool(false) => {}
                _ => return Err(Unvalidated::Schema),
            }
        }
        Ok(used)
    }

    fn resource(&mut self, place: Place, uri: Uri<String>, dialect: Option<String>) -> usize {
        let resource = self.resources.len();
        self.roots.insert(place.clone(), resource);
        self.name(&uri, resource, &place);
        self.resources.push(Resource { place, uri, dialect, anchors: HashMap::new(), dynamic: HashMap::new() });
        resource
    }

    fn name(&mut self, uri: &Uri<String>, resource: usize, place: &Place) {
        if uri.as_str() == NOWHERE {
            return;
        }
        let other = match self.by_uri.get(key(uri)) {
            None => {
                self.by_uri.insert(key(uri).to_owned(), Some(resource));
                return;
            }
            Some(other) => *other,
        };
        let is_same = other.is_some_and(|other| self.at(&self.resources[other].place) == self.at(place));
        if !is_same && other != Some(resource) {
            self.by_uri.insert(key(uri).to_owned(), None);
        }
    }

    fn named(&mut self, base: &Uri<String>, to: &str) -> Result<usize, Unvalidated> {
        let uri = uri::resolve_against(&base.borrow(), to).map_err(|_| Unvalidated::Reference)?;
        if !self.by_uri.contains_key(key(&uri)) && uri.as_str().starts_with(META) {
            self.add_meta_schemas()?;
        }
        self.by_uri.get(key(&uri)).copied().flatten().ok_or(Unvalidated::Reference)
    }

    /// Adds the meta-schema of the draft, as the validator brings it along.
    fn add_meta_schemas(&mut self) -> Result<(), Unvalidated> {
        let known = Registry::new().add(NOWHERE, json!({ "$ref": DIALECT })).and_then(|builder| builder.prepare());
        let known = known.map_err(|_| Unvalidated::Reference)?;
        let uris = VOCABULARIES.iter().map(|name| format!("{META}meta/{name}")).chain([DIALECT.to_owned()]);
        for uri in uris.filter(|uri| known.contains_resource(uri)) {
            if self.by_uri.contains_key(&uri) {
                continue;
            }
            let resolver = known.resolver(uri::from_str(&uri).map_err(|_| Unvalidated::Reference)?);
            let meta = resolver.lookup("").map_err(|_| Unvalidated::Reference)?.contents().clone();
            self.add(Some(&uri), meta)?;
        }
        Ok(())
    }

    /// Finds what has a name, below a schema. A document is no deeper than its parser allows.
    fn gather(&mut self, schema: &Value, place: &mut Place, around: usize) -> Result<(), Unvalidated> {
        let Value::Object(members) = schema else { return Ok(()) };
        let around = self.begun(members, place, around)?;
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        let resource = &mut self.resources[around];
        for name in [text("$anchor"), text("$dynamicAnchor")].into_iter().flatten() {
            let anchor = resource.anchors.entry(name.to_owned());
            anchor.and_modify(|at| *at = None).or_insert_with(|| Some(place.pointer.clone()));
        }
        if let Some(name) = text("$dynamicAnchor") {
            resource.dynamic.insert(name.to_owned(), place.clone());
        }
        each_inside(members, place, &mut |inner, place| self.gather(inner, place, around))
    }

    /// The resource that a schema with these members is in, which may begin with it.
    fn begun(&mut self, members: &Map<String, Value>, place: &Place, around: usize) -> Result<usize, Unvalidated> {
        let dialect = members.get("$schema").and_then(Value::as_str);
        let is_root = place.pointer.is_empty();
        let Some(id) = members.get("$id").and_then(Value::as_str) else {
            if dialect.is_some() && !is_root {
                return Err(Unvalidated::Reference);
            }
            if dialect.is_some() {
                self.resources[around].dialect = dialect.map(str::to_owned);
            }
            return Ok(around);
        };
        let (id, fragment) = id.split_once('#').unwrap_or((id, ""));
        if !fragment.is_empty() {
            return Err(Unvalidated::Schema);
        }
        let uri = uri::resolve_against(&self.resources[around].uri.borrow(), id).map_err(|_| Unvalidated::Schema)?;
        let dialect = dialect.map(str::to_owned).or_else(|| self.resources[around].dialect.clone());
        if !is_root {
            return Ok(self.resource(place.clone(), uri, dialect));
        }
        // Found at one place and named by another: both lead to it, and what is in it goes by its own name.
        self.name(&uri, around, place);
        self.resources[around].uri = uri;
        self.resources[around].dialect = dialect;
        Ok(around)
    }
}

/// Calls `each` for the schemas that the keywords of a schema hold.
pub(crate) fn each_inside(
    members: &Map<String, Value>,
    place: &mut Place,
    each: &mut impl FnMut(&Value, &mut Place) -> Result<(), Unvalidated>,
) -> Result<(), Unvalidated> {
    for (name, value) in members {
        let Some((holds, _)) = keyword(name, value) else { continue };
        match (holds, value) {
            (Holds::One, inner) => place.inside(&[name], |place| each(inner, place))?,
            (Holds::List, Value::Array(list)) => {
                for (n, inner) in list.iter().enumerate() {
                    place.inside(&[name, &n.to_string()], |place| each(inner, place))?;
                }
            }
            (Holds::Map, Value::Object(map)) => {
                for (key, inner) in map {
                    place.inside(&[name, key], |place| each(inner, place))?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

impl Place {
    /// What is at it in the document that it is of.
    pub(crate) fn of<'d>(&self, document: &'d Value) -> Option<&'d Value> {
        document.pointer(&self.pointer)
    }

    /// Goes further in for the time of a call.
    pub(crate) fn inside<T>(&mut self, keys: &[&str], call: impl FnOnce(&mut Place) -> T) -> T {
        let length = self.pointer.len();
        for key in keys {
            self.pointer.push('/');
            self.pointer.push_str(&escaped(key));
        }
        let result = call(self);
        self.pointer.truncate(length);
        result
    }
}

/// A URI without its fragment.
fn key(uri: &Uri<String>) -> &str {
    uri.as_str().split('#').next().unwrap_or_default()
}
