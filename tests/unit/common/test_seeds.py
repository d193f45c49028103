"""The search for seeded values finds them in every form, wherever they stand; else its silence would prove nothing."""

import base64
import hashlib
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.seeds import MARKERS, Family, Search

FAMILY = Family(7)
SEARCH = Search(MARKERS, [FAMILY])


@given(st.sampled_from(FAMILY.values), st.binary(max_size=7), st.binary(max_size=7))
def test_a_value_is_found_at_any_offset_in_base64_and_hex(value: str, before: bytes, after: bytes) -> None:
    data = before + value.encode() + after
    for encoded in (
        base64.b64encode(data), base64.urlsafe_b64encode(data), data.hex().encode(), data.hex().upper().encode(), data,
    ):  # fmt: skip
        assert SEARCH.found_in(encoded)


@pytest.mark.parametrize("value", FAMILY.values)
def test_a_value_is_found_in_texts_of_every_kind(value: str) -> None:
    for text in (
        value, value.upper(), f"/households/{quote(value)}?x", f"q={quote_plus(value)}", json.dumps({"a": value}),
        f"Key (number)=({value}) already exists.", quote(value).lower(),
    ):  # fmt: skip
        assert SEARCH.found_in(text.encode())
    assert SEARCH.found_in(value.encode("utf-16-le"))
    for name in ("sha256", "sha1", "md5"):
        assert SEARCH.found_in(b'{"token":"%s"}' % hashlib.new(name, value.encode()).hexdigest().encode())


def test_other_values_are_not_found() -> None:
    salted = hashlib.sha256(b"salt" + FAMILY.kk.encode()).hexdigest()
    assert SEARCH.found_in(f"3171990000000001 Siti {salted} petani".encode()) == []
    assert SEARCH.escapes({"a": b"nothing", "b": FAMILY.holder.encode()}) == {"b": ["holder as plain"]}
