"""What Gemini answers, whole and as the chunks of a stream."""

from __future__ import annotations

import brain
from standins.base import Reply, Stream, sse

FINISH = {"stop": "STOP", "stop_sequence": "STOP", "tool_calls": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"}


def write(answer: brain.Answer, parts: list[dict], config: dict, model: str) -> dict:
    candidate = {"content": {"role": "model", "parts": parts}, "finishReason": FINISH[answer.finish]}
    if answer.finish == "content_filter":
        candidate["safetyRatings"] = [{"category": "HARM_CATEGORY_HARASSMENT", "probability": "HIGH", "blocked": True}]
    if config.get("responseLogprobs"):
        candidate |= {"avgLogprobs": -0.5, "logprobsResult": logprobs(answer.text, config.get("logprobs", 0))}
    usage = answer.usage
    counts = {
        "promptTokenCount": usage.input, "candidatesTokenCount": usage.output - usage.reasoning,
        "thoughtsTokenCount": usage.reasoning, "cachedContentTokenCount": usage.cached,
        "totalTokenCount": usage.input + usage.output,
    }
    return {
        "candidates": [candidate | {"index": index} for index in range(config.get("candidateCount", 1))],
        "usageMetadata": {name: count for name, count in counts.items() if count}
        | {"promptTokensDetails": [{"modality": "TEXT", "tokenCount": usage.input}]},
        "modelVersion": model, "responseId": f"r{answer.digest}",
    }


def logprobs(text: str, top: int) -> dict:
    tokens = [{"token": token, "tokenId": index, "logProbability": -0.5} for index, token in enumerate(brain.tokens(text))]
    return {"chosenCandidates": tokens, "topCandidates": [{"candidates": [token] * max(top, 1)} for token in tokens]}


def chunks(whole: dict, count: int):
    """The answer as the chunks of a stream: pieces of text, calls whole, the finish reason and a text's signature last."""
    final, about = whole["usageMetadata"], {"modelVersion": whole["modelVersion"], "responseId": whole["responseId"]}
    candidate = whole["candidates"][0]
    pieces, last = [], {"text": ""}
    for part in candidate["content"]["parts"]:
        if "functionCall" in part:
            pieces.append(part)
            continue
        pieces += [part | {"text": piece} for piece in brain.pieces(part["text"])]
        if signed := part.get("thoughtSignature"):
            last["thoughtSignature"] = signed
    spent = {"thoughtsTokenCount": 0, "candidatesTokenCount": 0}
    for piece in pieces:
        kept = {name: value for name, value in piece.items() if name != "thoughtSignature" or "functionCall" in piece}
        spent["thoughtsTokenCount" if piece.get("thought") else "candidatesTokenCount"] += len(
            brain.tokens(piece.get("text", ""))
        )
        so_far = {"promptTokenCount": final["promptTokenCount"]} | {name: n for name, n in spent.items() if n}
        so_far["totalTokenCount"] = sum(so_far.values())
        for index in range(count):
            yield sse(
                {"candidates": [{"content": {"role": "model", "parts": [kept]}, "index": index}], "usageMetadata": so_far}
                | about
            )
    for index in range(count):
        end = {name: value for name, value in candidate.items() if name != "content"} | {"index": index}
        yield sse({"candidates": [{"content": {"role": "model", "parts": [last]}} | end], "usageMetadata": final} | about)


def blocked(conversation: brain.Conversation, model: str, stream: bool):
    """No candidates at all."""
    spent = brain.count(brain.Answer(), conversation).input
    body = {
        "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "modelVersion": model, "responseId": f"r{conversation.digest()}",
        "usageMetadata": {"promptTokenCount": spent, "totalTokenCount": spent},
    }
    return Stream([sse(body)]) if stream else Reply(200, body)
