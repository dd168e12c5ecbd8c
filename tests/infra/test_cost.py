import re
from dataclasses import replace
from pathlib import Path

import pytest

from infra import cost
from infra.cost import PATH, STEPS, items, text, total

REPOSITORY = Path(__file__).parents[2]
SMALL, MIDDLE, LARGE = STEPS


def test_the_page_is_up_to_date() -> None:
    assert PATH.read_text() == text(), "run: python -m infra.cost"


def test_it_tells_of_the_sizes_that_were_asked_for_with_the_date_of_the_prices() -> None:
    assert [step.hours for step in STEPS] == [1_000, 100_000, 10_000_000]
    assert re.search(r"^## Prices of \w+ 20\d\d$", text(), re.MULTILINE)


def test_every_price_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, (amount, unit) in cost.PRICES.items():
        before = total(LARGE)
        with monkeypatch.context() as patch:
            patch.setitem(cost.PRICES, name, (2 * amount, unit))
            assert total(LARGE) > before, name


def test_what_can_be_worked_out_by_hand_is_so() -> None:
    """Ten million hours are 3,640 million requests, of which two are free where Cloud Run counts them."""
    assert items(LARGE)["Functions: requests"] == pytest.approx(3_638 * 0.40)
    assert items(LARGE)["Cloud Armor"] == pytest.approx(5 + 11 + 3_640 * 0.75)
    assert items(SMALL)["Functions: CPU and memory"] == 0  # 36,400 s of the 180,000 that are free
    assert items(MIDDLE)["Database: machine and standby"] == pytest.approx(2 * (4 * 30.15 + 16 * 5.11))
    assert cost.busy_s(SMALL) == pytest.approx(364_000 * 0.1, rel=0.01)  # rare requests: a step each
    assert cost.busy_s(LARGE) == pytest.approx(3_640_000_000 * 0.000_8)  # many: 0.48 ms each, 60 % filled


def test_the_rules_that_are_paid_for_are_those_that_there_are() -> None:
    armor = (REPOSITORY / "terraform/armor.tf").read_text()
    owasp = armor.partition("owasp = {")[2].partition("}")[0]
    assert armor.count("\n  rule {") + owasp.count(" = ") == cost.RULES


def test_more_watching_costs_more_and_an_hour_less() -> None:
    assert total(SMALL) < total(MIDDLE) < total(LARGE)
    assert total(SMALL) / SMALL.hours > total(MIDDLE) / MIDDLE.hours > total(LARGE) / LARGE.hours
    assert total(replace(LARGE, retention_days=400)) > total(LARGE)


def test_each_step_names_what_changes() -> None:
    changes = text().partition("## What changes at each step")[2]
    for word in ("replica", "Pooling", "partitions", "Citus", "user_id"):
        assert word in changes
