#!/usr/bin/env python3
"""Pages in a real browser: a report, a conformance page, a page of costs and one of a benchmark are made of answers that try to be markup, and tests/pages/pages.test.cjs opens them.

The browser comes as a package of Node's registry; CROSSFADE_BROWSER names another one."""
import http.server, json, os, subprocess, sys, threading

from parts.stack import ROOT, Stack, crossfade_binary, gateway_config

MARKUP = '</pre></td><script>window.owned = document.title = "owned"</script><img src="http://127.0.0.1:9/leak" onerror="window.owned = 2">'
# Right-to-left override, and an isolate that is never closed.
TURNED = "\u202eturned round\u2067"
HOSTILE = f"It takes 3 days {TURNED} {MARKUP} [1]."
RIGHT = "It takes 72 hours [1]."
# Case by number: what the candidate does.
WORSE, FAILED = [1, 2, 3], [4]
# What the baseline gets wrong, and what the retriever missed.
BETTER, MISSED = [5, 6], [7]
N_CASES = 12


def answer(model, question):
    if "case" not in question:
        return HOSTILE
    number = int(question.split("case ")[1].split(":")[0])
    if number in MISSED:
        return "I could not find that in the documents."
    wrong = number in (BETTER if model == "old" else WORSE)
    return HOSTILE if wrong else RIGHT


class Vendor(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        try:
            request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        except ValueError:
            return self.reply(400, {"error": {"message": MARKUP, "type": "invalid_request_error", "param": None, "code": None}})
        content = (request.get("messages") or [{}])[-1].get("content") or ""
        question = content if isinstance(content, str) else json.dumps(content)
        if request.get("model") == "new" and f"case {FAILED[0]}:" in question:
            return self.reply(400, {"error": {"message": MARKUP, "type": "invalid_request_error", "param": None, "code": None}})
        message = {"role": "assistant", "content": answer(request.get("model"), question), "refusal": None}
        usage = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}
        self.reply(200, {"id": "c", "object": "chat.completion", "created": 1, "model": MARKUP, "usage": usage,
                         "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}]})

    def do_GET(self):
        self.reply(404, {"error": {"message": MARKUP, "type": "invalid_request_error"}})

    def reply(self, status, body):
        body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def name(number):
    """An id that tries to turn round what stands behind it."""
    return f"c{number:02} {TURNED}"


def cases(path):
    with open(path, "w") as file:
        for number in range(N_CASES):
            documents = [{"id": "refunds", "text": "It takes 72 hours."}, {"id": "tea", "text": "Tea is free for everyone."}]
            relevant = "elsewhere" if number in MISSED else "refunds"
            file.write(json.dumps({"id": name(number), "input": f"{TURNED} case {number}: how long does it take? {MARKUP}", "expected": ["72 hours"],
                                   "documents": documents, "relevance": {relevant: 1}, "slices": {MARKUP: TURNED}}) + "\n")


def worksheet(path):
    """The worked example, with replicas by the hour of the week, and markup where people write."""
    text = (ROOT / "crates/crossfade/src/config/worksheet/right.yaml").read_text()
    week = [6 if hour // 24 < 5 and 8 <= hour % 24 < 18 else 2 for hour in range(168)]
    hours = f"hours: {{ replicas: {week}, gpus_each: 1, cold_start_s: 180, evidence: {json.dumps(MARKUP)} }}"
    for old, new in [("{ count: 2, per_hour", f"{{ {hours}, per_hour"), ("evidence: three offers", f"evidence: {json.dumps(MARKUP)}"),
                     ("one_off: { migration", f"scenarios: {{ {json.dumps(MARKUP)}: {{ review_hour: 30 }} }}\none_off: {{ {json.dumps(MARKUP)}"),
                     ("the vendor is", TURNED + MARKUP.replace('"', "'"))]:
        assert old in text, old
        text = text.replace(old, new)
    path.write_text(text)


def write(page, *arguments):
    done = subprocess.run([crossfade_binary(), *map(str, arguments)], capture_output=True, text=True, timeout=120)
    if not page.exists():
        raise RuntimeError(f"no page, exit {done.returncode}: {done.stderr}")


def made(stack):
    """Both pages, and what is in them."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    stack.write_config(gateway_config({"vendor": url}, {"old": {"provider": "vendor", "model": "old"}, "new": {"provider": "vendor", "model": "new"}},
                                      {"old": {"target": "old"}}))
    cases(stack.directory / "cases.jsonl")
    arguments = ["--file", stack.directory / "cases.jsonl", "--target", "old", "--target", "new", "--metric", "rag_end_to_end", "--run", "r"]
    stack.crossfade("eval", "run", *arguments, codes=(0, 3, 4))
    report = stack.directory / "report.html"
    write(report, "eval", "report", "r", "-o", report, "--config", stack.config)
    page = stack.directory / "conformance.html"
    write(page, "conformance", url, "--model", "old", "-o", page)
    benchmark = stack.directory / "benchmark.html"
    write(benchmark, "bench", "run", "--target", "old", "--target", "new", "--concurrency", "1,2,4", "--duration", "1s", "--warm-up", "0s", "--block", "100ms",
          "--no-stream", "--slo", "ttft=20s,e2e=20s", "--meta", f"note={MARKUP}{TURNED}", "--location", MARKUP, "--output", benchmark, "--config", stack.config)
    server.shutdown()
    costs = stack.directory / "tco.html"
    worksheet(stack.directory / "tco.yaml")
    write(costs, "tco", "run", stack.directory / "tco.yaml", "--draws", "5000", "-o", costs)
    of = lambda numbers: [name(number) for number in numbers]
    return {"report": str(report), "conformance": str(page), "costs": str(costs), "benchmark": str(benchmark), "worse": of(WORSE + FAILED), "better": of(BETTER), "failed": of(FAILED),
            "retriever": of(MISSED), "model": of(WORSE + BETTER), "hostile": HOSTILE}


def main():
    with Stack() as stack:
        pages = stack.directory / "pages.json"
        pages.write_text(json.dumps(made(stack)))
        done = subprocess.run(["node", "--test", ROOT / "tests/pages/pages.test.cjs"], env={**os.environ, "PAGES": str(pages)}, timeout=300)
        stack.keep = done.returncode != 0
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
