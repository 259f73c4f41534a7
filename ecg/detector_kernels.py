"""The inner loops of the beat detector: each lead becomes slope energy at 250 Hz, then all leads become beats.

Words: a *frame* is one step at 250 Hz, frame m ends with sample 2m + 1. *Energy* of a lead is its mean absolute slope
(less the baseline's) over 104 ms, in µV per 20 ms. *Level* is a lead's energy relative to its own remembered QRS
energy, and the *joint level* is the weighted mean over leads, about 1 at a QRS.
"""

import math

import numpy as np
from numba import njit

# Two moving averages in a row, 20 ms (zero at 50 Hz) and 16 ms (zero at 62.5 Hz): mains out, and low-pass for 250 Hz.
SMOOTHING = np.convolve(np.full(10, 0.1), np.full(8, 0.125))
TAPS = len(SMOOTHING)
LAG = 5  # frames, 20 ms: the slope's distance; most sensitive at 25 Hz, zero at 50 Hz. Longer ones let T waves through
TREND = 16  # frames, 64 ms to either side: the slope of a wandering baseline, taken off. Shorter ones cost wide QRS
MEMORY = LAG + 2 * TREND  # frames of the smoothed signal that one slope looks at
WIDTH = 26  # frames, 104 ms: about one QRS
SETTLED = 20  # samples a lead must have been real for before it is used: TAPS and the median
RING = 128  # frames of joint signals kept, more than HOLD + WIDTH + LAG + 1
HOLD = 52  # frames, 208 ms: a candidate stands when nothing higher came for so long. Refractory period and latency
REFRACTORY = 50  # frames, 200 ms
LEARNING = 120  # frames, 0.48 s from the first usable lead until a beat may be told: what is a QRS here?

# Signals weaker than this in every lead are no beat: a QRS of 0.15 mV has about 20, noise of 20 µV RMS has 6.
FLOOR_UV = 18.0
QUIETEST_UV = 4.0  # noise below this is not worth more trust
NOISE_QUANTILE, NOISE_STEP = 0.4, 0.005  # tracked quantile of a lead's energy, moves by about e in 1 s
HOLD_DECAY = math.exp(-1 / (250 * 1.2))  # a lead that showed nothing for 1.2 s loses weight against those that did
CLIP = 1.3  # one lead's artefact must not count as more than a QRS in it
ARTEFACT = 2.0  # times its remembered QRS: from here on the higher a lead, the less it is believed
FLAT_SAMPLES = 40  # 80 ms without a change of half a microvolt: nothing to be learned from this lead now
FLAT_UV = 0.5
BEYOND_UV = 1e7  # no electrode gives 10 V

DECIDED, OVERDUE = 0.12, 0.3  # share by which memory follows a new beat, and one found only after waiting
TRUSTED = 0.15  # share by which trust in a lead follows each beat it showed or did not

# columns of `lead` (12, LEAD_COLUMNS) float64
SUM, QRS, NOISE, TRUST, HELD, ENERGY, WEIGHT, CANDIDATE, CANDIDATE_WEIGHT, DORMANT = range(10)
LEAD_COLUMNS = 10
# columns of `count` (12, COUNT_COLUMNS) int64
REAL, FLAT, AGE, KNOWN = range(4)
COUNT_COLUMNS = 4
# `level` (LEVELS,) float64
PEAK, PEAK_NOISE, PREVIOUS, SIGNAL, BACKGROUND, RR, LAST_LEVEL, LAST_SLOPE, PEAK_ALL = range(9)
LEVELS = 9
# `clock` (CLOCKS,) int64, in frames
NOW, PEAK_AT, RISING, LAST, BEATS, STARTED, IDLE = range(7)
CLOCKS = 7


@njit(cache=True, nogil=True)
def _median_of_five(a, b, c, d, e):  # type: ignore[no-untyped-def]
    """By exchanges; removes pacing spikes of up to 4 ms and leaves a QRS as it is."""
    if a > b:
        a, b = b, a
    if d > e:
        d, e = e, d
    if a > d:
        a, d = d, a
        b, e = e, b
    if b > c:
        b, c = c, b
    if b > d:
        return min(b, e)
    return min(c, d)


