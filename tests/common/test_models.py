"""Numbers on their way in and out: seconds on the wire, whole milliseconds inside."""

import random
from decimal import Decimal
from fractions import Fraction

import pytest

from common import models
from common.models import Answer, effective_ms, milliseconds, wire_name


@pytest.mark.parametrize(
    ("second", "ms"),
    [
        (0.0005, 0),
        (0.0015, 2),
        (0.0025, 2),
        (0.0035, 4),
        (1.0005, 1_000),
        (1.0015, 1_002),
        (4.0015, 4_002),
        (8.0025, 8_002),
        (59_999.9985, 59_999_998),
        (86_399.9995, 86_400_000),
    ],
)
def test_half_a_millisecond_rounds_to_even(second: float, ms: int) -> None:
    assert milliseconds(second) == ms


@pytest.mark.parametrize(
    ("second", "ms"),
    [(0, 0), (-0.0, 0), (0.000500001, 1), (0.00149999, 1), (1.2345, 1_234), (12, 12_000), (86_400, 86_400_000)],
)
def test_more_than_three_decimals_round_to_the_nearest_millisecond(second: float, ms: int) -> None:
    assert milliseconds(second) == ms


def test_a_number_of_seconds_becomes_the_milliseconds_that_were_written() -> None:
    chance = random.Random(1)
    for digits in (1, 2, 3, 4, 5, 7, 12):
        for _ in range(500):
            written = f"{chance.uniform(0, 86_400):.{digits}f}"

            assert milliseconds(float(written)) == round(Fraction(written) * 1000), written


def test_every_half_millisecond_of_a_minute_and_of_a_days_last_one_rounds_to_even() -> None:
    for start in (0, 86_340):
        for ms in range(start * 1000, (start + 60) * 1000, 7):
            half = Decimal(ms) / 1000 + Decimal("0.0005")

            assert milliseconds(float(half)) == ms + ms % 2


def test_effective_time_is_length_over_speed_in_whole_milliseconds() -> None:
    chance = random.Random(2)
    for _ in range(3_000):
        length, speed = chance.randint(1, 86_400_000), chance.randint(625, 160_000)

        assert effective_ms(length, speed / 10_000) == round(Fraction(length * 10_000, speed))


@pytest.mark.parametrize(("length", "speed", "spent"), [(1, 2, 0), (3, 2, 2), (5, 2, 2), (7, 2, 4), (1, 16, 0)])
def test_half_a_millisecond_of_effective_time_rounds_to_even(length: int, speed: float, spent: int) -> None:
    assert effective_ms(length, speed) == spent


def test_every_field_that_is_a_place_in_the_video_ends_in_second_on_the_wire() -> None:
    answers = [thing for thing in vars(models).values() if isinstance(thing, type) and issubclass(thing, Answer)]
    fields = {field for answer in answers for field in answer.model_fields}

    assert {"coverage_ms", "resume_ms", "from_ms"} <= fields
    assert all(wire_name(field).endswith("Second") for field in fields if field.endswith("_ms"))
    assert not any(wire_name(field).endswith(("_ms", "Ms")) for field in fields)
