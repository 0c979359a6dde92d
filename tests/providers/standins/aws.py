"""What AWS services share: signatures (version 4) checked by botocore's own signer over what was received, bearer keys,
event-stream frames written by an encoder of our own, bodies checked against botocore's service models, errors."""

from __future__ import annotations

import base64
import binascii
import datetime
import hashlib
import re
import struct
from dataclasses import dataclass

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.session

import brain
from standins.base import Refused, Reply, Request, StandIn

SKEW = datetime.timedelta(minutes=5)


@dataclass
class Credential:
    secret: str
    token: str | None = None
    expired: bool = False
    account: str = "acme"


class AwsStandIn(StandIn):
    """`credentials` (by access key) and `bearers` (key -> account) may be changed while it runs: rotation, expiry."""

    region = "us-east-1"
    service = "?"
    error_names: dict[str, tuple[int, str]] = {}
    """Kind -> status and exception of the service."""
    message_key = "message"

    def __init__(self, credentials: dict[str, Credential] | None = None, bearers: dict[str, str] | None = None):
        super().__init__()
        self.credentials = credentials or {"AKIDTEST": Credential("secret/of+test")}
        self.bearers = bearers or {}

    def authorize(self, request: Request) -> str:
        """The account of who asks."""
        header = request.header("authorization") or ""
        if header.startswith("Bearer ") and self.bearers:
            if (key := header.removeprefix("Bearer ")) not in self.bearers:
                raise Refused(403, f"Authentication failed: the API key {key!r} is not valid", "AccessDeniedException")
            return self.bearers[key]
        return verify(request, self.service, self.region, self.credentials)

    def refused(self, refusal: Refused, _request: Request) -> Reply:
        status, name = self.error_names.get(refusal.kind, (refusal.status, refusal.kind))
        headers = {"x-amzn-errortype": f"{name}:http://internal.amazon.com/coral/com.amazon.coral.service/",
                   "x-amzn-requestid": "00000000-0000-4000-8000-000000000000"}
        return Reply(status, {self.message_key: refusal.message}, headers)


# ---- signatures

HEADER = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<id>[^/,]+)/(?P<day>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request,\s*"
    r"SignedHeaders=(?P<names>[^,]+),\s*Signature=(?P<signature>[0-9a-f]{64})"
)


def verify(request: Request, service: str, region: str, credentials: dict[str, Credential]) -> str:
    """Signs what was received once more and compares. Returns the account."""
    def wrong(message: str, kind: str = "InvalidSignatureException"):
        raise Refused(403, message, kind)

    header = request.header("authorization")
    if not header:
        wrong("Missing Authentication Token", "MissingAuthenticationTokenException")
    if not (found := HEADER.fullmatch(header)):
        wrong(f"the authorization header has not the form of AWS4-HMAC-SHA256: {header.partition('Signature=')[0]!r}",
              "IncompleteSignatureException")
    if (credential := credentials.get(found["id"])) is None:
        wrong("The security token included in the request is invalid.", "UnrecognizedClientException")
    if credential.expired:
        wrong("The security token included in the request is expired", "ExpiredTokenException")
    if (found["region"], found["service"]) != (region, service):
        wrong(f"Credential should be scoped to a valid region and service: {region}/{service}, "
              f"not {found['region']}/{found['service']}")
    date = request.header("x-amz-date") or ""
    check_date(date, found["day"], wrong)
    if request.header("x-amz-security-token") != credential.token:
        wrong("The security token included in the request is invalid: x-amz-security-token is not the credential's",
              "UnrecognizedClientException")
    names = found["names"].split(";")
    must = {"host"} | {name.lower() for name, _ in request.headers if name.lower().startswith("x-amz-")}
    if missing := must - set(names):
        wrong(f"headers must be signed but are not: {sorted(missing)}")
    if names != sorted(names):
        wrong(f"SignedHeaders must be sorted: {names}")
    if (claimed := request.header("x-amz-content-sha256")) not in (None, hashlib.sha256(request.body).hexdigest()):
        wrong(f"x-amz-content-sha256 {claimed} is not the body's")
    ours = botocore.awsrequest.AWSRequest(
        request.method, f"http://{request.header('host')}{request.target}",
        {name: request.header(name) for name in names}, request.body,
    )
    ours.context["timestamp"] = date
    signer = botocore.auth.SigV4Auth(
        botocore.credentials.Credentials(found["id"], credential.secret, credential.token), service, region
    )
    canonical = signer.canonical_request(ours)
    if signer.signature(signer.string_to_sign(ours, canonical), ours) != found["signature"]:
        wrong(f"The request signature we calculated does not match the signature you provided. The Canonical String for "
              f"this request should have been {canonical!r}")
    return credential.account


