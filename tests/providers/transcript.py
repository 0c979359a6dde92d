"""One program, any provider: it uses nothing but the `openai` SDK, and says as JSON what it got.

    transcript.py --base-url http://127.0.0.1:4000/v1 --model claude [--embedding-model titan] [--key K] [CASE...]

A transcript has one entry per case, with what may differ from provider to provider left out: ids, times, the model's name.
JSON texts (arguments of calls, structured output) are read, so that only their meaning counts. Errors are written as
their class, status, type and param, and whether the provider's own message came through (`code` is its own word).
"""

from __future__ import annotations

import argparse
import base64
import json
import sys

import openai

import brain
from material import PNG, SCHEMA, TOOLS

TOOL_PARAMS = [
    {"type": "function", "function": {"name": name, "description": about, "parameters": schema}} for name, about, schema in TOOLS
]
PING = {"type": "function", "function": {"name": "ping", "parameters": {"type": "object", "properties": {}}}}
FORMAT = {"type": "json_schema", "json_schema": {"name": "animal", "strict": True, "schema": SCHEMA}}
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + base64.b64encode(PNG).decode()}}
HISTORY = [
    {"role": "system", "content": "Be brief. é"},
    {"role": "user", "content": "My name is 漢."},
    {"role": "assistant", "content": "Hello 漢 🙂!"},
    {"role": "user", "content": "What is my name?"},
]


