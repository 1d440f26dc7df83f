"""Mixed traffic for a long time, and whether the gateway's memory has a slope: the second half of `bench-memory`.

The traffic, one request after the other at random times around a fixed rate: half whole answers, a quarter streams, a tenth streams whose
caller leaves, the rest meets an upstream that cuts, stalls, fails, hangs up or asks for a pause. Every ten seconds a reload, every
other one of a config that is no config. Nothing of it may fail in a way that was not scripted.
"""

import asyncio
import collections
import json
import os
import random
import sys
import time
import urllib.error

from bench_stage import ROOT, Stage, free_port, get, say, wait_until

SAMPLE_SECONDS = 10.0
BAR_MB_PER_HOUR = 1.0
Z = 1.96

CONFIG = """\
listen: 127.0.0.1:{port}
admin: {{ listen: 127.0.0.1:{admin_port} }}
store: sqlite:{directory}/crossfade.db
record: {{ mode: durable, dir: {directory}/journal, segment_size: 4MiB }}
providers:
  now: {{ dialect: openai, base_url: http://{healthy}/v1, api_key: sk-bench, class: self_hosted }}
  shaky:
    dialect: openai
    base_url: http://{faulty}/v1
    api_key: sk-bench
    class: self_hosted
    timeouts: {{ connect: 2s, first_token: 1s, inter_token: 1s, total: 2s }}
  nobody: {{ dialect: openai, base_url: http://{nobody}/v1, class: self_hosted }}
targets:
  now: {{ provider: now, model: mock-{generation} }}
  shaky: {{ provider: shaky, model: "*" }}
  nobody: {{ provider: nobody, model: nobody }}
routes:
  bench: {{ target: now }}
  shaky/*: {{ target: shaky }}
  nobody: {{ target: nobody, fallback: [now] }}
"""
FAULTS = ["cut", "stall", "broken", "hang-up", "busy", "error-event", "silent"]


def metric(admin_port, name):
    lines = get(f"http://127.0.0.1:{admin_port}/metrics").splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.split(" ")[0].split("{")[0] == name)


class Traffic:
    def __init__(self, address, order):
        host, port = address.rsplit(":", 1)
        self.address, self.order, self.ended, self.wrong = (host, int(port)), order, collections.Counter(), []

    async def ask(self, model, stream=False, chunks=20, leave_after=None):
        """One request on its own connection: its status and bytes, or None when the caller left."""
        asked = {"model": model, "messages": [{"role": "user", "content": "x" * self.order.randrange(20, 4000)}], "max_tokens": chunks}
        if stream:
            asked |= {"stream": True, "seed": self.order.randrange(1_000, 100_000)}
        body = json.dumps(asked).encode()
        reader, writer = await asyncio.open_connection(*self.address)
        try:
            writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n")
            writer.write(b"content-length: %d\r\n\r\n" % len(body) + body)
            if leave_after is not None:
                await asyncio.sleep(leave_after)
                return None
            answer = await asyncio.wait_for(reader.read(), 30)
            return int(answer.split(b" ", 2)[1]), answer
        finally:
            writer.close()

    async def one(self):
        dice = self.order.random()
        if dice < 0.5:
            what, answer = "whole", await self.ask("bench")
            good = answer[0] == 200
        elif dice < 0.75:
            what, answer = "stream", await self.ask("bench", True)
            good = answer[0] == 200 and b"data: [DONE]" in answer[1] and answer[1].endswith(b"0\r\n\r\n")
        elif dice < 0.85:
            what, answer = "left", await self.ask("bench", True, 1000, self.order.random())
            good = True
        elif dice < 0.9:
            what, answer = "failed over", await self.ask("nobody")
            good = answer[0] == 200
        else:
            fault, stream = self.order.choice([*FAULTS, "instant", "instant", "instant"]), self.order.random() < 0.7
            what, answer = f"shaky, {fault}", await self.ask(f"shaky/{fault}", stream)
            # A fault never ends like an answer.
            ends_well = answer[0] == 200 and (b"data: [DONE]" in answer[1] if stream else True)
            good = fault == "instant" or not ends_well or (fault in ("cut", "stall") and not stream)
        self.ended[what] += 1
        if not good:
            self.wrong.append((what, answer[1][:300].decode(errors="replace")))

    async def guarded(self):
        try:
            await self.one()
        except (OSError, ValueError, IndexError, asyncio.TimeoutError) as problem:
            self.wrong.append(("no answer", repr(problem)))


