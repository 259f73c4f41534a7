"""Technical alarms of one bed: no data, leads off, signal poor; and whether its signal can be judged at all."""

from collections.abc import Sequence

import msgspec

from alarms.alarm import Kind
from alarms.ledger import Ledger
from ecg.leads import LEADS
from windowing.spans import ANALYSIS_FS, BLOCK

NO_DATA_AFTER = 3 * ANALYSIS_FS  # as long as a monitor may be silent before the API calls it offline
NO_DATA_OFF = ANALYSIS_FS  # a link that limps is one alarm, not one for each chunk that gets through
POOR_AFTER = 5 * ANALYSIS_FS  # turning over in bed takes a few seconds and is nobody's errand
POOR_OFF = 2 * ANALYSIS_FS
LEADS_UPDATE = 2 * ANALYSIS_FS  # electrodes that come off one after the other are one event, not six
# Lost samples look like an open electrode to the quality marks, which look back up to 2 s: after a gap longer than that
# of one or two lost chunks, leads are not called off until the marks see past it.
GAP_HIDES_LEADS = ANALYSIS_FS // 2
LEADS_SETTLE = 2 * ANALYSIS_FS


class Technical(msgspec.Struct, array_like=True):
    """What is known of the signal of one bed. Sets of leads are bits, bit i for lead i of ``ecg.leads.LEADS``.

    Attributes:
        usable: a beat could be seen: some lead is good, or the leads are flat, which is what an asystole looks like.
        noisy: some lead is measured, but none can be judged by.
        present: leads that the monitor sends.
        flat: leads that were flat at the latest mark, the one before, and the one before that.
        marks: sample indices of those marks.
        dead: leads that stayed flat while other leads showed a beat: an electrode is off, or nothing is plugged in.
        off: leads that were off at the latest mark.
        shown: leads that are off by two marks or more: what the alarm names.
        gap_from: first sample of the blocks that the monitor did not send; −1 if it sends.
        data_from: first sample since it sends again.
        settle: until this sample the marks may still look back into a gap.
        poor_from, fine_from: since when the signal has (not) been poor; −1 if it is not.
    """

    usable: bool = False
    noisy: bool = False
    present: int = 0
    flat: tuple[int, int, int] = (0, 0, 0)
    marks: tuple[int, int, int] = (0, 0, 0)
    dead: int = 0
    off: int = 0
    shown: int = 0
    gap_from: int = -1
    data_from: int = 0
    settle: int = 0
    poor_from: int = -1
    fine_from: int = -1

    def mark(self, at: int, states: Sequence[str], last_beat: int, ledger: Ledger) -> None:
        """Take the states of the twelve leads at sample ``at``; ``last_beat`` is the newest R peak known.

        Raises:
            ValueError: there are not twelve states, or one of them is unknown.
        """
        if len(states) != len(LEADS):
            raise ValueError(f"states: expected {len(LEADS)}, got {list(states)!r}")
        good = bad = flat = off = missing = 0
        for index, state in enumerate(states):
            bit = 1 << index
            if state == "good":
                good |= bit
            elif state == "noisy" or state == "saturated":
                bad |= bit
            elif state == "flat":
                flat |= bit
            elif state == "off":
                off |= bit
            elif state == "missing":
                missing |= bit
            else:
                raise ValueError(f"states: expected good, noisy, saturated, flat, off or missing, got {str(state)!r}")
        self.flat = (flat, self.flat[0], self.flat[1])
        self.marks = (at, self.marks[0], self.marks[1])
        # The beat must be younger than the first of three flat marks: the last beat before an asystole never is, and
        # the flat line that follows it must stay something to judge by.
        steadily = flat & self.flat[1] & self.flat[2]
        self.dead = self.dead & flat | (steadily if last_beat > self.marks[2] else 0)
        alive = flat & ~self.dead
        # A flat lead beside noisy ones may have been dead all along, and a beat may hide in the noise.
        self.usable = good != 0 or (alive != 0 and bad == 0)
        self.noisy = not self.usable and (bad | flat) != 0
        self.present = good | bad | flat | off
        if self.gap_from < 0 and at > self.settle:
            self._leads(at, off, ledger)

    def tick(self, now: int, covered: bool, received: bool, ledger: Ledger) -> None:
        """Take the block that ends at sample ``now``."""
        if received:
            if self.gap_from >= 0:
                self._gap_ended(now - BLOCK)
            if covered and (self.noisy or self.poor_from >= 0):
                self._poor(now, ledger)
            if now - self.data_from >= NO_DATA_OFF and Kind.NO_DATA in ledger.active:
                ledger.end(Kind.NO_DATA, now)
            return
        if self.gap_from < 0:
            self.gap_from = now - BLOCK
        elif now - self.gap_from >= NO_DATA_AFTER and Kind.NO_DATA not in ledger.active:
            ledger.start(Kind.NO_DATA, self.gap_from, now, "NO DATA")

    def _gap_ended(self, start: int) -> None:
        if start - self.gap_from > GAP_HIDES_LEADS:
            self.settle = start + LEADS_SETTLE
        if start - self.gap_from > NO_DATA_OFF:
            self.poor_from = self.fine_from = -1
        self.gap_from = -1
        self.data_from = start

    def _leads(self, at: int, off: int, ledger: Ledger) -> None:
        before, self.off = self.off, off
        # Two marks (0.5 s) must agree before a lead is named or taken back.
        shown = (before & off) | (self.shown & (before | off)) | self.dead
        self.shown = shown & self.present
        alarm = ledger.active.get(Kind.LEADS_OFF)
        if alarm is None:
            if self.shown:
                ledger.start(Kind.LEADS_OFF, self.marks[1] if self.shown & before else at, at, self._names())
        elif not self.shown:
            ledger.end(Kind.LEADS_OFF, at)
        elif at - alarm.at >= LEADS_UPDATE and alarm.text != (names := self._names()):
            ledger.update(Kind.LEADS_OFF, at, names)

    def _names(self) -> str:
        if self.shown == self.present and self.present & (self.present - 1):
            return "ALL LEADS OFF"
        return "LEADS OFF " + ", ".join(lead for index, lead in enumerate(LEADS) if self.shown >> index & 1)

    def _poor(self, now: int, ledger: Ledger) -> None:
        start = now - BLOCK
        if self.noisy:
            self.fine_from = -1
            if self.poor_from < 0:
                self.poor_from = start
            if now - self.poor_from >= POOR_AFTER and Kind.SIGNAL_POOR not in ledger.active:
                ledger.start(Kind.SIGNAL_POOR, self.poor_from, now, "SIGNAL POOR")
            return
        if Kind.SIGNAL_POOR not in ledger.active:
            self.poor_from = -1
            return
        if self.fine_from < 0:
            self.fine_from = start
        if now - self.fine_from >= POOR_OFF:
            ledger.end(Kind.SIGNAL_POOR, now)
            self.poor_from = self.fine_from = -1
