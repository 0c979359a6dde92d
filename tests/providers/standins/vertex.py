"""Gemini and Claude on Vertex AI, and the places its tokens come from. See `gemini` and `base`.

    Vertex(accounts={"robot@project.iam.gserviceaccount.com": Account(public_key, key_id)})

Token endpoint of service accounts: `POST /token` (the key file's token_uri is `provider.token_uri`), whose assertion is
checked with the public key. Metadata server: `GET /computeMetadata/v1/instance/service-accounts/default/token`.
"""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass
from typing import Required, TypedDict

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from google.genai import types

import brain
from standins import anthropic, gemini
from standins.base import Refused, Reply, Request, refuse
from standins.gemini import Gemini, embed, error_body, generate
from standins.gemini_rules import camel, invalid
from standins.openai_direct import failing
from standins.tokens import TokenStandIn, exactly, form
from standins.typed import conform

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@dataclass
class Account:
    public_key: rsa.RSAPublicKey
    key_id: str


class Instance(TypedDict, total=False):
    content: Required[str]
    task_type: str
    title: str


class PredictParameters(TypedDict, total=False):
    outputDimensionality: int
    autoTruncate: bool


class Predict(TypedDict, total=False):
    instances: Required[list[Instance]]
    parameters: PredictParameters


class EmbedContentConfig(TypedDict, total=False):
    taskType: str
    title: str
    outputDimensionality: int
    autoTruncate: bool


class VertexEmbedContent(TypedDict, total=False):
    content: Required[types.Content]
    embedContentConfig: EmbedContentConfig


class VertexBatch(TypedDict):
    requests: list[VertexEmbedContent]


