"""The capacity simulator against a measured server: goal A-6. A server of continuous batching whose speed is known to nobody here (crates/scripted,
example `batching`) is benchmarked at four rates; its curve goes from the store into `crossfade tco size`; and what that foretells of five other loads, one of
them more than it holds, is held against what a benchmark of the same arrivals measures there: p95 of the time to the end within 10 %, answers a second
within 5 %. Beyond what it holds the line grows without end and so does p95, which is printed and not judged.

    crossfade=… batching=… python tests/cost/measured.py

A benchmark is INVALID where this machine was too busy to send in time; the sweep is then made again, and exit code 4 says that it never was quiet enough. Of
the other loads whole answers are compared, which take seconds: a lag of up to a hundredth of their p95 is no matter there.
"""

import concurrent.futures
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

STEPS, MOST, READS = "1:60,8:72,16:90,32:130", "32", "8000"
CALIBRATE, HELD_OUT, BEYOND = (0.5, 2, 4, 6), (1.5, 3, 5, 6.5), 12
# Seconds of each rate of the sweep, and of each other load; of the last as few as of a rate.
SECONDS, LONG = int(os.environ.get("seconds", "45")), int(os.environ.get("long", "170"))
INPUT, MEDIAN, SIGMA = 128, 18, 0.6


class Server:
    def __enter__(self):
        self.process = subprocess.Popen([os.environ["batching"], STEPS, MOST, READS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip() + "/v1"
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(timeout=10)


def crossfade(place, *words, codes=(0, 3)):
    done = subprocess.run([os.environ["crossfade"], *words, "--format", "json"], cwd=place, capture_output=True, text=True)
    if done.returncode not in codes:
        raise SystemExit(f"crossfade {' '.join(map(str, words))}: exit {done.returncode}\n{done.stderr}")
    return json.loads(done.stdout) if done.stdout else None


def bench(place, name, *load):
    """A benchmark that is evidence; where the machine was too busy, again."""
    for n in range(4):
        with Server() as server:
            result = crossfade(place, "bench", "run", "--url", server.url, "--model", "batching", "--ignore-eos", "--timeout", "300s", "--drain", "300s",
                               "--workers", "1", "--name", f"{name}-{n}", *load, codes=(0, 3, 4))
        level = result["levels"][0]
        lag, p95 = level["client_lag"]["p99"]["value"], level["latency"]["e2e.intended"]["p95"]["value"]
        if result["verdict"] == "valid" or name != "sweep" and lag < p95 / 100:
            print(f"{name}: measured, p99 of the client's lag {lag:.2f} ms", file=sys.stderr, flush=True)
            return f"{name}-{n}", result
        print(f"{name}: made again, {'; '.join(result['why'] or [level.get('invalid') or '' for level in result['levels']])}", file=sys.stderr, flush=True)
    print("the machine is too busy for a benchmark", file=sys.stderr)
    os._exit(4)


def trace(place, rate):
    """Poisson arrivals and log-normal lengths, as a file that both read."""
    source, at, lines = random.Random(int(rate * 1000)), 0.0, ["TIMESTAMP,ContextTokens,GeneratedTokens"]
    while at < (SECONDS if rate == BEYOND else LONG):
        lines.append(f"{at:.6f},{INPUT},{max(2, round(MEDIAN * source.lognormvariate(0, SIGMA)))}")
        at += source.expovariate(rate)
    (place / f"{rate}.csv").write_text("\n".join(lines) + "\n")
    return f"{rate}.csv"


def calibrated(place):
    """A sweep of some rates, in the store."""
    return bench(place, "sweep", "--rate", ",".join(map(str, CALIBRATE)), "--duration", f"{SECONDS}s", "--warm-up", "8s", "--input-tokens", str(INPUT),
                 "--output-tokens", f"lognormal:{MEDIAN}:{SIGMA}")[0]


def held_out(place, rate):
    return rate, bench(place, f"held-{rate}", "--trace", trace(place, rate), "--warm-up", "0s")[1]["levels"][0]


def main():
    wrong = []
    with tempfile.TemporaryDirectory() as directory:
        place = pathlib.Path(directory)
        (place / "crossfade.yaml").write_text(
            "listen: 127.0.0.1:0\nadmin: { listen: 127.0.0.1:0 }\nproviders:\n  p: { dialect: openai, base_url: http://127.0.0.1:9/v1 }\n"
            "targets:\n  t: { provider: p, model: m }\nroutes:\n  m: { target: t }\n")
        with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("jobs", "6"))) as pool:
            sweep = pool.submit(calibrated, place)
            held = [pool.submit(held_out, place, rate) for rate in (*HELD_OUT, BEYOND)]
            sweep, measured = sweep.result(), [load.result() for load in held]
        for rate, level in measured:
            said = crossfade(place, "tco", "size", "--requests", f"{rate}.csv", "--bench", sweep, "--most-active", MOST, "--done-ms", "9e9", "--most", "1")
            foretold = said["sizes"][0]
            p95 = level["latency"]["e2e.intended"]["p95"]["value"]
            off = [foretold["done_ms"] / p95 - 1, foretold["requests_per_s"] / level["requests_per_s"] - 1]
            is_held = rate != BEYOND
            print(f"figure\tA-6\t{rate} requests a second, {'held out' if is_held else 'more than it holds'}: p95 of the time to the end, foretold and measured"
                  f"\t{foretold['done_ms'] / 1e3:.2f} s and {p95 / 1e3:.2f} s, {off[0]:+.1%}\t{'10 %' if is_held else 'not judged'}\t{level['n_requests']}")
            print(f"figure\tA-6\t{rate} requests a second, {'held out' if is_held else 'more than it holds'}: answers a second, foretold and measured"
                  f"\t{foretold['requests_per_s']:.2f} and {level['requests_per_s']:.2f}, {off[1]:+.1%}\t5 %\t{level['n_requests']}")
            wrong += [f"{rate}: p95 is off by {off[0]:+.1%}"] if is_held and abs(off[0]) > 0.10 else []
            wrong += [f"{rate}: answers a second are off by {off[1]:+.1%}"] if abs(off[1]) > 0.05 else []
        for line in wrong:
            print(line, file=sys.stderr)
    sys.exit(3 if wrong else 0)


main()
