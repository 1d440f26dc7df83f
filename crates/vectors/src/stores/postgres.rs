//! PostgreSQL with the pgvector extension.
//!
//! A collection is one table: `namespace` and `id` (text in the collation `C`, together the key), `text`, `metadata` (`json`, which keeps what was written;
//! `jsonb` would not keep how numbers were written), `space`, and for each dense vector `vec_NAME`: `vector`, `halfvec`, `bit` or, of signed bytes, `smallint[]`.
//! Sparse vectors and multi-vectors are arrays beside them. `TABLE_schema` says what it all is. An address may have some of them kept otherwise (`kept.rs`).

mod columns;
mod kept;
mod serve;
mod wire;

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio_postgres::{Client, Config, NoTls, config::Host};

use self::columns::Columns;
use crate::digest::RowDigest;
use crate::nearest::{Hit, Query};
use crate::retry::{Class, Trouble};
use crate::row::Row;
use crate::schema::{Metric, Schema};
use crate::store::{Budget, Cursor, Page, Partition, Sealed, Search, Slot, Source, Survey, Target};
use crate::verify::Loose;

pub(crate) use self::columns::declared;
pub(crate) use self::kept::Kept;

/// What one COPY takes.
const BUDGET: Budget = Budget { n_rows: 10_000, n_bytes: 12 << 20 };

/// How many rows a partition has about.
const PARTITION: u64 = 50_000;

/// The longest that one statement may take.
const PATIENCE: Duration = Duration::from_mins(10);

/// How long a server that starts is left alone at least before it is asked again.
const STARTS: Duration = Duration::from_secs(2);
/// What it says when a statement is more than it takes: no memory, a limit of its settings, longer than a statement may take.
const TOO_MUCH: [&str; 3] = ["53200", "53400", "57014"];

/// What stands in the place of the password in an address; the password itself is in this variable.
const PASSWORD: &str = "PGPASSWORD";

/// A table of a server.
pub struct Postgres {
    url: String,
    table: String,
    open: Option<Open>,
}

/// A connection and what drives it.
struct Open {
    runtime: Runtime,
    client: Client,
    columns: Columns,
}

impl Postgres {
    /// The table of this name, which was checked, of the server at this URL.
    #[must_use]
    pub fn new(url: &str, table: &str) -> Postgres {
        Postgres { url: url.to_owned(), table: table.to_owned(), open: None }
    }

    fn doing(&self, what: &str) -> String {
        format!("could not {what} the table {}", self.table)
    }

    /// The connection, new if the last one broke.
    fn connect(&mut self, schema: Option<&Schema>) -> Result<&mut Open, Trouble> {
        let open = match self.open.take().filter(|open| !open.client.is_closed()) {
            Some(open) => open,
            None => {
                let doing = self.doing("reach");
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .map_err(|error| Trouble::permanent(&doing, error))?;
                let mut config = config(&self.url).map_err(|why| Trouble::permanent(&doing, why))?;
                config.connect_timeout(Duration::from_secs(10)).application_name("crossfade");
                if let Ok(password) = std::env::var(PASSWORD) {
                    config.password(password);
                }
                let (client, connection) = wait(&runtime, &doing, config.connect(NoTls))?;
                // It ends with the client, and the runtime that owns it ends with both.
                drop(runtime.spawn(connection));
                wait(
                    &runtime,
                    &doing,
                    client.batch_execute("SET synchronous_commit = on; SET client_min_messages = warning"),
                )?;
                let (schema, kept) = match schema {
                    Some(schema) => {
                        let (_, kept) = Kept::split(&self.url).map_err(|why| Trouble::permanent(&doing, why))?;
                        (schema.clone(), kept)
                    }
                    None => {
                        let schema = read_schema(&runtime, &client, &self.table)?;
                        let kept = read_kept(&runtime, &client, &self.table, &schema)?;
                        (schema, kept)
                    }
                };
                Open { runtime, client, columns: Columns::new(&self.table, schema, kept) }
            }
        };
        Ok(self.open.insert(open))
    }
}

