"""Targets say what a database says, and nothing where it is silent."""

import re

import numpy as np
import pytest

from ecg.recording import Rhythm
from models.classes import AF, FINDINGS, FLUTTER, NOISE, OTHER, SINUS
from wardbeat.training.labels import Annotated, doubted_beats, free_of_af, record_truth


def of(truth, *names: str) -> list[float]:
    """Findings by name."""
    return [float(truth.findings[FINDINGS.index(name)]) for name in names]


def test_af_without_its_seconds():
    """A record labelled AF has AF somewhere: to say where would be made up."""
    truth = record_truth("ptbxl_z500", ["AF", "PVC"])
    assert truth.rhythm.tolist() == [1, 0, 0, 0, 0]
    assert np.isnan(truth.window(10.0, 10.0).seconds).all()
    assert of(truth, "pvc", "pac", "lbbb") == [1, 0, 0]
    assert np.isnan(of(truth, "brady", "tachy")).all()  # sinus words: not said of AF


def test_sinus_rhythm_fills_its_seconds_unless_ectopy_breaks_it():
    """A normal record teaches each second; one with ectopic beats only that none of its seconds is AF."""
    plain = record_truth("ptbxl_native100", ["SR", "NORM"]).window(10.0, 10.0)
    assert plain.seconds.tolist() == [[0, 0, 1, 0, 0]] * 10
    ectopic = record_truth("ptbxl_native100", ["SR", "PAC"]).window(10.0, 10.0)
    assert ectopic.rhythm.tolist() == [0, 0, 1, 0, 0]
    assert (ectopic.seconds[:, [AF, FLUTTER, NOISE]] == 0).all()
    assert np.isnan(ectopic.seconds[:, [SINUS, OTHER]]).all()


def test_a_normal_ecg_is_no_rhythm():
    """PTB-XL has six records labelled both normal and AF: none of their seconds is two rhythms at once."""
    for labels in (["NORM", "AF"], ["SR", "AF"], ["NORM", "AFLT"]):
        truth = record_truth("ptbxl_z500", labels)
        seconds = truth.window(10.0, 10.0).seconds
        assert not (seconds == 1).any()
        assert truth.rhythm[SINUS] == ("SR" in labels)


def test_silence_about_rhythm_is_no_sinus_rhythm():
    """CPSC 2018 names one finding a record: RBBB alone rules AF out, and tells nothing else of the rhythm."""
    truth = record_truth("cpsc2018", ["RBBB"])
    assert truth.rhythm[[AF, FLUTTER, NOISE]].tolist() == [0, 0, 0]
    assert np.isnan(truth.rhythm[[SINUS, OTHER]]).all()
    assert of(truth, "rbbb", "lbbb") == [1, 0]
    assert np.isnan(of(truth, "brady", "paced")).all()  # never labelled there


def test_flutter_is_not_af():
    """Flutter taken for AF was the baseline's error: it has its own class everywhere."""
    truth = record_truth("chapman_ningbo", ["AFL"]).window(10.0, 10.0)
    assert truth.rhythm.tolist() == [0, 1, 0, 0, 0]
    assert (truth.seconds[:, AF] == 0).all()
    assert np.isnan(truth.seconds[:, FLUTTER]).all()


def test_atrial_tachycardia_and_pacing_are_other():
    """What is neither AF, flutter nor sinus rhythm must not be taught as one of them."""
    assert record_truth("chapman_ningbo", ["AT"]).rhythm.tolist() == [0, 0, 0, 1, 0]
    both = record_truth("chapman_ningbo", ["AT", "ST"]).rhythm  # which of the seconds are sinus is not said
    assert both[[AF, FLUTTER, OTHER]].tolist() == [0, 0, 1]
    assert np.isnan(both[SINUS])
    paced = record_truth("ptbxl_native100", ["PACE"])
    assert paced.rhythm[OTHER] == 1
    assert of(paced, "paced") == [1]
    assert np.isnan(of(paced, "lbbb", "rbbb")).all()  # a paced QRS looks like one
    assert np.isnan(record_truth("ptbxl_native100", ["AF", "PACE"]).rhythm[OTHER])


