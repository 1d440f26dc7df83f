#!/usr/bin/env python3
"""Acceptance with the official Python SDK: what its retries make of an upstream that fails, and of callers that leave.

First part: `N` requests by the SDK with its default retries, against an upstream that fails in each of several ways, straight
and through the gateway. Attempts at the upstream are at most 1.2 times the requests. Second part: a caller that leaves
before the first token, in the middle of a stream, and while it waits for a whole answer: the upstream sees it within a second.
"""
import asyncio, collections, itertools, json, threading, time, urllib.request

import openai

from parts.stack import Stack, figures, free_port, gateway_config

N_THREADS, MOST, N_LEAVING, SOON = 16, 1.2, 10, 1.0
# Ways to fail, requests, and how long the SDK waits for an answer.
WAYS = {"refused": (200, 20), "broken": (200, 20), "hang-up": (200, 20), "flaky": (200, 20), "limited": (100, 20), "silent": (64, 1)}
ASK = [{"role": "user", "content": "hello"}]


def config(upstream):
    """Each way to fail is a provider of its own: what one learns must not help the other."""
    providers = {way: f"http://127.0.0.1:{free_port()}/v1" if way == "refused" else upstream.url for way in [*WAYS, "hold"]}
    targets = {way: {"provider": way, "model": way} for way in providers}
    return gateway_config(providers, targets, {way: {"target": way} for way in providers})


def metric(stack, name):
    with urllib.request.urlopen(stack.admin + "/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.split(" ")[0].split("{")[0] == name)


def log(upstream):
    return [json.loads(line) for line in upstream.journal.read_text().splitlines()]


def n_got(upstream, model):
    return sum(line["what"] == "got" and line["model"] == model for line in log(upstream))


def storm(base_url, model, n_requests, timeout):
    """Requests from many threads with the SDK's defaults; returns how they ended."""
    numbers, ended, lock = itertools.count(), collections.Counter(), threading.Lock()

    def loop():
        with openai.OpenAI(base_url=base_url, api_key="k", timeout=timeout) as client:
            while next(numbers) < n_requests:
                try:
                    client.chat.completions.create(model=model, messages=ASK)
                    how = "answered"
                except openai.APIStatusError as error:
                    how = f"{error.status_code} {error.code}"
                except openai.APIError as error:
                    how = type(error).__name__
                with lock:
                    ended[how] += 1

    threads = [threading.Thread(target=loop) for _ in range(N_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ended.total() == n_requests
    return ended


def amplification(stack, upstream, say):
    n_bare = 20
    storm(upstream.url, "broken", n_bare, 20)
    bare = n_got(upstream, "broken") / n_bare
    say("attempts per request, the SDK alone, broken", f"{bare:.2f}", ok=bare == 3)
    for way, (n_requests, timeout) in WAYS.items():
        before = metric(stack, "crossfade_attempts_total"), n_got(upstream, way), metric(stack, "crossfade_requests_total")
        began = time.monotonic()
        ended = storm(stack.base_url, way, n_requests, timeout)
        took = time.monotonic() - began
        n_attempts = metric(stack, "crossfade_attempts_total") - before[0]
        n_arrived = n_got(upstream, way) - before[1]
        n_sent = metric(stack, "crossfade_requests_total") - before[2]
        ratio = max(n_attempts, n_arrived) / n_requests
        detail = f"{ratio:.2f} (the SDK sent {n_sent / n_requests:.2f} requests for each; {took:.0f} s; {dict(ended)})"
        say(f"attempts per request, {way}", detail, ok=ratio <= MOST and (way == "refused" or n_arrived == n_attempts))


async def leave(client, model, streamed, begun):
    """Begins a request and goes away once `begun` says so."""
    async def ask():
        answer = await client.chat.completions.create(model=model, messages=ASK, stream=streamed)
        async for chunk in answer:
            if chunk.choices[0].delta.content:
                has_begun.set()
    has_begun = asyncio.Event()
    task = asyncio.ensure_future(ask())
    await asyncio.wait_for(has_begun.wait() if begun is None else begun(), 20)
    left = time.time()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return left


async def cancelling(stack, upstream, say):
    def arrived(model, n):
        async def wait():
            while n_got(upstream, model) < n:
                await asyncio.sleep(0.005)
        return wait

    async with openai.AsyncOpenAI(base_url=stack.base_url, api_key="k") as client:
        for name, model, streamed in [("before the first token", "silent", True), ("in the middle of a stream", "hold", True),
                                      ("waiting for a whole answer", "silent", False)]:
            took = []
            for _ in range(N_LEAVING):
                n_before = sum(line["what"] == "gone" and line["model"] == model for line in log(upstream))
                begun = arrived(model, n_got(upstream, model) + 1) if model == "silent" else None
                left = await leave(client, model, streamed, begun)
                while True:
                    gone = [line["at"] for line in log(upstream) if line["what"] == "gone" and line["model"] == model]
                    if len(gone) > n_before or time.time() - left > 20:
                        break
                    await asyncio.sleep(0.005)
                took.append(gone[-1] - left if len(gone) > n_before else 20.0)
            say(f"upstream stopped after a caller left {name}", f"{max(took) * 1e3:.0f} ms at most of {N_LEAVING}", ok=max(took) <= SOON)
    deadline = time.monotonic() + 5
    while metric(stack, "crossfade_requests_in_flight") and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    say("requests in flight after all that", f"{metric(stack, 'crossfade_requests_in_flight'):.0f}", ok=metric(stack, "crossfade_requests_in_flight") == 0)


def main():
    with figures("retry storm") as say, Stack() as stack:
        upstream = stack.upstream()
        stack.gateway(config(upstream))
        amplification(stack, upstream, say)
        asyncio.run(cancelling(stack, upstream, say))


if __name__ == "__main__":
    main()
