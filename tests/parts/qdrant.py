"""What stands in for a server of Qdrant: the engine is Qdrant's own (package `qdrant-edge-py`), the server around it ours, after Qdrant's description of its REST API. It can be killed and comes back."""
import json, os, pathlib, signal, socket, subprocess, sys, threading, time, urllib.error, urllib.request


class Qdrant:
    def __init__(self, directory, packages):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.place = f"127.0.0.1:{self.port}"
        self.directory, self.packages = directory, packages
        self.start()

    def start(self):
        with open(self.directory / "qdrant.log", "ab") as log:
            command = [sys.executable, __file__, str(self.directory / "qdrant"), str(self.port)]
            self.process = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(self.packages)}, stdout=log, stderr=log)
        for _ in range(600):
            if self.process.poll() is not None:
                raise SystemExit((self.directory / "qdrant.log").read_text()[-2000:])
            try:
                return self.call("GET", "/healthz")
            except OSError:
                time.sleep(0.05)
        raise SystemExit("what stands in for Qdrant did not start in half a minute")

    def kill(self, _child=None):
        """SIGKILL, and from the start again."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.start()

    def end(self):
        self.process.terminate()
        self.process.wait(30)

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://{self.place}{path}", data=data, method=method, headers={"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())["result"]

    def score(self, collection, dims=4):
        """How near the nearest row of a collection is to (1, 0, 0, …)."""
        return self.call("POST", f"/collections/{collection}/points/query", {"query": [1] + [0] * (dims - 1), "using": "dense", "limit": 1})["points"][0]["score"]


def serve(root, port):
    import http.server
    import qdrant_edge as edge

    distances = {"Cosine": edge.Distance.Cosine, "Dot": edge.Distance.Dot, "Euclid": edge.Distance.Euclid}
    shards, configs, lock = {}, {}, threading.Lock()
    names = root / "aliases.json"

    def aliases():
        return json.loads(names.read_text()) if names.exists() else {}

    def turn(actions):
        """All or nothing, as a server does it."""
        meant = aliases()
        for action in actions:
            [(what, of)] = action.items()
            if what == "delete_alias":
                del meant[of["alias_name"]]
            else:
                shard(of["collection_name"])
                meant[of["alias_name"]] = of["collection_name"]
        (root / "aliases.new").write_text(json.dumps(meant))
        (root / "aliases.new").rename(names)
        return True

    def known_by(point):
        return point if isinstance(point, (int, str)) else str(point)

    def config_of(params):
        def one(vector):
            multi = edge.MultiVectorConfig(edge.MultiVectorComparator.MaxSim) if "multivector_config" in vector else None
            return edge.EdgeVectorParams(size=vector["size"], distance=distances[vector["distance"]], multivector_config=multi)

        vectors = params.get("vectors", {})
        vectors = one(vectors) if "size" in vectors else {name: one(vector) for name, vector in vectors.items()}
        sparse = {name: edge.EdgeSparseVectorParams() for name in params.get("sparse_vectors", {})}
        return edge.EdgeConfig(vectors=vectors, sparse_vectors=sparse or None)

    def shard(name):
        """The shard of a collection; what was there before the last end is loaded."""
        at = root / name
        if name not in shards:
            if not (at / "params.json").exists():
                raise KeyError(name)
            configs[name] = json.loads((at / "params.json").read_text())
            shards[name] = edge.EdgeShard.load(str(at / "shard"))
        return shards[name]

    def create(name, params):
        at = root / name
        at.mkdir(parents=True)
        (at / "shard").mkdir()
        shards[name] = edge.EdgeShard.create(str(at / "shard"), config_of(params))
        shards[name].flush()
        configs[name] = params
        (at / "params.new").write_text(json.dumps(params))
        (at / "params.new").rename(at / "params.json")

    # A truth that the engine's package takes for none of its integers, as which it reads Python's own: it knows those of numpy by their name.
    truth = type("bool_", (), {"__module__": "numpy", "__init__": lambda self, is_so: setattr(self, "is_so", is_so), "__bool__": lambda self: self.is_so})

    def condition_of(written):
        if "has_id" in written:
            return edge.HasIdCondition(set(written["has_id"]))
        if "is_empty" in written:
            return edge.IsEmptyCondition(written["is_empty"]["key"])
        if "match" in written:
            match = written["match"]
            value = match.get("value")
            match = edge.MatchAny(match["any"]) if "any" in match else edge.MatchValue(truth(value) if isinstance(value, bool) else value)
            return edge.FieldCondition(key=written["key"], match=match)
        if "range" in written:
            return edge.FieldCondition(key=written["key"], range=edge.RangeFloat(**written["range"]))
        return filter_of(written)

    def filter_of(written):
        return None if written is None else edge.Filter(**{kind: [condition_of(one) for one in conditions] for kind, conditions in written.items()})

    def named(vector):
        if isinstance(vector, dict):
            return {name: edge.SparseVector(**one) if isinstance(one, dict) else one for name, one in vector.items()}
        return vector

    def told(vector):
        if isinstance(vector, dict):
            return {name: {"indices": one.indices, "values": one.values} if isinstance(one, edge.SparseVector) else one for name, one in vector.items()}
        return vector

    def record(one, body):
        wanted = body.get("with_payload", True)
        payload = {key: value for key, value in (one.payload or {}).items() if wanted is True or key in wanted}
        return {"id": known_by(one.id), "payload": payload} | ({"vector": told(one.vector)} if body.get("with_vector") else {})

    def answer(method, path, body):
        parts = path.split("?")[0].strip("/").split("/")
        if parts == ["healthz"]:
            return {}
        if parts == ["aliases"]:
            return {"aliases": [{"alias_name": name, "collection_name": of} for name, of in aliases().items()]}
        if parts == ["collections", "aliases"]:
            return turn(body["actions"])
        name, verb = aliases().get(parts[1], parts[1]), "/".join(parts[2:])
        if method == "PUT" and not verb:
            create(name, body)
            return True
        found = shard(name)
        if method == "GET" and not verb:
            return {"config": {"params": configs[name]}}
        if method == "PUT" and verb == "points":
            found.update(edge.UpdateOperation.upsert_points([edge.Point(one["id"], named(one["vector"]), one.get("payload")) for one in body["points"]]))
            return {"status": "completed"}
        if method == "PUT" and verb == "index":
            found.update(edge.UpdateOperation.create_field_index(body["field_name"], edge.PayloadSchemaType.Keyword))
            return {"status": "completed"}
        if verb == "points":
            records = found.retrieve(body["ids"], with_payload=body.get("with_payload", True), with_vector=body.get("with_vector", False))
            return [record(one, body) for one in records]
        if verb == "points/count":
            return {"count": found.count(edge.CountRequest(exact=True, filter=filter_of(body.get("filter"))))}
        if verb == "points/scroll":
            asked = edge.ScrollRequest(offset=body.get("offset"), limit=body["limit"], filter=filter_of(body.get("filter")), with_payload=True, with_vector=body.get("with_vector", False))
            records, after = found.scroll(asked)
            return {"points": [record(one, body) for one in records], "next_page_offset": None if after is None else known_by(after)}
        if verb == "points/query":
            asked = edge.QueryRequest(limit=body["limit"], query=edge.Query.Nearest(body["query"], body.get("using")), filter=filter_of(body.get("filter")), with_payload=True)
            return {"points": [{"id": known_by(one.id), "score": one.score, "payload": one.payload} for one in found.query(asked)]}
        if verb == "points/delete":
            found.update(edge.UpdateOperation.delete_points(body["points"]))
            return {"status": "completed"}
        raise ValueError(f"{method} {path} is not spoken here")

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # A small answer does not wait for another.
        disable_nagle_algorithm = True

        def do_GET(self):
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            try:
                with lock:
                    status, said = 200, {"result": answer(self.command, self.path, json.loads(body) if body else {}), "status": "ok"}
            except KeyError as error:
                status, said = 404, {"status": {"error": f"Not found: {error}"}}
            except Exception as error:
                status, said = 400, {"status": {"error": repr(error)}}
            text = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_POST = do_PUT = do_GET

        def log_message(self, *_):
            pass

    root.mkdir(parents=True, exist_ok=True)
    http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    serve(pathlib.Path(sys.argv[1]), int(sys.argv[2]))
