"""People are told what concerns them, once, in their language, and a changed account reaches the old telephone too."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from salur.common.contracts.eligibility import DecisionMade, ProgrammePublished
from salur.common.contracts.payments import PaymentReady, PaymentReturned, PaymentSettled
from salur.common.service import Runtime, Service
from salur.common.values import derived_id
from salur.registry.store import queries
from support.feed import Feed
from support.households import NUMBER, PHONE, household
from support.registry import api, open_registry, worker_of

pytestmark = pytest.mark.integration
Office = tuple[Runtime, Service, httpx.AsyncClient, Feed]
RULES = Path(__file__).parents[2] / "examples" / "progresa" / "programme.yaml"
NEW_PHONE, OTHER_PHONE = "080055667788", "080099990000"


@pytest.fixture
async def office(database_url: str, tmp_path: Path) -> AsyncIterator[Office]:
    async with open_registry(database_url, tmp_path) as (runtime, service), api(runtime, service) as client:
        yield runtime, service, client, await Feed(runtime, service, "registry.notices").declare()


async def registered(client: httpx.AsyncClient, number: int, **changes: Any) -> str:
    answer = await client.post("/households", json=household(number, **changes))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["household_id"])


async def sent(runtime: Runtime, service: Service) -> list[tuple[str, str]]:
    """Every message so far as (telephone, text), after all that waited went out."""
    while await worker_of(service, "send-notices").step():
        pass
    path = runtime.settings.state_dir / "outbox" / "messages.jsonl"
    lines = [orjson.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []
    assert len({line["message_id"] for line in lines}) == len(lines)
    return [(line["phone"], line["text"]) for line in lines]


def decision(household_id: str, outcome: Any, unmet: tuple[str, ...] = ()) -> tuple[DecisionMade, str]:
    criteria: list[Any] = [
        {"code": code, "outcome": "not-met" if code in unmet else "met", "values": {}}
        for code in ("poverty", "treated-village")
    ]
    fact = DecisionMade(
        decision_id=derived_id(household_id, outcome), programme_id="progresa", programme_version="0" * 64,
        household_id=household_id, household_version=1, outcome=outcome, unmet=list(unmet), criteria=criteria,
        input_hash="0" * 64,
    )  # fmt: skip
    return fact, household_id


def payment(kind: Any, household_id: str, **more: Any) -> Any:
    payment_id = derived_id("payment", household_id)[:30]
    fact = kind(
        payment_id=payment_id, instruction_id=f"{payment_id}-001", entitlement_id="0" * 32, beneficiary_id=household_id,
        cycle_id="0" * 32, bank="bank-a", amount_minor=60_000_000, currency="IDR",
        **more if kind is PaymentReady else {"bank_message_id": "m-1"} | more,
    )  # fmt: skip
    return fact, payment_id


async def published(feed: Feed) -> None:
    fact = ProgrammePublished(
        programme_id="progresa", version="0" * 64, name={"en": "PROGRESA grant", "id": "Bantuan PROGRESA"},
        kind="household", function="protection", rules=RULES.read_text(),
    )  # fmt: skip
    await feed.said("eligibility.programmes", (fact, "progresa"))


async def test_a_family_is_told_of_registration_decision_and_payment_in_its_language(office: Office) -> None:
    runtime, service, client, feed = office
    id_, en = await registered(client, 1), await registered(
        client, 2, contact={"phone": OTHER_PHONE, "language": "en"}, payee=None
    )  # fmt: skip
    await registered(client, 3, contact=None)
    await feed.own()
    await published(feed)
    await feed.said("eligibility.decisions", decision(id_, "enrolled"), decision(en, "not-enrolled", ("poverty",)))
    await feed.said("eligibility.decisions", decision(id_, "enrolled"), decision(en, "enrolled"))
    await feed.said("eligibility.decisions", decision(en, "not-enrolled", ("poverty",)))
    await feed.said(
        "payments.payments",
        payment(PaymentSettled, id_, bank_reference="r", method="cash", offset_minor=5_000_000),
        payment(PaymentReturned, en, reason="AC04", bank_reference="r"),
        payment(PaymentReady, id_, collect_until="2026-02-01T00:00:00Z"),
    )
    messages = await sent(runtime, service)
    to_id = [text for phone, text in messages if phone == PHONE]
    to_en = [text for phone, text in messages if phone == OTHER_PHONE]
    assert len(to_id) + len(to_en) == len(messages)
    assert sorted(text.split()[0] for text in to_id) == ["IDR", "IDR", "Keluarga", "Keluarga"]
    assert any("menunggu Anda di bank-a sampai 2026-02-01" in text for text in to_id)
    assert any("Bantuan PROGRESA" in text and "Indeks kemiskinan tidak melebihi" in text for text in to_id)
    assert any(
        "IDR 600,000.00 telah diambil tunai" in text and "IDR 50,000.00 ditahan untuk kelebihan bayar" in text
        for text in to_id
    )
    assert [text.split(".")[0] for text in sorted(to_en)][1:] == [
        "Your family is registered", "Your family no longer receives PROGRESA grant",
        "Your family was found eligible for PROGRESA grant",
    ]  # fmt: skip
    assert sorted(to_en)[0].startswith("The payment of IDR 600,000.00 came back from bank-a")


async def test_nobody_is_told_twice_whatever_is_repeated(office: Office) -> None:
    runtime, service, client, feed = office
    household_id = await registered(client, 1)
    for _ in range(2):
        await feed.own()
    other = await Feed(runtime, service, "registry.notices").declare()  # marks lost: everything comes again
    async with runtime.db.transaction() as conn:
        await conn.execute("UPDATE mark SET sequence = 0")
    await other.own()
    assert len(await sent(runtime, service)) == 1
    told = (await client.get(f"/households/{household_id}/notices")).json()["notices"]
    assert [(notice["kind"], notice["state"]) for notice in told] == [("registered", "sent")]


async def test_who_changes_the_telephone_and_then_the_account_cannot_do_it_unheard(
    office: Office, database_url: str, tmp_path: Path
) -> None:
    runtime, service, client, feed = office
    household_id = await registered(client, 1)
    await feed.own()
    await sent(runtime, service)
    async with api(runtime, service, sub="person:second") as second:
        for change in (
            {"kind": "contact", "contact": {"phone": NEW_PHONE}},
            {"kind": "payee", "payee": {"bank": "bank-b", "number": "1122334455", "holder": "Siti Example"}},
        ):
            asked = await client.post("/changes", json=change | {"household_id": household_id, "reason": "asked"})
            assert asked.status_code == 201, asked.text
            done = await second.post(f"/changes/{asked.json()['change_id']}/accept", json={})
            assert done.status_code == 200, done.text
    await feed.own()
    messages = await sent(runtime, service)
    changed = [(phone, "rekening" in text.lower(), "telepon" in text) for phone, text in messages[1:]]
    assert sorted(changed) == [
        (PHONE, False, True), (PHONE, True, False), (NEW_PHONE, False, True), (NEW_PHONE, True, False),
    ]  # fmt: skip
    assert not any(NUMBER in text or "1122334455" in text for _, text in messages)


async def test_words_and_telephones_rest_sealed_and_stand_in_no_event(office: Office) -> None:
    runtime, service, client, feed = office
    household_id = await registered(client, 1)
    await feed.own()
    async with runtime.db.connection() as conn:
        before = str(await conn.fetch("SELECT * FROM notice"))
    await sent(runtime, service)
    async with runtime.db.connection() as conn:
        rows = await conn.fetch("SELECT body FROM event WHERE type = 'salur.notice.sent.v1'")
    listed = await client.get(f"/households/{household_id}/notices")
    assert len(rows) == 1
    for text in (before, rows[0]["body"].decode(), listed.text):
        assert PHONE not in text
        assert "terdaftar" not in text
    path = runtime.settings.state_dir / "outbox" / "messages.jsonl"
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o077) == (0o600, 0)


async def test_what_an_erasure_destroys_leaves_the_outbox_too(office: Office) -> None:
    runtime, service, client, feed = office
    erased, kept = await registered(client, 1), await registered(client, 2)
    await feed.own()
    before = await sent(runtime, service)
    async with runtime.db.transaction() as conn:
        await queries.erase_households(conn, ids=[erased])
        left = await conn.fetch("SELECT household_id FROM notice")
    await worker_of(service, "clear-outbox").step()
    assert {row["household_id"] for row in left} == {kept}
    assert len(await sent(runtime, service)) == len(left) == len(before) - 1
    path = runtime.settings.state_dir / "outbox" / "messages.jsonl"
    assert path.stat().st_mode & 0o777 == 0o600
    await registered(client, 3)
    await feed.own()
    assert len(await sent(runtime, service)) == len(before)
