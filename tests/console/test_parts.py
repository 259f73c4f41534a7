"""The console's pure parts, run where they run for good: in the browser, as the modules that the server sends."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ecg.leads import LEADS
from stream.waves import WaveFeed
from windowing.spans import Span

BUFFER = """
const { JitterBuffer } = await import("/js/jitter.js");
const frame = (first, count, epoch = 1000, leads = [1, 6]) => ({ bed: "1", epoch, first, count, uvPerBit: 2, sentAt: 0,
  leads: Uint8Array.from(leads),
  counts: Int16Array.from({ length: leads.length * count }, (_, i) => first + (i % count)) });
const buffer = new JitterBuffer();
"""
BOOK = """
const { AlarmBook } = await import("/js/alarms.js");
const book = new AlarmBook();
let n = 0;
const say = (id, phase, over = {}) => book.take(`${++n}-0`, { id, event: `${id}.${phase}.${over.at ?? 5}`, bed: "1",
  epoch: 0, priority: "medium", phase, state: phase === "end" ? "inactive" : "active", onset: 4, at: 5, text: id,
  ...over });
"""


@pytest.mark.parametrize("room", [(1050, 600), (1590, 960), (1280, 600), (600, 900)])
def test_any_number_of_beds_fits(js: Callable[..., Any], room: tuple[int, int]) -> None:
    """From 1 to 64 beds the cells never reach beyond the room, and no row stays empty."""
    grids = js(
        """const { chooseGrid, GAP } = await import("/js/layout.js");
        return Array.from({ length: 64 }, (_, i) => ({ ...chooseGrid(i + 1, ...argument), gap: GAP }));""",
        list(room),
    )
    for beds, grid in enumerate(grids, 1):
        columns, rows, gap = grid["columns"], grid["rows"], grid["gap"]
        assert columns * rows >= beds > columns * (rows - 1)
        assert columns * grid["cellWidth"] + gap * (columns - 1) <= room[0]
        assert rows * grid["cellHeight"] + gap * (rows - 1) <= room[1]
        assert min(grid["cellWidth"] / 2, grid["cellHeight"]) >= 40


def test_the_servers_frame_is_read_as_it_was_written(js: Callable[..., Any]) -> None:
    """What ``WaveFeed`` packs, the console unpacks: bed, epoch, index, leads, and every sample to the bit."""
    rng = np.random.default_rng(3)
    microvolts = rng.normal(0, 500, (12, 100)).astype(np.float32)
    mask = np.ones((12, 100), dtype=np.bool_)
    mask[[LEADS.index("III"), LEADS.index("V6")]] = False
    mask[1, 40:] = False
    frame = WaveFeed().frame(
        "Bett 7ä", Span(1_700_000_000_123, 5000, microvolts, mask, np.ones(2, dtype=np.bool_), 1_700_000_010_456.0)
    )
    assert frame is not None
    seen = js(
        """const { decodeFrame, microvolts } = await import("/js/frames.js");
        const frame = decodeFrame(Uint8Array.from(argument).buffer);
        return { ...frame, leads: [...frame.leads], counts: [...frame.counts],
                 blank: microvolts(frame.counts[frame.count + 24], frame.uvPerBit) };""",
        list(frame),
    )
    rows = [row for row in range(12) if row not in (LEADS.index("III"), LEADS.index("V6"))]
    assert (seen["bed"], seen["epoch"], seen["first"], seen["count"]) == ("Bett 7ä", 1_700_000_000_123, 1250, 25)
    assert seen["leads"] == rows
    assert seen["sentAt"] == 1_700_000_010_456
    assert seen["counts"] == np.frombuffer(frame[-2 * 25 * len(rows) :], "<i2").tolist()
    assert seen["blank"] is None or np.isnan(seen["blank"])


@pytest.mark.parametrize(
    ("data", "says"),
    [([1] * 10, "10 bytes has no header"), ([9] + [0] * 40, "version 9"), ([1, 2, 25] + [0] * 60, "expected")],
)
def test_a_wrong_frame_is_refused_with_its_reason(js: Callable[..., Any], data: list[int], says: str) -> None:
    """A frame that cannot be one of ours is never drawn."""
    body = """const { decodeFrame } = await import("/js/frames.js");
    try { decodeFrame(Uint8Array.from(argument).buffer); } catch (error) { return error.message; }"""
    assert says in js(body, data)


def test_the_index_clock_runs_steadily_behind_uneven_frames(js: Callable[..., Any]) -> None:
    """Frames that come in bunches leave at 125 Hz within 10 %, with about 400 ms in hand, and none is lost."""
    steps = js(
        BUFFER
        + """
        const arrivals = [], positions = [];
        for (let k = 0; k < 60; k += 1) arrivals.push([200 * k + (k % 3 === 1 ? 150 : 0), 25 * k]);
        for (let t = 0; t < 12000; t += 1000 / 60) {
          while (arrivals.length && arrivals[0][0] <= t) buffer.push(frame(arrivals.shift()[1], 25), t);
          buffer.advance(1000 / 60);
          positions.push([buffer.position, buffer.end]);
        }
        return { positions: positions.slice(60), counts: buffer.counts };"""
    )
    drawn = np.array(steps["positions"])
    rate = np.diff(drawn[:, 0]) * 60
    assert (rate >= 0.9 * 125).all()
    assert (rate <= 1.1 * 125).all()
    lag_s = (drawn[:, 1] - drawn[:, 0]) / 125
    assert lag_s.min() > 0.1
    assert lag_s.max() < 0.8
    assert steps["counts"] == {"late": 0, "gaps": 0, "resyncs": 0}


def test_holes_repeats_and_new_epochs(js: Callable[..., Any]) -> None:
    """A hole reads as not measured, a repeat changes nothing, a new epoch begins anew and stays."""
    seen = js(
        BUFFER
        + """
        buffer.push(frame(100, 25), 1);
        buffer.push(frame(150, 25), 2);
        buffer.push(frame(100, 25), 3);
        const hole = [buffer.at(1, 124), buffer.at(1, 125), buffer.at(1, 149), buffer.at(1, 150), buffer.at(0, 150)];
        const repeated = { ...buffer.counts, heardAt: buffer.heardAt };
        buffer.push(frame(0, 25, 2000), 4);
        buffer.push(frame(175, 25, 1000), 5);
        return { hole: hole.map(String), repeated, epoch: buffer.epoch, end: buffer.end };"""
    )
    assert seen["hole"] == ["248", "NaN", "NaN", "300", "NaN"]
    assert seen["repeated"] == {"late": 1, "gaps": 1, "resyncs": 0, "heardAt": 2}
    assert (seen["epoch"], seen["end"]) == (2000, 25)


def test_a_lead_that_is_gone_does_not_show_what_stood_in_the_ring(js: Callable[..., Any]) -> None:
    """The ring is full of old samples; where a frame has no such lead, none of them comes up again."""
    seen = js(
        BUFFER
        + """
        for (let k = 0; k < 100; k += 1) buffer.push(frame(25 * k, 25), k);
        buffer.push(frame(2500, 25, 1000, [6]), 100);
        return [buffer.at(1, 2499), buffer.at(1, 2500), buffer.at(6, 2500), buffer.at(6, 400)].map(String);"""
    )
    assert seen == ["4998", "NaN", "5000", "NaN"]


def test_a_clock_that_slept_jumps_to_now(js: Callable[..., Any]) -> None:
    """After a hidden tab the trace goes on at the present; it does not play the past at double speed."""
    lag = js(
        BUFFER
        + """
        for (let k = 0; k < 100; k += 1) buffer.push(frame(25 * k, 25), k);
        buffer.advance(16);
        return buffer.end - buffer.position;"""
    )
    assert lag == 50


def test_the_book_counts_every_event_once(js: Callable[..., Any]) -> None:
    """A repeated event changes nothing; the most urgent stands first; an escalation is news, an update is not."""
    seen = js(
        BOOK
        + """
        const news = [say("a", "start"), say("a", "start"), say("a", "update", { text: "a2", at: 6 }),
          say("a", "escalate", { priority: "high", at: 7 }), say("b", "start", { onset: 9 }), say("c", "start"),
          say("c", "end")].map(Boolean);
        return { news, active: book.active().map(each => [each.id, each.priority]), last: book.last,
                 ended: book.ended.map(each => [each.id, each.since, each.ended]) };"""
    )
    assert seen["news"] == [True, False, False, True, True, True, False]
    assert seen["active"] == [["a", "high"], ["b", "medium"]]
    assert seen["ended"] == [["c", 8, 10]]
    assert seen["last"] == "7-0"


def test_another_log_ends_what_it_does_not_name(js: Callable[..., Any]) -> None:
    """While the new log is read the old alarms stand; once it is through, only those that it names."""
    seen = js(
        BOOK
        + """
        say("a", "start"); say("b", "start"); book.reread(); n = 0; say("b", "start");
        const during = book.standing.size; book.settle();
        return { during, after: [...book.standing.keys()], last: book.last };"""
    )
    assert seen == {"during": 2, "after": ["b"], "last": "1-0"}


def test_a_log_that_never_reaches_its_end_is_shown_all_the_same(js: Callable[..., Any]) -> None:
    """What is read of the past is held back until it is through, for two heartbeats at most, and not while offline."""
    body = """
        const { AlarmFeed } = await import("/js/feed.js");
        const nothing = () => undefined;
        const feed = new AlarmFeed({ protocols: [], onNews: nothing, onUp: nothing, onDown: nothing });
        const say = (message) => { feed.socket.plan.onMessage(JSON.stringify(message)); return feed.catchingUp; };
        const hello = { type: "hello", top: "9-0", log: "a", heartbeat_s: 2 };
        const heartbeat = { type: "heartbeat", last_id: null };
        const seen = [feed.catchingUp, say(hello), say(heartbeat), say(heartbeat), say(hello)];
        feed.socket.plan.onDown("gone");
        return [...seen, feed.catchingUp];"""
    assert js(body) == [False, True, True, False, True, False]


def test_rates_that_may_be_shown(js: Callable[..., Any]) -> None:
    """A number only while the bed is live and its signal usable."""
    bed = {"connection": "live", "usable": True, "hr_bpm": 71.6}
    cases = [{}, {"usable": False}, {"hr_bpm": None}] + [
        {"connection": word} for word in ("behind", "offline", "unserved", "unreported")
    ]
    body = 'const { rateText } = await import("/js/words.js"); return argument.map(rateText);'
    assert js(body, [bed | case for case in cases]) == ["72", "-?-", "-?-", "-?-", "---", "---", "---"]


def test_waits_grow_to_five_seconds_at_most(js: Callable[..., Any]) -> None:
    """Reconnecting starts soon, slows down, and never takes longer than 5 s."""
    body = """const { backoffMs } = await import("/js/sockets.js");
    return [0, 1, 2, 8, 999].map(attempt => [backoffMs(attempt, 0), backoffMs(attempt, 1)]);"""
    assert js(body) == [[125, 250], [250, 500], [500, 1000], [2500, 5000], [2500, 5000]]


def test_alarm_sounds_have_their_pulses(js: Callable[..., Any]) -> None:
    """High is two groups of five, medium three, low one; no pulse runs into the next, no burst into its repetition."""
    bursts = js('return (await import("/js/audio.js")).BURSTS;')
    assert {name: len(burst["starts"]) for name, burst in bursts.items()} == {
        "high": 10,
        "medium": 3,
        "low": 1,
        "technical": 1,
    }
    for burst in bursts.values():
        assert (np.diff(burst["starts"]) > burst["pulse"]).all()
        assert burst["every"] == 0 or burst["every"] > burst["starts"][-1] + burst["pulse"]
    pauses = np.diff(bursts["high"]["starts"])
    assert pauses[4] > 2 * pauses[:4].max() * 0.8


def test_settings_of_an_older_console_are_mended(js: Callable[..., Any]) -> None:
    """Whatever stands in the browser's storage, the wall opens with a valid speed, gain and ruler."""
    body = 'const { validSettings } = await import("/js/settings.js"); return argument.map(validSettings);'
    valid = js(body, [{"speed": 50, "gain": 7, "ruler": -1, "list": "yes"}, None, 3])
    assert [each["speed"] for each in valid] == [50, 25, 25]
    assert {each["gain"] for each in valid} == {10}
    assert all(3 < each["ruler"] < 4 and each["list"] is True for each in valid)
