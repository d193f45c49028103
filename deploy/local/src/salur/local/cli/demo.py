"""`salur demo`: the whole main job on real households, with every promise checked."""

import signal
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from salur.local.cli.output import AsJson
from salur.local.cli.up import CACHE
from salur.local.demo.report import show
from salur.local.demo.run import Inputs, Result, keep_running, new_platform, run

DATA = Path("examples/progresa/households-1998.csv")
MAPPING = Path("examples/progresa/mapping.yaml")
PROGRAMME = Path("examples/progresa/programme.yaml")
STATE = Path("var/demo")


def demo(
    data: Annotated[
        Path, typer.Option(envvar="DATA", exists=True, dir_okay=False, help="CSV with the same columns.")
    ] = DATA,
    mapping: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="Which column is which field.")] = MAPPING,
    programme: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="The rules, YAML.")] = PROGRAMME,
    state_dir: Annotated[Path, typer.Option(help="Folder of the run; an earlier run's is emptied.")] = STATE,
    cache_dir: Annotated[Path, typer.Option(help="Where Kafka's jars are kept.")] = CACHE,
    keep: Annotated[bool, typer.Option("--keep", envvar="KEEP", help="Leave it running afterwards.")] = False,
    as_json: AsJson = False,
) -> None:
    """Register, decide, entitle, approve, pay and prove on a fresh platform. Exit code 1 when a promise is broken."""
    console = Console(stderr=True)
    signal.signal(signal.SIGTERM, _interrupt)
    inputs = Inputs(data, mapping, programme, state_dir, cache_dir)
    try:
        result = _run(inputs, console, keep=keep, as_json=as_json)
    except (RuntimeError, OSError) as error:  # ours are sentences that say who must act
        console.print(str(error), style="red", markup=False, highlight=False)
        console.print(f"logs: {state_dir}/logs")
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        console.print("stopped")
        raise typer.Exit(130) from None
    if not result.kept:
        raise typer.Exit(1)


def _interrupt(_number: int, _frame: Any) -> None:
    raise KeyboardInterrupt


def _run(inputs: Inputs, console: Console, *, keep: bool, as_json: bool) -> Result:
    platform = new_platform(inputs)
    try:
        with _progress(console) as progress:
            task = progress.add_task("starting PostgreSQL, Kafka, services and banks", total=None)
            platform.start()

            def watch(stage: str, done: int, total: int | None) -> None:
                progress.update(task, description=stage, completed=done, total=total)

            result = run(platform, inputs, watch)
        if as_json:
            typer.echo(orjson.dumps(result.report).decode())
        show(console if as_json else Console(), result.report, result.stages, result.promises)
        console.print(f"report: {inputs.state_dir}/report.json · log: {platform.audit_log_dir}")
        if keep:
            keep_running(platform, console)
    finally:
        platform.stop()
    return result


def _progress(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=console, transient=True,
    )  # fmt: skip
