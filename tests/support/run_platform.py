"""Run PostgreSQL and Kafka as `salur up` does, without services: `python run_platform.py STATE_DIR CACHE_DIR`.

Prints one JSON line when ready, tends the children until a signal comes. `SALUR_TEST_NO_REGISTRY` makes any use of the
jar resolver fail.
"""

import json
import os
import sys
import time
from pathlib import Path

if os.environ.get("SALUR_TEST_NO_REGISTRY"):
    sys.modules["jgo"] = None  # type: ignore[assignment] # importing it raises ImportError

from salur.local.platform import Options, Platform, running


def main() -> None:
    platform = Platform(Path(sys.argv[1]), Path(sys.argv[2]), Options(services=(), banks=()))
    try:
        with running(platform):
            ready = {
                "url": platform.postgres.url(),
                "kafka": platform.kafka.bootstrap,
                "pids": platform.supervisor.pids(),
                "euid": os.geteuid(),
            }
            print(json.dumps(ready), flush=True)
            while True:
                platform.tend()
                time.sleep(0.05)
    except KeyboardInterrupt:
        print("stopped", flush=True)


if __name__ == "__main__":
    main()
