#!/usr/bin/env python3
"""Acceptance on two real servers: 300 requests under 100 % shadow, then SIGKILL of the candidate at a share of 50 %.

First part: every exchange is on record once, and every pair is complete or its drop counted. Second part: no client
sees an error that failover could have prevented, the share is 0 when the 10th failed candidate attempt was seen
(attempts in flight at the kill apart), and no candidate attempt begins after the swap.
"""
import collections, itertools, re, threading, time

import openai

from parts.stack import Stack, figures, gateway_config

N_SHADOW, N_CLEAN, N_THREADS = 300, 500, 8
ROLLOUT = "to-candidate"


def config(baseline, candidate):
    stages = {"shadow": {"sample": 1.0}, "canary": {"shares": [0.1], "approvals": 0}, "majority": {"shares": [0.5]}, "full": {"holdback": 0.02}}
    return gateway_config(
        {"baseline": baseline.url, "candidate": candidate.url},
        {"baseline": {"provider": "baseline", "model": "baseline"}, "candidate": {"provider": "candidate", "model": "candidate"}},
        {"chat": {"target": "baseline", "workload": "test"}}, workloads={"test": {"risk": "medium"}},
        rollouts={ROLLOUT: {"route": "chat", "baseline": "baseline", "candidate": "candidate", "unit": "request", "stages": stages}})


class Client:
    """Sends requests from several threads, streamed and not in turn, and writes down how each ended."""

    def __init__(self, base_url):
        self.base_url, self.numbers, self.ended, self.stopping = base_url, itertools.count(), [], threading.Event()

    def ask(self, client, n):
        line = {"n": n, "streamed": n % 2 == 1, "began": time.time(), "text": "", "error": None, "id": None, "target": None}
        ask = {"model": "chat", "max_tokens": 24, "messages": [{"role": "user", "content": f"request {n}"}]}
        try:
            raw = client.chat.completions.with_raw_response.create(stream=line["streamed"], **ask)
            line["id"], line["target"] = raw.headers["x-crossfade-exchange-id"], raw.headers["x-crossfade-target"]
            if line["streamed"]:
                for chunk in raw.parse():
                    line["text"] += (chunk.choices[0].delta.content or "") if chunk.choices else ""
            else:
                line["text"] = raw.parse().choices[0].message.content
        except openai.APIError as error:
            line["error"] = f"{type(error).__name__}: {error}"
        line["ended"] = time.time()
        self.ended.append(line)

    def run(self, limit=None):
        """Starts the threads; each stops after the shared count reaches `limit`, or when told."""
        def loop():
            with openai.OpenAI(base_url=self.base_url, api_key="k", max_retries=0, timeout=20) as client:
                while not self.stopping.is_set() and (limit is None or (n := next(self.numbers)) < limit):
                    self.ask(client, n if limit is not None else next(self.numbers))
        self.threads = [threading.Thread(target=loop, daemon=True) for _ in range(N_THREADS)]
        for thread in self.threads:
            thread.start()

    def join(self):
        for thread in self.threads:
            thread.join(60)


def wait_for(what, condition, seconds=20):
    """Waits for a state; its last value when the time is over."""
    deadline = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return value


def shadow_part(stack, say):
    client = Client(stack.base_url)
    client.run(N_SHADOW)
    client.join()
    ids = [line["id"] for line in client.ended]
    errors = [line["error"] for line in client.ended if line["error"]]
    say("shadow: requests and errors", f"{len(ids)} and {len(errors)} {errors[:3] or ''}", len(ids) == N_SHADOW and not errors)

    def settled():
        rows, pairs = stack.all_exchanges(), stack.all_pairs()
        return (rows, pairs) if len(rows) >= N_SHADOW and len(pairs) >= N_SHADOW else None

    rows, pairs = wait_for("records", settled) or (stack.all_exchanges(), stack.all_pairs())
    recorded = collections.Counter(row["id"] for row in rows)
    say("shadow: exchanges on record exactly once", sum(recorded[id] == 1 for id in ids), all(recorded[id] == 1 for id in ids))
    say("shadow: records of nobody's request", len(set(recorded) - set(ids)), set(recorded) <= set(ids))
    say("shadow: all served by the baseline", sum(line["target"] == "baseline" for line in client.ended),
        all(line["target"] == "baseline" for line in client.ended))
    dropped = [pair for pair in pairs if pair["dropped"]]
    complete = [pair for pair in pairs if not pair["dropped"] and pair["shadow"] and pair["live"]["status"] == 200]
    failed = [pair for pair in complete if pair["shadow"]["failure"]]
    reasons = dict(collections.Counter(pair["dropped"] for pair in dropped))
    say("shadow: pairs complete, dropped with a reason", f"{len(complete)} + {len(dropped)} {reasons or ''}",
        len(complete) + len(dropped) == N_SHADOW and {pair["id"] for pair in complete + dropped} == set(ids))
    say("shadow: pairs in which the candidate failed", len(failed), not failed)


