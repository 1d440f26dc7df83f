//! What a copy comes to before anything is written: how every part is kept in the target, what goes on the way, and what makes it impossible.

use serde::Serialize;

use crate::row::Dtype;
use crate::schema::{Metric, Schema};
use crate::store::Survey;
use crate::stores::{
    Address, Kept, Kind, OwnVector, check_name, declared_to_chroma, declared_to_milvus, declared_to_pgvector,
    declared_to_pinecone, declared_to_qdrant, declared_to_sqlite_vec, fields_of_documents, is_loose_in_qdrant,
    own_of_pinecone, own_vector, write_units_of_pinecone,
};

/// A plan.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// How many rows.
    pub n_rows: u64,
    /// About how many bytes their vectors take, where all of them have every one.
    pub n_vector_bytes: u64,
    /// How each part is kept.
    pub keeps: Vec<Keeps>,
    /// Why it cannot be done; empty when it can.
    pub refused: Vec<String>,
    /// What is good to know.
    pub notes: Vec<String>,
}

/// How a part is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Keeps {
    /// The part.
    pub part: String,
    /// What it becomes.
    pub becomes: String,
    /// How exactly it comes back.
    pub fidelity: Fidelity,
}

/// How exactly something comes back from a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fidelity {
    /// Every bit.
    BitExact,
    /// Each number within a tolerance of what it was: [`crate::verify::Loose`].
    Tolerant,
}

impl Fidelity {
    /// In a word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Fidelity::BitExact => "bit-exact",
            Fidelity::Tolerant => "tolerant",
        }
    }
}

/// Plans a copy of a collection into a store, as its address says that vectors are kept.
#[must_use]
pub fn plan_into(survey: &Survey, target: &Address) -> Plan {
    let mut plan = plan(survey, target.kind());
    if let Address::Pinecone(place) = target
        && place.is_of_documents()
    {
        plan.notes.push(format!(
            "the schema of the index has to have {}; it is held against a contract test alone",
            fields_of_documents(&survey.schema).join(" and ")
        ));
    }
    let kept = target.kept();
    plan.refused.extend(kept.refused(&survey.schema));
    for name in &kept.halves {
        let begins = format!("vector `{name}`: ");
        for keeps in plan.keeps.iter_mut().filter(|keeps| keeps.part.starts_with(&begins)) {
            keeps.becomes = keeps.becomes.replace("vector(", "halfvec(");
            keeps.fidelity = Fidelity::Tolerant;
        }
        plan.notes.push(format!(
            "vector `{name}`: each number is rounded to 16 bits, by a two-thousandth of it at most or by 3e-8, and searched so; a row with one of 65520 or more is put aside. Keep the source: what is cut off does not come back"
        ));
    }
    for (name, dims) in &kept.sparse {
        let part = format!("sparse vector `{name}`");
        for keeps in plan.keeps.iter_mut().filter(|keeps| keeps.part == part) {
            keeps.becomes = format!("sparsevec({dims}), which pgvector searches");
        }
        plan.notes.push(format!(
            "sparse vector `{name}`: put aside are rows with an index of {dims} or more, with a 0 among the numbers, or with more than 16000 of them"
        ));
    }
    if kept != Kept::default() {
        plan.notes.push(
            "`halfvec` and `sparsevec` are types of pgvector 0.7: with an older one the copy does not begin".to_owned(),
        );
    }
    plan
}

