"""A witness signs a log's heads only as the log grows: what it answers to every request, over HTTP and on disk."""

import http.client
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from salur.audit.log.note import COSIGNATURE, Checkpoint, Note, Signer, VerifierKey, open_checkpoint
from salur.audit.log.tree import leaf_hash
from salur.audit.witness import MAX_BODY, Answer, InUse, Witness, request_body, serve
from support.reference_tree import Tree

LOG = Signer("audit.salur.example", bytes(range(32)))
NEXT_KEY = Signer(LOG.name, bytes([7]) * 32)
TREE = Tree([leaf_hash(b"%d" % n) for n in range(40)])
FORK = Tree([leaf_hash(b"%d" % n) for n in range(5)] + [leaf_hash(b"other %d" % n) for n in range(35)])
NOW = 1_700_000_000


def head(size: int, tree: Tree = TREE) -> Checkpoint:
    return Checkpoint(LOG.name, size, tree.root(size))


def note(size: int, tree: Tree = TREE, signer: Signer = LOG) -> str:
    return signer.sign(head(size, tree).text())


def request(old: int, size: int, tree: Tree = TREE) -> bytes:
    return request_body(old, tree.proof(old, size) if 0 < old <= size else [], note(size, tree))


def open_witness(folder: Path, *logs: VerifierKey) -> Witness:
    return Witness(folder, "board.example", logs or (LOG.verifier,), lambda: NOW)


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[Witness]:
    made = open_witness(tmp_path / "board")
    yield made
    made.close()


def test_it_cosigns_a_growing_log_with_the_time(witness: Witness) -> None:
    for old, size in ((0, 3), (3, 3), (3, 8), (8, 33)):
        answer = witness.add_checkpoint(request(old, size))
        assert answer.status == 200
        cosigned = note(size) + answer.body
        assert open_checkpoint(cosigned, LOG.verifier) == head(size)
        assert Note.parse(cosigned).signed_by(witness.signer.verifier)
        assert not Note.parse(note(size - 1) + answer.body).signed_by(witness.signer.verifier)
    (_, line) = Note.parse(note(33) + answer.body).signatures[1]
    assert int.from_bytes(line[4:12], "big") == NOW


def test_an_old_size_that_is_not_the_last_one_is_told_the_last_one(witness: Witness) -> None:
    assert witness.add_checkpoint(request(0, 8)).status == 200
    for old, size in ((0, 12), (4, 12), (0, 8), (9, 12)):
        assert witness.add_checkpoint(request(old, size)) == Answer(409, "8\n", "text/x.tlog.size")


def test_a_fork_is_refused_and_leaves_no_trace(witness: Witness) -> None:
    witness.add_checkpoint(request(0, 8))
    assert witness.add_checkpoint(request(8, 12, FORK)).status == 422
    assert witness.add_checkpoint(request(8, 8, FORK)).status == 409
    assert witness.add_checkpoint(request(8, 12)).status == 200


def test_a_rollback_is_refused(witness: Witness) -> None:
    witness.add_checkpoint(request(0, 8))
    assert witness.add_checkpoint(request(8, 5)).status == 400
    assert witness.add_checkpoint(request(5, 5)) == Answer(409, "8\n", "text/x.tlog.size")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"\xff", 400),
        (request(0, 8).replace(b"old 0", b"old 00"), 400),
        (request(0, 8).replace(b"old 0", b"old -1"), 400),
        (request(0, 8).replace(b"old 0", b"old %d" % 2**63), 400),
        (b"old 0\n" + b"AAAA\n" * 64 + b"\n" + note(8).encode(), 400),
        (b"old 0\nAAAA\n\n" + note(8).encode(), 400),
        (request_body(0, [bytes(32)], note(8)), 422),
        (request(9, 8), 400),
        (request_body(0, [], Signer("other.example", bytes(32)).sign(head(8).text())), 403),
        (request_body(0, [], note(8, signer=Signer(LOG.name, bytes(32)))), 403),
        (request_body(0, [], LOG.sign("other.example\n1\n" + note(8).split("\n")[2] + "\n")), 404),
    ],
)
def test_what_breaks_the_protocol_is_refused(witness: Witness, body: bytes, status: int) -> None:
    assert witness.add_checkpoint(body).status == status
    assert witness.add_checkpoint(request(0, 1)).status == 200, "and nothing was remembered"


