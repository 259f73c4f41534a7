"""The script of a synthetic patient: which rhythm for how long, with what laid over it.

Grammar (white space is free, names are case-insensitive)::

    script    = item { "," item }
    item      = ( segment | "(" script ")" ) [ repeat ]
    segment   = rhythm { "+" overlay } duration { "+" overlay }
    rhythm    = name [ "(" value { "," value } ")" ]        see RHYTHMS
    overlay   = name [ "(" value { "," value } ")" ]        see OVERLAYS
              | "leads_off" "(" lead { "+" lead } ")"       a lead's name, or "all"
    value     = [ parameter "=" ] ( number | word )         without a name: in the order of the table
    duration  = number ( "s" | "m" | "h" )
    repeat    = ( "x" | "*" ) whole number

Examples: ``sinus 60s, af 90s, sinus 60s`` · ``(sinus(rate=70) 2m, pvc(every=2) 30s) x3`` ·
``af(rate=120)+noise(40)+leads_off(V1+V2) 90s`` · ``sinus 60s + mains(50, 100) + wander`` ·
``af(rate=90)+lbbb+pvc(0.1) 60s`` · ``paced(rate=70, atria=af) 60s``
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from ecg.leads import LEADS, standard_lead

MAX_SECONDS = 86_400.0  # the schedule of all beats is held in memory; longer than a day is what looping is for
MIN_SEGMENT_S = 0.1
ATRIAL_RATES = (200.0, 400.0)  # per minute; outside of it no cardiologist speaks of flutter
VARIED = 0.0  # the value of flutter's block that stands for a varying one
VARIED_MEAN = 2.9  # F waves per beat then: 2, 3 or 4 with probabilities .4, .3, .3
SINUS, FIBRILLATING, PACED = 0.0, 1.0, 2.0  # what the atria do under a ventricular pacemaker
BLOCKS = ("lbbb", "rbbb", "ivcd")  # left, right bundle branch block; intraventricular delay like neither


@dataclass(frozen=True)
class Parameter:
    """A number that a rhythm or an overlay takes: its range, its unit, and the words that stand for a number."""

    name: str
    low: float
    high: float
    unit: str
    default: float | None = None  # None: the patient's own
    choices: tuple[float, ...] = ()
    words: tuple[tuple[str, float], ...] = ()

    def read(self, text: str, owner: str) -> float:
        """The number that ``text`` stands for.

        Raises:
            ValueError: it is none, or out of range.
        """
        for word, number in self.words:
            if text.lower() == word:
                return number
        expected = f"{_number(self.low)} to {_number(self.high)} {self.unit}".rstrip()
        if self.choices:
            named = {number for _, number in self.words}
            expected = " or ".join(_number(choice) for choice in self.choices if choice not in named)
        expected = " or ".join([*filter(None, [expected]), *(word for word, _ in self.words)])
        try:
            number = float(text)
        except ValueError:
            raise ValueError(f"{owner}({self.name}): expected {expected}, got {text!r}") from None
        if not self.low <= number <= self.high or (self.choices and number not in self.choices):
            raise ValueError(f"{owner}({self.name}): expected {expected}, got {text!r}")
        return number

    def write(self, value: float) -> str:
        """``name=value`` as :meth:`read` takes it."""
        return f"{self.name}={next((word for word, number in self.words if number == value), _number(value))}"


def _rate(low: float, high: float, default: float | None = None) -> Parameter:
    return Parameter("rate", low, high, "/min", default)


_SHARE = Parameter("p", 0, 0.5, "", 0.15)
_EVERY = Parameter("every", 2, 20, "beats")
_RSA = Parameter("rsa", 0, 0.4, "")  # depth of respiratory sinus arrhythmia, relative to the RR interval
RHYTHMS: dict[str, tuple[Parameter, ...]] = {
    "sinus": (_rate(30, 200), _RSA),
    "brady": (_rate(20, 60, 40), _RSA),
    "tachy": (_rate(100, 200, 135), _RSA),
    "af": (_rate(40, 220, 110),),
    "flutter": (
        _rate(40, 350),
        Parameter("block", 1, 6, "F waves per beat", words=(("var", VARIED),), choices=(1, 2, 3, 4, 5, 6)),
    ),
    "pac": (_rate(40, 140), _SHARE, _EVERY, Parameter("run", 1, 20, "beats", 1)),
    "pvc": (_rate(40, 140), _SHARE, _EVERY),
    "paced": (
        _rate(40, 130, 70),
        Parameter(
            "atria",
            SINUS,
            PACED,
            "",
            SINUS,
            choices=(SINUS, FIBRILLATING, PACED),
            words=(("sinus", SINUS), ("af", FIBRILLATING), ("paced", PACED)),
        ),
    ),
    "pause": (Parameter("s", 1.5, 20, "s", 4), _rate(40, 120)),
    "vt": (_rate(110, 260, 180),),
    "vf": (_rate(180, 480),),
    "asystole": (),
}
OVERLAYS: dict[str, tuple[Parameter, ...]] = {
    "noise": (Parameter("uv", 0, 2000, "µV", 40),),
    "mains": (Parameter("hz", 50, 60, "Hz", 50, choices=(50, 60)), Parameter("uv", 0, 2000, "µV", 100)),
    "wander": (Parameter("uv", 0, 5000, "µV", 400),),
    "leads_off": (),
    "pvc": (_SHARE,),
    **dict.fromkeys(BLOCKS, ()),
}
_WITHOUT_ECTOPY = ("pvc", "pause", "vt", "vf", "asystole")  # they have their own or no beats, or a length to keep
_NOT_CONDUCTED = ("paced", "vt", "vf", "asystole")


@dataclass(frozen=True)
class Overlay:
    """Something laid over a segment: ``values`` in the order of its table in ``OVERLAYS``, or leads that are off."""

    name: str
    values: tuple[float, ...] = ()
    leads: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.name == "leads_off":
            return f"leads_off({'all' if self.leads == LEADS else '+'.join(self.leads)})"
        if not self.values:
            return self.name
        written = (parameter.write(value) for parameter, value in zip(OVERLAYS[self.name], self.values, strict=True))
        return f"{self.name}({', '.join(written)})"


@dataclass(frozen=True)
class Segment:
    """A stretch of one rhythm: ``values`` holds the parameters that the script gives, in the order of ``RHYTHMS``."""

    rhythm: str
    seconds: float
    values: tuple[tuple[str, float], ...] = ()
    overlays: tuple[Overlay, ...] = ()

    def value(self, name: str) -> float | None:
        """A parameter as given, else the rhythm's default, else None: the patient's own."""
        given = dict(self.values)
        defaults = {parameter.name: parameter.default for parameter in RHYTHMS[self.rhythm]}
        return given.get(name, defaults[name])

    def overlay(self, name: str) -> Overlay | None:
        """The overlay called ``name``, if it lies over this segment."""
        return next((overlay for overlay in self.overlays if overlay.name == name), None)

    @property
    def block(self) -> str | None:
        """The one of ``BLOCKS`` that lies over this segment, if any."""
        return next((overlay.name for overlay in self.overlays if overlay.name in BLOCKS), None)

    @property
    def fibrillates(self) -> bool:
        """Whether the atria do, whatever sets the ventricles' beat."""
        return self.rhythm == "af" or (self.rhythm == "paced" and self.value("atria") == FIBRILLATING)

    def __str__(self) -> str:
        given = dict(self.values)
        written = [
            parameter.write(given[parameter.name]) for parameter in RHYTHMS[self.rhythm] if parameter.name in given
        ]
        head = f"{self.rhythm}({', '.join(written)})" if written else self.rhythm
        return f"{'+'.join([head, *map(str, self.overlays)])} {_number(self.seconds)}s"


