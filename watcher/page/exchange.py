"""A request as it is read, and an answer as it is written.

No more of HTTP than a page takes: one request for each connection, without a body. So there
is no second request that something in between could understand otherwise.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

LONGEST_HEAD = 8192  # bytes: browsers send some 700
END_OF_HEAD = b"\r\n\r\n"
_MOST_LINES = 64
_REQUEST_LINE = re.compile(r"([A-Z]{1,16}) (/[!-~]*) HTTP/1\.[01]")
_FIELD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
_ONCE = ("host", "authorization")
_REASONS = {
    200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found",
    405: "Method Not Allowed", 408: "Request Timeout", 421: "Misdirected Request",
    431: "Request Header Fields Too Large", 503: "Service Unavailable",
}  # fmt: skip
# Scripts, styles and connections of its own and no others, nothing inline, no form, no frame.
# What makes markup of text (`innerHTML`) is refused by browsers that know trusted types.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_ALWAYS = (
    ("Content-Security-Policy", POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
    ("Connection", "close"),
)


@dataclass(frozen=True)
class Asked:
    """A request, as far as it matters.

    Attributes:
        method: as `GET`.
        path: begins with /; what is behind a ? is cut off.
        host: the `Host` field in lower case; "" if it was not sent.
        bearer: the token that was given, or "".
    """

    method: str
    path: str
    host: str = ""
    bearer: str = ""


@dataclass(frozen=True)
class Answer:
    """What is said, and that it is all.

    Attributes:
        status: of HTTP.
        body: as it is sent.
        kind: its media type.
        fields: further ones of the head.
    """

    status: int
    body: bytes
    kind: str = "text/plain; charset=utf-8"
    fields: tuple[tuple[str, str], ...] = field(default=())


def refuse(status: int, text: str, *fields: tuple[str, str]) -> Answer:
    """Return an answer in words."""
    return Answer(status, f"{text}\n".encode(), fields=fields)


def parse_head(data: bytes) -> Asked | Answer:
    """Read the head of a request, with the empty line that ends it.

    Returns:
        The request, or what is answered to one that makes no sense.
    """
    first, *lines = data.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    asked = _REQUEST_LINE.fullmatch(first)
    if not asked:
        return refuse(400, "This is no request of HTTP/1.1.")
    if len(lines) > _MOST_LINES:
        return refuse(431, f"The request has more than {_MOST_LINES} header fields.")
    fields: dict[str, str] = {}
    for line in lines:
        found = _FIELD.fullmatch(line)
        if not found:
            return refuse(400, "A header field makes no sense.")
        name = found[1].lower()
        if name in _ONCE and name in fields:
            return refuse(400, f"The header field {name} is there twice.")
        fields[name] = found[2].strip()
    if "transfer-encoding" in fields or fields.get("content-length", "0") != "0":
        return refuse(400, "A request with a body is not taken.")
    scheme, _, given = fields.get("authorization", "").partition(" ")
    bearer = given.strip() if scheme.lower() == "bearer" else ""
    path = asked[2].partition("?")[0]
    return Asked(asked[1], path, fields.get("host", "").lower(), bearer)


def render(answer: Answer, *, only_head: bool = False) -> bytes:
    """Return an answer as it is sent, with its length."""
    fields = (("Content-Length", str(len(answer.body))), *answer.fields)
    head = render_head(answer.status, answer.kind, *fields)
    return head if only_head else head + answer.body


def render_head(status: int, kind: str, *fields: tuple[str, str]) -> bytes:
    """Return the head of an answer, whose end is that of the connection unless a length is told."""
    lines = [f"HTTP/1.1 {status} {_REASONS[status]}", f"Content-Type: {kind}"]
    lines += [f"{name}: {value}" for name, value in (*fields, *_ALWAYS)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
