#!/usr/bin/env python3
"""A whole migration from a browser, on the config that `crossfade quickstart` writes, with the door open as it leaves it. Here requests are sent, and a regression is
planted when the browser asks for it; everything else, tests/pages/migration.test.cjs does by the keyboard and the pointer. What it needs to know stands in the file that
MIGRATION names."""
import http.client, http.server, json, os, pathlib, re, subprocess, sys, tempfile, threading, time, urllib.request

from parts.stack import ROOT, Stack, crossfade_binary, free_port

TEMPLATE = ROOT / "crates/crossfade/src/verbs/quickstart/crossfade.yaml"
CONNECTIONS = 12
# The candidate's error rate from then on, as in the quickstart; it was 0.5 %.
REGRESSED = {"error_rate": 0.06}
PAIRS = 20


def config():
    """The quickstart's, with ports that are known."""
    data, admin = free_port(), free_port()
    text = TEMPLATE.read_text().replace("{seed}", "7")
    text = text.replace("\nlisten: 127.0.0.1:0\n", f"\nlisten: 127.0.0.1:{data}\n").replace("listen: 127.0.0.1:0 }", f"listen: 127.0.0.1:{admin} }}")
    assert not re.search(r"127\.0\.0\.1:0\b", text), text
    return text, data, admin


class Traffic:
    """Connections that ask one question after the other, each of a conversation of its own, on the routes that are on."""

    def __init__(self, port):
        self.port, self.routes, self.pause, self.on, self.sent = port, [], 0, True, [0] * CONNECTIONS
        self.threads = [threading.Thread(target=self.client, args=(number,), daemon=True) for number in range(CONNECTIONS)]
        [thread.start() for thread in self.threads]

    def client(self, number):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        while self.on:
            routes = self.routes
            if not routes:
                time.sleep(0.02)
                continue
            time.sleep(self.pause)
            n = self.sent[number]
            self.sent[number] += 1
            conversation = f"{number}-{n}"
            body = {"model": routes[n % len(routes)], "messages": [{"role": "user", "content": f"Where is my parcel? (conversation {conversation})"}]}
            try:
                connection.request("POST", "/v1/chat/completions", json.dumps(body), {"content-type": "application/json", "x-crossfade-conversation-id": conversation})
                connection.getresponse().read()
            except (OSError, http.client.HTTPException):
                connection.close()

    def stop(self):
        self.on = False
        [thread.join(30) for thread in self.threads]


class Stage(http.server.BaseHTTPRequestHandler):
    """What is done off the page: traffic on these routes, and the regression."""

    def do_POST(self):
        said = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if "routes" in said:
            self.server.traffic.routes, self.server.traffic.pause = said["routes"], said.get("pause", 0)
        if "plant" in said:
            urllib.request.urlopen(urllib.request.Request(f"{self.server.admin}/api/simulated/{said['plant']}", json.dumps(REGRESSED).encode(),
                                                          {"content-type": "application/json"}, method="PUT"), timeout=10).read()
        answer = json.dumps({"sent": sum(self.server.traffic.sent)}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def main():
    with Stack() as stack:
        text, data, admin = config()
        stack.config = stack.directory / "crossfade.yaml"
        stack.config.write_text(text)
        stack.admin, stack.base_url = f"http://127.0.0.1:{admin}", f"http://127.0.0.1:{data}/v1"
        stack.restart_gateway()
        stage = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stage)
        stage.traffic, stage.admin = Traffic(data), stack.admin
        threading.Thread(target=stage.serve_forever, daemon=True).start()
        shots = pathlib.Path(os.environ.get("CROSSFADE_SHOTS") or tempfile.mkdtemp(prefix="crossfade-migration-"))
        shots.mkdir(parents=True, exist_ok=True)
        about = stack.directory / "migration.json"
        about.write_text(json.dumps({"admin": stack.admin, "stage": f"http://127.0.0.1:{stage.server_address[1]}/", "pairs": PAIRS, "shots": str(shots),
                                     "binary": crossfade_binary(), "config": str(stack.config)}))
        done = subprocess.run(["node", "--test", ROOT / "tests/pages/migration.test.cjs"], env={**os.environ, "MIGRATION": str(about)}, timeout=900)
        stage.traffic.stop()
        stage.shutdown()
        stack.keep = done.returncode != 0
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
