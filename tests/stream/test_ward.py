"""The ward core over a log that is read again after crashes."""

from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alarms.alarm import AlarmEvent, Phase, State
from ecg.chunk import Chunk
from ecg.synthetic import Script, SyntheticPatient
from models.rhythm_network import RhythmNetwork
from stream.bed import Bed, BedConfig
from stream.checkpoint import encode_checkpoint
from stream.engine import Message
from stream.ward import SILENT_MS, WardCore
from stream.wire import decode_chunk, encode_chunk

CONFIG = BedConfig(waves=False, network=RhythmNetwork.load())
STORIES = ("sinus(rate=80) 8s, asystole 7s, sinus(rate=70) 15s", "sinus(rate=75) 14s, brady(rate=36) 16s")


def chunks_of(story: str, bed: str, seed: int = 3, step: int = 100) -> list[Chunk]:
    patient = SyntheticPatient(Script.parse(story), seed)
    return [
        msgspec.structs.replace(chunk, final=False)
        for chunk in patient.recording().chunks(bed, epoch=1_000_000, seconds=step / patient.fs, uv_per_bit=5.0)
    ]


@pytest.fixture(scope="module")
def stories() -> list[Chunk]:
    """Two beds' chunks in turns."""
    return [
        chunk for pair in zip(*(chunks_of(s, f"b{i}") for i, s in enumerate(STORIES)), strict=True) for chunk in pair
    ]


def offline(chunks: list[Chunk]) -> tuple[list[str], list[bytes]]:
    """Alarm events and findings that the chunks give without any crash."""
    beds: dict[str, Bed] = {}
    events, findings = [], []
    for chunk in chunks:
        step = beds.setdefault(chunk.bed, Bed(chunk.bed, CONFIG)).push(chunk)
        events += [msgspec.json.encode(event) for event in step.alarms]
        findings += [msgspec.json.encode(finding) for finding in step.findings]
    return events, findings


@dataclass
class ListLog:
    """A log as a list, with the position that was committed and the newest checkpoints: what a broker keeps."""

    messages: list[Message]
    committed: int = 0
    checkpoints: dict[str, bytes] = field(default_factory=dict)
    events: dict[str, bytes] = field(default_factory=dict)
    findings: set[bytes] = field(default_factory=set)

    def run(self, until: int, rng_lose_checkpoint: bool) -> None:
        """Own the log from the committed position up to message ``until``, then die."""
        core = WardCore(0, CONFIG, self.checkpoints)
        for start in range(self.committed, until, 7):
            run = self.messages[start : min(start + 7, until)]
            progress = core.process(run)
            for event in progress.batch.alarms:
                data = msgspec.json.encode(event)
                assert self.events.setdefault(event.event, data) == data, "one id, two contents"
            self.findings |= {msgspec.json.encode(finding) for finding in progress.batch.findings}
            assert not any(bed.counts["unrefilled"] for bed in core.beds.values()), "the ring was not refilled"
            due = core.checkpoints_due()
            if rng_lose_checkpoint and start + 7 >= until:
                return  # died between the alarms and the checkpoint
            self.checkpoints |= {checkpoint.bed: encode_checkpoint(checkpoint) for checkpoint in due}
            position = core.confirm(due)
            if position is not None:
                self.committed = position


def log_of(chunks: list[Chunk], ms_per_message: float = 100.0) -> ListLog:
    return ListLog([Message(0, n, ms_per_message * n, encode_chunk(chunk)) for n, chunk in enumerate(chunks)])


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(crashes=st.lists(st.tuples(st.integers(1, 299), st.booleans()), max_size=6))
def test_crashes_anywhere_change_nothing(stories: list[Chunk], crashes: list[tuple[int, bool]]) -> None:
    """Protects the promise of DESIGN.md: after any crashes the same alarms, ids and contents."""
    log = log_of(stories)
    for until, lost in sorted(crashes):
        if until > log.committed:
            log.run(until, lost)
    log.run(len(log.messages), False)
    events, findings = offline(stories)
    assert sorted(log.events.values()) == sorted(events)
    assert log.findings == set(findings)


def test_the_log_is_let_go_of(stories: list[Chunk]) -> None:
    """Protects the log from growing for ever: the committed position trails by the ring and a checkpoint."""
    log = log_of(stories)
    log.run(len(log.messages), False)
    behind_s = (len(log.messages) - log.committed) / 2 * 0.2
    assert 10 <= behind_s <= 10 + 3 + 2, behind_s


