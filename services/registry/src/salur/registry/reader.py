"""Reading in a process of its own: of a large import one core reads on while another writes what was read.

Parent and child talk over the child's standard input and output. The child ends when its input does: with its parent.
"""

import asyncio
import contextlib
import gc
import pickle
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from salur.common.events import EventStore
from salur.common.memory import end_if_out_of_memory
from salur.common.secrets import Secrets
from salur.common.traces import describe
from salur.registry.usecases.read_import import ImportBroken, Item, Piece, Reading

COLLECT_AFTER = (20_000, 20, 50)
"""A batch makes tens of thousands of objects without cycles: collecting more often costs a fifth of the import."""
SIZE_BYTES = 8
BUFFER_SIZE = 4 * 1024 * 1024
STOP_TIMEOUT_S = 5.0


class ReadingFailed(Exception):
    """A fault of ours in the reading process; told by its kind, for the error itself may repeat a row."""


class Start(NamedTuple):
    """What a reader needs to know once."""

    key_file: Path
    banks: Sequence[str]
    partitions: Mapping[str, int]


class ReaderProcess:
    """A reader with its process, which is started for the first piece and again after it has died."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self._process: Process | None = None

    async def read(self, piece: Piece) -> list[Item]:
        """Read a piece. Raises ImportBroken, ReadingFailed; ConnectionError when the process died, which passes."""
        process = self._process or await self._begin()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(_packed(piece))
            size = int.from_bytes(await process.stdout.readexactly(SIZE_BYTES))
            # Our own child wrote it, of rows it has taken apart itself.
            answer = pickle.loads(await process.stdout.readexactly(size))  # noqa: S301
        except (asyncio.IncompleteReadError, ConnectionError):
            await self.close()
            raise ConnectionError("the reading process has died") from None
        except asyncio.CancelledError:
            process.kill()  # what it still answers is nobody's answer
            self._process = None
            raise
        if isinstance(answer, Exception):
            raise answer
        items: list[Item] = answer
        return items

    async def close(self) -> None:
        """End the process, if there is one. A piece that is still being read is lost."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            process.kill()
        await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)

    async def _begin(self) -> Process:
        command = [sys.executable, "-m", __name__]
        self._process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, limit=BUFFER_SIZE)
        assert self._process.stdin is not None
        self._process.stdin.write(_packed(self._start))
        return self._process


def _packed(message: object) -> bytes:
    data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return len(data).to_bytes(SIZE_BYTES) + data


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """The child: answer every piece until there are no more."""
    start: Start = _next(requests)
    secrets = Secrets.from_file(start.key_file)
    reading = Reading(secrets, start.banks, EventStore("registry", secrets, start.partitions).prepare)
    while (piece := _next(requests)) is not None:
        answers.write(_packed(_answer(reading, piece)))
        answers.flush()


def _answer(reading: Reading, piece: Piece) -> list[Item] | Exception:
    try:
        return list(reading.batch(piece))
    except ImportBroken as broken:
        return broken
    except Exception as error:
        end_if_out_of_memory(error)
        return ReadingFailed(describe(error))


def _next(requests: BinaryIO) -> Any:
    size = requests.read(SIZE_BYTES)
    return pickle.loads(requests.read(int.from_bytes(size))) if len(size) == SIZE_BYTES else None  # noqa: S301


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C reaches us too; the parent decides
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    with contextlib.suppress(BrokenPipeError):  # the parent is gone
        serve(sys.stdin.buffer, sys.stdout.buffer)
