"""`salur up` as a person runs it: every address it prints answers, and Ctrl-C ends everything."""

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


@pytest.fixture(scope="module")
def printed() -> Iterator[str]:
    """What `salur up` printed until it was ready; it runs until the module's end."""
    folder = Path(tempfile.mkdtemp(prefix="salur-test-"))
    command = [sys.executable, "-c", "from salur.local.cli import app; app()", "up", "--quiet"]
    process = subprocess.Popen(
        [*command, "--state-dir", str(folder / "run"), "--cache-dir", str(CACHE)],
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
        shutil.rmtree(folder, ignore_errors=True)


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
