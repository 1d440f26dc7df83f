//! Keys made, rotated and revoked in a real store.

use expect_test::expect;
use wire::private::Private;

use super::*;
use crate::key::Routes;
use crate::role::Role;
use crate::table::{Denied, KeyTable};

fn unlimited() -> Scope {
    Scope { role: Some(Role::Admin), routes: Routes::All, ..Scope::of(&KeySpec::default(), None).unwrap() }
}

struct House {
    _dir: tempfile::TempDir,
    database: Database,
}

impl House {
    fn new() -> House {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::open(dir.path().join("c.db")).unwrap();
        House { _dir: dir, database }
    }

    fn create(&self, scope: &Scope, name: &str, spec: &str, now_us: u64) -> Result<Issued, KeyError> {
        // What a case does not name: every route, no tenant, no role, any network.
        let mut whole = json!({ "routes": "all", "tenant": null, "role": null, "networks": [], "limits": {} });
        let changed: serde_json::Map<String, serde_json::Value> = serde_json::from_str(spec).unwrap();
        whole.as_object_mut().unwrap().extend(changed);
        let new = NewKey { name: name.into(), spec: serde_json::from_value(whole).unwrap(), ..NewKey::default() };
        create(&self.database, Asker { name: "ana", scope }, new, now_us)
    }

    fn opens(&self, text: &KeyText, now_us: u64) -> Result<String, Denied> {
        let (version, rows) = self.database.keys().unwrap();
        let table = KeyTable::of(version, &rows, &KeyTable::default());
        table.authenticate(text.expose().as_bytes(), now_us, None).map(|key| key.name.clone())
    }

    fn scope_of(&self, name: &str) -> Scope {
        stored_scope(&self.database.find_key(name).unwrap().unwrap()).unwrap()
    }
}

fn asker(scope: &Scope) -> Asker<'_> {
    Asker { name: "ana", scope }
}

