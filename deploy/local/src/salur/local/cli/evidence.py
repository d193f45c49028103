"""`salur bundle` and `salur verify-bundle`: evidence to take away, and its check without network."""

import time
from pathlib import Path
from typing import Annotated

import typer

from salur.audit.evidence import verify_bundle as verifier
from salur.audit.evidence.bundle import write_bundle
from salur.audit.evidence.select import KINDS, Question, TooMuch, answers
from salur.audit.log.errors import LogError
from salur.audit.log.note import open_checkpoint, parse_keys
from salur.audit.log.tiles import TileReader
from salur.local.cli.output import AsJson, refusals


def bundle(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Folder with checkpoint and tiles.")],
    about: Annotated[str, typer.Option(help=f"What the question is about: {', '.join(KINDS)}.")],
    value: Annotated[
        str, typer.Option(help="Id of the payment, beneficiary or cycle; the actor; from/to of a period.")
    ],
    out: Annotated[Path | None, typer.Option(help="File to write; default evidence-<about>.zip")] = None,
    policy: Annotated[
        Path | None, typer.Option(exists=True, help="Policy to put in, with the witnesses' keys.")
    ] = None,
) -> None:
    """Write a ZIP with every entry that answers and what it rests on, each with its proof, and the verifier."""
    with refusals(LogError, ValueError):
        question = Question(about, value)
        keys = parse_keys((folder / "log.pub").read_text(encoding="utf-8"))
        head = open_checkpoint((folder / "checkpoint").read_text(encoding="utf-8"), *keys)
        indexes = answers(TileReader(folder, head.size), question)
        if not indexes:
            raise TooMuch(f"no entry of this log answers: {about} {value}")
        text = policy.read_text(encoding="utf-8") if policy else None
        written = write_bundle(folder, question, indexes, text, out or Path(f"evidence-{about}.zip"))
    typer.echo(f"{written.path}: {written.entries} of {written.size} entries")
    typer.echo(
        f"check it with `salur verify-bundle {written.path} --policy policy`, or with the verify_bundle.py inside"
    )


def verify_bundle(
    file: Annotated[Path, typer.Argument(exists=True, help="The ZIP, or the folder it was unpacked to.")],
    policy: Annotated[Path | None, typer.Option(exists=True, help="The keys and quorum you trust.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check a bundle with the program that also lies in it; exit code 1 when it is not proven."""
    began = time.monotonic()
    words = [str(file), *(["--policy", str(policy)] if policy else []), *(["--json"] if as_json else [])]
    code = verifier.main(words)
    if not as_json:
        typer.echo(f"{time.monotonic() - began:.2f} s")
    raise typer.Exit(code)
