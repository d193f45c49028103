"""`salur bank-check`: does a bank's consumer keep the rules of docs/partners?"""

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import orjson
import typer
from aiokafka.errors import KafkaError
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from rich.console import Console

from salur.local.bank_check.cases import OFFERS
from salur.local.bank_check.kit import ClusterInUse, Verdict, bank_process, check, own_cluster
from salur.local.bank_check.letters import Account
from salur.local.cli.output import AsJson
from salur.local.cli.up import CACHE
from salur.local.supervisor import ProcessDied
from salur.payments.banks.signing import NO_SIGNATURES, BankKey, Signatures

STATE = Path("var/bank-check")
SIGNED_WITHIN_S = 7 * 24 * 3600.0


def bank_check(
    command: Annotated[
        list[str] | None,
        typer.Argument(help="How to start your bank, after `--`; {bootstrap} stands for Kafka's address."),
    ] = None,
    bank: Annotated[str, typer.Option(help="The bank's code.")] = "bank-check",
    bootstrap: Annotated[
        str, typer.Option(help="An empty test cluster; without it Kafka is started for the check.")
    ] = "",
    account: Annotated[str, typer.Option(help="Account number your test bank credits.")] = "9900000000000001",
    holder: Annotated[str, typer.Option(help="Holder of that account.")] = "Conformance Check",
    public_key: Annotated[
        str, typer.Option(help="The public key of a bank that signs (64 hex digits): every answer must be signed.")
    ] = "",
    key_id: Annotated[str, typer.Option(help="The id of that key in the signature header.")] = "k1",
    offers: Annotated[
        list[str] | None, typer.Option(help=f"What your bank does beyond accounts, once each: {', '.join(OFFERS)}.")
    ] = None,
    timeout_s: Annotated[float, typer.Option(min=1, help="How long an answer is waited for.")] = 20.0,
    state_dir: Annotated[Path, typer.Option(help="Folder of the check; an earlier one's is emptied.")] = STATE,
    cache_dir: Annotated[Path, typer.Option(help="Where Kafka's jars are kept.")] = CACHE,
    as_json: AsJson = False,
) -> None:
    """Send a bank every case of the contract and say which rules it keeps. Fails when one is broken."""
    if not command and not bootstrap:
        raise typer.BadParameter("give your bank's command after `--`, or --bootstrap of a cluster it listens to")
    if unknown := set(offers or ()) - set(OFFERS):
        raise typer.BadParameter(f"--offers knows {', '.join(OFFERS)}, not {', '.join(sorted(unknown))}")
    signatures = _signatures(bank, key_id, public_key)
    console = Console(stderr=True)

    def show(verdict: Verdict) -> None:
        if not as_json:
            _show(console, verdict)

    def run(address: str) -> list[Verdict]:
        process = bank_process(command, address, state_dir, os.environ) if command else None
        try:
            return asyncio.run(
                check(
                    address, bank, Account(account, holder), process, timeout_s, show, signatures,
                    frozenset(offers or ()),
                )
            )  # fmt: skip
        finally:
            if process is not None and process.process is not None:
                process.stop()

    try:
        if bootstrap:
            verdicts = run(bootstrap)
        else:
            with own_cluster(state_dir, cache_dir) as address:
                verdicts = run(address)
    except (ClusterInUse, ProcessDied, KafkaError, OSError, RuntimeError) as error:
        typer.secho(str(error), fg="red", err=True)
        raise typer.Exit(2) from None
    failed = [verdict for verdict in verdicts if verdict.passed is False]
    if as_json:
        rows = [{name: getattr(verdict, name) for name in Verdict.__slots__} for verdict in verdicts]
        typer.echo(orjson.dumps({"bank": bank, "passed": not failed, "cases": rows}).decode())
    else:
        kept = sum(1 for verdict in verdicts if verdict.passed)
        console.print(
            f"{kept} of {len(verdicts)} kept" + (f"; the bank's output: {state_dir}/bank.log" if command else "")
        )
    if failed:
        raise typer.Exit(1)


def _signatures(bank: str, key_id: str, public_key: str) -> Signatures:
    if not public_key:
        return NO_SIGNATURES
    try:
        key = bytes.fromhex(public_key)
        Ed25519PublicKey.from_public_bytes(key)
    except ValueError:
        raise typer.BadParameter("--public-key is 32 bytes of Ed25519 as 64 hex digits") from None
    keys = {(bank, key_id): BankKey(key, datetime.min.replace(tzinfo=UTC), None)}
    return Signatures(frozenset({bank}), keys, SIGNED_WITHIN_S)


def _show(console: Console, verdict: Verdict) -> None:
    word = {True: "[green]pass[/]", False: "[bold red]FAIL[/]", None: "[yellow]skip[/]"}[verdict.passed]
    reason = verdict.reason or ("" if verdict.passed is not None else "give the bank's command to try it")
    console.print(f"{word}  {verdict.name:17} {verdict.rule}", highlight=False)
    if reason:
        console.print(f"      {reason}", style="dim", highlight=False, markup=False)
