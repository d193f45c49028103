"""`salur reveal` opens a value of the event it was asked for, whatever receipt the audit hands out."""

from pathlib import Path
from typing import Any

import orjson
import pytest
import typer

from salur.audit.log.note import Checkpoint, Signer
from salur.audit.log.proof import Receipt
from salur.audit.log.tree import leaf_hash
from salur.local.cli import reveal as command
from salur.local.trail.lab import event

LOG = Signer("audit.test", bytes(32))
LEAF = event("registry.payees", 0, 1)


class Served:
    """A client whose audit answers every question with the receipt of the same event, and what it was asked for."""

    calls: list[str] = []

    def __init__(self, *_who: Any) -> None: ...

    def call(self, _service: str, method: str, path: str, **_body: Any) -> Any:
        self.calls.append(f"{method} {path}")
        if method == "POST":
            return {"field": "account_number", "value": "x", "salt": "00"}
        return Receipt(LEAF, 0, (), LOG.sign(Checkpoint(LOG.name, 1, leaf_hash(LEAF)).text())).text()


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(command, "Client", Served)
    monkeypatch.setattr(Served, "calls", [])
    path = tmp_path / "policy"
    path.write_text(f"log {LOG.verifier}\nquorum none\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(("asked", "opened"), [(orjson.loads(LEAF)["id"], 1), ("a" * 32, 0)], ids=["own", "other"])
def test_the_receipt_of_another_event_opens_nothing(
    asked: str, opened: int, policy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The log's own receipt, proven, but of another event: refused before any service is asked for a value."""
    with pytest.raises(typer.Exit):
        command.reveal(asked, "account_number", "complaint", "complaint", policy, state_dir=tmp_path)
    assert sum(call == "POST /openings" for call in Served.calls) == opened
    assert ("receipt of event" in capsys.readouterr().err) == (not opened)
