//! A field of many rows, as Milvus says it: one list of values.

use super::protobuf::{self, Message, Value};
use crate::row::{Dense, Sparse, floats_to_bytes};

/// What a row has in a field.
#[derive(Debug)]
pub(super) enum Cell {
    /// A value in JSON.
    Json(String),
    /// A dense vector.
    Dense(Dense),
    /// A sparse vector.
    Sparse(Sparse),
    /// Nothing.
    Null,
}

/// A field of many rows.
pub(super) struct Column {
    pub(super) name: String,
    pub(super) is_dynamic: bool,
    /// Of each row whether it has a value; empty where all have one.
    is_valid: Vec<bool>,
    values: Values,
}

enum Values {
    Bools(Vec<u64>),
    Ints(Vec<u64>),
    Floats(Vec<f32>),
    Doubles(Vec<f64>),
    Texts(Vec<String>),
    /// Texts of JSON.
    Jsons(Vec<String>),
    Lists(Vec<String>),
    Vectors {
        dims: usize,
        numbers: Numbers,
    },
    Sparse(Vec<Vec<u8>>),
}

enum Numbers {
    Floats(Vec<f32>),
    Halves(Vec<u8>),
    Bits(Vec<u8>),
}

impl Column {
    pub(super) fn read(message: &[u8]) -> Result<Column, String> {
        let name = protobuf::text(message, 2)?;
        let told = |why: String| format!("field `{name}`: {why}");
        let values = match (protobuf::all(message, 3)?.pop(), protobuf::all(message, 4)?.pop()) {
            (Some(scalars), _) => self::scalars(scalars).map_err(told)?,
            (None, Some(vectors)) => self::vectors(vectors).map_err(told)?,
            (None, None) => Values::Texts(Vec::new()),
        };
        Ok(Column {
            is_dynamic: protobuf::int(message, 6)? != 0,
            is_valid: protobuf::ints(message, 7)?.into_iter().map(|one| one != 0).collect(),
            name,
            values,
        })
    }

    /// The one number of a count.
    pub(super) fn count(&self) -> Option<u64> {
        match &self.values {
            Values::Ints(values) => values.first().copied(),
            _ => None,
        }
    }

    /// Keys, as they are asked for again.
    pub(super) fn keys(&self) -> Vec<String> {
        match &self.values {
            Values::Texts(texts) => texts.clone(),
            Values::Ints(ints) => ints.iter().map(|one| one.cast_signed().to_string()).collect(),
            _ => Vec::new(),
        }
    }

    /// What the row at this place has.
    pub(super) fn at(&self, at: usize) -> Result<Cell, String> {
        if self.is_valid.get(at) == Some(&false) {
            return Ok(Cell::Null);
        }
        self.cell(at).ok_or_else(|| format!("field `{}` has no value of it, or none that can be kept", self.name))
    }

    fn cell(&self, at: usize) -> Option<Cell> {
        Some(match &self.values {
            Values::Bools(values) => Cell::Json((*values.get(at)? != 0).to_string()),
            Values::Ints(values) => Cell::Json(values.get(at)?.cast_signed().to_string()),
            Values::Floats(values) => {
                Cell::Json(json_of(f64::from(*values.get(at)?), format!("{:?}", values.get(at)?))?)
            }
            Values::Doubles(values) => Cell::Json(json_of(*values.get(at)?, format!("{:?}", values.get(at)?))?),
            Values::Texts(values) => Cell::Json(serde_json::to_string(values.get(at)?).ok()?),
            Values::Jsons(values) | Values::Lists(values) => Cell::Json(values.get(at)?.clone()),
            Values::Sparse(values) => Cell::Sparse(sparse(values.get(at)?)?),
            Values::Vectors { dims, numbers } => Cell::Dense(match numbers {
                Numbers::Floats(all) => Dense::F32(all.get(at * dims..(at + 1) * dims)?.to_vec()),
                Numbers::Halves(all) => {
                    Dense::from_bytes(crate::row::Dtype::F16, *dims, all.get(at * dims * 2..(at + 1) * dims * 2)?)?
                }
                // The first bit of eight is the lowest here and there.
                Numbers::Bits(all) => Dense::binary(*dims, all.get(at * dims / 8..(at + 1) * dims / 8)?.to_vec())?,
            }),
        })
    }
}

