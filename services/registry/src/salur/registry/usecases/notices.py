"""Tell people: each event that concerns them becomes a sealed message in the outbox, once, in their language."""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import yaml

from salur.common.contracts.eligibility import DecisionMade, ProgrammePublished
from salur.common.contracts.payments import (
    MoneyCaseEnded,
    PaymentReady,
    PaymentRejected,
    PaymentReturned,
    PaymentSettled,
)
from salur.common.contracts.registry import HouseholdChanged, HouseholdRegistered, PayeeRegistered
from salur.common.database import Connection
from salur.common.events import Draft, Received
from salur.common.secrets import Secrets
from salur.common.values import Money, derived_id
from salur.registry.domain.identity import Contact
from salur.registry.domain.notices import DEFAULT_LANGUAGE, LANGUAGES, Templates, check_templates, reasons_text, render
from salur.registry.store import queries
from salur.registry.usecases.identities import Identities

TOPICS = (
    "registry.households",
    "registry.payees",
    "eligibility.programmes",
    "eligibility.decisions",
    "payments.payments",
)
FORMER_WITHIN = timedelta(days=30)
"""Whoever changes a telephone number and then the account cannot keep the family from hearing of it."""
TO_FORMER = frozenset({"account-changed", "contact-changed"})
REFERENCE_LENGTH = 8
PAYMENT_KINDS = {PaymentRejected: "payment-refused", PaymentReturned: "payment-returned"}
PAID = "paid-"
"""With the method of payment: what a person has to look at is another thing each time."""
DEFAULT_METHOD = "account"


class Occasion(NamedTuple):
    """Something to tell a household: what, by which event, and the values of each language.

    `replaced`: the version a change of contact replaced; else every former contact of late is told where it may be.
    """

    household_id: str
    kind: str
    cause: str
    values: Mapping[str, Mapping[str, str]]
    replaced: int | None = None


@dataclass(slots=True)
class Addresses:
    """Where a household is reached now, and where it was reached lately, by version."""

    contact: Contact | None
    former: dict[int, Contact]

    def others(self, replaced: int | None) -> list[Contact]:
        """Former contacts at another telephone than the present one, each once."""
        chosen = [contact for version, contact in self.former.items() if replaced in (None, version)]
        by_phone = {contact.phone: contact for contact in chosen}
        if self.contact is not None:
            by_phone.pop(self.contact.phone, None)
        return list(by_phone.values())


def load_templates(path: Path) -> Templates:
    """The words. Raises ValueError when a language lacks some."""
    templates: Templates = tomllib.loads(path.read_text(encoding="utf-8"))
    check_templates(templates)
    return templates


class Notices:
    """The consumer's handler."""

    def __init__(self, templates: Templates, secrets: Secrets) -> None:
        self._templates = templates
        self._secrets = secrets

    async def take(self, conn: Connection, batch: Sequence[Received]) -> Sequence[Draft]:
        """Write the messages a batch calls for. Who has left no telephone number gets none."""
        await _take_programmes(conn, [event for event in batch if isinstance(event.data, ProgrammePublished)])
        occasions = [occasion for event in batch for occasion in _occasions(event, self._templates)]
        occasions += await _outcomes(conn, [event for event in batch if isinstance(event.data, DecisionMade)])
        if occasions:
            await self._write(conn, occasions)
        return []

    async def _write(self, conn: Connection, occasions: Sequence[Occasion]) -> None:
        addresses = await self._addresses(conn, occasions)
        rows = [row for occasion in occasions for row in self._messages(occasion, addresses)]
        if not rows:
            return
        ids, households, kinds, recipients, languages, causes, sealed = zip(*rows, strict=True)
        await queries.insert_notices(
            conn, ids=ids, households=households, kinds=kinds, recipients=recipients, languages=languages,
            causes=causes, sealed=sealed,
        )  # fmt: skip

    async def _addresses(self, conn: Connection, occasions: Sequence[Occasion]) -> dict[str, Addresses]:
        present = await queries.present_contacts(conn, ids=sorted({occasion.household_id for occasion in occasions}))
        addresses = {row["household_id"]: Addresses(self._contact(row), {}) for row in present}
        warned = sorted({occasion.household_id for occasion in occasions if occasion.kind in TO_FORMER})
        for row in await queries.former_contacts(conn, ids=warned, within=FORMER_WITHIN) if warned else ():
            known = addresses.setdefault(row["household_id"], Addresses(None, {}))
            if (former := self._contact(row)) is not None:
                known.former[row["version"]] = former
        return addresses

    def _contact(self, row: Mapping[str, Any]) -> Contact | None:
        contact = Identities.open(row["identity"], row["household_id"], self._secrets).contact
        return contact if contact is not None and contact.phone else None

    def _messages(self, occasion: Occasion, addresses: Mapping[str, Addresses]) -> Iterable[tuple[Any, ...]]:
        known = addresses.get(occasion.household_id)
        if known is None:
            return
        former = known.others(occasion.replaced) if occasion.kind in TO_FORMER else []
        if occasion.kind == "contact-changed" and not former:
            return  # a name or a birth date changed
        to = [] if known.contact is None else [("contact", known.contact)]
        to += [("former-contact", contact) for contact in former]
        for recipient, contact in to:
            language = contact.language
            text = render(self._templates, occasion.kind, language, occasion.values[language])
            address = self._secrets.token("phone", contact.phone)
            notice_id = derived_id("notice", occasion.cause, occasion.kind, address)
            sealed = self._secrets.seal(orjson.dumps([contact.phone, text]), notice_id.encode())
            yield notice_id, occasion.household_id, occasion.kind, recipient, language, occasion.cause, sealed


