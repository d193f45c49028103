"""Households for tests: bodies as HTTP takes them."""

from typing import Any

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
    return {
        "attributes": {"age": 9, "relation": "head" if head else "child"},
        "identifiers": [{"scheme": "nik", "value": nik(number)}],
        "person": {"name": f"Budi {'abcdefghij'[number % 10]}xample", "birth_date": "2012-12-12", "sex": "male"},
    }
