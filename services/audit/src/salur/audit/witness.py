"""A witness: signs a log's tree head only when it extends the last one it signed. Source: C2SP tlog-witness v1.0.0.

It keeps one head per log on disk and needs nothing but this file's neighbours and `cryptography`, so that a bank or an
audit board can run it apart from Salur. `GET /` names its key, `GET /latest/<origin>` the head it signed last.
"""

import argparse
import base64
import contextlib
import fcntl
import hashlib
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

from salur.audit.log.disk import DISK, place
from salur.audit.log.errors import LogError, MalformedNote, ProofBroken, SignatureBroken
from salur.audit.log.note import (
    COSIGNATURE,
    Checkpoint,
    Signer,
    VerifierKey,
    decode_base64,
    open_checkpoint,
    parse_keys,
)
from salur.audit.log.note import MAX_SIZE as MAX_TREE
from salur.audit.log.tree import verify_consistency

MAX_BODY = 64 * 1024
MAX_HASHES = 63
REQUEST_TIMEOUT_S = 10.0
TEXT = "text/plain; charset=utf-8"
TREE_SIZE = "text/x.tlog.size"
_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})\Z")


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back over HTTP."""

    status: int
    body: str
    kind: str = TEXT


class InUse(RuntimeError):
    """Another process is this witness: two would not see each other's signatures."""


class Witness:
    """One key, its logs, and the last head signed of each. Raises InUse."""

    def __init__(
        self, folder: Path, name: str, logs: Sequence[VerifierKey], clock: Callable[[], float] = time.time
    ) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._clock = clock
        self._keys: dict[str, list[VerifierKey]] = {}
        for key in logs:
            self._keys.setdefault(key.name, []).append(key)
        self._lock = threading.Lock()
        self._owner = os.open(folder / ".owner", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._owner)
            raise InUse(f"another process runs the witness in {folder}: stop it first") from None
        self.signer = witness_key(folder, name)

    def close(self) -> None:
        """Let another process be this witness."""
        os.close(self._owner)

    def add_checkpoint(self, body: bytes) -> Answer:
        """Cosign a head that extends the last one; 4xx says why not. Kept on disk before the answer."""
        try:
            old, proof, note = _request(body)
            origin = note.partition("\n")[0]
            keys = self._keys.get(origin)
            if keys is None:
                return Answer(404, "this witness does not know that log\n")
            head = open_checkpoint(note, *keys)
        except SignatureBroken as error:
            return Answer(403, f"{error}\n")
        except MalformedNote as error:
            return Answer(400, f"{error}\n")
        if old > head.size:
            return Answer(400, "the old size is larger than the new one\n")
        with self._lock:
            return self._extend(old, proof, note, head)

    def _extend(self, old: int, proof: Sequence[bytes], note: str, head: Checkpoint) -> Answer:
        last = self._last(head.origin)
        known = last.size if last else 0
        if old != known or (last is not None and head.size == last.size and head.root != last.root):
            return Answer(409, f"{known}\n", TREE_SIZE)
        try:
            if last is not None and last.size:
                verify_consistency(last.size, head.size, proof, last.root, head.root)
            elif proof:
                raise ProofBroken("nothing was signed before, so there is nothing to prove")
        except ProofBroken as error:
            return Answer(422, f"{error}\n")
        text = note.rpartition("\n\n")[0] + "\n"
        line = self.signer.line(text, int(self._clock()))
        for folder in place([(self._path(head.origin), (note + line).encode())]):
            DISK.sync_folder(folder)
        return Answer(200, line)

    def latest(self, origin: str) -> Answer:
        """The head signed last, with the log's signature and this witness's."""
        if origin not in self._keys or not (path := self._path(origin)).exists():
            return Answer(404, "nothing signed of that log\n")
        return Answer(200, path.read_text(encoding="utf-8"))

    def _last(self, origin: str) -> Checkpoint | None:
        """Raises LogError when the state was changed by another hand: then nothing is signed."""
        path = self._path(origin)
        if not path.exists():
            return None
        return open_checkpoint(path.read_text(encoding="utf-8"), *self._keys[origin])

    def _path(self, origin: str) -> Path:
        return self._folder / f"{hashlib.sha256(origin.encode()).hexdigest()[:32]}.head"


