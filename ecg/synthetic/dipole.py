"""The heart as one dipole: each beat a sum of Gaussians in space, seen by the twelve leads through Dower's matrix.

The waves are Gaussians in time after McSharry, Clifford, Tarassenko, Smith: A dynamical model for generating synthetic
electrocardiogram signals, IEEE Trans Biomed Eng 50 (2003); their sum in three dimensions after Sameni, Clifford,
Jutten, Shamsollahi: Multichannel ECG and noise modeling, EURASIP J Adv Signal Process (2007). Amplitudes and times are
set here by the look of the twelve leads. Axes are Frank's: x to the left, y to the feet, z to the back.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ecg.synthetic.rhythms import BY_ATRIA, BY_PACEMAKER, NORMAL, VENTRICULAR, Beats
from ecg.synthetic.script import BLOCKS
from ecg.synthetic.traits import Traits, rotation

# Dower, Machado, Osborne: On deriving the electrocardiogram from vectorcardiographic leads, Clin Cardiol 3 (1980).
DOWER = np.array(
    [
        [0.632, -0.235, 0.059],  # I
        [0.235, 1.066, -0.132],  # II
        [-0.515, 0.157, -0.917],  # V1
        [0.044, 0.164, -1.387],  # V2
        [0.882, 0.098, -1.277],  # V3
        [1.213, 0.127, -0.601],  # V4
        [1.125, 0.127, -0.086],  # V5
        [0.831, 0.076, 0.230],  # V6
    ]
)

# One row per Gaussian: x, y, z in µV, centre and width in seconds from the R peak (T: from the peak of T).
_QRS = np.array(
    [
        [-130, -40, -230, -0.026, 0.0075],  # septum: r in V1, q in I and V6
        [1020, 830, 180, 0.000, 0.0105],  # free walls
        [260, 160, 680, 0.017, 0.0105],  # the left ventricle's back: S in V1 to V3
        [-170, -170, 260, 0.034, 0.0090],  # base: small s in II and V6
    ]
)
_T = np.array(
    [
        [90, 75, -70, -0.055, 0.055],  # slow rise
        [190, 150, -150, 0.000, 0.036],  # steeper fall
    ]
)
_P = np.array(
    [
        [30, 75, -35, -0.014, 0.018],  # right atrium
        [55, 65, 35, 0.016, 0.020],  # left atrium, further back
    ]
)
_ECTOPIC_P = np.array([[-20, -60, -40, -0.004, 0.016], [35, -45, 20, 0.014, 0.016]])  # from low in the atrium
_RIGHT_ECTOPIC_QRS = np.array(  # outflow tract of the right ventricle: left bundle branch block pattern, axis downwards
    [
        [120, 300, -260, -0.044, 0.013],
        [750, 980, 620, 0.000, 0.022],
        [330, 420, 700, 0.045, 0.017],
    ]
)
_RIGHT_ECTOPIC_T = np.array([[-190, -230, -230, -0.06, 0.060], [-200, -220, -240, 0.0, 0.042]])
_LEFT_ECTOPIC_QRS = np.array(  # lower back of the left ventricle: right bundle branch block pattern, axis upwards
    [
        [-60, 200, -260, -0.044, 0.012],
        [-420, -980, -880, 0.000, 0.021],
        [-560, -520, -60, 0.047, 0.017],
    ]
)
_LEFT_ECTOPIC_T = np.array([[130, 250, 200, -0.06, 0.060], [130, 240, 210, 0.0, 0.042]])
# Left bundle branch block: no septal q, the left ventricle is reached late from the right: V1 rS, I and V6 notched R.
_LBBB_QRS = np.array(
    [
        [60, 80, -150, -0.058, 0.010],
        [560, 400, 420, -0.026, 0.017],
        [680, 260, 760, 0.026, 0.018],
        [300, 40, 420, 0.058, 0.015],
    ]
)
_LBBB_T = np.array([[-120, -50, -120, -0.055, 0.055], [-230, -90, -210, 0.0, 0.040]])
# Right bundle branch block: the right ventricle follows alone, to the right and to the front; V1 rsR', wide S in I, V6.
_RBBB_QRS = np.array(
    [
        [-130, -40, -230, -0.026, 0.0075],
        [1020, 830, 180, 0.000, 0.0105],
        [200, 120, 400, 0.017, 0.0105],
        [-430, -60, -620, 0.060, 0.0180],
    ]
)
_RBBB_T = np.array([[130, 75, 20, -0.055, 0.055], [290, 150, 60, 0.000, 0.038]])
_DELAYED = 1.75  # times as wide: intraventricular delay with the normal order kept
_PACED_QRS = np.array(  # from the right ventricle's apex to the left and up: negative in II, III, aVF and V1 to V3
    [
        [60, -150, 60, -0.055, 0.014],
        [280, -680, 560, 0.000, 0.022],
        [240, -420, 480, 0.046, 0.018],
    ]
)
_PACED_T = np.array([[-90, 190, -170, -0.06, 0.060], [-110, 230, -200, 0.0, 0.042]])

_WIDE_ONSET_S = 0.085  # R peak minus onset of a QRS that does not come down both bundle branches, or of a delayed one
_SPIKE_AHEAD_S = 0.01  # from the spike to what it sets off
_SPIKE_S = 0.0009  # width of a spike after a monitor's low-pass filter at 150 Hz; never less than half a sample
_RECOIL = np.array([1.0, -0.12])  # of the electrodes' charge
_RECOIL_S, _RECOIL_WIDTH_S = 0.008, 0.005
_ATRIAL_SHARE, _TO_P_S = 0.5, 0.04  # an atrial spike: its size, and how long before the peak of P
_Q_ONSET_S = 0.045  # R peak minus onset of QRS
_T_TAIL_S = 0.08  # end of T minus its peak at 60 /min
_ECTOPIC_DELAY_S = 0.04  # a ventricle that depolarises slowly repolarises later
_RR_LIMITS_S = (0.25, 1.4)  # QT follows RR no further than this
_QT_AT_ONCE = 1.4  # a beat that comes early has a short T at once (restitution): as of an RR 1.4 times its own at most
_QT_MEMORY = 0.15  # weight of the newest RR: QT adapts over many beats (Pueyo 2004), not to each
_RESPIRATION = {"amplitude": 0.05, "axis": 0.04}  # relative; radians in the frontal plane
_BEAT_TO_BEAT = {"qrs": 0.015, "width": 0.008, "t": 0.03, "p": 0.06}  # relative standard deviations
_REACH = 4.5  # widths after which a Gaussian of 1 mV is below a twentieth of a microvolt


@dataclass(frozen=True)
class Heart:
    """Every Gaussian of a script, sorted by centre: what the ventricles and regular atria do.

    Attributes:
        centre: (g,) float64, in samples.
        width: (g,) float64, in samples.
        dipole: (g, 3) float32 µV.
        reach: how far, in samples, any of them is felt.
    """

    centre: npt.NDArray[np.float64]
    width: npt.NDArray[np.float64]
    dipole: npt.NDArray[np.float32]
    reach: float

    def add_to(self, field: npt.NDArray[np.float32], first: int) -> None:
        """Add the dipole of samples ``[first, first + n)`` to ``field``, (3, n) float32 µV."""
        n = field.shape[1]
        low, high = np.searchsorted(self.centre, (first - self.reach, first + n + self.reach))
        if low == high:
            return
        centre = (self.centre[low:high] - first).astype(np.float32)[:, None]
        scale = (np.sqrt(0.5) / self.width[low:high]).astype(np.float32)[:, None]
        z = (np.arange(n, dtype=np.float32) - centre) * scale  # (g, n)
        field += self.dipole[low:high].T @ np.exp(-z * z)  # (3, g) @ (g, n)


def heart(beats: Beats, traits: Traits, rng: np.random.Generator, fs: int) -> Heart:
    """All Gaussians of ``beats``.

    Each beat varies a little in amplitude and width, with respiration in amplitude and axis, and its T wave follows RR
    after Bazett (QT = QTc √RR), slowly.
    """
    n = len(beats.sample)
    rr = _slow_rr(beats.rr_s)
    breath = np.sin(2 * np.pi * traits.respiration_hz * beats.sample / fs)
    tilt = np.array([rotation(_RESPIRATION["axis"] * b, 0, 0) @ traits.rotation for b in breath]).reshape(n, 3, 3)
    vary = {what: 1 + deviation * rng.standard_normal(n) for what, deviation in _BEAT_TO_BEAT.items()}
    qrs_size = traits.amplitude * vary["qrs"] * (1 + _RESPIRATION["amplitude"] * breath)
    t_size = qrs_size * vary["t"] * traits.t_amplitude
    p_size = traits.amplitude * traits.p_amplitude * vary["p"]
    t_peak = traits.qtc_s * np.sqrt(rr) - _Q_ONSET_S - _T_TAIL_S * np.sqrt(rr)
    p_peak = -traits.pr_s * (0.65 + 0.35 * np.sqrt(rr))  # PR shortens with rate, less than QT does

    ventricular, paced = beats.kind == VENTRICULAR, beats.kind == BY_PACEMAKER
    left_block, right_block, delayed = (~ventricular & (beats.block == 1 + BLOCKS.index(name)) for name in BLOCKS)
    two_branches = ~ventricular & ~paced & ~left_block & ~right_block
    left = traits.left_ectopic
    ectopic_qrs = _LEFT_ECTOPIC_QRS if left else _RIGHT_ECTOPIC_QRS
    ectopic_t = _LEFT_ECTOPIC_T if left else _RIGHT_ECTOPIC_T
    qrs_width, t_width = traits.qrs_width * vary["width"], np.sqrt(rr)
    qrs_width = np.where(delayed, _DELAYED * qrs_width, qrs_width)
    zero = np.zeros(n)
    late = t_peak + _ECTOPIC_DELAY_S * np.sqrt(rr)
    # P keeps its distance to the onset of QRS, which lies further before the peak of a wide one.
    p_peak = np.where(left_block | delayed | paced, p_peak - (_WIDE_ONSET_S - _Q_ONSET_S), p_peak)
    spike = np.where(paced, -_WIDE_ONSET_S * qrs_width - _SPIKE_AHEAD_S, 0.0)
    atrial_spike = np.where(beats.atrial_spike, p_peak - _TO_P_S, 0.0)
    waves = [
        (two_branches, _peak_at_zero(_QRS), zero, qrs_width, qrs_size),
        (two_branches, _T, np.where(delayed, late, t_peak), t_width, t_size),
        (((beats.kind == NORMAL) | paced) & beats.p_wave, _P, p_peak, zero + 1, p_size),
        ((beats.kind == BY_ATRIA) & beats.p_wave, _ECTOPIC_P, p_peak * 0.9, zero + 1, p_size),
        (ventricular, _peak_at_zero(ectopic_qrs), zero, qrs_width, qrs_size),
        (ventricular, ectopic_t, late, t_width, t_size),
        (left_block, _peak_at_zero(_LBBB_QRS), zero, qrs_width, qrs_size),
        (left_block, _LBBB_T, late, t_width, t_size),
        (right_block, _peak_at_zero(_RBBB_QRS), zero, qrs_width, qrs_size),
        (right_block, _RBBB_T, t_peak + 0.5 * _ECTOPIC_DELAY_S * np.sqrt(rr), t_width, t_size),
        (paced, _peak_at_zero(_PACED_QRS), zero, qrs_width, qrs_size),
        (paced, _PACED_T, late, t_width, t_size),
        (paced, _spike(traits, fs), np.rint(spike * fs) / fs, zero + 1, zero + 1),
        (
            paced & beats.atrial_spike,
            _spike(traits, fs),
            np.rint(atrial_spike * fs) / fs,
            zero + 1,
            zero + _ATRIAL_SHARE,
        ),
    ]
    centre, width, dipole = [np.zeros(0)], [np.zeros(0)], [np.zeros((0, 3))]
    for which, table, at, stretch, size in waves:
        when = beats.sample[which, None] / fs + at[which, None] + table[:, 3] * stretch[which, None]  # (b, g)
        centre.append(when.ravel() * fs)
        width.append((table[:, 4] * stretch[which, None]).ravel() * fs)
        turned = np.einsum("bij,gj->bgi", tilt[which], table[:, :3])
        dipole.append((turned * size[which, None, None]).reshape(-1, 3))
    all_centres, all_widths = np.concatenate(centre), np.concatenate(width)
    order = np.argsort(all_centres, kind="stable")
    return Heart(
        centre=all_centres[order],
        width=all_widths[order],
        dipole=np.concatenate(dipole)[order].astype(np.float32),
        reach=_REACH * float(all_widths.max(initial=0.0)),
    )


def _slow_rr(rr_s: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(b,) RR to which QT has adapted: an exponential mean over the beats so far, seconds."""
    rr = np.clip(rr_s, *_RR_LIMITS_S)
    slow = np.empty_like(rr)
    mean = float(rr[0]) if len(rr) else 0.0
    for i, newest in enumerate(rr.tolist()):
        mean += _QT_MEMORY * (newest - mean)
        slow[i] = min(mean, _QT_AT_ONCE * newest)
    return slow


def _spike(traits: Traits, fs: int) -> npt.NDArray[np.float64]:
    """Gaussians of a pacemaker's spike at time 0: one, and its charge flowing back."""
    uv = traits.spike_uv @ traits.rotation  # turned with the heart, turned back here: a spike keeps its direction
    return np.array(
        [
            [*(_RECOIL[0] * uv), 0.0, max(_SPIKE_S, 0.5 / fs)],
            [*(_RECOIL[1] * uv), _RECOIL_S, _RECOIL_WIDTH_S],
        ]
    )


def _peak_at_zero(table: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The same Gaussians moved so that the dipole they add up to is longest at time 0."""
    t = np.arange(-0.1, 0.1, 1e-4)
    bells = np.exp(-0.5 * ((t - table[:, 3:4]) / table[:, 4:5]) ** 2)  # (g, t)
    length = np.linalg.norm(table[:, :3].T @ bells, axis=0)
    moved = table.copy()
    moved[:, 3] -= t[np.argmax(length)]
    return moved
