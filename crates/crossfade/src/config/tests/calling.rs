//! How targets are called, as it is written.

use expect_test::expect;

use super::{RIGHT, check, edited, errors, right};

#[test]
fn how_a_target_is_called_comes_from_route_target_and_provider_in_this_order() {
    let text = edited(
        "class: self_hosted",
        "class: self_hosted, retries: { max_attempts: 4, backoff: { base: 100ms } }, retry_budget: { ratio: 0.1, floor: 1 }",
    );
    let text = text.replacen(
        "qwen:  { provider: gpu,",
        "qwen:  { provider: gpu, replicas: [http://gpu-2:8000/v1, other], max_concurrency: 64, queue: { max: 32, timeout: 5s }, \
         retries: { max_attempts: 2, replay_ambiguous: true },",
        1,
    );
    let text =
        text.replacen("gpt-4o: { target: gpt,", "gpt-4o: { target: gpt, panic: true, retries: { max_attempts: 5 },", 1);
    let other = "providers:\n  other:  { base_url: http://gpu-3:8000/v1, class: self_hosted }\n";
    let text = text.replacen("providers:\n", other, 1);
    let config = right(&text);
    let target = &config.snapshot.targets["qwen"];
    let names: Vec<_> = target.providers().map(|provider| provider.name.as_str()).collect();
    assert_eq!(names, ["gpu", "gpu@gpu-2:8000", "other"]);
    assert_eq!(target.calling.replicas[0].base_url.as_str(), "http://gpu-2:8000/v1");
    assert_eq!(target.provider.retry_budget, providers::BudgetLimits { ratio: 0.1, floor: 1 });
    assert_eq!(target.calling.replicas[0].retry_budget, target.provider.retry_budget);
    let rules = target.calling.retries;
    assert_eq!((rules.max_attempts(false), rules.replay_ambiguous), (2, Some(true)));
    assert_eq!(rules.longest_base(), std::time::Duration::from_millis(100));
    assert_eq!((target.calling.max_concurrency, target.calling.queue.max), (Some(64), 32));
    let route = &config.snapshot.routes["gpt-4o"];
    assert!(route.panic);
    assert_eq!(route.retries.over(rules).max_attempts(true), 5);
    assert_eq!(
        target.fingerprint,
        right(RIGHT).snapshot.targets["qwen"].fingerprint,
        "evidence outlives another replica"
    );
}

#[test]
fn replicas_queues_and_retries_that_make_no_sense() {
    check(
        "qwen:  { provider: gpu,",
        "qwen:  { provider: gpu, replicas: [http://gpu-1:8000/v1, openai, ftp://x, nobody], queue: { max: 1 }, retries: { attempts: 2, backoff: { base: 9s, cap: 1s } },",
        expect![[r#"
            crossfade.yaml:12:38: `targets.qwen.replicas[0]`: this replica is there already
             12 |   qwen:  { provider: gpu, replicas: [http://gpu-1:8000/v1, openai, ftp://x, nobody], queue: { max: 1 }, retries: { attempts: 2, backoff: { base: 9s, cap: 1s } }, model: Qwen/Qwen3-32B, prompt_variant: terse, parameters: { set: { temperature: 0.2 } } }
                |                                      ^^^^^^^^^^^^^^^^^^^^
               hint: the target's own provider is the first one

            crossfade.yaml:12:60: `targets.qwen.replicas[1]`: a replica of class vendor of a target of class self_hosted
             12 |   qwen:  { provider: gpu, replicas: [http://gpu-1:8000/v1, openai, ftp://x, nobody], queue: { max: 1 }, retries: { attempts: 2, backoff: { base: 9s, cap: 1s } }, model: Qwen/Qwen3-32B, prompt_variant: terse, parameters: { set: { temperature: 0.2 } } }
                |                                                            ^^^^^^
               hint: what may not leave the house must not leave it by a replica

            crossfade.yaml:12:68: `targets.qwen.replicas[2]`: a provider's URL starts with http:// or https://
             12 |   qwen:  { provider: gpu, replicas: [http://gpu-1:8000/v1, openai, ftp://x, nobody], queue: { max: 1 }, retries: { attempts: 2, backoff: { base: 9s, cap: 1s } }, model: Qwen/Qwen3-32B, prompt_variant: terse, parameters: { set: { temperature: 0.2 } } }
                |                                                                    ^^^^^^^

            crossfade.yaml:12:77: `targets.qwen.replicas[3]`: there is no provider `nobody`
             12 |   qwen:  { provider: gpu, replicas: [http://gpu-1:8000/v1, openai, ftp://x, nobody], queue: { max: 1 }, retries: { attempts: 2, backoff: { base: 9s, cap: 1s } }, model: Qwen/Qwen3-32B, prompt_variant: terse, parameters: { set: { temperature: 0.2 } } }
                |                                                                             ^^^^^^
               hint: defined: gpu, openai

            crossfade.yaml:12:93: `targets.qwen.queue`: nobody waits where nothing is bounded
             12 |   qwen:  { provider: gpu, replicas: [http://gpu-1:8000/v1, openai, ftp://x, nobody], queue: { max: 1 }, retries: { attempts: 2, backoff: { base: 9s, cap: 1s } }, model: Qwen/Qwen3-32B, prompt_variant: terse, parameters: { set: { temperature: 0.2 } } }
                |                                                                                             ^^
               hint: write `max_concurrency` too

            crossfade.yaml:12:116: `targets.qwen.retries.attempts`: unknown key
             12 |   qwen:  { provider: gpu, replicas: [http://gpu-1:8000/v1, openai, ftp://x, nobody], queue: { max: 1 }, retries: { attempts: 2, backoff: { base: 9s, cap: 1s } }, model: Qwen/Qwen3-32B, prompt_variant: terse, parameters: { set: { temperature: 0.2 } } }
                |                                                                                                                    ^^^^^^^^
               hint: did you mean `max_attempts`?

            crossfade.yaml:12:155: `targets.qwen.retries.backoff.cap`: the longest wait is shorter than `base`
             12 |   qwen:  { provider: gpu, replicas: [http://gpu-1:8000/v1, openai, ftp://x, nobody], queue: { max: 1 }, retries: { attempts: 2, backoff: { base: 9s, cap: 1s } }, model: Qwen/Qwen3-32B, prompt_variant: terse, parameters: { set: { temperature: 0.2 } } }
                |                                                                                                                                                           ^^
               hint: make `cap` the larger one

            7 errors in crossfade.yaml
        "#]],
    );
}

#[test]
fn calls_of_a_candidate_that_is_thrown_back_go_on_unless_the_rollout_says_otherwise() {
    let (unit, rollout) = ("    unit: conversation\n", "support-to-qwen");
    let says = |text: &str| right(text).snapshot.rollouts[rollout].retry_on_rollback;
    let written = |word: &str| edited(unit, &format!("{unit}    on_rollback: {word}\n"));
    assert_eq!([says(RIGHT), says(&written("drain")), says(&written("retry"))], [false, false, true]);
    let wrong = errors(&written("retyr"));
    assert!(wrong.contains("expected one of `drain`, `retry`") && wrong.contains("did you mean `retry`?"), "{wrong}");
}
