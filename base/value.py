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

    def __init_subclass__(cls) -> None:
        """Collect the fields that the class declares, after its parent's."""
        cls._fields = (*cls._fields, *cls.__dict__.get("__annotations__", ()))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take the fields by position or by name."""
        fields = self._fields
        if len(args) > len(fields):
            raise TypeError(f"{type(self).__name__} takes {len(fields)} fields, got {len(args)}")
        values = dict(zip(fields, args, strict=False))
        for name in kwargs:
            if name in values or name not in fields:
                raise TypeError(f"{type(self).__name__} got an unexpected field {name!r}")
        values.update(kwargs)
        if len(values) != len(fields):
            for name in fields:
                if name not in values and not hasattr(type(self), name):
                    raise TypeError(f"{type(self).__name__} needs the field {name!r}")
        self.__dict__.update(values)

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse: a value does not change."""
        raise AttributeError(f"{type(self).__name__} is frozen: cannot set {name!r}")

    def __delattr__(self, name: str) -> None:
        """Refuse: a value does not change."""
        raise AttributeError(f"{type(self).__name__} is frozen: cannot delete {name!r}")

    def _values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self._fields)

    def __eq__(self, other: object) -> bool:
        """Compare type and every field."""
        if type(other) is not type(self):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        """Hash over type and every field."""
        return hash((type(self), self._values()))

    def __repr__(self) -> str:
        """Spell the value as the call that makes it."""
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._fields)
        return f"{type(self).__name__}({shown})"

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed."""
        return type(self)(**{**dict(zip(self._fields, self._values(), strict=True)), **changes})