def test_incomplete_findings_stay_open():
    """A borderline finding is neither a yes nor a no."""
    assert np.isnan(of(record_truth("ptbxl_z500", ["SR", "IRBBB", "LPR"]), "rbbb", "av_block_1")).all()
    assert np.isnan(of(record_truth("ptbxl_z500", ["BIGU"]), "pac", "pvc")).all()


def test_cinc2017():
    """OTHER may be flutter or sinus rhythm with ectopic beats; noise is noise in all of its seconds."""
    other = record_truth("cinc2017", ["OTHER"]).rhythm
    assert other[[AF, NOISE]].tolist() == [0, 0]
    assert np.isnan(other[[FLUTTER, SINUS, OTHER]]).all()
    assert record_truth("cinc2017", ["NOISE"]).window(30.0, 20.0).seconds.tolist() == [[0, 0, 0, 0, 1]] * 10
    long = record_truth("cinc2017", ["SR"]).window(60.0, 20.0)
    assert np.isnan(long.seconds[:, SINUS]).all()
    assert (long.seconds[:, AF] == 0).all()


@pytest.mark.parametrize("labels", [["A"], ["AF", "SR"], []])
def test_cinc2017_knows_four_labels_and_one_a_record(labels):
    """The Challenge's own letters, or two labels of which one would be taken by chance, are named, not guessed at."""
    with pytest.raises(ValueError, match=rf"cinc2017: expected one label of .*, got {re.escape(str(labels))}"):
        record_truth("cinc2017", labels)


def test_cinc2011():
    """Quality labels tell nothing of the rhythm."""
    assert record_truth("cinc2011", ["UNACCEPTABLE"]).rhythm.tolist() == [0, 0, 0, 0, 1]
    accepted = record_truth("cinc2011", ["ACCEPTABLE"]).rhythm
    assert accepted[NOISE] == 0
    assert np.isnan(accepted[[AF, FLUTTER, SINUS, OTHER]]).all()


def test_unknown_datasets_are_refused():
    """Labels read in another database's words would be wrong in silence."""
    with pytest.raises(ValueError, match="'cinc2015'"):
        record_truth("cinc2015", ["VTACH-TRUE"])
    with pytest.raises(ValueError, match=r"mitdb: unknown rhythm 'XYZ'"):
        Annotated.of("mitdb", [Rhythm("(XYZ", 0, 10)], 1)


def test_ends_of_short_records_are_unknown():
    """A six-second record is filled up to a window; the filling is no sinus rhythm."""
    seconds = record_truth("cpsc2018", ["SR"]).window(6.0, 10.0).seconds
    assert (seconds[:6, SINUS] == 1).all()
    assert np.isnan(seconds[6:]).all()


def test_ectopy_of_a_long_record_is_not_in_each_window():
    """A PVC somewhere in a minute says nothing of a given ten seconds; that there is none does."""
    truth = record_truth("cpsc2018", ["PVC"])
    assert of(truth.window(12.0, 10.0), "pvc", "pac") == [1, 0]
    pvc, pac = of(truth.window(60.0, 30.0), "pvc", "pac")
    assert np.isnan(pvc)
    assert pac == 0


def test_a_second_is_of_the_rhythm_that_covers_most_of_it():
    """Onsets are learnt from this: half a second off here is half a second off on the ward."""
    rhythms = [Rhythm("(N", 0, 1430), Rhythm("(AFIB", 1430, 3000)]
    truth = Annotated.of("mitdb", rhythms, 100).window(20.0)
    assert truth.seconds[:4, SINUS].tolist() == [1, 1, 1, 1]
    assert truth.seconds[:, AF].tolist() == [0] * 4 + [1] * 6
    assert truth.rhythm.tolist() == [1, 0, 1, 0, 0]
    half = Annotated.of("mitdb", [Rhythm("(N", 0, 1450), Rhythm("(AFIB", 1450, 3000)], 100).window(20.0)
    assert np.isnan(half.seconds[4, [AF, SINUS]]).all()


