"""A Chromium that is looked into and photographed, in the namespaces of whoever starts it.

It is spoken with over a pipe (`--remote-debugging-pipe`), so that it opens no port, and waits
for what a page comes to be: nothing else tells when a page that goes on and on is done.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Self

_FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--hide-scrollbars", "--disable-background-networking", "--remote-debugging-pipe",
)  # fmt: skip
_TELLING = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
_WAIT_S = 60.0
_HIGH_FD = 20  # above 3 and 4, which are the browser's


class Browser:
    """One page of a Chromium of its own, in a `with` block.

    Attributes:
        told: what the page wrote to its console, and what it was refused.
    """

    def __enter__(self) -> Self:
        """Start it."""
        self._home = tempfile.mkdtemp(prefix="browser-")
        self._serial = 0
        self._rest = b""
        self._session = ""
        self.told: list[str] = []
        theirs_in, ours_out = _pipe()
        ours_in, theirs_out = _pipe()
        command = f'exec chromium "$@" 3<&{theirs_in} 4>&{theirs_out}'
        self._process = subprocess.Popen(
            ["bash", "-c", command, "chromium", *_FLAGS, f"--user-data-dir={self._home}/profile"],
            pass_fds=(theirs_in, theirs_out), start_new_session=True,
            env={**os.environ, "HOME": self._home, "XDG_RUNTIME_DIR": self._home},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)
        self._in, self._out = ours_in, ours_out
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        attached = self._call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self._call(f"{domain}.enable")
        return self

    def __exit__(self, *_exception: object) -> None:
        """End it, with all of its processes."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._in)
        os.close(self._out)
        shutil.rmtree(self._home, ignore_errors=True)

    def be(self, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Be of that size, with a user who prefers that scheme."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._call("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, url: str) -> None:
        """Go to a page; a former one is left, whatever is behind its #."""
        self._call("Page.navigate", url="about:blank")
        self._call("Page.navigate", url=url)

    def evaluate(self, expression: str) -> Any:
        """Return what an expression comes to, in the page."""
        result = self._call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def await_(self, expression: str, timeout_s: float = _WAIT_S) -> Any:
        """Wait until an expression is true in the page; return what it comes to.

        Raises:
            AssertionError: it never was.
        """
        end = time.monotonic() + timeout_s
        while not (found := self.evaluate(expression)):
            assert time.monotonic() < end, f"{expression}: never; {self.told}"
            time.sleep(0.1)
        return found

    def press(self, key: str) -> None:
        """Press a key, as `Tab`, and let it go."""
        codes = {"Tab": 9, "Enter": 13, "Escape": 27, "ArrowRight": 39, "End": 35}
        held = {"key": key, "code": key, "windowsVirtualKeyCode": codes[key]}
        text = {"text": "\r"} if key == "Enter" else {}
        self._call("Input.dispatchKeyEvent", type="keyDown", **held, **text)
        self._call("Input.dispatchKeyEvent", type="keyUp", **held)

    def photograph(self, path: str) -> None:
        """Write what is to be seen, as its name says: a PNG, or a WebP of a fifth of its size."""
        form = {"format": "png"} if path.endswith(".png") else {"format": "webp", "quality": 60}
        taken = self._call("Page.captureScreenshot", **form)
        with open(path, "wb") as file:
            file.write(base64.b64decode(taken["data"]))

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._serial += 1
        asked: dict[str, Any] = {"id": self._serial, "method": method, "params": parameters}
        if self._session:
            asked["sessionId"] = self._session
        os.write(self._out, json.dumps(asked).encode() + b"\0")
        while True:
            message = self._read()
            if message.get("id") == self._serial:
                assert "error" not in message, (method, message)
                result: dict[str, Any] = message["result"]
                return result
            if message.get("method") in _TELLING:
                told = json.dumps(message["params"])
                if '"level": "verbose"' not in told:  # advice
                    self.told.append(told[:500])

    def _read(self) -> dict[str, Any]:
        end = time.monotonic() + _WAIT_S
        while b"\0" not in self._rest:
            ready = select.select([self._in], [], [], max(0.0, end - time.monotonic()))[0]
            assert ready, f"Chromium says nothing for {_WAIT_S:g} s"
            part = os.read(self._in, 1 << 20)
            assert part, "Chromium has ended"
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        decoded: dict[str, Any] = json.loads(message)
        return decoded


def _pipe() -> tuple[int, int]:
    """Return a pipe whose descriptors are no 3 and no 4."""
    ends = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, _HIGH_FD) for end in ends]
    for end in ends:
        os.close(end)
    return high[0], high[1]
