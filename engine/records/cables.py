"""The links between two containers that are defined: one JSON file each in `CONFIG/links`.

How the files are kept, `definitions` says. Where nobody has ever defined one there is no such
directory: that is all that an attach looks at.
"""

from __future__ import annotations

from ocinet.base.errors import (
    ConflictError,
    NotFoundError,
    RequestError,
    SystemFailure,
)
from ocinet.base.jsontext import dumps
from ocinet.base.names import check_container, check_ifname, did_you_mean
from ocinet.base.records import (
    INTERFACE,
    NUMBER,
    TEXT,
    Defaulted,
    Record,
    listed,
    load_record,
    parsed,
)
from ocinet.engine.model.cable import Cable, CableEnd
from ocinet.engine.model.plug import Plug
from ocinet.engine.records.definitions import Definitions, sorted_out
from ocinet.engine.records.routes import ROUTE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ocinet.base.paths import Paths
    from ocinet.engine.model.attachment import Container


class CableStore:
    """Reads and writes definitions of links.

    Args:
        paths: where the configuration directory is.
    """

    def __init__(self, paths: Paths) -> None:
        self._files = Definitions(f"{paths.config}/links")

    def names(self) -> tuple[str, ...]:
        """List the links that are defined, sorted."""
        return self._files.names()

    def find(self, name: str) -> Cable | None:
        """Return a link that is defined, or None.

        Raises:
            RequestError: the name is not legal.
            SystemFailure: its file can't be read or makes no sense.
        """
        data = self._files.data(name)
        return None if data is None else decode(name, data, self._files.path(name))

    def get(self, name: str) -> Cable:
        """Return a link that is defined.

        Raises:
            NotFoundError: there is none of that name; tells the nearest ones.
            OcinetError: as `find`.
        """
        found = self.find(name)
        if found is None:
            hint = did_you_mean(name, self.names()) or "see: ocinet link ls"
            raise NotFoundError("", f"there is no link {name}", hint)
        return found

    def all(self) -> tuple[Cable, ...]:
        """Return every link that is defined, by name.

        Raises:
            SystemFailure: a file can't be read or makes no sense: a link that is not seen
                could have its addresses given again.
        """
        return tuple(filter(None, map(self.find, self.names())))

    def sorted_out(self) -> tuple[tuple[Cable, ...], tuple[tuple[str, str], ...]]:
        """Return the links whose file can be read; and of the others the name and the reason."""
        return sorted_out(self.names(), self.find)

    def naming(self, container: Container) -> tuple[Cable, ...]:
        """Return the links that have an end in a container, of those that can be read."""
        words = (container.id.encode(), container.name.encode())
        found = []
        for name, data in self._files.every().items():
            # Most are others', and to decode one takes ten times as long as to read it.
            if any(word in data for word in words):
                cable = decode(name, data, self._files.path(name))
                found += [cable] if cable.names(container) else []
        return tuple(found)

    def add(self, cable: Cable) -> None:
        """Keep a new definition.

        Raises:
            ConflictError: there is a link of that name.
            SystemFailure: it can't be written.
        """
        added = self._files.add(cable.name, dumps(encode(cable)))
        if not added:
            raise ConflictError("", f"there is a link {cable.name} already")

    def remove(self, name: str) -> bool:
        """Forget a definition; False if there was none."""
        return self._files.remove(name)


def encode(cable: Cable) -> dict[str, Any]:
    """Return a link as the JSON object that is stored and printed.

    {"name": "web-db", "mtu": 1500, "created": "…", "ends": [{"container": "web",
     "ifname": "link0", "mac": "02:6f:0a:48:00:00", "addresses": ["10.72.0.0/31"],
     "routes": [{"destination": "10.5.0.0/16", "gateway": "10.72.0.1"}]}, …]}
    """
    return _CABLE.write(cable)


def decode(name: str, data: bytes, path: str) -> Cable:
    """Read a link's file; the other way of `encode`.

    Raises:
        SystemFailure: it makes no sense; names the file.
    """
    try:
        cable: Cable = load_record(_CABLE, data)
        if cable.name != name:
            raise RequestError("", f"it says that it is {cable.name!r}")
    except RequestError as error:
        what = f"cannot read the link {name}"
        raise SystemFailure(what, f"{path}: {error.why}", f"mend or remove {path}") from error
    return cable


def _make_cable(ends: tuple[CableEnd, ...], **fields: Any) -> Cable:
    if len(ends) != 2:
        raise RequestError("", f"it has {len(ends)} ends, not 2")
    return Cable(ends=(ends[0], ends[1]), **fields)


_CABLE = Record(
    _make_cable,
    name=TEXT,
    mtu=NUMBER,
    created=TEXT,
    ends=listed(
        Record(
            CableEnd,
            container=parsed(check_container),
            # People edit these files, and this becomes part of sysctls' paths.
            ifname=parsed(check_ifname),
            mac=TEXT,
            addresses=listed(INTERFACE),
            routes=listed(ROUTE),
        )
    ),
)
PLUGS = listed(
    Record(
        Plug,
        cable=TEXT,
        ifname=TEXT,
        mac=TEXT,
        peer=TEXT,
        peer_sandbox=TEXT,
        addresses=Defaulted(listed(INTERFACE), ()),
        routes=Defaulted(listed(ROUTE), ()),
    )
)
