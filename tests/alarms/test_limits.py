"""Limits: what they refuse, and in which words."""

import msgspec
import pytest

from alarms.limits import Limits


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"hr_low": 400}, "hr_low: expected 15 to hr_high, got 400"),
        ({"hr_low": 120}, "hr_low: expected 15 to hr_high, got 120"),
        ({"hr_low": 0}, "hr_low: expected 15 to hr_high, got 0"),
        ({"hr_low": 25}, "hr_extreme_low: expected 15 to below hr_low, got 30"),
        ({"hr_extreme_high": 110}, "hr_extreme_high: expected above hr_high to 300, got 110"),
        ({"hr_high": 301}, "hr_high: expected hr_low to 300, got 301"),
        ({"hr_high": 99.5}, "hr_high: expected a whole number, got 99.5"),
        ({"hr_high": True}, "hr_high: expected a whole number, got True"),
        ({"asystole_s": float("nan")}, "asystole_s: expected a number, got nan"),
        ({"asystole_s": 60.0}, "asystole_s: expected 2 s to 10 s, got 60.0"),
        ({"pause_s": 4.5}, "pause_s: expected 1.5 s to asystole_s, got 4.5"),
        ({"rate_on_s": -1.0}, "rate_on_s: expected 0 s to 30 s, got -1.0"),
        ({"af_confirm_s": 29.0}, "af_confirm_s: expected 30 s to 60 s, got 29.0"),
        ({"af_confirm_s": 61.0}, "af_confirm_s: expected 30 s to 60 s, got 61.0"),
    ],
)
def test_a_wrong_limit_is_refused_by_name(wrong: dict[str, float], words: str) -> None:
    """A limit that can never alarm must not be taken in silence."""
    with pytest.raises(ValueError, match="^" + words.replace(".", r"\.") + "$"):
        Limits(**wrong)


def test_limits_from_the_wire_are_checked_as_well() -> None:
    """Limits reach the worker as JSON: wrong values, unknown names and wrong types must not pass."""
    assert msgspec.json.decode(b'{"hr_high": 130}', type=Limits) == Limits(hr_high=130)
    for data in (b'{"hr_low": 400}', b'{"hr_hgih": 130}', b'{"hr_low": "50"}'):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(data, type=Limits)


def test_the_order_of_the_limits_holds_by_default() -> None:
    """Extreme low < low < high < extreme high, pause ≤ asystole."""
    limits = Limits()
    assert limits.hr_extreme_low < limits.hr_low < limits.hr_high < limits.hr_extreme_high
    assert limits.pause_s <= limits.asystole_s
