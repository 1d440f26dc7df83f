//! A file, row by row: ours, or another's with the same columns.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use parquet::basic::{LogicalType, Type as Physical};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_typed_column_reader};
use parquet::data_type::{ByteArrayType, DataType, FixedLenByteArrayType, FloatType, Int32Type};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;

use super::super::parts::trouble;
use crate::digest::{RowDigest, row_digest};
use crate::metadata::Metadata;
use crate::retry::Trouble;
use crate::row::{Dense, Multi, Row, Sparse};
use crate::schema::Schema;
use crate::store::Budget;

/// How many rows are taken from all columns at once.
const STEP: usize = 256;

/// A file that is being read.
pub(super) struct Open {
    path: PathBuf,
    file: SerializedFileReader<File>,
    /// What the file says of its rows: how long bits and empty multi-vectors are stands nowhere else.
    said: Schema,
    group: usize,
    n_left_in_group: u64,
    columns: Vec<Column>,
    at: u64,
}

impl Open {
    pub(super) fn at(path: &Path, at: u64) -> Result<Open, Trouble> {
        let file = File::open(path).map_err(|error| trouble(format!("could not open {}", path.display()), &error))?;
        let file = SerializedFileReader::new(file).map_err(|error| of(path, &error))?;
        let said = file.metadata().file_metadata().key_value_metadata();
        let said = said.and_then(|pairs| pairs.iter().find(|pair| pair.key == "crossfade.schema"));
        let said: Option<Schema> = said.and_then(|pair| serde_json::from_str(pair.value.as_deref()?).ok());
        let said = said.unwrap_or_default();
        let mut open =
            Open { path: path.to_owned(), file, said, group: 0, n_left_in_group: 0, columns: Vec::new(), at: 0 };
        open.skip_to(at)?;
        Ok(open)
    }

    pub(super) fn is_at(&self, path: &Path, at: u64) -> bool {
        self.path == path && self.at == at
    }

    /// Rows from here on, their digests where the file has them, and whether there are more.
    pub(super) fn read(&mut self, budget: Budget) -> Result<(Vec<Row>, Vec<RowDigest>, bool), Trouble> {
        let (mut rows, mut digests) = (Vec::new(), Vec::new());
        let mut n_bytes = 0;
        while rows.len() < budget.n_rows && n_bytes < budget.n_bytes && self.enter_group()? {
            let left = usize::try_from(self.n_left_in_group).unwrap_or(usize::MAX);
            let n = STEP.min(left).min(budget.n_rows - rows.len());
            let (step, proven) = self.step(n)?;
            n_bytes += step.iter().map(Row::n_bytes).sum::<usize>();
            rows.extend(step);
            digests.extend(proven);
        }
        // Of files of which some have none, none is kept.
        if digests.len() != rows.len() {
            digests.clear();
        }
        Ok((rows, digests, self.enter_group()?))
    }

    /// Opens the next group where this one is read. False at the end.
    fn enter_group(&mut self) -> Result<bool, Trouble> {
        while self.n_left_in_group == 0 {
            if self.group == self.file.num_row_groups() {
                return Ok(false);
            }
            let group = self.file.get_row_group(self.group).map_err(|error| of(&self.path, &error))?;
            self.n_left_in_group = u64::try_from(group.metadata().num_rows()).unwrap_or(0);
            let n_columns = group.num_columns();
            let mut columns = Vec::with_capacity(n_columns);
            for idx in 0..n_columns {
                let descriptor = group.metadata().column(idx).column_descr();
                let reader = group.get_column_reader(idx).map_err(|error| of(&self.path, &error))?;
                let root = group.metadata().schema_descr().get_column_root(idx);
                columns.extend(Column::new(descriptor, root.is_optional(), reader).map_err(|why| of(&self.path, why))?);
            }
            if !columns.iter().any(|column| column.is("id")) {
                return Err(of(&self.path, "it has no column `id` of text"));
            }
            self.columns = columns;
            self.group += 1;
        }
        Ok(true)
    }

