"""A caller's regions as parameters of a query: `:every OR region LIKE ANY(:patterns)`."""

from typing import Any

from salur.common.http import Caller


def scope_of(caller: Caller) -> dict[str, Any]:
    """`every` for who acts for the whole country; else the regions themselves and what lies below them."""
    patterns = [pattern for region in caller.regions for pattern in (region, f"{region}.%")]
    return {"every": not caller.regions, "patterns": patterns}
