"""A scripted OpenAI-compatible server on a real socket: what a test needs an upstream to do, it does, and logs it.

`python -m parts.upstream --port 0 --log FILE` prints its port. The `model` of a request chooses the behaviour, and
`key=value` words in the last message set its knobs (`marker`, `chunks`, `delay_ms`, `stream`, `cut`, `end`). The log has
one JSON line when a request was read (`got`), one when its whole answer was written (`served`) or its client was seen to be
gone before (`gone`).
"""
import argparse, asyncio, itertools, json, pathlib, socket, struct, sys, time

STREAMS = pathlib.Path(__file__).parent.parent / "fixtures" / "streams"
USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


class Request:
    def __init__(self, path, headers, body):
        self.path, self.headers, self.body = path, headers, body
        self.json = json.loads(body) if body else {}
        self.model = self.json.get("model", "")
        self.streamed = bool(self.json.get("stream"))
        messages = self.json.get("messages") or [{"content": ""}]
        content = messages[-1].get("content") or ""
        words = content.split() if isinstance(content, str) else []
        self.knobs = dict(word.split("=", 1) for word in words if "=" in word)

    def number(self, name, otherwise):
        return float(self.knobs.get(name, otherwise))


class Answer:
    """Writes one HTTP/1.1 answer."""

    def __init__(self, writer, reader):
        self.writer, self.reader = writer, reader

    async def until_gone(self):
        """Says nothing more until the client is gone."""
        await self.reader.read()
        raise ConnectionResetError

    def head(self, status, kind, *headers):
        reason = {200: "OK", 400: "Bad Request", 404: "Not Found", 429: "Too Many Requests", 500: "Internal Server Error"}
        lines = [f"HTTP/1.1 {status} {reason.get(status, 'Status')}", f"content-type: {kind}", "x-request-id: up-1", *headers]
        self.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())

    async def whole(self, status, value, *headers):
        body = json.dumps(value).encode()
        self.head(status, "application/json", f"content-length: {len(body)}", *headers)
        self.writer.write(body)
        await self.writer.drain()

    async def begin_stream(self):
        self.head(200, "text/event-stream", "cache-control: no-cache", "transfer-encoding: chunked")
        await self.writer.drain()

    async def chunk(self, data):
        self.writer.write(b"%x\r\n%s\r\n" % (len(data), data))
        await self.writer.drain()

    async def event(self, value):
        await self.chunk(b"data: " + (value if isinstance(value, bytes) else json.dumps(value).encode()) + b"\n\n")

    async def end_stream(self):
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()

    def reset(self):
        linger_zero = struct.pack("ii", 1, 0)          # makes close() send a reset instead of a FIN
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_zero)
        self.writer.transport.abort()


def completion(request, content, finish="stop", **message):
    return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1700000000, "model": request.model, "usage": USAGE,
            "choices": [{"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": content, **message}}]}


def delta(request, finish=None, **fields):
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": request.model,
            "choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


async def finish(request, answer, reason="stop"):
    await answer.event(delta(request, finish=reason))
    if (request.json.get("stream_options") or {}).get("include_usage"):
        await answer.event({**delta(request), "choices": [], "usage": USAGE})
    await answer.event(b"[DONE]")
    await answer.end_stream()


async def instant(request, answer):
    """`chunks` numbered words, `delay_ms` apart; the marker comes back in the first."""
    words = [request.knobs.get("marker", "word")] + [f" {n}" for n in range(1, int(request.number("chunks", 3)))]
    delay = request.number("delay_ms", 0) / 1000
    if not request.streamed:
        await asyncio.sleep(delay * len(words))
        return await answer.whole(200, completion(request, "".join(words)))
    await answer.begin_stream()
    await answer.event(delta(request, role="assistant", content=""))
    for word in words:
        await answer.event(delta(request, content=word))
        await asyncio.sleep(delay)
    await finish(request, answer)


async def slow(request, answer):
    await asyncio.sleep(request.number("wait_s", 5))
    await instant(request, answer)


async def tools(request, answer):
    """A tool call, its arguments in five pieces."""
    arguments = ['{"ord', 'er": "A', "-17", '", "lines": [1, 2', "]}"]
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "get_order", "arguments": ""}}
    if not request.streamed:
        call = {"id": "call_1", "type": "function", "function": {"name": "get_order", "arguments": "".join(arguments)}}
        return await answer.whole(200, completion(request, None, "tool_calls", tool_calls=[call]))
    await answer.begin_stream()
    await answer.event(delta(request, role="assistant", content=None, tool_calls=[call]))
    for piece in arguments:
        await answer.event(delta(request, tool_calls=[{"index": 0, "function": {"arguments": piece}}]))
    await finish(request, answer, "tool_calls")


