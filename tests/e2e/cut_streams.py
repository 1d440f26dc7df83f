#!/usr/bin/env python3
"""Acceptance: an upstream cut at every byte offset of ten recorded streams; the official Python SDK never sees a clean end.

`cut_streams.py [--cases N | --full]`. A case is one stream, one offset and one way of ending: `chunked` (cut inside the
chunked framing), `close` (a clean FIN, which a body without length takes for its end) or `reset`. CI takes every k-th case;
--full takes all. The same cases straight to the upstream must show clean ends, else the test could not see one.
"""
import argparse, collections, concurrent.futures, itertools, json, pathlib, time

import openai

from parts.stack import Stack, figures, gateway_config

STREAMS = pathlib.Path(__file__).parent.parent / "fixtures" / "streams"
ENDS = ["chunked", "close", "reset"]
N_LANES = 4
TAIL = 40
EXPECTED = (openai.APIStatusError, openai.APIConnectionError, openai.APIError)


def whole_at(data):
    """The offset from which the stream is whole: its [DONE] event is complete (the LF of a last CR LF may be missing)."""
    done = data.rindex(b"[DONE]") + len(b"[DONE]")
    return done + (3 if data[done:].startswith(b"\r\n") else 2)


def cases():
    for path in sorted(STREAMS.glob("*.sse")):
        for offset, end in itertools.product(range(whole_at(path.read_bytes())), ENDS):
            yield path.stem, offset, end


class Lane:
    """A client and the model name it uses. Each lane has a provider of its own, so that each has its own breaker."""

    def __init__(self, base_url, model):
        self.client, self.model = openai.OpenAI(base_url=base_url, api_key="k", max_retries=0, timeout=20), model

    def play(self, case):
        """(how the SDK saw the stream end, the text it got before that)."""
        stream, offset, end = case
        ask = [{"role": "user", "content": f"stream={stream} end={end}" + ("" if offset is None else f" cut={offset} marker=cut")}]
        text = ""
        try:
            for chunk in self.client.chat.completions.create(model=self.model, messages=ask, stream=True):
                text += "".join(choice.delta.content or "" for choice in chunk.choices)
        except EXPECTED as error:
            return type(error).__name__, text
        except Exception as error:                   # what the SDK itself did not expect: the gateway sent nonsense
            return f"unexpected {type(error).__name__}", text
        return "clean end", text

    def play_all(self, cases):
        """Every fourth case is followed by a whole stream: five failures in a row would open the breaker."""
        for n, case in enumerate(cases):
            yield case, self.play(case)
            if n % 4 == 3:
                self.play(("reasoning", None, "chunked"))


def play_all(lanes, cases):
    with concurrent.futures.ThreadPoolExecutor(len(lanes)) as pool:
        parts = [pool.submit(lambda lane, n: list(lane.play_all(cases[n::len(lanes)])), lane, n) for n, lane in enumerate(lanes)]
        return [result for part in parts for result in part.result()]


def config(upstream):
    lanes = [f"lane-{n}" for n in range(N_LANES)]
    return gateway_config({lane: upstream.url.replace("/v1", f"/{lane}/v1") for lane in lanes},
                          {lane: {"provider": lane, "model": "replay"} for lane in lanes}, {lane: {"target": lane} for lane in lanes})


def cuts_played(upstream):
    """How many cut streams the upstream was asked for: what a breaker kept away was not tested."""
    lines = [json.loads(line) for line in open(upstream.journal)]
    return sum(line["what"] == "got" and line["marker"] == "cut" for line in lines)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--cases", type=int, default=2500, help="how many of the cases to take, evenly spread")
    arguments.add_argument("--full", action="store_true", help="every offset, every way of ending")
    options = arguments.parse_args()
    everything = list(cases())
    # A step that shares no factor with the three ends, so that every end meets every part of a stream. The last bytes,
    # where a cut looks most like an end, are always taken whole.
    step = 1 if options.full else max(1, len(everything) // options.cases) // 3 * 3 + 1
    lengths = {path.stem: whole_at(path.read_bytes()) for path in STREAMS.glob("*.sse")}
    chosen = [case for n, case in enumerate(everything) if n % step == 0 or case[1] >= lengths[case[0]] - TAIL]

    with figures("cut streams") as say, Stack() as stack:
        upstream = stack.upstream()
        stack.gateway(config(upstream))
        began = time.monotonic()
        lanes = [Lane(stack.base_url, f"lane-{n}") for n in range(N_LANES)]
        direct = Lane(upstream.url, "replay")
        names = sorted(path.stem for path in STREAMS.glob("*.sse"))
        whole = {name: lanes[0].play((name, None, "chunked")) for name in names}
        directly = {name: direct.play((name, None, "chunked")) for name in names}
        say("recorded streams", len(names), len(names) == 10)
        say("uncut streams that end cleanly and say what the upstream said",
            sum(whole[name] == directly[name] and whole[name][0] == "clean end" for name in names), whole == directly)

        results = play_all(lanes, chosen)
        played = cuts_played(upstream)
        seen = collections.Counter(how for _, (how, _) in results)
        clean = [case for case, (how, _) in results if how == "clean end"]
        odd = [(case, how) for case, (how, _) in results if how.startswith("unexpected")]
        astray = [case for case, (_, text) in results if not whole[case[0]][1].startswith(text)]
        say("cases, of all", f"{len(chosen)} of {len(everything)}")
        say("cut by the upstream", played, played >= len(chosen))
        say("how the SDK saw them end", dict(seen))
        say("cut after some text had arrived", sum(text != "" for _, (_, text) in results))
        say("clean ends", f"{len(clean)} {clean[:5] or ''}", not clean)
        say("endings the SDK had no word for", f"{len(odd)} {odd[:5] or ''}", not odd)
        say("texts that are not a beginning of the whole text", f"{len(astray)} {astray[:5] or ''}", not astray)

        silent = [case for case in chosen if case[2] == "close"]
        control = [direct.play(case)[0] for case in silent[:: max(1, len(silent) // 60)]]
        say("control: clean ends without the gateway", f"{control.count('clean end')} of {len(control)}", "clean end" in control)
        say("seconds", f"{time.monotonic() - began:.1f}")


if __name__ == "__main__":
    main()
