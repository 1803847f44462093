"""etcd v3 by its JSON gateway: the store, as the cluster needs it."""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ocinet.cluster.gateway import AnswerError, EndlessError, Gateway
from ocinet.cluster.store import (
    LONGEST_VALUE,
    Change,
    CompactedError,
    Delete,
    Entry,
    Listing,
    Outcome,
    Put,
    UnreachableError,
    end_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocinet.cluster.access import Access
    from ocinet.cluster.store import Compare

_PAGE = 2000  # entries of one answer


class Etcd:
    """A `Store`; see there.

    Args:
        access: where etcd is, and as whom it is asked.
    """

    def __init__(self, access: Access) -> None:
        self._gateway = Gateway(access)

    @property
    def endpoint(self) -> str:
        """The one that is asked, for people."""
        return str(self._gateway.endpoint)

    def scan(self, prefix: str) -> Listing:
        """Return all keys with a prefix, as a majority has them."""
        entries: list[Entry] = []
        key, end, revision = prefix, _encoded(end_of(prefix)), 0
        limit = _PAGE
        while True:
            asked = {"key": _encoded(key), "range_end": end, "limit": limit}
            # The pages after the first are of its revision, so that all are of one moment.
            try:
                answer = self._gateway.ask("/v3/kv/range", asked | {"revision": revision})
            except (
                EndlessError
            ):  # of values that are none of ours, and may be as long as etcd takes
                if limit == 1:
                    raise
                limit //= 2
                continue
            revision = revision or _revision(answer)
            page = [_entry(each) for each in _objects(answer.get("kvs"))]
            entries += page
            if not answer.get("more") or not page:
                return Listing(tuple(entries), revision, _header(answer, "cluster_id"))
            key = page[-1].key + "\0"

    def commit(self, compares: tuple[Compare, ...], acts: tuple[Put | Delete, ...]) -> Outcome:
        """Do all acts at once, if all compares hold."""
        answer = self._gateway.ask(
            "/v3/kv/txn",
            {"compare": [_compare(each) for each in compares], "success": list(map(_act, acts))},
        )
        return Outcome(answer.get("succeeded") is True, _revision(answer))

    def grant(self, ttl_s: int) -> int:
        """Return a new lease."""
        return _number(self._gateway.ask("/v3/lease/grant", {"TTL": ttl_s}), "ID")

    def keep(self, lease: int) -> bool:
        """Keep a lease from ending; False if it has ended already."""
        # A stream of gRPC's, of which the gateway makes an answer of one line.
        answer = self._gateway.ask("/v3/lease/keepalive", {"ID": lease})
        result = answer.get("result")
        return isinstance(result, dict) and _number(result, "TTL", 0) > 0

    def left_s(self, lease: int) -> int:
        """Return for how many seconds a lease goes on by itself; -1: it has ended."""
        try:
            answer = self._gateway.ask("/v3/lease/timetolive", {"ID": lease})
        except AnswerError as error:
            if error.is_not_found:
                return -1
            raise
        return _number(answer, "TTL", 0)

    @contextmanager
    def follow(self, prefix: str, revision: int) -> Iterator[Iterator[tuple[Change, ...]]]:
        """Return all changes from a revision on, as they come."""
        wanted = {"key": _encoded(prefix), "range_end": _encoded(end_of(prefix)),
                  "start_revision": revision}  # fmt: skip
        with self._gateway.stream("/v3/watch", {"create_request": wanted}) as documents:
            yield _changes(documents)

    @property
    def turn(self) -> int:
        """Which endpoint is asked; it counts up with each change."""
        return self._gateway.turn

    def ask_same(self, turn: int) -> None:
        """Ask the endpoint that another one asks, by its `turn`."""
        self._gateway.follow(turn)

    def next(self) -> None:
        """Go on with another endpoint."""
        self._gateway.next()

    def close(self) -> None:
        """Close what is open; it can be used again."""
        self._gateway.close()

    def break_off(self) -> None:
        """End a stream from another thread."""
        self._gateway.break_off()


def _changes(documents: Iterator[dict[str, Any]]) -> Iterator[tuple[Change, ...]]:
    for document in documents:
        if document.get("canceled"):
            # It says so by this field alone, and 0 is left out.
            if "compact_revision" in document:
                raise CompactedError("", "etcd has compacted what came since")
            why = str(document.get("cancel_reason") or "etcd ended it")
            raise UnreachableError("", f"the watch ended: {why[:200]}")
        yield tuple(
            # A PUT, being 0, is left out.
            Change(_entry(event.get("kv")), gone=event.get("type") == "DELETE")
            for event in _objects(document.get("events"))
        )


def _compare(compare: Compare) -> dict[str, Any]:
    spelled: dict[str, Any] = {"key": _encoded(compare.key), "result": "EQUAL"}
    if compare.end:
        spelled["range_end"] = _encoded(compare.end)
    if compare.created is not None:
        return spelled | {"target": "CREATE", "create_revision": compare.created}
    return spelled | {"target": "MOD", "mod_revision": compare.modified or 0}


def _act(act: Put | Delete) -> dict[str, Any]:
    if isinstance(act, Put):
        put = {"key": _encoded(act.key), "value": b64encode(act.value).decode()}
        return {"request_put": put | ({"lease": act.lease} if act.lease else {})}
    delete = {"key": _encoded(act.key)}
    return {"request_delete_range": delete | ({"range_end": _encoded(act.end)} if act.end else {})}


def _entry(told: object) -> Entry:
    if not isinstance(told, dict):
        raise UnreachableError("", "what answers is no etcd: an entry is no object")
    try:
        # Nobody but us writes there; what is no text is no key of ours, and is told as such.
        key = b64decode(str(told.get("key", ""))).decode(errors="replace")
        value = b64decode(str(told.get("value", "")))[: LONGEST_VALUE + 1]
    except NotBase64 as error:
        raise UnreachableError("", "what answers is no etcd: a value is no base64") from error
    created, modified = (_number(told, f"{what}_revision", 0) for what in ("create", "mod"))
    return Entry(key, value, created, modified, _number(told, "lease", 0))


def _objects(told: object) -> list[Any]:
    return told if isinstance(told, list) else []


def _revision(answer: dict[str, Any]) -> int:
    return _header(answer, "revision")


def _header(answer: dict[str, Any], name: str) -> int:
    header = answer.get("header")
    return _number(header if isinstance(header, dict) else {}, name)


def _number(told: dict[str, Any], name: str, absent: int | None = None) -> int:
    """Return a 64-bit number, which is a text in JSON."""
    value = told.get(name, absent)
    try:
        return int(value)  # type: ignore[arg-type]  # None as well is told below
    except (TypeError, ValueError, OverflowError):
        raise UnreachableError("", f"what answers is no etcd: its {name} is {value!r}") from None


def _encoded(text: str) -> str:
    return b64encode(text.encode()).decode()
