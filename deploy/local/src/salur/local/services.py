"""Which services and banks this installation holds."""

from importlib.util import find_spec

from salur.common.contracts.topics import SERVICES
from salur.local.platform import DEFAULT_BANKS


def built_services() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(services that can be started, banks): a distribution without `__main__` is not built yet."""
    services = tuple(name for name in SERVICES if find_spec(f"salur.{name}.__main__") is not None)
    banks = DEFAULT_BANKS if "payments" in services else ()
    return services, banks
