"""A household as it is registered: identifiers, attributes, members, payee."""

import hashlib
import json
from dataclasses import dataclass, field

Scalar = bool | int | float | str | None


@dataclass(frozen=True, slots=True)
class Identifier:
    """A value of some scheme (NIK, KK number, survey id). The value is personal."""

    scheme: str
    value: str


@dataclass(frozen=True, slots=True)
class Member:
    """A person of the household."""

    attributes: dict[str, Scalar]
    identifier: Identifier | None = None


@dataclass(frozen=True, slots=True)
class Payee:
    """Where the household is paid."""

    bank: str
    number: str
    holder: str


@dataclass(frozen=True, slots=True)
class Household:
    """What a registration states. The first identifier makes the household's id."""

    identifiers: tuple[Identifier, ...]
    region: str
    attributes: dict[str, Scalar]
    members: tuple[Member, ...] = field(default=())
    payee: Payee | None = None

    def content_hash(self) -> str:
        """SHA-256 over the canonical statement: the same content again is the same registration."""
        return canonical_hash(
            [
                [[i.scheme, i.value] for i in self.identifiers],
                self.region,
                self.attributes,
                [
                    [m.attributes, [m.identifier.scheme, m.identifier.value] if m.identifier else None]
                    for m in self.members
                ],
                [self.payee.bank, self.payee.number, self.payee.holder] if self.payee else None,
            ]
        )


def canonical_hash(value: object) -> str:
    """SHA-256 hex of compact JSON with sorted keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