/// What a URL says, if it may be connected to.
pub(super) fn config(url: &str) -> Result<Config, String> {
    let (url, _) = Kept::split(url)?;
    let config: Config =
        url.parse().map_err(|error: tokio_postgres::Error| format!("it is no URL of PostgreSQL: {error}"))?;
    if config.get_password().is_some() {
        return Err(format!("a password stands in the address; put it into the environment variable {PASSWORD}"));
    }
    let is_here = |host: &Host| match host {
        Host::Tcp(name) => matches!(name.as_str(), "localhost" | "127.0.0.1" | "::1"),
        Host::Unix(_) => true,
    };
    if config.get_ssl_mode() != tokio_postgres::config::SslMode::Disable && !config.get_hosts().iter().all(is_here) {
        return Err(
            "connections are without TLS: beyond this machine the address has to say `sslmode=disable`".to_owned()
        );
    }
    Ok(config)
}

fn read_schema(runtime: &Runtime, client: &Client, table: &str) -> Result<Schema, Trouble> {
    let doing = format!("could not read the table {table}");
    let sql = format!("SELECT json FROM \"{table}_schema\"");
    let row = wait(runtime, &doing, client.query_one(&sql, &[]))?;
    serde_json::from_str(row.get(0)).map_err(|error| Trouble::permanent(doing, error))
}

/// How the columns of a table keep vectors.
fn read_kept(runtime: &Runtime, client: &Client, table: &str, schema: &Schema) -> Result<Kept, Trouble> {
    let doing = format!("could not read what the columns of the table {table} are");
    let sql = "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_catalog.pg_attribute
               WHERE attrelid = ('\"' || $1 || '\"')::regclass AND attnum > 0 AND NOT attisdropped";
    let table = table.to_owned();
    let found = wait(runtime, &doing, async { client.query(sql, &[&table]).await })?;
    let types: BTreeMap<String, String> = found.iter().map(|row| (row.get(0), row.get(1))).collect();
    Ok(Kept::of_types(schema, &types))
}

/// Rows that the table's types hold.
fn checked<'a>(doing: &str, columns: &Columns, rows: impl Iterator<Item = &'a Row>) -> Result<Vec<&'a Row>, Trouble> {
    rows.map(|row| columns.kept().refuses(row).map_or(Ok(row), |why| Err(Trouble::poison(doing, why)))).collect()
}

/// Waits for a statement, no longer than may be.
fn wait<T>(
    runtime: &Runtime,
    doing: &str,
    statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, Trouble> {
    match runtime.block_on(async { tokio::time::timeout(PATIENCE, statement).await }) {
        Ok(result) => result.map_err(|error| of(doing, &error)),
        Err(_) => Err(Trouble::transient(doing, "no answer in ten minutes").too_much(true)),
    }
}

/// What an error of the server, or of the way to it, means.
fn of(doing: &str, error: &tokio_postgres::Error) -> Trouble {
    let code = error.code().map(tokio_postgres::error::SqlState::code);
    let class = match code {
        // Data it does not take: data exceptions, integrity, a program limit, a row that comes twice in one statement.
        Some(code) if ["22", "23", "54", "21"].iter().any(|class| code.starts_with(class)) => Class::Poison,
        Some("53100") => Class::Permanent,
        // It took longer than the server lets a statement take.
        Some("57014") => Class::Transient,
        // Connections, serialisation, resources, somebody who shut it down, a lock.
        Some(code) if ["08", "40", "53", "57P", "55P"].iter().any(|class| code.starts_with(class)) => Class::Transient,
        Some(_) => Class::Permanent,
        None if error.is_closed()
            || std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<std::io::Error>) =>
        {
            Class::Transient
        }
        None => Class::Permanent,
    };
    let why = error.as_db_error().map_or_else(
        || {
            let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
            format!("{error}{cause}")
        },
        |said| format!("{} ({})", said.message(), said.code().code()),
    );
    let is_too_much = code.is_some_and(|code| TOO_MUCH.contains(&code));
    // A server that starts or recovers from a crash takes seconds, however the waits are drawn.
    let after = (code == Some("57P03")).then_some(STARTS);
    Trouble { after, ..Trouble::of(class, doing, why).too_much(is_too_much) }
}

