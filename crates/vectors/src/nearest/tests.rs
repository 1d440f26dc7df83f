use super::*;
use crate::store::{Budget, Cursor, Page, Partition, Survey};

/// Rows in memory, read three at a time.
struct Rows(Vec<Row>);

impl Source for Rows {
    fn survey(&mut self) -> Result<Survey, Trouble> {
        Ok(Survey::default())
    }

    fn partitions(&mut self) -> Result<Vec<Partition>, Trouble> {
        Ok(vec![Partition::Keys { after: None, until: None }])
    }

    fn read(&mut self, _: &Partition, after: Option<&Cursor>, _: Budget) -> Result<Page, Trouble> {
        let Some(Cursor::Offset(from)) = after.or(Some(&Cursor::Offset(0))) else { panic!("a key") };
        let from = usize::try_from(*from).unwrap();
        let to = (from + 3).min(self.0.len());
        let next = (to < self.0.len()).then_some(Cursor::Offset(to as u64));
        Ok(Page { rows: self.0[from..to].to_vec(), next, ..Page::default() })
    }
}

fn row(namespace: &str, id: &str, values: Vec<f32>) -> Row {
    let dense = [("dense".to_owned(), Dense::F32(values))].into();
    Row { namespace: namespace.to_owned(), id: id.to_owned(), dense, ..Row::default() }
}

fn query(namespace: &str, vector: Vec<f32>) -> Query {
    Query { id: "q".to_owned(), namespace: namespace.to_owned(), vector }
}

fn ids(hits: &[Hit]) -> Vec<&str> {
    hits.iter().map(|hit| hit.id.as_str()).collect()
}

/// Numbers from -1 to 1 that are the same every time.
fn noise(state: &mut u64) -> f32 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    f32::from_bits(0x3f80_0000 | (*state >> 41) as u32) * 2.0 - 3.0
}

#[test]
fn what_is_found_is_what_comparing_one_by_one_finds() {
    let mut state = 7;
    let mut vector = |dims: usize| (0..dims).map(|_| noise(&mut state)).collect::<Vec<f32>>();
    let rows: Vec<Row> = (0..500).map(|at| row("", &format!("d{at}"), vector(33))).collect();
    let queries: Vec<Query> = (0..300).map(|_| query("", vector(33))).collect();
    for metric in [Metric::Cosine, Metric::L2, Metric::Dot] {
        let found = nearest(&mut Rows(rows.clone()), "dense", metric, &queries, 10, |_| ()).unwrap();
        assert_eq!(found.n_rows, 500);
        for (query, hits) in queries.iter().zip(&found.hits) {
            let mut all: Vec<(f64, &str)> = rows
                .iter()
                .map(|row| (distance(metric, &query.vector, &floats(&row.dense["dense"])), row.id.as_str()))
                .collect();
            all.sort_by(|one, other| one.0.total_cmp(&other.0).then_with(|| other.1.cmp(one.1)));
            let expected: Vec<&str> = all[..10].iter().map(|(_, id)| *id).collect();
            assert_eq!(ids(&hits[..10]), expected);
        }
    }
}

#[test]
fn equals_at_the_last_place_are_all_there_by_falling_identifier() {
    let rows = ["a", "b", "c", "d"].map(|id| row("", id, vec![1.0, 1.0])).to_vec();
    let rows = [rows, vec![row("", "near", vec![1.0, 0.1]), row("", "far", vec![0.0, 1.0])]].concat();
    let found = nearest(&mut Rows(rows), "dense", Metric::Cosine, &[query("", vec![1.0, 0.0])], 2, |_| ()).unwrap();
    assert_eq!(ids(&found.hits[0]), ["near", "d", "c", "b", "a"]);
}

#[test]
fn a_query_sees_the_rows_of_its_namespace() {
    let rows = vec![row("one", "a", vec![1.0]), row("two", "b", vec![2.0])];
    let found =
        nearest(&mut Rows(rows), "dense", Metric::Dot, &[query("two", vec![1.0]), query("none", vec![1.0])], 5, |_| ());
    let found = found.unwrap();
    assert_eq!((ids(&found.hits[0]), ids(&found.hits[1])), (vec!["b"], vec![]));
}

#[test]
fn what_cannot_be_compared_is_counted_and_not_found() {
    let mut other = row("", "no vector", vec![]);
    other.dense.clear();
    let rows = vec![
        row("", "zero", vec![0.0, 0.0]),
        row("", "not a number", vec![f32::NAN, 1.0]),
        row("", "short", vec![1.0]),
        other,
        row("", "fine", vec![0.0, 1.0]),
    ];
    let found = nearest(&mut Rows(rows), "dense", Metric::Cosine, &[query("", vec![1.0, 1.0])], 5, |_| ()).unwrap();
    assert_eq!((found.n_rows, found.n_without, found.n_undefined), (1, 2, 2));
    assert_eq!(ids(&found.hits[0]), ["fine"]);
}

#[test]
fn bits_that_differ_are_counted() {
    let bits = |byte: u8| floats(&Dense::binary(8, vec![byte]).unwrap());
    assert_eq!(distance(Metric::Hamming, &bits(0b1010_0000), &bits(0b1000_0001)), 2.0);
}

#[test]
fn rows_that_32_bits_cannot_tell_apart_are_in_their_true_order() {
    // Both products round to 2^25 in 32-bit floats.
    let rows = vec![row("", "b less", vec![33_554_432.0, 0.0]), row("", "a more", vec![33_554_432.0, 1.0])];
    let found = nearest(&mut Rows(rows), "dense", Metric::Dot, &[query("", vec![1.0, 1.0])], 1, |_| ()).unwrap();
    assert_eq!(found.hits[0][0].id, "a more");
}