def _occasions(event: Received, templates: Templates) -> Iterable[Occasion]:
    fact, day = event.data, {"date": f"{event.time:%Y-%m-%d}"}
    match fact:
        case HouseholdRegistered():
            yield _same(fact.household_id, "registered", event, {"reference": fact.household_id[:REFERENCE_LENGTH]})
        case HouseholdChanged() if "identity" in fact.changed:
            yield _same(fact.household_id, "contact-changed", event, day)._replace(replaced=fact.version - 1)
        case PayeeRegistered() if fact.version > 1:
            yield _same(fact.beneficiary_id, "account-changed", event, day)
        case PaymentSettled():
            yield _paid(fact, event, templates)
        case MoneyCaseEnded() if fact.offset_from and fact.beneficiary_id and fact.amount_minor and fact.currency:
            amount = str(Money(fact.amount_minor, fact.currency))
            values = {"amount": amount, "percent": str(fact.offset_percent), "date": f"{fact.offset_from:%Y-%m-%d}"}
            yield _same(fact.beneficiary_id, "offset-agreed", event, values)
        case PaymentRejected() | PaymentReturned():
            values = {"amount": str(Money(fact.amount_minor, fact.currency)), "bank": fact.bank} | day
            yield _same(fact.beneficiary_id, PAYMENT_KINDS[type(fact)], event, values)
        case PaymentReady():
            values = {"amount": str(Money(fact.amount_minor, fact.currency)), "bank": fact.bank}
            until = f"{fact.collect_until:%Y-%m-%d}"
            yield _same(fact.beneficiary_id, "cash-ready", event, values | {"date": until})


def _paid(fact: PaymentSettled, event: Received, templates: Templates) -> Occasion:
    """Where the money is by its method (one we have no words for: the account), and what was kept back of it."""
    kind = PAID + (fact.method or DEFAULT_METHOD)
    kept = "deducted" if fact.offset_minor else "nothing-deducted"
    kept_minor = {"amount": str(Money(fact.offset_minor or 0, fact.currency))}
    told = str(Money(fact.amount_minor, fact.currency))
    values = {"amount": told, "bank": fact.bank, "date": f"{event.time:%Y-%m-%d}"}
    texts = {language: render(templates, kept, language, kept_minor) for language in LANGUAGES}
    by_language = {language: values | {"deducted": text} for language, text in texts.items()}
    return Occasion(fact.beneficiary_id, kind if kind in templates else PAID + DEFAULT_METHOD, event.id, by_language)


def _same(household_id: str, kind: str, event: Received, values: Mapping[str, str]) -> Occasion:
    """The same values in each language."""
    return Occasion(household_id, kind, event.id, {"id": values, "en": values})


async def _outcomes(conn: Connection, events: Sequence[Received]) -> list[Occasion]:
    """Who is enrolled now and was not told so, or is enrolled no longer; the newest decision of a batch counts."""
    newest: dict[tuple[str, str], tuple[Received, DecisionMade]] = {}
    for event in events:
        assert isinstance(event.data, DecisionMade)
        newest[event.data.household_id, event.data.programme_id] = event, event.data
    if not newest:
        return []
    households, programmes = zip(*sorted(newest), strict=True)
    rows = await queries.noticed_outcomes(conn, households=households, programmes=programmes)
    before = {(row["household_id"], row["programme_id"]): row["outcome"] for row in rows}
    changed = [key for key in sorted(newest) if before.get(key, "not-enrolled") != newest[key][1].outcome]
    await queries.save_noticed_outcomes(
        conn, households=households, programmes=programmes, outcomes=[newest[key][1].outcome for key in sorted(newest)]
    )
    known = {
        row["programme_id"]: row
        for row in await queries.noticed_programmes(conn, ids=sorted({programme for _, programme in changed}))
    }
    return [
        _decided(*newest[household, programme], known.get(programme))
        for household, programme in changed
    ]  # fmt: skip


def _decided(event: Received, fact: DecisionMade, programme: Mapping[str, Any] | None) -> Occasion:
    told = [result.code for result in fact.criteria] if fact.outcome == "enrolled" else fact.unmet
    name = programme["name"] if programme else {}
    criteria = programme["criteria"] if programme else {}
    values = {
        language: {
            "programme": _in(name, language, fact.programme_id),
            "reasons": reasons_text([_in(criteria.get(code, {}), language, code) for code in told]),
        }
        for language in ("id", "en")
    }
    return Occasion(fact.household_id, fact.outcome, event.id, values)


def _in(words: Mapping[str, str], language: str, otherwise: str) -> str:
    return words.get(language) or words.get(DEFAULT_LANGUAGE) or otherwise


async def _take_programmes(conn: Connection, events: Sequence[Received]) -> None:
    newest = {event.data.programme_id: event.data for event in events if isinstance(event.data, ProgrammePublished)}
    if newest:
        await queries.save_noticed_programmes(
            conn,
            ids=list(newest),
            names=[orjson.dumps(fact.name).decode() for fact in newest.values()],
            criteria=[orjson.dumps(criteria_of(fact.rules)).decode() for fact in newest.values()],
        )


def criteria_of(rules: str) -> dict[str, dict[str, str]]:
    """The sentence of each criterion by language, from a programme's YAML. Empty where it has another form."""
    try:
        document = yaml.safe_load(rules)
    except yaml.YAMLError:
        return {}
    listed = document.get("criteria") if isinstance(document, dict) else None
    listed = listed if isinstance(listed, list) else []
    return {
        str(item["code"]): {str(key): str(value) for key, value in item["text"].items()}
        for item in listed
        if isinstance(item, dict) and "code" in item and isinstance(item.get("text"), dict)
    }