/// Plans a copy of a collection into a store of a kind.
#[must_use]
pub fn plan(survey: &Survey, kind: Kind) -> Plan {
    let schema = &survey.schema;
    let mut plan = Plan {
        n_rows: survey.n_rows,
        n_vector_bytes: survey.n_rows * n_bytes(schema),
        keeps: Vec::new(),
        refused: Vec::new(),
        notes: Vec::new(),
    };
    plan.keep("namespace, id, text, space".to_owned(), "text".to_owned());
    plan.keep(
        "metadata".to_owned(),
        "JSON as text: integers of any size, floats, nulls and nesting as they are".to_owned(),
    );
    for (name, shape) in &schema.dense {
        let part = format!("vector `{name}`: {} × {:?}", shape.dims, shape.dtype);
        let has_own = matches!(kind, Kind::Chroma | Kind::Milvus | Kind::Pinecone);
        let is_own = has_own && own_vector(schema) == Some(name.as_str());
        let becomes = match (kind, shape.dtype) {
            (Kind::Parquet, Dtype::Binary) => Ok("fixed bytes".to_owned()),
            (Kind::Parquet, dtype) => Ok(format!("list of {}", words(dtype))),
            (Kind::Jsonl, Dtype::F32) => Ok("numbers".to_owned()),
            (Kind::Jsonl, _) => Ok("bytes in hexadecimal".to_owned()),
            (Kind::SqliteVec, _) => declared_to_sqlite_vec(name, shape),
            (Kind::Pgvector, _) => declared_to_pgvector(name, shape),
            (Kind::Chroma, _) => declared_to_chroma(name, shape, is_own),
            (Kind::Milvus, _) => declared_to_milvus(name, shape, is_own),
            (Kind::Qdrant, _) => declared_to_qdrant(name, shape),
            (Kind::Pinecone, _) => declared_to_pinecone(name, shape, is_own),
        };
        let fidelity = match (is_own && kind == Kind::Chroma, shape.dtype, shape.metric) {
            (true, Dtype::F32, Some(Metric::Cosine)) => Fidelity::Tolerant,
            _ if kind == Kind::Qdrant && is_loose_in_qdrant(shape) => Fidelity::Tolerant,
            _ => Fidelity::BitExact,
        };
        match becomes {
            Ok(becomes) => plan.keeps.push(Keeps { part, becomes, fidelity }),
            Err(why) => plan.refused.push(why),
        }
        match kind {
            Kind::SqliteVec => plan.notes.extend(scores(name, shape.dtype, shape.metric)),
            Kind::Pgvector => plan.notes.push(operators(name, shape.dtype)),
            Kind::Chroma if is_own => plan.notes.push(distances(name, shape.metric)),
            Kind::Milvus if is_own => plan.notes.push(milvus_scores(name, shape.metric)),
            Kind::Qdrant => plan.notes.push(qdrant_scores(name, shape.metric)),
            Kind::Pinecone if is_own => plan.notes.push(similarities(name, shape.metric)),
            Kind::Parquet | Kind::Jsonl | Kind::Chroma | Kind::Milvus | Kind::Pinecone => {}
        }
    }
    schema.sparse.iter().for_each(|name| plan.sparse(kind, schema, name));
    for (name, dims) in &schema.multi {
        let becomes = beside(kind, "vectors of floats", name, &mut plan.refused);
        plan.keep(format!("multi-vector `{name}` of {dims}"), becomes);
    }
    if kind == Kind::Pgvector {
        plan.notes.push("a text, namespace or identifier with the character NUL, and a float vector that is not finite, is put aside".to_owned());
        plan.notes.push("no index is made on the vectors".to_owned());
    }
    if kind == Kind::Chroma {
        chroma(&mut plan, schema);
    }
    if kind == Kind::Milvus {
        milvus(&mut plan, schema);
    }
    if kind == Kind::Qdrant {
        qdrant(&mut plan);
    }
    if kind == Kind::Pinecone {
        pinecone(&mut plan, schema);
    }
    match &schema.space {
        None => plan.notes.push(
            "the source does not say which model made the vectors: nothing keeps another's from being mixed in"
                .to_owned(),
        ),
        Some(space) => plan.notes.push(format!("rows of another space than `{space}` are put aside")),
    }
    plan
}

/// What becomes of vectors that only files search.
fn beside(kind: Kind, in_files: &str, name: &str, refused: &mut Vec<String>) -> String {
    let becomes = match kind {
        Kind::Parquet | Kind::Jsonl => return in_files.to_owned(),
        Kind::SqliteVec => "bytes beside the rows; sqlite-vec does not search them",
        Kind::Pgvector => "arrays, exact; pgvector does not search them",
        Kind::Chroma => "numbers beside the record, exact; Chroma does not search them",
        Kind::Qdrant => "numbers in the payload, exact; Qdrant does not search them",
        Kind::Milvus => "numbers beside the record, exact; Milvus does not search them",
        Kind::Pinecone => {
            "in the metadata, exact, and not searched; by the inner product the only sparse vector is the record's own"
        }
    };
    // Of sqlite-vec the name is no part of a table's.
    if let Some(why) = (kind == Kind::Pgvector).then(|| check_name(name).err()).flatten() {
        refused.push(why);
    }
    becomes.to_owned()
}

impl Plan {
    /// What becomes of a sparse vector.
    fn sparse(&mut self, kind: Kind, schema: &Schema, name: &str) {
        let becomes = if kind == Kind::Pinecone && is_sparse_index(schema) {
            self.notes.push(format!("sparse vector `{name}`: `score` is the inner product"));
            "the record's sparse values; the index has to be of the type `sparse`".to_owned()
        } else {
            beside(kind, "indices and values", name, &mut self.refused)
        };
        self.keep(format!("sparse vector `{name}`"), becomes);
    }

