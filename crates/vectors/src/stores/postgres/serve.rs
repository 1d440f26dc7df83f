//! Answers to an application, from a table.

use std::collections::BTreeMap;

use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type};

use super::columns::halved;
use super::wire::{self, Field};
use super::{Open, Postgres, checked, wait};
use crate::facade::backend::{Ask, Backend, Which};
use crate::facade::filter::{Clause, Dialect, Filter, Param};
use crate::nearest::Hit;
use crate::retry::Trouble;
use crate::row::{Dense, Row};
use crate::schema::Schema;

impl Backend for Postgres {
    fn shape(&mut self) -> Result<Schema, Trouble> {
        Ok(self.connect(None)?.columns.schema().clone())
    }

    fn nearest(&mut self, ask: &Ask<'_>) -> Result<Vec<Hit>, Trouble> {
        let (doing, table) = (self.doing("search"), self.table.clone());
        let Open { runtime, client, columns } = self.connect(None)?;
        let operator = columns.operator(ask.vector, ask.metric).map_err(|why| Trouble::permanent(&doing, why))?;
        let (values, kind) = (&ask.query.vector, columns.kind(ask.vector));
        let vector = if kind == "halfvec" { halved(values) } else { Dense::F32(values.clone()) };
        let vector = Field(Some(wire::dense(&vector)));
        let clause = Clause::of(ask.filter, Dialect::Postgres, 4);
        let distance = format!("\"vec_{}\" {operator} $2::{kind}", ask.vector);
        let sql = format!(
            "SELECT id, ({distance})::float8 FROM \"{table}\" WHERE namespace = $1 AND \"vec_{}\" IS NOT NULL AND {} ORDER BY {distance} LIMIT $3",
            ask.vector, clause.sql
        );
        let k = i64::try_from(ask.k).unwrap_or(i64::MAX);
        let fixed: [&(dyn ToSql + Sync); 3] = [&ask.query.namespace, &vector, &k];
        let given: Vec<_> =
            fixed.into_iter().chain(clause.params.iter().map(|param| param as &(dyn ToSql + Sync))).collect();
        let found = wait(runtime, &doing, client.query(&sql, &given))?;
        let hits = found.iter().map(|row| Hit { id: row.get(0), distance: row.get(1) });
        // The angle of a zero vector is no number.
        let mut hits: Vec<Hit> = hits.filter(|hit| !hit.distance.is_nan()).collect();
        hits.sort_by(Hit::order);
        Ok(hits)
    }

    fn fetch(&mut self, namespace: &str, ids: &[String]) -> Result<Vec<Row>, Trouble> {
        let doing = self.doing("read");
        let Open { runtime, client, columns } = self.connect(None)?;
        let found = wait(runtime, &doing, client.query(&columns.of_ids(), &[&namespace, &ids]))?;
        found.iter().map(|row| columns.row(row).map_err(|why| Trouble::permanent(&doing, why))).collect()
    }

    fn ids(&mut self, which: &Which<'_>) -> Result<Vec<String>, Trouble> {
        let (doing, table) = (self.doing("list"), self.table.clone());
        let Open { runtime, client, .. } = self.connect(None)?;
        let clause = Clause::of(which.filter, Dialect::Postgres, 5);
        let sql = format!(
            "SELECT id FROM \"{table}\" WHERE namespace = $1 AND id >= $2 AND ($3::text IS NULL OR id > $3) AND starts_with(id, $2) AND {}
             ORDER BY id LIMIT $4",
            clause.sql
        );
        let limit = i64::try_from(which.limit).unwrap_or(i64::MAX);
        let fixed: [&(dyn ToSql + Sync); 4] = [&which.namespace, &which.prefix, &which.after, &limit];
        let given: Vec<_> =
            fixed.into_iter().chain(clause.params.iter().map(|param| param as &(dyn ToSql + Sync))).collect();
        let found = wait(runtime, &doing, client.query(&sql, &given))?;
        Ok(found.iter().map(|row| row.get(0)).collect())
    }

    fn put(&mut self, rows: &[Row]) -> Result<(), Trouble> {
        let doing = self.doing("write to");
        let Open { runtime, client, columns } = self.connect(None)?;
        let rows = checked(&doing, columns, rows.iter())?;
        wait(runtime, &doing, columns.upsert(client, &rows))
    }

    fn delete(&mut self, namespace: &str, ids: &[String]) -> Result<(), Trouble> {
        let (doing, table) = (self.doing("delete from"), self.table.clone());
        let Open { runtime, client, .. } = self.connect(None)?;
        let sql = format!("DELETE FROM \"{table}\" WHERE namespace = $1 AND id = ANY($2)");
        wait(runtime, &doing, client.execute(&sql, &[&namespace, &ids])).map(drop)
    }

    fn count(&mut self, filter: Option<&Filter>) -> Result<BTreeMap<String, u64>, Trouble> {
        let (doing, table) = (self.doing("count"), self.table.clone());
        let Open { runtime, client, .. } = self.connect(None)?;
        let clause = Clause::of(filter, Dialect::Postgres, 1);
        let sql = format!("SELECT namespace, count(*) FROM \"{table}\" WHERE {} GROUP BY namespace", clause.sql);
        let given: Vec<_> = clause.params.iter().map(|param| param as &(dyn ToSql + Sync)).collect();
        let found = wait(runtime, &doing, client.query(&sql, &given))?;
        Ok(found.iter().map(|row| (row.get(0), row.get::<_, i64>(1).cast_unsigned())).collect())
    }
}

impl ToSql for Param {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Param::Text(text) => text.to_sql(kind, out),
            Param::Number(number) => number.to_sql(kind, out),
        }
    }

    fn accepts(kind: &Type) -> bool {
        matches!(*kind, Type::TEXT | Type::FLOAT8)
    }

    tokio_postgres::types::to_sql_checked!();
}
