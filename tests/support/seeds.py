"""Seeded personal values and the search for them in any form they could take in bytes."""

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from unicodedata import normalize
from urllib.parse import quote, quote_plus

NIK, KK, ACCOUNT = "3171996701", "3172886602", "8800770903"
HOLDER, JOB = "Zulqarnaín Wx", "penyadap-nira-qx"
IDENTITY = {"nik": NIK, "kk": KK, "account": ACCOUNT, "holder": HOLDER}
"""Beginnings that all seeded values of a kind share; so rare that none appears by chance."""
MARKERS = {**IDENTITY, "job": JOB}
"""With an attribute's value: personal in events too, in clear only where rules are applied."""
_HASH = re.compile(rb"(?<![0-9a-fA-F])[0-9a-fA-F]{32,64}(?![0-9a-fA-F])")


@dataclass(frozen=True)
class Family:
    """One seeded household with two members."""

    number: int

    @property
    def kk(self) -> str:
        return f"{KK}{self.number:06d}"

    @property
    def niks(self) -> tuple[str, str]:
        return f"{NIK}{self.number:05d}1", f"{NIK}{self.number:05d}2"

    @property
    def account(self) -> str:
        return f"{ACCOUNT}{self.number:04d}"

    @property
    def holder(self) -> str:
        return f"{HOLDER} {self.number}"

    @property
    def job(self) -> str:
        return f"{JOB}-{self.number}"

    @property
    def values(self) -> tuple[str, ...]:
        return (self.kk, *self.niks, self.account, self.holder, self.job)


def forms(marker: str) -> dict[str, bytes]:
    """How a text can stand in bytes, by the form's name. Letters in lower case, as the search looks at them."""
    data = marker.encode()
    found = {
        "plain": data,
        "UTF-16": marker.encode("utf-16-le"),
        "Latin-1": marker.encode("latin-1", "replace"),
        "URL": quote(marker).encode(),
        "form": quote_plus(marker).encode(),
        "JSON": json.dumps(marker)[1:-1].encode(),
        "HTML": html.escape(marker).encode("ascii", "xmlcharrefreplace"),
        "hex": data.hex().encode(),
    }
    return {name: form.lower() for name, form in found.items()}


def base64_forms(marker: str) -> Iterator[bytes]:
    """The characters that always stand for the text within longer base64, at each of the three offsets."""
    data = marker.encode()
    for offset, start in ((0, 0), (1, 2), (2, 3)):
        whole = (offset + len(data)) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(bytes(offset) + data)[start:whole]


def hashes_of(families: Iterable[Family]) -> set[bytes]:
    """Hashes anybody could compute and compare: a number of sixteen digits hides behind none of them."""
    return {
        hashlib.new(name, value.encode()).hexdigest().encode()
        for family in families
        for value in family.values
        for name in ("sha256", "sha1", "md5")
    }


class Search:
    """Looks for markers in every form, and for plain hashes of the families' values."""

    def __init__(self, markers: dict[str, str], families: Iterable[Family] = ()) -> None:
        self._folded = [
            (kind, form, text)
            for kind, marker in markers.items()
            for spelling in {marker, marker.upper(), normalize("NFD", marker)}
            for form, text in forms(spelling).items()
        ]
        self._exact = [(kind, text) for kind, marker in markers.items() for text in base64_forms(marker)]
        self._hashes = hashes_of(families)

    def found_in(self, data: bytes) -> list[str]:
        """What stands in the bytes: kind and form, never the value."""
        folded = data.lower()
        found = {f"{kind} as {form}" for kind, form, text in self._folded if text in folded}
        found |= {f"{kind} as base64" for kind, text in self._exact if text in data}
        if self._hashes and not self._hashes.isdisjoint(match.lower() for match in _HASH.findall(data)):
            found.add("a plain hash of a value")
        return sorted(found)

    def escapes(self, places: dict[str, bytes]) -> dict[str, list[str]]:
        """The places in which something stands."""
        seen = {place: self.found_in(data) for place, data in places.items()}
        return {place: found for place, found in seen.items() if found}
