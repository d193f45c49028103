"""A spreadsheet of as many rows as are promised is read whole; one more refuses it."""

from pathlib import Path

import pytest
import xlsxwriter

from salur.registry.sheets import SheetInvalid, to_csv

PROMISED = 100_000


@pytest.mark.parametrize("more", [0, 1])
def test_a_sheet_of_100_000_rows_is_read_and_one_row_more_is_refused(tmp_path: Path, more: int) -> None:
    source, target = tmp_path / "list.xlsx", tmp_path / "list.csv"
    with xlsxwriter.Workbook(source, {"constant_memory": True}) as book:
        sheet = book.add_worksheet()
        for place in range(PROMISED + more + 1):
            sheet.write_number(place, 0, place)
    if more:
        with pytest.raises(SheetInvalid, match="over 100000 rows: send it as CSV"):
            to_csv(source, target)
        return
    to_csv(source, target)
    lines = target.read_text().splitlines()
    assert (len(lines), lines[0], lines[-1]) == (PROMISED + 1, "0", str(PROMISED))
