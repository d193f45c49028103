"""`python -m salur.local.settle --payments N --seed S`"""

from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console

from salur.common.logs import configure_logs
from salur.common.regions import regions
from salur.local.bench.families import Kind, write_families
from salur.local.cli.up import CACHE
from salur.local.demo.report import stages_on
from salur.local.demo.run import PAYMENTS_ENV, Inputs, new_platform
from salur.local.platform import Options, running
from salur.local.settle.promises import broken, report_of
from salur.local.settle.run import BANKS, FILE_BANK, KAFKA_BANKS, PROFILES, Settlement

STATE = Path("var/settle")
BENCH = Path(__file__).parents[1] / "bench"
PAID_DECILES = 4
"""Families of these deciles are paid by the benchmark's programme: all of them."""


def main(
    payments: Annotated[int, typer.Option(min=200, help="How many families are owed money.")] = 100_000,
    seed: Annotated[int, typer.Option(help="Makes the families and chooses how banks behave.")] = 1,
    state_dir: Annotated[Path, typer.Option(help="Folder of the run; an earlier run's is emptied.")] = STATE,
    cache_dir: Annotated[Path, typer.Option(help="Where Kafka's jars are kept.")] = CACHE,
) -> None:
    """Pay a cycle to its very end with a bank of files, a slow and a lying one; exit 1 when a promise is broken."""
    console = Console()
    configure_logs("settle", level="WARNING")
    kind = Kind(seed, PAID_DECILES, regions().districts(), BANKS)
    state_dir.mkdir(parents=True, exist_ok=True)
    data = state_dir / "families.csv"
    write_families(data, payments, kind)
    inputs = Inputs(
        data, BENCH / "mapping.yaml", BENCH / "programme.yaml", state_dir / "platform", cache_dir, rules_first=True
    )
    # A bank has as long for an answer as this machine takes to hand it on; the lagging one takes longer still.
    answer_s = max(3, payments // 4_000)
    env = {
        "SALUR_ANSWER_TIMEOUT_S": str(answer_s), "SALUR_CHECKED_BANKS": ",".join(KAFKA_BANKS),
        "SALUR_REISSUE_INTERVAL_S": "2",
    }  # fmt: skip
    options = Options(
        BANKS, ("registry", "eligibility", "payments"), seed=seed, bank_profiles=PROFILES, file_banks=(FILE_BANK,),
        statement_banks=KAFKA_BANKS, bank_arguments={bank: ("--lag-s", str(2 * answer_s + 2)) for bank in BANKS},
        env={"payments": PAYMENTS_ENV | env},
    )  # fmt: skip
    with running(new_platform(inputs, options)) as platform:
        run = Settlement(platform, stages_on(console))
        region = sorted(kind.districts)[0].split(".")[0]
        cycle = run.prepare(data, inputs.mapping, inputs.programme)
        run.pay(cycle, region)
        run.reissue(cycle["programme_id"])
        run.follow_up()
        never_paid = run.reconcile()
        report = report_of(run, never_paid, run.end()) | run.iso() | {
            "seed": seed, "transfers_per_second": run.transfers_per_second(), "seconds_per_stage": run.seconds,
        }  # fmt: skip
    (state_dir / "report.json").write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))
    console.print_json(orjson.dumps(report).decode())
    for sentence in broken(report):
        console.print(f"broken: {sentence}", style="red")
    if broken(report):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
