"""Asks for names as a program in a container does, by one libc or by dig; run as a script.

Arguments: `glibc`, the path of `lookups.c` compiled, or `dig`, and then the questions, each
with what dig is told of it. It prints an answer on each line: addresses or names,
`none` for a name that is not there, `no data`, or `fails`.
"""

from __future__ import annotations

import re
import socket
import subprocess
import sys

_NONE, _NO_DATA, _FAILS = "none", "no data", "fails"
# What libcs have for "there is no such name", and "there is no address of it".
_ABSENT = {"-2": _NONE, "-5": _NO_DATA}
_STATUS = {"NXDOMAIN": _NONE, "NOERROR": _NO_DATA}
_DIG = ("dig", "+tries=1", "+time=3")


def _glibc(name: str) -> str:
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        return _ABSENT.get(str(error.errno), _FAILS)
    return " ".join(str(each[4][0]) for each in found)


def _compiled(program: str, name: str) -> str:
    said = subprocess.run([program, name], capture_output=True, text=True, check=True).stdout
    return _ABSENT.get(said.removeprefix("error ").strip(), said.strip())


def _dig(words: str) -> str:
    said = subprocess.run(
        [*_DIG, *words.split()], capture_output=True, text=True, check=False
    ).stdout
    status = re.search(r"status: (\w+)", said)
    if not status:
        return _FAILS
    answers = said.partition("ANSWER SECTION:\n")[2].partition("\n\n")[0].splitlines()
    return " ".join(line.split()[-1] for line in answers) or _STATUS.get(status[1], _FAILS)


def main() -> None:
    """Print the answers."""
    by, *questions = sys.argv[1:]
    for question in questions:
        name = question.split()[-1]
        if by == "dig":
            answer = _dig(question)
        else:
            answer = _glibc(name) if by == "glibc" else _compiled(by, name)
        print(answer)  # noqa: T201  -- what this program is for


if __name__ == "__main__":
    main()
