"""Re-run every stored decision of a running platform, page by page."""

from typing import Any

from salur.local.client import Client

PAGE = 1_000
SHOWN = 20


def replay_all(client: Client, programme_id: str | None = None) -> dict[str, Any]:
    """Counts, the share that agrees, and ids of decisions that do not (at most SHOWN). Raises CallFailed."""
    replayed = agreed = 0
    different: list[str] = []
    after: str | None = ""
    while after is not None:
        chosen = {} if programme_id is None else {"programme_id": programme_id}
        page = client.call("eligibility", "GET", "/decisions/replay", params={"after": after, "limit": PAGE, **chosen})
        replayed += page["replayed"]
        agreed += page["agreed"]
        different = [*different, *page["different"]][:SHOWN]
        after = page["next"]
    return {
        "replayed": replayed, "agreed": agreed, "agreement": agreed / replayed if replayed else 1.0,
        "different": different,
    }  # fmt: skip
