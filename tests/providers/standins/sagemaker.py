"""SageMaker's runtime before a container that speaks OpenAI (vLLM, TGI, DJL): signed, and streams in PayloadPart frames whose
borders have nothing to do with those of the events inside."""

from __future__ import annotations

import contextlib
import itertools

import brain
from standins import openai_direct
from standins.aws import AwsStandIn, event_frame, exception_frame, spoiled
from standins.base import Refused, Reply, Request, Stream, refuse, troubled


class ModelError(Refused):
    """The container refuses; the service says so with a 424 around it."""

    def __init__(self, inner: Refused):
        super().__init__(424, inner.message, "ModelError")
        self.inner = inner


class SageMaker(AwsStandIn):
    name = "sagemaker"
    service = "sagemaker"

    def __init__(self, credentials=None, endpoints: tuple[str, ...] = ("llm-endpoint",)):
        super().__init__(credentials)
        self.endpoints = endpoints

    def routes(self):
        at = r"/endpoints/(?P<endpoint>[a-zA-Z0-9](-*[a-zA-Z0-9])*)"
        return [("POST", f"{at}/invocations", self.invoke), ("POST", f"{at}/invocations-response-stream", self.invoke_stream)]

    def refused(self, refusal: Refused, request: Request) -> Reply:
        if not isinstance(refusal, ModelError):
            return super().refused(refusal, request)
        inner = brain.compact(openai_direct.error_body(refusal.inner))
        side = "client" if refusal.inner.status < 500 else "server"
        return Reply(424, {
            "ErrorCode": f"{side.upper()}_ERROR_FROM_MODEL", "LogStreamArn": "", "OriginalMessage": inner,
            "Message": f'Received {side} error ({refusal.inner.status}) from primary with message "{inner}". See '
                       "https://us-east-1.console.aws.amazon.com/cloudwatch in account 123456789012 for more information.",
            "OriginalStatusCode": refusal.inner.status,
        }, {"x-amzn-errortype": "ModelError"})

    @contextlib.contextmanager
    def container(self):
        try:
            yield
        except (Refused, brain.Failure) as error:
            raise ModelError(error if isinstance(error, Refused) else self.refusal(error))

    def check(self, request: Request) -> dict:
        self.authorize(request)
        if request.arg("endpoint") not in self.endpoints:
            raise Refused(400, f"Endpoint {request.arg('endpoint')} of account 123456789012 not found.", "ValidationError")
        return request.json()

    def invoke(self, request: Request):
        body = self.check(request)
        if body.get("stream"):
            refuse("the stand-in streams only from invocations-response-stream")
        with self.container():
            return (openai_direct.embeddings if "input" in body else openai_direct.chat)(self, request, named(body))

    def invoke_stream(self, request: Request) -> Stream:
        body = self.check(request)
        if body.get("stream") is not True:
            refuse("the container streams only with stream: true in the body")
        with self.container():
            answer = self.think(request, openai_direct.read(named(body)))
        usage = (body.get("stream_options") or {}).get("include_usage", False)
        late = exception_frame(
            "ModelStreamError", {"Message": "the container broke off", "ErrorCode": "ModelInvocationTimeExceeded"})
        broken = spoiled(event_frame("PayloadPart", b"data: {}\n\n"))
        parts = list(payload_parts(openai_direct.chunks(answer, "container", usage)))
        return Stream(troubled(parts, answer.trouble, late, broken), "application/vnd.amazon.eventstream",
                      {"x-amzn-sagemaker-content-type": "text/event-stream"})


def named(body: dict) -> dict:
    """A container serves one model: the body need not name it."""
    return body | {"model": body.get("model", "container")}


def payload_parts(events):
    """The container's bytes, cut into frames in the middle of events, lines and characters."""
    whole, at = b"".join(events), 0
    for size in itertools.cycle((33, 5, 1, 250, 18)):
        if at >= len(whole):
            return
        yield event_frame("PayloadPart", whole[at : at + size])
        at += size
