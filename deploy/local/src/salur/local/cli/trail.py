"""`salur trail`: ask the trail. Every question is itself an event in it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from salur.local.cli.output import AnswerApp, answer_of, print_answer
from salur.local.cli.up import STATE, StateDir

app = AnswerApp("Search the trail; follow a household or a cause; export a view.")
AUDITOR = "person:auditor"
Who = Annotated[str, typer.Option("--as", help="Who asks: a pseudonym.")]
Asked = Annotated[
    list[str] | None,
    typer.Argument(help="What to find, as name=value: payment=… region=31.71 type=salur.payment.settled.v1 since=…"),
]


def _auditor(state_dir: Path, who: str, path: str, **request: Any) -> Any:
    return answer_of(state_dir, (who, ["auditor"]), "audit", "GET", f"/trail{path}", **request)


def _question(asked: list[str] | None) -> dict[str, str]:
    pairs = [item.partition("=") for item in asked or []]
    for name, equals, _ in pairs:
        if not equals:
            raise typer.BadParameter(f"{name[:40]}: write name=value, for example programme=progresa")
    return {name: value for name, _, value in pairs}


@app.answer("find")
def find(
    asked: Asked = None,
    after: Annotated[int, typer.Option(help="The next page: the last leaf_index seen.")] = -1,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 50,
    who: Who = AUDITOR,
    state_dir: StateDir = STATE,
) -> None:
    """A page of entries that have everything asked for, in the log's order."""
    print_answer(_auditor(state_dir, who, "", params={**_question(asked), "after": after, "limit": limit}))


@app.answer("household")
def household(
    household_id: Annotated[str, typer.Argument(help="Id of the household.")],
    who: Who = AUDITOR,
    state_dir: StateDir = STATE,
) -> None:
    """One household from registration to receipt."""
    print_answer(_auditor(state_dir, who, f"/households/{household_id}"))


@app.answer("causes")
def causes(
    event: Annotated[str, typer.Argument(help="Id of an event, or topic/partition/offset of a bank's record.")],
    who: Who = AUDITOR,
    state_dir: StateDir = STATE,
) -> None:
    """What led to an event and what it led to."""
    print_answer(_auditor(state_dir, who, f"/causes/{event}"))


@app.command("export")
def export(
    out: Annotated[Path, typer.Argument(help="File to write: .csv, .jsonl or .xlsx.")],
    asked: Asked = None,
    who: Who = AUDITOR,
    state_dir: StateDir = STATE,
) -> None:
    """Exactly the filtered view as a file; its hash stands in the trail."""
    format_ = out.suffix.removeprefix(".")
    text = _auditor(state_dir, who, "/export", params={**_question(asked), "format": format_})
    out.write_bytes(text if isinstance(text, bytes) else text.encode())
    typer.echo(f"{out}: its SHA-256 stands in an event: salur trail find type=salur.trail.asked.v1 actor={who}")


@app.answer("money")
def money(
    dimension: Annotated[str, typer.Argument(help="fund, cycle, programme, region, bank or household.")],
    value: Annotated[str, typer.Argument(help="Its id or code.")],
    who: Who = AUDITOR,
    state_dir: StateDir = STATE,
) -> None:
    """From budget to return, each figure with the question that finds its entries."""
    print_answer(_auditor(state_dir, who, f"/money/{dimension}/{value}"))


@app.answer("reads")
def reads(
    actor: Annotated[str, typer.Argument(help="Who read.")],
    since: Annotated[str, typer.Argument(help="From, for example 2026-01-01T00:00:00Z.")],
    until: Annotated[str, typer.Argument(help="Up to; itself left out.")],
    who: Who = AUDITOR,
    state_dir: StateDir = STATE,
) -> None:
    """Breach report: whose personal values somebody read between two times."""
    print_answer(_auditor(state_dir, who, "/reads", params={"actor": actor, "since": since, "until": until}))


@app.answer("lag")
def lag(state_dir: StateDir = STATE) -> None:
    """How far search is behind the log."""
    print_answer(_auditor(state_dir, AUDITOR, "/lag"))
