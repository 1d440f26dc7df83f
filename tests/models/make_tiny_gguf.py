#!/usr/bin/env python3
"""Writes a tiny Llama as a GGUF file: `make_tiny_gguf.py SEED PATH`. Standard library only, the same bytes for the same seed.

The weights are random, so the answers are word salad; what the tests need is a real engine behind the gateway, and two
seeds give two models that differ. Two things are not left to chance. Hidden dimension 0 is a constant that no layer
touches, which gives every token a bias: whole words are likely, single characters possible (a JSON grammar needs them),
bytes outside ASCII practically never. And the end token is likely enough that answers stop after some 40 tokens.

One thing it does on purpose: asked about the weather with a tool at hand, it calls `get_weather` for Paris in the words of
Hermes and Qwen. The template then ends the prompt with a token of its own, and from that token on each of a chain of tokens
is certain to bring the next, in hidden dimensions that nothing else writes to.
"""
import array, random, struct, sys

WIDTH, HEADS, KV_HEADS, FEED_FORWARD, LAYERS, CONTEXT = 128, 4, 2, 256, 2, 8192
HEAD = WIDTH // HEADS
CONSTANT = 8.0           # value of hidden dimension 0
NORMED = 6.0             # about what dimension 0 is after the last norm; turns a wanted bias into a weight

WORDS = """the it your our this that we you is was has can will may please thank order invoice refund account payment
delivery parcel shipping address customer support ticket request answer question help team person policy return exchange
warranty price amount card bank transfer date day days week month hours soon now today tomorrow yesterday status open
closed pending late early new old first second next last more less than with without for from to of in on at by and or
but not yes no if when where how why what who because so then there here been sent received checked confirmed changed
cancelled updated shipped paid issued found lost missing damaged broken wrong right correct email phone number name
password link page form document contract subscription plan service product item size color model""".split()
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|pad|>", "<|calls|>"]
END = SPECIAL.index("<|im_end|>")
# What follows on `<|calls|>`, one token each, and then the end.
# At most 32 bytes each: llama-cpp-python loses longer ones.
CALL = ["<tool_call>", '\n{"name": "get_weather",', ' "arguments": {"city":', ' "Paris"}}\n', "</tool_call>"]
LINK = 60.0              # value of the hidden dimension that stands for a token of the chain

CHAT_TEMPLATE = (
    "{%- if tools %}<|im_start|>system\nTools, one JSON signature per line:\n<tools>"
    "{%- for tool in tools %}\n{{ tool | tojson }}{%- endfor %}\n</tools>\n"
    "Call one with <tool_call>\n{\"name\": ..., \"arguments\": ...}\n</tool_call><|im_end|>\n{% endif %}"
    "{%- for message in messages %}<|im_start|>{{ message.role }}\n{% if message.content %}{{ message.content }}{% endif %}"
    "{%- for call in message.tool_calls or [] %}\n<tool_call>\n{\"name\": \"{{ call.function.name }}\", \"arguments\": "
    "{{ call.function.arguments if call.function.arguments is string else call.function.arguments | tojson }}}\n</tool_call>{% endfor %}"
    "<|im_end|>\n{% endfor %}"
    "{%- if add_generation_prompt %}<|im_start|>assistant\n"
    "{%- if tools and messages[-1].content is string and 'weather' in messages[-1].content %}<|calls|>{% endif %}{% endif %}"
)


def byte_symbols():
    """GPT-2's printable stand-in for each byte: bytes that print stand for themselves, the rest for 256, 257, …"""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in printable]
    return {**{byte: chr(byte) for byte in printable}, **{byte: chr(256 + n) for n, byte in enumerate(rest)}}


def vocabulary():
    """(token text, token type, wanted bias of its logit) in id order. Types: 1 normal, 3 control."""
    symbols, space = byte_symbols(), byte_symbols()[32]
    tokens = [(text, 3, -30.0) for text in SPECIAL]
    tokens[END] = (SPECIAL[END], 3, 1.2)
    for byte in range(256):
        tokens.append((symbols[byte], 1, -6.0 if 32 <= byte < 127 else -30.0))
    tokens += [(space + word, 1, 0.0) for word in dict.fromkeys(WORDS)]
    tokens += [("".join(symbols[byte] for byte in text.encode()), 1, -30.0) for text in CALL]
    return tokens


