"""docker-compose.yml: well formed, every variable given, and the same topology as `salur up`."""

import re
import shutil
import subprocess
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from salur.common.contracts.topics import SERVICES
from salur.common.settings import Settings
from salur.local.platform import DEFAULT_BANKS, Platform

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
RUNNING: dict[str, Any] = COMPOSE["services"]
EXAMPLE = dict(
    line.split("=", 1)
    for line in (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
)
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?P<default>:-[^}]*)?(?P<required>:\?[^}]*)?\}")


def settings_of(service: str) -> type[Settings]:
    """The settings class a service declares, else the common one."""
    if find_spec(f"salur.{service}.settings") is None:
        return Settings
    module = import_module(f"salur.{service}.settings")
    own = [c for c in vars(module).values() if isinstance(c, type) and issubclass(c, Settings) and c is not Settings]
    return own[0] if own else Settings


def test_it_holds_the_engines_services_migrations_and_banks_of_the_platform() -> None:
    expected = {"postgres", "kafka", "issuer", "topics", *DEFAULT_BANKS, *SERVICES}
    assert set(RUNNING) == expected | {f"{service}-migrate" for service in SERVICES}


def test_every_variable_is_in_the_example_or_has_a_default() -> None:
    used = list(VARIABLE.finditer(TEXT))
    assert len(used) == len(re.findall(r"\$\{?\w", TEXT))
    for match in used:
        assert match["name"] in EXAMPLE or match["default"], f"{match['name']} is nowhere given"
    assert {match["name"] for match in used} == set(EXAMPLE)


WITNESSES = {"SALUR_WITNESS_POLICY"}
"""Who runs the containers names witnesses of their own; the all-in-one run brings two."""


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_gets_its_own_database_and_only_settings_it_knows(service: str, tmp_path: Path) -> None:
    for name in (service, f"{service}-migrate"):
        environment: dict[str, str] = RUNNING[name]["environment"]
        fields = {f"SALUR_{field.upper()}" for field in settings_of(service).model_fields}
        assert environment.keys() <= fields, environment.keys() - fields
        url = environment["SALUR_DATABASE_URL"]
        role = f"{service}_owner" if name.endswith("-migrate") else service
        assert url.startswith(f"postgresql://{role}:")
        assert url.endswith(f"@postgres:5432/{service}")
        assert environment["SALUR_BANKS"] == ",".join(DEFAULT_BANKS)
    platform = Platform(tmp_path / "state", tmp_path / "cache")
    platform._database_urls[service] = "postgresql://"
    given = {name for name in platform.service_env(service) if name.startswith("SALUR_")} - WITNESSES
    assert RUNNING[service]["environment"].keys() == given


def test_every_service_waits_for_its_migration_and_the_topics() -> None:
    for service in SERVICES:
        waits = RUNNING[service]["depends_on"]
        assert waits[f"{service}-migrate"] == {"condition": "service_completed_successfully"}
        assert waits["topics"] == {"condition": "service_completed_successfully"}
        assert RUNNING[service]["command"] == ["python", "-m", f"salur.{service}"]


def test_ports_are_published_on_the_loopback_interface_only() -> None:
    published = [port for service in RUNNING.values() for port in service.get("ports", ())]
    assert len(published) == len(SERVICES) + 1
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_every_volume_is_declared_and_used_and_no_state_is_shared() -> None:
    users: dict[str, set[str]] = {}
    for name, service in RUNNING.items():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if not source.startswith("."):
                users.setdefault(source, set()).add(name.removesuffix("-migrate"))
    assert users.keys() == COMPOSE["volumes"].keys()
    assert users.pop("jwks") == {"issuer", *SERVICES}
    assert all(len(owners) == 1 for owners in users.values()), users


def test_the_database_script_makes_one_database_per_service() -> None:
    script = (ROOT / "deploy" / "docker" / "databases.sh").read_text(encoding="utf-8")
    assert f"for service in {' '.join(SERVICES)}; do" in script
    given = RUNNING["postgres"]["environment"].keys()
    assert {
        f"SALUR_{service.upper()}{kind}" for service in SERVICES for kind in ("_PASSWORD", "_OWNER_PASSWORD")
    } <= given
    for service in SERVICES:
        migration = RUNNING[f"{service}-migrate"]["environment"]
        assert (migration["SALUR_RUNTIME_ROLE"], migration["SALUR_AUDITOR_ROLE"]) == (service, "auditor")


def test_the_image_installs_every_distribution() -> None:
    dockerfile = (ROOT / "deploy" / "docker" / "Dockerfile").read_text(encoding="utf-8")
    manifests = [
        ROOT / "libs/common", *(ROOT / "services" / s for s in SERVICES), ROOT / "deploy/local",
        ROOT / "examples/partner_bank",
    ]  # fmt: skip
    for manifest in manifests:
        assert (manifest / "pyproject.toml").exists()
        assert f"./{manifest.relative_to(ROOT)}" in dockerfile


def _compose() -> list[str] | None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        return None
    return [docker, "compose"]


@pytest.mark.skipif(_compose() is None, reason="Docker Compose is not installed; its syntax is checked as YAML")
def test_docker_compose_accepts_it() -> None:
    compose = _compose()
    assert compose is not None
    command = [
        *compose,
        "--env-file",
        str(ROOT / ".env.example"),
        "-f",
        str(ROOT / "docker-compose.yml"),
        "config",
        "-q",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