def candidate_attempts(stack, rows):
    """Live attempts at the candidate in these exchanges, oldest first."""
    attempts = [attempt for row in rows for attempt in stack.exchange(row["id"])["attempts"]]
    live = [attempt for attempt in attempts if attempt["target"] == "candidate" and attempt["role"] != "shadow"]
    return sorted(live, key=lambda attempt: attempt["started_us"])


def rollback_of(stack):
    """The audit row of the rollback, and the moment of the swap in Unix microseconds: the breach plus time_to_switch."""
    row = next(row for row in reversed(stack.history(ROLLOUT)) if row["to_share"] == 0 and row["from_share"] > 0)
    to_switch = re.search(r"time_to_switch ([0-9.]+) ms", row["reason"])
    return row, row["at_us"] + (float(to_switch[1]) * 1000 if to_switch else 0)


def kill_part(stack, candidate, say):
    client = Client(stack.base_url)
    client.run()

    def n_clean():
        return sum(line["target"] == "candidate" and not line["error"] for line in list(client.ended))

    wait_for("clean candidate requests", lambda: n_clean() >= N_CLEAN, 120)
    clean, early = n_clean(), [line["error"] for line in list(client.ended) if line["error"]]
    say("kill: clean candidate requests before the kill", clean, clean >= N_CLEAN)
    say("kill: client errors before the kill", f"{len(early)} {early[:3] or ''}", not early)
    killed_at = time.time()
    candidate.kill()
    rolled_back = wait_for("rollback", lambda: stack.rollout(ROLLOUT)["share"] == 0, 20)
    time.sleep(2)                                                # load goes on after the swap
    client.stopping.set()
    client.join()
    say("kill: share", stack.rollout(ROLLOUT)["share"], bool(rolled_back))

    errors = [line for line in client.ended if line["error"]]
    preventable = [line["error"] for line in errors if not line["text"]]
    say("kill: client errors after content had begun (no failover can help)", len(errors) - len(preventable))
    say("kill: client errors that failover could have prevented", f"{len(preventable)} {preventable[:3] or ''}", not preventable)

    row, swapped_us = rollback_of(stack)
    ids = {line["id"] for line in client.ended if line["id"]}
    wait_for("records", lambda: ids <= {row["id"] for row in stack.all_exchanges()})
    since_us = killed_at * 1e6 - 500_000
    around = [row for row in stack.all_exchanges() if (row["finished_at_us"] or row["received_at_us"]) > since_us]
    attempts = candidate_attempts(stack, around)
    failed = [attempt for attempt in attempts if attempt["failure"]]
    in_flight = [attempt for attempt in failed if attempt["started_us"] < killed_at * 1e6]
    begun_after_kill = [attempt for attempt in failed if attempt["started_us"] >= killed_at * 1e6]
    after_swap = [attempt for attempt in attempts if attempt["started_us"] > swapped_us]
    say("kill: failed candidate attempts in flight at the kill", len(in_flight))
    say("kill: failed candidate attempts begun after the kill", len(begun_after_kill), len(begun_after_kill) <= 10)
    say("kill: candidate attempts begun after the swap", len(after_swap), not after_swap)
    say("kill: from the kill to the swap, ms", f"{swapped_us / 1e3 - killed_at * 1e3:.1f}")
    say("kill: why", row["reason"])


def main():
    with figures("shadow and kill") as say, Stack() as stack:
        baseline, candidate = stack.llama("baseline", seed=1), stack.llama("candidate", seed=2)
        stack.gateway(config(baseline, candidate))
        stack.crossfade("rollout", "start", ROLLOUT)
        shadow_part(stack, say)
        for _ in range(2):
            stack.crossfade("rollout", "promote", ROLLOUT, "--reason", "acceptance test")
        view = stack.rollout(ROLLOUT)
        say("kill: share before", view["share"], view["share"] == 0.5)
        kill_part(stack, candidate, say)


if __name__ == "__main__":
    main()
