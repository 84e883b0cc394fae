"""However narrow the screen: a table loses nothing, least of all the end of a number."""

from __future__ import annotations

from collections import Counter

import pytest
from msgspec import structs

from federation.cli.screen import plain_table, show
from federation.cli.statement import statement_lines
from schemas.price import Money
from schemas.statement import BillingStatement
from tests.support.evidence.papers import Plan, papers

WIDTHS = (40, 60, 76, 80, 100, 120, 140)
ALL = 500


@pytest.fixture
def stated() -> BillingStatement:
    found: BillingStatement = papers(Plan()).claims["statement"]
    return found


def shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int, *things: object) -> str:
    monkeypatch.setenv("COLUMNS", str(width))
    show(*things)
    return capsys.readouterr().out


def signs(text: str) -> Counter[str]:
    return Counter(sign for sign in text if not sign.isspace() and sign != "─")


@pytest.mark.parametrize("width", WIDTHS)
def test_a_statement_is_shown_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, stated: BillingStatement, width: int
) -> None:
    wide = shown(capsys, monkeypatch, ALL, *statement_lines(stated))
    narrow = shown(capsys, monkeypatch, width, *statement_lines(stated))
    assert signs(narrow) == signs(wide)
    assert all(len(line) <= width for line in narrow.splitlines())


def test_amounts_stay_on_one_line_where_there_is_room(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, stated: BillingStatement
) -> None:
    text = shown(capsys, monkeypatch, 120, *statement_lines(stated))
    assert len([line for line in text.splitlines() if ".example" in line]) == len(stated.segments)
    assert text.count("EUR 1.000000") >= 2


def test_a_statement_has_a_column_only_for_what_it_says(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, stated: BillingStatement
) -> None:
    same = [structs.replace(one, claimed=one.total, due=one.total) for one in stated.segments]
    text = shown(capsys, monkeypatch, ALL, *statement_lines(structs.replace(stated, segments=tuple(same))))
    assert not {"Minimum", "Claimed", "Due"} & set(text.split())
    less = structs.replace(same[0], claimed=Money("EUR", same[0].total.micro + 1))
    text = shown(capsys, monkeypatch, ALL, *statement_lines(structs.replace(stated, segments=(less, *same[1:]))))
    assert "Claimed" in text.split()


@pytest.mark.parametrize("width", WIDTHS)
def test_any_table_folds_where_it_would_be_cut(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    def table() -> object:
        made = plain_table("Order", "Über", "A", "B", "C", right=("A", "B", "C"), whole=("Order",))
        made.add_row("0P8vTt2cQ5WJ9kVjv7n1fg", "SURF, GÉANT, GARR", *["EUR 1,234.567891"] * 3)
        return made

    assert signs(shown(capsys, monkeypatch, width, table())) == signs(shown(capsys, monkeypatch, ALL, table()))