class Program:
    def __init__(self, base_url: str, model: str, embedding_model: str | None = None, key: str = "sk-anything"):
        self.client = openai.OpenAI(base_url=base_url, api_key=key, max_retries=0, timeout=20)
        self.model, self.embedding_model = model, embedding_model

    # ---- asking

    def asked(self, messages, **more) -> tuple[dict, dict]:
        """The answer's message, to be given back as it is, and its normal form."""
        answer = self.client.chat.completions.create(model=self.model, messages=talk(messages), **more)
        assert answer.object == "chat.completion" and answer.id and answer.created, answer
        assert len(answer.choices) == 1 and answer.choices[0].index == 0, answer
        message = answer.choices[0].message
        calls = [(call.id, call.function.name, call.function.arguments) for call in message.tool_calls or []]
        return message.model_dump(exclude_none=True), normal(
            message.role, message.content, getattr(message, "reasoning_content", None), calls,
            answer.choices[0].finish_reason, answer.usage,
        )

    def streamed(self, messages, **more) -> tuple[dict, dict]:
        """The same from the pieces of a stream, put together as a careful program does it."""
        more.setdefault("stream_options", {"include_usage": True})
        message, calls, reasons, usage, ids = {"content": "", "reasoning_content": ""}, {}, [], None, set()
        for chunk in self.client.chat.completions.create(model=self.model, messages=talk(messages), stream=True, **more):
            if not ids and not (chunk.id or chunk.choices):
                continue  # Azure begins with its verdict on the prompt
            assert chunk.object == "chat.completion.chunk" and usage is None, f"a chunk after the usage: {chunk}"
            ids.add(chunk.id)
            usage = chunk.usage
            for choice in chunk.choices:
                assert not reasons, f"a choice after the finish reason: {chunk}"
                delta = choice.delta
                if "role" not in message:
                    assert delta.role, f"the first chunk names no role: {chunk}"
                    message["role"] = delta.role
                message["content"] += delta.content or ""
                message["reasoning_content"] += getattr(delta, "reasoning_content", None) or ""
                if blocks := getattr(delta, "thinking_blocks", None):
                    message.setdefault("thinking_blocks", []).extend(blocks)
                for call in delta.tool_calls or []:
                    merge_call(calls, call)
                if choice.finish_reason:
                    reasons.append(choice.finish_reason)
        assert len(ids) == 1 and "" not in ids, f"chunks with ids {ids}"
        assert list(calls) == list(range(len(calls))), f"indexes of calls: {list(calls)}"
        pieces = list(calls.values())
        if calls:
            message["tool_calls"] = [
                call["extra"] | {"id": call["id"], "type": "function",
                                 "function": {"name": call["name"], "arguments": call["arguments"]}} for call in pieces
            ]
        return {name: value for name, value in message.items() if value}, normal(
            message.get("role"), message["content"], message["reasoning_content"],
            [(call["id"], call["name"], call["arguments"]) for call in pieces], reasons[0] if reasons else None, usage,
        )

    def plain(self, messages, **more) -> dict:
        return self.asked(messages, **more)[1]

    def stream(self, messages, **more) -> dict:
        return self.streamed(messages, **more)[1]

    def error(self, ask, text, code: bool = False) -> dict:
        try:
            ask(text)
        except openai.APIError as error:
            body = error.body if isinstance(error.body, dict) else {}
            if code:
                return {"class": type(error).__name__, "code": body.get("code")}
            return {
                "class": type(error).__name__, "status": getattr(error, "status_code", None), "type": body.get("type"),
                "param": body.get("param"),
                "provider's words": any(words in str(error) for _, words in brain.FAILURES.values()),
            }
        return {"class": None}

    # ---- the cases of chat

    def case_plain(self):
        return self.plain("Hi 漢 🙂")

    def case_turns(self):
        return self.plain(HISTORY)

    def case_two_systems(self):
        return self.plain([{"role": "system", "content": "One."}, {"role": "developer", "content": "Two."}, HISTORY[1]])

    def case_text_parts(self):
        parts = [{"type": "text", "text": "first"}, {"type": "text", "text": "second 漢"}]
        return self.plain([{"role": "user", "content": parts}])

    def case_two_users(self):
        """Neighbours of one role."""
        return self.plain([{"role": "user", "content": "first"}, {"role": "user", "content": "second"}])

    def case_cached(self):
        return self.plain([{"role": "system", "content": "This text is cached. " * 9}, HISTORY[1]])

    def case_stream(self):
        return self.stream(HISTORY)

    def case_stream_slow(self):
        return self.stream("slow")

    def case_stream_without_usage(self):
        return self.stream(HISTORY, stream_options={"include_usage": False})

    def case_tools(self):
        """Two calls at once, results in a second request in the other order, and a third."""
        return self.tools(self.asked, "What is the weather?")

    def case_tools_explained(self):
        """Text before the calls."""
        return self.tools(self.asked, "explain the weather")

    def case_tools_stream(self):
        return self.stream("explain the weather", tools=TOOL_PARAMS)

    def case_tools_results_stream(self):
        return self.tools(self.streamed, "What is the weather?")

    def tools(self, ask, question: str, **more):
        """A question, results of the calls, and a word more."""
        messages = [HISTORY[0], {"role": "user", "content": question}]
        message, first = ask(messages, tools=TOOL_PARAMS, **more)
        messages.append(message)
        for index, call in enumerate(reversed(message.get("tool_calls", []))):
            text = f"{call['function']['name']}: 18 °C 漢"
            content = [{"type": "text", "text": text}] if index else text
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": content})
        message, second = ask(messages, tools=TOOL_PARAMS, **more)
        messages += [message, {"role": "user", "content": "Thanks"}]
        return [first, second, ask(messages, tools=TOOL_PARAMS, **more)[1]]

    def case_tools_not_parallel(self):
        return self.plain("What is the weather?", tools=TOOL_PARAMS, parallel_tool_calls=False)

    def case_choice_auto(self):
        return self.plain("Hello", tools=TOOL_PARAMS, tool_choice="auto")

    def case_choice_required(self):
        return self.plain("Hello", tools=TOOL_PARAMS, tool_choice="required")

    def case_choice_named(self):
        choice = {"type": "function", "function": {"name": "get_time"}}
        return self.plain("Hello", tools=TOOL_PARAMS, tool_choice=choice)

    def case_choice_none(self):
        return self.plain("What is the weather?", tools=TOOL_PARAMS, tool_choice="none")

    def case_tool_without_arguments(self):
        return [ask("Hello", tools=[PING], tool_choice="required") for ask in (self.plain, self.stream)]

    def case_image(self):
        return self.plain([{"role": "user", "content": [{"type": "text", "text": "What is it?"}, PICTURE]}])

    def case_image_url(self):
        picture = {"type": "image_url", "image_url": {"url": "https://example.com/a/cat.png"}}
        return self.plain([{"role": "user", "content": [{"type": "text", "text": "What is it?"}, picture]}])

    def case_json_object(self):
        """Some providers get it as an instruction: usage is not compared."""
        got = reading(self.plain("Answer as JSON", response_format={"type": "json_object"}))
        return {"is": type(got["content"]).__name__, "finish": got["finish"]}

    def case_structured(self):
        return reading(self.plain("An animal", response_format=FORMAT))

    def case_structured_stream(self):
        return reading(self.stream("An animal", response_format=FORMAT))

    def case_reasoning(self):
        return self.plain("Hi 漢", reasoning_effort="low", max_completion_tokens=3000)

    def case_reasoning_stream(self):
        return self.stream("Hi 漢", reasoning_effort="high", max_completion_tokens=9000)

    def case_reasoning_tools(self):
        """The assistant's message goes back with all its extra fields: what is signed must still hold."""
        return self.tools(self.asked, "explain the weather", reasoning_effort="medium", max_completion_tokens=6000)

    def case_reasoning_tools_stream(self):
        return self.tools(self.streamed, "explain the weather", reasoning_effort="medium", max_completion_tokens=6000)

    def case_stop(self):
        return [self.plain("count", stop=["STOP", "never"]), self.plain("count", stop="three")]

    def case_length(self):
        return [self.plain("a long story", max_tokens=17), self.plain("a long story", max_completion_tokens=11)]

    def case_length_stream(self):
        return self.stream("a long story", max_tokens=17)

    def case_filter(self):
        return self.plain("fail filter")

    def case_error_400(self):
        return self.error(self.plain, "fail 400")

    def case_error_429(self):
        return self.error(self.plain, "fail 429")

    def case_error_context(self):
        """Every provider has its own words for it; the code is ours."""
        return self.error(self.plain, "fail context", code=True)

    def case_error_400_stream(self):
        return self.error(self.stream, "fail 400")

    # ---- the cases of embeddings

    def embeddings(self, texts, **more):
        answer = self.client.embeddings.create(model=self.embedding_model, input=texts, **more)
        assert answer.object == "list" and [one.index for one in answer.data] == list(range(len(answer.data)))
        usage = {"prompt": answer.usage.prompt_tokens, "total": answer.usage.total_tokens}
        return {"vectors": [one.embedding for one in answer.data], "usage": usage}

    def case_embedding_floats(self):
        return self.embeddings("é 漢字", encoding_format="float")

    def case_embedding_default(self):
        """The SDK asks for base64 by itself."""
        return self.embeddings(["one", "two 漢", "three"])

    def case_embedding_dimensions(self):
        return self.embeddings(["one", "two"], dimensions=256)

    def case_embedding_error(self):
        return self.error(self.embeddings, "fail 400")


