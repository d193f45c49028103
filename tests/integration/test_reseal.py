"""The sealing key is rotated: everything sealed opens under the new key alone, and no table is forgotten."""

import os
from pathlib import Path

import pytest

from salur.common.contracts.topics import SERVICES
from salur.common.database import Database
from salur.common.reseal import EVENT_PLACES, reseal
from salur.common.secrets import SealBroken, Secrets
from salur.payments.main import SEALED as SEALED_BY_PAYMENTS
from salur.payments.usecases.accounts import open_account
from salur.registry.main import SEALED
from support.households import group, household, nik
from support.offices import open_office
from support.payments import House, answer, beneficiary, payee
from support.registry import api, changed, open_registry

pytestmark = pytest.mark.integration
NOT_SEALED = {
    "event.body", "event_personal.sealed", "foreign_record.content_hash", "bank_message.content_hash",
    "statement.content_hash", "bank_key.public_key", "entry.leaf", "checkpoint.root", "checkpoint.note",
}  # fmt: skip
"""What is public, sealed under the subject's own key (which is resealed), or a hash."""


async def test_every_sealed_value_is_resealed_and_the_registry_goes_on(database_url: str, tmp_path: Path) -> None:
    async with (
        open_registry(database_url, tmp_path) as (runtime, service),
        api(runtime, service) as first,
        api(runtime, service, sub="person:second") as second,
    ):
        household_id = (await first.post("/households", json=household(1, 2))).json()["household_id"]
        payee = {"bank": "bank-b", "number": "1112223334", "holder": "Siti Example"}
        await changed(first, second, {"kind": "payee", "household_id": household_id, "payee": payee})
        await first.post("/groups", json=group(11, payee=payee))
        usul = {"reference": "usul-00001", "nominated_by": "other", "region": "31.71.01", "text": "no list knows them"}
        nominated = await first.post("/nominations", json=usul)
        verdict = {"nomination_id": nominated.json()["nomination_id"], "outcome": "supported", "reason": "known"}
        taking_part = [{"role": role, "name": "Pak Lurah"} for role in ("village-head", "women", "residents")]
        met = {"reference": "musdes-00001", "region": "31.71.01", "held_on": "2026-03-01", "participants": taking_part,
               "verdicts": [verdict]}  # fmt: skip
        assert (await first.post("/meetings", json=met)).status_code == 201
        master, newer = bytes.fromhex((tmp_path / "master.key").read_text()), os.urandom(32)
        done = await reseal(runtime.db, Secrets(master, newer), SEALED)
        assert done.items() >= {"identifier": 3, "household": 1, "payee": 1, "payee_version": 1}.items()
        assert all(done[t] for t in ("subject_key", "group_version", "change_request", "nomination", "meeting"))
        assert sum((await reseal(runtime.db, Secrets(master, newer), SEALED)).values()) == 0
        async with runtime.db.connection() as conn:
            sealed = await conn.fetchrow("SELECT sealed, token FROM identifier LIMIT 1")
        assert sealed is not None
        assert Secrets(newer).open(sealed["sealed"], sealed["token"].encode())
        with pytest.raises(SealBroken):
            Secrets(master).open(sealed["sealed"], sealed["token"].encode())
    (tmp_path / "master.key").write_text(f"{master.hex()}\n{newer.hex()}\n")
    async with open_registry(database_url, tmp_path) as (runtime, service), api(runtime, service) as client:
        found = await client.post("/households/find", json={"scheme": "nik", "value": nik(11)})
        assert found.json()["household_id"] == household_id


@pytest.mark.parametrize("service", SERVICES)
async def test_no_table_with_sealed_values_is_forgotten(service: str, database_url: str, tmp_path: Path) -> None:
    async with open_office(service, database_url, tmp_path) as process, process.runtime.db.connection() as conn:
        rows = await conn.fetch(
            "SELECT table_name, column_name FROM information_schema.columns "
            "WHERE table_schema = 'public' AND data_type = 'bytea'"
        )
        places = (*EVENT_PLACES, *process.service.sealed)
        found = {f"{row['table_name']}.{row['column_name']}" for row in rows}
        assert found - NOT_SEALED == {f"{place.table}.{place.column}" for place in places}
        assert set((await reseal(process.runtime.db, process.runtime.secrets, process.service.sealed)).values()) == {0}


async def test_an_account_payments_hold_is_resealed_under_its_own_context(
    db: Database, database_url: str, keys: Secrets
) -> None:
    house = await House.build(db, database_url, keys)
    await house.take_payees([payee(1), payee(2)])
    await house.answers([answer(1)])
    both, newer = Secrets(bytes(range(32)), bytes(range(1, 33))), Secrets(bytes(range(1, 33)))
    done = await reseal(db, both, SEALED_BY_PAYMENTS)
    assert (done["payee"], done["suspense"]) == (2, 1)
    async with db.connection() as conn:
        sealed = await conn.fetchval("SELECT sealed FROM payee WHERE beneficiary_id = $1", beneficiary(1))
        record = await conn.fetchrow("SELECT * FROM suspense")
    assert open_account(newer, beneficiary(1), sealed)[0] == "9000000001"
    assert record is not None
    position = f"{record['topic']}/{record['partition']}/{record['kafka_offset']}"
    assert newer.open(record["sealed"], position.encode())
