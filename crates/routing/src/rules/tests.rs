use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone, Default)]
struct Asked {
    headers: BTreeMap<&'static str, &'static str>,
    tenant: Option<&'static str>,
    workload: Option<&'static str>,
    bytes: u64,
    tools: Vec<&'static str>,
    language: Option<&'static str>,
    geography: Option<&'static str>,
    task: Option<&'static str>,
}

impl Facts for Asked {
    fn header_fits(&self, name: &str, test: &dyn Fn(&str) -> bool) -> bool {
        self.headers.get(name).is_some_and(|value| test(value))
    }

    fn tenant(&self) -> Option<&str> {
        self.tenant
    }

    fn workload(&self) -> Option<&str> {
        self.workload
    }

    fn prompt_bytes(&self) -> u64 {
        self.bytes
    }

    fn prompt_tokens(&self) -> u64 {
        self.bytes / 4
    }

    fn has_tools(&self) -> bool {
        !self.tools.is_empty()
    }

    fn tool_fits(&self, test: &dyn Fn(&str) -> bool) -> bool {
        self.tools.iter().any(|tool| test(tool))
    }

    fn language(&self) -> Language {
        self.language.and_then(Language::named).unwrap_or(Language::Unknown)
    }

    fn geography(&self) -> Option<&str> {
        self.geography
    }

    fn task(&self) -> Option<&str> {
        self.task
    }
}

fn patterns(texts: &[&str]) -> Vec<Pattern> {
    texts.iter().map(|text| Pattern::new(text).unwrap()).collect()
}

fn header(name: &str, values: &[&str]) -> HeaderIs {
    HeaderIs { name: name.to_owned(), values: patterns(values) }
}

fn over(over: u64) -> Option<Size> {
    Some(Size { over: Some(over), up_to: None })
}

/// The rules of one route, by what each is about.
fn rules() -> Vec<When> {
    let german = ["de", "unknown"].map(|code| Language::named(code).unwrap()).to_vec();
    vec![
        When { headers: vec![header("x-tier", &["gold", "plat*"])], tenants: patterns(&["shop"]), ..When::default() },
        When { tools: Some(Tools::Named(patterns(&["search_*"]))), ..When::default() },
        When { prompt_tokens: over(1000), ..When::default() },
        When {
            prompt_bytes: Some(Size { over: Some(100), up_to: Some(200) }),
            tools: Some(Tools::None),
            ..When::default()
        },
        When { workloads: patterns(&["support"]), languages: german, ..When::default() },
    ]
}

#[test]
fn the_first_rule_that_holds_is_taken_and_says_why() {
    let gold = [("x-tier", "gold")].into();
    for (asked, expected) in [
        (Asked::default(), None),
        (
            Asked { headers: BTreeMap::clone(&gold), tenant: Some("shop"), bytes: 9_000, ..Asked::default() },
            Some((0, "header x-tier is gold or plat*, tenant is shop")),
        ),
        (Asked { headers: gold, ..Asked::default() }, None),
        (Asked { tools: vec!["fetch", "search_web"], ..Asked::default() }, Some((1, "a tool is search_*"))),
        (Asked { tools: vec!["fetch"], ..Asked::default() }, None),
        (Asked { bytes: 4_004, ..Asked::default() }, Some((2, "prompt has about 1001 tokens, over 1000"))),
        (Asked { bytes: 4_000, ..Asked::default() }, None),
        (Asked { bytes: 200, ..Asked::default() }, Some((3, "prompt has 200 bytes, over 100 and up to 200, no tools"))),
        (Asked { bytes: 100, ..Asked::default() }, None),
        (Asked { bytes: 150, tools: vec!["fetch"], ..Asked::default() }, None),
        (
            Asked { workload: Some("support"), language: Some("de"), ..Asked::default() },
            Some((4, "workload is support, language is de")),
        ),
        (Asked { workload: Some("support"), language: Some("fr"), ..Asked::default() }, None),
        (
            Asked { workload: Some("support"), ..Asked::default() },
            Some((4, "workload is support, language is unknown")),
        ),
    ] {
        let rules = rules();
        let taken = first(&rules, &asked);
        let because = taken.map(|idx| rules[idx].because(&asked));
        assert_eq!(taken.zip(because), expected.map(|(idx, why)| (idx, why.to_owned())), "{asked:?}");
    }
}