    fn keep(&mut self, part: String, becomes: String) {
        self.keeps.push(Keeps { part, becomes, fidelity: Fidelity::BitExact });
    }
}

fn words(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::F32 => "float",
        Dtype::F16 => "halffloat",
        Dtype::I8 => "int8",
        Dtype::Binary => "bits",
    }
}

/// What a distance of `vec0` means. Measured on (3,4,0,0) and (1,0,0,0): 4.472 by L2, 0.4 by cosine.
fn scores(name: &str, dtype: Dtype, metric: Option<Metric>) -> Vec<String> {
    let mut notes = Vec::new();
    match (dtype, metric) {
        (Dtype::Binary, _) => notes.push(format!("vector `{name}`: `distance` is the number of bits that differ")),
        (_, Some(Metric::Cosine)) => notes.push(format!("vector `{name}`: `distance` is 1 minus the cosine")),
        (_, Some(Metric::L2)) => notes.push(format!("vector `{name}`: `distance` is by Euclid, not its square")),
        (_, None) => notes.push(format!(
            "vector `{name}`: the source does not say how it is compared, so it is by Euclid; `--metric {name}=cosine` says otherwise"
        )),
        _ => {}
    }
    if dtype == Dtype::F16 {
        notes.push(format!(
            "vector `{name}`: sqlite-vec has no 16-bit floats; it is searched as 32-bit ones and read back as it was"
        ));
    }
    notes
}

/// What an operator of pgvector means. Measured on (3,4,0,0) and (1,0,0,0): 4.472, -3 and 0.4.
fn operators(name: &str, dtype: Dtype) -> String {
    match dtype {
        Dtype::F32 | Dtype::F16 => {
            format!(
                "vector `{name}`: `<->` is the distance by Euclid, `<=>` 1 minus the cosine, `<#>` the inner product times -1"
            )
        }
        Dtype::I8 => format!("vector `{name}`: pgvector has no signed bytes; kept exactly, and not searched"),
        Dtype::Binary => format!("vector `{name}`: `<~>` is the number of bits that differ, from pgvector 0.7"),
    }
}

/// What is to be known of Chroma.
fn chroma(plan: &mut Plan, schema: &Schema) {
    if own_vector(schema).is_none() {
        plan.refused.push("a record of Chroma needs a vector of floats, and the collection has none".to_owned());
    }
    plan.notes.push(
        "what Chroma has no place for (nesting, nulls, integers beyond 64 bits, further vectors) is one text, `crossfade_row`; fields of metadata that are flat stand beside it once more, for filters"
            .to_owned(),
    );
    plan.notes.push("a row without the vector has zeros in its place and `crossfade_vector` false".to_owned());
    plan.notes.push(
        "a vector that is not finite is put aside; by the cosine also one whose norm is not 0 and below 1e-15 or above 1e15"
            .to_owned(),
    );
}

/// What a distance of Chroma means. Measured on (3,4,0,0) and (1,0,0,0): 20 by l2, -2 by ip, 0.4 by cosine.
fn distances(name: &str, metric: Option<Metric>) -> String {
    let means = match metric {
        Some(Metric::Cosine) => "1 minus the cosine",
        Some(Metric::Dot) => "1 minus the inner product",
        Some(Metric::L2 | Metric::Hamming) => "the square of the distance by Euclid",
        None => {
            "the square of the distance by Euclid, since the source does not say how it is compared; `--metric` says otherwise"
        }
    };
    format!("vector `{name}`: `distance` is {means}")
}

/// What is to be known of Milvus.
fn milvus(plan: &mut Plan, schema: &Schema) {
    if own_vector(schema).is_none() {
        plan.refused.push("a record of Milvus needs a vector of floats, and the collection has none".to_owned());
    }
    plan.notes.push(
        "the metadata stands in the field `metadata` for filters, and whole, with further vectors, in the texts `crossfade_row` to `crossfade_row_4`"
            .to_owned(),
    );
    plan.notes.push("a row without the vector has zeros in its place and `has_vector` false".to_owned());
    plan.notes.push(
        "put aside are vectors that are not finite, metadata of more than 64 KiB, and rows with more than 256 KiB beside the vector and the text"
            .to_owned(),
    );
    plan.notes.push("the collection is made, indexed by AUTOINDEX and loaded: Milvus holds it in memory".to_owned());
}

