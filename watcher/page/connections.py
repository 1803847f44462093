"""Each connection: its request is read, answered, and that was it, or it is shown what is live.

Whoever speaks slowly, or reads slowly, has a time; whoever sends much is not read.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

from ocinet.watcher.page.exchange import (
    END_OF_HEAD,
    Answer,
    parse_head,
    refuse,
    render,
    render_head,
)
from ocinet.watcher.page.updates import message

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter

    from ocinet.watcher.page.gate import Gate
    from ocinet.watcher.page.live import Live

MOST = 32
MOST_READERS = 8  # of what is live
_LEAVE_S = 1.0
_IN_FLIGHT = 1 << 16  # bytes that wait for a slow reader before it is sent no more
_STREAM = "text/event-stream; charset=utf-8"
_SLOW = refuse(408, "The request took too long.")
_LONG = refuse(431, "The request is too long.")
_CROWD = refuse(503, f"There are {MOST_READERS} readers already: close one of them.")
_KEEP_ALIVE = b":\n\n"


@dataclass(frozen=True)
class Patience:
    """How long who is connected may take, in seconds.

    Attributes:
        head_s: until a request has been sent, whole.
        send_s: until a reader has taken what it was sent.
        turn_s: between two messages to a reader: what comes meanwhile comes together.
        silent_s: until something is sent, so that a reader knows that it is connected still.
    """

    head_s: float = 5.0
    send_s: float = 20.0
    turn_s: float = 0.5
    silent_s: float = 5.0


class Connections:
    """Serves them, all in one event loop.

    Args:
        gate: says who is let in.
        live: what is shown to them.
        patience: with them.
    """

    def __init__(self, gate: Gate, live: Live, patience: Patience | None = None) -> None:
        self._gate = gate
        self._live = live
        self._patience = patience or Patience()
        self._count = 0
        self._unjudged: dict[StreamWriter, None] = {}  # who has not said what it wants, by age

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Serve one; none is waited for by others.

        Where there are too many, who has been silent for longest goes: any user of this machine
        may connect and say nothing, and is not to keep out who has the token.
        """
        self._count += 1
        if self._count > MOST and self._unjudged:
            oldest = next(iter(self._unjudged))
            del self._unjudged[oldest]
            oldest.transport.abort()
        self._unjudged[writer] = None
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            return  # it has gone, or has not taken its answer
        finally:
            self._count -= 1
            self._unjudged.pop(writer, None)
            writer.transport.abort()

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        answer, only_head = await self._judge(reader)
        self._unjudged.pop(writer, None)
        if answer is None:
            if only_head:
                writer.write(render_head(200, _STREAM))
            else:
                await self._show(reader, writer)
                return
        else:
            writer.write(render(answer, only_head=only_head))
        await self._drain(writer)
        await _leave(reader, writer)

    async def _judge(self, reader: StreamReader) -> tuple[Answer | None, bool]:
        """Return what is answered, None for what is live, and whether its head alone is."""
        try:
            async with asyncio.timeout(self._patience.head_s):
                head = await reader.readuntil(END_OF_HEAD)
        except TimeoutError:
            return _SLOW, False
        except asyncio.LimitOverrunError:
            return _LONG, False
        asked = parse_head(head)
        if isinstance(asked, Answer):
            return asked, False
        answer = self._gate.answer(asked)
        if answer is None and self._live.readers >= MOST_READERS:
            answer = _CROWD
        return answer, asked.method == "HEAD"

    async def _show(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Show what is live, until the reader goes or is too slow."""
        writer.transport.set_write_buffer_limits(high=_IN_FLIGHT)
        writer.write(render_head(200, _STREAM) + message("hello", self._gate.version))
        gone = asyncio.create_task(_take_all(reader))
        try:
            await self._show_until(gone, writer)
        finally:
            gone.cancel()

    async def _show_until(self, gone: asyncio.Task[None], writer: StreamWriter) -> None:
        with self._live.looking() as seen:
            silent_since = monotonic()
            while not gone.done():
                news = self._live.since(seen)
                if not news and monotonic() - silent_since < self._patience.silent_s:
                    await self._live.wait(self._patience.silent_s, gone)
                    continue
                writer.write(news or _KEEP_ALIVE)
                await self._drain(writer)
                silent_since = monotonic()
                await asyncio.sleep(self._patience.turn_s)

    async def _drain(self, writer: StreamWriter) -> None:
        """Wait until what was written is on its way.

        Raises:
            TimeoutError: an OSError: who reads is too slow.
        """
        async with asyncio.timeout(self._patience.send_s):
            await writer.drain()


async def _leave(reader: StreamReader, writer: StreamWriter) -> None:
    """Close, having taken what is sent still: else the kernel resets, and the answer is lost."""
    writer.write_eof()
    try:
        async with asyncio.timeout(_LEAVE_S):
            await _take_all(reader)
    except TimeoutError:
        return


async def _take_all(reader: StreamReader) -> None:
    """Take what is sent still, and return when nothing more comes: it has gone."""
    try:
        while await reader.read(1 << 16):
            pass
    except OSError:
        return
