"""A token that our own issuer signed is let in only when it says who, which roles and which regions, in their forms."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from joserfc import jwt
from joserfc.jwk import OKPKey

from salur.common.auth import AUDIENCE, Verifier, local_issuer
from salur.common.errors import Unauthenticated

FAR_FUTURE_S = 4_000_000_000
GOOD: dict[str, Any] = {
    "sub": "person:ani", "aud": AUDIENCE, "exp": FAR_FUTURE_S, "roles": ["registrar"], "regions": ["31.71"],
}  # fmt: skip
MALFORMED = (
    {"regions": None}, {"regions": "31"}, {"regions": ["Jakarta"]}, {"regions": [5]},
    {"roles": 5}, {"roles": "registrar"}, {"roles": [["registrar"]]}, {"roles": None},
    {"sub": "Ani Wijaya"}, {"sub": "person:3171010101010001 Ani"}, {"sub": 5}, {"device": 5},
)  # fmt: skip


def signed(folder: Path, claims: dict[str, Any]) -> tuple[Verifier, str]:
    keys = local_issuer(folder)
    key = OKPKey.import_key(orjson.loads((folder / "issuer.json").read_bytes()))
    return Verifier(keys), jwt.encode({"alg": "Ed25519", "kid": key.kid}, claims, key, algorithms=["Ed25519"])


def test_a_whole_token_is_let_in(tmp_path: Path) -> None:
    verifier, token = signed(tmp_path, GOOD)
    caller = verifier.verify(token, "request")
    assert (caller.actor, sorted(caller.roles), list(caller.regions)) == ("person:ani", ["registrar"], ["31.71"])


def test_no_regions_at_all_is_not_every_region(tmp_path: Path) -> None:
    """Central is said by an empty list, never by leaving the claim out."""
    without = {name: value for name, value in GOOD.items() if name != "regions"}
    for claims, let_in in ((without, False), (GOOD | {"regions": []}, True)):
        verifier, token = signed(tmp_path, claims)
        if let_in:
            assert verifier.verify(token, "request").regions == ()
        else:
            with pytest.raises(Unauthenticated):
                verifier.verify(token, "request")


@pytest.mark.parametrize("changed", MALFORMED, ids=str)
def test_a_malformed_claim_is_refused_and_never_repeated(tmp_path: Path, changed: dict[str, Any]) -> None:
    verifier, token = signed(tmp_path, GOOD | changed)
    with pytest.raises(Unauthenticated) as refused:
        verifier.verify(token, "request")
    assert refused.value.code == "token-invalid"
    assert "Ani" not in str(refused.value)
