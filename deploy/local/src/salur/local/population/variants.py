"""How the same person is written down a second time: other spelling, abbreviation, slip of the hand, swapped dates."""

from datetime import date, timedelta

from salur.local.population.draws import SLOTS, Random
from salur.local.population.marginals import Marginals

_OLD_SPELLING = [
    ("DJ", "J"), ("J", "DJ"), ("U", "OE"), ("OE", "U"), ("SY", "SJ"), ("Y", "J"), ("C", "TJ"), ("KH", "CH"),
    ("NY", "NJ"), ("F", "P"), ("F", "V"), ("V", "F"), ("I", "IE"), ("Z", "S"), ("Q", "K"), ("SH", "S"), ("H", ""),
    ("DH", "D"), ("NN", "N"), ("DD", "D"), ("MM", "M"), ("LL", "L"), ("AI", "AY"), ("YAH", "IAH"), ("IAH", "IYAH"),
    ("S", "SS"), ("N", "NN"), ("K", "KH"), ("TH", "T"), ("X", "KS"),
]  # fmt: skip
_ABBREVIATIONS = {
    "MUHAMMAD": ["MOH.", "MUH.", "M.", "MOHAMMAD", "MUHAMAD", "MOCH.", "MOCHAMMAD", "MOHAMAD"],
    "AHMAD": ["ACHMAD", "AKHMAD", "A.", "AHMAT"], "ABDUL": ["ABD.", "ABD", "ABDOEL"], "SITI": ["ST.", "S.", "SITTI"],
    "NUR": ["NOER", "N.", "NOOR"], "YOHANES": ["YOH.", "JOHANNES"], "MARIA": ["M.", "MARYA"],
    "AGUS": ["AGS.", "AGOES"], "SRI": ["S.", "SRIE"], "FRANSISKUS": ["FRANS", "FRANSISCUS"],
}  # fmt: skip
_TITLES = {"male": ["H.", "DRS.", "BPK", "K.H."], "female": ["HJ.", "IBU", "NY.", "DRA."]}
_BESIDE = {
    "A": "SQZ", "B": "VGN", "C": "XDV", "D": "SFE", "E": "WRD", "F": "DGR", "G": "FHT", "H": "GJY", "I": "UOK",
    "J": "HKU", "K": "JLI", "L": "KOP", "M": "NJK", "N": "BMH", "O": "IPL", "P": "OL", "Q": "WA", "R": "ETF",
    "S": "ADW", "T": "RYG", "U": "YIJ", "V": "CBF", "W": "QES", "X": "ZCS", "Y": "TUG", "Z": "XA", " ": " ",
    ".": ".", "'": "'",
}  # fmt: skip

_REGION_AND_SERIAL = (1, 2, 3, 4, 5, 12, 13, 14, 15)


def other_name(m: Marginals, draw: Random, name: str, sex: str) -> tuple[str, str]:
    """The name as somebody else writes it, and how it differs (`same` when it does not)."""
    kind = m.differs_name[int(draw() * SLOTS)]
    written = {
        "same": lambda: name,
        "spelling": lambda: _spelling(draw, name),
        "abbreviation": lambda: _abbreviation(draw, name),
        "typo": lambda: _typo(draw, name),
        "word": lambda: _word(draw, name),
        "joined": lambda: name.replace(" ", "", 1),
        "title": lambda: f"{_pick(draw, _TITLES[sex])} {name}",
    }[kind]()
    return written, kind if written != name else "same"


def _pick(draw: Random, options: list[str]) -> str:
    return options[int(draw() * len(options))]


def _spelling(draw: Random, name: str) -> str:
    fitting = [(old, new) for old, new in _OLD_SPELLING if old in name]
    for _ in range(1 if draw() < 0.6 else 2):
        if fitting:
            old, new = fitting[int(draw() * len(fitting))]
            places = [place for place in range(len(name)) if name.startswith(old, place)]
            if places:
                place = places[int(draw() * len(places))]
                name = name[:place] + new + name[place + len(old) :]
    return name


def _abbreviation(draw: Random, name: str) -> str:
    words = name.split()
    known = [place for place, word in enumerate(words) if word in _ABBREVIATIONS]
    if known:
        place = known[int(draw() * len(known))]
        words[place] = _pick(draw, _ABBREVIATIONS[words[place]])
    elif len(words) > 1:
        words[-1] = words[-1][0] + "."
    return " ".join(words)


def _typo(draw: Random, name: str) -> str:
    place = 1 + int(draw() * (len(name) - 1))
    kind = draw()
    if kind < 0.3:
        return name[:place] + name[place + 1 :]
    if kind < 0.5:
        return name[: place - 1] + name[place] + name[place - 1] + name[place + 1 :]
    if kind < 0.7:
        return name[:place] + name[place] + name[place:]
    beside = _BESIDE[name[place]]
    return name[:place] + beside[int(draw() * len(beside))] + name[place + 1 :]


def _word(draw: Random, name: str) -> str:
    words = name.split()
    if len(words) == 1:
        return _typo(draw, name)
    if draw() < 0.5:
        words[0], words[-1] = words[-1], words[0]
    else:
        del words[1 + int(draw() * (len(words) - 1))]
    return " ".join(words)


def other_date(m: Marginals, draw: Random, iso: str) -> tuple[str, str]:
    """The birth date as somebody else states it, and how it differs."""
    kind = m.differs_birth_date[int(draw() * SLOTS)]
    year, month, day = int(iso[:4]), int(iso[5:7]), int(iso[8:])
    last = m.as_of
    if kind == "swapped":
        stated = date(year, day, month) if day <= 12 else date(year, month, day)
    elif kind == "digit":
        one_digit_off = day + (10 if day <= 18 else -10) if draw() < 0.5 else (day ^ 1) or 1
        stated = _valid(year, month, one_digit_off)
    elif kind == "year":
        stated = _valid(year + (1 if draw() < 0.5 else -1), month, day)
    elif kind == "first-of-january":
        stated = date(year, 1, 1)
    elif kind == "other":
        stated = date(year, month, 1) + timedelta(days=int(draw() * 700) - 350)
    else:
        stated = date(year, month, day)
    stated = min(stated, last)
    return stated.isoformat(), kind if stated.isoformat() != iso else "same"


def _valid(year: int, month: int, day: int) -> date:
    try:
        return date(year, month, day)
    except ValueError:
        return date(year, month, 28)


def other_nik(draw: Random, nik: str) -> str:
    """One digit of region or serial wrong, never the first one: it stays a number nobody has."""
    place = _REGION_AND_SERIAL[int(draw() * len(_REGION_AND_SERIAL))]
    digit = int(nik[place]) % 9 + 1  # never 0, so the serial stays one
    return f"{nik[:place]}{digit}{nik[place + 1 :]}"


def impossible_nik(draw: Random, nik: str) -> tuple[str, str]:
    """A NIK that cannot be one, and why."""
    kind = int(draw() * 5)
    if kind == 0:
        return nik[:-1], "15 digits"
    if kind == 1:
        return nik + str(int(draw() * 10)), "17 digits"
    if kind == 2:
        return nik[:9] + "O" + nik[10:], "letter"
    if kind == 3:
        return nik[:6] + f"{72 + int(draw() * 28)}" + nik[8:], "day"
    return nik[:8] + f"{13 + int(draw() * 87)}" + nik[10:], "month"
