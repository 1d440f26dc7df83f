use inventory::scan;

use super::cache::{Cache, digest};

#[test]
fn the_same_text_under_another_path_is_read_for_itself() {
    assert_ne!(digest("a.py", "x", false), digest("a.js", "x", false));
    assert_ne!(digest("a.py", "x", false), digest("a.py", "x", true));
    assert_eq!(digest("a.py", "x", false), digest("a.py", "x", false));
}

#[test]
fn a_cache_that_was_cut_gives_what_was_whole_and_is_added_to() {
    let directory = tempfile::tempdir().unwrap();
    let texts = ["from openai import OpenAI\nOpenAI()\n", "import openai\n", "x = 1\n"];
    let read = |at: usize| scan::read("a.py", texts[at], false);
    let keys: Vec<_> = texts.iter().map(|text| digest("a.py", text, false)).collect();
    let cache = Cache::open(Some(directory.path())).unwrap();
    (0..2).for_each(|at| cache.keep(&keys[at], &read(at)));
    cache.save(&keys[..2]).unwrap();

    let path = directory.path().join("read.bin");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
    let cache = Cache::open(Some(directory.path())).unwrap();
    assert_eq!(cache.get(&keys[0]), Some(read(0)));
    assert_eq!(cache.get(&keys[1]), None);
    cache.keep(&keys[2], &read(2));
    cache.save(&keys).unwrap();

    let cache = Cache::open(Some(directory.path())).unwrap();
    assert_eq!((cache.get(&keys[0]), cache.get(&keys[2])), (Some(read(0)), Some(read(2))));

    std::fs::write(&path, "of another version").unwrap();
    let cache = Cache::open(Some(directory.path())).unwrap();
    assert_eq!(cache.get(&keys[0]), None);
    cache.keep(&keys[0], &read(0));
    cache.save(&keys[..1]).unwrap();
    assert_eq!(Cache::open(Some(directory.path())).unwrap().get(&keys[0]), Some(read(0)));
}
