"""A real server of Chroma, which can be killed and comes back."""
import json, os, signal, socket, subprocess, sys, time, urllib.request

COLLECTIONS = "/api/v2/tenants/default_tenant/databases/default_database/collections"


class Chroma:
    def __init__(self, directory):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.place = f"127.0.0.1:{self.port}"
        self.directory = directory
        self.start()

    def start(self):
        run = "import sys, chromadb_rust_bindings; chromadb_rust_bindings.cli(['chroma', 'run', '--path', sys.argv[1], '--host', '127.0.0.1', '--port', sys.argv[2]])"
        with open(self.directory / "chroma.log", "ab") as log:
            self.process = subprocess.Popen([sys.executable, "-c", run, str(self.directory / "chroma"), str(self.port)], stdout=log, stderr=log)
        for _ in range(600):
            if self.process.poll() is not None:
                raise SystemExit((self.directory / "chroma.log").read_text()[-2000:])
            try:
                return self.call("/api/v2/heartbeat")
            except OSError:
                time.sleep(0.05)
        raise SystemExit("Chroma did not start in half a minute")

    def kill(self, _child=None):
        """SIGKILL, and from the start again."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.start()

    def end(self):
        self.process.terminate()
        self.process.wait(30)

    def call(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://{self.place}{path}", data=data, headers={"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or b"null")

    def post(self, collection, verb, body):
        found = self.call(f"{COLLECTIONS}/{collection}")["id"]
        return self.call(f"{COLLECTIONS}/{found}/{verb}", body)

    def get(self, collection, body):
        return self.post(collection, "get", body)
