"""A real standalone server of Milvus, which can be killed and comes back."""
import json, os, signal, socket, subprocess, sys, time, urllib.request


class Milvus:
    """From the package `milvus`, whose directory of modules this is: it brings the program along and writes a configuration that names free ports."""

    def __init__(self, directory, packages):
        self.home = directory / "milvus"
        self.packages = packages
        sockets = [socket.socket() for _ in range(4)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        self.port, self.health, client, peer = [one.getsockname()[1] for one in sockets]
        for one in sockets:
            one.close()
        self.place = f"127.0.0.1:{self.port}"
        lay = "import sys; sys.path.insert(0, sys.argv[1]); import milvus; s = milvus.MilvusServer(data_dir=sys.argv[2], proxy_port=int(sys.argv[3]), etcd_port=int(sys.argv[4])); s.config.resolve(); milvus._initialize_data_files(s.config.base_data_dir)"
        subprocess.run([sys.executable, "-c", lay, packages, str(self.home), str(self.port), str(client)], check=True)
        # After a kill its parts wait until what they were before has run out: half a minute as it is written.
        settings = self.home / "configs" / "milvus.yaml"
        text = settings.read_text()
        assert text.count("    ttl: 30 #") == 1, "Milvus writes another configuration than 2.3.5 does"
        # The etcd inside talks to itself by a port that its configuration alone can change.
        inside = self.home / "configs" / "etcd.yaml"
        at = lambda port: f"http://127.0.0.1:{port}"
        inside.write_text(
            f"name: default\nlisten-client-urls: {at(client)}\nadvertise-client-urls: {at(client)}\nlisten-peer-urls: {at(peer)}\n"
            f"initial-advertise-peer-urls: {at(peer)}\ninitial-cluster: default={at(peer)}\n"
        )
        settings.write_text(text.replace("    ttl: 30 #", "    ttl: 3 #").replace("\netcd:\n", f"\netcd:\n  config:\n    path: {inside}\n"))
        self.start()

    def start(self):
        environment = os.environ | {
            "DEPLOY_MODE": "STANDALONE", "METRICS_PORT": str(self.health), "MILVUS_RUN_DIR": str(self.home / "run"), "LD_LIBRARY_PATH": str(self.home / "bin"),
        }
        with open(self.home / "milvus.log", "ab") as log:
            self.process = subprocess.Popen([self.home / "bin" / "milvus", "run", "standalone"], cwd=self.home, env=environment, stdout=log, stderr=log)
        for _ in range(1800):
            if self.process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.health}/healthz", timeout=10) as answer:
                    if b"OK" in answer.read():
                        return
            except OSError:
                pass
            time.sleep(0.1)
        raise SystemExit("Milvus did not start in three minutes:\n" + (self.home / "milvus.log").read_text(errors="replace")[-2000:])

    def kill(self, _child=None):
        """SIGKILL, and from the start again."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.start()

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def call(self, path, body):
        """The REST API of version 1, which knows less than what Crossfade speaks, and is another way in."""
        request = urllib.request.Request(f"http://{self.place}/v1/vector/{path}", data=json.dumps(body).encode(), headers={"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            said = json.loads(answer.read())
        if said["code"] != 200:
            raise SystemExit(f"{path}: {said}")
        return said.get("data")

    def score(self, collection):
        """How near the one row of a collection is to (1, 0, 0, 0)."""
        ask = {"collectionName": collection, "vector": [1, 0, 0, 0], "limit": 1, "outputFields": ["id"]}
        # This way in sees what is some seconds old.
        for _ in range(100):
            if found := self.call("search", ask):
                return found[0]["distance"]
            time.sleep(0.1)
        raise SystemExit(f"{collection}: nothing was found in ten seconds")

    def made_by_others(self, collection, n_rows):
        """A collection with numbers as keys, which the server makes, and fields that no schema names."""
        self.call("collections/create", {"collectionName": collection, "dimension": 2, "metricType": "L2"})
        rows = [{"vector": [n, 0.5], "title": f"t{n}", "more": {"n": n}} for n in range(n_rows)]
        self.call("insert", {"collectionName": collection, "data": rows})