async def echo(request, answer):
    """Answers with the request as it arrived, so that a test sees what the gateway did to it."""
    await answer.whole(200, completion(request, json.dumps({"body": request.body.decode(), "headers": request.headers})))


async def error_event(request, answer):
    error = {"error": {"message": "the engine died", "type": "server_error", "param": None, "code": "engine_dead"}}
    if not request.streamed:
        return await answer.whole(500, error)
    await answer.begin_stream()
    await answer.event(delta(request, content="two "))
    await answer.event(delta(request, content="words"))
    await answer.event(error)
    await answer.end_stream()


async def cut(request, answer):
    await answer.begin_stream()
    await answer.event(delta(request, content="two "))
    await answer.event(delta(request, content="words"))
    answer.reset()


async def stall(request, answer):
    """Content once, then comments for ever: comments are no sign of life."""
    await answer.begin_stream()
    await answer.event(delta(request, content="one"))
    while True:
        await asyncio.sleep(0.05)
        await answer.chunk(b": still here\n\n")


async def busy(request, answer):
    error = {"error": {"message": "slow down", "type": "rate_limit_error", "param": None, "code": "rate_limit_exceeded"}}
    await answer.whole(429, error, "retry-after: 1")


async def replay(request, answer):
    """A recorded stream up to byte `cut` (whole and well ended without it), then the end that `end` names: close (a clean
    FIN), reset, or chunked (a FIN inside the chunked framing)."""
    data = (STREAMS / (request.knobs["stream"] + ".sse")).read_bytes()[: int(request.number("cut", 1 << 30))]
    end = request.knobs.get("end", "chunked")
    if end == "chunked":
        await answer.begin_stream()
        if data:
            await answer.chunk(data)
        if "cut" not in request.knobs:
            return await answer.end_stream()
        return answer.writer.close()
    answer.head(200, "text/event-stream", "connection: close")
    answer.writer.write(data)
    await answer.writer.drain()
    if end == "reset":
        await asyncio.sleep(0.002)           # let the bytes leave before the reset discards them
        return answer.reset()
    answer.writer.close()


async def broken(request, answer):
    await answer.whole(500, {"error": {"message": "boom", "type": "server_error", "param": None, "code": None}})


async def limited(request, answer):
    """A rate limit that does not say how long to wait."""
    await answer.whole(429, {"error": {"message": "slow down", "type": "rate_limit_error", "param": None, "code": None}})


async def flaky(request, answer, turn=itertools.count()):
    """Fails four of five, so that a breaker that counts failures in a row stays closed."""
    await (instant if next(turn) % 5 == 4 else broken)(request, answer)


async def hang_up(request, answer):
    answer.reset()


async def silent(request, answer):
    await answer.until_gone()


async def hold(request, answer):
    """One word, and then nothing."""
    await answer.begin_stream()
    await answer.event(delta(request, content="one"))
    await answer.until_gone()


BEHAVIOURS = {"instant": instant, "slow": slow, "tools": tools, "echo": echo, "error-event": error_event, "cut": cut,
              "stall": stall, "busy": busy, "replay": replay, "broken": broken, "limited": limited,
              "flaky": flaky, "hang-up": hang_up, "silent": silent, "hold": hold}


class Upstream:
    def __init__(self, log):
        self.log = open(log, "a", buffering=1) if log else None

    def note(self, what, request):
        if self.log:
            self.log.write(json.dumps({"at": time.time(), "what": what, "marker": request.knobs.get("marker"),
                                       "model": request.model, "streamed": request.streamed}) + "\n")

    async def serve(self, reader, writer):
        request = None
        try:
            while request := await self.read(reader):
                self.note("got", request)
                answer = Answer(writer, reader)
                if request.path.endswith("/models"):
                    await answer.whole(200, {"object": "list", "data": [{"id": name, "object": "model"} for name in BEHAVIOURS]})
                else:
                    await BEHAVIOURS.get(request.model, instant)(request, answer)
                self.note("served", request)
                if writer.is_closing():
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            if request:
                self.note("gone", request)
        finally:
            writer.close()

    async def read(self, reader):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        body = b""
        if "chunked" in headers.get("transfer-encoding", ""):
            while size := int(await reader.readline(), 16):
                body += (await reader.readexactly(size + 2))[:-2]
            await reader.readline()
        else:
            body = await reader.readexactly(int(headers.get("content-length", 0)))
        return Request(first.split()[1], headers, body)


async def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, default=0)
    arguments.add_argument("--log")
    options = arguments.parse_args()
    server = await asyncio.start_server(Upstream(options.log).serve, "127.0.0.1", options.port, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit(0)