impl Source for Postgres {
    fn survey(&mut self) -> Result<Survey, Trouble> {
        let doing = self.doing("count");
        let sql = format!("SELECT count(*) FROM \"{}\"", self.table);
        let Open { runtime, client, columns } = self.connect(None)?;
        let n_rows: i64 = wait(runtime, &doing, client.query_one(&sql, &[]))?.get(0);
        Ok(Survey { n_rows: n_rows.cast_unsigned(), schema: columns.schema().clone() })
    }

    fn partitions(&mut self) -> Result<Vec<Partition>, Trouble> {
        let n_rows = self.survey()?.n_rows;
        let doing = self.doing("divide");
        let sql = format!("SELECT namespace, id FROM \"{}\" ORDER BY namespace, id LIMIT 1 OFFSET $1", self.table);
        let Open { runtime, client, .. } = self.connect(None)?;
        let mut partitions = Vec::new();
        let mut after = None;
        for n in 1..n_rows.div_ceil(PARTITION).max(1) {
            let at = (n * PARTITION - 1).cast_signed();
            let Some(row) = wait(runtime, &doing, client.query_opt(&sql, &[&at]))? else { break };
            let until: (String, String) = (row.get(0), row.get(1));
            partitions.push(Partition::Keys { after: after.replace(until.clone()), until: Some(until) });
        }
        partitions.push(Partition::Keys { after, until: None });
        Ok(partitions)
    }

    fn read(&mut self, partition: &Partition, after: Option<&Cursor>, budget: Budget) -> Result<Page, Trouble> {
        let doing = self.doing("read");
        let Partition::Keys { after: begin, until } = partition else {
            return Err(Trouble::permanent(doing, "the journal has a file for it, not keys"));
        };
        let after = match after {
            Some(Cursor::Key(namespace, id)) => Some((namespace.clone(), id.clone())),
            Some(Cursor::Offset(_)) => {
                return Err(Trouble::permanent(doing, "the journal has an offset for it, not a key"));
            }
            None => begin.clone(),
        };
        let Open { runtime, client, columns } = self.connect(None)?;
        // One more than fits says whether there are more.
        let limit = i64::try_from(columns.rows_within(budget)).unwrap_or(i64::MAX);
        let sql = columns.select(after.is_some(), until.is_some());
        let mut given: Vec<&(dyn tokio_postgres::types::ToSql + Sync)> = vec![&limit];
        for (namespace, id) in [&after, until].into_iter().flatten() {
            given.extend([namespace as &(dyn tokio_postgres::types::ToSql + Sync), id]);
        }
        let found = wait(runtime, &doing, client.query(&sql, &given))?;
        let mut page = Page::default();
        let is_full = found.len() as i64 == limit;
        let mut n_bytes = 0;
        let n_found = found.len();
        for row in &found {
            if page.rows.len() >= budget.n_rows || (n_bytes >= budget.n_bytes && !page.rows.is_empty()) {
                break;
            }
            let row = columns.row(row).map_err(|why| Trouble::permanent(&doing, why))?;
            n_bytes += row.n_bytes();
            page.rows.push(row);
        }
        if is_full || page.rows.len() < n_found {
            page.next = page.rows.last().map(|row| Cursor::Key(row.namespace.clone(), row.id.clone()));
        }
        Ok(page)
    }

    fn notes(&mut self) -> Result<Vec<String>, Trouble> {
        let halves = &self.connect(None)?.columns.kept().halves;
        let note = |name: &String| {
            format!(
                "vector `{name}` is kept as halfvec: its numbers are those that were rounded to 16 bits, and what was cut off is gone"
            )
        };
        Ok(halves.iter().map(note).collect())
    }