@njit(cache=True, nogil=True)
def _smooth(x, mask, raw, median, smooth, count, usable, flat):  # type: ignore[no-untyped-def]
    """One lead to 250 Hz: `median` and `smooth` begin with their memory (TAPS − 1 and MEMORY) and are filled here."""
    for t in range(x.shape[0]):
        v = x[t]
        if mask[t] and abs(v) < BEYOND_UV:
            j = t + TAPS - 1
            if count[REAL] == 0:
                raw[:] = v
                median[j - TAPS + 1 : j] = v
            count[FLAT] = count[FLAT] + 1 if abs(v - raw[4]) < FLAT_UV else 0
            count[REAL] += 1
            raw[0], raw[1], raw[2], raw[3], raw[4] = raw[1], raw[2], raw[3], raw[4], v
            median[j] = _median_of_five(raw[0], raw[1], raw[2], raw[3], raw[4])
        else:
            count[REAL] = 0
            median[t + TAPS - 1] = 0.0
        if t % 2 == 1:
            k = t // 2
            usable[k] = count[REAL] >= SETTLED
            flat[k] = count[FLAT] > FLAT_SAMPLES
            total = 0.0
            for i in range(TAPS):
                total += SMOOTHING[i] * median[t + i]
            smooth[k + MEMORY] = total


@njit(cache=True, nogil=True)
def _weigh(lead, count, energy, flat):  # type: ignore[no-untyped-def]
    """How much a lead's word counts now: above its noise, trusted at earlier beats, alive, and not absurdly high."""
    if count[KNOWN] == 0:
        lead[QRS] = max(lead[QRS], energy)
        if lead[NOISE] == 0.0:
            lead[NOISE] = energy
    lead[NOISE] *= 1 + NOISE_STEP * NOISE_QUANTILE if energy > lead[NOISE] else 1 - NOISE_STEP * (1 - NOISE_QUANTILE)
    lead[NOISE] = max(lead[NOISE], QUIETEST_UV)
    lead[HELD] = max(energy, lead[HELD] * HOLD_DECAY)
    qrs = max(lead[QRS], FLOOR_UV)
    ratio = qrs / lead[NOISE]
    weight = lead[TRUST] * (ratio / (ratio + 3.0)) ** 2 if ratio > 1 else 1e-6
    lead[DORMANT] = weight
    if flat:
        weight = 0.0
    if lead[HELD] < 0.4 * qrs:
        weight *= (lead[HELD] / (0.4 * qrs)) ** 2
    if lead[HELD] < FLOOR_UV:
        weight *= (lead[HELD] / FLOOR_UV) ** 2
    if energy > ARTEFACT * qrs:
        weight *= (ARTEFACT * qrs / energy) ** 2
    lead[WEIGHT] = weight
    return qrs


@njit(cache=True, nogil=True)
def _overdue(level):  # type: ignore[no-untyped-def]
    """Frames after which the next beat is late: 1.4 intervals, but no less than 0.6 s and no more than 1.6 s."""
    return min(max(1.4 * level[RR], 150.0), 400.0)


@njit(cache=True, nogil=True)
def _threshold(level, clock):  # type: ignore[no-untyped-def]
    """Joint level that the candidate has to reach, by the time since the last beat and by what lies between beats."""
    signal, background = level[SIGNAL], level[BACKGROUND]
    since = clock[PEAK_AT] - clock[LAST]
    waited = clock[IDLE] - (clock[NOW] - clock[PEAK_AT])
    # Between background and signal (Pan & Tompkins 1985), but no higher than their geometric mean: on a clean
    # signal a small ectopic beat still stands far out of the background.
    noise = max(background, 1.5 * level[PEAK_NOISE], 0.02)
    threshold = min(background + 0.32 * (signal - background), math.sqrt(signal * min(noise, signal)))
    if since < 110:  # 440 ms: a T wave of the last beat is smaller than its QRS
        threshold = max(threshold, 0.6 * min(level[LAST_LEVEL], 1.3))
    early = 0.72 * min(level[RR], 250.0)
    if since < early:
        threshold *= 1.0 + 0.37 * (1 - since / early)
    overdue = _overdue(level)
    if waited > overdue:  # falls by e in 0.4 s, yet not to where P waves of a standstill would be beats
        lowered = max(threshold * math.exp(-(waited - overdue) / 100.0), min(threshold, 0.16 * signal))
        # Leads that have been quiet lost their weight to one with an artefact: in a standstill they must be heard too.
        if level[PEAK_ALL] >= lowered:
            threshold = lowered
    return max(threshold, 1.65 * level[PEAK_NOISE])


