"""Azure OpenAI: deployments below dated versions and on the v1 path, content filters, keys and tokens of Entra ID."""

from __future__ import annotations

import brain
from standins import openai_direct
from standins.base import Refused, Reply, Request, refuse, sse
from standins.flavours import Flavour
from standins.tokens import TokenStandIn, exactly, form

GATES = {
    "stream_options": "2024-09-01", "max_completion_tokens": "2024-09-01", "parallel_tool_calls": "2024-09-01",
    "reasoning_effort": "2024-12-01", "json_schema": "2024-08-01", "dimensions": "2024-03-01", "encoding_format": "2024-03-01",
}
"""Member -> the first dated version that takes it."""
SAFE = {name: {"filtered": False, "severity": "safe"} for name in ("hate", "self_harm", "sexual", "violence")}


class Azure(TokenStandIn, Flavour):
    """Deployments below /openai/deployments (dated versions) and /openai/v1, with a key or a token of Entra ID."""

    name = "azure"
    scope = "https://cognitiveservices.azure.com/.default"

    def __init__(
        self,
        keys: tuple[str, ...] = ("azure-test",),
        deployments: dict[str, str] | None = None,
        clients: dict[str, str] | None = None,
    ):
        TokenStandIn.__init__(self)
        self.keys = keys
        self.deployments = deployments or {"my-gpt": "gpt-5.1-2026-01-01", "my-embeddings": "text-embedding-3-large"}
        self.clients = clients or {"client-test": "secret-test"}

    def routes(self):
        classic = "/openai/deployments/(?P<deployment>[^/]+)"
        return [
            ("POST", f"{classic}/chat/completions", self.classic_chat),
            ("POST", f"{classic}/embeddings", self.classic_embeddings),
            ("POST", "/openai/v1/chat/completions", self.chat),
            ("POST", "/openai/v1/embeddings", self.embeddings),
            ("POST", "/(?P<tenant>[^/]+)/oauth2/v2.0/token", self.token),
            ("GET", "/msi/token", self.managed_identity),
        ]

    def refused(self, refusal: Refused, request: Request) -> Reply:
        headers = {"apim-request-id": "req-standin", "x-ms-region": "Sweden Central"}
        if request.path.endswith("/oauth2/v2.0/token"):
            return Reply(
                refusal.status,
                {"error": "invalid_client", "error_description": f"AADSTS7000215: {refusal.message}", "error_codes": [7000215]},
            )
        if isinstance(refusal, PromptFiltered):
            inner = {
                "code": "ResponsibleAIPolicyViolation",
                "content_filter_result": SAFE | {"hate": {"filtered": True, "severity": "high"}},
            }
            return Reply(
                400,
                {
                    "error": {
                        "message": refusal.message,
                        "type": None,
                        "param": "prompt",
                        "code": "content_filter",
                        "status": 400,
                        "innererror": inner,
                    }
                },
                headers,
            )
        if refusal.kind in ("auth", "not_found"):
            code = {"auth": "401", "not_found": "DeploymentNotFound"}[refusal.kind]
            return Reply(refusal.status, {"error": {"code": code, "message": refusal.message}}, headers)
        return Reply(refusal.status, openai_direct.error_body(refusal), headers)

    def authorize(self, request: Request):
        key, bearer = request.header("api-key"), request.header("authorization")
        if key is not None and bearer is not None:
            raise Refused(401, "both a key and a token", "auth")
        if key is not None:
            if key not in self.keys:
                raise Refused(401, "Access denied due to invalid subscription key or wrong API endpoint.", "auth")
        elif not (request.path.startswith("/openai/v1/") and (bearer or "").removeprefix("Bearer ") in self.keys):
            self.bearer(request)

    def token(self, request: Request) -> Reply:
        fields = form(request)
        id = fields.get("client_id", "")
        if self.clients.get(id) != fields.get("client_secret"):
            raise Refused(401, "Invalid client secret provided.", "auth")
        exactly(fields, grant_type="client_credentials", client_id=id, client_secret=self.clients[id], scope=self.scope)
        return Reply(200, {"token_type": "Bearer", "expires_in": self.expires_in, "access_token": self.issue(id)})

    def managed_identity(self, request: Request) -> Reply:
        """That of App Service and Container Apps; the life is a text there."""
        if request.header("x-identity-header") != "identity-secret":
            raise Refused(401, "X-IDENTITY-HEADER is missing or wrong", "auth")
        resource = self.scope.removesuffix("/.default")
        if {name: value.rstrip("/") for name, value in request.query.items()} != {
            "api-version": "2019-08-01",
            "resource": resource,
        }:
            refuse(f"wrong query: {request.query}")
        return Reply(
            200,
            {
                "access_token": self.issue("managed"),
                "expires_in": str(self.expires_in),
                "resource": resource,
                "token_type": "Bearer",
            },
        )

    def classic(self, request: Request) -> dict:
        """The body, with the model that the deployment in the path has."""
        self.authorize(request)
        body, version = request.json(), request.query.get("api-version", "")
        if list(request.query) != ["api-version"] or not version[:4].isdigit():
            raise Refused(404, "Resource not found: api-version is missing", "not_found")
        given = {*body, (body.get("response_format") or {}).get("type")}
        if late := [name for name, since in GATES.items() if name in given and version[:10] < since]:
            refuse(f"Unrecognized request argument supplied: {late[0]}")
        return body | {"model": self.deployed(request.arg("deployment"))}

    def deployed(self, name: str) -> str:
        if name not in self.deployments:
            raise Refused(404, "The API deployment for this resource does not exist.", "not_found")
        return self.deployments[name]

    def classic_chat(self, request: Request):
        return self.create(request, self.classic(request))

    def classic_embeddings(self, request: Request) -> Reply:
        return openai_direct.embeddings(self, request, self.classic(request))

    def v1(self, request: Request) -> dict:
        self.authorize(request)
        body = request.json()
        if request.query.get("api-version", "preview") not in ("preview", "latest"):
            refuse("api-version is not allowed on the v1 path")
        return body | {"model": self.deployed(body.get("model"))}

    def chat(self, request: Request):
        return self.create(request, self.v1(request))

    def embeddings(self, request: Request) -> Reply:
        return openai_direct.embeddings(self, request, self.v1(request))

    def check(self, body: dict):
        if any("block the prompt" in str(message.get("content")) for message in body.get("messages") or []):
            raise PromptFiltered()

    def change(self, answer: dict, parts: list[dict]):
        for choice in answer["choices"]:
            choice["content_filter_results"] = SAFE if parts[0].get("content") else {}
        if answer["object"] == "chat.completion":
            answer["prompt_filter_results"] = [{"prompt_index": 0, "content_filter_results": SAFE}]

    def chunks(self, answer: brain.Answer, model: str, body: dict):
        """The first chunk has the verdict on the prompt, and neither choices nor an id."""
        yield sse({"choices": [], "created": 0, "id": "", "model": "", "object": "",
                   "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": SAFE}]})
        yield from super().chunks(answer, model, body)


class PromptFiltered(Refused):
    def __init__(self):
        super().__init__(400, "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.")
