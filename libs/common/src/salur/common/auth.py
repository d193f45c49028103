"""Who may do what: deny by default. Bearer JWTs (Ed25519, RFC 9864), roles to permissions, a region scope.

A token proves who somebody is. What a registered principal may do is the registry's word (`rights`), not the token's.

In production the tokens come from an OIDC provider whose keys stand in the JWKS file; the all-in-one run has a local
issuer (`local_issuer`, `mint`).
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import orjson
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey
from pydantic import BaseModel, ConfigDict, Field

from salur.common.contracts.principals import PrincipalId
from salur.common.errors import Unauthenticated
from salur.common.values.region import RegionCode, in_scope

AUDIENCE = "salur"
CLOCK_LEEWAY_S = 30
TOKEN_CACHE_MAX = 1_000
DEFAULT_TTL_S = 3600

_READ = frozenset({"streams:read", "own-right:read", "own-right:delegate"})
"""What everybody who works here may."""
PERMISSIONS: dict[str, frozenset[str]] = {
    "registrar": _READ
    | {
        "nomination:make",
        "nomination:decide",
        "feed:send",
        "feed:decide",
        "indicator:read",
        "case:open",
        "case:read",
        "case:handle",
    }
    | {"household:register", "household:read", "household:change", "import:run", "import:accept", "import:read"}
    | {"cut:make", "change:propose", "change:read", "change:decide"}
    | {"payee:check"},
    "programme-officer": _READ
    | {"indicator:make", "indicator:read"}
    | {"programme:publish", "programme:read", "cycle:open", "cycle:read", "decision:read", "decision:replay"}
    | {"household:read", "condition:report", "simulation:run", "simulation:read"}
    | {"emergency:declare", "appeal:open", "appeal:read"},
    "case-officer": _READ
    | {
        "appeal:open",
        "appeal:read",
        "decision:read",
        "case:open",
        "case:read",
        "case:handle",
        "case:oversee",
        "household:read",
    },
    "payment-operator": _READ
    | {
        "fund:open",
        "fund:read",
        "list:build",
        "list:submit",
        "list:read",
        "payment:read",
        "ledger:read",
        "cycle:read",
        "proposal:make",
        "proposal:read",
        "payment:decide",
        "account-report:take",
        "statement:take",
        "collection-code:read",
    },
    "approver": _READ
    | {"list:approve", "list:read", "payment:read", "fund:read", "ledger:read", "cycle:read"}
    | {"proposal:decide", "proposal:read", "programme:approve", "programme:read"}
    | {"cycle:release", "decision:read", "emergency:approve", "appeal:review", "appeal:read"},
    "auditor": _READ
    | {"log:read", "log:publish", "ledger:read", "payment:read", "list:read", "fund:read", "programme:read"}
    | {"cycle:read", "decision:read", "decision:replay", "dead-letter:read", "import:read", "proposal:read"}
    | {"case:read", "case:oversee", "indicator:read", "simulation:read", "trail:read", "flag:read", "flag:handle"}
    | {"entry:read"},
    "investigator": _READ | {"log:read", "entry:read", "personal:open"},
    "data-protection-officer": _READ | {"erasure:request", "erasure:decide"},
    "operator": _READ | {"streams:seal", "dead-letter:read", "dead-letter:replay", "log:read", "log:publish"},
    "administrator": _READ | {"dead-letter:read", "principal:manage", "principal:read"},
    "citizen": frozenset({"nomination:make"}),
}
"""What each role may do. A bank's role (`bank:<code>`) is spoken to over Kafka and holds no HTTP permission."""


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated principal. `regions` empty = central: sees every region.

    `delegators`: those whose right is used here, when it is not the caller's own.
    """

    actor: str
    roles: frozenset[str]
    regions: tuple[str, ...] = ()
    request_id: str = ""
    device: str = ""
    delegators: frozenset[str] = frozenset()

    @property
    def people(self) -> frozenset[str]:
        """Everybody who acts here: a maker among them may not be the checker."""
        return frozenset({self.actor, *self.delegators})

    def may(self, permission: str) -> bool:
        return any(permission in PERMISSIONS.get(role, frozenset()) for role in self.roles)

    def sees(self, region: str) -> bool:
        """Whether the caller's scope covers `region`."""
        return in_scope(region, self.regions)


class Claims(BaseModel):
    """What a token must say. `regions` is stated, never left out: empty = central, every region.

    The subject goes into logs and the trail, so it is a principal's id, where no name or number has a place.
    """

    model_config = ConfigDict(frozen=True, strict=True)

    sub: PrincipalId
    roles: list[Annotated[str, Field(max_length=60)]] = Field(max_length=50)
    regions: list[RegionCode] = Field(max_length=600)
    device: str = Field(default="", max_length=100)


class Verifier:
    """Checks tokens against the keys of a JWKS file; good ones are remembered until they expire."""

    def __init__(self, jwks_file: Path) -> None:
        self._keys = KeySet.import_key_set(orjson.loads(jwks_file.read_bytes()))
        self._known: dict[str, tuple[float, Claims]] = {}

    def verify(self, token: str, request_id: str) -> Caller:
        """The caller a token stands for. Raises Unauthenticated."""
        now = time.time()
        known = self._known.get(token)
        if known is None or known[0] < now:
            known = self._remember(token, now)
        claims = known[1]
        return Caller(
            claims.sub, frozenset(claims.roles), tuple(claims.regions), request_id, device=claims.device
        )  # fmt: skip

    def _remember(self, token: str, now: float) -> tuple[float, Claims]:
        try:
            claims = jwt.decode(token, self._keys, algorithms=["Ed25519"]).claims
            jwt.JWTClaimsRegistry(
                now=int(now),
                leeway=CLOCK_LEEWAY_S,
                exp={"essential": True},
                sub={"essential": True},
                aud={"essential": True, "value": AUDIENCE},
                roles={"essential": True},
            ).validate(claims)
            stated = Claims.model_validate(claims)
        except (JoseError, ValueError) as error:
            raise Unauthenticated(
                f"the token is not valid ({type(error).__name__}): sign in again",
                code="token-invalid",
                who="caller",
            ) from None
        if len(self._known) >= TOKEN_CACHE_MAX:
            self._known.clear()
        self._known[token] = (float(claims["exp"]), stated)
        return self._known[token]


def local_issuer(folder: Path) -> Path:
    """Make (once) an Ed25519 issuer in `folder`: `issuer.json` (secret, 0600), `jwks.json`. Returns the latter."""
    folder.mkdir(parents=True, exist_ok=True)
    secret, public = folder / "issuer.json", folder / "jwks.json"
    if not secret.exists():
        key = OKPKey.generate_key("Ed25519", {"use": "sig", "alg": "Ed25519"}, auto_kid=True)
        secret.touch(mode=0o600)
        secret.write_bytes(orjson.dumps(key.as_dict(private=True)))
        public.write_bytes(orjson.dumps({"keys": [key.as_dict(private=False)]}))
    return public


def mint(
    folder: Path,
    sub: str,
    roles: list[str],
    regions: list[str] | None = None,
    ttl_s: int = DEFAULT_TTL_S,
    device: str = "",
) -> str:
    """A token of the local issuer in `folder`."""
    key = OKPKey.import_key(orjson.loads((folder / "issuer.json").read_bytes()))
    now = int(time.time())
    claims = {
        "sub": sub,
        "aud": AUDIENCE,
        "iat": now,
        "exp": now + ttl_s,
        "roles": roles,
        "regions": regions or [],
        "device": device,
    }
    return jwt.encode({"alg": "Ed25519", "kid": key.kid}, claims, key, algorithms=["Ed25519"])
