//! Caches of routes, as they are written.

use std::time::Duration;

use expect_test::expect;
use gateway::snapshot::{CacheScope, Cacheable, Caching};

use super::{check, edited, errors, right};

#[test]
fn a_cache_is_read_with_its_defaults() {
    let cache = |written: &str| {
        let config =
            right(&edited("routes:\n", &format!("routes:\n  faq: {{ target: gpt, cache: {{ {written} }} }}\n")));
        config.snapshot.routes["faq"].cache.clone().unwrap()
    };
    assert_eq!(cache("ttl: 10m"), Caching::default());
    assert_eq!(
        cache("ttl: 1h, max_bytes: 1MiB, max_answer: 64KiB, scope: route, requests: any"),
        Caching {
            ttl: Duration::from_secs(3600),
            max_bytes: 1 << 20,
            max_answer: 64 << 10,
            scope: CacheScope::Route,
            requests: Cacheable::Any,
        }
    );
}

#[test]
fn a_cache_that_makes_no_sense() {
    check(
        "  gpt:   {",
        "  cache: { provider: openai, model: gpt-4o }\n  gpt:   {",
        expect![[r#"
            no errors
        "#]],
    );
    let routes = "routes:\n  faq:\n    target: gpt\n    cache: { ttl: 0, max_bytes: 1KiB, max_answer: 2KiB, scope: tenants, request: any }\n";
    check(
        "routes:\n",
        routes,
        expect![[r#"
        crossfade.yaml:16:19: `routes.faq.cache.ttl`: an answer that is kept for no time is never given again
         16 |     cache: { ttl: 0, max_bytes: 1KiB, max_answer: 2KiB, scope: tenants, request: any }
            |                   ^
           hint: leave `cache` out

        crossfade.yaml:16:51: `routes.faq.cache.max_answer`: an answer of `max_answer` bytes has no room in `max_bytes`
         16 |     cache: { ttl: 0, max_bytes: 1KiB, max_answer: 2KiB, scope: tenants, request: any }
            |                                                   ^^^^
           hint: make `max_bytes` the larger one

        crossfade.yaml:16:64: `routes.faq.cache.scope`: expected one of `tenant`, `key`, `route`, found `tenants`
         16 |     cache: { ttl: 0, max_bytes: 1KiB, max_answer: 2KiB, scope: tenants, request: any }
            |                                                                ^^^^^^^
           hint: did you mean `tenant`?

        crossfade.yaml:16:73: `routes.faq.cache.request`: unknown key
         16 |     cache: { ttl: 0, max_bytes: 1KiB, max_answer: 2KiB, scope: tenants, request: any }
            |                                                                         ^^^^^^^
           hint: did you mean `requests`?

        4 errors in crossfade.yaml
    "#]],
    );
    let named = edited("  gpt:   {", "  cache: { provider: openai, model: gpt-4o }\n  gpt:   {");
    let named = named.replacen("routes:\n", "routes:\n  faq: { target: gpt, cache: { ttl: 1m } }\n", 1);
    expect![[r#"
        crossfade.yaml:15:30: `routes.faq.cache`: there is a target `cache`
         15 |   faq: { target: gpt, cache: { ttl: 1m } }
            |                              ^^
           hint: give the target another name: `cache` is who answered, on record, when nobody was called

        1 error in crossfade.yaml
    "#]]
    .assert_eq(&errors(&named));
    check(
        "routes:\n",
        "routes:\n  faq: { target: gpt, cache: {} }\n",
        expect![[r#"
        crossfade.yaml:14:30: `routes.faq.cache.ttl`: `ttl` is missing
         14 |   faq: { target: gpt, cache: {} }
            |                              ^

        1 error in crossfade.yaml
    "#]],
    );
}
