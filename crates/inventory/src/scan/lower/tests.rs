//! What single forms come to.

use super::*;

#[test]
fn deep_nesting_ends_instead_of_the_stack() {
    let text = format!("x = {}1{}", "f(".repeat(3000), ")".repeat(3000));
    let facts = facts_of(Language::Python, &text);
    assert_eq!(facts.bindings.len(), 1);
    let text = format!("x = {}", "[".repeat(20_000));
    facts_of(Language::JavaScript, &text);
}
