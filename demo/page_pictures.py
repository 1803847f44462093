"""Pictures of the watcher's page, anew: of a host of its own, with 1, 5 and 200 containers.

    make pictures                  # root; PICTURES=build/pictures to write them elsewhere

By Chromium, whose absence is told. The page is served as the watcher serves it, but by this
process: a watcher would have mended what is broken before anybody saw it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path

from scene import Scene, isolated

from hosts.browser import Browser
from ocinet.engine.model.settings import Settings
from ocinet.watcher.engine_calls import EngineCalls
from ocinet.watcher.logs import make_log
from ocinet.watcher.page.showing import Showing
from ocinet.watcher.page.token import read_token

_COUNT = "PAGE_PICTURES_COUNT"
_ASIDE = "build/pictures"  # without loss, to be looked at
_WHERE = "127.0.0.1:4900"
# By how many containers there are: who sends something.
_TALKERS = {1: ("web",), 5: ("web", "api"), 200: ("web-1", "proxy-2")}
# Likewise: name, width, height, dark.
_PICTURES = {
    1: (("page-1", 1200, 640, False),),
    5: (
        ("page-5", 1200, 860, False),
        ("page-5-dark", 1200, 860, True),
        ("page-5-small", 400, 860, False),
    ),
    200: (("page-200", 1200, 1200, False),),
}  # fmt: skip


def photograph(scene: Scene, count: int, folder: Path) -> None:
    """Serve the page, and keep what a browser shows of it."""
    settings = Settings()
    calls = EngineCalls(scene.paths, lambda _network: {}, lambda: settings)
    showing = Showing(
        scene.paths.run, calls.picture, print, make_log("warning"), traceback.print_exception
    )
    showing.adapt(_WHERE)
    over = threading.Event()

    def talk() -> None:
        while not over.is_set():
            scene.talk(*_TALKERS[count])

    talking = threading.Thread(target=talk)
    talking.start()
    try:
        with Browser() as browser:
            for name, width, height, dark in _PICTURES[count]:
                browser.be(width=width, height=height, dark=dark)
                browser.open(f"http://{_WHERE}/#{read_token(scene.paths.run)}")
                browser.await_(f"document.querySelectorAll('#rows tr').length == {count}")
                browser.await_("document.querySelector('#rows').innerText.includes('/s')")
                path = folder / f"{name}.webp"
                browser.photograph(str(path))
                browser.photograph(f"{_ASIDE}/{name}.png")
                print(f"{path}: {path.stat().st_size} bytes")
    finally:
        over.set()
        talking.join()
        showing.stop()
        showing.join(5)


def main() -> None:
    """Write all pictures."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/pictures")
    count = int(os.environ.get(_COUNT, "0"))
    if not shutil.which("chromium"):
        print("no pictures of the page: apt-get install chromium fonts-dejavu-core")
        return
    if not count:  # one host for each
        for number in _PICTURES:
            environment = {**os.environ, _COUNT: str(number)}
            subprocess.run([sys.executable, *sys.argv], env=environment, check=True)
        return
    isolated()
    for each in (folder, Path(_ASIDE)):
        each.mkdir(parents=True, exist_ok=True)
    with Scene() as scene:
        scene.have(count)
        time.sleep(1)
        photograph(scene, count, folder)


if __name__ == "__main__":
    main()
