"""A server that answers `/v1/embeddings` by two models: `words` (64 numbers: each word of a text is hashed to one of them, with a sign) and `minilm`
(all-MiniLM-L6-v2 out of a package, computed here with numpy: BERT of 6 layers, the mean of the tokens, brought to norm 1)."""
import hashlib, http.server, json, math, pathlib, re, struct, threading

import numpy
from tokenizers import Tokenizer


def words(text, n=64):
    vector = numpy.zeros(n)
    for word in re.findall(r"\w+", text.lower()):
        digest = hashlib.sha256(word.encode()).digest()
        vector[digest[0] % n] += 1 if digest[1] % 2 else -1
    norm = numpy.linalg.norm(vector)
    return vector / norm if norm else numpy.eye(n)[0]


def erf(x):
    """The error function, to 1.5e-7 (Abramowitz and Stegun 1964, 7.1.26); by hand: erf(1) = 0.8427008."""
    t = 1 / (1 + 0.3275911 * numpy.abs(x))
    rest = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t * numpy.exp(-x * x)
    return numpy.sign(x) * (1 - rest)


class MiniLm:
    def __init__(self, directory):
        directory = pathlib.Path(directory)
        with open(directory / "model.safetensors", "rb") as file:
            n_bytes = struct.unpack("<Q", file.read(8))[0]
            header = json.loads(file.read(n_bytes))
            data = file.read()
        of = {"F32": numpy.float32, "I64": numpy.int64}
        self.weights = {}
        for name, where in header.items():
            if name != "__metadata__":
                begin, end = where["data_offsets"]
                self.weights[name.removeprefix("bert.")] = numpy.frombuffer(data[begin:end], of[where["dtype"]]).reshape(where["shape"])
        config = json.loads((directory / "config.json").read_text())
        self.n_layers, self.n_heads, self.epsilon = config["num_hidden_layers"], config["num_attention_heads"], config["layer_norm_eps"]
        self.tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(256)

    def linear(self, name, x):
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def norm(self, name, x):
        x = (x - x.mean(-1, keepdims=True)) / numpy.sqrt(x.var(-1, keepdims=True) + self.epsilon)
        return x * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]

    def __call__(self, text):
        ids = self.tokenizer.encode(text).ids
        x = self.weights["embeddings.word_embeddings.weight"][ids] + self.weights["embeddings.position_embeddings.weight"][: len(ids)]
        x = self.norm("embeddings.LayerNorm", x + self.weights["embeddings.token_type_embeddings.weight"][0])
        for n in range(self.n_layers):
            layer = f"encoder.layer.{n}"
            heads = lambda part: self.linear(f"{layer}.attention.self.{part}", x).reshape(len(ids), self.n_heads, -1).transpose(1, 0, 2)
            query, key, value = heads("query"), heads("key"), heads("value")
            scores = query @ key.transpose(0, 2, 1) / math.sqrt(query.shape[-1])
            scores = numpy.exp(scores - scores.max(-1, keepdims=True))
            seen = (scores / scores.sum(-1, keepdims=True) @ value).transpose(1, 0, 2).reshape(len(ids), -1)
            x = self.norm(f"{layer}.attention.output.LayerNorm", x + self.linear(f"{layer}.attention.output.dense", seen))
            inner = self.linear(f"{layer}.intermediate.dense", x)
            inner = inner * 0.5 * (1 + erf(inner / math.sqrt(2)))
            x = self.norm(f"{layer}.output.LayerNorm", x + self.linear(f"{layer}.output.dense", inner))
        mean = x.mean(0)
        return mean / numpy.linalg.norm(mean)


class Embedder:
    """Serves on a free port until it is stopped."""

    def __init__(self, directory):
        models = {"words": words, "minilm": MiniLm(directory)}
        kept, lock = {}, threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
                texts = [asked["input"]] if isinstance(asked["input"], str) else asked["input"]
                with lock:
                    for text in texts:
                        if (asked["model"], text) not in kept:
                            kept[asked["model"], text] = [float(number) for number in models[asked["model"]](text)]
                data = [{"object": "embedding", "index": n, "embedding": kept[asked["model"], text]} for n, text in enumerate(texts)]
                n_tokens = sum(len(text.split()) for text in texts)
                body = json.dumps({"object": "list", "model": asked["model"], "data": data, "usage": {"prompt_tokens": n_tokens, "total_tokens": n_tokens}}).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"
        self.models = models
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
