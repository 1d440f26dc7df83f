#!/usr/bin/env python3
"""The client of the kill test: `streams_client.py HOST:PORT LOG` keeps 64 exchanges under way until SIGTERM.

Raw sockets, so that what it says it read is what it read. One JSON line per request that reached a server:
`acknowledged` is true only when the whole body or [DONE] was read; `exchange_id` is null until headers were read. The
line is written the moment that is known, before anything else is read.
"""
import asyncio, contextlib, itertools, json, random, signal, sys, time

N_STREAMS = 64
HUNG = "no end after 20 s"
numbers = itertools.count()
ERRORS = (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError, ValueError)


async def read_head(reader):
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    return int(head[0].split()[1]), {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}


async def pieces(reader, headers):
    """The body as it comes; returns when the framing says that it is whole."""
    if "chunked" in headers.get("transfer-encoding", ""):
        while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
            yield (await reader.readexactly(size + 2))[:-2]
        await reader.readuntil(b"\r\n")
    else:
        yield await reader.readexactly(int(headers["content-length"]))


def text_of(body, streamed):
    """What the model said, as a caller would put it together."""
    if not streamed:
        return json.loads(body)["choices"][0]["message"]["content"]
    events = [json.loads(line[6:]) for line in body.split(b"\n") if line.startswith(b"data: {")]
    return "".join(choice["delta"].get("content") or "" for event in events for choice in event.get("choices", []))


async def exchange(address, log):
    marker, streamed = f"m{next(numbers)}", random.random() < 0.7
    line = {"marker": marker, "streamed": streamed, "exchange_id": None, "status": None, "acknowledged": False, "error": None}
    ask = f"marker={marker} chunks={random.randint(10, 30)} delay_ms={random.randint(5, 40)}"
    body = json.dumps({"model": "instant", "stream": streamed, "messages": [{"role": "user", "content": ask}]}).encode()
    try:
        reader, writer = await asyncio.open_connection(*address)
    except OSError:                                  # nobody there: the gateway is being restarted
        return await asyncio.sleep(0.02)
    got = b""
    try:
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n"
                     b"connection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
        line["status"], headers = await read_head(reader)
        line["exchange_id"] = headers.get("x-crossfade-exchange-id")
        async for piece in pieces(reader, headers):
            got += piece
            if streamed and got.endswith(b"data: [DONE]\n\n"):
                break
        if line["status"] == 200 and streamed and not got.endswith(b"data: [DONE]\n\n"):
            line["error"] = "ended without [DONE]"
        else:
            line["acknowledged"] = line["status"] == 200
    except ERRORS as error:
        line["error"] = f"{type(error).__name__}: {error}"
    except asyncio.CancelledError:
        line["error"] = HUNG
    line["at"] = time.time()
    if line["acknowledged"]:
        line["text"] = text_of(got, streamed)
    log.write(json.dumps(line) + "\n")
    writer.close()


async def main(address, log):
    host, port = address.split(":")
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)

    async def worker():
        while not stop.is_set():
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(exchange((host, int(port)), log), 20)

    await asyncio.gather(*(worker() for _ in range(N_STREAMS)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], open(sys.argv[2], "a", buffering=1)))
