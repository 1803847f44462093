"""Records: objects in files of ours, read and written by one description of their fields.

    >>> from ocinet.base.value import Value
    >>> class Route(Value):
    ...     metric: int
    ...     gateway: Address | None
    >>> ROUTE = Record(Route, metric=NUMBER, gateway=optional(ADDRESS))
    >>> load_record(ROUTE, b'{"metric": 1, "gateway": null}')
    Route(metric=1, gateway=None)
    >>> ROUTE.write(Route(1, Address.parse("10.9.0.1")))
    {'metric': 1, 'gateway': '10.9.0.1'}

Whatever a file holds, reading it ends in a value or in a `RequestError` that says
which field is wrong, and how. Whose file it is, its reader adds.

    >>> load_record(listed(ROUTE), b'[{"metric": "1", "gateway": null}]')
    Traceback (most recent call last):
    ocinet.base.errors.RequestError: metric is no number
"""

from __future__ import annotations

from ocinet.base.address import Address, Interface, Subnet
from ocinet.base.errors import RequestError
from ocinet.base.jsontext import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from ocinet.base.value import Value


class _MisfitError(RequestError):
    """A value is not of the kind that it should be: "is no text". Who knows its field, names it."""

    def __init__(self, why: str) -> None:
        super().__init__("", why)


class Kind:
    """What a field holds, and how it becomes a value, and JSON again.

    Args:
        read: takes whatever the file has; refuses it with a RequestError alone.
        write: takes what `read` returned.
    """

    def __init__(self, read: Callable[[Any], Any], write: Callable[[Any], Any]) -> None:
        self.read = read
        self.write = write


class Defaulted(Kind):
    """A kind of field that files of an earlier version have not got.

    What has the default is written without it, so that a file says no more than it has to:
    an earlier version reads it as before. One that does say more, an earlier version may
    pass over (`Record.read`), unless its reader refuses what it does not know.

    Args:
        kind: of the field where it is there.
        default: its value where it is not.
    """

    def __init__(self, kind: Kind | Record, default: Any) -> None:
        super().__init__(kind.read, kind.write)
        self.default = default


class Record:
    """A kind: an object with these fields, written in their order; others are passed over.

    Args:
        make: takes the fields by name and returns what they are; may refuse them with
            a RequestError.
        fields: their kinds.
    """

    def __init__(self, make: Callable[..., Any], **fields: Kind | Record) -> None:
        self._make = make
        self._fields = fields
        self._defaults = {
            name: kind.default for name, kind in fields.items() if isinstance(kind, Defaulted)
        }

    def unsaid(self) -> dict[str, Any]:
        """Return the fields that are not written where they have their default, each with that."""
        return {
            name: None if default is None else self._fields[name].write(default)
            for name, default in self._defaults.items()
        }

    def read(self, value: Any) -> Any:
        """Return what an object of a file is.

        Raises:
            RequestError: it is none, or a field is missing or wrong; names the field.
        """
        known = _object(value)
        fields = {}
        name = ""
        try:
            for name, kind in self._fields.items():
                if name in self._defaults and name not in known:
                    fields[name] = self._defaults[name]
                else:
                    fields[name] = kind.read(known[name])
        except KeyError:
            raise RequestError("", f"it has no {name}") from None
        except _MisfitError as misfit:
            raise RequestError("", f"{name} {misfit.why}") from None
        except RequestError as error:
            raise RequestError("", f"{name}: {error.why}") from None
        return self._make(**fields)

    def write(self, value: Value) -> dict[str, Any]:
        """Return the object that stands for a value whose fields have the same names."""
        return self.write_fields(vars(value))

    def write_fields(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return the object with these fields; others, and defaults, are passed over."""
        written = {name: kind.write(fields[name]) for name, kind in self._fields.items()}
        for name, default in self._defaults.items():
            if fields[name] == default:
                del written[name]
        return written


def load_record(kind: Kind | Record, data: bytes) -> Any:
    """Read the content of a file.

    Raises:
        RequestError: it is not JSON, or not of that kind; says in which field.
    """
    try:
        return kind.read(loads(data, ""))
    except _MisfitError as misfit:
        raise RequestError("", f"it {misfit.why}") from None


def parsed(parse: Callable[[str], Any]) -> Kind:
    """Return the kind of a text that stands for a value; `str` renders it again."""

    def read(value: Any) -> Any:
        if type(value) is not str:
            raise _MisfitError("is no text")
        return parse(value)

    return Kind(read, str)


def one_of(*known: str | int) -> Kind:
    """Return the kind of what is one of these."""
    says = "none of " if len(known) > 1 else "not "

    def read(value: Any) -> Any:
        if value not in known:
            raise _MisfitError(f"is {says}{', '.join(map(str, known))}")
        return value

    return Kind(read, _as_it_is)


def optional(kind: Kind | Record, absent: str | None = None) -> Kind:
    """Return a kind that may be `absent` as well, null or a text, which is None."""
    read, write = kind.read, kind.write
    return Kind(
        lambda value: None if value == absent else read(value),
        lambda value: absent if value is None else write(value),
    )


def listed(kind: Kind | Record) -> Kind:
    """Return the kind of a list of such; read as a tuple."""
    read_item, write_item = kind.read, kind.write

    def read(value: Any) -> Any:
        if type(value) is not list:
            raise _MisfitError("is no list")
        try:
            return tuple([read_item(item) for item in value])
        except _MisfitError as misfit:
            raise _MisfitError(f"holds what {misfit.why}") from None

    return Kind(read, lambda value: [write_item(item) for item in value])


def _as_it_is(value: Any) -> Any:
    return value


def _object(value: Any) -> dict[str, Any]:
    if type(value) is not dict:
        raise _MisfitError("is no JSON object")
    return value


def _text(value: Any) -> str:
    if type(value) is not str:
        raise _MisfitError("is no text")
    return value


def _word(value: Any) -> str:
    if not _text(value):
        raise _MisfitError("is empty")
    return str(value)


def _number(value: Any) -> int:
    if type(value) is not int or value < 0:  # a bool is an int, too
        raise _MisfitError("is no number")
    return value


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        raise _MisfitError("is neither true nor false")
    return value


OBJECT = Kind(_object, _as_it_is)
TEXT = Kind(_text, _as_it_is)
WORD = Kind(_word, _as_it_is)  # not empty
NUMBER = Kind(_number, _as_it_is)  # whole, from 0 on
FLAG = Kind(_flag, _as_it_is)
ADDRESS = parsed(Address.parse)
INTERFACE = parsed(Interface.parse)
SUBNET = parsed(Subnet.parse)
