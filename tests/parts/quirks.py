"""Servers that get one thing wrong, as servers in use do: the scripted vendor under the model name `quirk-ROW`, for a row of the table in
docs/reference/capabilities.md. `TREATED` is what the suites' config declares about each."""
import json

from parts.failure import Failure

TREATED = {
    "max_completion_tokens": "rename", "stop_string": "fix", "stream_done": "fix", "stream_usage": "fix", "tools_auto": "fix", "tools_stream": "fix",
    "tools_finish_reason": "fix", "tool_choice_none": "fix", "tool_strict": "fix", "developer_role": "fix", "text_parts": "fix", "context_length": "fix",
    "error_envelope": "fix", "embeddings": "fix", "embeddings_base64": "fix", "answer_members": "fix", "stream_errors": None,
    "unknown_fields": "drop", "vendor_fields": "drop", "parallel_tool_calls": "drop", "stream_options": "drop", "reasoning_effort": "drop",
    "seed": "drop", "logit_bias": "drop"}
LEAK = '<tool_call>\n{"name": "get_order", "arguments": {"order": "A-17"}}\n</tool_call>'
VENDOR_FIELDS = {"user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key"}


def refuse(is_so, message):
    if is_so:
        raise Failure(422, message)


def ask(row, body):
    """The request as this server takes it; what it does not take is a 422."""
    messages = body.get("messages", [])
    refuse(row == "stop_string" and isinstance(body.get("stop"), str), "stop: a list is expected")
    refuse(row == "tool_strict" and any("strict" in tool["function"] for tool in body.get("tools", [])), "strict: extra inputs are not permitted")
    refuse(row == "developer_role" and any(turn["role"] == "developer" for turn in messages), "Unexpected role: developer")
    refuse(row == "text_parts" and any(isinstance(turn["content"], list) for turn in messages), "content: a text is expected")
    refuse(row == "unknown_fields" and any(name.startswith("x_") for name in body), "extra inputs are not permitted")
    refuse(row == "vendor_fields" and body.keys() & VENDOR_FIELDS, "extra inputs are not permitted")
    refuse(row in ("parallel_tool_calls", "stream_options", "reasoning_effort", "seed", "logit_bias") and row in body, f"{row}: extra inputs are not permitted")
    if row == "tool_choice_none":
        return {**body, "tool_choice": "auto"}
    if row == "embeddings_base64":
        return {**body, "encoding_format": "float"}
    if row == "stream_usage":
        return {**body, "stream_options": {"include_obfuscation": False}}
    return body


def refused(row, body):
    """A refusal in this server's words."""
    if row == "context_length":
        message = "request (9000 tokens) exceeds the available context size (4096 tokens), try increasing it"
        return {"error": {"code": 400, "message": message, "type": "exceed_context_size_error", "n_prompt_tokens": 9000, "n_ctx": 4096}}
    return {"detail": body["error"]["message"]} if row == "error_envelope" else body


def whole(row, body, answer):
    """A whole answer as this server gives it."""
    answer = json.loads(json.dumps(answer))
    if row == "embeddings":
        for one in answer["data"]:
            one["embedding"] = [one["embedding"], one["embedding"]]
    for choice in answer.get("choices", []):
        if row == "max_completion_tokens" and "max_tokens" in body:
            choice.update(finish_reason="length", message={**choice["message"], "content": "Your order"})
        if row == "tools_auto" and choice["message"].get("tool_calls"):
            choice.update(finish_reason="stop", message={"role": "assistant", "content": LEAK})
        if row == "tools_finish_reason" and choice["finish_reason"] == "tool_calls":
            choice["finish_reason"] = "stop"
        if row == "answer_members":
            choice.pop("logprobs")
            choice["message"].pop("refusal")
    return answer


def stream(row, events):
    """The events of a stream as this server sends them."""
    if row == "stream_done":
        return events[:-1]
    if row == "stream_errors":
        return [{"error": {"message": "too many tools", "type": "invalid_request_error", "code": "invalid_tools", "param": None}}]
    if row == "stream_usage":
        last = {**events[-2], "usage": {"prompt_tokens": 9, "completion_tokens": 6, "total_tokens": 15}}
        return [*events[:-2], last, events[-1]]
    if row == "tools_stream":
        first, chunk = events[0], json.loads(json.dumps(events[0]))
        chunk["choices"][0]["delta"] = {"content": None}
        said = [{**chunk, "choices": [{**chunk["choices"][0], "delta": {"content": piece}}]} for piece in (LEAK[:5], LEAK[5:40], LEAK[40:])]
        return [first, *said, {**chunk, "choices": [{**chunk["choices"][0], "delta": {}, "finish_reason": "stop"}]}, "[DONE]"]
    return events