/// What a score of Milvus means. Measured on (3,4,0,0) and (1,0,0,0): 20 by L2, 3 by IP, 0.6 by COSINE.
fn milvus_scores(name: &str, metric: Option<Metric>) -> String {
    let means = match metric {
        Some(Metric::Cosine) => "the cosine",
        Some(Metric::Dot) => "the inner product",
        Some(Metric::L2 | Metric::Hamming) => "the square of the distance by Euclid",
        None => {
            "the square of the distance by Euclid, since the source does not say how it is compared; `--metric` says otherwise"
        }
    };
    format!("vector `{name}`: `distance` is {means}")
}

/// What is to be known of Qdrant.
fn qdrant(plan: &mut Plan) {
    plan.notes.push(
        "a point is known by the row's identifier where that is a number or a UUID as Qdrant writes them and there is no namespace, else by a UUID made of both; `crossfade_id` and `crossfade_namespace` say them"
            .to_owned(),
    );
    plan.notes.push(
        "fields of metadata stand in the payload; what it has no place for is one text, `crossfade_row`. By the cosine Qdrant keeps directions: the norm of each vector stands in `crossfade_norms`"
            .to_owned(),
    );
    plan.notes
        .push("quantisation is not copied: switch it on in the target and measure with `vectors eval`".to_owned());
    plan.notes.push("nothing of this was ever run against Qdrant's own server, only against its engine".to_owned());
}

/// What a score of Qdrant means. Measured on (3,4,0,0) and (1,0,0,0): 4.472 by Euclid, 3 by Dot, 0.6 by Cosine.
fn qdrant_scores(name: &str, metric: Option<Metric>) -> String {
    let means = match metric {
        Some(Metric::Cosine) => "the cosine",
        Some(Metric::Dot) => "the inner product",
        Some(Metric::Hamming) => "not asked for: bits stand in the payload",
        Some(Metric::L2) => "the distance by Euclid",
        None => "the distance by Euclid, since the source does not say how it is compared; `--metric` says otherwise",
    };
    format!("vector `{name}`: `score` is {means}")
}

/// What is to be known of Pinecone.
fn pinecone(plan: &mut Plan, schema: &Schema) {
    if own_of_pinecone(schema).is_none() {
        plan.refused.push(
            "a record of Pinecone needs a vector of floats, or one sparse vector, and the collection has neither"
                .to_owned(),
        );
    }
    if is_sparse_index(schema) {
        plan.notes.push("writing takes a write unit of Pinecone for each kilobyte of a record".to_owned());
        plan.notes.push(
            "put aside are rows without the sparse vector, or with one that has a 0, what is not finite, or more than 1000 numbers"
                .to_owned(),
        );
    } else {
        plan.notes.push(format!(
            "writing takes about {} write units of Pinecone for the vectors alone, one for each kilobyte; texts and metadata come on top",
            write_units_of_pinecone(plan.n_vector_bytes)
        ));
        plan.notes.push(
            "put aside are rows without the vector, and those whose vector is not finite, or zero where the index takes none"
                .to_owned(),
        );
    }
    plan.notes.push(
        "the index is not made: make it before. What its metadata has no place for (nesting, nulls, floats such as `1.0`, further vectors) is one text beside it, `crossfade_row`, where there is such; the text is `crossfade_text`"
            .to_owned(),
    );
    plan.notes.push(
        "an identifier that is empty, not ASCII or longer than 512 bytes is written as a list of JSON with it"
            .to_owned(),
    );
    plan.notes.push("put aside are rows with more than 40 KiB of metadata, text and further vectors".to_owned());
    plan.notes.push("nothing of this was ever run against the live service".to_owned());
}

/// Whether the collection goes into an index of sparse vectors alone.
fn is_sparse_index(schema: &Schema) -> bool {
    matches!(own_of_pinecone(schema), Some(OwnVector::Sparse(_)))
}

/// What a score of Pinecone means.
fn similarities(name: &str, metric: Option<Metric>) -> String {
    let means = match metric {
        Some(Metric::Cosine) => "the cosine",
        Some(Metric::Dot) => "the inner product",
        Some(Metric::L2 | Metric::Hamming) => "the square of the distance by Euclid",
        None => "what the index was made for",
    };
    format!("vector `{name}`: `score` is {means}")
}

