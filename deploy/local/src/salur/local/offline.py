"""Services built without their engines: to list what they declare, not to run."""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path

from salur.audit.settings import AuditSettings
from salur.common.auth import local_issuer
from salur.common.contracts.topics import SERVICES
from salur.common.service import Build, Process, Runtime
from salur.common.settings import Settings
from salur.eligibility.settings import EligibilitySettings
from salur.local.keys import secret_file
from salur.payments.settings import PaymentsSettings
from salur.registry.settings import RegistrySettings

NOWHERE = "127.0.0.1:1"
SETTINGS: dict[str, Callable[..., Settings]] = {
    "registry": partial(RegistrySettings, notices=True),
    "eligibility": EligibilitySettings,
    "payments": PaymentsSettings,
    "audit": AuditSettings,
}


def offline_process(
    service: str,
    folder: Path,
    banks: tuple[str, ...] = ("bank-a",),
    database_url: str | None = None,
    kafka: str = NOWHERE,
) -> Process:
    """The HTTP part of a service whose engines are nowhere unless given; `folder` takes its keys and issuer."""
    master_key = folder / f"{service}.key"
    secret_file(master_key, 32)
    extra = {"audit_log_dir": folder / "audit-log"} if service == "audit" else {}
    settings = SETTINGS[service](
        database_url=database_url or f"postgresql://nobody@{NOWHERE}/{service}", kafka_bootstrap=kafka,
        master_key_file=master_key, jwks_file=local_issuer(folder / "issuer"), state_dir=folder / service, banks=banks,
        **extra,
    )  # fmt: skip
    build: Build = import_module(f"salur.{service}.main").build
    runtime = Runtime(service, settings)
    return Process(runtime, build(runtime), frozenset({"http"}))


def offline_processes(folder: Path) -> dict[str, Process]:
    """Every service of the platform, by name."""
    return {service: offline_process(service, folder) for service in SERVICES}