    fn skip_to(&mut self, at: u64) -> Result<(), Trouble> {
        while self.at < at && self.enter_group()? {
            let n = self.n_left_in_group.min(at - self.at);
            if n == self.n_left_in_group {
                self.columns.clear();
            }
            let records = usize::try_from(n).unwrap_or(usize::MAX);
            for column in &mut self.columns {
                column.skip(records).map_err(|error| of(&self.path, &error))?;
            }
            self.n_left_in_group -= n;
            self.at += n;
        }
        if self.at == at { Ok(()) } else { Err(of(&self.path, format!("it has no row {at}"))) }
    }

    fn step(&mut self, n: usize) -> Result<(Vec<Row>, Vec<RowDigest>), Trouble> {
        let mut rows = vec![Row::default(); n];
        let mut digests = Vec::new();
        let mut indices: BTreeMap<String, Vec<Option<Vec<u32>>>> = BTreeMap::new();
        for column in &mut self.columns {
            let wrong = |why: String| of(&self.path, format!("column {}: {why}", column.path.join(".")));
            let parts = column.reader.read(n).map_err(|error| wrong(error.to_string()))?;
            if parts.len() != n {
                return Err(wrong(format!("{} values where there are {n} rows", parts.len())));
            }
            column.fill(&mut rows, parts, &self.said, &mut indices, &mut digests).map_err(|(row, why)| {
                let row = self.at + row as u64;
                of(&self.path, format!("row {row}: column {}: {why}", column.path.join(".")))
            })?;
        }
        let mut proven = Vec::with_capacity(digests.len());
        for (row, said) in rows.iter().zip(&digests) {
            let digest = row_digest(row);
            proven.push(digest);
            if said.as_slice() != digest.to_be_bytes() {
                let why = format!("row `{}` of namespace `{}` is not what its digest says", row.id, row.namespace);
                return Err(of(&self.path, why));
            }
        }
        self.at += n as u64;
        self.n_left_in_group -= n as u64;
        Ok((rows, proven))
    }
}

fn of(path: &Path, why: impl ToString) -> Trouble {
    Trouble::permanent(format!("could not read {}", path.display()), why)
}

/// A column of a group.
struct Column {
    path: Vec<String>,
    reader: Reader,
}

/// Its values by type.
enum Reader {
    Text(Leaf<ByteArrayType>),
    Fixed(Leaf<FixedLenByteArrayType>),
    Half(Leaf<FixedLenByteArrayType>),
    Float(Leaf<FloatType>),
    Int(Leaf<Int32Type>),
}

/// What one row has in a column.
enum Part {
    Absent,
    Text(String),
    Bytes(Vec<u8>),
    Halves(Vec<u16>),
    Floats { values: Vec<f32>, lengths: Vec<usize> },
    Ints(Vec<i32>),
}

impl Column {
    /// None of a column that is not read: a collection may have others beside ours.
    fn new(descriptor: &ColumnDescriptor, is_optional: bool, reader: ColumnReader) -> Result<Option<Column>, String> {
        let path: Vec<String> = descriptor.path().parts().to_vec();
        let root = path.first().map_or("", String::as_str);
        let is_ours = ["vec.", "sparse.", "multi."].iter().any(|prefix| root.starts_with(prefix))
            || ["id", "ns", "text", "meta", "space", "digest"].contains(&root);
        if !is_ours {
            return Ok(None);
        }
        let is_half = descriptor.logical_type_ref() == Some(&LogicalType::Float16);
        let reader = match descriptor.physical_type() {
            Physical::BYTE_ARRAY => Reader::Text(Leaf::new(descriptor, is_optional, reader)),
            Physical::FIXED_LEN_BYTE_ARRAY if is_half => Reader::Half(Leaf::new(descriptor, is_optional, reader)),
            Physical::FIXED_LEN_BYTE_ARRAY => Reader::Fixed(Leaf::new(descriptor, is_optional, reader)),
            Physical::FLOAT => Reader::Float(Leaf::new(descriptor, is_optional, reader)),
            Physical::INT32 => Reader::Int(Leaf::new(descriptor, is_optional, reader)),
            other => return Err(format!("column {} is {other}, which none of ours is", path.join("."))),
        };
        Ok(Some(Column { path, reader }))
    }

    fn is(&self, name: &str) -> bool {
        matches!(&*self.path, [only] if only == name) && matches!(self.reader, Reader::Text(_))
    }