/// A number in JSON; none of what is not finite.
fn json_of(value: f64, digits: String) -> Option<String> {
    value.is_finite().then_some(digits)
}

fn texts(list: &[u8]) -> Result<Vec<String>, String> {
    let utf8 = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|_| "a text that is not UTF-8".to_owned());
    protobuf::all(list, 1)?.into_iter().map(utf8).collect()
}

fn scalars(message: &[u8]) -> Result<Values, String> {
    for (field, value) in protobuf::fields(message)? {
        let Value::Bytes(list) = value else { continue };
        return Ok(match field {
            1 => Values::Bools(protobuf::ints(list, 1)?),
            2 | 3 => Values::Ints(protobuf::ints(list, 1)?),
            4 => Values::Floats(protobuf::floats(list, 1)?),
            5 => Values::Doubles(protobuf::doubles(list, 1)?),
            6 => Values::Texts(texts(list)?),
            8 => Values::Lists(protobuf::all(list, 1)?.into_iter().map(self::list).collect::<Result<_, _>>()?),
            9 => Values::Jsons(texts(list)?),
            _ => return Err(format!("its values are of a kind that is not known here ({field})")),
        });
    }
    Ok(Values::Texts(Vec::new()))
}

/// A list of one row as JSON.
fn list(message: &[u8]) -> Result<String, String> {
    let column = Column { name: String::new(), is_dynamic: false, is_valid: Vec::new(), values: scalars(message)? };
    let mut values = Vec::new();
    while let Some(Cell::Json(value)) = column.cell(values.len()) {
        values.push(value);
    }
    Ok(format!("[{}]", values.join(",")))
}

fn vectors(message: &[u8]) -> Result<Values, String> {
    let dims = usize::try_from(protobuf::int(message, 1)?).map_err(|error| error.to_string())?;
    for (field, value) in protobuf::fields(message)? {
        let Value::Bytes(bytes) = value else { continue };
        return Ok(match field {
            2 => Values::Vectors { dims, numbers: Numbers::Floats(protobuf::floats(bytes, 1)?) },
            3 => Values::Vectors { dims, numbers: Numbers::Bits(bytes.to_vec()) },
            4 => Values::Vectors { dims, numbers: Numbers::Halves(bytes.to_vec()) },
            6 => Values::Sparse(protobuf::all(bytes, 1)?.into_iter().map(<[u8]>::to_vec).collect()),
            _ => return Err(format!("its vectors are of a kind that cannot be kept here ({field})")),
        });
    }
    Ok(Values::Vectors { dims, numbers: Numbers::Floats(Vec::new()) })
}

/// Pairs of an index and a float, four bytes each.
fn sparse(bytes: &[u8]) -> Option<Sparse> {
    let mut pairs = (Vec::new(), Vec::new());
    for pair in bytes.chunks(8) {
        let (index, value) = pair.split_at_checked(4)?;
        pairs.0.push(u32::from_le_bytes(index.try_into().ok()?));
        pairs.1.push(f32::from_le_bytes(value.try_into().ok()?));
    }
    Sparse::new(pairs.0, pairs.1)
}

/// A field of texts, or of JSON, as it is written.
pub(super) fn of_texts<'a>(kind: u64, name: &str, values: impl Iterator<Item = &'a str>) -> Message {
    let list = values.fold(Message::new(), |list, value| list.bytes(1, value.as_bytes()));
    let scalars = Message::new().message(if kind == super::api::JSON { 9 } else { 6 }, &list);
    Message::new().int(1, kind).text(2, name).message(3, &scalars)
}

/// A field of truths.
pub(super) fn of_bools(name: &str, values: impl Iterator<Item = bool>) -> Message {
    let list = Message::new().ints(1, values.map(u64::from));
    Message::new().int(1, super::api::BOOL).text(2, name).message(3, &Message::new().message(1, &list))
}

