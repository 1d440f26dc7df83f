//! `docs/reference/import.md` shows the tables that the importers go by.

use std::path::Path;

use inventory::import::reference::tables;

#[test]
fn the_page_has_every_table_as_it_is() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/import.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let mut parts = page.split("<!-- table: ");
    let mut written = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (chapter, rest) = part.split_once(" -->").unwrap();
        let (_, after) = rest.split_once("<!-- end -->").unwrap();
        let table = tables(chapter);
        assert!(!table.is_empty(), "there is no table `{chapter}`");
        written += &format!("<!-- table: {chapter} -->\n{table}\n<!-- end -->{after}");
    }
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, &written).unwrap();
    }
    assert!(
        page == written || std::env::var_os("UPDATE_EXPECT").is_some(),
        "run with UPDATE_EXPECT=1 to write the tables anew"
    );
}