@njit(cache=True, nogil=True)
def decide(lead, count, level, clock, slopes, apexes):  # type: ignore[no-untyped-def]
    """Judge the candidate and forget it.

    Returns:
        (sample, confidence): where the beat is and how sure that is, or (−1, 0) if it is none.
    """
    peak, at = level[PEAK], clock[PEAK_AT]
    since = at - clock[LAST]
    threshold = _threshold(level, clock)
    level[PEAK] = 0.0
    clock[PEAK_AT] = -1
    clock[RISING] = 0
    steepest = 0.0
    for m in range(max(at - WIDTH - LAG, 0), at + 1):
        steepest = max(steepest, slopes[m % RING])
    heaviest = lead[:, CANDIDATE_WEIGHT].max()
    strongest, agreeing, asked = 0.0, 0.0, 0.0
    for row in range(lead.shape[0]):
        energy, weight = lead[row, CANDIDATE], lead[row, CANDIDATE_WEIGHT]
        if weight >= 0.2 * heaviest:
            strongest = max(strongest, energy)
        asked += weight
        if energy > 0.4 * max(lead[row, QRS], FLOOR_UV):
            agreeing += weight
    # A T wave is less steep than its QRS (Pan & Tompkins 1985).
    t_wave = since < 110 and steepest < 0.55 * level[LAST_SLOPE]
    if t_wave or peak < threshold or strongest < FLOOR_UV or at + HOLD - clock[STARTED] < LEARNING:
        if since > 90:  # earlier ones are T waves and say nothing of the background
            level[BACKGROUND] += 0.1 * (min(peak, 0.5 * level[SIGNAL]) - level[BACKGROUND])
        return -1, 0.0
    sure = max(level[SIGNAL], 0.2)
    margin = (peak - threshold) / (sure - threshold) if sure > threshold else 1.0
    confidence = min(max(margin, 0.0), 1.0) * (agreeing / asked if asked > 0.0 else 0.0)
    # The centre of the QRS, from the squared curvature of all leads: it moves less than the highest wave does.
    mass, moment = 1e-12, 0.0
    for m in range(max(at - WIDTH - 6, 0), min(at + LAG, clock[NOW]) + 1):
        mass += apexes[m % RING]
        moment += apexes[m % RING] * (m - at)
    # Frame to sample, less the delays: smoothing and median (10), trend, one lag (10), and the bias against R (−1).
    sample = max(round(2 * (at + moment / mass)) - 19 - 2 * TREND, 0)
    if clock[BEATS] > 0 and since < 500:
        near = 0.5 * level[RR] < since < 1.5 * level[RR]
        level[RR] += (0.5 if clock[BEATS] < 4 else 0.125 if near else 0.05) * (since - level[RR])
    share = OVERDUE if clock[IDLE] - (clock[NOW] - at) > _overdue(level) and peak < 0.5 * level[SIGNAL] else DECIDED
    clock[BEATS] += 1
    clock[LAST] = at
    clock[IDLE] = clock[NOW] - at
    level[LAST_LEVEL] = peak
    level[LAST_SLOPE] = steepest
    level[SIGNAL] += share * (min(peak, 1.5 * level[SIGNAL] + 0.2) - level[SIGNAL])
    for row in range(lead.shape[0]):
        if lead[row, CANDIDATE_WEIGHT] <= 0.0:
            continue
        energy = lead[row, CANDIDATE]
        if count[row, KNOWN] == 0:
            lead[row, QRS] = max(energy, 0.5 * FLOOR_UV)
            count[row, KNOWN] = 1
            continue
        seen = 0.4 < energy / max(lead[row, QRS], 1e-9) < 2.0
        lead[row, TRUST] = max(lead[row, TRUST] + TRUSTED * ((1.0 if seen else 0.0) - lead[row, TRUST]), 0.02)
        lead[row, QRS] += share * (min(energy, 1.5 * lead[row, QRS] + 5.0) - lead[row, QRS])
    return sample, confidence