def test_a_touch_of_af_is_unknown():
    """A window with less AF than half a second is neither an example nor a counterexample."""
    truth = Annotated.of("mitdb", [Rhythm("(N", 0, 1970), Rhythm("(AFIB", 1970, 3000)], 100).window(20.0)
    assert np.isnan(truth.rhythm[AF])
    assert truth.rhythm[FLUTTER] == 0


def test_words_differ_between_databases():
    """AFDB's and CPSC 2021's "N" is everything but AF."""
    sinus = Annotated.of("mitdb", [Rhythm("(N", 0, 2000)], 100).window(15.0)
    assert sinus.rhythm[SINUS] == 1
    for dataset in ("afdb_rr", "afpdb_p", "cpsc2021"):
        rhythm = Annotated.of(dataset, [Rhythm("(N", 0, 2000)], 100).window(15.0).rhythm
        assert rhythm[[AF, FLUTTER]].tolist() == [0, 0]
        assert np.isnan(rhythm[SINUS])


def test_vitaldb_has_one_word_for_af_and_flutter():
    """It is learnt as AF unless its beats are steady, as flutter's with a fixed block are: then it may be either."""
    rhythms = [Rhythm("N", 0, 1000), Rhythm("AFIB/AFL", 1000, 4000)]
    uneven = np.cumsum(np.random.default_rng(1).uniform(50, 110, 60)).astype(np.int64)
    truth = Annotated.of("vitaldb_arrdb_rr", rhythms, 100, uneven)
    assert truth.window(30.0).rhythm[[AF, SINUS, OTHER, NOISE]].tolist() == [1, 0, 0, 0]
    assert np.isnan(truth.window(30.0).rhythm[FLUTTER])
    assert truth.window(15.0).seconds[:, AF].tolist() == [0] * 5 + [1] * 5
    steady = Annotated.of("vitaldb_arrdb_rr", rhythms, 100, np.arange(0, 4000, 40))
    either = steady.window(30.0)
    assert np.isnan(either.rhythm[[AF, FLUTTER]]).all()
    assert np.isnan(either.seconds[:, [AF, FLUTTER]]).all()
    assert either.rhythm[[SINUS, OTHER, NOISE]].tolist() == [0, 0, 0]
    assert steady.window(10.0).rhythm[AF] == 0  # before it, steady beats are sinus rhythm


def test_vitaldbs_bad_beats_make_a_window_unknown(tmp_path):
    """Intervals around a beat that could not be seen are wrong, and so is what they would teach."""
    table = tmp_path / "beats.csv"
    rows = "".join(f"{100 + k},N,N,{k == 30},\n" for k in range(60))
    table.write_text("time_second,beat_type,rhythm_label,bad_signal_quality,note\n" + rows)
    doubted = doubted_beats(table)
    assert doubted.tolist() == [30.0]
    truth = Annotated.of("vitaldb_arrdb_rr", [Rhythm("N", 0, 60)], 1, np.arange(60), doubted=doubted)
    assert truth.window(30.0).known
    assert not truth.window(35.0).known
    assert truth.moved(10.0, 1.0).window(20.0).known
    assert not truth.moved(10.0, 1.0).window(21.0).known
    table.write_text("time_second,beat_type,rhythm_label,bad_signal_quality\n100,N,N,perhaps\n")
    with pytest.raises(ValueError, match="'perhaps'"):
        doubted_beats(table)


