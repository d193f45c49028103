"""Tools of others that read the log: Tessera's fsck and Go's sumdb packages, built from the Go module proxy.

They need a Go toolchain; where none is found the checks are not made and say so.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FSCK = "github.com/transparency-dev/tessera/cmd/fsck@v1.0.4"
SUMDB = Path(__file__).parent / "sumdb"
BUILD_TIMEOUT_S = 900
CHECK_TIMEOUT_S = 600


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a tool said."""

    ok: bool
    output: str


@dataclass(frozen=True, slots=True)
class Tools:
    """The built programs."""

    fsck: Path
    sumdb: Path

    def run_fsck(self, log: Path) -> Outcome:
        """Tessera's fsck over the files. It exits 0 whatever it finds, so only its line of success counts; with one
        worker it hangs on a damaged log."""
        key = log.parent / f"{log.name}.fsck-key"
        key.write_text((log / "log.pub").read_text(encoding="utf-8").splitlines()[0], encoding="utf-8")
        command = [
            str(self.fsck), f"--storage_url=file://{log.resolve()}/", f"--public_key={key}", "--N=4", "--ui=false",
            "--logtostderr",
        ]  # fmt: skip
        outcome = _run(command)
        size = (log / "checkpoint").read_text(encoding="utf-8").split("\n")[1]
        done = re.search(rf"Successfully fsck'd log with size {re.escape(size)}\b", outcome.output)
        return Outcome(bool(done) and "fsck failed" not in outcome.output, outcome.output)

    def run_sumdb(self, log: Path, heads: Sequence[Path] = (), step: int = 1) -> Outcome:
        """Go's note and tlog packages over the files; `heads` are older checkpoints the tree must extend."""
        command = [str(self.sumdb), "-dir", str(log), "-key", str(log / "log.pub"), "-step", str(step)]
        outcome = _run([*command, *map(str, heads)])
        return Outcome(outcome.ok and outcome.output.startswith("OK:"), outcome.output)


def build(folder: Path) -> Tools | None:
    """Build both tools once into `folder`; None without Go. Raises RuntimeError when the build fails."""
    go = shutil.which("go") or ("/usr/local/go/bin/go" if Path("/usr/local/go/bin/go").exists() else None)
    if go is None:
        return None
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    tools = Tools(folder / "fsck", folder / "sumdbcheck")
    if not tools.fsck.exists():
        _build([go, "install", FSCK], {"GOBIN": str(folder)}, folder)
    source = folder / "sumdb-source"
    if not tools.sumdb.exists() or (source / "main.go").read_bytes() != (SUMDB / "main.go").read_bytes():
        shutil.rmtree(source, ignore_errors=True)
        shutil.copytree(SUMDB, source)
        _build([go, "build", "-o", str(tools.sumdb), "."], {}, source)
    return tools


def _build(command: list[str], env: dict[str, str], where: Path) -> None:
    done = subprocess.run(  # noqa: S603 - our own command
        command, cwd=where, env=os.environ | env, capture_output=True, text=True, timeout=BUILD_TIMEOUT_S, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:3])} failed: {done.stderr[-500:]}")


def _run(command: list[str]) -> Outcome:
    try:
        done = subprocess.run(  # noqa: S603 - our own command
            command, capture_output=True, text=True, timeout=CHECK_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return Outcome(False, f"no answer within {CHECK_TIMEOUT_S} s")
    return Outcome(done.returncode == 0, done.stdout + done.stderr)
