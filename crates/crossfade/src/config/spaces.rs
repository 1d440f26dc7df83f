//! `space` of targets that make vectors: vectors of two spaces never answer one route.

use gateway::snapshot::Route;

use super::reader::Item;
use super::targets::Targets;

/// The longest name.
const LONGEST: usize = 512;

/// `space: NAME`, as `crossfade vectors space` prints it.
pub(crate) fn read(item: &Item<'_>) -> Option<String> {
    let written = item.string()?.value;
    if written.is_empty() || written.len() > LONGEST || !written.bytes().all(|byte| byte.is_ascii_graphic()) {
        let hint = "`crossfade vectors space --encoder TARGET` prints one";
        item.note(
            "a space has a name of 1 to 512 visible ASCII characters, for it is sent as a header",
            Some(hint.into()),
        );
        return None;
    }
    Some(written)
}

/// What is wrong with a target on a route, and what to do, when its vectors would lie among those of another space.
pub(crate) fn mixes(route: &Route, target: &str, targets: &Targets) -> Option<(String, String)> {
    let (own, other) = (targets.get(&route.target)?, targets.get(target)?);
    let (name, own_name) = (&route.name, &own.name);
    match (&own.space, &other.space) {
        (Some(own), Some(other)) if !wire::space::agree(own, other) => Some((
            format!("`{target}` makes vectors of another space than `{own_name}`, and route `{name}` would mix them"),
            format!("move the collection with `crossfade vectors reembed` and give `{target}` a route of its own"),
        )),
        (Some(_), None) | (None, Some(_)) => Some((
            format!(
                "one of `{own_name}` and `{target}` says its `space` and the other does not, and route `{name}` may mix them"
            ),
            "write `space` at both; `crossfade vectors space --encoder TARGET` prints it".to_owned(),
        )),
        _ => None,
    }
}
