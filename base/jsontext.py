"""JSON text to plain objects and back, through the C accelerator alone.

`import json` costs about as much as a bare interpreter's start, because it
pulls in `re`; the C scanner and encoder under it do the same work alone.
"""

from __future__ import annotations

from _json import encode_basestring_ascii, make_encoder, make_scanner

from ocinet.base.errors import RequestError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    _Scanner = Callable[[str, int], tuple[Any, int]]
    _PairsHook = Callable[[list[tuple[str, Any]]], object]

MAX_BYTES = 1 << 20
MAX_NESTING = 32
_BLANK = " \t\r\n"
_TOO_DEEP = f"it nests deeper than {MAX_NESTING} levels"


def _refuse_constant(name: str) -> Any:
    """Refuse NaN and Infinity: JSON has none (RFC 8259 section 6)."""
    raise ValueError(f"{name} is not JSON")


def _refuse_value(value: object) -> Any:
    raise TypeError(f"{type(value).__name__} is no JSON value")


class _Options:
    """What the C scanner reads its options from.

    Args:
        pairs_hook: takes the pairs of each object, and returns what stands for it; None:
            a dict of them.
    """

    strict = True
    object_hook = None
    parse_float = float
    parse_int = int
    parse_constant = staticmethod(_refuse_constant)

    def __init__(self, pairs_hook: _PairsHook | None) -> None:
        self.object_pairs_hook = pairs_hook


def _scanner(pairs_hook: _PairsHook | None = None) -> _Scanner:
    return make_scanner(_Options(pairs_hook))  # type: ignore[arg-type]  # it only reads attributes


_scan = _scanner()


def _nesting(value: Any, room: int) -> bool:
    """Tell whether `value` nests no deeper than `room` levels."""
    if isinstance(value, dict):
        return room > 0 and all(_nesting(item, room - 1) for item in value.values())
    if isinstance(value, list):
        return room > 0 and all(_nesting(item, room - 1) for item in value)
    return True


def loads(data: bytes, what: str, longest: int = MAX_BYTES) -> Any:
    """Parse one JSON document.

    Args:
        data: UTF-8 text, at most `MAX_NESTING` deep.
        what: names the document in an error, as "cannot read the state".
        longest: bytes that it may have.

    Raises:
        RequestError: it is too long, too deep, not UTF-8 or not JSON.
    """
    if len(data) > longest:
        raise RequestError(what, f"it is longer than {longest} bytes")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise RequestError(what, f"it is not JSON: {error}") from None
    value = _parse(_scan, text, what)
    if text.count("{") + text.count("[") > MAX_NESTING and not _nesting(value, MAX_NESTING):
        raise RequestError(what, _TOO_DEEP)
    return value


def text_pairs(data: bytes, what: str) -> set[tuple[str, str]]:
    """Collect every pair of a key and a text anywhere in a document, whatever object it is in.

    A key that an object repeats is there with each of its texts, where `loads` has
    the last one. Bytes that are not UTF-8 are replaced.

    >>> sorted(text_pairs(b'{"a": "1", "a": "2", "b": [{"c": "3", "d": 4}]}', ""))
    [('a', '1'), ('a', '2'), ('c', '3')]

    Args:
        data: the document, of any depth that the scanner can follow.
        what: names it in an error.

    Raises:
        RequestError: it is not JSON.
    """
    found: set[tuple[str, str]] = set()

    def note(pairs: list[tuple[str, Any]]) -> None:
        found.update((key, text) for key, text in pairs if isinstance(text, str))

    _parse(_scanner(note), data.decode("utf-8", "replace"), what)
    return found


def _parse(scan: _Scanner, text: str, what: str) -> Any:
    """Return the one value that a text is, with blanks around it."""
    start = len(text) - len(text.lstrip(_BLANK))
    try:
        try:
            value, end = scan(text, start)
        except SystemError:
            # CPython 3.11 tells what is wrong inside an object or a string with the error
            # class of `json.decoder`, and where nobody has imported that, raises nothing at
            # all. It costs 7 ms, which only a damaged document is worth.
            import json.decoder  # noqa: F401  # the scanner looks for it itself

            value, end = scan(text, start)
        if text[end:].strip(_BLANK):
            raise ValueError(f"there is more after its end at character {end}")
    except StopIteration as stop:
        raise RequestError(what, f"it is not JSON at character {stop.value}") from None
    except RecursionError:
        raise RequestError(what, _TOO_DEEP) from None
    except ValueError as error:
        raise RequestError(what, f"it is not JSON: {error}") from None
    return value


def dumps(value: Any) -> str:
    """Render a JSON value on one line, in ASCII.

    Raises:
        TypeError: `value` holds something that JSON has no form for.
    """
    encode = make_encoder(
        {}, _refuse_value, encode_basestring_ascii, None, ": ", ", ",
        # Neither sort keys, nor skip any, nor allow NaN: it takes no names.
        False, False, False,  # noqa: FBT003
    )  # fmt: skip
    return "".join(encode(value, 0))