@pytest.mark.parametrize("crash_at", [110, 230, 236, 260])
def test_a_silent_bed_neither_holds_the_log_nor_loses_its_ring(crash_at: int) -> None:
    """Protects the others' commits from a bed that falls silent, and the silent bed's ring when it comes back."""
    talker = chunks_of("sinus(rate=80) 60s", "talker")
    silent = chunks_of("sinus(rate=70) 9s, asystole 8s, sinus(rate=70) 13s", "silent")
    order = [chunk for pair in zip(talker[:50], silent[:50], strict=True) for chunk in pair]
    order += talker[50:200]  # thirty seconds without the other
    order += [chunk for pair in zip(talker[200:300], silent[50:150], strict=True) for chunk in pair]
    log = log_of(order, ms_per_message=200.0)
    log.run(100 + int(SILENT_MS / 200) + 40, False)
    assert log.committed > 100, "the silent bed's chunks are still needed"
    log.run(max(crash_at, log.committed + 1), False)
    log.run(len(log.messages), False)
    events, findings = offline(order)
    assert sorted(log.events.values()) == sorted(events)
    assert log.findings == set(findings)


def test_a_run_ends_when_its_time_is_over(stories: list[Chunk]) -> None:
    """Protects alarms from waiting until all that waits is judged: a run is cut by time, and cuts change nothing."""
    messages = log_of(stories).messages
    core = WardCore(0, CONFIG, {})
    events, findings = [], []
    runs = 0
    rest = messages
    while rest:
        progress = core.process(rest, 0.02)
        rest, runs = rest[progress.taken :], runs + 1
        events += [msgspec.json.encode(event) for event in progress.batch.alarms]
        findings += [msgspec.json.encode(finding) for finding in progress.batch.findings]
    assert 1 < runs < len(messages)
    assert (events, findings) == offline(stories)
    assert WardCore(0, CONFIG, {}).process(messages, 0.0).taken == 1, "a slow machine must come on, too"


def test_what_cannot_be_read_is_set_aside(stories: list[Chunk]) -> None:
    """Protects the stream from a message that is no chunk: it is counted with its reason, and the rest goes on."""
    log = log_of(stories)
    bad = [b"\xc1 no MessagePack", encode_chunk(msgspec.structs.replace(stories[0], fs=20))]
    messages = [Message(0, n, 0.0, value) for n, value in enumerate([*bad, *(m.value for m in log.messages[:120])])]
    core = WardCore(0, CONFIG, {})
    progress = core.process(messages)
    assert [letter.position for letter in progress.batch.deadletters] == [0, 1]
    assert "20" in progress.batch.deadletters[1].reason
    assert core.counters["deadletters"] == 2
    assert core.counters["chunks"] == 120


def test_a_checkpoint_of_another_version_does_not_stop_the_ward(stories: list[Chunk]) -> None:
    """Protects the beds after an upgrade: what cannot be restored is judged anew from the log, and that is counted."""
    core = WardCore(0, CONFIG, {})
    messages = log_of(stories).messages
    core.process(messages[:100])
    stale = {
        bed.bed: encode_checkpoint(msgspec.structs.replace(bed, parts={**bed.parts, "detector": b"\x90"}))
        for bed in core.all_checkpoints()
    }
    successor = WardCore(0, CONFIG, stale | {"b9": b"junk"})
    assert successor.counters["checkpoints_refused"] == 3
    progress = successor.process(messages)
    assert [event.event for event in progress.batch.alarms]


def refused_after(
    messages: list[Message], seen: int, late: int = 0
) -> tuple[WardCore, list[AlarmEvent], dict[str, bytes]]:
    """The core after an upgrade that cannot read the parts, what stood on b0 after ``seen`` messages, the checkpoints.

    By another version's judgement alarms stand ``late`` messages longer.
    """
    core = WardCore(0, CONFIG, {})
    core.process(messages[:seen])
    stale = {
        bed.bed: encode_checkpoint(
            msgspec.structs.replace(bed, parts={**bed.parts, "rules": b"\x90"}, position=bed.position + late)
        )
        for bed in core.all_checkpoints()
    }
    return WardCore(0, CONFIG, stale), list(core.beds["b0"].active), stale


