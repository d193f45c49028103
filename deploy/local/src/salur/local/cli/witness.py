"""`salur witness`: follow an audit log and cosign its heads. `salur log`: the log's own keys."""

from pathlib import Path
from typing import Annotated, Any

import typer

from salur.audit.log.keys import LogKeys, retire, rotate
from salur.audit.settings import AuditSettings
from salur.audit.witness import main
from salur.local.cli.output import AsJson, answer_of, print_json
from salur.local.cli.up import STATE, StateDir

log_app = typer.Typer(help="Keys of the audit log. The audit takes them when it starts next.")

KeyFolder = Annotated[Path, typer.Option(exists=True, file_okay=False, help="SALUR_STATE_DIR of the audit.")]
Origin = Annotated[str, typer.Option(help="The log's name.")]
ORIGIN = AuditSettings.model_fields["log_origin"].default


def witness(
    name: Annotated[str, typer.Option(help="Name of this witness's key, for example bank-a.example/witness.")],
    log: Annotated[list[Path], typer.Option(exists=True, help="log.pub of a log to follow.")],
    state_dir: Annotated[Path, typer.Option(help="Key and last heads; losing it loses the witness's memory.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 = any free one.")] = 7080,
) -> None:
    """Cosign the heads of audit logs that only grow; refuse forks and rollbacks. Runs until SIGTERM."""
    logs = [word for path in log for word in ("--log", str(path))]
    main(["--name", name, *logs, "--state-dir", str(state_dir), "--host", host, "--port", str(port)])


def witnesses(as_json: AsJson = False, state_dir: StateDir = STATE) -> None:
    """Whether the published head has its quorum, and how far each witness has followed; exit code 1 without quorum."""
    who = ("person:auditor", ["auditor"])
    view = answer_of(state_dir, who, "audit", "GET", "/log/witnesses")
    if as_json:
        print_json(view)
    else:
        _tell(view)
    if view["quorum"] is False:
        raise typer.Exit(1)


def _tell(view: dict[str, Any]) -> None:
    for witness in view["witnesses"]:
        said = "cosigned" if witness["cosigned_published"] else "has not cosigned"
        typer.echo(
            f"{witness['name']}: {said} the head of {view['published']} entries, last one {witness['last_size']}"
        )
    typer.echo({True: "quorum", False: "NO QUORUM", None: "no witnesses are asked"}[view["quorum"]])


@log_app.command("rotate-key")
def rotate_key(state_dir: KeyFolder, origin: Origin = ORIGIN) -> None:
    """Make a new key, handed over by the present one; both sign until the old one is retired."""
    _show(rotate(state_dir, origin))


@log_app.command("retire-keys")
def retire_keys(state_dir: KeyFolder, origin: Origin = ORIGIN) -> None:
    """Destroy every private key but the newest, once auditors, banks and witnesses know that one."""
    _show(retire(state_dir, origin))


def _show(keys: LogKeys) -> None:
    for signer in keys.signers:
        typer.echo(f"signs: {signer.verifier}")
    for key in keys.retired:
        typer.echo(f"retired: {key}")
