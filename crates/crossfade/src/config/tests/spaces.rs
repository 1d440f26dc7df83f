//! Which space a target's vectors live in, as it is written.

use expect_test::expect;

use super::{check, edited, right};

#[test]
fn a_space_that_all_targets_of_a_route_say_is_fine() {
    let all = edited("model: gpt-4o }", "model: gpt-4o, space: a }")
        .replace("model: gpt-4o-mini }", "model: gpt-4o-mini, space: a }")
        .replace("set: { temperature: 0.2 } } }", "set: { temperature: 0.2 } }, space: a }");
    assert_eq!(right(&all).snapshot.targets["gpt"].space.as_deref(), Some("a"));
}

#[test]
fn targets_of_two_spaces_answer_no_route_together() {
    check(
        "model: gpt-4o-mini }",
        "model: gpt-4o-mini, space: a }",
        expect![[r#"
        crossfade.yaml:14:37: `routes.gpt-4o.fallback[0]`: one of `gpt` and `azure` says its `space` and the other does not, and route `gpt-4o` may mix them
         14 |   gpt-4o: { target: gpt, fallback: [azure], workload: support }
            |                                     ^^^^^
           hint: write `space` at both; `crossfade vectors space --encoder TARGET` prints it

        1 error in crossfade.yaml
    "#]],
    );
    check(
        "model: gpt-4o }",
        "model: gpt-4o, space: 'two words' }",
        expect![[r#"
        crossfade.yaml:10:52: `targets.gpt.space`: a space has a name of 1 to 512 visible ASCII characters, for it is sent as a header
         10 |   gpt:   { provider: openai, model: gpt-4o, space: 'two words' }
            |                                                    ^^^^^^^^^^^^
           hint: `crossfade vectors space --encoder TARGET` prints one

        1 error in crossfade.yaml
    "#]],
    );
}
