"""Asystole and pause: how long no beat has come.

A beat is decided up to 0.5 s after its R peak, so at sample t the silence is known up to t − 0.5 s only, and only that
much is counted: no alarm comes from a beat that happened but is not decided yet, and an asystole of 4 s is told 4.6 s
after the last R peak.
"""

import msgspec

from alarms.alarm import Kind
from alarms.ledger import Ledger
from alarms.limits import Limits
from ecg.rate import BEAT_LATENCY_S, recent
from windowing.spans import ANALYSIS_FS

BEAT_LATENCY = int(BEAT_LATENCY_S * ANALYSIS_FS)
# Until its first beat of an epoch a detector has no idea how high a QRS is, and may take this long to learn it.
LEARNING = int(2.0 * ANALYSIS_FS)
# A pause is over when its beat comes; the alarm stays on the screen so long that somebody can see it, and a further
# pause in that time belongs to it.
PAUSE_SHOWN = 10 * ANALYSIS_FS
PAUSE_LONGER = 0.5  # s; a further pause is news only if it is so much longer than what is shown
UPDATE_EVERY = 10 * ANALYSIS_FS  # each event costs a write and a line in the history


class Rhythm(msgspec.Struct, array_like=True):
    """The beats of one bed while its signal is judged, and the alarms for want of them.

    Attributes:
        peaks: R peaks that the rate is taken from, ascending.
        since: sample from which silence counts: the last R peak, or where judging began; −1 while nothing is judged.
        after_beat: ``since`` is an R peak.
        skipped: samples after ``since`` that could not be judged.
        hole: where the latest of them lie, first and end.
        floor: beats before this sample lie in signal that was not judged.
        met: a beat was seen in this epoch.
        returning: the first R peak after an asystole, if another may prove it; −1 if none.
        longest: longest RR of the active pause alarm, samples.
        closed: R peak that ended the latest pause; −1 while it lasts.
    """

    peaks: list[int] = []
    since: int = -1
    after_beat: bool = False
    skipped: int = 0
    hole: tuple[int, int] = (0, 0)
    floor: int = 0
    met: bool = False
    returning: int = -1
    longest: int = 0
    closed: int = -1

    def suspend(self, at: int) -> None:
        """The signal has gone: what came before it says nothing about what comes after."""
        self.peaks = []
        self.since = self.returning = -1
        if self.closed < 0:
            self.closed = at

    def resume(self, at: int) -> None:
        """Judging begins (again) at sample ``at``; silence counts from there."""
        self.since = self.floor = at
        self.after_beat = False
        self.skipped = 0

    def skip(self, start: int, end: int) -> None:
        """``[start, end)`` could not be judged, but was too short to forget what came before."""
        self.hole = (start, end)
        self.skipped += max(0, end - max(start, self.since))

    def silence(self, now: int) -> int:
        """Samples known to hold no beat, at sample ``now``."""
        return now - BEAT_LATENCY - self.since - self.skipped

    def beat(self, peak: int, now: int, limits: Limits, ledger: Ledger) -> None:
        """Take an R peak that was decided by sample ``now``."""
        if peak < self.floor:
            return
        rr = peak - self.since if self.after_beat and not self.skipped else 0
        # A beat before the hole may be decided after it.
        self.skipped = max(0, self.hole[1] - max(self.hole[0], peak))
        self.since, self.after_beat, self.met = peak, True, True
        if Kind.ASYSTOLE in ledger.active:
            self._end_asystole(peak, now, limits, ledger)
            return
        self.peaks = recent([*self.peaks, peak])
        if rr > limits.pause_s * ANALYSIS_FS:
            self._pause_found(peak, rr, now, limits, ledger)
        elif self.closed < 0:
            self.closed = peak

    def tick(self, now: int, limits: Limits, ledger: Ledger) -> bool:
        """Judge the silence at sample ``now``; True while there is an asystole."""
        active = ledger.active
        silence = self.silence(now)
        if Kind.ASYSTOLE in active:
            shown = active[Kind.ASYSTOLE]
            seconds = (now - BEAT_LATENCY - shown.onset) / ANALYSIS_FS
            # Twice as long is news, a second more is not: an hour of asystole is ten events.
            if self.returning < 0 and seconds >= 2 * (shown.value or seconds):
                ledger.update(Kind.ASYSTOLE, now, f"ASYSTOLE {seconds:.1f} s", round(seconds, 1))
            return True
        if silence > limits.asystole_s * ANALYSIS_FS + (0 if self.met else LEARNING):
            seconds = silence / ANALYSIS_FS
            self.returning = -1
            ledger.start(
                Kind.ASYSTOLE, self.since, now, f"ASYSTOLE {seconds:.1f} s", round(seconds, 1), limits.asystole_s
            )
            if Kind.PAUSE in active:
                ledger.end(Kind.PAUSE, now)
            self.closed = -1
            self.peaks = []
            return True
        if silence > limits.pause_s * ANALYSIS_FS and self.after_beat and not self.skipped:
            self.closed = -1
            if Kind.PAUSE not in active:
                self._start_pause(self.since, silence, now, limits, ledger)
        elif Kind.PAUSE in active and 0 <= self.closed <= now - PAUSE_SHOWN:
            seconds = self.longest / ANALYSIS_FS
            ledger.end(Kind.PAUSE, now, f"PAUSE {seconds:.1f} s", round(seconds, 1))
        return False

    def _end_asystole(self, peak: int, now: int, limits: Limits, ledger: Ledger) -> None:
        """One beat may be an artefact; a second one within the limit proves that the heart beats."""
        if self.returning < 0 or peak - self.returning > limits.asystole_s * ANALYSIS_FS:
            self.returning = peak
            return
        seconds = (self.returning - ledger.active[Kind.ASYSTOLE].onset) / ANALYSIS_FS
        ledger.end(Kind.ASYSTOLE, now, f"ASYSTOLE {seconds:.1f} s", round(seconds, 1))
        self.peaks = [self.returning, peak]
        self.returning = -1

    def _pause_found(self, peak: int, rr: int, now: int, limits: Limits, ledger: Ledger) -> None:
        self.closed = peak
        shown = ledger.active.get(Kind.PAUSE)
        if shown is None:
            self._start_pause(peak - rr, rr, now, limits, ledger)
            return
        self.longest = max(self.longest, rr)
        seconds = self.longest / ANALYSIS_FS
        if seconds >= (shown.value or 0.0) + PAUSE_LONGER and now - shown.at >= UPDATE_EVERY:
            ledger.update(Kind.PAUSE, now, f"PAUSE {seconds:.1f} s", round(seconds, 1))

    def _start_pause(self, onset: int, rr: int, now: int, limits: Limits, ledger: Ledger) -> None:
        self.longest = rr
        seconds = rr / ANALYSIS_FS
        ledger.start(Kind.PAUSE, onset, now, f"PAUSE {seconds:.1f} s", round(seconds, 1), limits.pause_s)