/// A field of vectors of one length.
pub(super) fn of_vectors<'a>(name: &str, dims: usize, values: impl Iterator<Item = &'a [f32]>) -> Message {
    let bytes: Vec<u8> = values.flat_map(floats_to_bytes).collect();
    let vectors = Message::new().int(1, dims as u64).message(2, &Message::new().bytes(1, &bytes));
    Message::new().int(1, super::api::FLOAT_VECTOR).text(2, name).message(4, &vectors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stores::milvus::api::{JSON, VARCHAR};

    #[test]
    fn what_is_written_is_read() {
        let read = |message: Message| Column::read(&message.into_bytes()).unwrap();
        let texts = read(of_texts(VARCHAR, "t", ["", "ä\0\""].into_iter()));
        assert_eq!(texts.keys(), ["", "ä\0\""]);
        assert!(matches!(texts.at(1), Ok(Cell::Json(text)) if text == "\"ä\\u0000\\\"\""));
        assert!(
            matches!(read(of_texts(JSON, "m", ["{\"a\":1.0}"].into_iter())).at(0), Ok(Cell::Json(text)) if text == "{\"a\":1.0}")
        );
        assert!(
            matches!(read(of_bools("b", [true, false].into_iter())).at(1), Ok(Cell::Json(text)) if text == "false")
        );
        let vectors = read(of_vectors("v", 2, [&[1.0, -0.0][..], &[2.5, 5e-45]].into_iter()));
        assert!(matches!(vectors.at(1), Ok(Cell::Dense(Dense::F32(values))) if values == [2.5, 5e-45]));
        assert!(vectors.at(2).is_err());
    }

    #[test]
    fn numbers_lists_and_what_is_null_are_values_of_json() {
        let column = |scalars: Message, valid: &[u64]| {
            let message = Message::new().text(2, "f").message(3, &scalars).ints(7, valid.iter().copied());
            Column::read(&message.into_bytes()).unwrap()
        };
        let list = |values: &[u64]| Message::new().ints(1, values.iter().copied());
        let ints = column(Message::new().message(3, &list(&[5, (-7_i64).cast_unsigned()])), &[1, 0]);
        assert!(matches!(ints.at(0), Ok(Cell::Json(text)) if text == "5"));
        assert!(matches!(ints.at(1), Ok(Cell::Null)));
        assert_eq!((ints.count(), ints.keys()), (Some(5), vec!["5".to_owned(), "-7".to_owned()]));
        let floats = Message::new().bytes(1, &floats_to_bytes(&[0.1, f32::NAN]));
        let floats = column(Message::new().message(4, &floats), &[]);
        assert!(matches!(floats.at(0), Ok(Cell::Json(text)) if text == "0.1"));
        assert!(floats.at(1).is_err());
        let of_row = Message::new().message(3, &list(&[1, 2]));
        let lists = column(Message::new().message(8, &Message::new().message(1, &of_row)), &[]);
        assert!(matches!(lists.at(0), Ok(Cell::Json(text)) if text == "[1,2]"));
    }

    #[test]
    fn sparse_vectors_bits_and_halves_are_read_to_the_bit() {
        let column =
            |vectors: Message| Column::read(&Message::new().text(2, "v").message(4, &vectors).into_bytes()).unwrap();
        let pairs = [3_u32.to_le_bytes(), 0.5_f32.to_le_bytes()].concat();
        let found = column(Message::new().message(6, &Message::new().bytes(1, &pairs)));
        assert!(matches!(found.at(0), Ok(Cell::Sparse(sparse)) if sparse.indices() == [3] && sparse.values() == [0.5]));
        let found = column(Message::new().int(1, 16).bytes(3, &[1, 2, 3, 4]));
        assert!(matches!(found.at(1), Ok(Cell::Dense(Dense::Binary { dims: 16, bits })) if bits == [3, 4]));
        let found = column(Message::new().int(1, 1).bytes(4, &[1, 0x3c]));
        assert!(matches!(found.at(0), Ok(Cell::Dense(Dense::F16(bits))) if bits == [0x3c01]));
        let bf16 = Message::new().text(2, "v").message(4, &Message::new().int(1, 1).bytes(5, &[1, 2]));
        assert!(Column::read(&bf16.into_bytes()).err().unwrap().contains("of a kind that cannot be kept"));
    }
}
