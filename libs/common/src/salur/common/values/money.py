"""Money: an integer of minor units and its ISO 4217 code. Never a float, never a bare number."""

from dataclasses import dataclass

CURRENCY_PATTERN = r"^[A-Z]{3}$"
MAX_AMOUNT_MINOR = 10**15  # ten trillion rupiah: more than any one payment, far below 2**63


@dataclass(frozen=True, slots=True, order=True)
class Money:
    """`amount_minor` in the minor unit of `currency` (IDR and MXN: 2 decimals)."""

    amount_minor: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.amount_minor) is not int:
            raise TypeError(f"amount_minor must be int, got {type(self.amount_minor).__name__}")
        if len(self.currency) != 3 or not self.currency.isascii() or not self.currency.isupper():
            raise ValueError("currency must be three capital letters (ISO 4217)")

    def __add__(self, other: "Money") -> "Money":
        if other.currency != self.currency:
            raise ValueError(f"cannot add {other.currency} to {self.currency}")
        return Money(self.amount_minor + other.amount_minor, self.currency)

    def __str__(self) -> str:
        sign = "-" if self.amount_minor < 0 else ""
        whole, cents = divmod(abs(self.amount_minor), 100)
        return f"{self.currency} {sign}{whole:,}.{cents:02d}"
