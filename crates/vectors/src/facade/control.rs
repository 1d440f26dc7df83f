//! What clients ask of the control plane before they come to an index. Indexes are made by whoever runs the gateway, not by requests.

use serde_json::{Value, json};

use super::answers::Failure;
use super::index::Index;
use super::{Facade, Request};

/// From this version on an index is described by its schema.
const BY_SCHEMA: &str = "2026-07";

impl Facade {
    pub(super) fn control(&self, request: &Request<'_>, rest: &[&str]) -> Result<String, Failure> {
        match (request.method, rest) {
            ("GET", []) => {
                let mut indexes = Vec::new();
                for (name, index) in &self.indexes {
                    if (request.may_reach)(name) {
                        indexes.push(self.described(index, request)?);
                    }
                }
                Ok(json!({ "indexes": indexes }).to_string())
            }
            ("GET", [name]) => Ok(self.described(self.reach(request, name)?, request)?.to_string()),
            _ => Err(Failure::not_here(
                "indexes are made, changed and taken away by whoever runs this gateway, in its config and with `crossfade vectors`, not by requests",
            )),
        }
    }

    fn described(&self, index: &Index, request: &Request<'_>) -> Result<Value, Failure> {
        let shape = index.answering().shape()?;
        let mut value = json!({
            "name": index.name, "host": format!("{}/data/{}", self.url, index.name), "status": { "ready": true, "state": "Ready" },
            "deletion_protection": "enabled", "tags": null,
        });
        // The cloud and the region are fields that clients need to read an answer; nothing here is in a cloud that it knows of.
        let more = if request.version.is_some_and(|version| version >= BY_SCHEMA) {
            let mut fields = serde_json::Map::new();
            for (name, dense) in &shape.schema.dense {
                let metric = if *name == shape.vector { shape.metric_name() } else { "cosine" };
                fields
                    .insert(name.clone(), json!({ "type": "dense_vector", "dimension": dense.dims, "metric": metric }));
            }
            for name in &shape.schema.sparse {
                fields.insert(name.clone(), json!({ "type": "sparse_vector" }));
            }
            json!({
                "schema": { "fields": fields }, "deployment": { "deployment_type": "managed", "cloud": "aws", "region": "self-hosted" },
            })
        } else {
            json!({
                "dimension": shape.dims, "metric": shape.metric_name(), "vector_type": "dense",
                "spec": { "serverless": { "cloud": "aws", "region": "self-hosted" } },
            })
        };
        if let (Value::Object(value), Value::Object(more)) = (&mut value, more) {
            value.extend(more);
        }
        Ok(value)
    }
}