def check_date(date: str, day: str, wrong):
    try:
        moment = datetime.datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
    except ValueError:
        wrong(f"Date must be in ISO-8601 'basic format'. Got {date!r}", "IncompleteSignatureException")
    if not date.startswith(day):
        wrong(f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date: {day} and {date}")
    if abs(datetime.datetime.now(datetime.timezone.utc) - moment) > SKEW:
        wrong(f"Signature expired: {date} is more than 5 minutes from now")


# ---- frames

def frame(payload: bytes, headers: dict[str, str]) -> bytes:
    """One message of application/vnd.amazon.eventstream; all headers are strings (type 7)."""
    head = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value.encode())) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack(">II", 12 + len(head) + len(payload) + 4, len(head))
    message = prelude + struct.pack(">I", binascii.crc32(prelude)) + head + payload
    return message + struct.pack(">I", binascii.crc32(message))


def event_frame(kind: str, payload: dict | bytes) -> bytes:
    raw = payload if isinstance(payload, bytes) else brain.compact(payload).encode()
    content = "application/octet-stream" if isinstance(payload, bytes) else "application/json"
    return frame(raw, {":event-type": kind, ":content-type": content, ":message-type": "event"})


def exception_frame(kind: str, payload: dict) -> bytes:
    return frame(brain.compact(payload).encode(),
                 {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"})


def spoiled(frame: bytes) -> bytes:
    """A frame whose last checksum is wrong."""
    return frame[:-1] + bytes([frame[-1] ^ 1])


# ---- bodies

def service_model(service: str):
    return botocore.session.get_session().get_service_model(service)


def fits(value, shape, path: str = "") -> list[str]:
    """What keeps a JSON value from being of a shape of botocore's model: unknown and missing members, types, enums, limits,
    unions with other than one member, blobs that are not base64."""
    where, about = path or "body", shape.metadata
    if about.get("document"):
        return []
    kind = shape.type_name
    if kind == "structure":
        return fits_structure(value, shape, path)
    if kind == "list":
        if not isinstance(value, list):
            return [f"{where}: must be a list"]
        errors = [error for index, one in enumerate(value) for error in fits(one, shape.member, f"{path}.{index}")]
        return size(len(value), about, where) + errors
    if kind == "map":
        if not isinstance(value, dict):
            return [f"{where}: must be a map"]
        errors = [error for key, one in value.items() for error in fits(one, shape.value, f"{path}.{key}")]
        return size(len(value), about, where) + errors
    if kind in ("integer", "long", "float", "double"):
        types = int if kind in ("integer", "long") else (int, float)
        if not isinstance(value, types) or isinstance(value, bool):
            return [f"{where}: must be {kind}, not {value!r}"]
        return size(value, about, where)
    if kind == "boolean":
        return [] if isinstance(value, bool) else [f"{where}: must be boolean, not {value!r}"]
    if not isinstance(value, str):
        return [f"{where}: must be {kind}, not {value!r:.60}"]
    if kind == "blob":
        try:
            return size(len(base64.b64decode(value, validate=True)), about, where)
        except binascii.Error as error:
            return [f"{where}: is not base64: {error}"]
    if about.get("enum") and value not in about["enum"]:
        return [f"{where}: {value!r} is not one of {about['enum']}"]
    if (pattern := about.get("pattern")) and not re.fullmatch(pattern, value):
        return [f"{where}: {value!r:.80} failed to satisfy constraint: Member must satisfy regular expression pattern: {pattern}"]
    return size(len(value), about, where)


def size(number, about: dict, where: str) -> list[str]:
    if number < about.get("min", number) or number > about.get("max", number):
        return [f"{where}: {number} is not within {about.get('min')}..{about.get('max')}"]
    return []


def fits_structure(value, shape, path: str) -> list[str]:
    where = path or "body"
    if not isinstance(value, dict):
        return [f"{where}: must be a structure ({shape.name})"]
    members = {
        member.serialization.get("name", name): member for name, member in shape.members.items()
        if member.serialization.get("location") is None
    }
    errors = [f"{path}.{name}: is required" for name in shape.required_members if name in members and name not in value]
    errors += [f"{path}.{name}: unknown member of {shape.name}" for name in value if name not in members]
    if getattr(shape, "is_tagged_union", False) or shape.name == "ContentBlock":
        if len(value) != 1:
            errors.append(f"{where}: exactly one member of {shape.name} must be set, not {sorted(value)}")
    known = ((name, one) for name, one in value.items() if name in members)
    return errors + [error for name, one in known for error in fits(one, members[name], f"{path}.{name}")]
