"""What each safety costs: the same small bench with one of them off, or its share where nothing turns it off.

Only PostgreSQL's own waiting for the disk is ever turned off, in a cluster made for this run. Services have no switch:
what marks, seals and approvals cost is their share of PostgreSQL's time, the check of a token is measured alone.

    python -m salur.local.bench.safeties --households 4000
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import orjson
import psycopg
import typer
from rich.console import Console
from rich.table import Table

from salur.common.auth import Verifier, local_issuer, mint
from salur.common.regions import regions
from salur.local.bench.families import Kind, write_families
from salur.local.bench.run import HERE, PROFILE, check_promises
from salur.local.bench.usage import cpu_seconds, spent
from salur.local.cli.up import CACHE
from salur.local.demo.run import Inputs, new_platform, run
from salur.local.platform import DEFAULT_BANKS, Options, running

STATE = Path("var/bench-safeties")
STATEMENTS = {"shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.max": "5000"}
RUNS: Mapping[str, Mapping[str, str]] = {
    "everything on": {},
    "commits do not wait for the disk": {"synchronous_commit": "off"},
    "nothing waits for the disk": {"synchronous_commit": "off", "fsync": "off", "full_page_writes": "off"},
}
SHARES = {
    "marks of consumers": r"\ymark\y",
    "seals and their check": r"\y(service_)?seal(ed|s)?\y|sha256\(",
    "approvals and their hashes": r"approv",
    "rights at the door": r"principal|standing_of|\yright",
}
"""Statements by what stands in their text: each share is of all statements, and one may count in two."""
TOKENS = 2_000


def main(
    households: Annotated[int, typer.Option(min=100, help="How many families in each run.")] = 4_000,
    state_dir: Annotated[Path, typer.Option(help="Folder of the runs; earlier ones are emptied.")] = STATE,
    cache_dir: Annotated[Path, typer.Option(help="Where Kafka's jars are kept.")] = CACHE,
) -> None:
    """Run the bench with each safety off in turn and say what it cost."""
    console = Console()
    state_dir.mkdir(parents=True, exist_ok=True)
    kind = Kind(1, 10, regions().districts(), DEFAULT_BANKS)
    data = state_dir / "families.csv"
    write_families(data, households, kind)
    inputs = Inputs(
        data, HERE / "mapping.yaml", HERE / "programme.yaml", state_dir / "platform", cache_dir, rules_first=True
    )
    report: dict[str, Any] = {"households": households, "runs": {}, "token_us": token_us(state_dir / "issuer")}
    for name, settings in RUNS.items():
        console.print(f"[dim]{name}[/]")
        report["runs"][name] = one_run(inputs, kind, {**STATEMENTS, **settings})
    (state_dir / "report.json").write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))
    show(console, report)


def one_run(inputs: Inputs, kind: Kind, settings: Mapping[str, str]) -> dict[str, Any]:
    """Households a second, CPU seconds per 1,000, and shares of PostgreSQL's time (0 to 1). Raises PromiseBroken."""
    options = Options(kind.banks, seed=kind.seed, bank_profile=PROFILE, measured=settings)
    with (
        running(new_platform(inputs, options)) as platform,
        psycopg.connect(platform.postgres.url(), autocommit=True) as conn,
    ):
        conn.execute("CREATE EXTENSION pg_stat_statements")
        before = cpu_seconds(platform)
        result = run(platform, inputs, lambda *_: None)
        used = spent(before, cpu_seconds(platform))
        check_promises(result)
        share = {name: _share(conn, pattern) for name, pattern in SHARES.items()}
    households, seconds = result.report["registered"], result.report["seconds_pipeline"]
    return {
        "households_per_second": round(households / seconds, 1),
        "cpu_seconds_per_1000": round(sum(used.values()) * 1000 / households, 3),
        "approve_seconds": round(sum(s.seconds for s in result.stages if s.name in ("submit", "approve")), 3),
        "share_of_postgres": share,
    }


def _share(conn: "psycopg.Connection[Any]", pattern: str) -> float:
    row = conn.execute(
        "SELECT coalesce(sum(total_exec_time) FILTER (WHERE query ~* %s) / nullif(sum(total_exec_time), 0), 0) "
        "FROM pg_stat_statements",
        (pattern,),
    ).fetchone()
    return round(float(row[0]), 4) if row else 0.0


def token_us(folder: Path) -> float:
    """Microseconds to check one token nobody has shown before."""
    verifier = Verifier(local_issuer(folder))
    tokens = [mint(folder, f"person:{number}", ["auditor"]) for number in range(TOKENS)]
    began = time.perf_counter()
    for token in tokens:
        verifier.verify(token, "bench")
    return round((time.perf_counter() - began) / TOKENS * 1e6, 1)


def show(console: Console, report: Mapping[str, Any]) -> None:
    """Print the figures a person reads."""
    table = Table("run", "households a second", "CPU seconds per 1,000")
    for name, found in report["runs"].items():
        table.add_row(name, f"{found['households_per_second']:,.0f}", f"{found['cpu_seconds_per_1000']:.2f}")
    console.print(table)
    whole = report["runs"]["everything on"]
    for name, share in whole["share_of_postgres"].items():
        console.print(f"{name}: {share:.1%} of PostgreSQL's time")
    console.print(f"submit and approve: {whole['approve_seconds']:.2f} s; a new token: {report['token_us']:.0f} µs")


if __name__ == "__main__":
    typer.run(main)