def witness_key(folder: Path, name: str) -> Signer:
    """The key in `folder`, made once; `witness.pub` beside it is for policies."""
    path = folder / "witness.key"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        beside = path.with_name("witness.key.new")
        beside.unlink(missing_ok=True)
        beside.touch(mode=0o600)
        place([(path, os.urandom(32).hex().encode())])
        DISK.sync_folder(folder)
    signer = Signer(name, bytes.fromhex(path.read_text(encoding="ascii").strip()), COSIGNATURE)
    (folder / "witness.pub").write_text(f"{signer.verifier}\n", encoding="utf-8")
    return signer


def request_body(old: int, proof: Sequence[bytes], note: str) -> bytes:
    """The body of an add-checkpoint request."""
    hashes = "".join(base64.b64encode(item).decode() + "\n" for item in proof)
    return f"old {old}\n{hashes}\n{note}".encode()


def _request(body: bytes) -> tuple[int, list[bytes], str]:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise MalformedNote("not UTF-8") from None
    head, separator, note = text.partition("\n\n")
    lines = head.split("\n")
    found = _OLD.match(lines[0])
    if not separator or not found or int(found[1]) > MAX_TREE:
        raise MalformedNote("a request has a line `old <size>`, hashes, an empty line and a checkpoint")
    if len(lines) > MAX_HASHES + 1:
        raise MalformedNote(f"more than {MAX_HASHES} hashes")
    hashes = [decode_base64(line) for line in lines[1:]]
    if any(len(item) != 32 for item in hashes):
        raise MalformedNote("a hash of the proof is no SHA-256")
    return int(found[1]), hashes, note


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = REQUEST_TIMEOUT_S
    witness: Witness

    def do_POST(self) -> None:
        size = self.headers.get("content-length", "")
        if not re.fullmatch(r"[0-9]{1,7}", size) or int(size) > MAX_BODY:
            self.close_connection = True
            self._answer(Answer(413, f"give content-length, at most {MAX_BODY} bytes\n"))
            return
        body = self.rfile.read(int(size))
        self._run(lambda: self.witness.add_checkpoint(body) if self.path == "/add-checkpoint" else _NOWHERE)

    def do_GET(self) -> None:
        if self.path == "/":
            self._answer(Answer(200, f"{self.witness.signer.verifier}\n"))
        elif self.path.startswith("/latest/"):
            self._run(lambda: self.witness.latest(unquote(self.path.removeprefix("/latest/"))))
        else:
            self._answer(_NOWHERE)

    def _run(self, work: Callable[[], Answer]) -> None:
        try:
            answer = work()
        except (LogError, OSError, ValueError) as error:
            self.log_error("the state cannot be used: %s", type(error).__name__)
            answer = Answer(500, "the witness cannot use its state: its operator must look\n")
        self._answer(answer)

    def _answer(self, answer: Answer) -> None:
        body = answer.body.encode()
        self.send_response(answer.status)
        self.send_header("content-type", answer.kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


_NOWHERE = Answer(404, "POST /add-checkpoint, GET / or GET /latest/<origin>\n")


def serve(witness: Witness, host: str, port: int) -> ThreadingHTTPServer:
    """A server that answers once `serve_forever` runs."""
    handler = type("Handler", (_Handler,), {"witness": witness})
    server = ThreadingHTTPServer((host, port), handler)
    server.daemon_threads = True
    return server


def main(argv: Sequence[str] | None = None) -> None:
    """`python -m salur.audit.witness`: run until SIGTERM."""
    parser = argparse.ArgumentParser(prog="salur witness", description="Cosign the heads of audit logs that only grow.")
    parser.add_argument("--name", required=True, help="name of this witness's key, for example bank-a.example/witness")
    parser.add_argument("--log", required=True, type=Path, action="append", help="log.pub of a log to follow")
    parser.add_argument("--state-dir", required=True, type=Path, help="key and last heads; losing it loses its memory")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=7080)
    options = parser.parse_args(argv)
    try:
        logs = [key for path in options.log for key in parse_keys(path.read_text(encoding="utf-8"))]
        witness = Witness(options.state_dir, options.name, logs)
        server = serve(witness, options.host, options.port)
    except (LogError, InUse, OSError) as error:
        parser.exit(1, f"{error}\n")
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    sys.stdout.write(f"{witness.signer.verifier} on http://{options.host}:{server.server_port}\n")
    sys.stdout.flush()
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
    witness.close()


if __name__ == "__main__":
    main()
