"""The watcher's page as a browser has it: a real Chromium, in the test's own namespace."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from builders import on, tcp
from hosts.browser import Browser
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.keeping import Keeping
from hosts.namespace.wired_host import PATHS, WiredHost
from hosts.waiting import wait_until
from ocinet.base.events import EventLog
from ocinet.watcher.bulletin import read_news
from ocinet.watcher.page.token import NAME as TOKEN_FILE

_HOSTILE = (
    "<img src=x onerror=\"document.title='run'\">\n\u202egnp.exe</li>"
    "<script>document.title='run'</script>"
)
# As it is shown: what is not to be seen, or turns the text around it, by its number.
_SHOWN = _HOSTILE.replace("\n", "\u27e8000a\u27e9").replace("\u202e", "\u27e8202e\u27e9")
_WAIT_S = 30.0


def _place() -> str:
    news = read_news(PATHS.run)
    return news.page if news else ""


# In CI as well: it is 300 MB, and has more to fetch than all other tests need.
@pytest.mark.skipif(not shutil.which("chromium"), reason="needs: apt-get install chromium")
@pytest.mark.timeout(240)
@in_namespaces
def test_browser_shows_names_as_text_and_runs_nothing_of_them() -> None:
    """A container's name is what anybody chose: in table, tiles, events, and where it is refused.

    One browser for all of it, which takes some seconds to start: what is shown changes with the
    host, keys alone open and close, and who has no token sees how to get it.
    """
    with WiredHost() as host, Keeping("--web", "127.0.0.1:0") as keeping, Browser() as browser:
        host.up("web", on("lan", publish=(tcp(8080),)))
        with host.engine() as engine:
            engine.rename("web-id", _HOSTILE)
        refused = {"container": "f" * 64, "name": _HOSTILE, "door": "hook", "error": _HOSTILE}
        EventLog(PATHS.run).append("hook failed", **refused)
        where = wait_until(_place, "the page is shown", timeout_s=_WAIT_S)
        token = (Path(PATHS.run) / TOKEN_FILE).read_text()

        browser.open(f"http://{where}/")
        browser.await_("document.querySelector('#locked:not([hidden])')?.innerText.length")
        assert "ocinet status" in browser.evaluate("document.querySelector('#locked').innerText")

        browser.open(f"http://{where}/#{token}")
        browser.await_("document.querySelectorAll('#rows tr').length == 2")
        assert browser.evaluate("location.hash") == ""
        for place in ("#rows .named bdi", "#wrong-list b bdi", ".tile bdi", "#events bdi"):
            texts = browser.evaluate(
                f"[...document.querySelectorAll({json.dumps(place)})].map(e => e.textContent)"
            )
            assert _SHOWN in [text.replace("\u2026", "") for text in texts] or any(
                text and _SHOWN.startswith(text.removesuffix("\u2026")) for text in texts
            ), (place, texts)
        assert "run" not in browser.evaluate("document.title").split()
        assert browser.evaluate("document.querySelectorAll('main img, dialog img').length") == 0
        assert browser.evaluate("document.scripts.length") == 1
        assert "1 refused" in browser.evaluate("document.querySelector('#verdict').textContent")
        assert "8080 \u2192 80/tcp" in browser.evaluate("document.querySelector('#rows').innerText")

        browser.evaluate("document.querySelector('.lane .tile').focus()")
        browser.press("Enter")
        browser.await_("document.querySelector('#details').open")
        assert "10.9.0.2/24" in browser.evaluate("document.querySelector('#details').innerText")
        browser.press("Escape")
        browser.await_("!document.querySelector('#details').open")

        host.up("db")
        browser.await_("document.querySelectorAll('#rows tr').length == 3")
        assert browser.told == [], "an error in the console, or something that the policy forbids"
        os.kill(keeping.pid, signal.SIGTERM)
        browser.await_("document.querySelector('#pulse').innerText.includes('lost: this is of')")
