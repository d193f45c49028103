"""`salur verify`, `salur receipt`, `salur verify-receipt`: check the trail without trusting who runs it."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.progress import Progress

from salur.audit.log.completeness import open_statement
from salur.audit.log.errors import LogError
from salur.audit.log.keys import follow_handovers
from salur.audit.log.note import VerifierKey, open_checkpoint, parse_keys
from salur.audit.log.policy import Policy
from salur.audit.log.proof import Receipt
from salur.audit.log.verify import verify_log
from salur.local.cli.output import AsJson, print_json, refusals
from salur.local.cli.up import STATE, StateDir
from salur.local.client import CallFailed, Client

KeyFile = Annotated[Path | None, typer.Option(exists=True, help="The log's verifier keys (log.pub) that you trust.")]
PolicyFile = Annotated[
    Path | None,
    typer.Option(exists=True, help="Policy with the keys you trust; enough of its witnesses must have signed."),
]


BESIDE = (
    "checked with the key that lies beside the log: whoever can write there can put another; "
    "give --policy or --key with one you trust"
)


def _text(path: Path) -> str:
    """A small text somebody gives us. Raises LogError where it is none."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise LogError(f"{path} is no text: is it the right file?") from None


def _trusted(key: Path | None, handovers: Path) -> tuple[VerifierKey, ...]:
    """The keys in a file and those they handed over to."""
    if key is None:
        return ()
    return follow_handovers(parse_keys(_text(key)), _text(handovers) if handovers.exists() else "")


def verify(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Folder with checkpoint and tiles.")],
    key: KeyFile = None,
    policy: PolicyFile = None,
    head: Annotated[
        list[Path] | None, typer.Option(exists=True, help="A head you kept; the log must extend it. Repeatable.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Re-derive a whole log from its files: signature, entries, tiles, root, streams, every inclusion proof.

    A key that a trusted key handed over to is trusted too.
    """
    console = Console()
    try:
        trust = Policy.parse(_text(policy)) if policy else None
        keys = _trusted(key, folder / "log.handovers")
        kept = [_text(path) for path in head or ()]
        with Progress(console=Console(stderr=True), transient=True) as progress:
            bar = progress.add_task(f"verifying {folder}", total=None)
            report = verify_log(
                folder, *keys, policy=trust, heads=kept,
                watch=lambda done, whole: progress.update(bar, completed=done, total=whole),
            )  # fmt: skip
    except LogError as error:
        typer.secho(f"not proven: {error}", fg="red", err=True)
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(orjson.dumps(asdict(report)).decode())
    elif report.ok:
        console.print(f"[green]the log holds[/]: {report.size} entries, {report.streams} streams without a gap")
        console.print(f"root {report.root}; {report.proofs_checked} proofs checked in {report.seconds:.1f} s")
        if not (keys or trust):
            console.print(BESIDE, style="yellow", soft_wrap=True)
    else:
        where = f" (first bad index {report.first_bad_index})" if report.first_bad_index >= 0 else ""
        for problem in report.problems:
            console.print(f"{problem}{where}", style="red", markup=False)
    if not report.ok:
        raise typer.Exit(1)


def receipt(
    event_id: Annotated[str, typer.Argument(help="Id of the event.")],
    out: Annotated[Path | None, typer.Option(help="File to write; default <event id>.tlog-proof")] = None,
    state_dir: StateDir = STATE,
) -> None:
    """Write a receipt of one event that anyone can check offline."""
    with refusals(CallFailed):
        text = Client(state_dir, "person:auditor", ["auditor"]).call("audit", "GET", f"/receipts/{event_id}")
    path = out or Path(f"{event_id}.tlog-proof")
    path.write_text(text, encoding="utf-8")
    typer.echo(f"{path}: check it with `salur verify-receipt {path} --key log.pub`")


def completeness(state_dir: StateDir = STATE) -> None:
    """Have the log state, signed, how far it holds each stream; exit code 1 when it states a gap."""
    with refusals(CallFailed, LogError):
        client = Client(state_dir, "person:auditor", ["auditor"])
        note = client.call("audit", "GET", "/log/completeness")
        head = open_checkpoint(client.call("audit", "GET", "/log/checkpoint"), *parse_keys(_public_keys(client)))
        streams = open_statement(note, head, parse_keys(_public_keys(client)))
    typer.echo(note)
    typer.echo(
        f"{len(streams)} streams, {sum(streams.values())} events, none missing in the tree of {head.size} entries"
    )


def _public_keys(client: Client) -> str:
    return str(client.call("audit", "GET", "/log/keys")).partition("\n\n")[0]


def verify_receipt(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A .tlog-proof file.")],
    key: KeyFile = None,
    policy: PolicyFile = None,
    as_json: AsJson = False,
) -> None:
    """Check a receipt with nothing but the file and the keys you trust: `--policy` also asks for its witnesses."""
    if (key is None) == (policy is None):
        raise typer.BadParameter("give --key or --policy: a receipt proves nothing without a key you trust")
    try:
        proof = Receipt.parse(_text(file))
        trust = Policy.parse(_text(policy)) if policy else None
        head = proof.verify(*(trust.logs if trust else parse_keys(_text(key) if key else "")))
        if trust:
            trust.open(proof.checkpoint)
    except LogError as error:
        typer.secho(f"not proven: {error}", fg="red", err=True)
        raise typer.Exit(1) from None
    leaf = (proof.leaf or b"").decode(errors="replace")
    if as_json:
        print_json({"index": proof.index, "size": head.size, "origin": head.origin, "entry": leaf})
        return
    typer.echo(f"proven: entry {proof.index} of {head.size} in {head.origin}")
    typer.echo(leaf)