@dataclass(frozen=True)
class Script:
    """What happens to a synthetic patient, in order. ``Script.parse(str(script)) == script``."""

    segments: tuple[Segment, ...]

    @classmethod
    def parse(cls, text: str) -> "Script":
        """Read a script; the grammar stands at the top of this module.

        Raises:
            ValueError: quotes the word that is wrong and says what would have been right.
        """
        parser = _Parser(text)
        segments = tuple(parser.items())
        if parser.kind != "end":
            parser.refuse("',' or the end")
        return cls(segments)

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return sum(segment.seconds for segment in self.segments)

    def __str__(self) -> str:
        return ", ".join(map(str, self.segments))


_TOKEN = re.compile(
    r"\s*(?:(?P<repeat>[x*]\s*\d+\b)|(?P<duration>\d+(?:\.\d*)?(?:e[-+]?\d+)?\s*[smh]\b)"
    r"|(?P<number>-?\d+(?:\.\d*)?(?:e[-+]?\d+)?)|(?P<word>[a-z_]\w*)|(?P<mark>[(),+=])|(?P<end>$)|(?P<odd>.))",
    re.IGNORECASE | re.DOTALL,
)
_UNIT_S = {"s": 1.0, "m": 60.0, "h": 3600.0}


class _Parser:
    """Recursive descent over the tokens; ``kind`` and ``word`` are the token that comes next."""

    def __init__(self, text: str) -> None:
        self._text = text.strip()
        self._at = 0
        self.kind = self.word = ""
        self._step()

    def _step(self) -> str:
        taken = self.word
        match = _TOKEN.match(self._text, self._at)
        if match is None or match.lastgroup is None:
            raise ValueError(f"cannot read the script at {self._text[self._at : self._at + 20]!r}")
        self._at, self.kind = match.end(), match.lastgroup
        self.word = match[self.kind]
        return taken

    def refuse(self, expected: str) -> NoReturn:
        got = "the end" if self.kind == "end" else repr(self.word)
        before = self._text[: self._at].removesuffix(self.word)[-30:]
        raise ValueError(f"script: expected {expected}, got {got}" + (f" after {before!r}" if before.strip() else ""))

    def _expect(self, mark: str) -> None:
        if self.word != mark:
            self.refuse(repr(mark))
        self._step()

    def items(self) -> Iterator[Segment]:
        total = 0.0
        while True:
            for segment in self._item():
                total += segment.seconds
                if total > MAX_SECONDS:
                    raise ValueError(f"script: expected at most {_number(MAX_SECONDS)} s in all, got more")
                yield segment
            if self.word != ",":
                return
            self._step()

    def _item(self) -> Iterator[Segment]:
        if self.word == "(":
            self._step()
            group = list(self.items())
            self._expect(")")
        else:
            group = [self._segment()]
        times = 1
        if self.kind == "repeat":
            times = int(self._step()[1:])
            if times < 1:
                raise ValueError("script: expected a repeat of at least 1, got 0")
        for _ in range(times):
            yield from group

    def _segment(self) -> Segment:
        rhythm = self._name("rhythm", RHYTHMS)
        values = tuple(self._values(rhythm, RHYTHMS[rhythm]).items())
        overlays = list(self._overlays())
        if self.kind != "duration":
            self.refuse("a duration such as 60s, 1.5m or 1h")
        text = self._step()
        seconds = float(text[:-1]) * _UNIT_S[text[-1].lower()]
        if not MIN_SEGMENT_S <= seconds <= MAX_SECONDS:
            raise ValueError(
                f"script: expected a duration of {MIN_SEGMENT_S} s to {_number(MAX_SECONDS)} s, got {text!r}"
            )
        overlays += self._overlays()
        names = [overlay.name for overlay in overlays]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"script: {name!r} stands twice over one segment of {rhythm!r}")
        return _checked(Segment(rhythm, seconds, values, tuple(overlays)))

    def _overlays(self) -> Iterator[Overlay]:
        while self.word == "+":
            self._step()
            name = self._name("overlay", OVERLAYS)
            if name == "leads_off":
                yield Overlay(name, leads=self._leads())
            else:
                given = self._values(name, OVERLAYS[name])
                defaults = ((parameter.name, parameter.default) for parameter in OVERLAYS[name])
                yield Overlay(name, tuple(given.get(key, default or 0.0) for key, default in defaults))

    def _name(self, what: str, known: dict[str, tuple[Parameter, ...]]) -> str:
        if self.kind not in ("word", "repeat"):
            self.refuse(f"a {what} ({', '.join(known)})")
        name = self.word.lower()
        if name not in known:
            raise ValueError(f"unknown {what} {self.word!r}; expected one of {', '.join(known)}")
        self._step()
        return name

    def _values(self, owner: str, parameters: tuple[Parameter, ...]) -> dict[str, float]:
        values: dict[str, float] = {}
        if self.word != "(":
            return values
        if not parameters:
            raise ValueError(f"{owner!r} takes no parameters")
        order = [parameter.name for parameter in parameters]
        self._step()
        while True:
            if self.kind not in ("word", "number"):
                self.refuse("a value")
            text = self._step()
            if self.word == "=":
                self._step()
                name, text = text.lower(), self._step()
                if name not in order:
                    raise ValueError(f"unknown parameter {name!r} of {owner!r}; expected one of {', '.join(order)}")
            elif len(values) < len(order):
                name = order[len(values)]
            else:
                raise ValueError(f"{owner!r} takes {len(order)} values ({', '.join(order)}), got one more: {text!r}")
            if name in values:
                raise ValueError(f"parameter {name!r} of {owner!r} stands twice")
            values[name] = parameters[order.index(name)].read(text, owner)
            if self.word == ")":
                self._step()
                return {name: values[name] for name in order if name in values}
            self._expect(",")

    def _leads(self) -> tuple[str, ...]:
        self._expect("(")
        off: set[str] = set()
        while True:
            name = self._step()
            lead = standard_lead(name)
            if name.lower() == "all":
                off.update(LEADS)
            elif lead is None:
                raise ValueError(f"unknown lead {name!r}; expected all or one of {', '.join(LEADS)}")
            else:
                off.add(lead)
            if self.word == ")":
                self._step()
                return tuple(lead for lead in LEADS if lead in off)
            self._expect("+")


