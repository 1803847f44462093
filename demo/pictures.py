"""The pictures of the docs, anew: of a host of its own, with 1, 5 and 200 containers.

    make pictures                  # root; PICTURES=build/pictures to write them elsewhere

What `ocinet topology` draws, and what it prints at a terminal, colours and all. Where Chromium
is installed, build/pictures has what it makes of each, light and dark, to be looked at.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
from html import escape
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from scene import Scene, isolated

_COUNTS = (1, 5, 200)
_COUNT = "PICTURES_COUNT"
_COLUMNS = 110
_COLOURS = {"32": "good", "1;31": "bad", "36": "hint"}
_PAINTED = re.compile("\033\\[([0-9;]+)m(.*?)\033\\[0m|([^\033]+)")
_SIZE, _LINE, _LETTER = 13, 18, 7.85
_TERMINAL = """\
<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" \
viewBox="0 0 {width} {height}" role="img" aria-label="{label}">
<style>rect{{fill:#0d1117}}text{{font:{size}px ui-monospace,"SF Mono",Consolas,"DejaVu Sans Mono",\
monospace;fill:#e6edf3;white-space:pre}}.good{{fill:#3fb950}}.bad{{fill:#ff7b72;font-weight:700}}\
.hint{{fill:#39c5cf}}.dot{{fill:#57606a}}</style>
<rect width="{width}" height="{height}" rx="10"/>
<g class="dot"><circle cx="20" cy="18" r="5"/><circle cx="38" cy="18" r="5"/>\
<circle cx="56" cy="18" r="5"/></g>
{lines}
</svg>
"""


class _Terminal(io.StringIO):
    """A stream that says that it is a terminal's."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        """Say so."""
        return True


def terminal(text: str, command: str) -> str:
    """Return what a terminal shows as an SVG document.

    Args:
        text: with the colours that ocinet has.
        command: that printed it.
    """
    lines = [f"# {command}", *text.rstrip("\n").split("\n")]
    drawn = []
    for at, line in enumerate(lines):
        spans = []
        for colour, painted, plain in re.findall(
            "\033\\[([0-9;]+)m(.*?)\033\\[0m|([^\033]+)", line
        ):
            told = escape(painted or plain)
            spans.append(f'<tspan class="{_COLOURS[colour]}">{told}</tspan>' if colour else told)
        y = 50 + at * _LINE
        drawn.append(f'<text x="20" y="{y}" xml:space="preserve">{"".join(spans)}</text>')
    bare = [re.sub("\033\\[[0-9;]*m", "", line) for line in lines]
    return _TERMINAL.format(
        width=round(40 + _LETTER * max(map(len, bare))),
        height=50 + _LINE * len(lines),
        size=_SIZE,
        label=escape(f"A terminal that shows what {command} prints"),
        lines="\n".join(drawn),
    )


def screenshot(url: str, path: Path, *, width: int, height: int, dark: bool = False) -> bool:
    """Have Chromium show something, and keep what is to be seen.

    Args:
        url: of a file, or a server's.
        path: of the PNG.
        width: of the window, pixels.
        height: likewise.
        dark: whether its user prefers a dark scheme.

    Returns:
        False if there is no Chromium.
    """
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        return False
    words = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    words += [f"--window-size={width},{height}", f"--screenshot={path.resolve()}"]
    words += [f"--user-data-dir={path.resolve().parent}/chromium"]
    words += ["--blink-settings=preferredColorScheme=0"] if dark else []
    subprocess.run([program, *words, url], check=True, capture_output=True, timeout=120)
    return True


def _look(drawing: Path, folder: Path) -> None:
    """Make PNGs of a drawing."""
    found = re.search(r'width="(\d+)" height="(\d+)"', drawing.read_text())
    width, height = map(int, found.groups()) if found else (1200, 800)
    for scheme in ("light", "dark"):
        path = folder / f"{drawing.stem}-{scheme}.png"
        url = f"file://{drawing.resolve()}"
        if screenshot(url, path, width=width, height=height, dark=scheme == "dark"):
            print(f"{path}: to be looked at")


def main() -> None:
    """Write all pictures."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/pictures")
    count = int(os.environ.get(_COUNT, "0"))
    if not count:  # one host for each
        for number in _COUNTS:
            environment = {**os.environ, _COUNT: str(number)}
            subprocess.run([sys.executable, *sys.argv], env=environment, check=True)
        return
    isolated()
    aside = Path("build/pictures")
    for each in (folder, aside):
        each.mkdir(parents=True, exist_ok=True)
    with Scene() as scene:
        scene.have(count)
        drawing = folder / f"topology-{count}.svg"
        drawing.write_text(scene.ocinet("topology", "--format", "svg"))
        printed = scene.ocinet("topology", columns=_COLUMNS, out=_Terminal())
        shown = folder / f"terminal-{count}.svg"
        shown.write_text(terminal(printed, "ocinet topology"))
    for each in (drawing, shown):
        print(f"{each}: {each.stat().st_size} bytes")
        _look(each, aside)


if __name__ == "__main__":
    main()
