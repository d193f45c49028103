"""`salur status`, `salur dead-letters`, `salur service`: what operations look at and do; see docs/runbooks."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

from salur.common.contracts.topics import topic_named
from salur.local.cli.output import AnswerApp, AsJson, answer_of, print_answer, print_json, refusals
from salur.local.cli.up import STATE, StateDir
from salur.local.client import CallFailed, Client
from salur.local.platform import environment_file

OPERATIONS = ("person:operations", ["operator"])
AUDITOR = ("person:auditor", ["auditor"])
PAGE = 500
WAITING = ("raised", "parked")
"""States of letters whose key is blocked; a foreign one is no event of its stream and blocks nothing."""

COUNTS = ("events", "unsent", "untaken", "dead_letters", "foreign")

letters_app = AnswerApp("Events that could not be handled: find, read, replay.")
service_app = typer.Typer(help="Commands of one service on its own database.", no_args_is_help=True)
ServiceName = Annotated[str, typer.Argument(help="registry, eligibility, payments or audit.")]


def status(as_json: AsJson = False, state_dir: StateDir = STATE) -> None:
    """Per service: does it take work; its events, those Kafka lacks, those of others it has not taken; dead letters.

    Then how far the log is. --json names each stream that is behind. Exit code 1 when something needs a person.
    """
    with refusals(CallFailed):
        client = Client(state_dir, OPERATIONS[0], [*OPERATIONS[1], "auditor"])
    seen = {service: _ask(client, service) for service in client.services}
    heads = {s["stream"]: s["head"] for view in seen.values() for s in view.get("streams", [])}
    rows = [_row(service, view, heads) for service, view in seen.items()]
    log = seen.get("audit", {}).get("log", {})
    if as_json:
        behind = [item for view in seen.values() for item in _behind(view, heads)]
        print_json({"services": rows, "behind": behind, "log": log})
    else:
        _show(rows, log)
    if any(row["trouble"] or row["dead_letters"] for row in rows) or log.get("gaps"):
        raise typer.Exit(1)


def _ask(client: Client, service: str) -> dict[str, Any]:
    """What a service says about itself; `trouble` when it does not take work."""
    view: dict[str, Any] = {"trouble": ""}
    try:
        client.call(service, "GET", "/ready")
    except CallFailed as error:
        view["trouble"] = str(error)
    try:
        view["streams"] = client.call(service, "GET", "/streams")["streams"]
        view["marks"] = client.call(service, "GET", "/marks")["marks"]
        view["letters"] = [letter["state"] for letter in _letters(client, service)]
        if service == "audit":
            gaps = client.call("audit", "GET", "/completeness")["gaps"]
            view["log"] = {**client.call("audit", "GET", "/log"), "gaps": gaps}
    except CallFailed as error:
        view["trouble"] = view["trouble"] or str(error)
    return view


def _behind(view: dict[str, Any], heads: dict[str, int]) -> list[dict[str, Any]]:
    """Streams of which a consumer has not taken everything. Outside topics have no head to compare with."""
    return [
        {
            "consumer": mark["consumer"], "stream": mark["stream"], "taken": mark["sequence"], "head": head,
            "republish": f"salur service republish {topic_named(mark['stream'].rpartition('/')[0]).writer} "
            f"--stream {mark['stream']} --from {mark['sequence'] + 1}",
        }
        for mark in view.get("marks", [])
        if (head := heads.get(mark["stream"], 0)) > mark["sequence"]
    ]  # fmt: skip


def _row(service: str, view: dict[str, Any], heads: dict[str, int]) -> dict[str, Any]:
    """A service's counts; null where it did not tell them."""
    row: dict[str, Any] = {"service": service, "trouble": view["trouble"], **dict.fromkeys(COUNTS)}
    if (streams := view.get("streams")) is not None:
        row["events"] = sum(item["head"] for item in streams)
        row["unsent"] = sum(item["head"] - item["published"] for item in streams)
    if "marks" in view:
        row["untaken"] = sum(item["head"] - item["taken"] for item in _behind(view, heads))
    if (letters := view.get("letters")) is not None:
        row["dead_letters"] = sum(1 for state in letters if state in WAITING)
        row["foreign"] = letters.count("foreign")
    return row


