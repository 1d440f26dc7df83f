use super::cache::digest;

#[test]
fn the_same_text_under_another_path_is_read_for_itself() {
    assert_ne!(digest("a.py", "x"), digest("a.js", "x"));
    assert_eq!(digest("a.py", "x"), digest("a.py", "x"));
}