def test_alarms_of_a_refused_checkpoint_are_ended_where_the_log_no_longer_shows_them(stories: list[Chunk]) -> None:
    """Protects the nurse from an alarm that stands for ever after an upgrade: the samples that raised it are gone."""
    messages = log_of(stories).messages
    successor, (standing,), stale = refused_after(messages, 150)
    before = successor.process(messages[146:149])
    assert standing.id not in {event.id for event in before.batch.alarms}
    assert not [bed for bed in successor.checkpoints_due() + successor.all_checkpoints() if bed.bed == "b0"]
    after = successor.process(messages[149:])
    (end,) = [event for event in after.batch.alarms if event.id == standing.id]
    assert (end.phase, end.text) == (Phase.END, f"{standing.text} (end not seen)")
    assert "b0" in {bed.bed for bed in successor.all_checkpoints()}
    of_another = [message for message in messages[150:] if decode_chunk(message.value).bed == "b1"]
    assert end in WardCore(0, CONFIG, stale).process(of_another).batch.alarms  # b0 itself may be silent now


def test_alarms_of_a_refused_checkpoint_that_are_found_again_go_on(stories: list[Chunk]) -> None:
    """Protects a standing alarm from an end that is none: the log still has what raised it, so it has the same id."""
    messages = log_of(stories).messages
    for late in (0, 100):  # it stands there; it has ended there
        successor, standing, _ = refused_after(messages, 150, late)
        told = successor.process(messages).batch.alarms
        assert [msgspec.json.encode(event) for event in told] == offline(stories)[0]
        assert len(standing) == 1


def test_a_defect_in_one_bed_silences_neither_the_others_nor_that_bed_for_ever(stories: list[Chunk]) -> None:
    """Protects the ward from our own faults: the message is set aside, the bed begins anew, checkpoints go on."""
    messages = log_of(stories).messages
    core = WardCore(0, CONFIG, {})
    core.process(messages[:60])
    core.beds["b0"]._detector = None  # type: ignore[assignment]  # what a defect in the middle of a chunk leaves behind
    broken = core.process(messages[60:64])
    assert len(broken.batch.deadletters) == 1
    assert "internal error" in broken.batch.deadletters[0].reason
    rest = core.process(messages[64:])
    assert not rest.batch.deadletters
    assert {finding.bed for finding in rest.batch.findings} == {"b0", "b1"}
    assert core.counters["beds_broken"] == 1
    checkpoints = core.checkpoints_due() + core.all_checkpoints()
    assert {checkpoint.bed for checkpoint in checkpoints} == {"b0", "b1"}
    assert core.confirm(checkpoints) is not None
    expected = {event for event in offline(stories)[0] if b'"bed":"b1"' in event}
    assert expected <= {msgspec.json.encode(event) for event in broken.batch.alarms + rest.batch.alarms}


def test_alarms_of_a_bed_that_begins_anew_are_ended(stories: list[Chunk]) -> None:
    """Protects the nurse from an alarm that stands for ever: the bed that would have ended it is gone."""
    messages = log_of(stories).messages
    core = WardCore(0, CONFIG, {})
    told = core.process(messages[:140]).batch.alarms
    (standing,) = core.beds["b0"].active
    watched = core.beds["b0"].end
    core.beds["b0"]._detector = None  # type: ignore[assignment]  # as above
    after = [event for event in core.process(messages[140:]).batch.alarms if event.bed == "b0"]
    (end,) = [event for event in after if event.id == standing.id]
    assert after[0] == end
    assert (end.id, end.phase, end.state, end.at) == (standing.id, Phase.END, State.INACTIVE, watched)
    assert end.text == f"{standing.text} (end not seen)"
    assert end.event not in {event.event for event in told}
    assert standing.id not in {event.id for event in core.beds["b0"].active}


def test_a_new_epoch_ends_the_alarms_of_the_one_before(stories: list[Chunk]) -> None:
    """Protects the next patient of the bed: no alarm of the one before stands beside the new name."""
    chunks = [chunk for chunk in stories if chunk.bed == "b0"][:70]
    bed = Bed("b0", CONFIG)
    for chunk in chunks:
        bed.push(chunk)
    (standing,) = bed.active
    ends = bed.push(msgspec.structs.replace(chunks[0], epoch=2_000_000, sent_at=2_000_200.0)).alarms
    assert [(event.id, event.phase) for event in ends] == [(standing.id, Phase.END)]
    assert not bed.active
