"""One benchmark run on a fresh platform: the pipeline, the latency of single requests, the machine's limits."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from salur.audit.log.tiles import TileReader
from salur.local.bench.families import Kind, write_families
from salur.local.bench.latency import measure_latency
from salur.local.bench.limits import measure_limits
from salur.local.bench.usage import cpu_seconds, spent
from salur.local.demo.pipeline import Watch
from salur.local.demo.run import Inputs, Result, new_platform, run
from salur.local.platform import Options, Platform, running

HERE = Path(__file__).parent
PROFILE = "prompt"
"""Banks that answer at once: how long a bank thinks is not what is measured. They refuse, return and repeat."""
LIMIT_BODIES = 40_000
"""Events whose bytes are given to the bare engines."""


class PromiseBroken(RuntimeError):
    """No figure is told of a run that broke a promise."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure."""

    households: int
    kind: Kind
    state_dir: Path
    cache_dir: Path


def bench(plan: Plan, watch: Watch) -> dict[str, Any]:
    """Run, check, measure; writes `report.json` in the state folder. Raises PromiseBroken."""
    plan.state_dir.mkdir(parents=True, exist_ok=True)
    data = plan.state_dir / "families.csv"
    rows = write_families(data, plan.households, plan.kind)
    inputs = Inputs(
        data,
        HERE / "mapping.yaml",
        HERE / "programme.yaml",
        plan.state_dir / "platform",
        plan.cache_dir,
        rules_first=True,
    )
    with running(new_platform(inputs, Options(plan.kind.banks, seed=plan.kind.seed, bank_profile=PROFILE))) as platform:
        before = cpu_seconds(platform)
        result = run(platform, inputs, watch)
        used = spent(before, cpu_seconds(platform))
        check_promises(result)
        watch("latency", 0, None)
        latency = measure_latency(platform, plan.kind)
        watch("limits", 0, None)
        limits = measure_limits(platform, _bodies(platform))
    report = _report(result, used, latency, limits) | {
        "seed": plan.kind.seed,
        "deciles": plan.kind.deciles,
        "rows": rows,
    }
    (plan.state_dir / "report.json").write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))
    return report


def check_promises(result: Result) -> None:
    """Raises PromiseBroken with every promise the run broke."""
    broken = [f"{promise.text}: {promise.seen}" for promise in result.promises if not promise.kept]
    if broken:
        raise PromiseBroken("no figures, a promise is broken: " + "; ".join(broken))


def _bodies(platform: Platform) -> list[bytes]:
    folder = platform.audit_log_dir
    size = int((folder / "checkpoint").read_text(encoding="utf-8").splitlines()[1])
    reader = TileReader(folder, size)
    return list(reader.leaves(0, min(size, LIMIT_BODIES)))


def _report(
    result: Result, used: dict[str, float], latency: dict[str, float], limits: dict[str, float]
) -> dict[str, Any]:
    report = result.report
    households, seconds, events = report["registered"], report["seconds_pipeline"], report["events"]
    events_per_second = events / seconds
    return {
        "households": households,
        "enrolled": report["enrolled"],
        "households_per_second": round(households / seconds, 1),
        "seconds_pipeline": seconds,
        "events": events,
        "events_per_second": round(events_per_second, 1),
        "stages": [
            {
                "name": stage.name,
                "count": stage.count,
                "seconds": round(stage.seconds, 3),
                "per_second": round(stage.count / stage.seconds, 1) if stage.seconds else None,
            }
            for stage in result.stages
        ],
        "cpu_seconds_per_1000": {name: round(value * 1000 / households, 3) for name, value in used.items()}
        | {"total": round(sum(used.values()) * 1000 / households, 3)},
        "latency_ms": latency,
        "limits": {name: round(value, 1) for name, value in limits.items()},
        "fraction_of_limit": {name: round(events_per_second / value, 4) for name, value in limits.items()},
        "promises": report["promises"],
    }
