"""One-time codes of cash payments: made again from the service's key whenever they are needed, never stored.

A bank holds only a commitment. A code is read by a person who hands it to the recipient, with a reason: an event.
"""

from salur.common.auth import Caller
from salur.common.contracts.activity import PersonalRead
from salur.common.database import Connection
from salur.common.events import Draft
from salur.common.secrets import Secrets
from salur.payments import errors
from salur.payments.domain.methods import METHODS, code_commitment, code_of
from salur.payments.store import queries


def code_for(secrets: Secrets, instruction_id: str) -> str:
    """The code of an instruction; always the same."""
    return code_of(secrets.token("collection-code", instruction_id))


def commitment_for(secrets: Secrets, instruction_id: str) -> str:
    """What the bank is told of the code."""
    return code_commitment(instruction_id, code_for(secrets, instruction_id))


async def read_code(
    conn: Connection, secrets: Secrets, payment_id: str, reason: str, caller: Caller
) -> tuple[dict[str, str], list[Draft]]:
    """The code of a payment that waits to be fetched, for whoever hands it over. Raises NotFound, Conflict."""
    row = await queries.newest_attempt(conn, payment_id=payment_id)
    if row is None or not caller.sees(row["region"]):
        raise errors.payment_unknown()
    if not METHODS[row["method"]].coded or row["state"] not in ("instructed", "unknown"):
        raise errors.no_code()
    fact = PersonalRead(subject=payment_id, kind="collection-code", reason=reason)
    told = {
        "payment_id": payment_id, "instruction_id": row["instruction_id"],
        "code": code_for(secrets, row["instruction_id"]), "collect_until": row["execute_until"].isoformat(),
    }  # fmt: skip
    return told, [Draft(fact, payment_id, caller.actor, caller.request_id, topic="payments.activity")]
