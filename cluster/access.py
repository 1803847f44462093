"""How etcd is reached: its endpoints, and by which certificates and as whom.

Paths alone are kept, no password: whoever may read what ocinet keeps learns none.
"""

from __future__ import annotations

from ocinet.base.errors import RequestError
from ocinet.base.records import TEXT, WORD, Record, listed
from ocinet.base.value import Value

_PORT = 2379
_MOST = 16


class Endpoint(Value):
    """One member of etcd's, or what stands before it.

    Attributes:
        host: a name or an address.
        port: TCP.
        tls: whether it is spoken to by TLS.
    """

    host: str
    port: int = _PORT
    tls: bool = False

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Read `https://10.0.0.1:2379`; without a port it is etcd's, without a scheme http.

        Raises:
            RequestError: it is none.
        """
        scheme, slashes, rest = text.rpartition("://")
        rest = rest.removesuffix("/")
        if slashes and scheme not in ("http", "https"):
            raise RequestError("", f"{text!r} is neither http nor https")
        bracketed, bracket, tail = rest.partition("]")
        if bracket and bracketed.startswith("["):
            host, colon, port = bracketed[1:], tail[:1], tail[1:]
            wrong = tail != "" and colon != ":"
        else:
            host, colon, port = rest.partition(":")
            wrong = ":" in port
        known = port.isascii() and port.isdigit() and 0 < int(port[:6]) < 1 << 16
        legal = host.replace(".", "").replace("-", "").replace(":", "").replace("_", "")
        if wrong or (colon and not known) or not (legal.isascii() and legal.isalnum()):
            raise RequestError("", f"{text!r} is no endpoint", "as in https://10.0.0.1:2379")
        return cls(host, int(port) if colon else _PORT, scheme == "https")

    def __str__(self) -> str:
        """Render as `parse` reads it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"


class Access(Value):
    """All that it takes to be let in.

    Attributes:
        endpoints: asked in turn, beginning with the one that last answered.
        ca: path of the certificates by which etcd's is judged; "": the system's.
        cert: path of our own; "": none.
        key: path of its key; "": in the same file.
        user: of etcd's; "": none.
        password_file: path of a file whose first line is the password.
    """

    endpoints: tuple[Endpoint, ...]
    ca: str = ""
    cert: str = ""
    key: str = ""
    user: str = ""
    password_file: str = ""

    @property
    def open_to_all(self) -> tuple[Endpoint, ...]:
        """Those to which a password goes readable by whoever is on the way."""
        here = ("127.0.0.1", "::1", "localhost")
        return tuple(each for each in self.endpoints
                     if self.user and not each.tls and each.host not in here)  # fmt: skip

    def check(self) -> None:
        """Refuse what makes no sense together.

        Raises:
            RequestError: tells what is missing.
        """
        if not 0 < len(self.endpoints) <= _MOST:
            raise RequestError("", f"{len(self.endpoints)} endpoints are not 1 to {_MOST}",
                               "say --etcd https://10.0.0.1:2379")  # fmt: skip
        for flag, path in (("--ca", self.ca), ("--cert", self.cert), ("--key", self.key),
                           ("--password-file", self.password_file)):  # fmt: skip
            if path and not path.startswith("/"):
                raise RequestError(flag, f"{path!r} is not an absolute path")
        if self.key and not self.cert:
            raise RequestError("--key", "there is no certificate to it", "say --cert FILE, too")
        if bool(self.user) != bool(self.password_file):
            raise RequestError("--user", "a user and a password go together",
                               "say --user NAME and --password-file FILE")  # fmt: skip
        if any((self.ca, self.cert)) and not all(each.tls for each in self.endpoints):
            raise RequestError("--etcd", "certificates are of no use to an endpoint by http",
                               "say https://")  # fmt: skip


def _read_endpoint(text: object) -> Endpoint:
    return Endpoint.parse(WORD.read(text))


ACCESS = Record(
    Access,
    endpoints=listed(type(WORD)(_read_endpoint, str)),
    ca=TEXT,
    cert=TEXT,
    key=TEXT,
    user=TEXT,
    password_file=TEXT,
)
