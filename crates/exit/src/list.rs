//! One page of a list.

use serde::Deserialize;
use serde_json::value::RawValue;

/// An object as it came, byte by byte.
#[derive(Debug)]
pub(crate) struct Object {
    /// Its id; of a day of usage, when it begins.
    pub(crate) id: String,
    /// Its status, where it has one.
    pub(crate) status: Option<String>,
    /// All of it.
    pub(crate) raw: Box<RawValue>,
}

/// A page.
#[derive(Debug)]
pub(crate) struct Page {
    /// What is on it.
    pub(crate) objects: Vec<Object>,
    /// What the next request says, where there is more.
    pub(crate) next: Option<String>,
}

#[derive(Deserialize)]
struct Said {
    data: Vec<Box<RawValue>>,
    #[serde(default)]
    has_more: bool,
    last_id: Option<String>,
    next_page: Option<String>,
}

#[derive(Deserialize)]
struct Known {
    id: Option<String>,
    start_time: Option<i64>,
    status: Option<serde_json::Value>,
}

impl Object {
    /// Reads what has to be known of an object.
    pub(crate) fn read(raw: Box<RawValue>) -> Result<Object, String> {
        let known: Known =
            serde_json::from_str(raw.get()).map_err(|error| format!("an object cannot be read: {error}"))?;
        let id = known.id.or_else(|| known.start_time.map(|time| time.to_string()));
        let id = id.filter(|id| !id.is_empty()).ok_or("an object has no id")?;
        let status = known.status.and_then(|status| status.as_str().map(str::to_owned));
        Ok(Object { id, status, raw })
    }
}

impl Page {
    /// Reads an answer.
    pub(crate) fn read(body: &[u8], by_page: bool) -> Result<Page, String> {
        let said: Said = serde_json::from_slice(body).map_err(|error| format!("the page cannot be read: {error}"))?;
        let objects: Vec<Object> = said.data.into_iter().map(Object::read).collect::<Result<_, _>>()?;
        let last = said.last_id.or_else(|| objects.last().map(|object| object.id.clone()));
        let next = if by_page { said.next_page.filter(|_| said.has_more) } else { last.filter(|_| said.has_more) };
        if said.has_more && next.is_none() {
            return Err("the page says that there is more, and not how to ask for it".to_owned());
        }
        Ok(Page { objects, next })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_with_its_objects_byte_by_byte() {
        let page = Page::read(
            br#"{"object":"list","data":[{"id":"a","x": 1.50},{"id":"b","status":"completed"}],"has_more":true}"#,
            false,
        )
        .unwrap();
        assert_eq!(page.objects[0].raw.get(), r#"{"id":"a","x": 1.50}"#);
        assert_eq!((page.objects[1].status.as_deref(), page.next.as_deref()), (Some("completed"), Some("b")));
        let days = Page::read(
            br#"{"data":[{"object":"bucket","start_time":1730419200}],"has_more":true,"next_page":"p2"}"#,
            true,
        )
        .unwrap();
        assert_eq!((days.objects[0].id.as_str(), days.next.as_deref()), ("1730419200", Some("p2")));
        assert!(Page::read(br#"{"data":[],"has_more":true}"#, false).is_err());
        assert!(Page::read(br#"{"data":[{"x":1}]}"#, false).is_err());
    }
}
