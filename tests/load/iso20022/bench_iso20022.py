"""`python tests/load/iso20022/bench_iso20022.py`: write and check pain.001; read 100 MB in constant memory.

Prints one JSON object: transactions a second and the memory that reading added.
"""

import argparse
import io
import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import IO

from partner_bank import iso
from salur.payments.banks.iso20022 import CreditTransfer, Initiation, check_pain001, inspect, told, write_pain001

MOMENT = datetime(2026, 3, 1, 8, tzinfo=UTC)


def transfers(count: int) -> list[CreditTransfer]:
    """Transfers that differ in everything a person would differ in."""
    return [
        CreditTransfer(
            f"{number:030x}-001", 30_000_000 + number, "IDR", f"9{number:09d}", f"Siti Nurhaliza {number}", "pkh",
            MOMENT,
        )
        for number in range(count)
    ]  # fmt: skip


def lines(count: int) -> Iterator[iso.Line]:
    for number in range(count):
        yield iso.Line(
            f"{number:030x}-001", "ACCC", None, 30_000_000, "IDR", f"9{number:09d}", f"REF{number:020d}", "2026-03-01"
        )


def write_statement(file: IO[bytes], megabytes: int) -> None:
    """A camt.054 of at least that size, page by page so that making it takes no memory either."""
    document = iso.camt054("big-1", "2026-03-01T08:00:00Z", "0012345", lines(1_000))
    begin, _, rest = document.partition(b"<Ntry>")
    entries, _, end = rest.rpartition(b"</Ntry>")
    page = b"<Ntry>" + entries + b"</Ntry>"
    file.write(begin)
    while file.tell() < megabytes * 1_000_000:
        file.write(page)
    file.write(end)
    file.flush()


def peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _now() -> tuple[float, float]:
    """(wall, CPU) in seconds: on a busy machine only the second is a property of the code."""
    return time.perf_counter(), time.process_time()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transactions", type=int, default=100_000)
    parser.add_argument("--megabytes", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryFile() as statement:
        write_statement(statement, options.megabytes)
        before, began = peak_kib(), time.process_time()
        overview = inspect(statement)
        assert sum(1 for _ in told(statement)) == overview.transactions
        seconds = time.process_time() - began
        size, grown = statement.tell(), peak_kib() - before
    given = transfers(options.transactions)
    head = Initiation("a1" * 16, "bank-a", "Kementerian Sosial", "0012345", MOMENT)
    document = io.BytesIO()
    marks = [_now()]
    write_pain001(document, head, given)
    marks.append(_now())
    check_pain001(document, len(given), sum(transfer.amount_minor for transfer in given))
    marks.append(_now())
    (wall, cpu), (_, cpu_written), (wall_end, cpu_end) = marks
    count = len(given)
    figures = {
        "pain001_transactions_per_second": round(count / (wall_end - wall)),
        "pain001_transactions_per_cpu_second": round(count / (cpu_end - cpu)),
        "pain001_written_per_cpu_second": round(count / (cpu_written - cpu)),
        "pain001_checked_per_cpu_second": round(count / (cpu_end - cpu_written)),
        "statement_bytes": size,
        "statement_transactions": overview.transactions,
        "statement_read_twice_cpu_seconds": round(seconds, 1),
        "statement_memory_grown_kib": grown,
    }
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