#[test]
fn a_key_opens_until_it_is_revoked_and_its_life_is_in_the_audit() {
    let (house, all) = (House::new(), unlimited());
    let issued = house.create(&all, "app", r#"{"routes":{"only":["gpt-4o"]},"tenant":"acme"}"#, 10).unwrap();
    let text = issued.text.unwrap();
    assert_eq!(house.opens(&text, 11), Ok("app".into()));
    let rotation = Rotation { overlap: Duration::from_micros(5), reason: "monthly".into(), ..Rotation::default() };
    let second = rotate(&house.database, asker(&all), "app", &rotation, 20).unwrap().text.unwrap();
    assert_eq!((house.opens(&text, 24), house.opens(&second, 24)), (Ok("app".into()), Ok("app".into())));
    assert_eq!((house.opens(&text, 25), house.opens(&second, 25)), (Err(Denied::Expired), Ok("app".into())));
    revoke(&house.database, asker(&all), &issued.row.id, "left", 30).unwrap();
    assert_eq!(house.opens(&second, 31), Err(Denied::Revoked));
    let audit = house.database.audit(Some(&format!("key:{}", issued.row.id))).unwrap();
    let lines: Vec<String> = audit
        .iter()
        .map(|row| format!("{} {} {} `{}` {}\n", row.at_us, row.actor, row.action, row.reason, row.detail_json))
        .collect();
    expect![[r#"
        10 ana key.create `` {"existing":false,"expires_at_us":null,"name":"app","spec":{"limits":{"budget":null,"concurrency":null,"requests_per_minute":null,"tokens_per_minute":null},"networks":[],"role":null,"routes":{"only":["gpt-4o"]},"tenant":"acme"}}
        20 ana key.rotate `monthly` {"name":"app","previous_ends_at_us":25}
        30 ana key.revoke `left` {"name":"app"}
    "#]]
    .assert_eq(&lines.concat());
}

#[test]
fn at_most_two_secrets_are_good() {
    let (house, all) = (House::new(), unlimited());
    let first = house.create(&all, "app", "{}", 10).unwrap().text.unwrap();
    let day = Rotation { overlap: Duration::from_secs(86_400), ..Rotation::default() };
    let second = rotate(&house.database, asker(&all), "app", &day, 20).unwrap().text.unwrap();
    let refused = rotate(&house.database, asker(&all), "app", &day, 30);
    assert!(matches!(refused, Err(KeyError::Refused(_))), "{refused:?}");
    let now = Rotation { end_previous: true, ..day };
    let third = rotate(&house.database, asker(&all), "app", &now, 30).unwrap().text.unwrap();
    assert_eq!(house.opens(&first, 30), Err(Denied::Expired));
    assert_eq!((house.opens(&second, 30), house.opens(&third, 30)), (Ok("app".into()), Ok("app".into())));
}

#[test]
fn a_key_its_holder_has_already_is_taken_as_it_is_and_never_shown() {
    let (house, all) = (House::new(), unlimited());
    let text = KeyText::existing(Private::new("sk-canary-0123456789abcdef".to_owned())).unwrap();
    let new = NewKey { name: "app".into(), existing: Some(text.clone()), ..NewKey::default() };
    let issued = create(&house.database, asker(&all), new.clone(), 10).unwrap();
    assert!(issued.text.is_none());
    assert_eq!(house.opens(&text, 11), Ok("app".into()));
    let again = create(&house.database, asker(&all), NewKey { name: "other".into(), ..new }, 12);
    assert!(matches!(again, Err(KeyError::Refused(_))), "{again:?}");
    assert!(!format!("{:?}", house.database.audit(None).unwrap()).contains("canary"));
}

#[test]
fn limits_are_changed_one_by_one_and_zero_is_none() {
    let (house, all) = (House::new(), unlimited());
    house.create(&all, "app", r#"{"limits":{"requests_per_minute":60,"concurrency":4}}"#, 10).unwrap();
    let change = |change: &str| {
        let change: LimitsChange = serde_json::from_str(change).unwrap();
        let row = limit(&house.database, asker(&all), "app", (change, "busy"), 20).unwrap();
        serde_json::to_string(&stored_spec(&row).unwrap().limits).unwrap()
    };
    expect![[r#"{"requests_per_minute":60,"tokens_per_minute":900,"concurrency":4,"budget":null}"#]]
        .assert_eq(&change(r#"{"tokens_per_minute":900}"#));
    expect![[r#"{"requests_per_minute":null,"tokens_per_minute":900,"concurrency":5,"budget":null}"#]]
        .assert_eq(&change(r#"{"requests_per_minute":0,"concurrency":5}"#));
    expect![[
        r#"{"requests_per_minute":null,"tokens_per_minute":900,"concurrency":5,"budget":{"nanos":7,"per":"month"}}"#
    ]]
    .assert_eq(&change(r#"{"budget":{"nanos":7,"per":"month"}}"#));
    expect![[r#"{"requests_per_minute":null,"tokens_per_minute":900,"concurrency":5,"budget":null}"#]]
        .assert_eq(&change(r#"{"budget":{"nanos":0,"per":"day"}}"#));
    let audit = house.database.audit(None).unwrap();
    assert_eq!((audit.len(), audit[2].action.as_str(), audit[2].reason.as_str()), (5, "key.limit", "busy"));
    revoke(&house.database, asker(&all), "app", "", 30).unwrap();
    let id = audit[0].subject.trim_start_matches("key:");
    let revoked = limit(&house.database, asker(&all), id, (LimitsChange::default(), ""), 40);
    assert!(matches!(revoked, Err(KeyError::Refused(_))), "{revoked:?}");
}

#[test]
fn what_makes_no_sense_is_refused_in_words() {
    let (house, all) = (House::new(), unlimited());
    let check = |name: &str, spec: &str| house.create(&all, name, spec, 10).unwrap_err().to_string();
    expect!["a key's name has 1 to 64 letters, digits, `.`, `_`, `-` or `@`; this is `a b`"]
        .assert_eq(&check("a b", "{}"));
    expect!["a key's name has 1 to 64 letters, digits, `.`, `_`, `-` or `@`; this is ``"].assert_eq(&check("", "{}"));
    expect!["a tenant's name has 1 to 64 letters, digits, `.`, `_`, `-` or `@`; this is `\\n`"]
        .assert_eq(&check("a", r#"{"tenant":"\n"}"#));
    expect!["`10` is neither an address nor a network such as `10.0.0.0/8`"]
        .assert_eq(&check("a", r#"{"networks":["10"]}"#));
    let past = NewKey { name: "a".into(), expires_at_us: Some(10), ..NewKey::default() };
    let past = create(&house.database, asker(&all), past, 10).unwrap_err().to_string();
    expect!["the key would have expired already"].assert_eq(&past);
    house.create(&all, "a", "{}", 10).unwrap();
    expect!["another key that is not revoked has this name"].assert_eq(&check("a", "{}"));
    let missing = revoke(&house.database, asker(&all), "nope", "", 10).unwrap_err().to_string();
    expect!["there is no key `nope`"].assert_eq(&missing);
    assert_eq!(house.database.audit(None).unwrap().len(), 1, "a refusal changes nothing");
}

#[test]
fn nobody_makes_or_takes_a_key_above_his_own() {
    let (house, all) = (House::new(), unlimited());
    house.create(&all, "root", r#"{"role":"admin"}"#, 10).unwrap();
    house.create(&all, "acme-admin", r#"{"role":"admin","tenant":"acme","routes":{"only":["a"]}}"#, 10).unwrap();
    house.create(&all, "acme-app", r#"{"tenant":"acme","routes":{"only":["a"]}}"#, 10).unwrap();
    let acme = house.scope_of("acme-admin");
    assert_eq!(acme.routes, Routes::Only(["a".to_owned()].into()));
    for spec in [
        r#"{"role":"admin"}"#,
        r#"{"tenant":"acme"}"#,
        r#"{"tenant":"acme","routes":{"only":["a","b"]}}"#,
        r#"{"tenant":"other","routes":{"only":["a"]}}"#,
    ] {
        assert!(matches!(house.create(&acme, "x", spec, 20), Err(KeyError::Beyond { .. })), "{spec}");
    }
    let rotation = Rotation::default();
    let stolen = rotate(&house.database, asker(&acme), "root", &rotation, 20);
    assert!(matches!(stolen, Err(KeyError::Beyond { .. })), "{stolen:?}");
    assert!(matches!(revoke(&house.database, asker(&acme), "root", "", 20), Err(KeyError::Beyond { .. })));
    let more = limit(&house.database, asker(&acme), "root", (LimitsChange::default(), ""), 20);
    assert!(matches!(more, Err(KeyError::Beyond { .. })), "{more:?}");
    rotate(&house.database, asker(&acme), "acme-app", &rotation, 20).unwrap();
    let soon_over = Scope { expires_at_us: Some(100), ..acme };
    assert!(matches!(
        rotate(&house.database, asker(&soon_over), "acme-app", &rotation, 30),
        Err(KeyError::Beyond { .. })
    ));
    revoke(&house.database, asker(&soon_over), "acme-app", "leaked", 40).unwrap();
}
