use super::*;
use crate::metadata::Metadata;
use crate::row::{Multi, Sparse};

/// Numbers that look random and are the same every time.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 24
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next()).unwrap() % bound
    }

    fn float(&mut self) -> f32 {
        f32::from(u16::try_from(self.next() & 0xffff).unwrap()) / 32768.0 - 1.0
    }
}

fn rows(n: usize) -> Vec<Row> {
    let mut draw = Draw(7);
    (0..n)
        .map(|n| {
            let mut row = Row { namespace: format!("tenant-{}", n % 3 + 1), id: format!("doc {n}"), ..Row::default() };
            row.dense.insert("dense".into(), Dense::F32((0..24).map(|_| draw.float()).collect()));
            row.dense.insert("small".into(), Dense::I8((0..8_i8).collect()));
            row.sparse
                .insert("words".into(), Sparse::new(vec![3, 9, 40], (0..3).map(|_| draw.float()).collect()).unwrap());
            row.multi.insert("late".into(), Multi::new(4, (0..12).map(|_| draw.float()).collect()).unwrap());
            row.text = Some(format!("text of {n}"));
            row.metadata = Some(Metadata::parse(&format!("{{\"n\":{n},\"tag\":\"t{}\"}}", n % 5)).unwrap());
            row.space = Some("model@1".into());
            row
        })
        .collect()
}

fn digest(rows: &[Row]) -> Buckets {
    let mut buckets = Buckets::default();
    rows.iter().for_each(|row| buckets.add(row));
    buckets
}

/// One fault of each kind that copies make.
fn spoil(rows: &mut Vec<Row>, kind: usize, draw: &mut Draw) {
    let at = draw.below(rows.len());
    match kind {
        0 => {
            let Some(Dense::F32(values)) = rows[at].dense.get_mut("dense") else { panic!("no vector") };
            let value = draw.below(24);
            values[value] = f32::from_bits(values[value].to_bits() ^ 1 << draw.below(32));
        }
        1 => {
            let other = (at + 1 + draw.below(rows.len() - 1)) % rows.len();
            let vectors = std::mem::take(&mut rows[at].dense);
            rows[at].dense = std::mem::replace(&mut rows[other].dense, vectors);
        }
        2 => {
            let sparse = &rows[at].sparse["words"];
            let (mut indices, mut values) = (sparse.indices().to_vec(), sparse.values().to_vec());
            let gone = draw.below(3);
            indices.remove(gone);
            values.remove(gone);
            rows[at].sparse.insert("words".into(), Sparse::new(indices, values).unwrap());
        }
        3 => {
            let metadata = rows[at].metadata.as_ref().unwrap().text().replacen(",\"tag\"", ".0,\"tag\"", 1);
            rows[at].metadata = Some(Metadata::parse(&metadata).unwrap());
        }
        4 => rows[at].namespace.clear(),
        5 => drop(rows.remove(at)),
        6 => rows.push(rows[at].clone()),
        _ => {
            let other = (at + 1) % rows.len();
            let text = rows[at].text.take();
            rows[at].text = std::mem::replace(&mut rows[other].text, text);
        }
    }
}

#[test]
fn ten_thousand_faults_of_eight_kinds_are_all_found() {
    let whole = rows(12);
    let expected = digest(&whole);
    let mut draw = Draw(11);
    let mut n_found = 0;
    for n in 0..10_000 {
        let mut spoiled = whole.clone();
        spoil(&mut spoiled, n % 8, &mut draw);
        n_found += usize::from(!expected.differing(&digest(&spoiled)).is_empty());
    }
    assert_eq!(n_found, 10_000);
}

#[test]
fn the_order_of_reading_does_not_matter_and_parts_are_named() {
    let mut others = rows(60);
    let expected = digest(&others);
    others.reverse();
    assert_eq!(digest(&others), expected);
    let (one, mut other) = (others[0].clone(), others[0].clone());
    other.metadata = Some(Metadata::parse("{\"n\":59.0,\"tag\":\"t4\"}").unwrap());
    let (one, other) = (part_digests(&one), part_digests(&other));
    let differing: Vec<&String> = one.keys().filter(|part| one.get(*part) != other.get(*part)).collect();
    assert_eq!(differing, ["metadata `n`"]);
}

#[test]
fn absent_and_empty_are_not_the_same_and_no_two_parts_run_into_each_other() {
    let of = |row: Row| row_digest(&row);
    let row = |namespace: &str, id: &str| Row { namespace: namespace.into(), id: id.into(), ..Row::default() };
    assert_ne!(of(row("a", "bc")), of(row("ab", "c")));
    assert_ne!(of(Row { text: Some(String::new()), ..row("", "a") }), of(row("", "a")));
    assert_ne!(of(Row { text: Some("x".into()), ..row("", "a") }), of(Row { space: Some("x".into()), ..row("", "a") }));
    assert_ne!(of(Row { metadata: Some(Metadata::parse("{}").unwrap()), ..row("", "a") }), of(row("", "a")));
}

#[test]
fn a_digest_is_what_the_reference_says_it_is() {
    // Of Python: sha256 over two lengths with their bytes, three counts of 0 and three absent texts, cut to 32 hexadecimal digits.
    let row = Row { namespace: "n".into(), id: "id".into(), ..Row::default() };
    assert_eq!(format!("{:032x}", row_digest(&row)), "6364502101daf5ae8a95945af48341b0");
}
