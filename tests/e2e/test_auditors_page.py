"""Every command of docs/auditors.md, run as it stands there, on a platform that has just paid a cycle."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from salur.audit.log.note import open_checkpoint, parse_keys
from salur.audit.log.tiles import TileReader
from salur.local.client import Client
from salur.local.demo.run import Inputs, new_platform, run
from salur.local.platform import running
from support.progresa import slice_of

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "progresa"
PAGE = ROOT / "docs" / "auditors.md"
HOUSEHOLDS = 60
COMMANDS = [
    line for block in re.findall(r"^```\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]  # fmt: skip
INLINE = [text for text in re.findall(r"`(salur verify [^`]+)`", PAGE.read_text(encoding="utf-8")) if "--" in text]


@dataclass
class Office:
    """A platform that has paid, and a folder an auditor works in."""

    folder: Path
    words: dict[str, str]

    def caught_up(self) -> None:
        """Wait until search knows the whole log."""
        with closing(Client(Path(self.words["STATE"]), "person:auditor", ["auditor"])) as auditor:
            lag = partial(auditor.call, "audit", "GET", "/trail/lag")
            auditor.wait(lag, lambda behind: behind["entries"] == 0, 120, "search over the whole log")

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        for word, value in self.words.items():
            command = re.sub(rf"\b{word}\b", value, command)
        env = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        return subprocess.run(
            command.split(), cwd=self.folder, env=env, capture_output=True, text=True, timeout=60, check=False
        )


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    folder = tmp_path_factory.mktemp("office")
    slice_of(EXAMPLE / "households-1998.csv", folder / "slice.csv", HOUSEHOLDS)
    state = Path(tempfile.mkdtemp(prefix="salur-test-")) / "run"
    cache = ROOT / "var" / "cache" / "kafka"
    inputs = Inputs(folder / "slice.csv", EXAMPLE / "mapping.yaml", EXAMPLE / "programme.yaml", state, cache)
    platform = new_platform(inputs)
    with running(platform):
        result = run(platform, inputs, lambda *_: None)
        assert result.kept, result.promises
        log = platform.audit_log_dir
        head = open_checkpoint((log / "checkpoint").read_text(), *parse_keys((log / "log.pub").read_text()))
        leaves = [orjson.loads(leaf) for leaf in TileReader(log, head.size).leaves(0, head.size)]
        settled = next(leaf for leaf in leaves if leaf.get("type") == "salur.payment.settled.v1")
        payee = next(
            leaf
            for leaf in leaves
            if leaf.get("type") == "salur.payee.registered.v1" and leaf["subject"] == settled["data"]["beneficiary_id"]
        )
        approved = next(leaf for leaf in leaves if leaf.get("type") == "salur.payment-list.approved.v1")
        shutil.copy(log / "log.pub", folder / "OLD-log.pub")
        words = {
            "STATE": str(state), "PAYMENT": settled["subject"], "BENEFICIARY": settled["data"]["beneficiary_id"],
            "CYCLE": settled["data"]["cycle_id"], "ACTOR": approved["actor"], "EVENT": settled["id"],
            "PAYEE": payee["id"],
        }  # fmt: skip
        made = Office(folder, words)
        made.caught_up()
        yield made
    shutil.rmtree(state.parent, ignore_errors=True)


def test_every_command_of_the_page_works_in_its_order(office: Office) -> None:
    assert len(COMMANDS) >= 12
    for command in [*COMMANDS, *INLINE]:
        done = office.run(command)
        assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"


def test_the_bundle_of_a_payment_shows_who_when_and_under_which_rule(office: Office) -> None:
    bundle = next(command for command in COMMANDS if command.startswith("salur bundle") and "payment.zip" in command)
    result: dict[str, Any] = {"complete_streams": None}
    for _ in range(5):  # what is asked is in the log too: the statement must be of the head the bundle is taken under
        office.run("salur completeness --state-dir STATE")
        office.run(bundle)
        result = json.loads(office.run("salur verify-bundle payment.zip --policy STATE/trust/policy --json").stdout)
        if result["complete_streams"] is not None:
            break
    assert (result["proven"], result["cosigners"]) == (True, ["bank-a", "audit-board"])
    assert result["complete_streams"] > 10
    (story,) = result["payments"]
    steps = {step["step"]: step for step in story["steps"]}
    assert steps.keys() >= {
        "rules published",
        "decided",
        "granted",
        "list submitted",
        "approved",
        "instructed",
        "confirmed",
    }
    assert steps["approved"]["what"] != steps["list submitted"]["what"]
    assert "entry" in steps["confirmed"]["what"], "the bank's own message is in the bundle"
    assert all(step["time"] for step in story["steps"])


def test_a_changed_opening_is_refused_and_the_reveal_is_told_without_its_value(office: Office) -> None:
    opening = json.loads((office.folder / "opening.json").read_text())
    assert opening["event_id"] == office.words["PAYEE"]
    (office.folder / "forged.json").write_text(json.dumps(opening | {"value": "0000000000"}))
    done = office.run("salur verify-opening forged.json --receipt payee.tlog-proof --policy STATE/trust/policy")
    assert done.returncode == 1
    assert "does not belong to this event" in done.stderr
    office.caught_up()
    reads = office.run(
        "salur trail reads person:investigator 2026-01-01T00:00:00Z 2099-01-01T00:00:00Z --state-dir STATE"
    )
    (read,) = json.loads(reads.stdout)["reads"]
    assert "event-field" in json.dumps(read)
    assert opening["value"] not in reads.stdout


def test_an_erased_family_leaves_every_proof_and_opens_nothing(office: Office) -> None:
    state, household = Path(office.words["STATE"]), office.words["BENEFICIARY"]
    wanted = {"household_id": household, "basis": "subject-request", "reference": "letter-17"}
    with (
        closing(Client(state, "person:sari", ["data-protection-officer"])) as first,
        closing(Client(state, "person:budi", ["data-protection-officer"])) as second,
        closing(Client(state, "person:auditor", ["auditor"])) as auditor,
    ):
        erasure_id = first.call("registry", "POST", "/erasures", json=wanted)["erasure_id"]
        second.call("registry", "POST", f"/erasures/{erasure_id}/accept", json={"reason": "valid"})

        def logged() -> Any:
            auditor.call("audit", "POST", "/log/publish")
            asked = {"type": "salur.subject.erased.v1", "household": household}
            return auditor.call("audit", "GET", "/trail", params=asked)["entries"]

        assert auditor.wait(logged, lambda found: len(found) == 2, 60, "the erasure in the log")
    for command in ("salur verify STATE/audit-log --policy STATE/trust/policy",
                    "salur verify-receipt payee.tlog-proof --policy STATE/trust/policy",
                    "salur verify-opening opening.json --receipt payee.tlog-proof --policy STATE/trust/policy",
                    "salur verify-bundle family.zip --policy STATE/trust/policy"):  # fmt: skip
        assert office.run(command).returncode == 0, command
    again = office.run(next(command for command in COMMANDS if command.startswith("salur reveal")))
    assert again.returncode == 1
    assert "erased" in again.stderr


def test_the_cycle_takes_in_every_payment(office: Office) -> None:
    done = office.run("salur verify-bundle cycle.zip --policy STATE/trust/policy --json")
    report = json.loads((Path(office.words["STATE"]) / "report.json").read_text())
    kinds = [event["type"] for event in json.loads(done.stdout)["events"]]
    assert kinds.count("salur.payment.settled.v1") == report["settled"] + report["returned"]
    assert kinds.count("salur.entitlement.granted.v1") == report["entitlements"]
