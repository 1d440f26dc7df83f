"""What the benchmarks share: building, starting and stopping processes on loopback, and the kernel's own accounts of them.

CPU time is the run time of /proc/PID/task/*/schedstat (nanoseconds), memory the PSS of smaps_rollup. Python 3, standard
library only.
"""

import contextlib
import json
import os
import pathlib
import platform
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
MARKER = "ACME GmbH"

# Thread names of `crossfade serve` by what they do. Whatever is in no list is `other`.
GROUPS = {
    "worker": ("worker-", "acceptor"),
    "journal": ("journal",),
    "shadow": ("shadow",),
    "shipping": ("shipper",),
}


def say(text):
    print(text, file=sys.stderr, flush=True)


class Missing(Exception):
    """Something the benchmark needs is not here; the text says how to get it."""


def build(examples, binary=True, prebuilt=None, package="gateway"):
    """Builds in release and returns {name: path}, read from cargo's own messages; or takes them from `prebuilt`."""
    paths = {}
    if prebuilt:
        for name in examples + (["crossfade"] if binary else []):
            found = [path for path in (pathlib.Path(prebuilt, "examples", name), pathlib.Path(prebuilt, name)) if path.exists()]
            if not found:
                raise Missing(f"{name} is not in {prebuilt}")
            paths[name] = str(found[0].resolve())
        return paths
    commands = [["cargo", "build", "--release", "-p", package] + [word for name in examples for word in ("--example", name)]]
    if binary:
        commands.append(["cargo", "build", "--release", "-p", "crossfade"])
    for command in commands:
        say("building: " + " ".join(command))
        result = subprocess.run(command + ["--message-format=json-render-diagnostics"], cwd=ROOT, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        if result.returncode:
            raise Missing("the build failed")
        for line in result.stdout.splitlines():
            message = json.loads(line)
            if message.get("executable"):
                paths[message["target"]["name"]] = message["executable"]
    return paths


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(url, timeout=5.0, data=None, method=None):
    request = urllib.request.Request(url, data=data, method=method, headers={"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        return answer.read().decode()


def wait_until(what, condition, seconds=20.0):
    """Polls a condition; the exception names what did not happen."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, ValueError):
            if condition():
                return
        time.sleep(0.02)
    raise RuntimeError(f"{what}: not after {seconds:.0f} s")


class Stage:
    """A directory and the processes started in it; leaving it stops every one of them by its own id."""

    def __init__(self, keep=False, realtime=False):
        import tempfile

        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="crossfade-bench-"))
        self.processes = []
        self.keep = keep
        self.realtime = realtime

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.stop()
        if self.keep:
            say(f"kept: {self.directory}")
        else:
            shutil.rmtree(self.directory, ignore_errors=True)

    def command(self, command):
        return (["chrt", "-f", "5"] if self.realtime else []) + [str(word) for word in command]

    def start(self, name, command, listening=None, seconds=20.0):
        """Starts a process; it is ready when it prints `listening ADDRESS` or when `listening` accepts."""
        process = Process(name, self.command(command), self.directory, listening)
        self.processes.append(process)
        process.wait_ready(seconds)
        return process


class Process:
    def __init__(self, name, command, directory, listening):
        self.name = name
        self.output = directory / f"{name}.out"
        self.errors = directory / f"{name}.err"
        with open(self.output, "wb") as out, open(self.errors, "wb") as err:
            self.child = subprocess.Popen(command, cwd=directory, stdout=out, stderr=err, stdin=subprocess.DEVNULL)
        self.address = listening

    def wait_ready(self, seconds):
        def ready():
            if self.child.poll() is not None:
                raise RuntimeError(f"{self.name} ended with {self.child.returncode}: {self.errors.read_text()[-2000:]}")
            if self.address is None:
                first = self.output.read_text().splitlines()[:1]
                if not first or not first[0].startswith("listening "):
                    return False
                self.address = first[0].split(" ", 1)[1]
            host, port = self.address.rsplit(":", 1)
            with socket.create_connection((host, int(port)), timeout=1):
                return True

        wait_until(f"{self.name} listens", ready, seconds)

    def stop(self):
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()

    def pids(self):
        """The process and its children (nginx has workers)."""
        children = pathlib.Path(f"/proc/{self.child.pid}/task/{self.child.pid}/children")
        return [self.child.pid] + [int(pid) for pid in children.read_text().split()]

    def cpu(self):
        """Nanoseconds run so far, by thread group."""
        total = dict.fromkeys([*GROUPS, "other"], 0)
        for pid in self.pids():
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                try:
                    name = (task / "comm").read_text().strip()
                    ran = int((task / "schedstat").read_text().split()[0])
                except OSError:
                    continue
                total[group_of(name)] += ran
        return total

    def memory(self):
        """Kilobytes of the process alone: resident, and of it what is no file's."""
        lines = pathlib.Path(f"/proc/{self.child.pid}/smaps_rollup").read_text().splitlines()
        fields = {line.split(":")[0]: line.split()[1] for line in lines[1:]}
        return {key: int(fields[key]) for key in ("Rss", "Anonymous")}

    def pss_kb(self):
        total = 0
        for pid in self.pids():
            for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
        return total


def group_of(name):
    for group, prefixes in GROUPS.items():
        if name.startswith(prefixes):
            return group
    return "other"


def minus(after, before):
    return {key: after[key] - before[key] for key in after}


def load(stage, binary, address, body, **options):
    """Runs the load generator to its end and returns its figures."""
    command = [binary, "--address", address, "--body", body]
    for name, value in options.items():
        if value is True:
            command.append("--" + name.replace("_", "-"))
        elif isinstance(value, list):
            command += [word for each in value for word in ("--" + name.replace("_", "-"), each)]
        elif value not in (None, False):
            command += ["--" + name.replace("_", "-"), value]
    result = subprocess.run(stage.command(command), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, check=True, timeout=600)
    return json.loads(result.stdout)


def write_body(directory, name, n_bytes, stream=False, n_chunks=50, pace_us=5000, model="bench"):
    """A chat request of exactly `n_bytes`: a system message, some turns of prose, the usual parameters."""
    words = random.Random(7)
    vocabulary = "the invoice of customer was paid late and account holds two open orders for parts from Bremen \u2013 see \\n line".split()

    def text(length):
        if length > 200_000:
            return (text(100_000) * (length // 99_000 + 1)).encode()[:length].decode(errors="ignore").rstrip("\\").ljust(1)
        out = ""
        while len(out.encode()) < length:
            out += words.choice(vocabulary) + " "
        return out.encode()[:length].decode(errors="ignore").rstrip("\\").ljust(1)

    request = {
        "model": model,
        "messages": [{"role": "system", "content": "You answer questions about invoices."}, {"role": "user", "content": ""}],
        "temperature": 0.2,
        "max_tokens": n_chunks,
        "user": "bench",
    }
    if stream:
        request |= {"stream": True, "seed": pace_us}
    size = lambda: len(json.dumps(request, separators=(",", ":"), ensure_ascii=False).encode())
    request["messages"][1]["content"] = text(max(0, n_bytes - size() - 64))
    request["messages"][1]["content"] += "." * max(0, n_bytes - size())
    path = directory / f"{name}.json"
    path.write_bytes(json.dumps(request, separators=(",", ":"), ensure_ascii=False).encode())
    return path


def median(values):
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


def machine():
    model = "unknown"
    with contextlib.suppress(OSError):
        for line in open("/proc/cpuinfo"):
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "load_average": os.getloadavg()[0],
        "date": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
    }