class Vertex(TokenStandIn, Gemini):
    name = "vertex"
    ids = False
    labels = True

    def __init__(self, accounts: dict[str, Account] | None = None, project: str = "my-project", location: str = "europe-west4",
                 metadata_account: str | None = "default@project"):
        TokenStandIn.__init__(self)
        self.issued: set[bytes] = set()
        self.accounts, self.project, self.location = accounts or {}, project, location
        self.metadata_account = metadata_account

    @property
    def token_uri(self) -> str:
        return f"{self.url}/token"

    def routes(self):
        models = rf"/v1/projects/{self.project}/locations/{self.location}/publishers"
        google, claude = f"{models}/google/models/(?P<model>[^/:]+)", f"{models}/anthropic/models/(?P<model>[^/:]+)"
        return [
            ("POST", f"{google}:generateContent", lambda request: self.create(request, False)),
            ("POST", f"{google}:streamGenerateContent", lambda request: self.create(request, True)),
            ("POST", f"{google}:countTokens", self.count_tokens),
            ("POST", f"{google}:predict", self.predict),
            ("POST", f"{google}:embedContent", self.embed_one),
            ("POST", f"{google}:batchEmbedContents", self.embed_many),
            ("POST", f"{claude}:rawPredict", lambda request: self.claude(request, False)),
            ("POST", f"{claude}:streamRawPredict", lambda request: self.claude(request, True)),
            ("POST", "/token", self.token),
            ("GET", "/computeMetadata/v1/instance/service-accounts/(?P<who>[^/]+)/token", self.metadata_token),
        ]

    def refused(self, refusal: Refused, request: Request) -> Reply:
        if request.path == "/token":
            return Reply(refusal.status, {"error": "invalid_grant", "error_description": refusal.message})
        if "/publishers/anthropic/" in request.path and refusal.kind not in ("auth", "forbidden"):
            return Reply(refusal.status, anthropic.error_body(refusal.kind, refusal.message))
        body = error_body(refusal, refusal.headers.pop("retry-after", None))
        # Errors of streams come as a list of one.
        return Reply(refusal.status, json.dumps([body]).encode() if ":stream" in request.path else body)

    def authorize(self, request: Request) -> str:
        if request.header("x-goog-api-key") is not None or "key" in request.query:
            raise Refused(401, "API keys are not supported by this API. Expected OAuth2 access token.", "auth")
        return self.bearer(request)

    def create(self, request: Request, stream: bool):
        account = self.authorize(request)
        return generate(self, request, camel(request.json()), request.arg("model"), account, stream)

    def claude(self, request: Request, stream: bool):
        account, body = self.authorize(request), request.json()
        if body.get("stream", False) != stream:
            refuse(f"stream: {body.get('stream')!r} does not fit {request.path.rpartition(':')[2]}")
        return anthropic.messages(self, request, body, request.arg("model"), account, stream, variant="vertex")

    def embed_one(self, request: Request) -> Reply:
        self.authorize(request)
        [vector], [spent] = embed(self, request, [camel(request.json())], request.arg("model"), kind=VertexEmbedContent)
        return Reply(200, {"embedding": {"values": vector}, "usageMetadata": {"promptTokenCount": spent}, "truncated": False})

    def embed_many(self, request: Request) -> Reply:
        self.authorize(request)
        body = camel(request.json())
        if errors := conform(body, VertexBatch, models=True):
            invalid(errors)
        vectors, spent = embed(self, request, body["requests"], request.arg("model"), kind=VertexEmbedContent)
        return Reply(
            200, {"embeddings": [{"values": vector} for vector in vectors], "usageMetadata": {"promptTokenCount": sum(spent)}}
        )

    def predict(self, request: Request) -> Reply:
        self.authorize(request)
        body, model = request.json(), request.arg("model")
        if not gemini.EMBEDDING.fullmatch(model):
            raise Refused(404, f"Publisher Model `{model}` was not found", "not_found")
        if errors := conform(body, Predict):
            invalid(errors)
        texts = [one["content"] for one in body["instances"]]
        most = 1 if model.startswith("gemini-embedding") else 250
        if not 0 < len(texts) <= most or "" in texts:
            refuse(f"Unable to submit request because {model} takes 1 to {most} instances with content, not {len(texts)}")
        self.note(request, inputs=texts, model=model)
        failing(texts)
        size = body.get("parameters", {}).get("outputDimensionality", 1024)
        return Reply(
            200,
            {
                "predictions": [
                    {
                        "embeddings": {
                            "values": brain.embed(text, size),
                            "statistics": {"token_count": len(brain.tokens(text)), "truncated": False},
                        }
                    }
                    for text in texts
                ]
            },
        )

    # ---- tokens

    def token(self, request: Request) -> Reply:
        fields = form(request)
        exactly(fields, grant_type=GRANT, assertion=fields.get("assertion", ""))
        token = self.issue(self.verify(fields["assertion"]))
        return Reply(200, {"access_token": token, "expires_in": self.expires_in, "token_type": "Bearer"})

    def verify(self, assertion: str) -> str:
        """The e-mail address of a signed assertion."""
        try:
            signed, _, signature = assertion.rpartition(".")
            header, claims = (json.loads(unpad(part)) for part in signed.split("."))
            account = self.accounts[claims["iss"]]
            account.public_key.verify(unpad(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            raise Refused(400, "Invalid JWT Signature.") from None
        except (ValueError, KeyError, TypeError) as error:
            raise Refused(400, f"Invalid JWT: {type(error).__name__} {error}") from None
        if header.get("alg") != "RS256" or header.get("typ") != "JWT" or header.get("kid") != account.key_id:
            refuse(f"Invalid JWT: header {header}")
        now = time.time()
        times = claims.get("iat", 0) - 60 < now < claims.get("exp", 0) <= claims.get("iat", 0) + 3600
        # google-auth names Google's own address whatever the key file's token_uri says.
        if (
            claims.get("aud") not in (self.token_uri, "https://oauth2.googleapis.com/token")
            or SCOPE not in claims.get("scope", "").split()
            or not times
        ):
            refuse(f"Invalid JWT: claims {claims} at {now}")
        return claims["iss"]

    def metadata_token(self, request: Request) -> Reply:
        if request.header("metadata-flavor") != "Google" or request.header("x-forwarded-for") is not None:
            raise Refused(403, "Missing Metadata-Flavor:Google header.", "forbidden")
        if self.metadata_account is None or request.arg("who") not in ("default", self.metadata_account):
            raise Refused(404, "there is no such service account", "not_found")
        token = self.issue(self.metadata_account)
        return Reply(
            200, {"access_token": token, "expires_in": self.expires_in, "token_type": "Bearer"}, {"metadata-flavor": "Google"}
        )


def unpad(text: str) -> bytes:
    """base64url without padding, as a JWT has it."""
    if "=" in text:
        raise ValueError("padding in a JWT")
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
