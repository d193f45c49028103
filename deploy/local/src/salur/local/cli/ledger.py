"""`salur ledger`: the ledger again from the log's files alone, compared with what the payments service states."""

from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console

from salur.audit.domain.ledger import Unreadable
from salur.audit.log.errors import LogError
from salur.local.cli.output import AsJson
from salur.local.ledger import differing, ledger_of


def ledger(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Folder with checkpoint and tiles.")],
    against: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Answer of the payments service's GET /ledger.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make the ledger again from a log's files (check these with `salur verify` first); exit code 1 when another
    ledger differs."""
    console = Console()
    try:
        again = ledger_of(folder)
        stated = orjson.loads(against.read_bytes()) if against else None
        differs = differing(again, stated) if stated else {}
        equal = None if stated is None else not differs and again.hash() == stated["moved_hash"]
    except (LogError, Unreadable, OSError) as error:
        typer.secho(f"the log leads to no ledger: {error}", fg="red", err=True)
        raise typer.Exit(1) from None
    except (orjson.JSONDecodeError, KeyError, TypeError):
        typer.secho(f"{against} is no answer of GET /ledger: save it as it came", fg="red", err=True)
        raise typer.Exit(2) from None
    if as_json:
        view = {"accounts": again.balances(), "moved_hash": again.hash(), "equal": equal, "differs": differs}
        typer.echo(orjson.dumps(view).decode())
    else:
        for account, balance in sorted(again.balances().items()):
            console.print(f"{account:60} {balance:>24}", highlight=False)
        console.print(f"hash of all movements {again.hash()}", highlight=False)
        for account, (ours, theirs) in differs.items():
            console.print(f"{account}: {ours} by the log, {theirs} stated", style="red", markup=False)
        if equal is not None:
            console.print("[green]the ledgers are equal[/]" if equal else "[red]the ledgers differ[/]")
    if equal is False:
        raise typer.Exit(1)
