//! Which texts open which keys, and which open nothing.

use proptest::prelude::*;
use store::SecretRow;

use super::*;

fn row(id: &str, texts: &[&str]) -> KeyRow {
    let secret =
        |text: &&str| SecretRow { digest: Digest::of(text.as_bytes()).bytes(), created_at_us: 1, ends_at_us: None };
    KeyRow {
        id: id.into(),
        name: id.into(),
        spec_json: r#"{"routes":"all","tenant":null,"role":null,"networks":[],"limits":{}}"#.into(),
        created_at_us: 1,
        created_by: "ana".into(),
        expires_at_us: None,
        revoked_at_us: None,
        last_used_us: None,
        secrets: texts.iter().map(secret).collect(),
    }
}

fn table(rows: &[KeyRow]) -> KeyTable {
    KeyTable::of(1, rows, &KeyTable::default())
}

fn check(table: &KeyTable, text: &str) -> Result<String, Denied> {
    table.authenticate(text.as_bytes(), 100, None).map(|key| key.id.to_string())
}

#[test]
fn keys_with_equal_beginnings_are_different_keys() {
    let long = "cf-aaaaaaaaaaaa-0123456789abcdef0123456789abcdef01234567";
    let other = "cf-aaaaaaaaaaaa-0123456789abcdef0123456789abcdef01234568";
    let table = table(&[row("one", &[long]), row("two", &[other])]);
    assert_eq!(check(&table, long), Ok("one".into()));
    assert_eq!(check(&table, other), Ok("two".into()));
    for end in 0..long.len() {
        assert_eq!(check(&table, &long[..end]), Err(Denied::Unknown), "{end} characters of it");
    }
    assert_eq!(check(&table, &format!("{long}0")), Err(Denied::Unknown));
    assert_eq!(check(&table, &long.to_uppercase()), Err(Denied::Unknown));
}

#[test]
fn the_digest_itself_opens_nothing() {
    let text = "cf-aaaaaaaaaaaa-secret";
    let table = table(&[row("one", &[text])]);
    let digest = Digest::of(text.as_bytes()).bytes();
    assert!(matches!(table.authenticate(&digest, 1, None), Err(Denied::Unknown)));
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(check(&table, &hex), Err(Denied::Unknown));
    assert_eq!(check(&table, "one"), Err(Denied::Unknown));
    assert_eq!(check(&table, ""), Err(Denied::Unknown));
    assert_eq!(check(&KeyTable::default(), ""), Err(Denied::Unknown));
}

#[test]
fn two_secrets_of_one_key_are_good_until_the_older_ends() {
    let mut rotated = row("one", &["old", "new"]);
    rotated.secrets[0].ends_at_us = Some(100);
    let table = table(&[rotated]);
    let at = |text: &str, now_us| table.authenticate(text.as_bytes(), now_us, None).map(|_| ());
    assert_eq!((at("old", 99), at("new", 99)), (Ok(()), Ok(())));
    assert_eq!((at("old", 100), at("new", 100)), (Err(Denied::Expired), Ok(())));
}

#[test]
fn an_end_a_revocation_and_a_network_are_heeded() {
    let mut expiring = row("expiring", &["e"]);
    expiring.expires_at_us = Some(100);
    let revoked = KeyRow { revoked_at_us: Some(5), ..row("revoked", &["r"]) };
    let local = KeyRow {
        spec_json: r#"{"routes":"all","tenant":null,"role":null,"networks":["127.0.0.0/8","::1"],"limits":{}}"#.into(),
        ..row("local", &["l"])
    };
    let table = table(&[expiring, revoked, local]);
    let at = |text: &str, now_us, from: Option<&str>| {
        table.authenticate(text.as_bytes(), now_us, from.map(|from| from.parse().unwrap())).map(|_| ())
    };
    assert_eq!((at("e", 99, None), at("e", 100, None)), (Ok(()), Err(Denied::Expired)));
    assert_eq!(at("r", 1, None), Err(Denied::Revoked));
    assert_eq!((at("l", 1, Some("127.0.0.9")), at("l", 1, Some("::1"))), (Ok(()), Ok(())));
    assert_eq!((at("l", 1, Some("10.0.0.1")), at("l", 1, None)), (Err(Denied::Network), Err(Denied::Network)));
}

#[test]
fn a_key_is_held_against_the_table_of_the_moment() {
    let before = table(&[row("one", &["t"]), row("two", &["u"])]);
    let one = before.authenticate(b"t", 10, None).unwrap();
    let two = before.authenticate(b"u", 10, None).unwrap();
    let revoked = KeyRow { revoked_at_us: Some(5), ..row("one", &["t"]) };
    let after = KeyTable::of(2, &[revoked], &before);
    assert_eq!(before.still_good(&one, 11), Ok(()));
    assert_eq!(after.still_good(&one, 11), Err(Denied::Revoked));
    assert_eq!(after.still_good(&two, 11), Err(Denied::Unknown));
}

#[test]
fn a_key_that_cannot_be_read_opens_nothing_and_others_do() {
    let broken = |json: &str| KeyRow { spec_json: json.into(), ..row("broken", &["b"]) };
    for json in [
        "",
        "[]",
        "{}",
        r#"{"routes":"all","networks":[]}"#,
        r#"{"routes":"all","networks":["nowhere"],"limits":{}}"#,
        r#"{"routes":"all","networks":[],"limits":{},"unknown":1}"#,
    ] {
        let table = table(&[broken(json), row("one", &["t"])]);
        assert_eq!(check(&table, "b"), Err(Denied::Unknown), "{json}");
        assert_eq!(check(&table, "t"), Ok("one".into()));
    }
}

#[test]
fn the_last_use_survives_a_new_table_and_is_noted_once_a_minute() {
    let before = table(&[row("one", &["t"])]);
    let minute = 60_000_000;
    let key = before.authenticate(b"t", minute, None).unwrap();
    assert_eq!(key.unsaved_use(), Some(minute));
    key.saved_use(minute);
    before.authenticate(b"t", 2 * minute - 1, None).unwrap();
    assert_eq!(key.unsaved_use(), None);
    let after = KeyTable::of(2, &[row("one", &["t"])], &before);
    after.authenticate(b"t", 2 * minute, None).unwrap();
    assert_eq!(key.unsaved_use(), Some(2 * minute));
}

proptest! {
    #[test]
    fn only_the_whole_text_of_a_key_opens_it(texts in prop::collection::btree_set("[ -~]{0,24}", 1..12), probe in "[ -~]{0,24}") {
        let texts: Vec<String> = texts.into_iter().collect();
        let rows: Vec<KeyRow> = texts.iter().enumerate().map(|(idx, text)| row(&idx.to_string(), &[text])).collect();
        let table = table(&rows);
        for (idx, text) in texts.iter().enumerate() {
            prop_assert_eq!(check(&table, text), Ok(idx.to_string()));
        }
        let expected = texts.iter().position(|text| *text == probe).map(|idx| idx.to_string()).ok_or(Denied::Unknown);
        prop_assert_eq!(check(&table, &probe), expected);
    }
}
