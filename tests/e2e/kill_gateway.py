#!/usr/bin/env python3
"""Acceptance: SIGKILLs of the gateway under 64 concurrent streams lose, duplicate and invent no acknowledged exchange.

`kill_gateway.py [--kills N]` (200 is the full size). With a build that has the feature `failpoints`
(CROSSFADE_FAILPOINTS_BIN), every second kill happens at a named failpoint, each name in turn, and a last round runs the
build's deliberate lie, an acknowledgement before the write, which the verdict must catch. The verdict is another
process (kill_verdict.py) that sees only the logs and the records.
"""
import argparse, collections, itertools, json, os, random, subprocess, sys, time

from parts.stack import ROOT, Stack, figures, gateway_config

E2E = ROOT / "tests" / "e2e"
LIE = "ack_before_write"
ROLLOUT = "in-shadow"


def failpoint_names(binary):
    if not binary:
        return []
    listed = subprocess.run([binary, "failpoints"], capture_output=True, text=True)
    return [name for name in listed.stdout.split() if name != LIE] if listed.returncode == 0 else []


def wait_for_death(part, seconds):
    """True when the process killed itself at its failpoint."""
    try:
        part.process.wait(seconds)
        return True
    except subprocess.TimeoutExpired:
        return False


def armed(point):
    """The environment that arms a failpoint at one of its first visits; the lie is told at every visit."""
    if not point:
        return {}
    if point == LIE:
        return {"CROSSFADE_FAILPOINT": LIE}
    visits = {"journal": 20, "ship": 8, "control": 4}[point.split(".")[0]]             # each about 2 s of load
    return {"CROSSFADE_FAILPOINT": f"{point}:{random.randint(1, visits)}"}


def config(upstream):
    """Small segments, so that the journal rotates all the time; a rollout in shadow, so that evidence is saved."""
    targets = {name: {"provider": "scripted", "model": name} for name in ("instant", "shadowed")}
    rollout = {"route": "instant", "baseline": "instant", "candidate": "shadowed", "unit": "request",
               "stages": {"shadow": {"sample": 0.1}}}
    return gateway_config({"scripted": upstream.url}, targets, {"instant": {"target": "instant"}},
                          record={"segment_size": "64KiB"}, rollouts={ROLLOUT: rollout})


def waited_for_a_core(part):
    """Seconds the kernel kept the main thread, which does all the starting, from running: another program's fault."""
    with open(f"/proc/{part.process.pid}/schedstat") as file:
        return int(file.read().split()[1]) / 1e9


def run(stack, kills, points, say):
    """Restarts and kills the gateway under load; returns the paths the verdict needs."""
    upstream = stack.upstream()
    stack.gateway(config(upstream))
    stack.crossfade("rollout", "start", ROLLOUT)
    stack.parts[-1].kill()
    client_log = stack.directory / "client.jsonl"
    client = stack.add("client", [sys.executable, E2E / "streams_client.py", stack.listen, client_log])
    names, restarts, reached, missed = itertools.cycle(points), [], collections.Counter(), collections.Counter()
    for kill in range(kills):
        point = LIE if points == [LIE] else next(names) if points and kill % 2 else None
        began = time.monotonic()
        gateway = stack.restart_gateway(wait=False, **armed(point))
        try:
            gateway.wait_ready(stack.admin + "/ready", pause=0.002)
            took = time.monotonic() - began
            restarts.append((took - waited_for_a_core(gateway), took))
        except RuntimeError:
            if not point or gateway.process.poll() is None:
                raise                                # only a failpoint may end it before it is ready
        if point and point != LIE:
            died = wait_for_death(gateway, 4)
            (reached if died else missed)[point] += 1
        else:
            time.sleep(random.uniform(0.2, 1.0))
        gateway.kill()
    client.stop()
    last = stack.restart_gateway()
    records = stack.all_exchanges()
    say("share of the rollout in shadow", stack.rollout(ROLLOUT)["share"], stack.rollout(ROLLOUT)["share"] == 0)
    last.stop()
    path = stack.directory / "records.json"
    path.write_text(json.dumps(records))
    say("kills", kills)
    walls = sorted(wall for _, wall in restarts)
    say("restart to ready, seconds: median and longest", f"{walls[len(walls) // 2]:.3f} {walls[-1]:.3f}")
    say("the same without the time it waited for a core, longest", f"{max(restarts)[0]:.3f}", max(restarts)[0] < 1)
    if points and points != [LIE]:
        say("kills at failpoints", dict(reached), bool(reached))
        say("failpoints armed but not reached in 4 s", dict(missed) or "none")
    return client_log, upstream.journal, path


def verdict(paths, quiet=False):
    done = subprocess.run([sys.executable, E2E / "kill_verdict.py", *paths], capture_output=True, text=True)
    if not quiet:
        print(done.stdout + done.stderr, end="", flush=True)
    return done


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--kills", type=int, default=20)
    arguments.add_argument("--seed", type=int, default=None)
    options = arguments.parse_args()
    seed = options.seed if options.seed is not None else random.randrange(1 << 32)
    random.seed(seed)
    with figures("kill gateway") as say:
        say("seed", seed)
        binary = os.environ.get("CROSSFADE_FAILPOINTS_BIN")
        points = failpoint_names(binary)
        say("failpoints", " ".join(points) or "none in this build", bool(points) or not binary)
        if points:
            os.environ["CROSSFADE_BIN"] = binary
        with Stack() as stack:
            judged = verdict(run(stack, options.kills, points, say))
            stack.keep = judged.returncode != 0
            say("verdict", "clean" if judged.returncode == 0 else "violated", judged.returncode == 0)
        if points:
            with Stack() as stack:
                judged = verdict(run(stack, 30, [LIE], say), quiet=True)
                caught = any("acknowledged" in line and "VIOLATION" in line for line in judged.stdout.splitlines())
                say("a build that acknowledges before it writes is caught", caught, caught)


if __name__ == "__main__":
    main()
