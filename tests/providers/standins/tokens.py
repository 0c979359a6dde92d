"""Bearer tokens with a short life, as the token endpoints of Google, IBM, Databricks and Microsoft hand them out.

A stand-in that has them is a `TokenStandIn` too: its token endpoint answers with `self.issue()`, its other handlers call
`self.bearer(request)`. A test controls it without waiting:

    standin.expire()                 # what was issued is not taken any more
    standin.token_down = Refused(…)  # the token endpoint answers so
    standin.token_pause = 0.1        # seconds it takes
    standin.fetched                  # how many tokens were handed out
"""

from __future__ import annotations

import threading
import time
import urllib.parse

from standins.base import Refused, Request, StandIn, refuse


class TokenStandIn(StandIn):
    expires_in = 3600

    def __init__(self):
        super().__init__()
        self.tokens: dict[str, str] = {}
        """Those that are taken, and whose they are."""
        self.token_down: Refused | None = None
        self.token_pause = 0.0
        self.fetched = 0
        self._counting = threading.Lock()

    def issue(self, owner: str) -> str:
        with self._counting:
            self.fetched += 1
            token = f"token-secret-{self.name}-{self.fetched}"
        if self.token_pause:
            time.sleep(self.token_pause)
        if self.token_down is not None:
            raise self.token_down
        self.tokens[token] = owner
        return token

    def expire(self):
        self.tokens.clear()

    def bearer(self, request: Request) -> str:
        """Whose token it is."""
        kind, _, token = (request.header("authorization") or "").partition(" ")
        if kind != "Bearer" or token not in self.tokens:
            raise Refused(401, "Request had invalid authentication credentials. Expected OAuth 2 access token.", "auth")
        return self.tokens[token]


def form(request: Request) -> dict[str, str]:
    """A body of `application/x-www-form-urlencoded`, each name once."""
    kind = (request.header("content-type") or "").partition(";")[0]
    if kind != "application/x-www-form-urlencoded":
        refuse(f"content-type must be application/x-www-form-urlencoded, not {kind!r}")
    pairs = urllib.parse.parse_qsl(request.body.decode(), keep_blank_values=True, strict_parsing=True)
    if len(dict(pairs)) < len(pairs):
        refuse("a name is given twice")
    return dict(pairs)


def exactly(fields: dict[str, str], **wanted: str):
    """The form has these fields and no others."""
    if fields != wanted:
        wrong = sorted(name for name in fields.keys() | wanted.keys() if fields.get(name) != wanted.get(name))
        raise Refused(400, f"these fields are missing, unknown or wrong: {wrong}", "bad_request")
