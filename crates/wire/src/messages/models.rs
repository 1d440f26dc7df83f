//! The list of models, as this dialect has it: the routes an application may name.

use bytes::Bytes;
use serde::Serialize;

/// When a route was made is not known. The dialect says that such a model has the first moment of Unix time.
const CREATED_AT: &str = "1970-01-01T00:00:00Z";

#[derive(Serialize)]
struct Model<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: &'a str,
    display_name: &'a str,
    created_at: &'static str,
}

impl<'a> Model<'a> {
    fn called(name: &'a str) -> Model<'a> {
        Model { kind: "model", id: name, display_name: name, created_at: CREATED_AT }
    }
}

/// The body of `GET /v1/models`. It is one page.
pub fn list<'a, N: AsRef<str> + ?Sized + 'a>(names: impl IntoIterator<Item = &'a N>) -> Bytes {
    #[derive(Serialize)]
    struct Page<'a> {
        data: Vec<Model<'a>>,
        has_more: bool,
        first_id: Option<&'a str>,
        last_id: Option<&'a str>,
    }
    let data: Vec<Model<'_>> = names.into_iter().map(|name| Model::called(name.as_ref())).collect();
    let (first_id, last_id) = (data.first().map(|model| model.id), data.last().map(|model| model.id));
    json(&Page { first_id, last_id, data, has_more: false })
}

/// The body of `GET /v1/models/{name}`.
pub fn entry(name: &str) -> Bytes {
    json(&Model::called(name))
}

/// Strings and lists of them: there is nothing in them that cannot be written.
fn json<T: Serialize>(value: &T) -> Bytes {
    Bytes::from(serde_json::to_vec(value).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_one_page() {
        let model = r#"{"type":"model","id":"a","display_name":"a","created_at":"1970-01-01T00:00:00Z"}"#;
        assert_eq!(entry("a"), model);
        assert_eq!(list(["a"]), format!(r#"{{"data":[{model}],"has_more":false,"first_id":"a","last_id":"a"}}"#));
        assert_eq!(list::<str>([]), r#"{"data":[],"has_more":false,"first_id":null,"last_id":null}"#);
    }
}
