"""Frozen values without the import cost of dataclasses.

Importing `dataclasses` costs more than wiring a whole container (see
`docs/hook-path.md`), so what the hook's path hands around are subclasses of
`Value`: fields are declared as annotations, compared with `==`, and cannot be
changed. Type checkers read them as frozen dataclasses.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self, dataclass_transform
else:

    def dataclass_transform(**_options):  # noqa: ANN003, ANN201  checkers read the other branch
        """Stand in for `typing.dataclass_transform`: at run time it does nothing."""
        return lambda cls: cls


@dataclass_transform(frozen_default=True)
class Value:
    """A frozen record: fields from annotations, defaults from class attributes.

    >>> class Point(Value):
    ...     x: int
    ...     y: int = 0
    >>> Point(1)
    Point(x=1, y=0)
    """

    _fields: tuple[str, ...] = ()
    _names: frozenset[str] = frozenset()
    _defaults: dict[str, Any] = {}  # noqa: RUF012  each class has its own, and it is only read

    def __init_subclass__(cls) -> None:
        """Collect the fields that the class declares, after its parent's."""
        own = cls.__dict__
        cls._fields = (*cls._fields, *own.get("__annotations__", ()))
        cls._names = frozenset(cls._fields)
        # Through the class: a function as a default is wrapped in `staticmethod`. Asking the
        # class for what it does not have would make an error of each field without one.
        known = cls._defaults
        cls._defaults = {name: getattr(cls, name) for name in cls._fields
                         if name in own or name in known}  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take the fields by position or by name."""
        values = self.__dict__  # of every field, once this is done
        fields = self._fields
        if len(args) == len(fields) and not kwargs:  # as where there are thousands of them
            values.update(zip(fields, args, strict=True))
            return
        if len(args) + len(kwargs) < len(fields):
            values.update(self._defaults)
        if args:
            values.update(zip(fields, args, strict=False))
        if kwargs:
            values.update(kwargs)
            if args or not self._names.issuperset(kwargs):
                self._check(args, kwargs)
        if len(values) != len(fields) or len(args) > len(fields):
            self._check(args, kwargs)

    def _check(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Refuse fields that are too many, unknown, given twice or missing."""
        kind, fields = type(self).__name__, self._fields
        if len(args) > len(fields):
            raise TypeError(f"{kind} takes {len(fields)} fields, got {len(args)}")
        for name in kwargs:
            if name not in self._names or name in fields[: len(args)]:
                raise TypeError(f"{kind} got an unexpected field {name!r}")
        for name in fields:
            if name not in self.__dict__:
                raise TypeError(f"{kind} needs the field {name!r}")

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse: a value does not change."""
        raise AttributeError(f"{type(self).__name__} is frozen: cannot set {name!r}")

    def __delattr__(self, name: str) -> None:
        """Refuse: a value does not change."""
        raise AttributeError(f"{type(self).__name__} is frozen: cannot delete {name!r}")

    def __eq__(self, other: object) -> bool:
        """Compare type and every field."""
        if self is other:
            return True
        if type(other) is not type(self):
            return NotImplemented
        return self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        """Hash over type and every field."""
        return hash((type(self), *map(self.__dict__.__getitem__, self._fields)))

    def __repr__(self) -> str:
        """Spell the value as the call that makes it."""
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._fields)
        return f"{type(self).__name__}({shown})"

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed."""
        if not self._names.issuperset(changes):
            self._check((), changes)
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__, **changes)
        return copy