@njit(cache=True, nogil=True)
def run(x, mask, raws, medians, smooths, energies, lead, count, level, clock, slopes, apexes, samples, ats, sure):  # type: ignore[no-untyped-def]
    """Advance by x.shape[1] samples (even); beats go to `samples`, `ats`, `sure`. Returns how many."""
    rows, n = x.shape
    frames = n // 2
    median = np.empty((rows, TAPS - 1 + n), np.float32)
    smooth = np.empty((rows, MEMORY + frames), np.float32)
    slope = np.empty((rows, WIDTH + frames), np.float32)
    usable = np.empty((rows, frames), np.bool_)
    flat = np.empty((rows, frames), np.bool_)
    median[:, : TAPS - 1] = medians
    smooth[:, :MEMORY] = smooths
    slope[:, :WIDTH] = energies
    for row in range(rows):
        _smooth(x[row], mask[row], raws[row], median[row], smooth[row], count[row], usable[row], flat[row])
    found = 0
    for k in range(frames):
        now = clock[NOW]
        weights, joint, noise, steep, apex = 0.0, 0.0, 0.0, 0.0, 0.0
        dormant, joint_all = 0.0, 0.0
        for row in range(rows):
            if not usable[row, k]:
                lead[row, SUM] -= slope[row, k]
                slope[row, k + WIDTH] = 0.0
                lead[row, WEIGHT] = 0.0
                count[row, AGE] = 0
                continue
            value = smooth[row, k + MEMORY]
            if count[row, AGE] == 0:
                smooth[row, k : k + MEMORY] = value
            count[row, AGE] += 1
            middle = smooth[row, k + MEMORY - TREND]
            before = smooth[row, k + MEMORY - TREND - LAG]
            slope[row, k + WIDTH] = abs(middle - before - (value - smooth[row, k]) * (LAG / MEMORY))
            lead[row, SUM] += slope[row, k + WIDTH] - slope[row, k]
            energy = max(lead[row, SUM], 0.0) / WIDTH
            lead[row, ENERGY] = energy
            if count[row, AGE] < WIDTH + MEMORY:
                lead[row, WEIGHT] = 0.0
                continue
            qrs = _weigh(lead[row], count[row], energy, flat[row, k])
            weight = lead[row, WEIGHT]
            weights += weight
            joint += weight * math.sqrt(min(energy / qrs, CLIP))  # the root: a wave in all leads outweighs one in few
            dormant += lead[row, DORMANT]
            joint_all += lead[row, DORMANT] * math.sqrt(min(energy / qrs, CLIP))
            noise += weight * min(lead[row, NOISE] / qrs, 1.0)
            steep += weight * min((slope[row, k + WIDTH] / qrs) ** 2, 16.0)
            bend = 2 * before - middle - smooth[row, k + MEMORY - TREND - 2 * LAG]
            apex += weight * min(abs(bend) / qrs, 4.0)
        if weights > 1e-9:
            joint = (joint / weights) ** 2
            noise /= weights
            slopes[now % RING] = math.sqrt(steep / weights)
            apexes[now % RING] = (apex / weights) ** 2
            clock[IDLE] += 1
            if clock[STARTED] < 0:
                clock[STARTED] = now
        else:
            joint = noise = 0.0
            slopes[now % RING] = apexes[now % RING] = 0.0
        if joint > level[PREVIOUS]:
            clock[RISING] = 1
        level[PREVIOUS] = joint
        if joint > level[PEAK] and clock[RISING] and now - clock[LAST] > REFRACTORY:
            level[PEAK], level[PEAK_NOISE] = joint, noise
            level[PEAK_ALL] = (joint_all / dormant) ** 2 if dormant > 1e-9 else 0.0
            clock[PEAK_AT] = now
            for row in range(rows):
                lead[row, CANDIDATE_WEIGHT] = lead[row, WEIGHT]
                lead[row, CANDIDATE] = lead[row, ENERGY]
        if clock[PEAK_AT] >= 0 and now - clock[PEAK_AT] >= HOLD:
            sample, confidence = decide(lead, count, level, clock, slopes, apexes)
            if sample >= 0:
                samples[found], ats[found], sure[found] = sample, 2 * now + 1, confidence
                found += 1
        if clock[IDLE] > 750 and now % 25 == 0:  # 3 s without a beat: remember less, by e in 7 s
            for row in range(rows):
                if lead[row, WEIGHT] > 0.0:
                    lead[row, QRS] = max(0.985 * lead[row, QRS], FLOOR_UV)
            level[SIGNAL] += 0.03 * (1.0 - level[SIGNAL])
            level[BACKGROUND] *= 0.985
        clock[NOW] += 1
    medians[:] = median[:, n:]
    smooths[:] = smooth[:, frames:]
    energies[:] = slope[:, frames:]
    return found
