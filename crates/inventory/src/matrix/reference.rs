//! Kinds of servers for what one has: named where there is no config, and what their own pages say they serve. Nothing of it is a proof.

use super::cell::Expected;

/// Kinds that are named as alternatives where there is no config, and what they are called.
pub(super) const KINDS: [(&str, &str); 3] =
    [("vllm", "vLLM"), ("llama_cpp", "llama.cpp"), ("text_embeddings_inference", "Text Embeddings Inference")];

/// By tabs: the kind, the need, what it says, where it says so, the day that was read.
const TABLE: &str = include_str!("reference.tsv");

/// What a kind's own page says of a need.
pub(super) fn of(kind: &str, need: &str) -> Option<Expected> {
    let row = |line: &str| {
        let mut cells = line.split('\t');
        let is_it = cells.next() == Some(kind) && cells.next() == Some(need);
        let (says, source, day) = (cells.next()?, cells.next()?, cells.next()?);
        is_it.then(|| Expected { says: says.to_owned(), source: format!("{source}, {day}") })
    };
    TABLE.lines().filter(|line| !line.starts_with('#')).find_map(row)
}

#[cfg(test)]
mod tests {
    use super::super::need;
    use super::*;

    #[test]
    fn every_row_is_of_a_kind_and_a_need_with_a_source_and_a_day() {
        for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
            let cells: Vec<&str> = line.split('\t').collect();
            let [kind, id, says, source, day] = cells.as_slice() else { panic!("{line}") };
            assert!(KINDS.iter().any(|(known, _)| known == kind), "{line}");
            assert!(need::named(id).is_some(), "{line}");
            assert!(!says.is_empty() && source.starts_with("https://") && day.len() == 10, "{line}");
            assert!(of(kind, id).is_some(), "{line}");
        }
    }
}
