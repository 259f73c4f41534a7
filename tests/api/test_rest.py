"""REST on a real server: beds, strips, history, health, figures, documents, and refusals that quote the value."""

import time
import zlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from jsonschema import Draft202012Validator

from alarms.alarm import Kind, Phase
from api.asyncapi import asyncapi_document
from api.messages import SOCKET_MESSAGES
from ecg.chunk import MISSING
from ecg.leads import LEADS
from stream.states import NOT_JUDGED, EpisodeState, RhythmState
from stream.store import StoreWriter
from stream.waves import StripSecond
from stream.wire import encode_alarm

from .conftest import Api, bed_state, event, eventually, message, worker_state


async def test_beds_and_their_connections(api: Api, writer: StoreWriter) -> None:
    """All beds and one bed say the same of it; an unknown bed is 404 and named."""
    await writer.show(states=[bed_state("b1"), bed_state("b 2", received_at=1.0)], worker=worker_state())
    await eventually(lambda: api.get("/beds").json()["beds"])
    ward = api.get("/beds").json()
    assert [bed["bed"] for bed in ward["beds"]] == ["b 2", "b1"]
    assert ward["beds"][1]["connection"] == "live"
    assert ward["service"]["workers"] == 1
    one = api.get("/beds/b%202")
    assert one.json()["bed"] == "b 2"
    assert one.json()["connection"] != "live"
    assert one.headers["cache-control"] == "no-store"
    missing = api.get("/beds/b9")
    assert (missing.status_code, missing.json()) == (404, {"error": "unknown bed 'b9'"})


async def test_rhythm_goes_through_and_its_absence_too(api: Api, writer: StoreWriter) -> None:
    """What the network says of a bed arrives as it was written, by REST and by socket; without a network it is null."""
    rhythm = RhythmState(
        now="af", provisional=True, probabilities={"af": 0.83, "flutter": 0.14}, prediction_set=("af", "flutter"),
        evidence=(0.2, NOT_JUDGED, 0.9), burden=0.125, af_s=450.0, analysed_s=3600.0, longest_s=300.0,
        episodes=(EpisodeState(kind="af", onset_ms=5000.0, offset_ms=None, confirmed=False),), model="4be1c0de90a7f215",
    )  # fmt: skip
    await writer.show(states=[bed_state("b1", rhythm=rhythm), bed_state("b2")], worker=worker_state())
    await eventually(lambda: len(api.get("/beds").json()["beds"]) == 2)
    sent = msgspec.json.decode(msgspec.json.encode(rhythm))
    assert [bed["rhythm"] for bed in api.get("/beds").json()["beds"]] == [sent, None]
    assert api.get("/beds/b1").json()["rhythm"] == sent
    async with api.socket("/ws/alarms") as socket:
        status = await message(socket, "status")
        assert [bed["rhythm"] for bed in status["beds"]] == [sent, None]


async def test_strip_has_null_where_nothing_was_measured(api: Api, writer: StoreWriter) -> None:
    """A gap is null, a lead that was off is null as a whole, and what was measured comes in microvolts."""
    counts = np.tile(np.arange(500, dtype="<i2"), (12, 1))
    counts[1, 3] = MISSING
    seconds = [
        StripSecond(1000, end, (True,) * 11 + (False,), zlib.compress(counts.tobytes())) for end in (500, 1000, 2000)
    ]
    await writer.show(states=[bed_state("b1")], strips=[("b1", second) for second in seconds])
    strip = api.get("/beds/b1/strip", end=1600, seconds=3).json()
    assert (strip["bed"], strip["epoch"], strip["fs"], strip["leads"]) == ("b1", 1000, 500, list(LEADS))
    assert (strip["first"], strip["end"]) == (100, 1600)
    assert strip["microvolts"][11] is None
    row = strip["microvolts"][1]
    assert len(row) == 1500
    assert (row[0], row[399], row[403], row[404], row[899]) == (100.0, 499.0, None, 4.0, 499.0)
    assert row[900:1400] == [None] * 500, "the third second never came"
    assert row[1400:1403] == [0.0, 1.0, 2.0]
    assert api.get("/beds/b1/strip", epoch=5).json()["error"] == "no strip of bed 'b1' is kept for epoch 5"
    assert api.get("/beds/b9/strip").json()["error"] == "unknown bed 'b9'"


async def test_history_filters_and_pages(api: Api, writer: StoreWriter) -> None:
    """Every filter alone and together, newest first; pages join without a gap or a double."""
    beds, kinds = ("b1", "b2"), (Kind.TACHY, Kind.ASYSTOLE, Kind.BRADY)
    story = [
        event(n * 50, bed=beds[n % 2], kind=kinds[n % 3], phase=Phase.END if n % 5 == 0 else Phase.START)
        for n in range(1, 121)
    ]
    await writer.project_alarms([(n, encode_alarm(item), item.event) for n, item in enumerate(story, 1)], 0)

    def numbers(**query: object) -> list[int]:
        answer = api.get("/alarms", **query)
        assert answer.status_code == 200, answer.text
        return [int(item["id"].removesuffix("-0")) for item in answer.json()["alarms"]]

    assert numbers(limit=500) == list(range(120, 0, -1))
    assert numbers(bed="b2", limit=500) == list(range(119, 0, -2))
    assert numbers(kind="asystole", phase="end") == [n for n in range(120, 0, -1) if n % 3 == 1 and n % 5 == 0]
    assert numbers(priority="high", bed="b1") == [n for n in range(120, 0, -1) if n % 3 == 1 and n % 2 == 0]
    # Event n was decided at sample 50 n, that is at 1000 ms + 100 n ms.
    assert numbers(since_ms=2000, until_ms=2500) == [14, 13, 12, 11, 10]
    paged: list[int] = []
    before = None
    while True:
        query = {"limit": 7, "bed": "b1"} | ({"before": before} if before else {})
        page = api.get("/alarms", **query).json()
        paged += [int(item["id"].removesuffix("-0")) for item in page["alarms"]]
        before = page["before"]
        if before is None:
            break
    assert paged == list(range(120, 0, -2))


