"""`salur status`: what a service does not tell is unknown, never nothing."""

from salur.local.cli.operations import COUNTS, _row


def test_a_service_that_does_not_answer_has_unknown_counts() -> None:
    row = _row("payments", {"trouble": "payments does not answer"}, {})
    assert row["trouble"]
    assert [row[name] for name in COUNTS] == [None] * len(COUNTS)


def test_counts_come_from_streams_marks_and_letters() -> None:
    view = {
        "trouble": "",
        "streams": [{"stream": "payments.payments/0", "head": 5, "published": 3}],
        "marks": [{"consumer": "c", "stream": "registry.households/1", "sequence": 7}],
        "letters": ["raised", "replayed", "foreign"],
    }
    row = _row("payments", view, {"registry.households/1": 9})
    assert [row[name] for name in COUNTS] == [5, 2, 2, 1, 1]