def test_cpsc2021_before_the_first_note():
    """There only AF is noted: a record, or a beginning, without a note is free of it, and not unknown."""
    assert Annotated.of("cpsc2021", [], 200).window(50.0).rhythm[AF] == 0
    late = Annotated.of("cpsc2021", [Rhythm("(AFIB", 4000, 8000)], 200)
    assert late.window(15.0).rhythm[AF] == 0
    assert late.window(25.0).seconds[:, AF].tolist() == [0] * 5 + [1] * 5
    assert np.isnan(Annotated.of("ltafdb_rr", [Rhythm("(AFIB", 4000, 8000)], 200).window(15.0).rhythm).all()


def test_findings_of_beats():
    """Beat symbols tell ectopy and conduction of a window, and beats its rate where the rhythm is sinus."""
    beats = np.arange(0, 3000, 150)  # 40 /min at 100 Hz
    symbols = ["N"] * len(beats)
    symbols[10] = "V"
    truth = Annotated.of("mitdb", [Rhythm("(N", 0, 3000)], 100, beats, tuple(symbols))
    assert of(truth.window(20.0), "pvc", "pac", "paced", "brady", "tachy") == [1, 0, 0, 1, 0]
    assert of(truth.window(30.0), "pvc") == [0]
    assert np.isnan(of(truth.window(20.0), "av_block_1")).all()
    silent = Annotated.of("afpdb_p", [Rhythm("(N", 0, 3000)], 100, beats, tuple(symbols)).window(20.0)
    assert np.isnan(silent.findings).all()


def test_early_beats_are_not_told_in_af():
    """VitalDB calls every beat of AF supraventricular: PACs learnt from that would be AF."""
    beats = np.arange(0, 3000, 80)
    truth = Annotated.of("vitaldb_arrdb_rr", [Rhythm("AFIB/AFL", 0, 3000)], 100, beats, ("S",) * len(beats))
    assert np.isnan(of(truth.window(20.0), "pac")).all()
    assert of(truth.window(20.0), "pvc") == [0]


def test_annotations_move_with_an_augmented_copy():
    """A copy that begins later and runs faster has its onset where its signal has it."""
    annotated = Annotated.of("mitdb", [Rhythm("(N", 0, 30), Rhythm("(AFIB", 30, 90)], 1).moved(5.0, 1.25)
    assert annotated.window(30.0).seconds[:, AF].tolist() == [1] * 10
    assert annotated.window(25.0).seconds[:, AF].tolist() == [0] * 5 + [1] * 5


@pytest.mark.parametrize(
    ("code", "name"),
    [("AFIB", AF), ("AFL", FLUTTER), ("N", SINUS), ("SBR", SINUS)]
    + [(code, OTHER) for code in ("P", "B", "T", "VT", "SVTA", "NOD", "IVR", "BII", "VFL", "AB")],
)
def test_rhythm_codes_of_mitdb(code, name):
    """Each code of MIT-BIH's tables is of one class, and none of the others."""
    truth = Annotated.of("mitdb", [Rhythm(f"({code}", 0, 2000)], 100).window(15.0)
    expected = [float(c == name) for c in range(5)]
    assert truth.rhythm.tolist() == expected
    assert truth.seconds.tolist() == [expected] * 10


def test_preexcitation_is_not_af_and_no_more():
    """ "(PREX" names a pathway, not what drives the heart."""
    rhythm = Annotated.of("mitdb", [Rhythm("(PREX", 0, 2000)], 100).window(15.0).rhythm
    assert rhythm[[AF, FLUTTER]].tolist() == [0, 0]
    assert np.isnan(rhythm[[SINUS, OTHER]]).all()


def test_records_free_of_af():
    """afpdb_n is free of AF and nothing more is known; the healthy are in sinus rhythm."""
    assert np.isnan(free_of_af(sinus=False).rhythm[SINUS])
    assert free_of_af(sinus=False).seconds[:, AF].tolist() == [0] * 10
    assert free_of_af(sinus=True).rhythm.tolist() == [0, 0, 1, 0, 0]
