#!/usr/bin/env python3
"""The worked migration of docs/reference/evaluation.md: three simulated targets of known quality, then two real llama.cpp servers.

First the shipped questions: the candidate that is as good passes, the one that is worse fails, and both intervals hold the truth. Then two
llama.cpp servers with the same weights, one of which is asked without its JSON Schema: the planted difference is whether an answer is as the
schema says. The run against the real servers is killed once in the middle and goes on."""
import json, shutil, signal, subprocess, time

from parts.stack import ROOT, Stack, crossfade_binary, figures, gateway_config

TRUTH = {"vendor": 0.93, "open-large": 0.96, "open-small": 0.70}
LABELS = ["billing", "delivery", "device"]


def shipped(say, stack):
    for name in ("crossfade.yaml", "suite.yaml", "cases.jsonl"):
        shutil.copy(ROOT / "examples" / "support-qa" / name, stack.directory / name)
    stack.config = stack.directory / "crossfade.yaml"
    report = stack.crossfade("eval", "run", stack.directory / "suite.yaml", "--run", "shipped", codes=(3,))
    for candidate in report["candidates"]:
        name, primary = candidate["candidate"], candidate["primary"]
        truth = TRUTH[name] - TRUTH["vendor"]
        low, high = primary["interval"]["low"], primary["interval"]["high"]
        wanted = "pass" if truth > -0.05 else "fail"
        say(f"{name}: verdict", primary["verdict"], primary["verdict"] == wanted)
        say(f"{name}: the truth {truth:+.2f} is within", f"[{low:+.3f}, {high:+.3f}]", low <= truth <= high)
        say(f"{name}: slices", len(candidate["slices"]), len(candidate["slices"]) >= 8)
    dollars = [target["speed_and_cost"]["cost_per_successful_task"] for target in report["targets"]]
    say("dollars per right answer", " ".join(f"{cost:.6f}" for cost in dollars), dollars[0] > dollars[1] > dollars[2])
    say("said to be simulated", report["simulated"], report["simulated"] is True)


def cases(path, n):
    schema = {"type": "object", "properties": {"topic": {"enum": LABELS}}, "required": ["topic"], "additionalProperties": False}
    form = {"type": "json_schema", "json_schema": {"name": "topic", "strict": True, "schema": schema}}
    with open(path, "w") as file:
        for idx in range(n):
            message = {"role": "user", "content": f"Ticket {idx}: the parcel is late. Which topic is it?"}
            request = {"messages": [message], "response_format": form, "max_tokens": 24, "temperature": 0, "seed": idx}
            file.write(json.dumps({"id": f"t{idx}", "request": request}) + "\n")


def real(say, stack):
    first, second = stack.llama("first", seed=1), stack.llama("second", seed=1)
    targets = {"kept": {"provider": "first", "model": "first"},
               "dropped": {"provider": "second", "model": "second", "parameters": {"remove": ["response_format"]}}}
    config = gateway_config({"first": first.url, "second": second.url}, targets, {"kept": {"target": "kept"}})
    stack.write_config(config | {"store": "sqlite:./real.db"})
    n = 60
    cases(stack.directory / "topics.jsonl", n)
    pattern = r"^\s*\{\s*\"topic\"\s*:\s*\"(" + "|".join(LABELS) + r")\"\s*\}\s*$"
    suite = {"file": "topics.jsonl", "targets": ["kept", "dropped"], "metrics": [{"name": "regex", "pattern": pattern}], "margin": 0.05}
    (stack.directory / "topics.yaml").write_text(json.dumps(suite))
    arguments = ["eval", "run", stack.directory / "topics.yaml", "--run", "real", "--concurrency", "4"]
    child = subprocess.Popen([crossfade_binary(), *map(str, arguments), "--config", str(stack.config)], cwd=stack.directory,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    answered = 0
    while answered < n // 3 and child.poll() is None and time.monotonic() < deadline:
        runs = subprocess.run([crossfade_binary(), "eval", "list", "--format", "json", "--config", str(stack.config)],
                              cwd=stack.directory, capture_output=True, text=True)
        rows = json.loads(runs.stdout) if runs.returncode == 0 else []
        answered = rows[0]["n_answered"] if rows else 0
    child.send_signal(signal.SIGKILL)
    child.wait()
    report = stack.crossfade(*arguments, codes=(3,))
    primary = report["candidates"][0]["primary"]
    say("real servers: answers when it was killed", answered, 0 < answered < 2 * n)
    say("real servers: answers in the end", sum(target["n_answered"] for target in report["targets"]), report["whole"] is True)
    say("real servers: as the schema says, with it", primary["baseline"], primary["baseline"] == 1.0)
    say("real servers: as the schema says, without it", primary["candidate"], primary["candidate"] < 0.5)
    say("real servers: verdict", primary["verdict"], primary["verdict"] == "fail")
    say("real servers: not said to be simulated", report["simulated"], report["simulated"] is False)


def main():
    with figures("evaluation") as say, Stack() as stack:
        shipped(say, stack)
        real(say, stack)


if __name__ == "__main__":
    main()
