"""Names by culture, from `names.yaml`: written in capitals, as registers do."""

from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

import yaml

from salur.local.population.draws import Random, table

_SKEW = 1.6
"""How much more common the first parts of a list are."""


class Culture:
    """How the people of a province are named."""

    def __init__(self, document: Mapping[str, Any], spec: Mapping[str, Any]) -> None:
        pools: dict[str, dict[str, str]] = document["pools"]
        self._pool: list[str] = table(spec["pools"])
        self._first = {(name, sex): pools[name][sex].split() for name in spec["pools"] for sex in ("male", "female")}
        self._second = {
            (name, sex): pools[name].get(f"{sex}_second", "").split()
            for name in spec["pools"]
            for sex in ("male", "female")
        }
        self._clans: list[str] = document["clans"][spec["clan"]].split() if "clan" in spec else []
        prefix = spec.get("prefix", {"male": "", "female": "", "share": 0.0})
        self._prefix: dict[str, str] = {"male": prefix["male"], "female": prefix["female"]}
        self._prefixed: float = prefix["share"]

    def clan(self, draw: Random) -> str:
        """The clan's name of a family; empty where there is none."""
        return self._clans[int(draw() * len(self._clans))] if self._clans else ""

    def name(self, draw: Random, sex: str, clan: str) -> str:
        """One to four words."""
        pool = self._pool[int(draw() * len(self._pool))]
        first = self._first[pool, sex]
        word = first[int(draw() ** _SKEW * len(first))]
        seconds = self._second[pool, sex]
        if not seconds:
            if draw() < 0.4:
                word = f"{word} {first[int(draw() * len(first))]}"
            return f"{word} {clan}" if clan else word
        shape = draw()
        if shape > 0.12:
            second = seconds[int(draw() ** _SKEW * len(seconds))]
            word = f"{word} {first[int(draw() * len(first))]} {second}" if shape > 0.82 else f"{word} {second}"
        if draw() < self._prefixed:
            return f"{self._prefix[sex]} {word}"
        return word


@lru_cache(maxsize=1)
def cultures() -> dict[str, Culture]:
    """The culture of each province, read once."""
    document = yaml.safe_load(files(__package__).joinpath("names.yaml").read_text("utf-8"))
    made = {name: Culture(document, spec) for name, spec in document["cultures"].items()}
    return {province: made[name] for province, name in document["provinces"].items()}