/// Bytes of the vectors of one row that has all of fixed length.
fn n_bytes(schema: &Schema) -> u64 {
    let each = schema.dense.values().map(|shape| match shape.dtype {
        Dtype::F32 => shape.dims * 4,
        Dtype::F16 => shape.dims * 2,
        Dtype::I8 => shape.dims,
        Dtype::Binary => shape.dims.div_ceil(8),
    });
    each.sum::<usize>() as u64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::schema::DenseShape;

    fn survey(dtype: Dtype, dims: usize, metric: Option<Metric>) -> Survey {
        let dense = BTreeMap::from([("dense".to_owned(), DenseShape { dtype, dims, metric })]);
        Survey { n_rows: 10, schema: Schema { dense, sparse: vec!["words".into()], ..Schema::default() } }
    }

    #[test]
    fn what_a_store_cannot_keep_is_refused_before_anything_is_written() {
        let refused = |survey: &Survey| plan(survey, Kind::SqliteVec).refused.join("; ");
        assert_eq!(refused(&survey(Dtype::F32, 384, Some(Metric::Cosine))), "");
        assert_eq!(
            refused(&survey(Dtype::F32, 384, Some(Metric::Dot))),
            "vector `dense` is compared by Dot, which sqlite-vec does not do to it"
        );
        assert!(refused(&survey(Dtype::Binary, 12, None)).contains("multiples of 8"));
        assert!(refused(&survey(Dtype::F32, 9000, None)).contains("1 to 8192"));
        assert_eq!(plan(&survey(Dtype::Binary, 12, None), Kind::Parquet).refused, Vec::<String>::new());
    }

    #[test]
    fn a_plan_says_which_vector_does_not_come_back_to_the_bit() {
        let fidelity = |dtype, metric| {
            let plan = plan(&survey(dtype, 384, Some(metric)), Kind::Chroma);
            assert_eq!(plan.refused, Vec::<String>::new());
            plan.keeps.iter().find(|keeps| keeps.part.starts_with("vector `dense`")).unwrap().fidelity
        };
        assert_eq!(fidelity(Dtype::F32, Metric::Cosine), Fidelity::Tolerant);
        assert_eq!(fidelity(Dtype::F32, Metric::L2), Fidelity::BitExact);
        assert_eq!(fidelity(Dtype::F16, Metric::Cosine), Fidelity::BitExact);
        let refused = plan(&survey(Dtype::I8, 384, None), Kind::Chroma).refused;
        assert_eq!(refused, ["a record of Chroma needs a vector of floats, and the collection has none"]);
    }

    #[test]
    fn a_collection_with_one_sparse_vector_and_none_of_floats_goes_into_a_sparse_index_of_pinecone() {
        let of = |sparse: &[&str]| {
            let sparse = sparse.iter().map(|name| (*name).to_owned()).collect();
            plan(&Survey { n_rows: 10, schema: Schema { sparse, ..Schema::default() } }, Kind::Pinecone)
        };
        let plan = of(&["words"]);
        assert_eq!(plan.refused, Vec::<String>::new());
        assert!(plan.keeps.iter().any(|keeps| keeps.becomes.contains("has to be of the type `sparse`")));
        assert!(of(&["few", "words"]).refused[0].contains("or one sparse vector"));
    }

    #[test]
    fn a_plan_says_what_an_address_has_kept_otherwise() {
        let into = |written: &str| plan_into(&survey(Dtype::F32, 384, None), &Address::parse(written).unwrap());
        let plan = into("postgres://me@localhost/app?half=dense&sparsevec=words:30522#kb");
        assert_eq!(plan.refused, Vec::<String>::new());
        let kept: Vec<(&str, Fidelity)> = plan.keeps.iter().map(|one| (one.becomes.as_str(), one.fidelity)).collect();
        assert!(kept.contains(&("halfvec(384)", Fidelity::Tolerant)), "{kept:?}");
        assert!(kept.contains(&("sparsevec(30522), which pgvector searches", Fidelity::BitExact)), "{kept:?}");
        let refused = into("postgres://me@localhost/app?half=late&sparsevec=few:9#kb").refused;
        assert_eq!(refused, ["half: there is no dense vector `late`", "sparsevec: there is no sparse vector `few`"]);
    }

    #[test]
    fn a_plan_says_how_each_part_is_kept_and_what_scores_mean() {
        let plan = plan(&survey(Dtype::F32, 384, None), Kind::SqliteVec);
        assert_eq!(plan.n_vector_bytes, 10 * 384 * 4);
        let dense = plan.keeps.iter().find(|keeps| keeps.part == "vector `dense`: 384 × F32").unwrap();
        assert_eq!(dense.becomes, "float[384]");
        assert!(plan.notes.iter().any(|note| note.contains("--metric dense=cosine")));
        assert!(plan.keeps.iter().any(|keeps| keeps.becomes.contains("does not search")));
    }
}