def talk(messages) -> list:
    return [{"role": "user", "content": messages}] if isinstance(messages, str) else messages


def merge_call(calls: dict, delta):
    """One piece of a call: id and name once, arguments in pieces, anything else kept to be given back."""
    if delta.index not in calls:
        assert delta.id and delta.function.name, f"the first piece of a call has no id or name: {delta}"
        calls[delta.index] = {"id": delta.id, "name": delta.function.name, "arguments": "", "extra": {}}
    else:
        assert not delta.id and not delta.function.name, f"a call's id or name comes twice: {delta}"
    calls[delta.index]["arguments"] += delta.function.arguments or ""
    calls[delta.index]["extra"] |= delta.model_extra or {}


def normal(role, text, reasoning, calls, reason, usage) -> dict:
    ids = [id for id, _, _ in calls]
    assert all(ids) and len(set(ids)) == len(ids), f"ids of calls: {ids}"
    return {
        "role": role, "content": text or None, "reasoning": reasoning or None,
        "calls": [[name, json.loads(arguments)] for _, name, arguments in calls], "finish": reason,
        "usage": None if usage is None else normal_usage(usage),
    }


def normal_usage(usage) -> dict:
    prompt, completion = usage.prompt_tokens_details, usage.completion_tokens_details
    return {
        "prompt": usage.prompt_tokens, "completion": usage.completion_tokens, "total": usage.total_tokens,
        "cached": (prompt and prompt.cached_tokens) or 0,
        "cache_write": (prompt and getattr(prompt, "cache_write_tokens", 0)) or 0,
        "reasoning": (completion and completion.reasoning_tokens) or 0,
    }


def reading(answer: dict) -> dict:
    """An answer whose content is JSON."""
    return answer | {"content": json.loads(answer["content"])}


CASES = [name.removeprefix("case_") for name in vars(Program) if name.startswith("case_")]
EMBEDDING_CASES = [name for name in CASES if name.startswith("embedding_")]
CHAT_CASES = [name for name in CASES if name not in EMBEDDING_CASES]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--embedding-model")
    parser.add_argument("--key", default="sk-anything")
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}")
    options = parser.parse_args()
    program = Program(options.base_url, options.model, options.embedding_model, options.key)
    cases = options.cases or (CASES if options.embedding_model else CHAT_CASES)
    json.dump({name: getattr(program, f"case_{name}")() for name in cases}, sys.stdout, indent=1, ensure_ascii=False)


if __name__ == "__main__":
    main()
