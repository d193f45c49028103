"""The keyed hash is HMAC-SHA-256 and nothing else: tokens and salts made by it are checked by others' libraries."""

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salur.common.secrets import keyed_hash


@given(key=st.binary(max_size=64), messages=st.lists(st.binary(max_size=200), max_size=4))
def test_it_is_hmac_sha_256(key: bytes, messages: list[bytes]) -> None:
    hashed = keyed_hash(key)
    assert [hashed(message) for message in messages] == [hmac.digest(key, message, "sha256") for message in messages]


def test_a_key_longer_than_a_block_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 64 bytes"):
        keyed_hash(b"k" * 65)