    fn tolerant(&mut self) -> Result<BTreeMap<String, Loose>, Trouble> {
        let halves = &self.connect(None)?.columns.kept().halves;
        Ok(halves.iter().map(|name| (name.clone(), Loose::Half)).collect())
    }
}

impl Search for Postgres {
    fn search(&mut self, name: &str, metric: Metric, query: &Query, k: usize) -> Result<Vec<Hit>, Trouble> {
        let doing = self.doing("search");
        let Open { runtime, client, columns } = self.connect(None)?;
        let sql = columns.nearest(name, metric, &query.vector).map_err(|why| Trouble::permanent(&doing, why))?;
        let k = i64::try_from(k).unwrap_or(i64::MAX);
        let found = wait(runtime, &doing, client.query(&sql, &[&query.namespace, &k]))?;
        Ok(found.iter().map(|row| Hit { id: row.get(0), distance: row.get(1) }).collect())
    }
}

impl Target for Postgres {
    fn prepare(&mut self, schema: &Schema, acknowledged: Option<&[u64]>) -> Result<(), Trouble> {
        let doing = self.doing("make");
        let table = self.table.clone();
        let Open { runtime, client, columns } = self.connect(Some(schema))?;
        let exists = |name: &str| {
            let sql =
                "SELECT count(*) FROM pg_catalog.pg_class WHERE relname = $1 AND pg_catalog.pg_table_is_visible(oid)";
            let name = name.to_owned();
            wait(runtime, &doing, async { client.query_one(sql, &[&name]).await }).map(|row| row.get::<_, i64>(0) > 0)
        };
        if exists(&format!("{table}_schema"))? {
            let written = read_schema(runtime, client, &table)?;
            let sql = format!("SELECT EXISTS (SELECT FROM \"{table}\")");
            let is_used: bool = wait(runtime, &doing, client.query_one(&sql, &[]))?.get(0);
            if acknowledged.is_none() && is_used {
                return Err(Trouble::permanent(doing, "it is there already and has rows"));
            }
            if written != *schema {
                return Err(Trouble::permanent(doing, "it is there already, for rows of another shape"));
            }
            if read_kept(runtime, client, &table, schema)? != *columns.kept() {
                return Err(Trouble::permanent(
                    doing,
                    "it is there already, with vectors of other types: `half` and `sparsevec` of the address are those that it was made with",
                ));
            }
        } else if exists(&table)? {
            return Err(Trouble::permanent(doing, "it is there already, and Crossfade did not make it"));
        } else {
            let sql = columns.create().map_err(|why| Trouble::permanent(&doing, why))?;
            wait(runtime, &doing, client.batch_execute(&sql)).map_err(|trouble| {
                // No such type.
                let is_old = trouble.why.contains("(42704)");
                let hint = if is_old { "; `halfvec` and `sparsevec` are types of pgvector 0.7" } else { "" };
                Trouble { why: format!("{}{hint}", trouble.why), ..trouble }
            })?;
        }
        Ok(())
    }

    fn budget(&self) -> Budget {
        BUDGET
    }

    fn write(&mut self, _slot: Slot, rows: &[(Row, RowDigest)]) -> Result<(), Trouble> {
        let doing = self.doing("write to");
        // After a connection broke the schema is read from the server again: it is the one that was prepared.
        let Open { runtime, client, columns } = self.connect(None)?;
        let rows = checked(&doing, columns, rows.iter().map(|(row, _)| row))?;
        wait(runtime, &doing, columns.copy(client, &rows))
    }

    fn beside(&self) -> Option<Box<dyn Target>> {
        Some(Box::new(Postgres::new(&self.url, &self.table)))
    }

    fn seal(&mut self, _sealed: &Sealed) -> Result<(), Trouble> {
        self.open = None;
        Ok(())
    }
}
