//! The columns of a table, and the statements over them.

use std::pin::pin;

use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error};

use super::super::check_name;
use super::kept::Kept;
use super::wire::{self, Field, Raw};
use crate::metadata::Metadata;
use crate::row::{Dense, Dtype, Multi, Row, Sparse};
use crate::schema::{DenseShape, Metric, Schema};
use crate::store::Budget;

/// What every table has.
const FIXED: [&str; 5] = ["namespace", "id", "text", "metadata", "space"];

/// A table's columns.
pub(super) struct Columns {
    table: String,
    schema: Schema,
    kept: Kept,
    names: Vec<String>,
}

/// The type of a column, and why there is none, if there is none.
///
/// # Errors
/// Why.
pub(crate) fn declared(name: &str, shape: &DenseShape) -> Result<String, String> {
    const MAX_DIMS: usize = 16_000;
    check_name(name)?;
    let dims = shape.dims;
    match shape.dtype {
        Dtype::F32 | Dtype::F16 if dims == 0 || dims > MAX_DIMS => {
            Err(format!("vector `{name}` has {dims} numbers, and pgvector takes 1 to {MAX_DIMS}"))
        }
        Dtype::F32 => Ok(format!("vector({dims})")),
        Dtype::F16 => Ok(format!("halfvec({dims})")),
        Dtype::I8 => Ok("smallint[]".to_owned()),
        Dtype::Binary if dims == 0 => Err(format!("vector `{name}` has no bits")),
        Dtype::Binary => Ok(format!("bit({dims})")),
    }
}

/// Numbers rounded to 16 bits.
pub(super) fn halved(values: &[f32]) -> Dense {
    Dense::F16(values.iter().map(|value| half::f16::from_f32(*value).to_bits()).collect())
}

/// Numbers of 16 bits in 32.
fn whole(dense: Dense) -> Dense {
    match dense {
        Dense::F16(values) => Dense::F32(values.into_iter().map(|bits| half::f16::from_bits(bits).to_f32()).collect()),
        other => other,
    }
}

impl Columns {
    pub(super) fn new(table: &str, schema: Schema, kept: Kept) -> Columns {
        let mut names: Vec<String> = FIXED.iter().map(|name| (*name).to_owned()).collect();
        names.extend(schema.dense.keys().map(|name| format!("vec_{name}")));
        for name in &schema.sparse {
            if kept.sparse.contains_key(name) {
                names.push(format!("sparse_{name}"));
            } else {
                names.extend([format!("sparse_{name}_indices"), format!("sparse_{name}_values")]);
            }
        }
        names.extend(schema.multi.keys().map(|name| format!("multi_{name}")));
        Columns { table: table.to_owned(), schema, kept, names }
    }

    pub(super) fn schema(&self) -> &Schema {
        &self.schema
    }

    pub(super) fn kept(&self) -> &Kept {
        &self.kept
    }