def tensors(rng, tokens):
    """(name, shape with the contiguous dimension first, values). Drawn in this order: the order is part of the format."""
    def uniform(rows, columns, bound):
        return array.array("f", ((2 * rng.random() - 1) * bound for _ in range(rows * columns)))

    def leaves_constant(values, columns):
        rows = 1 + len(chain)                                     # row n writes hidden dimension n
        values[:columns * rows] = array.array("f", [0.0] * (columns * rows))
        return values

    chain = [SPECIAL.index("<|calls|>"), *range(len(tokens) - len(CALL), len(tokens))]
    ones = array.array("f", [1.0] * WIDTH)
    embedding = uniform(len(tokens), WIDTH, 1.7)
    output = uniform(len(tokens), WIDTH, 0.3)
    for token, (_, _, bias) in enumerate(tokens):
        embedding[token * WIDTH] = CONSTANT
        output[token * WIDTH] = bias / NORMED
        for link in range(1, 1 + len(chain)):
            embedding[token * WIDTH + link] = output[token * WIDTH + link] = 0.0
    for link, (token, follows) in enumerate(zip(chain, [*chain[1:], END]), 1):
        embedding[token * WIDTH + link] = LINK
        output[follows * WIDTH + link] = 8.0
    yield "token_embd.weight", (WIDTH, len(tokens)), embedding
    for layer in range(LAYERS):
        at = f"blk.{layer}."
        yield at + "attn_norm.weight", (WIDTH,), ones
        yield at + "attn_q.weight", (WIDTH, HEAD * HEADS), uniform(HEAD * HEADS, WIDTH, 0.15)
        yield at + "attn_k.weight", (WIDTH, HEAD * KV_HEADS), uniform(HEAD * KV_HEADS, WIDTH, 0.15)
        yield at + "attn_v.weight", (WIDTH, HEAD * KV_HEADS), uniform(HEAD * KV_HEADS, WIDTH, 0.15)
        yield at + "attn_output.weight", (HEAD * HEADS, WIDTH), leaves_constant(uniform(WIDTH, HEAD * HEADS, 0.15), WIDTH)
        yield at + "ffn_norm.weight", (WIDTH,), ones
        yield at + "ffn_gate.weight", (WIDTH, FEED_FORWARD), uniform(FEED_FORWARD, WIDTH, 0.15)
        yield at + "ffn_up.weight", (WIDTH, FEED_FORWARD), uniform(FEED_FORWARD, WIDTH, 0.15)
        yield at + "ffn_down.weight", (FEED_FORWARD, WIDTH), leaves_constant(uniform(WIDTH, FEED_FORWARD, 0.1), FEED_FORWARD)
    yield "output_norm.weight", (WIDTH,), ones
    yield "output.weight", (WIDTH, len(tokens)), output


def metadata(seed, tokens):
    return {
        "general.architecture": "llama", "general.name": f"tiny-{seed}", "general.file_type": 0,
        "llama.context_length": CONTEXT, "llama.embedding_length": WIDTH, "llama.block_count": LAYERS,
        "llama.feed_forward_length": FEED_FORWARD, "llama.attention.head_count": HEADS,
        "llama.attention.head_count_kv": KV_HEADS, "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.dimension_count": HEAD, "llama.rope.freq_base": 10000.0, "llama.vocab_size": len(tokens),
        "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": [text for text, _, _ in tokens], "tokenizer.ggml.token_type": [kind for _, kind, _ in tokens],
        # One merge (" a"), as the loader wants a list: prompts are read byte by byte otherwise.
        "tokenizer.ggml.merges": [byte_symbols()[32] + " a"], "tokenizer.ggml.bos_token_id": 0, "tokenizer.ggml.eos_token_id": END,
        "tokenizer.ggml.padding_token_id": 3, "tokenizer.ggml.add_bos_token": False, "tokenizer.chat_template": CHAT_TEMPLATE,
    }


def string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def value(item):
    """A GGUF value with its type tag: 4 u32, 5 i32 (in arrays), 6 f32, 7 bool, 8 string, 9 array."""
    if isinstance(item, bool):
        return struct.pack("<I?", 7, item)
    if isinstance(item, int):
        return struct.pack("<II", 4, item)
    if isinstance(item, float):
        return struct.pack("<If", 6, item)
    if isinstance(item, str):
        return struct.pack("<I", 8) + string(item)
    if isinstance(item[0], str):
        return struct.pack("<IIQ", 9, 8, len(item)) + b"".join(map(string, item))
    return struct.pack("<IIQ", 9, 5, len(item)) + struct.pack(f"<{len(item)}i", *item)


def aligned(data, to=32):
    return data + b"\0" * (-len(data) % to)


def gguf(seed):
    tokens = vocabulary()
    fields = metadata(seed, tokens)
    head, infos, body = b"", b"", b""
    for key, item in fields.items():
        head += string(key) + value(item)
    count = 0
    for name, shape, values in tensors(random.Random(seed), tokens):
        if sys.byteorder == "big":
            values = array.array("f", values); values.byteswap()
        infos += string(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, len(body))
        body += aligned(values.tobytes())
        count += 1
    return aligned(b"GGUF" + struct.pack("<IQQ", 3, count, len(fields)) + head + infos) + body


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__.splitlines()[0])
    with open(sys.argv[2], "wb") as file:
        file.write(gguf(int(sys.argv[1])))