async def reload(config, text, admin_port, generation):
    """Every other one is a config that is none; returns whether it was taken as it should be."""
    valid = generation % 2 == 0
    config.write_text(text(generation) if valid else text(generation).replace("target: shaky", "target: shacky"))

    def ask():
        try:
            get(f"http://127.0.0.1:{admin_port}/api/reload", data=b"{}", method="POST")
            return True
        except urllib.error.HTTPError as error:
            return False if error.code == 400 else None

    return await asyncio.to_thread(ask) is valid


async def run(asked, gateway, address, admin_port, config, text):
    traffic, tasks, samples = Traffic(address, random.Random(7)), set(), []
    began, generation, wrong_reloads = time.monotonic(), 0, 0
    next_sample, next_request, end = began, began, began + asked.minutes * 60
    while (now := time.monotonic()) < end:
        if now >= next_sample:
            samples.append((now - began, gateway.memory()))
            next_sample += SAMPLE_SECONDS
            generation += 1
            wrong_reloads += not await reload(config, text, admin_port, generation)
        task = asyncio.ensure_future(traffic.guarded())
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        next_request = max(next_request + traffic.order.expovariate(asked.rate), now - 1)
        await asyncio.sleep(max(0, min(next_request, next_sample) - time.monotonic()))
    await asyncio.gather(*tasks)
    return traffic, samples, generation, wrong_reloads


