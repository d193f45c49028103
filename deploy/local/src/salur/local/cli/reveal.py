"""`salur reveal`, `salur verify-opening`: one personal value of an event, proven by the log's entry."""

from pathlib import Path
from typing import Annotated, Any, NoReturn

import orjson
import typer

from salur.audit.log.errors import LogError
from salur.audit.log.policy import Policy
from salur.audit.log.proof import Receipt
from salur.common.events.personal import CommitmentBroken, Opening, check_opening
from salur.local.cli.up import STATE, StateDir
from salur.local.client import CallFailed, Client

INVESTIGATOR = "person:investigator"
SECRET = 0o600
PolicyFile = Annotated[Path, typer.Option(exists=True, dir_okay=False, help="Policy with the keys you trust.")]


def reveal(
    event_id: Annotated[str, typer.Argument(help="Id of the event that holds the value.")],
    field: Annotated[str, typer.Option(help="Which value: account_number, attributes.poverty_index …")],
    purpose: Annotated[str, typer.Option(help="What for, as a code: complaint, investigation, court-order …")],
    reason: Annotated[str, typer.Option(help="Why this value, as a code: returned-payment …")],
    policy: PolicyFile,
    case: Annotated[str | None, typer.Option(help="Id of the case it is needed for.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the opening to this file, not to the terminal.")] = None,
    who: Annotated[str, typer.Option("--as", help="Who asks: a pseudonym.")] = INVESTIGATOR,
    state_dir: StateDir = STATE,
) -> None:
    """Have the service that wrote an event open one of its personal values, and check it against the log's entry.

    That it was opened, by whom, for what and why is itself an event in the trail.
    """
    try:
        client = Client(state_dir, who, ["investigator"])
        entry = proven_entry(client.call("audit", "GET", f"/receipts/{event_id}"), policy)
        if entry.get("id") != event_id:
            raise LogError(f"the audit gave the receipt of event {entry.get('id')}, asked for was {event_id}")
        asked = {"stream": entry["stream"], "sequence": entry["sequence"], "field": field, "purpose": purpose,
                 "reason": reason, "case_id": case}  # fmt: skip
        answer = client.call(str(entry["source"]).rpartition("/")[2], "POST", "/openings", json=asked)
        check(entry, answer)
    except (CallFailed, LogError, CommitmentBroken) as error:
        _refuse(error)
    text = orjson.dumps(answer, option=orjson.OPT_INDENT_2)
    if out is None:
        typer.echo(text.decode())
    else:
        out.touch(mode=SECRET)
        out.write_bytes(text)
        typer.echo(f"{out}: {field} of entry {event_id}; keep it as what it is, a personal value")


def verify_opening(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="An opening, as `salur reveal` wrote it.")],
    receipt: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="Receipt of its event.")],
    policy: PolicyFile,
) -> None:
    """Check an opening with nothing but the receipt of its event and the keys you trust."""
    try:
        entry = proven_entry(receipt.read_text(encoding="utf-8"), policy)
        mark = check(entry, orjson.loads(file.read_bytes()))
    except (LogError, CommitmentBroken, orjson.JSONDecodeError, UnicodeDecodeError) as error:
        _refuse(error)
    typer.echo(f"proven: the value is the one entry {entry['id']} commits to as {mark}")


def proven_entry(receipt: str, policy: Path) -> dict[str, Any]:
    """The event of a receipt that log and witnesses of the policy have signed. Raises LogError."""
    trust = Policy.parse(policy.read_text(encoding="utf-8"))
    proof = Receipt.parse(receipt)
    proof.verify(*trust.logs)
    trust.open(proof.checkpoint)
    entry: dict[str, Any] = orjson.loads(proof.leaf or b"{}")
    return entry


def check(entry: dict[str, Any], answer: Any) -> str:
    """The commitment of the entry that the answer opens. Raises CommitmentBroken."""
    try:
        opening = Opening(answer["field"], answer["value"], bytes.fromhex(answer["salt"]))
    except (KeyError, TypeError, ValueError):
        raise CommitmentBroken("this is no opening: field, value and salt are needed") from None
    return check_opening(entry["data"], opening)


def _refuse(error: Exception) -> NoReturn:
    typer.secho(f"not proven: {error}" if not isinstance(error, CallFailed) else str(error), fg="red", err=True)
    raise typer.Exit(1) from None
