"""The decoders of what comes from outside: notes, keys, policies, proofs, requests to a witness, tiles, bundles.

Inputs are valid ones with bytes changed, lines moved, pieces put in. Whatever comes, only declared errors come back.
`SALUR_FUZZ_EXAMPLES` sets how many inputs each decoder sees. Inputs that once broke one are kept in `corpus/` and
tried first.
"""

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from salur.audit.evidence import verify_bundle
from salur.audit.evidence.bundle import write_bundle
from salur.audit.evidence.select import Question, answers
from salur.audit.log.completeness import open_statement
from salur.audit.log.errors import LogError
from salur.audit.log.keys import follow_handovers, rotate
from salur.audit.log.note import COSIGNATURE, Checkpoint, Note, VerifierKey, open_checkpoint, parse_keys
from salur.audit.log.policy import Policy
from salur.audit.log.proof import Receipt
from salur.audit.log.tiles import TileReader, tile_path, unpack_entries
from salur.audit.log.tree import inclusion_proof
from salur.audit.log.verify import verify_log
from salur.audit.witness import Witness, request_body
from support.story import LOG, POLICY, WITNESSES, many_payments, write_log

EXAMPLES = int(os.environ.get("SALUR_FUZZ_EXAMPLES", "150"))
CORPUS = Path(__file__).parent / "corpus"
LEAVES = many_payments(60).leaves
ANSWERS = {200, 400, 403, 404, 409, 422}


