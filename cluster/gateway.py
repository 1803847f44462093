"""etcd's JSON gateway, spoken by http.client: one connection, several endpoints, bounded times.

What the gateway does otherwise than one expects (etcd 3.4 and 3.5): keys and values are base64,
64-bit numbers are texts, and what is 0, false or empty is left out. An error has an HTTP status,
a `code` of gRPC's and a `message`; which codes mean that there is no leader just now stands below.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

from ocinet.base.errors import OcinetError, RequestError, SystemFailure
from ocinet.base.jsontext import dumps, loads
from ocinet.cluster.access import Access, Endpoint
from ocinet.cluster.store import UnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterator

CONNECT_S = 2.0
ANSWER_S = 5.0
_LONGEST = 64 << 20  # bytes of an answer: some 50,000 hosts
_LONGEST_LINE = 16 << 20  # of a stream's
_PART = 1 << 16
_LONGEST_PASSWORD = 4096
_UNAUTHENTICATED = 16  # gRPC's codes
_PASSING = (1, 4, 8, 13, 14)  # cancelled, deadline, exhausted, internal, unavailable
_FULL = "database space exceeded"
_DENIED = 7
_NOT_FOUND = 5
_OUT_OF_RANGE = 11
# TCP finds out within half a minute that nobody is at the other end of a silent stream.
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 10), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3),
              (socket.TCP_USER_TIMEOUT, 20_000))  # fmt: skip


class AnswerError(SystemFailure):
    """etcd answered that it does not do that.

    Attributes:
        code: gRPC's.
    """

    def __init__(self, what: str, why: str, hint: str = "", *, code: int = 0) -> None:
        super().__init__(what, why, hint)
        self.code = code

    @property
    def is_not_found(self) -> bool:
        """Whether what was asked for is not there, as a lease that has ended."""
        return self.code == _NOT_FOUND

    @property
    def is_compacted(self) -> bool:
        """Whether a revision is not kept any more."""
        return self.code == _OUT_OF_RANGE


class EndlessError(UnreachableError):
    """An answer is longer than any that is wanted: less is to be asked for at once."""


class Gateway:
    """A connection with one of the endpoints, and with the next one when that fails.

    Args:
        access: where, and as whom.

    Attributes:
        turn: counts up with each change of the endpoint.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self.turn = 0
        self._tls: ssl.SSLContext | None = None
        self._connection: http.client.HTTPConnection | None = None
        self._token = ""

    @property
    def endpoint(self) -> Endpoint:
        """The one that is asked, or will be."""
        endpoints = self._access.endpoints
        return endpoints[self.turn % len(endpoints)]

    def ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Send a request to one endpoint after the other, until one answers.

        Args:
            path: as "/v3/kv/range".
            body: as the gateway has it.

        Raises:
            UnreachableError: none answered; it may have been done all the same.
            AnswerError: one refuses.
            EndlessError: what it answers is too long.
        """
        errors: list[str] = []
        hint = "look whether it runs, and has a majority: etcdctl endpoint health"
        for _ in self._access.endpoints:
            try:
                return self._ask_one(path, body)
            except EndlessError:
                raise  # the others have as much to tell
            except UnreachableError as error:
                errors.append(f"{self.endpoint}: {error.why}")
                hint = error.hint or hint
                self.next()
        raise UnreachableError("", f"etcd does not answer: {'; '.join(errors)}", hint)

    @contextmanager
    def stream(self, path: str, body: dict[str, Any]) -> Iterator[Iterator[dict[str, Any]]]:
        """Send a request whose answer has no end, to the endpoint whose turn it is.

        Yields:
            Its documents, as they come.

        Raises:
            UnreachableError: also while it is gone through: it broke.
            AnswerError: etcd refuses; likewise.
        """
        connection = self._connected()
        try:
            response = self._send(connection, path, body)
            if response.status != 200:
                raise _refused(self._read(response))
            if connection.sock is not None:
                connection.sock.settimeout(None)  # TCP's own keepalive tells who is gone
            yield self._documents(response)
        finally:
            # In the middle of an answer, it is of no use to anybody.
            self.close()

    def next(self) -> None:
        """Go on with another endpoint."""
        self.close()
        self.turn += 1

    def follow(self, turn: int) -> None:
        """Go on with the endpoint that another connection asks, by its `turn`."""
        if turn != self.turn:
            self.close()
            self.turn = turn

    def close(self) -> None:
        """Close the connection; the next request opens one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def break_off(self) -> None:
        """End a stream from another thread."""
        connection = self._connection
        sock = connection.sock if connection is not None else None
        if sock is not None:  # read once: the other thread may close it just now
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                return

    def _ask_one(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        kept = self._connection is not None
        try:
            return self._exchange(path, body)
        except EndlessError:
            raise
        except UnreachableError:
            # It closes what was idle for long. Nothing was answered, but something may
            # have been done: a transaction asks for what is so, and is done once.
            if not kept:
                raise
            return self._exchange(path, body)
        except AnswerError as error:
            # A token ends after five minutes, and with a restart.
            if error.code != _UNAUTHENTICATED or not self._token:
                raise
            self._token = ""
            return self._exchange(path, body)

    def _exchange(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        connection = self._connected()
        try:
            response = self._send(connection, path, body)
            answer = self._read(response)
        except BaseException:
            self.close()
            raise
        if response.will_close:
            self.close()
        if response.status != 200:
            raise _refused(answer)
        return answer

    def _connected(self) -> http.client.HTTPConnection:
        """Return a connection by which we are let in."""
        if self._connection is None:
            self._connection = self._connect()
        if self._access.user and not self._token:
            self._token = self._authenticate(self._connection)
            if self._connection.sock is None:
                self._connection = self._connect()
        return self._connection

    def _connect(self) -> http.client.HTTPConnection:
        at = self.endpoint
        if at.tls:
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                at.host, at.port, timeout=CONNECT_S, context=self._context()
            )
        else:
            connection = http.client.HTTPConnection(at.host, at.port, timeout=CONNECT_S)
        try:
            connection.connect()
            connection.sock.settimeout(ANSWER_S)
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in _KEEPALIVE:
                connection.sock.setsockopt(socket.IPPROTO_TCP, option, value)
        except ssl.SSLCertVerificationError as error:
            connection.close()
            why = f"its certificate is not accepted: {error.verify_message}"
            raise UnreachableError("", why, "--ca names whom to trust") from error
        except (OSError, UnicodeError) as error:
            connection.close()
            raise UnreachableError("", _spelled(error)) from error
        return connection

    def _context(self) -> ssl.SSLContext:
        """Return what judges etcd's certificate, and shows ours."""
        if self._tls is None:
            access = self._access
            try:
                tls = ssl.create_default_context(cafile=access.ca or None)
                # Python 3.13 began to want what no program of etcd's wants, as key usage in the
                # CA: a host whose Python is upgraded would be out of its cluster.
                tls.verify_flags &= ~ssl.VERIFY_X509_STRICT
                if access.cert:
                    tls.load_cert_chain(access.cert, access.key or None)
            except (OSError, ssl.SSLError) as error:
                paths = ", ".join(filter(None, (access.ca, access.cert, access.key)))
                raise RequestError("", f"certificates of {paths}: {_spelled(error)}") from error
            self._tls = tls
        return self._tls

    def _authenticate(self, connection: http.client.HTTPConnection) -> str:
        """Return a token for our user."""
        body = {"name": self._access.user, "password": _password(self._access.password_file)}
        try:
            response = self._send(connection, "/v3/auth/authenticate", body)
            answer = self._read(response)
        except BaseException:
            self.close()
            raise
        if response.status != 200:
            raise _refused(answer)
        if response.will_close:
            connection.close()
        token = answer.get("token")
        if not isinstance(token, str) or not token.isprintable() or not token.isascii():
            raise UnreachableError("", "its token can't be read")
        return token

    def _send(
        self, connection: http.client.HTTPConnection, path: str, body: dict[str, Any]
    ) -> http.client.HTTPResponse:
        # A member that has lost its leader ends a stream then, instead of being silent.
        headers = {"Content-Type": "application/json", "Grpc-Metadata-hasleader": "true"}
        if self._token:
            headers["Authorization"] = self._token
        try:
            connection.request("POST", path, dumps(body).encode(), headers)
            return connection.getresponse()
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise UnreachableError("", _spelled(error)) from error

    def _read(self, response: http.client.HTTPResponse) -> dict[str, Any]:
        """Return a whole answer, which has an end in bytes and in time."""
        end, parts, length = monotonic() + ANSWER_S, [], 0
        left = response.length  # None of a chunked one; read1 of Python 3.11 does not count it down
        try:
            while left is None or length < left:
                part = response.read1(_PART if left is None else min(_PART, left - length))
                if not part:
                    break
                parts.append(part)
                length += len(part)
                if length > _LONGEST:
                    raise EndlessError("", f"etcd's answer has no end after {_LONGEST >> 20} MiB")
                if monotonic() > end:
                    raise UnreachableError("", f"its answer is not whole after {ANSWER_S:g} s")
            response.close()  # only now may the connection be used again
        except (OSError, ValueError, http.client.HTTPException) as error:
            # ValueError: of TLS, what another thread has broken off.
            raise UnreachableError("", _spelled(error)) from error
        return _document(b"".join(parts), _LONGEST)

    def _documents(self, response: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
        while True:
            try:
                line = response.readline(_LONGEST_LINE)
            except (OSError, ValueError, http.client.HTTPException) as error:
                raise UnreachableError("", f"the stream broke: {_spelled(error)}") from error
            if not line:
                raise UnreachableError("", "the stream ended")
            document = _document(line, _LONGEST_LINE)
            if "error" in document:
                told = document["error"]
                raise _refused(told if isinstance(told, dict) else document)
            result = document.get("result")
            if isinstance(result, dict):
                yield result


def _document(data: bytes, longest: int) -> dict[str, Any]:
    try:
        document = loads(data, "", longest)
    except RequestError as error:
        raise UnreachableError("", f"what answers is no etcd: {error.why}") from error
    if not isinstance(document, dict):
        raise UnreachableError("", "what answers is no etcd: it sends no JSON object")
    return document


def _refused(answer: dict[str, Any]) -> OcinetError:
    """Return what to raise for an answer that is an error."""
    code = answer.get("code", answer.get("grpc_code", 0))
    code = code if isinstance(code, int) else 0
    told = answer.get("message") or answer.get("error") or "it does not say why"
    why = "".join(letter if letter.isprintable() else "?" for letter in str(told)[:300])
    if _FULL in why:  # it has the code of what passes, and does not pass
        hint = "etcdctl alarm list; compact and defragment it, then etcdctl alarm disarm"
        return AnswerError("", f"etcd refuses: {why}", hint, code=code)
    if code in _PASSING:
        return UnreachableError("", why)
    if code == _DENIED:
        hint = "its user needs to read and write below /ocinet/v1"
        return AnswerError("", f"etcd refuses: {why}", hint, code=code)
    return AnswerError("", f"etcd refuses: {why}", code=code)


def _password(path: str) -> str:
    try:
        with open(path, "rb") as file:
            line = file.read(_LONGEST_PASSWORD).split(b"\n", 1)[0]
        return line.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(
            "", f"the password in {path} can't be read: {_spelled(error)}"
        ) from error


def _spelled(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
