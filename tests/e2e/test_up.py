"""`salur up` as a person runs it: every address it prints answers, and Ctrl-C ends everything."""

import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from salur.common.contracts.topics import SERVICES

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parents[2]
CACHE = ROOT / "var" / "cache" / "kafka"
STOP_TIMEOUT_S = 60


SALUR = [sys.executable, "-c", "from salur.local.cli import app; app()"]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that other users may reach, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="salur-test-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


def salur(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command on the running platform."""
    command = [*SALUR, *arguments, "--state-dir", str(folder / "run")]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def printed(folder: Path) -> Iterator[str]:
    """What `salur up` printed until it was ready; it runs until the module's end."""
    process = subprocess.Popen(
        [*SALUR, "up", "--quiet", "--state-dir", str(folder / "run"), "--cache-dir", str(CACHE)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    said = ""
    try:
        for line in process.stdout:
            said += line
            if "└" in line:  # the end of the table
                break
        assert process.poll() is None, said
        yield said
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait(STOP_TIMEOUT_S) == 0, rest
        assert rest.endswith("stopped\n")
    finally:
        process.kill()
        process.stdout.close()
        process.wait()


def addresses(said: str) -> dict[str, str]:
    """Addresses by their name in the table."""
    return {name.strip(): url for name, url in re.findall(r"│ ([^│]+)│ (http\S+)", said)}


def test_it_prints_the_openapi_page_of_every_service_and_each_answers(printed: str) -> None:
    found = addresses(printed)
    for service in SERVICES:
        page = httpx.get(found[f"{service} OpenAPI"])
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        document = httpx.get(found[f"{service} OpenAPI"].replace("/docs", "/openapi.json")).json()
        assert document["info"]["title"] == f"Salur {service}"


def test_it_prints_every_asyncapi_document_and_each_is_the_committed_one(printed: str) -> None:
    found = addresses(printed)
    committed = {f"{service} AsyncAPI": ROOT / "docs" / "asyncapi" / f"{service}.yaml" for service in SERVICES}
    committed["partner banks AsyncAPI"] = ROOT / "docs" / "partners" / "asyncapi.yaml"
    assert {name for name in found if "AsyncAPI" in name} == committed.keys()
    for name, path in committed.items():
        assert path.read_text(encoding="utf-8").endswith(httpx.get(found[name]).text), name


def test_it_prints_the_engines_the_logs_and_how_to_get_a_token(printed: str) -> None:
    for word in ("Kafka", "PostgreSQL", "logs", "salur token --role registrar"):
        assert word in printed


def test_operations_see_what_waits_and_their_commands_reach_each_services_database(
    printed: str, folder: Path, tmp_path: Path
) -> None:
    seen = salur(folder, "status", "--json")
    assert seen.returncode == 0, seen.stdout + seen.stderr
    status = json.loads(seen.stdout)
    assert {row["service"]: row["trouble"] for row in status["services"]} == dict.fromkeys(SERVICES, "")
    assert status["log"]["gaps"] == 0
    assert "takes work" in salur(folder, "status").stdout
    assert json.loads(salur(folder, "dead-letters", "list").stdout) == []
    assert salur(folder, "dead-letters", "replay", "registry", "0" * 32, "--reason", "drill").returncode == 1
    for service in SERVICES:
        recovered = salur(folder, "service", "recover", service)
        assert recovered.returncode == 0, recovered.stderr
        stream = f"{service}.activity/0"
        assert salur(folder, "service", "republish", service, "--stream", stream, "--from", "1").returncode == 0
    assert salur(tmp_path, "status").returncode == 1, "nothing runs there"
    assert salur(tmp_path, "service", "recover", "registry").returncode == 1


def test_a_programme_is_published_by_two_people_in_one_command(printed: str, folder: Path) -> None:
    rules = str(ROOT / "examples" / "progresa" / "programme.yaml")
    alone = salur(folder, "programme", "publish", rules, "--as", "person:a", "--approver", "person:a")
    assert alone.returncode == 1
    assert "another person" in alone.stderr
    done = salur(folder, "programme", "publish", rules, "--as", "person:a", "--approver", "person:b", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["proposed_as"], told["approved_as"]) == ("person:a", "person:b")
    listed = json.loads(salur(folder, "programme", "list", "--json").stdout)
    assert json.loads(done.stdout)["version"] in json.dumps(listed["programmes"])


def test_the_files_with_passwords_are_their_owners_alone(printed: str, folder: Path) -> None:
    files = list((folder / "run" / "secrets").iterdir())
    assert {f"{service}.env.json" for service in SERVICES} <= {file.name for file in files}
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
