"""Why somebody has no place, in sentences for them."""

from pathlib import Path

from salur.eligibility.domain.checking import parse
from salur.eligibility.domain.places import place_told
from salur.eligibility.domain.programme import Programme

SEMBAKO = Path("services/eligibility/programmes/sembako.yaml")


def test_who_is_ruled_out_by_another_programme_is_told_by_which() -> None:
    text = SEMBAKO.read_text(encoding="utf-8") + (
        "exclusions: [{programme: pkh, text: {en: Your family receives PKH, id: Keluarga Anda menerima PKH}}]\n"
    )
    document = parse(text, Programme, 64 * 1024)[0]
    told = place_told(document, {"outcome": "excluded", "rank": None, "places": None})
    assert told["en"].endswith("Your family receives PKH.")
    assert told["id"].endswith("Keluarga Anda menerima PKH.")
