"""The command line."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from wardbeat.settings import Settings, SettingsError, load_settings

app = typer.Typer(help="Watches every bed of a telemetry ward at once.", no_args_is_help=True, add_completion=False)
topics_app = typer.Typer(help="The topics in Apache Kafka.", no_args_is_help=True)
token_app = typer.Typer(help="Tokens for people and programs.", no_args_is_help=True)
app.add_typer(topics_app, name="topics")
app.add_typer(token_app, name="token")
console = Console(stderr=True, soft_wrap=True)  # a path that is broken in two cannot be copied

EngineFlag = Annotated[str | None, typer.Option("--engine", help="kafka or embedded")]
RecordsArgument = Annotated[list[Path], typer.Argument(help="records or folders of them")]


def _settings(**flags: object) -> Settings:
    try:
        return load_settings(**flags)
    except SettingsError as error:
        console.print(f"[red]wrong setting:[/] {escape(str(error))}", highlight=False)
        raise typer.Exit(2) from None


def _fail(error: Exception) -> "typer.Exit":
    console.print(f"[red]{type(error).__name__}:[/] {escape(str(error))}", highlight=False)
    return typer.Exit(1)


@app.command()
def demo(
    beds: Annotated[int, typer.Option(min=1, max=64, help="how many synthetic patients")] = 8,
    kafka: Annotated[bool, typer.Option("--kafka", help="on Apache Kafka and Faust (needs Java 17 and Maven)")] = False,
    seconds: Annotated[float | None, typer.Option("--for", min=5, help="end by itself, print one JSON line")] = None,
    port: Annotated[int | None, typer.Option(help="of the console")] = None,
    in_step: Annotated[
        bool, typer.Option("--in-step", help="all monitors begin at one instant: the hardest a worker can meet")
    ] = False,
) -> None:
    """A small ward on parts that wardbeat starts by itself, and the page to open."""
    from wardbeat.demo import run_demo

    settings = _settings(port=port, engine="kafka" if kafka else "embedded")
    raise typer.Exit(run_demo(settings, beds, seconds, in_step, console))


@app.command()
def worker(
    engine: EngineFlag = None,
    name: Annotated[str | None, typer.Option(help="this worker's name")] = None,
    redis: Annotated[str | None, typer.Option(help="address of Redis or Valkey")] = None,
    kafka: Annotated[str | None, typer.Option(help="bootstrap servers")] = None,
    device: Annotated[str | None, typer.Option(help="what the network runs on: cpu or cuda")] = None,
    check: Annotated[bool, typer.Option("--check", help="only say whether the worker of this name is alive")] = False,
) -> None:
    """Watch beds: take chunks from the log, give findings and alarms."""
    from wardbeat.services import run_worker, worker_is_alive

    settings = _settings(engine=engine, worker=name, redis=redis, kafka=kafka, device=device)
    try:
        raise typer.Exit(not worker_is_alive(settings) if check else run_worker(settings))
    except SettingsError as error:
        raise _fail(error) from None


@app.command()
def api(
    host: Annotated[str | None, typer.Option(help="address to listen on")] = None,
    port: Annotated[int | None, typer.Option(help="port to listen on")] = None,
    redis: Annotated[str | None, typer.Option(help="address of Redis or Valkey")] = None,
) -> None:
    """Serve REST, WebSockets and the console."""
    from wardbeat.services import run_api

    run_api(_settings(host=host, port=port, redis=redis))


@app.command()
def simulate(
    beds: Annotated[int, typer.Option(min=1, max=1000, help="how many patients")] = 1,
    script: Annotated[str | None, typer.Option(help="such as 'sinus 60s, af 90s, sinus 60s'")] = None,
    out: Annotated[Path | None, typer.Option(help="write WFDB records here instead of feeding the ward")] = None,
    seed: Annotated[int, typer.Option(help="of the first patient; the others follow")] = 1,
    speed: Annotated[str, typer.Option(help="times real time, or max")] = "1",
    loop: Annotated[bool, typer.Option(help="begin the script again when it ends")] = False,
    engine: EngineFlag = None,
) -> None:
    """Synthetic patients, into the ward or into records with their true beats and rhythms."""
    from wardbeat.feeding import simulate as run

    _guard(lambda: run(_settings(engine=engine), beds, script, out, seed, _speed(speed), loop, console))


@app.command()
def replay(
    records: RecordsArgument,
    speed: Annotated[str, typer.Option(help="times real time, or max")] = "1",
    start: Annotated[float, typer.Option("--from", min=0, help="second of each recording to begin at")] = 0.0,
    engine: EngineFlag = None,
) -> None:
    """Feed recordings into the ward as if their patients lay there now, one bed a record."""
    from wardbeat.feeding import replay as run

    _guard(lambda: run(_settings(engine=engine), records, _speed(speed), start, console))


@app.command()
def watch(
    url: Annotated[str | None, typer.Option(help="address of the API; by default on this machine")] = None,
    token: Annotated[str | None, typer.Option(envvar="WARDBEAT_TOKEN", help="as the demo prints it")] = None,
    since: Annotated[str, typer.Option(help="the last entry you have seen; 0 is all that is kept")] = "0",
    seconds: Annotated[float | None, typer.Option("--for", min=1, help="end by itself")] = None,
    json_lines: Annotated[bool, typer.Option("--json", help="one JSON line an event")] = False,
) -> None:
    """The alarms in a terminal, over the WebSocket."""
    from wardbeat.watch import watch as run

    settings = _settings()
    url = url or f"http://127.0.0.1:{settings.port}"
    _guard(lambda: asyncio.run(run(url, token, settings.secret, since, seconds, json_lines, console)))


@app.command()
def analyze(
    records: RecordsArgument,
    json_lines: Annotated[bool, typer.Option("--json", help="one JSON line a record")] = False,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="records at once")] = 1,
    beats: Annotated[str | None, typer.Option(help="take the beats from this annotation file, e.g. atr")] = None,
    fs: Annotated[int | None, typer.Option(help="Hz, for files that do not say it")] = None,
    hr_low: Annotated[int | None, typer.Option(help="lower rate limit")] = None,
    hr_high: Annotated[int | None, typer.Option(help="upper rate limit")] = None,
) -> None:
    """What the ward would have said of recordings: the same core, offline."""
    from wardbeat.analyze import analyze_files

    settings = _settings(hr_low=hr_low, hr_high=hr_high)
    if jobs > 1 and settings.device != "cpu":
        raise typer.BadParameter(f"--jobs: a network on {settings.device!r} serves one process, got {jobs}")

    def work() -> None:
        if analyze_files(records, settings.beds(waves=False), json_lines, jobs, beats, fs, console):
            raise typer.Exit(1)

    _guard(work)


@app.command()
def evaluate(
    datasets: Annotated[list[str] | None, typer.Argument(help="such as mitdb and cinc2017; none or all: each")] = None,
    data: Annotated[Path, typer.Option(help="folder of index.csv and the recordings")] = Path(".data"),
    weights: Annotated[Path | None, typer.Option(help="of the network; by default the shipped one")] = None,
    left_out: Annotated[bool, typer.Option("--left-out", help="by networks that never saw the database")] = False,
    leads: Annotated[
        str, typer.Option(help="sets of leads besides all, such as I, I+II+V1, limb, RR")
    ] = "12,I,II,V1,I+II+V1",
    json_file: Annotated[Path | None, typer.Option("--json", help="write the report here as JSON")] = None,
    markdown_file: Annotated[Path | None, typer.Option("--markdown", help="and here as Markdown")] = None,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="records at once")] = 2,
    hop: Annotated[float, typer.Option(min=0.5, max=5, help="seconds between windows of long records")] = 1.0,
    results: Annotated[
        Path | None, typer.Option(help="keep judged records here: a stopped evaluation goes on from them")
    ] = None,
) -> None:
    """What the network is worth on annotated databases, with intervals by patient."""
    from wardbeat.evaluate import evaluate_databases
    from wardbeat.evaluation.run import Request

    sets = tuple(name.strip() for name in leads.split(",") if name.strip())

    def work() -> None:
        request = Request(tuple(datasets or ()), data, weights, left_out, sets, jobs, hop, results)
        evaluate_databases(request, json_file, markdown_file, console)

    _guard(work)


@app.command()
def card(
    report: Annotated[Path, typer.Argument(help="JSON of `wardbeat evaluate --left-out`")],
    out: Annotated[Path, typer.Option(help="the card to write")] = Path("weights/MODEL_CARD.md"),
    weights: Annotated[Path | None, typer.Option(help="the network it is of; by default the shipped one")] = None,
    ablations: Annotated[Path | None, typer.Option(help="JSON list of name, dataset, leads, auroc, f1")] = None,
    remarks: Annotated[Path | None, typer.Option(help="Markdown: why aims were missed, in your words")] = None,
) -> None:
    """Write the model card from a report."""
    from wardbeat.evaluate import write_card

    _guard(lambda: write_card(report, weights, ablations, remarks, out))


@app.command()
def train(
    config: Annotated[Path | None, typer.Argument(help="JSON of wardbeat.training.config.TrainingConfig")] = None,
    prepare: Annotated[bool, typer.Option("--prepare", help="only fill the cache of windows")] = False,
    data: Annotated[Path, typer.Option(help="folder of index.csv and the recordings")] = Path(".data"),
    jobs: Annotated[int, typer.Option(min=1, max=64, help="records at once, while preparing")] = 2,
    weights: Annotated[Path | None, typer.Option(help="then write the model file that a ward loads")] = None,
) -> None:
    """Train the network, or prepare for it (needs the extra `train`)."""
    from wardbeat import train as training

    def work() -> None:
        if prepare:
            if not training.prepare(config, data, jobs, console):
                raise typer.Exit(1)
        elif config is not None:
            training.run(config, weights, console)
        else:
            raise typer.BadParameter("expected a config, or --prepare")

    _guard(work)


@topics_app.command("create")
def topics_create(kafka: Annotated[str | None, typer.Option(help="bootstrap servers")] = None) -> None:
    """Create the topics with the partitions that the settings say; refuse topics of another shape."""
    from wardbeat.services import create_topics

    _guard(lambda: create_topics(_settings(kafka=kafka, engine="kafka"), console))


@token_app.command("create")
def token_create(
    name: Annotated[str, typer.Argument(help="who it is for")],
    role: Annotated[str, typer.Option(help="viewer, nurse or admin")] = "viewer",
    days: Annotated[float, typer.Option(min=0.001, max=3650)] = 1.0,
) -> None:
    """A token signed with WARDBEAT_SECRET."""
    from wardbeat.services import create_token

    _guard(lambda: typer.echo(create_token(_settings(), name, role, days)))


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed <= 1000:
        raise typer.BadParameter(f"--speed: expected a number above 0 and up to 1000, or max, got {text!r}")
    return speed


def _guard(work: Callable[[], Any]) -> None:
    """Errors that a person can mend become one line; defects of ours keep their traceback."""
    try:
        work()
    except (ValueError, OSError) as error:
        raise _fail(error) from None
    except KeyboardInterrupt:
        sys.exit(130)
