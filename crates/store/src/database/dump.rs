//! Every row in an open form, for whoever takes the record elsewhere.

use std::collections::BTreeMap;

use rusqlite::types::ValueRef;
use serde_json::{Map, Value};

use super::{Database, DatabaseError, during};

/// Of a table that no copy leaves the house with: what tells a key that somebody holds from one that nobody does.
const SECRETS: &str = "key_secrets";

impl Database {
    /// Gives every row of every table as a line of JSON, all as they were at one moment, and counts them by table. Bytes that are no text are
    /// in hexadecimal. The verifiers of keys are left out. `write` says with `false` that it cannot take more.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn dump(&self, mut write: impl FnMut(&str, &str) -> bool) -> Result<BTreeMap<String, u64>, DatabaseError> {
        let mut connection = self.reading();
        let what = during("reading every row");
        let moment = connection.transaction().map_err(&what)?;
        let names: Vec<String> = {
            let mut select = moment
                .prepare(
                    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
                )
                .map_err(&what)?;
            let rows = select.query_map([], |row| row.get(0)).map_err(&what)?;
            rows.collect::<Result<_, _>>().map_err(&what)?
        };
        let mut counts = BTreeMap::new();
        for name in names.into_iter().filter(|name| name != SECRETS) {
            let mut select = moment.prepare(&format!("SELECT * FROM \"{name}\"")).map_err(&what)?;
            let columns: Vec<String> = select.column_names().map(str::to_owned).collect();
            let mut rows = select.query([]).map_err(&what)?;
            let mut n = 0;
            while let Some(row) = rows.next().map_err(&what)? {
                let mut line = Map::new();
                for (idx, column) in columns.iter().enumerate() {
                    line.insert(column.clone(), value(row.get_ref(idx).map_err(&what)?));
                }
                if !write(&name, &Value::Object(line).to_string()) {
                    return Ok(counts);
                }
                n += 1;
            }
            counts.insert(name, n);
        }
        Ok(counts)
    }
}

fn value(cell: ValueRef<'_>) -> Value {
    match cell {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => number.into(),
        ValueRef::Real(number) => serde_json::Number::from_f64(number).map_or(Value::Null, Value::Number),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into(),
        ValueRef::Blob(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into(),
    }
}