def test_memory_and_key_outlive_the_process(tmp_path: Path) -> None:
    first = open_witness(tmp_path)
    first.add_checkpoint(request(0, 8))
    with pytest.raises(InUse):
        open_witness(tmp_path)
    first.close()
    second = open_witness(tmp_path)
    assert second.signer == first.signer
    assert second.add_checkpoint(request(0, 12)).body == "8\n"
    assert second.add_checkpoint(request(8, 12)).status == 200
    second.close()


def test_a_changed_memory_is_not_signed_over(tmp_path: Path, witness: Witness) -> None:
    server = serve(witness, "127.0.0.1", 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    witness.add_checkpoint(request(0, 8))
    (kept,) = (tmp_path / "board").glob("*.head")
    kept.write_text(kept.read_text().replace("\n8\n", "\n2\n"))
    assert post(server.server_port, request(2, 12))[0] == 500
    server.shutdown()
    server.server_close()


def test_a_rotated_log_is_followed_with_both_keys(tmp_path: Path) -> None:
    witness = open_witness(tmp_path, NEXT_KEY.verifier, LOG.verifier)
    assert witness.add_checkpoint(request(0, 8)).status == 200
    assert witness.add_checkpoint(request_body(8, TREE.proof(8, 12), note(12, signer=NEXT_KEY))).status == 200
    witness.close()


def post(port: int, body: bytes, path: str = "/add-checkpoint") -> tuple[int, str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("POST", path, body)
    answer = connection.getresponse()
    found = (answer.status, answer.headers["content-type"], answer.read().decode())
    connection.close()
    return found


def get(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", path)
    answer = connection.getresponse()
    found = (answer.status, answer.read().decode())
    connection.close()
    return found


def test_over_http(witness: Witness) -> None:
    server = serve(witness, "127.0.0.1", 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_port
    assert get(port, f"/latest/{LOG.name}")[0] == 404
    status, _, line = post(port, request(0, 8))
    assert (status, Note.parse(note(8) + line).signed_by(witness.signer.verifier)) == (200, True)
    assert post(port, request(0, 12)) == (409, "text/x.tlog.size", "8\n")
    assert get(port, f"/latest/{LOG.name}") == (200, note(8) + line)
    assert VerifierKey.parse(get(port, "/")[1], COSIGNATURE) == witness.signer.verifier
    assert post(port, b"x" * (MAX_BODY + 1))[0] == 413
    assert post(port, request(8, 12), "/other")[0] == 404
    server.shutdown()
    server.server_close()


def test_two_requests_at_once_never_roll_back(witness: Witness) -> None:
    witness.add_checkpoint(request(0, 1))
    answers: list[tuple[int, int]] = []
    requests = [(size, request(1, size)) for size in range(2, 40)]

    def send(size: int, body: bytes) -> None:
        answers.append((size, witness.add_checkpoint(body).status))

    threads = [threading.Thread(target=send, args=item) for item in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (won,) = [size for size, status in answers if status == 200]
    assert witness.add_checkpoint(request(0, 1)).body == f"{won}\n"


def test_it_needs_nothing_of_the_platform() -> None:
    """Only the standard library, `cryptography` and its neighbours: a bank can run it apart."""
    script = "import sys, salur.audit.witness; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert set(loaded) & {"orjson", "fastapi", "pydantic", "asyncpg", "aiokafka", "structlog", "httpx"} == set()
    assert "cryptography" in loaded
