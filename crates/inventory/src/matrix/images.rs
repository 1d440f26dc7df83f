//! Images in messages that are built apart from the calls that carry them: whoever is sent messages may be sent them.

use super::cell::Through;
use super::need::words_of;
use super::used::Used;
use super::{collected, counts, through};

/// Places where images are built, once for each dialect in which messages are sent, as uses of everybody who is sent some.
pub(super) fn carried(used: &[Used]) -> Vec<Used> {
    let parts: Vec<&Used> = used.iter().filter(|one| one.is_part).collect();
    if parts.is_empty() {
        return Vec::new();
    }
    let asked = |wanted: Through| {
        let is_asked = |one: &&Used| {
            let is_it = |word: &&str| ["chat", "messages", "responses"].contains(word) && through(one, word) == wanted;
            counts(one) && words_of(one).iter().any(is_it)
        };
        let of = used.iter().filter(is_asked);
        collected(of.flat_map(|one| if one.among.is_empty() { vec![one.vendor.clone()] } else { one.among.clone() }))
    };
    let mut all = Vec::new();
    for dialect in [Through::Chat, Through::Responses, Through::Messages] {
        let vendors = asked(dialect);
        if vendors.is_empty() {
            continue;
        }
        all.extend(parts.iter().map(|part| Used {
            through: Some(dialect),
            among: vendors.clone(),
            operation: "vision".to_owned(),
            ..(*part).clone()
        }));
    }
    all
}

/// What a row says of images that are built apart; empty where none are.
pub(super) fn said(uses: &[&Used]) -> String {
    let mut places = uses.iter().filter(|one| one.is_part).filter_map(|one| one.place.as_ref());
    let Some(first) = places.next() else { return String::new() };
    let more = match places.count() {
        0 => String::new(),
        1 => " and at 1 more place".to_owned(),
        n => format!(" and at {n} more places"),
    };
    format!("images are built in {}:{}{more}; which calls carry them is not known", first.path, first.line)
}
