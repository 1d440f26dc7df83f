#!/usr/bin/env python3
"""Acceptance: an upstream cut at every byte offset of ten recorded streams; the official Python SDK never sees a clean end.

`cut_streams.py [--cases N | --full]`. A case is one stream, one offset and one way of ending: `chunked` (cut inside the
chunked framing), `close` (a clean FIN, which a body without length takes for its end) or `reset`. CI takes every k-th case;
--full takes all. The same cases straight to the upstream must show clean ends, else the test could not see one.
"""
import argparse, collections, concurrent.futures, itertools, pathlib, sys, threading, time

import openai

from parts.stack import Stack, figures, gateway_config

STREAMS = pathlib.Path(__file__).parent.parent / "fixtures" / "streams"
ENDS = ["chunked", "close", "reset"]
EXPECTED = (openai.APIStatusError, openai.APIConnectionError, openai.APIError)


def whole_at(data):
    """The offset from which the stream is whole: its [DONE] event is complete (the LF of a last CR LF may be missing)."""
    done = data.rindex(b"[DONE]") + len(b"[DONE]")
    return done + (3 if data[done:].startswith(b"\r\n") else 2)


def cases():
    for path in sorted(STREAMS.glob("*.sse")):
        for offset, end in itertools.product(range(whole_at(path.read_bytes())), ENDS):
            yield path.stem, offset, end


clients = threading.local()


def play(base_url, case):
    """(how the SDK saw the stream end, the text it got before that)."""
    if getattr(clients, "base_url", None) != base_url:
        clients.base_url, clients.client = base_url, openai.OpenAI(base_url=base_url, api_key="k", max_retries=0, timeout=20)
    stream, offset, end = case
    ask = [{"role": "user", "content": f"stream={stream} end={end}" + ("" if offset is None else f" cut={offset}")}]
    text = ""
    try:
        for chunk in clients.client.chat.completions.create(model="replay", messages=ask, stream=True):
            text += "".join(choice.delta.content or "" for choice in chunk.choices)
    except EXPECTED as error:
        return type(error).__name__, text
    except Exception as error:                       # what the SDK itself did not expect: the gateway sent nonsense
        return f"unexpected {type(error).__name__}", text
    return "clean end", text


def play_all(base_url, chosen, threads=4):
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        return list(zip(chosen, pool.map(lambda case: play(base_url, case), chosen)))


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--cases", type=int, default=3000, help="how many of the cases to take, evenly spread")
    arguments.add_argument("--full", action="store_true", help="every offset, every way of ending")
    options = arguments.parse_args()
    everything = list(cases())
    # A step that shares no factor with the three ends, so that every end meets every part of a stream.
    step = 1 if options.full else max(1, len(everything) // options.cases) // 3 * 3 + 1
    chosen = everything[::step]

    with figures("cut streams") as say, Stack() as stack:
        upstream = stack.upstream()
        stack.gateway(gateway_config(
            {"scripted": upstream.url}, {"scripted": {"provider": "scripted", "model": "replay"}}, {"replay": {"target": "scripted"}}))
        began = time.monotonic()
        names = sorted(path.stem for path in STREAMS.glob("*.sse"))
        whole = {name: play(stack.base_url, (name, None, "chunked")) for name in names}
        directly = {name: play(upstream.url, (name, None, "chunked")) for name in names}
        say("recorded streams", len(names), len(names) == 10)
        say("uncut streams that end cleanly and say what the upstream said",
            sum(whole[name] == directly[name] and whole[name][0] == "clean end" for name in names), whole == directly)

        results = play_all(stack.base_url, chosen)
        seen = collections.Counter(how for _, (how, _) in results)
        clean = [case for case, (how, _) in results if how == "clean end"]
        odd = [(case, how) for case, (how, _) in results if how.startswith("unexpected")]
        astray = [case for case, (_, text) in results if not whole[case[0]][1].startswith(text)]
        say("cases", f"{len(chosen)} of {len(everything)}")
        say("how the SDK saw them end", dict(seen))
        say("clean ends", f"{len(clean)} {clean[:5] or ''}", not clean)
        say("endings the SDK had no word for", f"{len(odd)} {odd[:5] or ''}", not odd)
        say("texts that are not a beginning of the whole text", f"{len(astray)} {astray[:5] or ''}", not astray)

        control = play_all(upstream.url, [case for case in chosen[:: max(1, len(chosen) // 60)] if case[2] == "close"])
        n_control = sum(how == "clean end" for _, (how, _) in control)
        say("control: clean ends without the gateway", f"{n_control} of {len(control)}", n_control > 0)
        say("seconds", f"{time.monotonic() - began:.1f}")


if __name__ == "__main__":
    sys.exit(main())