def _show(rows: list[dict[str, Any]], log: dict[str, Any]) -> None:
    console = Console()
    table = Table()
    for name in ("service", "takes work", "events", "unsent", "untaken", "letters", "foreign"):
        table.add_column(name, no_wrap=True)
    for row in rows:
        takes = "[red]no[/]" if row["trouble"] else "yes"
        counts = (row[name] for name in COUNTS)
        table.add_row(row["service"], takes, *("?" if count is None else str(count) for count in counts))
    console.print(table)
    for row in rows:
        if row["trouble"]:
            console.print(row["trouble"], style="red", markup=False)
    if log:
        console.print(
            f"the log: {log['size']} entries, {log['published']} under a signed head, "
            + (f"[red]{log['gaps']} streams with a gap[/]" if log["gaps"] else "no gap")
        )


def _letters(client: Client, service: str) -> list[dict[str, Any]]:
    """Every dead letter of a service, by id."""
    found: list[dict[str, Any]] = []
    after = ""
    while True:
        params = {"limit": PAGE} | ({"after": after} if after else {})
        page = client.call(service, "GET", "/dead-letters", params=params)["dead_letters"]
        found += page
        if len(page) < PAGE:
            return found
        after = page[-1]["id"]


@letters_app.answer("list")
def list_letters(
    service: Annotated[str | None, typer.Option(help="Only of this service.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="The replayed ones too.")] = False,
    state_dir: StateDir = STATE,
) -> None:
    """Events that wait, with place and reason; never their content."""
    with refusals(CallFailed):
        client = Client(state_dir, *OPERATIONS)
        found = [
            {"service": name, **letter}
            for name in ([service] if service else client.services)
            for letter in _letters(client, name)
            if everything or letter["state"] != "replayed"
        ]
    print_answer(found)


@letters_app.answer("replay")
def replay(
    service: ServiceName,
    letter_id: Annotated[str, typer.Argument(help="Id of the letter, as `list` shows it.")],
    reason: Annotated[str, typer.Option(help="Why it may go through now; kept in the trail.")],
    state_dir: StateDir = STATE,
) -> None:
    """Run the handler again over the letter's whole key, in sequence: all of it goes through, or nothing."""
    body = {"reason": reason}
    print_answer(answer_of(state_dir, OPERATIONS, service, "POST", f"/dead-letters/{letter_id}/replay", json=body))


@service_app.command("recover")
def recover(service: ServiceName, state_dir: StateDir = STATE) -> None:
    """Take back from Kafka the events a restored database has lost, then let the service write again."""
    _run(state_dir, service, "recover")


@service_app.command("republish")
def republish(
    service: ServiceName,
    stream: Annotated[str, typer.Option(help="For example registry.households/3.")],
    sequence: Annotated[int, typer.Option("--from", min=1, help="From this sequence on.")],
    state_dir: StateDir = STATE,
) -> None:
    """Publish a stream again from the service's own history; consumers drop what they have."""
    _run(state_dir, service, "republish", "--stream", stream, "--from", str(sequence))


@service_app.command("retention")
def retention(
    service: ServiceName,
    end: Annotated[bool, typer.Option("--end", help="End what is due; without it nothing is changed.")] = False,
    state_dir: StateDir = STATE,
) -> None:
    """How long the service keeps each kind of record, by which law, and how many are due."""
    _run(state_dir, service, "retention-end" if end else "retention")


def _run(state_dir: Path, service: str, *arguments: str) -> None:
    file = environment_file(state_dir, service)
    if not file.exists():
        typer.secho(f"no service {service} in {state_dir}: start one with `salur up`", fg="red", err=True)
        raise typer.Exit(1)
    command = [sys.executable, "-m", f"salur.{service}", *arguments]
    done = subprocess.run(command, env=orjson.loads(file.read_bytes()), check=False)  # noqa: S603 - the command is ours
    raise typer.Exit(done.returncode)