def soak(asked, paths):
    with Stage(asked.keep) as stage:
        healthy = stage.start("upstream", [paths["mock_upstream"], "--workers", 1]).address
        faulty = f"127.0.0.1:{free_port()}"
        stage.start("faulty", ["env", f"PYTHONPATH={ROOT / 'tests'}", sys.executable, "-m", "parts.upstream", "--port", faulty.split(":")[1]], listening=faulty)
        port, admin_port, nobody = free_port(), free_port(), f"127.0.0.1:{free_port()}"
        config = stage.directory / "crossfade.yaml"

        def text(generation):
            addresses = {"port": port, "admin_port": admin_port, "healthy": healthy, "faulty": faulty, "nobody": nobody}
            return CONFIG.format(directory=stage.directory, generation=generation, **addresses)

        config.write_text(text(0))
        gateway = stage.start("gateway", [paths["crossfade"], "serve", "--config", config], listening=f"127.0.0.1:{port}")
        wait_until("the gateway is ready", lambda: get(f"http://127.0.0.1:{admin_port}/ready"))
        cpu = sum(gateway.cpu().values())
        traffic, samples, n_reloads, wrong_reloads = asyncio.run(run(asked, gateway, gateway.address, admin_port, config, text))
        cpu = sum(gateway.cpu().values()) - cpu
        time.sleep(5)
        in_flight = metric(admin_port, "crossfade_requests_in_flight")
        n_files = len(os.listdir(f"/proc/{gateway.child.pid}/fd"))
    half = samples[len(samples) // 2 :]
    found = {
        "minutes": asked.minutes,
        "rate": asked.rate,
        "requests": sum(traffic.ended.values()),
        "ended": dict(traffic.ended),
        "wrong": traffic.wrong[:20],
        "n_wrong": len(traffic.wrong),
        "reloads": n_reloads,
        "wrong_reloads": wrong_reloads,
        "in_flight_after": in_flight,
        "files_after": n_files,
        "cores": cpu / 1e9 / (asked.minutes * 60),
        "samples": [(round(at, 1), memory["Rss"], memory["Anonymous"]) for at, memory in samples],
        "slope": {key: theil_sen([(at / 3600, memory[key] / 1024) for at, memory in half]) for key in ("Rss", "Anonymous")},
    }
    if asked.plot:
        asked.plot.write_text(plot(found))
        say(f"plot: {asked.plot}")
    return found


def theil_sen(points):
    """The median of the slopes between all pairs of points, with Sen's 95 % interval (Sen 1968, from the variance of Kendall's S without ties).

    Points that follow one another closely depend on each other, so the interval is a little too narrow: it finds a slope too
    easily rather than too rarely. By hand: of (0, 0), (1, 1), (2, 4) the slopes are 1, 2, 3; the median is 2.
    """
    slopes = sorted((y2 - y1) / (x2 - x1) for n, (x1, y1) in enumerate(points) for x2, y2 in points[n + 1 :])
    n, n_slopes = len(points), len(slopes)
    reach = Z * (n * (n - 1) * (2 * n + 5) / 18) ** 0.5
    low, high = int((n_slopes - reach) / 2), int((n_slopes + reach) / 2) + 1
    middle = (slopes[(n_slopes - 1) // 2] + slopes[n_slopes // 2]) / 2
    return {"mb_per_hour": middle, "low": slopes[max(0, low)], "high": slopes[min(n_slopes - 1, high)]}


def plot(found):
    """Resident memory over time as SVG."""
    width, height, left, foot = 720, 260, 60, 30
    samples = found["samples"]
    longest, most = max(at for at, *_ in samples) or 1, max(rss for _, rss, _ in samples) / 1024 * 1.15
    x, y = lambda at: left + at / longest * (width - left - 10), lambda mb: height - foot - mb / most * (height - foot - 20)
    line = lambda idx: " ".join(f"{x(sample[0]):.1f},{y(sample[idx] / 1024):.1f}" for sample in samples)
    slope = found["slope"]["Rss"]
    title = f"Resident memory, MB: {found['requests']} requests, slope {slope['mb_per_hour']:+.2f} MB/h [{slope['low']:+.2f}, {slope['high']:+.2f}]"
    ticks = "".join(
        f'<text x="{left - 6}" y="{y(mb) + 4:.0f}" text-anchor="end">{mb:.0f}</text><line x1="{left}" x2="{width - 10}" y1="{y(mb):.1f}" y2="{y(mb):.1f}" stroke="#ddd"/>'
        for mb in (most * part / 4 for part in range(5))
    )
    minutes = "".join(f'<text x="{x(longest * part / 6):.0f}" y="{height - 10}" text-anchor="middle">{longest * part / 360:.0f} min</text>' for part in range(7))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11" fill="#333">'
        f'<rect width="{width}" height="{height}" fill="#fff"/><text x="{left}" y="14">{title}</text>{ticks}{minutes}'
        f'<polyline fill="none" stroke="#1f5fa8" stroke-width="1.5" points="{line(1)}"/>'
        f'<polyline fill="none" stroke="#a85f1f" stroke-width="1.5" stroke-dasharray="3 3" points="{line(2)}"/>'
        f'<text x="{width - 12}" y="{y(samples[-1][1] / 1024) - 6:.0f}" text-anchor="end" fill="#1f5fa8">resident</text>'
        f'<text x="{width - 12}" y="{y(samples[-1][2] / 1024) + 14:.0f}" text-anchor="end" fill="#a85f1f">of it anonymous</text></svg>\n'
    )


def report(found):
    print(f"{found['requests']} requests in {found['minutes']:g} minutes, {found['reloads']} reloads; the gateway used {found['cores']:.3f} cores")
    for what, n in sorted(found["ended"].items()):
        print(f"  {n:7} {what}")
    for what, slope in found["slope"].items():
        print(f"  slope of {what} over the second half: {slope['mb_per_hour']:+.2f} MB/h, 95 % [{slope['low']:+.2f}, {slope['high']:+.2f}]")
    first, last = found["samples"][len(found["samples"]) // 2], found["samples"][-1]
    print(f"  resident {first[1] / 1024:.1f} MB in the middle, {last[1] / 1024:.1f} MB at the end; {found['files_after']} open files, {found['in_flight_after']:.0f} in flight after")
    slope = found["slope"]["Rss"]
    flat = slope["low"] <= 0 or slope["mb_per_hour"] <= BAR_MB_PER_HOUR
    quiet = found["n_wrong"] == 0 and found["wrong_reloads"] == 0 and found["in_flight_after"] == 0
    print(f"  {'pass' if flat else 'MISS'}  no slope (bar: {BAR_MB_PER_HOUR:g} MB/h, or an interval that reaches 0)")
    print(f"  {'pass' if quiet else 'MISS'}  answers that were not as scripted: {found['n_wrong']}; reloads taken or refused wrongly: {found['wrong_reloads']}")
    for wrong in found["wrong"]:
        print(f"    {wrong}")
    return 0 if flat and quiet else 3