class Samples:
    """One valid input per decoder."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "log"
        self.head: Checkpoint = write_log(self.log, LEAVES)
        self.note = (self.log / "checkpoint").read_text()
        reader = TileReader(self.log, self.head.size)
        self.receipt = Receipt(
            LEAVES[7], 7, tuple(inclusion_proof(7, self.head.size, reader.hash_at)), self.note
        ).text()
        self.statement = (self.log / "completeness").read_text()
        self.handovers = rotate(folder / "keys", LOG.name).handovers
        self.witness = Witness(folder / "witness", "w.example", [LOG.verifier])
        self.entries = (self.log / tile_path("entries", 0)).read_bytes()
        self.request = request_body(0, [], self.note)
        path = folder / "bundle.zip"
        write_bundle(self.log, Question("payment", "p3"), answers(reader, Question("payment", "p3")), POLICY, path)
        self.bundle = path.read_bytes()


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    return Samples(tmp_path_factory.mktemp("samples"))


@st.composite
def changes(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """A few edits that any input can bear."""
    edits = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["flip", "drop", "put", "double", "swap", "cut", "number"]),
                st.floats(0, 1, exclude_max=True),
                st.floats(0, 1, exclude_max=True),
                st.binary(max_size=12)
                | st.sampled_from([b"\n", b"\n\n", b" ", b"\x00", b"\xff", b"-1", b"9" * 25, b"=", b"+"]),
            ),
            min_size=1,
            max_size=4,
        )
    )

    def apply(data: bytes) -> bytes:
        for kind, where, length, piece in edits:
            at = int(where * len(data))
            end = min(len(data), at + 1 + int(length * 60))
            match kind:
                case "flip":
                    data = data[:at] + bytes(b ^ (piece[0] if piece else 1) for b in data[at : at + 1]) + data[at + 1 :]
                case "drop":
                    data = data[:at] + data[end:]
                case "put":
                    data = data[:at] + piece + data[at:]
                case "double":
                    data = data[:end] + data[at:]
                case "swap":
                    data = data[:at] + data[at:end][::-1] + data[end:]
                case "number":
                    data = data[:at] + str(int(length * 2**64)).encode() + data[end:]
                case _:
                    data = data[:at]
        return data

    return apply


fuzz = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))


def decoders(samples: Samples) -> dict[str, tuple[bytes, Callable[[bytes], object]]]:
    """By name: a valid input, and what reads it."""
    keys = (LOG.verifier,)

    def text(read: Callable[[str], object]) -> Callable[[bytes], object]:
        return lambda data: read(data.decode(errors="replace"))

    witness_key = str(next(iter(WITNESSES.values())).verifier)
    policy = Policy.parse(POLICY)
    return {
        "key": (str(LOG.verifier).encode(), text(VerifierKey.parse)),
        "witness-key": (witness_key.encode(), text(lambda line: VerifierKey.parse(line, COSIGNATURE))),
        "keys": (f"{LOG.verifier}\n{LOG.verifier}\n".encode(), text(parse_keys)),
        "note": (samples.note.encode(), text(lambda note: open_checkpoint(note, *keys))),
        "cosigned": (samples.note.encode(), text(policy.open)),
        "cosigners": (samples.note.encode(), text(lambda note: policy.cosigners(Note.parse(note)))),
        "policy": (POLICY.encode(), text(lambda lines: Policy.parse(lines).open(samples.note))),
        "receipt": (samples.receipt.encode(), text(lambda proof: Receipt.parse(proof).verify(*keys))),
        "statement": (samples.statement.encode(), text(lambda note: open_statement(note, samples.head, keys))),
        "handovers": (samples.handovers.encode(), text(lambda notes: follow_handovers(keys, notes))),
        "entries": (
            samples.entries,
            lambda data: unpack_entries(data, 256, "tile/entries/000", 0),
        ),
    }


NAMES = (
    "key", "witness-key", "keys", "note", "cosigned", "cosigners", "policy", "receipt", "statement", "handovers",
    "entries",
)  # fmt: skip


def try_out(name: str, samples: Samples, data: bytes) -> None:
    _, read = decoders(samples)[name]
    try:
        read(data)
    except LogError:
        pass
    except Exception:
        CORPUS.joinpath(f"{name}-{abs(hash(data)):x}").write_bytes(data)
        raise


@pytest.mark.parametrize("name", NAMES)
def test_the_valid_input_is_read_and_kept_ones_give_declared_errors(name: str, samples: Samples) -> None:
    valid, read = decoders(samples)[name]
    read(valid)
    for path in sorted(CORPUS.glob(f"{name}-*")):
        try_out(name, samples, path.read_bytes())


@pytest.mark.parametrize("name", NAMES)
@fuzz
@given(change=changes())
def test_a_changed_input_gives_declared_errors_only(
    name: str, samples: Samples, change: Callable[[bytes], bytes]
) -> None:
    try_out(name, samples, change(decoders(samples)[name][0]))


@pytest.mark.parametrize("name", NAMES)
@fuzz
@given(data=st.binary(max_size=400))
def test_rubbish_gives_declared_errors_only(name: str, samples: Samples, data: bytes) -> None:
    try_out(name, samples, data)


@fuzz
@given(change=changes())
def test_a_witness_answers_every_request_by_the_protocol(samples: Samples, change: Callable[[bytes], bytes]) -> None:
    body = change(samples.request)
    answer = samples.witness.add_checkpoint(body)
    assert answer.status in ANSWERS
    assert answer.status != 200 or f"\n{samples.head.size}\n".encode() in body


@fuzz
@given(level=st.sampled_from(["entries", "0"]), change=changes())
def test_changed_tiles_are_reported_never_raised(
    samples: Samples, level: str, change: Callable[[bytes], bytes]
) -> None:
    path = samples.log / tile_path(level, 0)
    whole = path.read_bytes()
    other = change(whole)
    path.write_bytes(other)
    try:
        assert verify_log(samples.log, LOG.verifier, proofs=False).ok == (other == whole)
    finally:
        path.write_bytes(whole)


class Memory(verify_bundle._Zip):
    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data))  # type: ignore[arg-type]


@fuzz
@given(change=changes())
def test_a_changed_archive_is_never_proven_unless_its_files_are_the_same(
    samples: Samples, change: Callable[[bytes], bytes]
) -> None:
    try:
        verify_bundle.verify(Memory(change(samples.bundle)), POLICY)
    except (verify_bundle.NotProven, OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return


@fuzz
@given(which=st.integers(0, 30), change=changes())
def test_a_changed_file_of_a_bundle_gives_declared_errors_only(
    samples: Samples, which: int, change: Callable[[bytes], bytes]
) -> None:
    with zipfile.ZipFile(io.BytesIO(samples.bundle)) as old:
        files = {name: old.read(name) for name in old.namelist()}
    name = sorted(files)[which % len(files)]
    files[name] = change(files[name])
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as new:
        for each, data in files.items():
            new.writestr(each, data)
    try:
        result = verify_bundle.verify(Memory(out.getvalue()))
    except verify_bundle.NotProven:
        return
    assert result["root"] == samples.head.root.hex() or name == "policy"


def test_the_archive_itself_is_proven(samples: Samples) -> None:
    assert verify_bundle.verify(Memory(samples.bundle), POLICY)["proven"]
