"""`salur conditions`: report what programmes ask of people, from a CSV file of any size."""

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from salur.local.cli.output import print_answer, refusals
from salur.local.cli.programme import WHO
from salur.local.cli.up import STATE, StateDir
from salur.local.client import CallFailed, Client

ROWS = 5_000
"""Rows sent at once; each part is taken whole before the next one is read."""


def conditions(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="household_id, member_id, code, value.")],
    programme_id: Annotated[str, typer.Option("--programme", help="Whose conditions they are.")],
    period: Annotated[str, typer.Option(help="2026-Q1 or 2026-03.")],
    errors: Annotated[Path, typer.Option(help="Rows that were not taken, with their reason, as CSV.")] = Path(
        "condition-errors.csv"
    ),
    state_dir: StateDir = STATE,
) -> None:
    """Report conditions for a period. Rows with errors are written to a file; sending it all again is safe."""
    totals = {"rows": 0, "reported": 0, "added": 0, "refused": 0}
    with refusals(CallFailed):
        client = Client(state_dir, *WHO)
        path = f"/programmes/{programme_id}/condition-files?period={period}"
        with file.open(encoding="utf-8-sig", newline="") as rows, errors.open("w", encoding="utf-8", newline="") as out:
            told = csv.writer(out)
            told.writerow(("row", "code", "message"))
            for first, part in parts_of(rows):
                answer = client.call("eligibility", "POST", path, content=part)
                for name in ("rows", "reported", "added"):
                    totals[name] += answer[name]
                totals["refused"] += len(answer["errors"])
                told.writerows((first + one["line"] - 2, one["code"], one["message"]) for one in answer["errors"])
    print_answer(totals)
    if totals["refused"]:
        typer.secho(f"{totals['refused']} rows were not taken: see {errors}", fg="red", err=True)
        raise typer.Exit(1)


def parts_of(rows: Iterator[str]) -> Iterator[tuple[int, str]]:
    """(number of its first row, the header and the next rows) until the file ends. The row behind the header is 1."""
    reader = csv.reader(rows)
    header, number = next(reader, []), 1
    while part := list(islice(reader, ROWS)):
        yield number, _written([header, *part])
        number += len(part)


def _written(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