def _checked(segment: Segment) -> Segment:
    """The segment itself if its values go together."""
    if segment.overlay("pvc") is not None and segment.rhythm in _WITHOUT_ECTOPY:
        raise ValueError(f"script: expected a rhythm that PVCs can fall into under 'pvc', got {str(segment)!r}")
    if segment.block is not None and segment.rhythm in _NOT_CONDUCTED:
        raise ValueError(f"script: expected a conducted rhythm under {segment.block!r}, got {str(segment)!r}")
    if sum(overlay.name in BLOCKS for overlay in segment.overlays) > 1:
        raise ValueError(f"script: expected one of {', '.join(BLOCKS)} over a segment, got {str(segment)!r}")
    if segment.rhythm == "flutter":
        flutter_rates(segment)
    if segment.rhythm == "pause" and segment.seconds < (segment.value("s") or 0.0) + 3:
        raise ValueError(f"script: expected a segment at least 3 s longer than its pause, got {str(segment)!r}")
    return segment


def flutter_rates(segment: Segment, own_atrial: float = 300.0) -> tuple[float, float]:
    """Atrial rate (per minute) and block (F waves per beat; ``VARIED``) of a flutter segment.

    Raises:
        ValueError: the rate and the block asked for would need an atrial rate that is no flutter.
    """
    rate, block = segment.value("rate"), segment.value("block")
    if block is None:
        block = 2.0 if rate is None else float(min(6, max(1, round(300 / rate))))
    atrial = own_atrial if rate is None else rate * (VARIED_MEAN if block == VARIED else block)
    if not ATRIAL_RATES[0] <= atrial <= ATRIAL_RATES[1]:
        raise ValueError(
            f"{str(segment)!r} needs an atrial rate of {atrial:g} /min; "
            f"expected {ATRIAL_RATES[0]:g} to {ATRIAL_RATES[1]:g}"
        )
    return atrial, block


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
