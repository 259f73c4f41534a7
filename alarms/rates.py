"""The rate alarms: brady and tachy, plain and extreme. A bed has one of them at a time."""

import msgspec

from alarms.alarm import Kind
from alarms.ledger import Ledger
from alarms.limits import Limits
from alarms.rhythm import UPDATE_EVERY, Rhythm
from ecg.rate import mean_rr, rate_of
from windowing.spans import ANALYSIS_FS

UPDATE_BPM = 5  # the accuracy that IEC 60601-2-27 asks of a rate: less is no news

# In the order in which they win. What is beyond an extreme limit is beyond the plain one too, so when an extreme ends
# the plain alarm that it had replaced starts again at once.
RATES = (Kind.EXTREME_BRADY, Kind.EXTREME_TACHY, Kind.BRADY, Kind.TACHY)
_MILDER = {Kind.EXTREME_BRADY: Kind.BRADY, Kind.EXTREME_TACHY: Kind.TACHY}


class Rates(msgspec.Struct, array_like=True):
    """How long the rate of one bed has been beyond each limit.

    Attributes:
        beyond: for each of ``RATES`` the tick since which the rate has been beyond its limit; −1 if it is not.
        back: tick since which the rate has been within the limit of the active alarm; −1 if it is not.
        mean: mean RR in samples over the beats so far; 0 without a rate.
        bpm: the rate by ``mean``.
    """

    beyond: list[int] = msgspec.field(default_factory=lambda: [-1, -1, -1, -1])
    back: int = -1
    mean: float = 0.0
    bpm: float = 0.0

    def forget(self) -> None:
        """The rate is not known any more: every delay starts anew."""
        self.beyond = [-1, -1, -1, -1]
        self.back = -1
        self.mean = 0.0

    def beats_changed(self, rhythm: Rhythm) -> None:
        """Take the mean over the beats anew; it holds until the next beat, or until the silence outlasts it."""
        mean = mean_rr(rhythm.peaks)
        self.mean = mean or 0.0
        self.bpm = 60.0 * ANALYSIS_FS / mean if mean else 0.0

    def stop(self, now: int, ledger: Ledger) -> None:
        """End the active alarm: an asystole speaks for the bed."""
        for kind in RATES:
            if kind in ledger.active:
                ledger.end(kind, now)
        self.forget()

    def tick(self, now: int, rhythm: Rhythm, limits: Limits, ledger: Ledger) -> None:
        """Judge the rate at sample ``now``."""
        mean = self.mean
        if not mean:
            return
        rate: float | None = self.bpm
        if rhythm.silence(now) > mean:
            rate = rate_of(rhythm.peaks, now - rhythm.skipped)
        if rate is None:
            self.forget()
            return
        bpm = int(rate + 0.5)  # the number on the screen is the number that is judged
        beyond = self.beyond
        if limits.hr_low <= bpm <= limits.hr_high:
            if beyond[2] < 0 and beyond[3] < 0 and self.back < 0 and not ledger.active:
                return
            tests = (False, False, False, False)
        else:
            tests = (
                bpm < limits.hr_extreme_low,
                bpm > limits.hr_extreme_high,
                bpm < limits.hr_low,
                bpm > limits.hr_high,
            )
        for index, true in enumerate(tests):
            if not true:
                beyond[index] = -1
            elif beyond[index] < 0:
                beyond[index] = now
        self._settle(now, bpm, tests, limits, ledger)

    def _settle(self, now: int, bpm: int, tests: tuple[bool, ...], limits: Limits, ledger: Ledger) -> None:
        active = next((kind for kind in RATES if kind in ledger.active), None)
        due = self._due(now, limits)
        if due is not None and due is not active and due is not _MILDER.get(active or due):
            # The new alarm first: at no event is the bed without one.
            self._start(due, self.beyond[RATES.index(due)], now, bpm, limits, ledger)
            if active is not None:
                ledger.end(active, now)
            return
        if active is None:
            return
        if tests[RATES.index(active)]:
            self.back = -1
            shown = ledger.active[active]
            if now - shown.at >= UPDATE_EVERY and abs(bpm - (shown.value or 0.0)) >= UPDATE_BPM:
                ledger.update(active, now, _text(active, bpm, limits), float(bpm))
            return
        if self.back < 0:
            self.back = now
        if now - self.back < limits.rate_off_s * ANALYSIS_FS:
            return
        milder = _MILDER.get(active)
        if milder is not None and tests[RATES.index(milder)]:
            self._start(milder, self.back, now, bpm, limits, ledger)
        ledger.end(active, now)
        self.back = -1

    def _due(self, now: int, limits: Limits) -> Kind | None:
        """The first kind whose limit has been broken for as long as it asks."""
        for index, since in enumerate(self.beyond):
            delay = limits.extreme_on_s if index < 2 else limits.rate_on_s
            if since >= 0 and now - since >= delay * ANALYSIS_FS:
                return RATES[index]
        return None

    def _start(self, kind: Kind, onset: int, now: int, bpm: int, limits: Limits, ledger: Ledger) -> None:
        self.back = -1
        ledger.start(kind, onset, now, _text(kind, bpm, limits), float(bpm), float(_limit(kind, limits)))


def _limit(kind: Kind, limits: Limits) -> int:
    return {
        Kind.EXTREME_BRADY: limits.hr_extreme_low,
        Kind.EXTREME_TACHY: limits.hr_extreme_high,
        Kind.BRADY: limits.hr_low,
        Kind.TACHY: limits.hr_high,
    }[kind]


def _text(kind: Kind, bpm: int, limits: Limits) -> str:
    sign = "<" if kind in (Kind.EXTREME_BRADY, Kind.BRADY) else ">"
    return f"HR {bpm} {sign} {_limit(kind, limits)}"
