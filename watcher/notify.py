"""Telling a service manager how the service is, as sd_notify(3) has it."""

from __future__ import annotations

import os
import socket
from time import CLOCK_MONOTONIC, clock_gettime_ns
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

READY = "READY=1"
STOPPING = "STOPPING=1"
WATCHDOG = "WATCHDOG=1"


class Notifier:
    """Sends states to the manager's socket; does nothing where there is none.

    Args:
        environment: with `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`, if
            a manager has set them.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._interval_us = environment.get("WATCHDOG_USEC", "")
        watched_pid = environment.get("WATCHDOG_PID", "")
        self._is_watched = not watched_pid or watched_pid == str(os.getpid())

    @property
    def watchdog_s(self) -> float:
        """Seconds within which the manager wants to hear from us; 0: it doesn't."""
        if not self._is_watched or not self._interval_us.isdecimal():
            return 0.0
        return int(self._interval_us) / 1_000_000

    def tell(self, *states: str) -> None:
        """Send states, as `READY=1`; a manager that does not listen is no error."""
        if self._address[:1] not in ("/", "@"):
            return
        address = f"\0{self._address[1:]}" if self._address[0] == "@" else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager:
                manager.sendto("\n".join(states).encode(), address)
        except OSError:
            return

    def tell_reloading(self) -> None:
        """Say that settings are being read anew; `READY` ends it."""
        self.tell("RELOADING=1", f"MONOTONIC_USEC={clock_gettime_ns(CLOCK_MONOTONIC) // 1000}")
