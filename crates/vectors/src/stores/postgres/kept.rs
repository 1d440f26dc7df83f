//! What an address says of how vectors are kept: `half=NAME,NAME`, 32-bit floats in 16 bits, and `sparsevec=NAME:DIMS`, a sparse vector as pgvector's own type of so many places.
//!
//! Both are types of pgvector 0.7. Which columns are of them a table says itself, so that only the copy that makes it has to be told.

use std::collections::{BTreeMap, BTreeSet};

use crate::row::{Dense, Dtype, Row};
use crate::schema::Schema;
use crate::stores::check_name;

/// The most places of a `sparsevec`, and the most that are not 0.
const MAX_DIMS: u32 = 1_000_000_000;
const MAX_NUMBERS: usize = 16_000;

/// From here on a number is rounded to none that 16 bits hold.
const BEYOND_HALF: f32 = 65_520.0;

/// How vectors are kept, where that is not the usual way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Dense vectors of 32-bit floats that are kept in 16 bits.
    pub(crate) halves: BTreeSet<String>,
    /// Sparse vectors of pgvector's own type, and how many places they have.
    pub(crate) sparse: BTreeMap<String, u32>,
}

impl Kept {
    /// Takes what an address says of it out of it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn split(url: &str) -> Result<(String, Kept), String> {
        let Some((place, settings)) = url.split_once('?') else { return Ok((url.to_owned(), Kept::default())) };
        let mut kept = Kept::default();
        let mut others = Vec::new();
        for setting in settings.split('&') {
            match setting.split_once('=') {
                Some(("half", names)) => {
                    for name in names.split(',') {
                        check_name(name).map_err(|why| format!("half: {why}"))?;
                        kept.halves.insert(name.to_owned());
                    }
                }
                Some(("sparsevec", written)) => {
                    for one in written.split(',') {
                        let both = one.split_once(':').and_then(|(name, dims)| Some((name, dims.parse().ok()?)));
                        let (name, dims) = both
                            .filter(|(_, dims)| (1..=MAX_DIMS).contains(dims))
                            .ok_or_else(|| format!("sparsevec: write NAME:PLACES, as words:30522, and not `{one}`"))?;
                        check_name(name).map_err(|why| format!("sparsevec: {why}"))?;
                        kept.sparse.insert(name.to_owned(), dims);
                    }
                }
                _ => others.push(setting),
            }
        }
        let url = if others.is_empty() { place.to_owned() } else { format!("{place}?{}", others.join("&")) };
        Ok((url, kept))
    }

    /// What the columns of a table are: each by its name and type.
    pub(super) fn of_types(schema: &Schema, types: &BTreeMap<String, String>) -> Kept {
        // An extension's types have its schema before them where that is not looked through.
        let is_of = |column: &str, kind: &str| {
            let written = types.get(column)?;
            written.rsplit('.').next()?.strip_prefix(kind)
        };
        let floats = schema.dense.iter().filter(|(_, shape)| shape.dtype == Dtype::F32);
        let halves = floats.filter(|(name, _)| is_of(&format!("vec_{name}"), "halfvec").is_some());
        let places = |name: &String| {
            let dims = is_of(&format!("sparse_{name}"), "sparsevec")?;
            Some((name.clone(), dims.trim_matches(['(', ')']).parse().ok()?))
        };
        Kept {
            halves: halves.map(|(name, _)| name.clone()).collect(),
            sparse: schema.sparse.iter().filter_map(places).collect(),
        }
    }

    /// Why rows of this shape cannot be kept so, if they cannot.
    pub(crate) fn refused(&self, schema: &Schema) -> Vec<String> {
        let halves = self.halves.iter().filter_map(|name| match schema.dense.get(name).map(|shape| shape.dtype) {
            Some(Dtype::F32) => None,
            Some(Dtype::F16) => Some(format!("half: vector `{name}` is of 16-bit floats already, and kept so without")),
            Some(_) => Some(format!("half: vector `{name}` is not of floats")),
            None => Some(format!("half: there is no dense vector `{name}`")),
        });
        let sparse = self.sparse.keys().filter(|name| !schema.sparse.contains(*name));
        halves.chain(sparse.map(|name| format!("sparsevec: there is no sparse vector `{name}`"))).collect()
    }

    /// Why a row cannot be kept so, if it cannot.
    pub(super) fn refuses(&self, row: &Row) -> Option<String> {
        for name in &self.halves {
            if let Some(Dense::F32(values)) = row.dense.get(name)
                && let Some(value) = values.iter().find(|value| value.abs() >= BEYOND_HALF)
            {
                return Some(format!("its vector `{name}` has {value}, which 16 bits do not hold"));
            }
        }
        for (name, dims) in &self.sparse {
            let Some(sparse) = row.sparse.get(name) else { continue };
            let why = if sparse.indices().last().is_some_and(|last| last >= dims) {
                format!("has an index beyond its {dims} places")
            } else if sparse.values().iter().any(|value| *value == 0.0 || !value.is_finite()) {
                "has a 0, which `sparsevec` does not keep, or what is not finite".to_owned()
            } else if sparse.values().len() > MAX_NUMBERS {
                format!("has more than {MAX_NUMBERS} numbers")
            } else {
                continue;
            };
            return Some(format!("its sparse vector `{name}` {why}"));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Sparse;
    use crate::schema::DenseShape;

    #[test]
    fn an_address_says_what_is_kept_otherwise_and_the_rest_is_a_url() {
        let split = |url| Kept::split(url).unwrap();
        let url = "postgres://me@localhost/app?half=dense,late&sslmode=disable&sparsevec=words:30522";
        let (rest, kept) = split(url);
        assert_eq!(rest, "postgres://me@localhost/app?sslmode=disable");
        assert_eq!(kept.halves, BTreeSet::from(["dense".to_owned(), "late".to_owned()]));
        assert_eq!(kept.sparse, BTreeMap::from([("words".to_owned(), 30_522)]));
        assert_eq!(split("postgres://me@h/app?half=dense").0, "postgres://me@h/app");
        assert_eq!(split("postgres://me@h/app?a=b"), ("postgres://me@h/app?a=b".to_owned(), Kept::default()));
        for (url, why) in [
            ("postgres://h/d?half=", "half: `` cannot name a table"),
            ("postgres://h/d?sparsevec=words", "write NAME:PLACES"),
            ("postgres://h/d?sparsevec=words:0", "write NAME:PLACES"),
        ] {
            assert!(Kept::split(url).unwrap_err().contains(why), "{url}");
        }
    }

    #[test]
    fn a_table_says_by_its_types_what_is_kept_otherwise() {
        let shape = |dtype| DenseShape { dtype, dims: 3, metric: None };
        let dense = BTreeMap::from([("a".to_owned(), shape(Dtype::F32)), ("b".to_owned(), shape(Dtype::F16))]);
        let schema = Schema { dense, sparse: vec!["few".to_owned(), "words".to_owned()], ..Schema::default() };
        let types = [
            ("vec_a", "public.halfvec(3)"),
            ("vec_b", "halfvec(3)"),
            ("sparse_words", "sparsevec(9)"),
            ("sparse_few_indices", "bigint[]"),
        ];
        let types = types.map(|(name, kind)| (name.to_owned(), kind.to_owned())).into();
        let kept = Kept::of_types(&schema, &types);
        assert_eq!(kept, Kept::split("x?half=a&sparsevec=words:9").unwrap().1);
        assert_eq!(kept.refused(&schema), Vec::<String>::new());
        let other = Kept::split("x?half=b,c&sparsevec=none:9").unwrap().1.refused(&schema);
        assert_eq!(other.len(), 3, "{other:?}");
    }

    #[test]
    fn what_the_types_do_not_hold_is_said_of_the_row() {
        let kept = Kept::split("x?half=a&sparsevec=words:9").unwrap().1;
        let refuses = |values: Vec<f32>, sparse: Option<Sparse>| {
            let mut row = Row::default();
            row.dense.insert("a".to_owned(), Dense::F32(values));
            row.sparse.extend(sparse.map(|sparse| ("words".to_owned(), sparse)));
            kept.refuses(&row).unwrap_or_default()
        };
        let sparse = |index, value| Sparse::new(vec![index], vec![value]);
        assert_eq!(refuses(vec![65_519.0, -1e-9], sparse(8, 1.0)), "");
        assert!(refuses(vec![-65_520.0], None).contains("16 bits do not hold"));
        assert!(refuses(vec![1.0], sparse(9, 1.0)).contains("beyond its 9 places"));
        assert!(refuses(vec![1.0], sparse(1, -0.0)).contains("has a 0"));
    }
}
