"""Of whom an account is taken to be: the holder the registry was told of, else the head of the family."""

from collections.abc import Collection

from salur.common.database import Connection
from salur.common.events import Draft
from salur.common.secrets import Secrets
from salur.registry.store import queries, save_payees
from salur.registry.usecases.prepare import open_payee, payee_fact, payee_row


async def head_identities(conn: Connection, ids: Collection[str], *, named: bool = False) -> dict[str, str]:
    """By household: token of the NIK of its head, else of its only member, else its own. Who has none is left out.

    `named`: only of who is said to be the head.
    """
    if not ids:
        return {}
    rows = await queries.payee_identities(conn, ids=sorted(ids))
    return {row["household_id"]: row["token"] for row in rows if row["named"] or not named}


async def follow_heads(conn: Connection, actors: dict[str, tuple[str, str]], secrets: Secrets) -> list[Draft]:
    """Accounts of families whose head is another now: a version that names the new one. By household: (actor, cause).

    Without a new head an account stays that of who was it; so does one whose holder was stated. The family's people
    and numbers must be written already.
    """
    heads = await head_identities(conn, actors.keys(), named=True)
    rows, drafts = [], []
    for row in await queries.payees(conn, ids=sorted(heads)):
        household_id = row["household_id"]
        if row["status"] == "closed" or row["identity_token"] == heads[household_id]:
            continue
        payee = open_payee(row["sealed"], household_id, secrets)
        if payee.holder_nik is not None:
            continue
        actor, cause = actors[household_id]
        new = payee_row(payee, household_id, row["version"] + 1, secrets, row["status"], heads[household_id])
        rows.append(new._replace(usable_from=row["usable_from"], changed_by=actor))
        drafts.append(Draft(payee_fact(payee, rows[-1]), household_id, actor, cause))
    await save_payees(conn, rows)
    return drafts
