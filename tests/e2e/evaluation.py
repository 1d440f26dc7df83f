#!/usr/bin/env python3
"""The worked migration of docs/reference/evaluation.md: three simulated targets of known quality, then two real llama.cpp servers, then vectors of a third.

First the shipped questions: the candidate that is as good passes, the one that is worse fails, and both intervals hold the truth. Then two
llama.cpp servers with the same weights, one of which is asked without its JSON Schema: the planted difference is whether an answer is as the
schema says. The run against the real servers is killed once in the middle and goes on. At last answers are measured by the vectors of a real
llama.cpp server, as they are by the same vectors here, and by nothing while it is dead."""
import json, math, shutil, signal, subprocess, time, urllib.request

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
            slices = {"urgent": "yes" if idx % 3 == 0 else "no"}
            file.write(json.dumps({"id": f"t{idx}", "request": request, "slices": slices}) + "\n")


def real(say, stack):
    first, second = stack.llama("first", seed=1), stack.llama("second", seed=1)
    price = {"rates": {"input": 1.0, "output": 4.0}, "source": "an example", "checked": "2026-11-26"}
    targets = {"kept": {"provider": "first", "model": "first", "price": price},
               "dropped": {"provider": "second", "model": "second", "price": price, "parameters": {"remove": ["response_format"]}}}
    config = gateway_config({"first": first.url, "second": second.url}, targets, {"kept": {"target": "kept"}})
    stack.write_config(config | {"store": "sqlite:./real.db"})
    n = 60
    cases(stack.directory / "topics.jsonl", n)
    # Without a schema of its own the metric goes by the one that the request asks for.
    suite = {"file": "topics.jsonl", "targets": ["kept", "dropped"], "metrics": ["json_schema"], "margin": 0.05}
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
    low, high = primary["interval"]["low"], primary["interval"]["high"]
    say("real servers: difference with its interval", f"{primary['difference']:+.3f} [{low:+.3f}, {high:+.3f}]", -1.0 <= low <= primary["difference"] <= high < -0.05)
    slices = {row["value"]: row for row in report["candidates"][0]["slices"] if row["slice"] == "urgent"}
    say("real servers: worse in each slice", {value: row["comparison"]["n"] for value, row in slices.items()},
        {value: row["comparison"]["n"] for value, row in slices.items()} == {"yes": n // 3, "no": n - n // 3} and all(row["worse"] for row in slices.values()))
    kept, dropped = (target["speed_and_cost"] for target in report["targets"])
    for name, money in (("with it", kept), ("without it", dropped)):
        cost, ends = money["cost_per_case"], money["cost_interval"]
        say(f"real servers: dollars per case {name}", f"{cost:.7f} [{ends['low']:.7f}, {ends['high']:.7f}]", 0 < ends["low"] <= cost <= ends["high"] and ends["level"] == 0.95)
    say("real servers: dollars per right answer, with it", kept["cost_per_successful_task"], abs(kept["cost_per_successful_task"] - kept["cost_per_case"]) < 1e-12)
    say("real servers: verdict", primary["verdict"], primary["verdict"] == "fail")
    say("real servers: not said to be simulated", report["simulated"], report["simulated"] is False)


def vector(server, text):
    """What the server makes of a text that is sent alone."""
    body = json.dumps({"model": "embed", "input": text}).encode()
    request = urllib.request.Request(server.url + "/embeddings", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)["data"][0]["embedding"]


def cosine(one, other):
    dot = lambda a, b: math.fsum(x * y for x, y in zip(a, b))
    return dot(one, other) / math.sqrt(dot(one, one) * dot(other, other))


def asked(stack, name, n):
    """A suite of its own questions, measured by meaning."""
    with open(stack.directory / f"{name}.jsonl", "w") as file:
        for idx in range(n):
            line = {"id": f"{name}{idx}", "input": f"Of {name}, ticket {idx}: where is the parcel?", "expected": [f"It comes in {idx} days.", "Nobody knows."]}
            file.write(json.dumps(line) + "\n")
    suite = {"file": f"{name}.jsonl", "targets": ["short", "long"], "metrics": ["embedding_cosine"], "margin": 0.1, "encoder": "embed"}
    (stack.directory / f"{name}.yaml").write_text(json.dumps(suite))
    return stack.directory / f"{name}.yaml"


def meaning(say, stack):
    # With several slots this server's vector of a text differs with what else it works on.
    chat, server = stack.llama("chat", seed=1), stack.llama("embed", seed=2, embeddings=True, slots=1)
    length = lambda n: {"set": {"max_tokens": n, "temperature": 0}}
    targets = {"short": {"provider": "chat", "model": "chat", "parameters": length(8)},
               "long": {"provider": "chat", "model": "chat", "parameters": length(24)},
               "embed": {"provider": "embed", "model": "embed"}}
    config = gateway_config({"chat": chat.url, "embed": server.url}, targets, {"m": {"target": "short"}})
    stack.write_config(config | {"store": "sqlite:./meaning.db"})
    n, any_verdict = 12, (0, 3, 4)
    stack.crossfade("eval", "run", asked(stack, "alive", n), "--run", "alive", codes=any_verdict)
    report = stack.crossfade("eval", "report", "alive", "--as", "json")
    measured, largest, n_blank = 0, 0.0, 0
    for case in report["cases"]:
        for side in case["sides"]:
            value = side["worth"].get("embedding_cosine")
            if not side["text"].strip():
                n_blank += 1
                continue
            made = vector(server, side["text"])
            best = max(cosine(made, vector(server, right)) for right in case["expected"])
            measured += value is not None
            largest = max(largest, math.inf if value is None else abs(value - best))
    say("real vectors: answers measured", measured, measured == 2 * n - n_blank and measured > n)
    say("real vectors: largest difference from the cosine here", f"{largest:.1e}", largest <= 1e-6)
    encoder = report["encoder"]
    say("real vectors: calls for them", encoder["n_asked"], encoder["n_asked"] == n and encoder["n_failed"] == 0)

    # Vectors of tokens are what no embeddings endpoint gives.
    suite = json.loads((stack.directory / "alive.yaml").read_text()) | {"metrics": ["bertscore"]}
    (stack.directory / "tokens.yaml").write_text(json.dumps(suite))
    done = subprocess.run([crossfade_binary(), "eval", "run", "tokens.yaml", "--config", str(stack.config)], cwd=stack.directory, capture_output=True, text=True)
    say("bertscore by an embeddings target: exit", done.returncode, done.returncode == 2 and "vectors of tokens" in done.stderr)

    port = int(server.url.rsplit(":", 1)[1].split("/")[0])
    server.kill()
    dead = asked(stack, "dead", n)
    done = subprocess.run([crossfade_binary(), "eval", "run", dead, "--run", "dead", "--config", str(stack.config)], cwd=stack.directory, capture_output=True, text=True)
    say("a dead encoder: exit", done.returncode, done.returncode == 1 and "cannot be called" in done.stderr and "goes on from there" in done.stderr)
    report = stack.crossfade("eval", "report", "dead", "--as", "json")
    say("a dead encoder: answers all the same", sum(target["n_answered"] for target in report["targets"]), all(target["n_answered"] == n for target in report["targets"]))
    unscored = [target["unscored"].get("embedding_cosine", {}) for target in report["targets"]]
    say("a dead encoder: answers without a value, by reason", json.dumps(unscored), all(one == {"no_judgement": n} for one in unscored))
    verdict = report["candidates"][0]["primary"]["verdict"]
    say("a dead encoder: verdict", verdict, verdict == "undecided")
    stack.llama("embed", seed=2, port=port, embeddings=True, slots=1)
    stack.crossfade("eval", "run", dead, "--run", "dead", codes=any_verdict)
    report = stack.crossfade("eval", "report", "dead", "--as", "json")
    unscored = sum(count for target in report["targets"] for reason, count in target["unscored"].get("embedding_cosine", {}).items() if reason != "bad_vector")
    say("the encoder is back: answers without a value", unscored, unscored == 0)


def main():
    with figures("evaluation") as say, Stack() as stack:
        shipped(say, stack)
        real(say, stack)
        meaning(say, stack)


if __name__ == "__main__":
    main()
