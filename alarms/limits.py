"""The limits a bed is judged by, and how long a rate must be beyond one."""

import math

import msgspec

HR_LOWEST, HR_HIGHEST = 15, 300  # per minute: the range in which IEC 60601-2-27 has a monitor measure an adult's rate


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits of one bed. All are compared strictly: a rate of 120 does not break the limit 120.

    Attributes:
        hr_low, hr_high: beats per minute below, above which the rate alarms with medium priority.
        hr_extreme_low, hr_extreme_high: the same with high priority.
        asystole_s: seconds without a beat that are an asystole.
        pause_s: seconds between two beats that are a pause.
        rate_on_s: seconds that the rate must be beyond ``hr_low`` or ``hr_high`` before the alarm starts.
        extreme_on_s: the same for the extreme limits.
        rate_off_s: seconds that the rate must be back within its limit before an alarm ends.
        af_confirm_s: seconds that AF or flutter must have lasted before its alarm is confirmed.
    """

    hr_low: int = 50  # at 60 every sleeping or trained heart would alarm
    hr_high: int = 120  # at 100 every walk to the bathroom would alarm
    hr_extreme_low: int = 30  # a ventricular escape rhythm runs at 20 to 40
    hr_extreme_high: int = 160  # the diastole becomes too short to fill an adult's heart
    asystole_s: float = 4.0  # no QRS for at least four seconds: PhysioNet/CinC Challenge 2015
    pause_s: float = 3.0  # the usual threshold of ambulatory ECG reports
    # The averaged rate passes its limit up to 5 s after a step (ecg.rate); with 3 s more the alarm still comes within
    # the 10 s of IEC 60601-2-27, and a couplet or a short run does not sound.
    rate_on_s: float = 3.0
    extreme_on_s: float = 1.0  # lethal rates wait only for the average to prove that it was not one odd interval
    rate_off_s: float = 5.0  # a rate that hovers at its limit is one alarm, not many
    af_confirm_s: float = 30.0  # the ESC convention; one vendor holds 60

    def __post_init__(self) -> None:
        """Refuse limits that contradict themselves, on construction and on decoding alike.

        Raises:
            ValueError: says which limit is wrong and quotes its value.
        """
        for name in ("hr_low", "hr_high", "hr_extreme_low", "hr_extreme_high"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise ValueError(f"{name}: expected a whole number, got {value!r}")
        _within("hr_low", self.hr_low, HR_LOWEST, str(HR_LOWEST), self.hr_high - 1, "hr_high")
        _within("hr_high", self.hr_high, self.hr_low + 1, "hr_low", HR_HIGHEST, str(HR_HIGHEST))
        _within("hr_extreme_low", self.hr_extreme_low, HR_LOWEST, str(HR_LOWEST), self.hr_low - 1, "below hr_low")
        _within("hr_extreme_high", self.hr_extreme_high, self.hr_high + 1, "above hr_high", HR_HIGHEST, str(HR_HIGHEST))
        # At the slowest rate that is measured the beats lie 4 s apart; 10 s is where the heart rate goes stale.
        _within("asystole_s", self.asystole_s, 2.0, "2 s", 10.0, "10 s")
        _within("pause_s", self.pause_s, 1.5, "1.5 s", self.asystole_s, "asystole_s")
        for name in ("rate_on_s", "extreme_on_s", "rate_off_s"):
            _within(name, getattr(self, name), 0.0, "0 s", 30.0, "30 s")
        _within("af_confirm_s", self.af_confirm_s, 30.0, "30 s", 60.0, "60 s")


def _within(name: str, value: float, low: float, low_name: str, high: float, high_name: str) -> None:
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name}: expected a number, got {value!r}")
    if not low <= value <= high:
        raise ValueError(f"{name}: expected {low_name} to {high_name}, got {value!r}")
