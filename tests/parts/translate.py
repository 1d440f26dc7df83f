"""`crates/wire/examples/translate.rs` as a function, and random chat streams to translate."""
import json, os, random, subprocess

from parts.oracle import Translations

MODEL = "qwen3-32b"


class Translator:
    """Translates one job per call; the jobs are described in the example itself. What comes out must be as the vendors' published
    descriptions say, unless the job says that its input has what no description knows."""

    def __init__(self):
        self.oracle = Translations()
        self.process = subprocess.Popen([os.environ["CROSSFADE_TRANSLATE"]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __call__(self, has_unknown=False, **job):
        self.process.stdin.write(json.dumps(job).encode() + b"\n")
        self.process.stdin.flush()
        result = json.loads(self.process.stdout.readline())
        wrong = [] if has_unknown else list(self.oracle.judge(job, result))
        assert not wrong, f"not as described: {wrong[:3]}"
        return result

    def stop(self):
        self.process.stdin.close()
        self.process.wait(10)


def cut(data, rng, most=12):
    """`data` in pieces of random length."""
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(most)))
    return [data[start:end] for start, end in zip([0] + cuts, cuts + [len(data)])]


def words(rng):
    return "".join(rng.choice(["word ", "é", "\n", '"', "\\", "\U0001f600", "\u2028", "{", "}", "漢字", " "]) for _ in range(rng.randrange(1, 6)))


def said(rng, finish=None):
    """What a model says, piece by piece, by the field it says it in."""
    some = lambda most: [words(rng) for _ in range(rng.randrange(most))]
    calls = [{"id": f"call_{idx}", "name": rng.choice(["f", "g"]), "arguments": cut(json.dumps({"text": words(rng)}), rng, 4)}
             for idx in range(rng.choice([0, 0, 1, 3]))]
    finish = finish or rng.choice(["stop", "stop", "length", "content_filter"])
    return {"reasoning_content": some(3), "content": some(5), "refusal": some(2) if rng.random() < 0.2 else [], "calls": calls,
            "finish": "tool_calls" if calls and finish == "stop" else finish, "usage": rng.random() < 0.8,
            "logprobs": rng.random() < 0.3, "citations": rng.random() < 0.2}


def token(text):
    return {"token": text, "logprob": -0.25, "bytes": list(text.encode()), "top_logprobs": [{"token": text, "logprob": -0.25, "bytes": list(text.encode())}]}


USAGE = {"prompt_tokens": 20, "completion_tokens": 9, "total_tokens": 29, "prompt_tokens_details": {"cached_tokens": 16},
         "completion_tokens_details": {"reasoning_tokens": 3}}
CITATION = {"type": "url_citation", "url_citation": {"start_index": 0, "end_index": 1, "url": "https://example.com", "title": "Example"}}


def completion(said):
    """A whole chat completion."""
    text = lambda field: "".join(said[field]) or None
    message = {"role": "assistant", "content": text("content"), "refusal": text("refusal")}
    if said["reasoning_content"]:
        message["reasoning_content"] = text("reasoning_content")
    if said["calls"]:
        message["tool_calls"] = [{"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": "".join(call["arguments"])}}
                                 for call in said["calls"]]
    choice = {"index": 0, "message": message, "finish_reason": said["finish"], "logprobs": None}
    if said["content"] and said["logprobs"]:
        choice["logprobs"] = {"content": [token(piece) for piece in said["content"]], "refusal": None}
    if said["content"] and said["citations"]:
        message["annotations"] = [CITATION]
    answer = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1_700_000_000, "model": MODEL, "choices": [choice]}
    return {**answer, "usage": USAGE} if said["usage"] else answer


def chunks(said, rng):
    """The same as the chunks of a stream; pieces of arguments of several calls alternate at random."""
    def chunk(delta, finish=None, **more):
        return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": MODEL,
                "choices": [{"index": 0, "delta": delta, "finish_reason": finish, **more}]}

    yield chunk({"role": "assistant", "content": ""})
    for piece in said["reasoning_content"]:
        yield chunk({"reasoning_content": piece})
    for piece in said["content"]:
        yield chunk({"content": piece}, **({"logprobs": {"content": [token(piece)], "refusal": None}} if said["logprobs"] else {}))
    if said["content"] and said["citations"]:
        yield chunk({"annotations": [CITATION]})
    for piece in said["refusal"]:
        yield chunk({"refusal": piece})
    queues = []
    for idx, call in enumerate(said["calls"]):
        first = {"index": idx, "id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": ""}}
        queues.append([first] + [{"index": idx, "function": {"arguments": piece}} for piece in call["arguments"]])
    for queue in queues:
        yield chunk({"tool_calls": [queue.pop(0)]})
    while any(queues):
        yield chunk({"tool_calls": [rng.choice([queue for queue in queues if queue]).pop(0)]})
    yield chunk({}, said["finish"])
    if said["usage"]:
        yield {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": MODEL, "choices": [], "usage": USAGE}


def sse(chunks, rng):
    """Chunks as events, with the line ends and comments servers use."""
    end = rng.choice(["\n", "\r\n"])
    comment = rng.choice(["", f": ping{end}{end}"])
    return "".join(f"{comment}data: {json.dumps(chunk, ensure_ascii=rng.random() < 0.5)}{end}{end}" for chunk in chunks) + f"data: [DONE]{end}{end}"


def cuts(body, rng):
    """Byte offsets at which the body is cut on its way in."""
    return sorted(rng.randrange(len(body.encode()) + 1) for _ in range(rng.randrange(12)))


def seeds(n):
    """As many seeds; ten times as many when the slow tests are asked for."""
    return range(n * 10 if os.environ.get("CROSSFADE_SLOW_TESTS") else n)


def rng_of(seed):
    return random.Random(f"translate {seed}")
