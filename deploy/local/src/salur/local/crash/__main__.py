"""`python -m salur.local.crash --seeds "1 2 3"`: run each seed, judge it, write `report.json`, exit 1 on any break."""

import argparse
import shutil
import sys
import time
from pathlib import Path

from salur.local.crash.report import summary, write_report
from salur.local.crash.run import Inputs, Judged, Scale, run_seed

EXAMPLE = Path("examples/progresa")
ROOT = Path("var/crash")
CACHE = Path("var/cache/kafka")
FULL = Scale()


def _seeds(text: str) -> list[int]:
    parts = text.replace(",", " ").split()
    if not parts or not all(part.isascii() and part.isdecimal() for part in parts):
        raise argparse.ArgumentTypeError('give whole numbers, at least one, for example "1 2 3"')
    return [int(part) for part in parts]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m salur.local.crash",
        description="Kill and pause every process at random moments of a run; check every promise.",
    )
    parser.add_argument("--seeds", required=True, type=_seeds, help='for example "1 2 3"; each is a run of its own')
    parser.add_argument("--households", type=int, default=FULL.households)
    parser.add_argument("--away-s", type=float, default=FULL.away_s, help="how long Kafka is away")
    parser.add_argument("--data", type=Path, default=EXAMPLE / "households-1998.csv")
    parser.add_argument("--root", type=Path, default=ROOT, help="where runs and report go")
    parser.add_argument("--cache-dir", type=Path, default=CACHE, help="where Kafka's jars are kept")
    parser.add_argument("--keep", action="store_true", help="keep the folders of passed runs too")
    return parser.parse_args()


def main() -> int:
    """Run every seed; 0 when all passed."""
    options = _arguments()
    inputs = Inputs(options.data, EXAMPLE / "mapping.yaml", EXAMPLE / "programme.yaml", options.cache_dir, options.root)
    scale = Scale(
        households=options.households, waves=max(10, min(30, options.households // 100)), away_s=options.away_s
    )
    began = time.monotonic()
    runs: list[Judged] = []
    try:
        for seed in options.seeds:
            judged = run_seed(seed, scale, inputs, _say)
            runs.append(judged)
            _tell(judged, options.root)
            write_report(options.root, runs, scale)
            if judged.passed and not options.keep:
                _forget(options.root / f"seed-{seed}")
    except KeyboardInterrupt:
        _say("stopped")
        return 130
    _say(summary(runs, time.monotonic() - began, options.root))
    return 0 if len(runs) == len(options.seeds) and all(run.passed for run in runs) else 1


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _tell(judged: Judged, root: Path) -> None:
    for finding in judged.findings:
        mark = "kept  " if finding.kept else "BROKEN"
        _say(f"seed {judged.seed}  {mark} {finding.promise} ({finding.checked} checked, {finding.breaks} broken)")
        for problem in finding.problems:
            _say(f"seed {judged.seed}         {problem}")
    if not judged.passed:
        _say(f'seed {judged.seed}  FAILED; kept {root}/seed-{judged.seed}; again: make crash SEEDS="{judged.seed}"')


def _forget(folder: Path) -> None:
    """A passed run leaves its report alone."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.with_name(f"{folder.name}.lock").unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
