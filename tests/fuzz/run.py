"""One target under atheris: `python -m fuzz.run TARGET [CORPUS] [-max_total_time=S]`.

Options are libFuzzer's. What it finds stays as `crash-…`, which is also an argument: the one
example is fed again. `make fuzz` runs all of them.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path


def main() -> None:
    """Fuzz until the time is over, or something is found."""
    atheris = import_module("atheris")  # not where lint and types are checked
    with atheris.instrument_imports(include=["ocinet", "fuzz"]):
        targets = import_module("fuzz.targets")
    name = sys.argv.pop(1)
    corpus = next((Path(word) for word in sys.argv[1:] if Path(word).is_dir()), None)
    for number, seed in enumerate(targets.TARGETS[name].seeds if corpus else ()):
        (Path(str(corpus)) / f"seed-{number}").write_bytes(seed)
    atheris.Setup(sys.argv, lambda data: targets.feed(name, data))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
