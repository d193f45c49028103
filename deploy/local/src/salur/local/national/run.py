"""The whole of registry and eligibility on a generated population, stage by stage, and what it promised."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from salur.local.client import CallFailed, Client
from salur.local.demo.calls import Patient
from salur.local.demo.pipeline import Pipeline, Watch
from salur.local.demo.report import Promise
from salur.local.national import steps
from salur.local.platform import Options, Platform, running
from salur.local.population import write_population
from salur.local.population.files import MAPPING, POPULATION
from salur.local.population.registered import measure_registered
from salur.local.replay import replay_all

SERVICES = ("registry", "eligibility")
"""Nothing is paid here: `make demo` does that."""
PROGRAMMES = Path("services/eligibility/programmes")
MODEL = Path("services/eligibility/scoring/pmt.yaml")
EMERGENCY = "bencana"
LEAST_SHARE = 0.9
"""Precision and recall of finding planted duplicates."""
EMERGENCY_S = 60.0
EMERGENCY_FAMILIES = 100_000
"""So many families are helped within EMERGENCY_S of the approval."""
LARGE = 20_000
"""Families from which on rates are promised: a small run is mostly starting."""
SIMULATED_LEAST = 100_000
"""So many for a simulation: fewer take less time than its processes need to start."""
SIMULATED_PER_SECOND = 1_000_000 / 120
SIMULATION_PROCESSES = 2
IMPORTED_PER_SECOND = 5_000
ENVIRONMENT = {
    "registry": {"SALUR_MATCHING_WAITS": "false"},
    "eligibility": {"SALUR_SIMULATION_PROCESSES": str(SIMULATION_PROCESSES)},
}
"""The run waits for matching, which would leave a busy machine to others."""
TIMEOUT_S = 7_200.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run."""

    families: int
    seed: int
    state_dir: Path
    cache_dir: Path


@dataclass
class Findings:
    """What a run found; `report` is written as it stands."""

    report: dict[str, Any] = field(default_factory=dict)
    promises: list[Promise] = field(default_factory=list)

    @property
    def kept(self) -> bool:
        return all(promise.kept for promise in self.promises)

    def promise(self, text: str, kept: bool, seen: object) -> None:
        """Keep whether a promise held."""
        self.promises.append(Promise(text, kept, str(seen)))


def national(plan: Plan, watch: Watch) -> Findings:
    """Run on a fresh platform, check, write `report.json`. Raises what a stage raises when it cannot go on."""
    found = Findings()
    people = plan.state_dir / "population"
    watch("population", 0, None)
    written = write_population(people, plan.families, plan.seed)
    found.report |= {"families": written.families, "persons": written.persons, "seed": plan.seed}
    platform = Platform(plan.state_dir / "platform", plan.cache_dir, Options(services=SERVICES, env=ENVIRONMENT))
    platform.fresh()
    with running(platform):
        _run(platform, plan, people, watch, found)
    found.report["promises"] = [{"promise": item.text, "kept": item.kept, "seen": item.seen} for item in found.promises]
    (plan.state_dir / "report.json").write_bytes(orjson.dumps(found.report, option=orjson.OPT_INDENT_2))
    return found


def _run(platform: Platform, plan: Plan, people: Path, watch: Watch, found: Findings) -> None:
    pipeline = Pipeline(platform, watch=watch, timeout_s=TIMEOUT_S)
    nation = steps.Nation(
        pipeline, Patient(platform.tend, TIMEOUT_S),
        citizen_desk=Client(platform.state_dir, "person:desk", ["registrar", "case-officer"], timeout_s=TIMEOUT_S),
        reader=Client(platform.state_dir, "person:reader", ["auditor", "programme-officer"], timeout_s=TIMEOUT_S),
        watch=watch,
    )  # fmt: skip
    try:
        _intake(nation, plan, people, found)
        _cycle(nation, found)
        _questions(nation, plan, found)
        _emergency(nation, plan, found)
        _appeal(nation, found)
        _replay(nation, found)
    finally:
        found.report["stages"] = {name: taken.shown() for name, taken in nation.stages.items()}
        nation.close()


def _intake(nation: steps.Nation, plan: Plan, people: Path, found: Findings) -> None:
    with nation.stage("import") as stage, nation.others_paused():
        status = nation.pipeline.register(people / POPULATION, people / MAPPING)
        stage.count = status["households"]
    rate = round(stage.count / stage.seconds)
    found.report |= {"registered": stage.count, "import_families_per_second": rate}
    if plan.families >= LARGE:
        found.report["import_promise_per_second"] = IMPORTED_PER_SECOND
    cut = nation.pipeline.cut("intake")
    nation.cut_id, nation.households = cut["cut_id"], cut["households"]
    found.promise("every family imported stands before the cut", cut["households"] == stage.count, cut["households"])
    with nation.stage("arrive"):
        nation.arrived()
    with nation.stage("duplicates") as stage:
        stage.count = nation.matched()
    matched = measure_registered(nation.pipeline.registrar, people)
    found.report |= {
        "matching_families_per_second": round(nation.households / stage.seconds), "duplicates_open": matched.shown,
        "dedup_precision": round(matched.precision, 4), "dedup_recall": round(matched.recall, 4),
    }  # fmt: skip
    found.promise(
        f"the registry finds planted duplicates, precision and recall at least {LEAST_SHARE}",
        min(matched.precision, matched.recall) >= LEAST_SHARE, f"{matched.precision:.4f}, {matched.recall:.4f}",
    )  # fmt: skip
    with nation.stage("coverage before"):
        found.report["coverage_before"] = nation.coverage()


