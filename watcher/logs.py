"""How the service logs: JSON lines for a journal, readable ones for a terminal.

structlog is imported by who logs: it takes 65 ms, and the command's help names
levels and forms as well.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("auto", "console", "json")


def make_log(
    level: str = "info",
    form: Literal["auto", "console", "json"] = "auto",
    stream: TextIO | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Any:
    """Return the service's logger; events are constant phrases, the rest are keys.

    Args:
        level: the least that is shown: one of `LEVELS`.
        form: one of `FORMATS`; `auto` means console on a terminal, json elsewhere.
        stream: stderr unless given.
        environment: `NO_COLOR` keeps a terminal plain.
    """
    import logging

    import structlog

    stream = stream or sys.stderr
    console = form == "console" or (form == "auto" and stream.isatty())
    processors: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    if console:
        colors = stream.isatty() and not environment.get("NO_COLOR")
        processors.append(structlog.dev.ConsoleRenderer(colors=colors))
    else:
        processors.append(structlog.processors.JSONRenderer())
    return structlog.wrap_logger(
        structlog.WriteLogger(stream),
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        cache_logger_on_first_use=True,
    )