    /// The type of the numbers of a dense vector, to search by it.
    pub(super) fn kind(&self, name: &str) -> &'static str {
        let is_half = self.schema.dense.get(name).is_some_and(|shape| shape.dtype == Dtype::F16);
        if is_half || self.kept.halves.contains(name) { "halfvec" } else { "vector" }
    }

    /// What makes the tables, all or nothing.
    pub(super) fn create(&self) -> Result<String, String> {
        let table = &self.table;
        let mut columns = String::new();
        for (name, shape) in &self.schema.dense {
            let usual = declared(name, shape)?;
            let kind = if self.kept.halves.contains(name) { format!("halfvec({})", shape.dims) } else { usual };
            columns += &format!(", \"vec_{name}\" {kind}");
        }
        for name in &self.schema.sparse {
            check_name(name)?;
            columns += &match self.kept.sparse.get(name) {
                Some(dims) => format!(", \"sparse_{name}\" sparsevec({dims})"),
                None => format!(", \"sparse_{name}_indices\" bigint[], \"sparse_{name}_values\" real[]"),
            };
        }
        for name in self.schema.multi.keys() {
            check_name(name)?;
            columns += &format!(", \"multi_{name}\" real[]");
        }
        // A schema always has a form in JSON.
        let json = serde_json::to_string(&self.schema).unwrap_or_default().replace('\'', "''");
        Ok(format!(
            "BEGIN;
             CREATE EXTENSION IF NOT EXISTS vector;
             CREATE TABLE \"{table}\" (namespace text COLLATE \"C\" NOT NULL, id text COLLATE \"C\" NOT NULL, text text, metadata json, space text{columns},
               PRIMARY KEY (namespace, id));
             CREATE TABLE \"{table}_schema\" (json text NOT NULL);
             INSERT INTO \"{table}_schema\" VALUES ('{json}');
             COMMIT"
        ))
    }

    /// A page by key, whose limit is the first argument.
    pub(super) fn select(&self, has_lower: bool, has_upper: bool) -> String {
        let mut bounds = Vec::new();
        let mut n = 1;
        for (is_there, operator) in [(has_lower, ">"), (has_upper, "<=")] {
            if is_there {
                bounds.push(format!("(namespace, id) {operator} (${}, ${})", n + 1, n + 2));
                n += 2;
            }
        }
        let bounds = if bounds.is_empty() { String::new() } else { format!("WHERE {}", bounds.join(" AND ")) };
        format!("SELECT {} FROM \"{}\" {bounds} ORDER BY namespace, id LIMIT $1", self.list(), self.table)
    }

    /// The rows of a namespace, `$1`, whose identifiers are in `$2`.
    pub(super) fn of_ids(&self) -> String {
        format!("SELECT {} FROM \"{}\" WHERE namespace = $1 AND id = ANY($2)", self.list(), self.table)
    }

    /// How the vector `name` is compared by a metric.
    pub(super) fn operator(&self, name: &str, metric: Metric) -> Result<&'static str, String> {
        let shape = self.schema.dense.get(name).ok_or_else(|| format!("it has no vector `{name}`"))?;
        if !matches!(shape.dtype, Dtype::F32 | Dtype::F16) {
            return Err(format!("`{name}` is of {:?}, which is not searched there", shape.dtype));
        }
        match metric {
            Metric::Cosine => Ok("<=>"),
            Metric::L2 => Ok("<->"),
            Metric::Dot => Ok("<#>"),
            Metric::Hamming => Err(format!("`{name}` is not of bits")),
        }
    }

    /// The nearest rows of a namespace, `$1`, at most `$2`, as the table's index finds them if it has one.
    pub(super) fn nearest(&self, name: &str, metric: Metric, query: &[f32]) -> Result<String, String> {
        let kind = self.kind(name);
        let operator = self.operator(name, metric)?;
        let values: Vec<String> = query.iter().map(f32::to_string).collect();
        let distance = format!("\"vec_{name}\" {operator} '[{}]'::{kind}", values.join(","));
        Ok(format!(
            "SELECT id, {distance} FROM \"{}\" WHERE namespace = $1 AND \"vec_{name}\" IS NOT NULL ORDER BY {distance} LIMIT $2",
            self.table
        ))
    }

    /// How many rows of this shape a page takes, their texts guessed.
    pub(super) fn rows_within(&self, budget: Budget) -> usize {
        const TEXTS: usize = 1024;
        let vectors: usize = self.schema.dense.values().map(|shape| shape.dims * 4).sum();
        (budget.n_bytes / (vectors + TEXTS)).clamp(1, budget.n_rows)
    }

    fn list(&self) -> String {
        self.names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
    }

    /// A row as the table's fields.
    fn fields(&self, row: &Row) -> Vec<Field> {
        let text = |text: &str| Field(Some(text.as_bytes().to_vec()));
        let maybe = |text: Option<&str>| Field(text.map(|text| text.as_bytes().to_vec()));
        let mut fields = vec![
            text(&row.namespace),
            text(&row.id),
            maybe(row.text.as_deref()),
            maybe(row.metadata.as_ref().map(Metadata::text)),
            maybe(row.space.as_deref()),
        ];
        for name in self.schema.dense.keys() {
            let dense = row.dense.get(name).map(|dense| match dense {
                Dense::F32(values) if self.kept.halves.contains(name) => wire::dense(&halved(values)),
                dense => wire::dense(dense),
            });
            fields.push(Field(dense));
        }
        for name in &self.schema.sparse {
            let sparse = row.sparse.get(name);
            if let Some(dims) = self.kept.sparse.get(name) {
                fields.push(Field(sparse.map(|sparse| wire::sparse(sparse, *dims))));
                continue;
            }
            fields.push(Field(sparse.map(|sparse| wire::bigints(sparse.indices()))));
            fields.push(Field(sparse.map(|sparse| wire::reals(sparse.values()))));
        }
        fields.extend(
            self.schema.multi.keys().map(|name| Field(row.multi.get(name).map(|multi| wire::reals(multi.values())))),
        );
        fields
    }

    /// The fields as a row.
    pub(super) fn row(&self, found: &tokio_postgres::Row) -> Result<Row, String> {
        let mut at = 0;
        let mut next = || {
            let Raw(bytes) = found.get(at);
            at += 1;
            bytes
        };
        let text = |bytes: Option<&[u8]>| {
            bytes.map(|bytes| String::from_utf8(bytes.to_vec()).map_err(|error| error.to_string())).transpose()
        };
        let (namespace, id) = (text(next())?.unwrap_or_default(), text(next())?.unwrap_or_default());
        let wrong = |what: &str| format!("row `{id}` of namespace `{namespace}`: {what}");
        let mut row = Row { text: text(next())?, ..Row::default() };
        let metadata = text(next())?.map(|text| Metadata::parse(&text)).transpose();
        row.metadata = metadata.map_err(|error| wrong(&error.to_string()))?;
        row.space = text(next())?;
        for (name, shape) in &self.schema.dense {
            if let Some(bytes) = next() {
                let is_half = self.kept.halves.contains(name);
                let dense = if is_half {
                    let shape = DenseShape { dtype: Dtype::F16, ..shape.clone() };
                    wire::dense_of(&shape, bytes).map(whole)
                } else {
                    wire::dense_of(shape, bytes)
                };
                let dense = dense.ok_or_else(|| wrong(&format!("vector `{name}` is of another shape")))?;
                row.dense.insert(name.clone(), dense);
            }
        }
        for name in &self.schema.sparse {
            if self.kept.sparse.contains_key(name) {
                if let Some(bytes) = next() {
                    let sparse = wire::sparse_of(bytes);
                    row.sparse.insert(
                        name.clone(),
                        sparse.ok_or_else(|| wrong(&format!("sparse vector `{name}` is broken")))?,
                    );
                }
                continue;
            }
            if let (Some(indices), Some(values)) = (next(), next()) {
                let indices = wire::bigints_of(indices);
                let sparse =
                    indices.zip(wire::reals_of(values)).and_then(|(indices, values)| Sparse::new(indices, values));
                row.sparse
                    .insert(name.clone(), sparse.ok_or_else(|| wrong(&format!("sparse vector `{name}` is broken")))?);
            }
        }
        for (name, dims) in &self.schema.multi {
            if let Some(values) = next() {
                let multi = wire::reals_of(values).and_then(|values| Multi::new(*dims, values));
                row.multi
                    .insert(name.clone(), multi.ok_or_else(|| wrong(&format!("multi-vector `{name}` is broken")))?);
            }
        }
        Ok(Row { namespace, id, ..row })
    }

    /// Writes rows straight into the table; where some are there already, of a batch that was written and not acknowledged, over them.
    pub(super) async fn copy(&self, client: &Client, rows: &[&Row]) -> Result<(), Error> {
        match self.copy_into(client, &self.table, rows).await {
            Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => self.upsert(client, rows).await,
            done => done,
        }
    }

    /// Writes rows over those that are there.
    pub(super) async fn upsert(&self, client: &Client, rows: &[&Row]) -> Result<(), Error> {
        let done = self.copy_over(client, rows).await;
        if done.is_err() {
            // What is said is why it failed, not that it could not be undone.
            drop(client.batch_execute("ROLLBACK").await);
        }
        done
    }

    async fn copy_over(&self, client: &Client, rows: &[&Row]) -> Result<(), Error> {
        let (table, staging) = (&self.table, format!("{}_staging", self.table));
        let make =
            format!("CREATE TEMP TABLE IF NOT EXISTS \"{staging}\" (LIKE \"{table}\") ON COMMIT DELETE ROWS; BEGIN");
        client.batch_execute(&make).await?;
        self.copy_into(client, &staging, rows).await?;
        let list = self.list();
        let set = self.names[2..]
            .iter()
            .map(|name| format!("\"{name}\" = EXCLUDED.\"{name}\""))
            .collect::<Vec<_>>()
            .join(", ");
        let upsert = format!(
            "INSERT INTO \"{table}\" ({list}) SELECT {list} FROM \"{staging}\" ON CONFLICT (namespace, id) DO UPDATE SET {set}; COMMIT"
        );
        client.batch_execute(&upsert).await
    }

    async fn copy_into(&self, client: &Client, table: &str, rows: &[&Row]) -> Result<(), Error> {
        let sql = format!("COPY \"{table}\" ({}) FROM STDIN (FORMAT binary)", self.list());
        // Fields are written as they are: what type they are of is not asked.
        let types = vec![Type::BYTEA; self.names.len()];
        let mut writer = pin!(BinaryCopyInWriter::new(client.copy_in(&sql).await?, &types));
        for row in rows {
            // One row at a time, so that the server has something to do meanwhile.
            writer.as_mut().write_raw(self.fields(row).iter().map(|field| field as &(dyn ToSql + Sync))).await?;
        }
        writer.finish().await?;
        Ok(())
    }
}
