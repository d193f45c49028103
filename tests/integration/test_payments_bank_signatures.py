"""A bank that must sign is believed only when it has signed exactly these bytes, lately, with a key that counts."""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from partner_bank.signing import signature_header
from salur.common.contracts.topics import results_topic
from salur.common.database import Database
from salur.common.errors import Conflict
from salur.common.events import OutsideRecord
from salur.common.secrets import Secrets
from salur.payments.usecases import bank_keys, settle
from support.payments import House, answer, instruction

pytestmark = pytest.mark.integration
DAY_S = 24 * 3600
BANK = "bank-a"  # of the even numbers
KEY, OTHER_KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32), Ed25519PrivateKey.from_private_bytes(b"o" * 32)


@pytest.fixture
async def house(db: Database, database_url: str, keys: Secrets) -> House:
    house = await House.build(db, database_url, keys)
    await house.instructed(6)
    await add_key(house, "k1", KEY)
    return house


async def add_key(house: House, key_id: str, key: Ed25519PrivateKey, *, since: timedelta = timedelta(days=30)) -> None:
    content = {
        "public_key": key.public_key().public_bytes_raw().hex(),
        "valid_from": (datetime.now(UTC) - since).isoformat(),
        "valid_until": None,
    }
    await house.act(bank_keys.ADD, f"{BANK}/{key_id}", **content)


async def said(house: House, number: int, *, at: timedelta = timedelta(), **changes: Any) -> bytes:
    """An answer of the bank with its time, as bytes."""
    ((_, value),) = await house.named([answer(number, **changes)])
    assert value is not None
    document = orjson.loads(value) | {"time": (datetime.now(UTC) + at).isoformat()}
    return orjson.dumps(document)


def signed(value: bytes, key: Ed25519PrivateKey = KEY, key_id: str = "k1") -> list[tuple[str, bytes]]:
    return [("content-type", b"application/cloudevents+json"), signature_header(key, key_id, value)]


async def take(house: House, *messages: tuple[bytes, Sequence[tuple[str, bytes]]]) -> None:
    """The messages as the consumer hands them over."""
    records = []
    for value, headers in messages:
        offset = house.offsets[BANK] = house.offsets.get(BANK, -1) + 1
        records.append(OutsideRecord(results_topic(BANK).name, 0, offset, None, value, 0, headers))
    async with house.db.transaction() as conn:
        held_to = await bank_keys.signatures(conn, [BANK], DAY_S)
        drafts = await settle.take_results(conn, records, house.keys, held_to)
        await house.store.append(conn, drafts)


async def test_a_signed_message_is_taken(house: House) -> None:
    value = await said(house, 0)
    await take(house, (value, signed(value)))
    assert (await house.states())[instruction(0)] == "settled"
    assert await house.suspended() == []


async def test_a_forged_or_recorded_message_changes_nothing_and_its_neighbour_goes_on(house: House) -> None:
    good, other = await said(house, 2), await said(house, 0)
    old, early = await said(house, 0, at=-timedelta(days=2)), await said(house, 0, at=timedelta(hours=1))
    ancient = await said(house, 0, at=-timedelta(days=40))
    forged = [
        (other, []),
        (other, signed(good)),
        (other.replace(b"ACCC", b"RJCT"), signed(other)),
        (other + b" ", signed(other)),
        (other, signed(other, OTHER_KEY)),
        (other, signed(other, KEY, "k9")),
        (other, [("signature", b"no colon")]),
        (other, [("signature", b"k1:" + b"A" * 1000)]),
        (other, [("signature", b"k1:" + base64.b64encode(b"short"))]),
        (old, signed(old)),
        (early, signed(early)),
        (ancient, signed(ancient)),
        (b"{}", signed(b"{}")),
    ]
    await take(house, *forged, (good, signed(good)))
    states = await house.states()
    assert (states[instruction(0)], states[instruction(2)]) == ("instructed", "settled")
    assert await house.suspended() == [
        "unsigned", "bad-signature", "bad-signature", "bad-signature", "bad-signature", "key-unknown", "key-unknown",
        "bad-signature", "bad-signature", "stale", "stale", "key-expired", "malformed",
    ]  # fmt: skip
    await house.check_books()


async def test_a_bank_changes_its_key_without_a_gap_and_the_old_one_ends(house: House) -> None:
    await add_key(house, "k2", OTHER_KEY, since=timedelta(seconds=1))
    first, second = await said(house, 0), await said(house, 2)
    await take(house, (first, signed(first)), (second, signed(second, OTHER_KEY, "k2")))
    assert await house.suspended() == []
    await house.act(bank_keys.END, f"{BANK}/k1")
    late, third = await said(house, 4), await said(house, 4, message="again")
    await take(house, (late, signed(late)))
    assert await house.suspended() == ["key-expired"]
    await take(house, (third, signed(third, OTHER_KEY, "k2")))
    assert (await house.states())[instruction(4)] == "settled"


async def test_a_key_is_never_replaced(house: House) -> None:
    with pytest.raises(Conflict, match="never replaced"):
        await add_key(house, "k1", OTHER_KEY)


async def test_another_bank_need_not_sign(house: House) -> None:
    await house.answers([answer(1)])
    assert (await house.states())[instruction(1)] == "settled"
