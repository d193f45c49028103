"""A spreadsheet of as many rows as are promised is read whole; one more refuses it."""

import zipfile
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


SHEET = (
    '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{}</sheetData></worksheet>'
)
"""A list of a few cells, whose reader would fill a rectangle of billions or repeat a text by the gigabyte."""
BOMBS = {
    "far": '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>',
    "wide": '<row r="1"><c r="A1"><v>1</v></c><c r="XFD1"><v>1</v></c></row>',
    "quoted": "<row r='1'><c t='n' r = 'XFD99'><v>1</v></c></row>",
    "unplaced": "<row>" + "<c><v>1</v></c>" * 501 + "</row>",
    "area": '<row r="1"><c r="GR1"><v>1</v></c></row><row r="90000"><c r="A90000"><v>1</v></c></row>',
}


def packed(path: Path, parts: dict[str, str]) -> Path:
    """A workbook as xlsxwriter makes it, with these parts in the place of its own."""
    with xlsxwriter.Workbook(path) as book:
        book.add_worksheet().write_string(0, 0, "text")
    with zipfile.ZipFile(path) as made:
        content = {name: made.read(name) for name in made.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as again:
        for name, part in (content | {name: text.encode() for name, text in parts.items()}).items():
            again.writestr(name, part)
    return path


@pytest.mark.parametrize("cells", BOMBS.values(), ids=BOMBS.keys())
def test_a_small_file_that_would_fill_the_memory_is_refused_before_it_is_opened(tmp_path: Path, cells: str) -> None:
    source = packed(tmp_path / "bomb.xlsx", {"xl/worksheets/sheet1.xml": SHEET.format(cells)})
    assert source.stat().st_size < 20_000
    with pytest.raises(SheetInvalid, match="send it as CSV"):
        to_csv(source, tmp_path / "bomb.csv")
    assert not (tmp_path / "bomb.csv").exists()


def test_one_text_in_every_cell_is_refused_where_it_would_come_to_gigabytes(tmp_path: Path) -> None:
    row = '<c t="s"><v>0</v></c>' * 100
    texts = f"<sst><si><t>{'x' * 32_767}</t></si></sst>"
    sheet = SHEET.format(f"<row>{row}</row>" * 400)
    source = packed(tmp_path / "bomb.xlsx", {"xl/worksheets/sheet1.xml": sheet, "xl/sharedStrings.xml": texts})
    with pytest.raises(SheetInvalid, match="texts could come to over"):
        to_csv(source, tmp_path / "bomb.csv")


def test_a_workbook_of_another_kind_is_refused(tmp_path: Path) -> None:
    source = packed(tmp_path / "list.xlsx", {"content.xml": "<x/>"})
    with pytest.raises(SheetInvalid, match="no XLSX workbook"):
        to_csv(source, tmp_path / "list.csv")