    fn skip(&mut self, n: usize) -> Result<usize, ParquetError> {
        match &mut self.reader {
            Reader::Text(leaf) => leaf.reader.skip_records(n),
            Reader::Fixed(leaf) | Reader::Half(leaf) => leaf.reader.skip_records(n),
            Reader::Float(leaf) => leaf.reader.skip_records(n),
            Reader::Int(leaf) => leaf.reader.skip_records(n),
        }
    }

    /// Puts each row's part where it belongs.
    fn fill(
        &self,
        rows: &mut [Row],
        parts: Vec<Part>,
        said: &Schema,
        indices: &mut BTreeMap<String, Vec<Option<Vec<u32>>>>,
        digests: &mut Vec<Vec<u8>>,
    ) -> Result<(), (usize, String)> {
        let root = self.path.first().map_or("", String::as_str);
        if let Some(name) =
            root.strip_prefix("sparse.").filter(|_| self.path.get(1).is_some_and(|part| part == "indices"))
        {
            let lists = parts.into_iter().map(|part| match part {
                Part::Ints(values) => Some(values.into_iter().map(i32::cast_unsigned).collect()),
                _ => None,
            });
            indices.insert(name.to_owned(), lists.collect());
            return Ok(());
        }
        for (n, (row, part)) in rows.iter_mut().zip(parts).enumerate() {
            if matches!(part, Part::Absent) {
                if root == "id" {
                    return Err((n, "there is no identifier".to_owned()));
                }
                continue;
            }
            let wrong = |why: &str| (n, why.to_owned());
            match (root, part) {
                ("id", Part::Text(text)) => row.id = text,
                ("ns", Part::Text(text)) => row.namespace = text,
                ("text", Part::Text(text)) => row.text = Some(text),
                ("space", Part::Text(text)) => row.space = Some(text),
                ("meta", Part::Text(text)) => {
                    row.metadata = Some(Metadata::parse(&text).map_err(|error| wrong(&error.to_string()))?);
                }
                ("digest", Part::Bytes(bytes)) => digests.push(bytes),
                (root, part) => {
                    let Some((kind, name)) = root.split_once('.') else { return Err(wrong("it is of another type")) };
                    let name = name.to_owned();
                    match (kind, part) {
                        ("vec", part) => {
                            let dense = dense(part, said.dense.get(&name).map(|shape| shape.dims))
                                .ok_or_else(|| wrong("it is no vector"))?;
                            row.dense.insert(name, dense);
                        }
                        ("sparse", Part::Floats { values, .. }) => {
                            let own = indices.get_mut(&name).and_then(|lists| lists.get_mut(n)?.take());
                            let sparse = own.and_then(|indices| Sparse::new(indices, values));
                            row.sparse
                                .insert(name, sparse.ok_or_else(|| wrong("indices and values do not make a vector"))?);
                        }
                        ("multi", Part::Floats { values, lengths }) => {
                            let dims = lengths.first().copied().or(said.multi.get(&name).copied()).unwrap_or(1);
                            let even = lengths.iter().all(|length| *length == dims);
                            let multi = even
                                .then(|| Multi::new(dims, values))
                                .flatten()
                                .ok_or_else(|| wrong("its vectors are not of one length"))?;
                            row.multi.insert(name, multi);
                        }
                        _ => return Err(wrong("it is of another type")),
                    }
                }
            }
        }
        Ok(())
    }
}

fn dense(part: Part, bits: Option<usize>) -> Option<Dense> {
    match part {
        Part::Floats { values, .. } => Some(Dense::F32(values)),
        Part::Halves(values) => Some(Dense::F16(values)),
        Part::Ints(values) => {
            let values: Result<Vec<i8>, _> = values.into_iter().map(i8::try_from).collect();
            Some(Dense::I8(values.ok()?))
        }
        Part::Bytes(bytes) => Dense::binary(bits.unwrap_or(bytes.len() * 8), bytes),
        Part::Absent | Part::Text(_) => None,
    }
}

