"""Merkle trees and proofs written from the definitions of RFC 6962 §2.1 and RFC 9162 §2.1.3.2, §2.1.4.2 alone.

Slow and recursive on purpose; shares no code with the log, so that one can judge the other.
"""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256


def leaf(data: bytes) -> bytes:
    return sha256(b"\x00" + data).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def _half(count: int) -> int:
    """The largest power of two smaller than `count`."""
    k = 1
    while k * 2 < count:
        k *= 2
    return k


class Tree:
    """All roots and proofs over a list of leaf hashes."""

    def __init__(self, hashes: Sequence[bytes]) -> None:
        self.hashes = list(hashes)
        self.mth = lru_cache(maxsize=None)(self._mth)

    def _mth(self, first: int, end: int) -> bytes:
        """MTH(D[first:end])."""
        if first == end:
            return sha256(b"").digest()
        if end - first == 1:
            return self.hashes[first]
        k = _half(end - first)
        return _node(self.mth(first, first + k), self.mth(first + k, end))

    def root(self, size: int) -> bytes:
        return self.mth(0, size)

    def path(self, index: int, size: int) -> list[bytes]:
        """PATH(index, D[size])."""
        return self._path(index, 0, size)

    def _path(self, index: int, first: int, end: int) -> list[bytes]:
        if end - first == 1:
            return []
        k = _half(end - first)
        if index < k:
            return [*self._path(index, first, first + k), self.mth(first + k, end)]
        return [*self._path(index - k, first + k, end), self.mth(first, first + k)]

    def proof(self, old: int, size: int) -> list[bytes]:
        """PROOF(old, D[size])."""
        return self._subproof(old, 0, size, True)

    def _subproof(self, old: int, first: int, end: int, whole: bool) -> list[bytes]:
        if old == end - first:
            return [] if whole else [self.mth(first, end)]
        k = _half(end - first)
        if old <= k:
            return [*self._subproof(old, first, first + k, whole), self.mth(first + k, end)]
        return [*self._subproof(old - k, first + k, end, False), self.mth(first, first + k)]


def _hex(*texts: str) -> list[bytes]:
    return [bytes.fromhex(text) for text in texts]


# The reference tree of Certificate Transparency, its roots and proofs, as published by transparency-dev/merkle v0.0.2
# (proof/verify_test.go, Apache-2.0). Indexes here count from 0.
CT_LEAVES = _hex("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
CT_ROOTS = _hex(
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
_RIGHT = _hex(
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
)
CT_INCLUSION = [
    (0, 8, _RIGHT),
    (5, 8, _hex(
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    )),
    (2, 3, _hex("fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125")),
    (1, 5, _hex(
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    )),
]  # fmt: skip
CT_CONSISTENCY = [
    (1, 1, []),
    (1, 8, _RIGHT),
    (6, 8, _hex(
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    )),
    (2, 5, _hex(
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    )),
    (6, 7, _hex(
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    )),
]  # fmt: skip
