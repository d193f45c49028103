"""Households for tests: bodies as HTTP takes them."""

from typing import Any

NAMES = ("Budi Xample", "Siti Qori", "Agus Wibawa", "Dewi Fitri", "Joko Untung", "Rina Melati", "Putra Halim",
         "Lestari Ning", "Yusuf Gatra", "Maria Kosasih")  # fmt: skip
NUMBER, HOLDER = "9988776655", "Siti Example"
PHONE = "080011223344"


def nik(number: int) -> str:
    """A NIK of the form, of a man born on 12 December."""
    return f"3171011212{number:06d}"


def household(number: int, people: int = 1, **changes: Any) -> dict[str, Any]:
    """A family with a card, members with names, an account and a telephone."""
    body: dict[str, Any] = {
        "identifiers": [{"scheme": "kk", "value": f"31710000{number:08d}"}],
        "region": "31.71",
        "attributes": {"poverty_index": 600.5},
        "members": [member(10 * number + place, head=place == 0) for place in range(people)],
        "payee": {"bank": "bank-a", "number": NUMBER, "holder": HOLDER},
        "contact": {"phone": PHONE},
    }
    return body | changes


def member(number: int, head: bool = False) -> dict[str, Any]:
    """Numbers that end in the same digit have the same name and birth date."""
    return {
        "attributes": {"age": 9, "relation": "head" if head else "child"},
        "identifiers": [{"scheme": "nik", "value": nik(number)}],
        "person": {"name": NAMES[number % 10], "birth_date": f"{2000 + number % 10}-12-12", "sex": "male"},
    }


def group(*numbers: int, **changes: Any) -> dict[str, Any]:
    """A group of business people by their NIKs."""
    people = [{"identifier": {"scheme": "nik", "value": nik(number)}, "role": "member"} for number in numbers]
    body: dict[str, Any] = {"kind": "group", "name": "Kelompok Melati", "region": "31.71", "members": people}
    return body | changes


def consent(**changes: Any) -> dict[str, Any]:
    """A consent to share data with a bank."""
    body = {
        "purpose": "share-with-bank", "lawful_basis": "consent", "notice": "notice 2026-1", "collection": "in-person",
        "evidence": "form 17, signed", "given_at": "2026-01-02T10:00:00+07:00",
    }  # fmt: skip
    return body | changes