#[test]
fn a_rule_that_an_earlier_one_swallows_is_known() {
    let always = When::default();
    let shop = When { tenants: patterns(&["shop"]), ..When::default() };
    let shops = When { tenants: patterns(&["shop*", "bank"]), ..When::default() };
    let long = When { prompt_bytes: over(10), ..When::default() };
    let longer = When { prompt_bytes: over(20), tools: Some(Tools::Some), ..When::default() };
    let named = When { tools: Some(Tools::Named(patterns(&["x"]))), ..When::default() };
    let some = When { tools: Some(Tools::Some), ..When::default() };
    for (first, then, swallowed) in [
        (&always, &shop, true),
        (&shop, &always, false),
        (&shops, &shop, true),
        (&shop, &shops, false),
        (&long, &longer, true),
        (&longer, &long, false),
        (&some, &named, true),
        (&named, &some, false),
        (&shop, &long, false),
    ] {
        assert_eq!(first.covers(then), swallowed, "{first} / {then}");
    }
}

#[test]
fn a_rule_is_shown_as_it_was_written() {
    let shown: Vec<_> = rules().iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "header x-tier is gold or plat*, tenant is shop",
            "a tool is search_*",
            "prompt tokens are over 1000",
            "prompt bytes are over 100 and up to 200, no tools",
            "workload is support, language is de or unknown",
        ]
    );
    assert_eq!(When::default().to_string(), "always");
}

fn some_patterns() -> impl Strategy<Value = Vec<Pattern>> {
    prop::collection::vec(prop::sample::select(vec!["a", "ab", "a*", "*b", "*"]), 0..3)
        .prop_map(|texts| patterns(&texts))
}

fn some_size() -> impl Strategy<Value = Option<Size>> {
    let bound = || prop::option::of(prop::sample::select(vec![0_u64, 4, 8, 12]));
    prop::option::of((bound(), bound()).prop_map(|(over, up_to)| Size { over, up_to }))
}

prop_compose! {
    fn some_when()(
        values in some_patterns(),
        (tenants, workloads) in (some_patterns(), some_patterns()),
        (geographies, tasks) in (some_patterns(), some_patterns()),
        (prompt_bytes, prompt_tokens) in (some_size(), some_size()),
        tools in prop::option::of(prop_oneof![
            Just(Tools::None), Just(Tools::Some), some_patterns().prop_map(Tools::Named)
        ]),
        languages in prop::collection::vec(prop::sample::select(vec!["de", "en", "unknown"]), 0..3),
    ) -> When {
        let headers = if values.is_empty() { Vec::new() } else { vec![HeaderIs { name: "h".to_owned(), values }] };
        let languages = languages.iter().filter_map(|code| Language::named(code)).collect();
        When { headers, tenants, workloads, prompt_bytes, prompt_tokens, tools, languages, geographies, tasks }
    }
}

prop_compose! {
    fn some_asked()(
        value in prop::option::of(prop::sample::select(vec!["a", "ab", "b", ""])),
        tenant in prop::option::of(prop::sample::select(vec!["a", "ab", "b"])),
        workload in prop::option::of(prop::sample::select(vec!["a", "ab", "b"])),
        bytes in 0_u64..60,
        tools in prop::collection::vec(prop::sample::select(vec!["a", "ab", "b"]), 0..3),
        language in prop::option::of(prop::sample::select(vec!["de", "en", "fr"])),
        (geography, task) in (
            prop::option::of(prop::sample::select(vec!["a", "ab", "b"])),
            prop::option::of(prop::sample::select(vec!["a", "ab", "b"])),
        ),
    ) -> Asked {
        let headers = value.map(|value| ("h", value)).into_iter().collect();
        Asked { headers, tenant, workload, bytes, tools, language, geography, task }
    }
}

proptest! {
    #[test]
    fn the_choice_is_the_first_that_holds_and_nothing_swallowed_is_ever_chosen(
        rules in prop::collection::vec(some_when(), 0..6), asked in some_asked()
    ) {
        let taken = first(&rules, &asked);
        prop_assert_eq!(taken, first(&rules, &asked.clone()), "the same facts, the same decision");
        for (idx, when) in rules.iter().enumerate() {
            prop_assert!(!when.holds(&asked) || taken.is_some_and(|taken| taken <= idx));
            let is_swallowed = rules[..idx].iter().any(|before| before.covers(when));
            prop_assert!(!(is_swallowed && taken == Some(idx)), "{} was said to be unreachable", when);
        }
        if let Some(taken) = taken {
            prop_assert!(rules[taken].holds(&asked));
        }
    }
}