async def test_active_alarms_follow_the_log(api: Api, writer: StoreWriter) -> None:
    """Active is what began and did not end, with its newest event."""
    story = [event(50), event(60, kind=Kind.BRADY), event(70, phase=Phase.UPDATE)]
    await writer.project_alarms([(n, encode_alarm(item), item.event) for n, item in enumerate(story, 1)], 0)

    def active() -> list[str]:
        return [item["id"] for item in api.get("/alarms/active").json()["alarms"]]

    await eventually(lambda: active() == ["3-0", "2-0"])
    end = event(80, kind=Kind.BRADY, phase=Phase.END)
    await writer.project_alarms([(4, encode_alarm(end), end.event)], 3)
    await eventually(lambda: active() == ["3-0"])


@pytest.mark.parametrize(
    ("path", "query", "said"),
    [
        ("/beds/b1/strip", {"seconds": 9999}, "seconds:"),
        ("/beds/b1/strip", {"end": "last"}, "end:"),
        ("/alarms", {"limit": 501}, "limit:"),
        ("/alarms", {"kind": "vt"}, "kind:"),
        ("/alarms", {"before": "abc"}, "before:"),
    ],
)
async def test_bad_parameters_are_quoted(api: Api, path: str, query: dict[str, str | int], said: str) -> None:
    """Whoever reads the answer knows which value to change."""
    answer = api.get(path, **query)
    assert answer.status_code == 422
    assert said in answer.json()["error"]
    assert repr(str(next(iter(query.values())))) in answer.json()["error"]


async def test_ready_only_while_the_ward_is_watched(api: Api, writer: StoreWriter) -> None:
    """Each thing that must be there is missing once: no worker, no bed, beds that stand still."""

    def reason() -> str | None:
        answer = api.get("/ready", token=None)
        assert (answer.status_code == 200) is answer.json()["ready"]
        return answer.json()["reason"]

    await eventually(lambda: "worker" in reason())
    await writer.show(worker=worker_state())
    await eventually(lambda: "no bed" in reason())
    await writer.show(states=[bed_state("b1", processed_at=time.time() * 1000 - 9000)])
    await eventually(lambda: "processed" in reason())
    await writer.show(states=[bed_state("b1")], worker=worker_state())
    await eventually(lambda: reason() == "")


async def test_figures_for_prometheus(start_api: Callable[..., Api], writer: StoreWriter) -> None:
    """Workers' counters, beds by connection and this server's own figures are there; open only if told so."""
    await writer.show(states=[bed_state("b1")], worker=worker_state())
    api = start_api()
    await eventually(lambda: 'wardbeat_beds{connection="live"} 1.0' in api.get("/metrics").text)
    text = api.get("/metrics").text
    assert 'wardbeat_chunks_total{worker="w1"} 42.0' in text
    assert 'wardbeat_worker_backlog_seconds{worker="w1"} 0.0' in text
    assert api.get("/metrics", token=None).status_code == 401
    assert start_api(open_metrics=True).get("/metrics", token=None).status_code == 200


async def test_documents_agree_with_the_types(api: Api) -> None:
    """The published schemas are valid, complete, and name exactly the fields that are sent."""
    document = api.get("/asyncapi.json").json()
    assert document["asyncapi"] == "3.0.0"
    for channel in document["channels"].values():
        for reference in channel["messages"].values():
            payload = resolve(document, resolve(document, reference)["payload"])
            Draft202012Validator.check_schema(payload)
    for kind in SOCKET_MESSAGES:
        properties = document["components"]["schemas"][kind.__name__]["properties"]
        assert set(properties) == {"type", *kind.__struct_fields__}
    assert set(document["channels"]) >= {"ecg.chunks", "ecg.findings", "ecg.alarms", "alarmSocket", "waveSocket"}
    openapi = api.get("/openapi.json").json()
    assert set(openapi["paths"]) >= {"/beds", "/beds/{bed}/strip", "/alarms", "/live", "/ready", "/metrics"}
    schema = openapi["paths"]["/beds"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert "beds" in resolve(openapi, schema)["properties"]


def resolve(document: dict, node: dict) -> dict:
    """What a local reference points at."""
    while "$ref" in node:
        target = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def test_schemas_have_no_dangling_reference() -> None:
    """Every reference in the document leads somewhere."""
    document = asyncapi_document("test")

    def walk(node: object) -> None:
        if isinstance(node, dict):
            if "$ref" in node:
                assert resolve(document, node)
            for child in node.values():
                walk(child)
        elif isinstance(node, list):
            for child in node:
                walk(child)

    walk(document)


async def test_console_is_served_strictly(start_api: Callable[..., Api], tmp_path: Path) -> None:
    """The page may load nothing from outside and run nothing inline; an unchanged file is not sent twice."""
    console = tmp_path / "console"
    console.mkdir()
    (console / "index.html").write_text("<!doctype html><title>Wardbeat</title>")
    (console / "main.js").write_text("export const ward = 1;")
    api = start_api(console=console)
    page = api.get("/", token=None)
    assert page.status_code == 200
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-cache"
    script = api.get("/main.js", token=None)
    assert script.headers["content-type"].startswith("text/javascript")
    assert script.headers["x-content-type-options"] == "nosniff"
    assert script.headers["etag"]
    missing = api.get("/../api/auth.py", token=None)
    assert (missing.status_code, "error" in missing.json()) == (404, True)