def _cycle(nation: steps.Nation, found: Findings) -> None:
    with nation.stage("publish") as stage:
        nation.publish_model(MODEL)
        names = [nation.publish(path) for path in sorted(PROGRAMMES.glob("*.yaml"))]
        stage.count = len(names)
    found.report["programmes"] = len(names)
    found.promise("the ten programmes of the catalogue are in force", len(names) == 10, len(names))
    nation.programmes = [name for name in names if name != EMERGENCY]
    with nation.stage("decide") as stage:
        nation.decided()
        stage.count = nation.households * len(nation.programmes)
    with nation.stage("entitle") as stage:
        cycles = nation.cycles()
        stage.count = sum(cycle["entitlements"] for cycle in cycles.values())
    found.report["cycles"] = {name: steps.shown(cycle) for name, cycle in cycles.items()}
    whole = all(cycle["state"] == "granted" and cycle["decided"] == nation.households for cycle in cycles.values())
    found.promise("every programme decided every family and granted its cycle", whole, stage.count)
    waiting = cycles["pena"]["places"].get("waiting", 0)
    found.promise("where places are few the others stand on a waiting list", waiting > 0, waiting)
    with nation.stage("coverage after"):
        found.report["coverage"] = nation.coverage()
    reached = found.report["coverage"]["all"]["families"]["reached"]
    before = found.report["coverage_before"]["all"]["families"]["reached"]
    found.promise("coverage is told before and after the cycle", before == 0 < reached, f"{before}, {reached}")


def _questions(nation: steps.Nation, plan: Plan, found: Findings) -> None:
    with nation.stage("simulate") as stage:
        result = nation.simulate(PROGRAMMES / "pkh.yaml", ("when: decile <= 4", "when: decile <= 3"))
        stage.count = result["families"]
    rate = result["families_per_second"]
    lost = result["lose"].get("all", {}).get("families", 0)
    found.report |= {
        "simulation_families_per_second": rate,
        "simulation": {
            "families": result["families"], "families_lose": lost, "families_gain": 0 if not result["gain"] else 1,
            "current_minor": result["current"]["amount_minor"], "proposed_minor": result["proposed"]["amount_minor"],
            "funds_minor": result["proposed"]["funds_minor"],
        },
    }  # fmt: skip
    same = result["current"]["amount_minor"] == found.report["cycles"]["pkh"]["amount_minor"]
    found.promise(
        "a simulation of what is in force costs what the cycle costs", same, result["current"]["amount_minor"]
    )
    found.promise("stricter rules are told to lose families and gain none", lost > 0 and not result["gain"], lost)
    if plan.families >= SIMULATED_LEAST:
        judged = round(result["families"] / nation.stages["simulate"].judged_s(result["seconds"], SIMULATION_PROCESSES))
        found.promise(
            "a simulation takes 1,000,000 families in 2 minutes on a quiet machine", judged >= SIMULATED_PER_SECOND,
            f"{judged}/s judged, {rate}/s by the clock",
        )  # fmt: skip


def _emergency(nation: steps.Nation, plan: Plan, found: Findings) -> None:
    with nation.stage("emergency") as stage:
        helped, seconds = nation.emergency(EMERGENCY)
        stage.count = helped["entitlements"]
    found.report |= {"emergency_seconds": round(seconds, 2), "emergency_families": helped["entitlements"]}
    found.promise(
        "whoever lives in the declared regions is helped", helped["entitlements"] == helped["decided"] > 0,
        helped["entitlements"],
    )  # fmt: skip
    allowed = EMERGENCY_S
    if plan.families >= LARGE:
        allowed = EMERGENCY_S * max(helped["entitlements"], 1) / EMERGENCY_FAMILIES
    judged = nation.stages["emergency"].judged_s(seconds, 1)
    found.promise(
        "after a disaster 100,000 families have their entitlements within a minute of the approval, on a quiet machine",
        judged <= allowed, f"{helped['entitlements']} in {judged:.1f} s judged, {seconds:.1f} s by the clock",
    )  # fmt: skip


def _appeal(nation: steps.Nation, found: Findings) -> None:
    with nation.stage("appeal") as stage:
        answer, cycle, told = nation.appeal("sembako")
        stage.count = 1
    expected = found.report["cycles"]["sembako"]["amount_minor"] // found.report["cycles"]["sembako"]["entitlements"]
    found.report |= {"appeal_backpay_minor": answer["back_pay_minor"], "appeals": told}
    found.promise(
        "an upheld appeal pays back what the right decision would have paid",
        answer["back_pay_minor"] == expected == cycle["amount_minor"], answer["back_pay_minor"],
    )  # fmt: skip


def _replay(nation: steps.Nation, found: Findings) -> None:
    with nation.stage("replay") as stage:
        replayed = replay_all(nation.reader)
        stage.count = replayed["replayed"]
    granted: Mapping[str, Any] = found.report["cycles"]
    entitlements = sum(cycle["entitlements"] for cycle in granted.values()) + found.report["emergency_families"] + 1
    found.report |= {
        "decisions": replayed["replayed"], "entitlements": entitlements,
        "replay_agreement": replayed["agreement"],
    }  # fmt: skip
    found.promise("every decision made again comes out the same", replayed["agreement"] == 1.0, replayed["agreement"])


__all__ = ["CallFailed", "Findings", "Plan", "national"]
