"""Tests get the signals of a terminal, however they were started."""

from __future__ import annotations

import signal
import subprocess
import sys


def test_command_of_a_test_ends_by_a_terminals_signals() -> None:
    """SIGINT and SIGQUIT kill what a test starts, as they would in a terminal."""
    for number in (signal.SIGINT, signal.SIGQUIT):
        with subprocess.Popen(["/bin/sleep", "20"]) as sleeper:
            sleeper.send_signal(number)
        assert sleeper.returncode == -number


def test_tests_started_in_the_background_get_a_terminals_signals() -> None:
    """A script's `&` has them ignored, by everything that is started from there."""
    asked = test_command_of_a_test_ends_by_a_terminals_signals.__name__
    done = subprocess.run(
        ["/usr/bin/env", "--ignore-signal=INT,QUIT", sys.executable, "-m", "pytest", "--quiet",
         "-p", "no:xdist", f"{__file__}::{asked}"],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
