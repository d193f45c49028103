"""Indonesian names in one spelling: old and new orthography, usual abbreviations, titles.

Two levels. `words` is the name in today's spelling, for comparing letter by letter. `skeleton` keeps only the sounds
that scribes agree on, for finding candidates.
"""

import re
import unicodedata
from functools import lru_cache

_TITLES = frozenset(
    {"H", "HJ", "HAJI", "HAJJAH", "KH", "KYAI", "KIAI", "USTAD", "USTADZ", "TGK", "DRS", "DRA", "DR", "DRG", "IR",
     "PROF", "BPK", "BAPAK", "BP", "IBU", "NY", "NYONYA", "TN", "TUAN", "NN", "NONA", "SDR", "SDRI", "ALM", "ALMH",
     "ALMARHUM", "ALMARHUMAH"}
)  # fmt: skip
_DEGREES = frozenset(
    {"SPD", "MPD", "SAG", "MAG", "SH", "MH", "SE", "MM", "SKOM", "MKOM", "SSOS", "MSI", "ST", "MT", "SKM", "AMD",
     "AMDKEB", "SPDI", "PHD", "BA", "BSC"}
)  # fmt: skip
_SAME = {
    "MUHAMAD": "MUHAMMAD MUHAMAD MOHAMMAD MOHAMAD MOHAMMED MOHAMED MUHAMMED MOCHAMMAD MOCHAMAD MUCHAMMAD MUCHAMAD "
    "MUKHAMAD MUKHAMMAD MOH MUH MOCH MUCH MHD MUHD MOHD",
    "AHMAD": "AHMAD ACHMAD AKHMAD AHMAT ACH AHMED AHMMAD",
    "ABDUL": "ABDUL ABD ABDOEL ABDOL ABDL",
    "SITI": "SITI ST SITTI SITIE",
    "NUR": "NUR NOER NOOR NUUR NR",
    "YOHANES": "YOHANES YOHANNES JOHANES JOHANNES YOH",
    "FRANSISKUS": "FRANSISKUS FRANSISCUS FRANCISCUS FRANS",
    "AGUS": "AGUS AGOES AGS",
}
_CANON = {written: name for name, spellings in _SAME.items() for written in spellings.split()}
_MODERN = [("OE", "U"), ("DJ", "J"), ("TJ", "C"), ("SJ", "SY"), ("NJ", "NY"), ("CH", "KH"), ("PH", "F"), ("X", "KS"),
           ("Q", "K"), ("V", "F"), ("DH", "D"), ("TH", "T"), ("BH", "B"), ("IE", "I")]  # fmt: skip
_SOUNDS = str.maketrans({"F": "P", "Z": "S", "C": "K"} | dict.fromkeys("AEIOUYJHW"))
_SPLIT = re.compile(r"[^A-Z]+")
_TWICE = re.compile(r"(.)\1+")


def plain(name: str) -> str:
    """Capitals without accents, whatever the composition: `José` and its decomposed form are `JOSE`."""
    if name.isascii():
        return name.upper()
    apart = unicodedata.normalize("NFKD", name)
    return "".join(character for character in apart if not unicodedata.combining(character)).upper()


def words(name: str) -> tuple[str, ...]:
    """The words of a name in today's spelling, without titles and degrees; empty for what has no Latin letter."""
    text = plain(name).replace("'", "").replace("`", "").replace("\u2019", "")
    head, *tails = text.split(",")
    text = " ".join([head, *(tail for tail in tails if _SPLIT.sub("", tail) not in _DEGREES)])
    parts = [part for part in _SPLIT.split(text) if part]
    first, last = 0, len(parts)
    while first < last - 1 and parts[first] in _TITLES:
        first += 1
    while last > first + 1 and (parts[last - 1] in _DEGREES or parts[last - 1] in _TITLES):
        last -= 1
    return tuple(_canon(part) for part in parts[first:last])


@lru_cache(maxsize=65_536)
def _canon(word: str) -> str:
    known = _CANON.get(word)
    if known is not None:
        return known
    for old, new in _MODERN:
        if old in word:
            word = word.replace(old, new)
    word = _TWICE.sub(r"\1", word)
    return _CANON.get(word, word)


@lru_cache(maxsize=65_536)
def skeleton(word: str) -> str:
    """A word's first sound and further consonants: `DJOKO`, `JOKO` and `YOKO` are one, so are `SYARIF` and `SARIP`.

    Takes a word of `words`. Every first vowel counts as one sound, so does every first y or j.
    """
    word = word.replace("KH", "H")
    if not word:
        return ""
    first = word[0]
    if first in "AEIOU":
        begin = "A"
    elif first in "YJ":
        begin = "J"
    elif first in "HW":
        begin = first
    else:
        begin = ""
    rest = word[1:] if begin else word
    return begin + _TWICE.sub(r"\1", rest.translate(_SOUNDS))


def name_key(name_words: tuple[str, ...]) -> str:
    """The skeletons of a name's words, sorted: equal for other spellings and another order of the words."""
    return " ".join(sorted(skeleton(word) for word in name_words))
