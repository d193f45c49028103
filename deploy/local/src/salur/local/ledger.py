"""The ledger that a log's files lead to, and what another ledger differs in."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from salur.audit.domain.ledger import Ledger, differences
from salur.audit.log.note import open_checkpoint, parse_keys
from salur.audit.log.tiles import TileReader


def ledger_of(folder: Path) -> Ledger:
    """The ledger that the published entries of a log lead to. Raises LogError, Unreadable."""
    keys = parse_keys((folder / "log.pub").read_text(encoding="utf-8"))
    head = open_checkpoint((folder / "checkpoint").read_text(encoding="utf-8"), *keys)
    return Ledger.of(TileReader(folder, head.size).leaves(0, head.size))


def differing(again: Ledger, stated: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """Accounts that differ from a `GET /ledger` of the payments service: (by the log, stated), in minor units."""
    return differences(again.balances(), {row["account"]: row["posted_minor"] for row in stated["accounts"]})


def reserves_differing(again: Ledger, stated: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """Currencies in which more or less is reserved than lists have set aside and not spent or given back by the log,
    whatever waits to be checked or instructed: (by the log, stated), in minor units."""
    reserved: Counter[str] = Counter()
    for row in stated["accounts"]:
        reserved[row["currency"]] += row["reserved_minor"]
    return differences(again.reserved(), reserved)
