"""`salur keys`, `topics`, `acls`: what the all-in-one run does by itself, for installations on given engines."""

from pathlib import Path
from typing import Annotated

import typer

from salur.common.auth import local_issuer
from salur.local.acls import commands
from salur.local.cli.output import print_answer
from salur.local.kafka import create_topics, run_blocking
from salur.local.keys import secret_file
from salur.local.platform import DEFAULT_BANKS, declared_topics

MASTER_KEY_SIZE = 32


def keys(
    master_key: Annotated[Path | None, typer.Option(help="File of a service's master key.")] = None,
    issuer: Annotated[Path | None, typer.Option(help="Folder of a local token issuer; keep it secret.")] = None,
    jwks: Annotated[Path | None, typer.Option(help="File for a copy of the issuer's public keys.")] = None,
) -> None:
    """Make the keys that are missing; existing ones stay as they are."""
    if master_key is not None:
        secret_file(master_key, MASTER_KEY_SIZE)
    if issuer is not None:
        public = local_issuer(issuer)
        if jwks is not None:
            jwks.parent.mkdir(parents=True, exist_ok=True)
            jwks.write_bytes(public.read_bytes())
    elif jwks is not None:
        raise typer.BadParameter("--jwks needs --issuer: it is a copy of that issuer's public keys")


def topics(
    bootstrap: Annotated[str | None, typer.Option(help="Kafka, host:port; without it: only show the topics.")] = None,
    bank: Annotated[list[str] | None, typer.Option(help="Code of a partner bank; may be given more than once.")] = None,
) -> None:
    """Make the topics that are missing (with `--bootstrap`) and print all of them."""
    declared = declared_topics(bank or DEFAULT_BANKS)
    if bootstrap is not None:
        run_blocking(create_topics(bootstrap, declared))
    rows = [
        {"name": t.name, "writer": t.writer, "partitions": t.partitions, "restricted": t.restricted,
         "retention_ms": t.retention_ms}
        for t in declared
    ]  # fmt: skip
    print_answer(rows)


def acls(
    bootstrap: Annotated[str, typer.Option(help="Kafka with an authorizer, host:port.")],
    config: Annotated[str, typer.Option(help="Client properties of a principal that may alter ACLs.")],
    bank: Annotated[list[str] | None, typer.Option(help="Code of a partner bank; may be given more than once.")] = None,
) -> None:
    """Print the commands of Kafka's own tool that let each principal touch its topics and no others."""
    for line in commands(bank or DEFAULT_BANKS, bootstrap, config):
        typer.echo(line)