impl Reader {
    fn read(&mut self, n: usize) -> Result<Vec<Part>, ParquetError> {
        match self {
            Reader::Text(leaf) => {
                let (values, marks) = leaf.read(n)?;
                let mut values = values.into_iter();
                marks.iter().map(|mark| text(mark, &mut values)).collect()
            }
            Reader::Fixed(leaf) => {
                let (values, marks) = leaf.read(n)?;
                let mut values = values.into_iter();
                let mut part = || values.next().map_or(Part::Absent, |value| Part::Bytes(value.data().to_vec()));
                Ok(marks.iter().map(|mark| if mark.is_absent { Part::Absent } else { part() }).collect())
            }
            Reader::Half(leaf) => {
                let (values, marks) = leaf.read(n)?;
                let mut values = values.iter().map(|value| match value.data() {
                    [low, high] => u16::from_le_bytes([*low, *high]),
                    _ => 0,
                });
                Ok(marks.iter().map(|mark| mark.list(&mut values, Part::Halves)).collect())
            }
            Reader::Float(leaf) => {
                let (values, marks) = leaf.read(n)?;
                let mut values = values.into_iter();
                let part = |mark: &Mark| {
                    mark.list(&mut values, |values| Part::Floats { values, lengths: mark.lengths.clone() })
                };
                Ok(marks.iter().map(part).collect())
            }
            Reader::Int(leaf) => {
                let (values, marks) = leaf.read(n)?;
                let mut values = values.into_iter();
                Ok(marks.iter().map(|mark| mark.list(&mut values, Part::Ints)).collect())
            }
        }
    }
}

fn text(mark: &Mark, values: &mut impl Iterator<Item = parquet::data_type::ByteArray>) -> Result<Part, ParquetError> {
    if mark.is_absent {
        return Ok(Part::Absent);
    }
    let bytes = values.next().map(|value| value.data().to_vec()).unwrap_or_default();
    String::from_utf8(bytes).map(Part::Text).map_err(|error| ParquetError::General(error.to_string()))
}

/// What one row has: how many values, in how many lists, or nothing.
struct Mark {
    is_absent: bool,
    n_values: usize,
    /// How long each list within the list is, where it is one of lists.
    lengths: Vec<usize>,
}

impl Mark {
    fn list<T>(&self, values: &mut impl Iterator<Item = T>, part: impl FnOnce(Vec<T>) -> Part) -> Part {
        if self.is_absent { Part::Absent } else { part(values.take(self.n_values).collect()) }
    }
}

/// A column's values with their levels.
struct Leaf<T: DataType> {
    reader: ColumnReaderImpl<T>,
    max_defined: i16,
    max_repeated: i16,
    /// From this level on the value or the list itself is there.
    present: i16,
}

impl<T: DataType> Leaf<T> {
    fn new(descriptor: &ColumnDescriptor, is_optional: bool, reader: ColumnReader) -> Leaf<T> {
        Leaf {
            reader: get_typed_column_reader(reader),
            max_defined: descriptor.max_def_level(),
            max_repeated: descriptor.max_rep_level(),
            present: i16::from(is_optional),
        }
    }

    fn read(&mut self, n: usize) -> Result<(Vec<T::T>, Vec<Mark>), ParquetError> {
        let (mut values, mut defined, mut repeated) = (Vec::new(), Vec::new(), Vec::new());
        let mut n_records = 0;
        while n_records < n {
            let (records, ..) =
                self.reader.read_records(n - n_records, Some(&mut defined), Some(&mut repeated), &mut values)?;
            if records == 0 {
                break;
            }
            n_records += records;
        }
        if self.max_defined == 0 {
            let marks = (0..n_records).map(|_| Mark { is_absent: false, n_values: 1, lengths: Vec::new() });
            return Ok((values, marks.collect()));
        }
        let mut marks: Vec<Mark> = Vec::with_capacity(n_records);
        for (n, level) in defined.iter().enumerate() {
            let depth = if self.max_repeated == 0 { 0 } else { repeated[n] };
            if depth == 0 {
                marks.push(Mark { is_absent: *level < self.present, n_values: 0, lengths: Vec::new() });
            }
            let Some(mark) = marks.last_mut() else { break };
            if *level == self.max_defined {
                mark.n_values += 1;
                match mark.lengths.last_mut() {
                    Some(length) if depth == self.max_repeated => *length += 1,
                    _ if self.max_repeated == 2 => mark.lengths.push(1),
                    _ => {}
                }
            } else if *level > self.present {
                return Err(ParquetError::General("a list has an element that is null or empty".to_owned()));
            }
        }
        Ok((values, marks))
    }
}
