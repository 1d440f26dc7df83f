//! Cascades of routes, as they are written.

use std::time::Duration;

use expect_test::expect;
use gateway::snapshot::CascadeStreams;

use super::{check, edited, right};

const ROUTE: &str = "routes:\n  small-first: { target: gpt, cascade: { steps: qwen";

#[test]
fn a_cascade_is_read_with_its_defaults() {
    let cascade = |more: &str| {
        let config = right(&edited("routes:\n", &format!("{ROUTE}{more} }} }}\n")));
        config.snapshot.routes["small-first"].cascade.clone().unwrap()
    };
    let plain = cascade("");
    assert_eq!(
        (plain.steps.as_slice(), plain.within, plain.streams),
        (&["qwen".to_owned()][..], None, CascadeStreams::Direct)
    );
    assert_eq!(plain.escalate, routing::cascade::Escalate::default());
    let all = cascade(
        ", within: 3s, streams: hold, logprobs: if_asked, escalate: { invalid: false, refusal: false, phrases: [I Can\u{2019}t], \
         mean_logprob: -0.5, min_logprob: -4, without_logprobs: accept }",
    );
    assert_eq!(
        (all.within, all.streams, all.ask_logprobs),
        (Some(Duration::from_secs(3)), CascadeStreams::Hold, false)
    );
    assert_eq!(all.escalate.phrases, ["i can't"]);
    assert_eq!((all.escalate.mean_logprob, all.escalate.min_logprob), (Some(-0.5), Some(-4.0)));
    assert!(!all.escalate.invalid && !all.escalate.refusal && !all.escalate.without_logprobs);
}

#[test]
fn a_cascade_that_makes_no_sense() {
    check(
        "routes:\n",
        "routes:\n  small-first:\n    target: gpt\n    cascade:\n      steps: [qwne, gpt, qwen, qwen]\n      within: 0\n      \
         logprobs: ask\n      escalate: { phrases: [\" \"], mean_logprob: 0.7, min_logprb: 1 }\n      streams: held\n",
        expect![[r#"
            crossfade.yaml:17:15: `routes.small-first.cascade.steps[0]`: there is no target `qwne`
             17 |       steps: [qwne, gpt, qwen, qwen]
                |               ^^^^
               hint: did you mean `qwen`?

            crossfade.yaml:17:21: `routes.small-first.cascade.steps[1]`: `gpt` is the route's own target, which is asked last
             17 |       steps: [qwne, gpt, qwen, qwen]
                |                     ^^^
               hint: remove it

            crossfade.yaml:17:32: `routes.small-first.cascade.steps[3]`: `qwen` is a step already
             17 |       steps: [qwne, gpt, qwen, qwen]
                |                                ^^^^
               hint: remove it

            crossfade.yaml:18:15: `routes.small-first.cascade.within`: no answer comes in no time
             18 |       within: 0
                |               ^
               hint: leave it out to wait as long as the provider may take

            crossfade.yaml:19:17: `routes.small-first.cascade.logprobs`: log-probabilities are not looked at
             19 |       logprobs: ask
                |                 ^^^
               hint: write `mean_logprob` or `min_logprob` below `escalate`

            crossfade.yaml:20:29: `routes.small-first.cascade.escalate.phrases[0]`: an empty phrase is in every answer
             20 |       escalate: { phrases: [" "], mean_logprob: 0.7, min_logprb: 1 }
                |                             ^^^
               hint: remove it

            crossfade.yaml:20:49: `routes.small-first.cascade.escalate.mean_logprob`: expected a number from -10000 to 0, found 0.7
             20 |       escalate: { phrases: [" "], mean_logprob: 0.7, min_logprb: 1 }
                |                                                 ^^^

            crossfade.yaml:20:54: `routes.small-first.cascade.escalate.min_logprb`: unknown key
             20 |       escalate: { phrases: [" "], mean_logprob: 0.7, min_logprb: 1 }
                |                                                      ^^^^^^^^^^
               hint: did you mean `min_logprob`?

            crossfade.yaml:21:16: `routes.small-first.cascade.streams`: expected one of `direct`, `hold`, found `held`
             21 |       streams: held
                |                ^^^^
               hint: did you mean `hold`?

            9 errors in crossfade.yaml
        "#]],
    );
    check(
        "routes:\n",
        "routes:\n  small-first: { target: gpt, cascade: {} }\n",
        expect![[r#"
        crossfade.yaml:14:40: `routes.small-first.cascade.steps`: `steps` is missing
         14 |   small-first: { target: gpt, cascade: {} }
            |                                        ^

        1 error in crossfade.yaml
    "#]],
    );
}

#[test]
fn a_rollout_needs_a_route_without_a_cascade() {
    check(
        "workload: support }",
        "workload: support, cascade: { steps: [qwen] } }",
        expect![[r#"
        crossfade.yaml:19:12: `rollouts.support-to-qwen.route`: route `gpt-4o` has a cascade: each answer decides who serves, not the rollout
         19 |     route: gpt-4o
            |            ^^^^^^
           hint: put the rollout on a route without one, or remove the cascade until the rollout has ended

        1 error in crossfade.yaml
    "#]],
    );
}
