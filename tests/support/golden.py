"""Golden events: one committed CloudEvents document per contract, with its `personal` header where it has one.

`golden/<type>.json` is the message value, laid out for people: the same document without the spaces are the bytes.
`golden/<type>.personal.json` is the Kafka header `personal`. A contract that has grown keeps its file and gets another,
`<type>.2.json`. `cd tests && ../.venv/bin/python -m support.golden NAME STREAM KEY < data.json` writes the files of a
new or grown contract from its data in clear.
"""

import hashlib
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from salur.common.contracts import CONTRACTS
from salur.common.contracts.topics import topic_named
from salur.common.events import personal
from salur.common.events.envelope import Draft, Received, accept, encode, parse
from salur.common.values import derived_id

FOLDER = Path(__file__).parents[1] / "contract" / "golden"
PERSONAL_SUFFIX = ".personal"
TIME = "2026-01-02T03:04:05.678901Z"


@dataclass(frozen=True)
class Golden:
    """A committed event as Kafka holds it."""

    name: str
    value: bytes
    header: bytes | None

    @property
    def event_type(self) -> str:
        return str(self.document["type"])

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = orjson.loads(self.value)
        return document

    @property
    def place(self) -> tuple[str, int]:
        topic, _, partition = self.document["stream"].rpartition("/")
        return topic, int(partition)

    @property
    def seed(self) -> bytes | None:
        """The deterministic seed that `header` shows."""
        return None if self.header is None else hashlib.sha256(self.event_type.encode()).digest()

    def read(self, value: bytes | None = None, header: bytes | None = None) -> Received:
        """As a consumer reads it, or another value or header in its place. Raises as `parse` and `accept` do."""
        topic, partition = self.place
        envelope = parse(value or self.value, topic=topic, partition=partition, writer=topic_named(topic).writer)
        return accept(envelope, header or self.header, topic=topic, partition=partition, offset=0)


def read_golden(name: str) -> Golden:
    """Raises FileNotFoundError when there is none of that name."""
    header = FOLDER / f"{name}{PERSONAL_SUFFIX}.json"
    return Golden(name, _compact(FOLDER / f"{name}.json"), _compact(header) if header.exists() else None)


def golden_events() -> list[Golden]:
    """Every committed event, the oldest of a contract first."""
    names = {path.stem for path in FOLDER.glob("*.json")}
    return [read_golden(name) for name in sorted(names) if not name.endswith(PERSONAL_SUFFIX)]


def _compact(path: Path) -> bytes:
    return orjson.dumps(orjson.loads(path.read_bytes()))


def written_again(golden: Golden, received: Received) -> tuple[bytes, bytes | None]:
    """(value, header) of what was read, written by this version with the golden event's id, time and seed."""
    document = golden.document
    topic, _ = golden.place
    draft = Draft(received.data, received.key, received.actor, received.cause, topic=topic)
    encoded = encode(draft, received.source, document["time"], event_id=received.id, seed=golden.seed)
    return encoded.at(received.stream, received.sequence), encoded.personal


def main() -> None:
    """Write the golden files of one contract."""
    name, stream, key = sys.argv[1:]
    event_type = re.sub(r"\.\d+$", "", name)
    topic = stream.rpartition("/")[0]
    writer = topic_named(topic).writer
    draft = Draft(
        CONTRACTS[event_type].model_validate(json.load(sys.stdin)), key, "person:1f0c", derived_id("request"), topic
    )
    seed = hashlib.sha256(event_type.encode()).digest()
    encoded = encode(draft, f"/salur/{writer}", TIME, event_id=derived_id(event_type), seed=seed)
    _write(name, encoded.at(stream, 1))
    if encoded.personal is not None:
        assert PERSONAL_SUFFIX.removeprefix(".") == personal.HEADER
        _write(name + PERSONAL_SUFFIX, encoded.personal)


def _write(name: str, content: bytes) -> None:
    text = json.dumps(orjson.loads(content), indent=2, ensure_ascii=False)
    (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
