"""The inner loops of MiniRocket: convolve with weights −1 and 2, count what exceeds a bias. Exact in int16.

Position ``e`` of a convolution is that of its newest tap: C[e] = Σ_i w_i · x[e − (8 − i) d], i = 0 … 8, where three of
the nine weights are 2 and six are −1 (Dempster 2021, section 3.1), i.e. C = 3 (x_i0 + x_i1 + x_i2) − Σ_i x_i. Sums wrap
at 2^16, so that only C itself has to fit into int16, not what stands between. Loops run over whole multiples of
``LANES`` positions, because the scalar remainder of a vector loop costs more than computing too much.

Symbols: x (leads, samples) int16, f features, m combinations (one for each dilation and kernel), d dilation.
"""

from itertools import combinations

import numpy as np
from numba import njit

TAPS = 9
TWOS = np.array(list(combinations(range(TAPS), 3)), dtype=np.int64)  # (84, 3): which taps weigh 2
N_KERNELS = len(TWOS)
LANES = 64  # int16 in four 256-bit registers: what LLVM unrolls a loop to
BLOCK = 1024  # positions at a time in a batch: twelve leads of them stay in the first two caches
NEVER = np.int16(-32768)  # exceeds no bias


@njit(cache=True, nogil=True)
def _minus_sums(x, live, at, n, d, out):  # type: ignore[no-untyped-def]
    """out[lead, :n] = −Σ_i x[lead, e − (8 − i) d] for e = at … at + n − 1."""
    for lead in range(x.shape[0]):
        if not live[lead]:
            continue
        row = x[lead]
        t0, t1, t2 = row[at - 8 * d :][:n], row[at - 7 * d :][:n], row[at - 6 * d :][:n]
        t3, t4, t5 = row[at - 5 * d :][:n], row[at - 4 * d :][:n], row[at - 3 * d :][:n]
        t6, t7, t8 = row[at - 2 * d :][:n], row[at - d :][:n], row[at:][:n]
        to = out[lead]
        for i in range(n):
            to[i] = -(t0[i] + t1[i] + t2[i] + t3[i] + t4[i] + t5[i] + t6[i] + t7[i] + t8[i])


@njit(cache=True, nogil=True)
def _convolve(x, minus_sums, leads, live, at, n, d, twos, out):  # type: ignore[no-untyped-def]
    """out[:n] = C summed over the combination's live leads; False (and nothing written) where none is live."""
    a0, a1, a2 = at - (8 - twos[0]) * d, at - (8 - twos[1]) * d, at - (8 - twos[2]) * d
    begun = False
    for lead in leads:
        if not live[lead]:
            continue
        row, minus = x[lead], minus_sums[lead]
        t0, t1, t2 = row[a0:][:n], row[a1:][:n], row[a2:][:n]
        if begun:
            for i in range(n):
                out[i] += minus[i] + 3 * (t0[i] + t1[i] + t2[i])
        else:
            for i in range(n):
                out[i] = minus[i] + 3 * (t0[i] + t1[i] + t2[i])
            begun = True
    return begun


@njit(cache=True, nogil=True)
def _positives(c, bias):  # type: ignore[no-untyped-def]
    """How many of c (a multiple of ``LANES``, fewer than 2^15) exceed the bias; the counter is int16 as c is."""
    count = np.int16(0)
    for i in range(len(c)):
        count = np.int16(count + np.int16(c[i] > bias))
    return count


@njit(cache=True, nogil=True)
def live_leads(x):  # type: ignore[no-untyped-def]
    """(leads,) bool: some sample is not zero. A lead of zeros adds nothing to any convolution."""
    live = np.zeros(x.shape[0], dtype=np.bool_)
    for lead in range(x.shape[0]):
        row = x[lead]
        some = np.int16(0)
        for i in range(len(row)):
            some |= row[i]
        live[lead] = some != 0
    return live


@njit(cache=True, nogil=True)
def convolution(x, leads, at, n, d, twos):  # type: ignore[no-untyped-def]
    """(n,) int16: C of one combination at e = at … at + n − 1, for fitting its biases."""
    live = live_leads(x)
    sums = np.zeros((x.shape[0], n), dtype=np.int16)
    out = np.zeros(n, dtype=np.int16)
    _minus_sums(x, live, at, n, d, sums)
    _convolve(x, sums, leads, live, at, n, d, twos, out)
    return out


@njit(cache=True, nogil=True)
def count_hop(x, hop, offsets, dilations, per_dilation, starts, leads, biases, twos, before, after):  # type: ignore[no-untyped-def]
    """Positives among the newest ``hop`` positions, split in two at ``offset mod hop``.

    Args:
        x: (leads, history + hop + ``LANES``) int16; the last ``LANES`` columns are room for computing too much.
        hop: positions.
        offsets: (m,) int64 positions from a window's beginning that are not counted: 0 or 8 d.
        dilations: (dilations,) int32.
        per_dilation: (dilations,) int32 features of each combination.
        starts: (m + 1,) int64 where the leads of each combination stand in ``leads``.
        leads: rows of x, int32.
        biases: (f,) int16.
        twos: (84, 3), ``TWOS``.
        before: (f,) uint16, filled: positives before the split.
        after: (f,) uint16, filled: positives from the split on.
    """
    at = x.shape[1] - LANES - hop
    width = (hop + LANES - 1) // LANES * LANES
    live = live_leads(x)
    sums = np.zeros((x.shape[0], width), dtype=np.int16)
    c = np.empty(width, dtype=np.int16)
    early, late = np.empty(width, dtype=np.int16), np.empty(width, dtype=np.int16)
    m = 0
    f = 0
    for k in range(len(dilations)):
        d = np.int64(dilations[k])
        _minus_sums(x, live, at, width, d, sums)
        for kernel in range(len(twos)):
            split = offsets[m] % hop
            some = _convolve(x, sums, leads[starts[m] : starts[m + 1]], live, at, width, d, twos[kernel], c)
            if some and split:
                n_early = (split + LANES - 1) // LANES * LANES
                n_late = (hop - split + LANES - 1) // LANES * LANES
                early[n_early - LANES : n_early] = NEVER
                late[n_late - LANES : n_late] = NEVER
                early[:split] = c[:split]
                late[: hop - split] = c[split:hop]
                for _ in range(per_dilation[k]):
                    before[f] = _positives(early[:n_early], biases[f])
                    after[f] = _positives(late[:n_late], biases[f])
                    f += 1
            elif some:
                c[hop:] = NEVER
                for _ in range(per_dilation[k]):
                    before[f] = 0
                    after[f] = _positives(c, biases[f])
                    f += 1
            else:
                for _ in range(per_dilation[k]):
                    before[f] = split if biases[f] < 0 else 0
                    after[f] = hop - split if biases[f] < 0 else 0
                    f += 1
            m += 1


@njit(cache=True, nogil=True)
def count_window(x, first, end, dilations, per_dilation, starts, leads, biases, twos, counts):  # type: ignore[no-untyped-def]
    """Positives of each feature between the positions ``first`` and ``end`` of its combination.

    Args:
        x: (leads, samples + ``BLOCK``) int16; the last ``BLOCK`` columns are room for computing too much.
        first: (m,) int64 position of the first one counted.
        end: (m,) int64 position after the last one counted.
        dilations: as in :func:`count_hop`, as are per_dilation, starts, leads, biases and twos.
        counts: (f,) int32, filled.
    """
    live = live_leads(x)
    sums = np.zeros((x.shape[0], BLOCK), dtype=np.int16)
    c = np.empty(BLOCK, dtype=np.int16)
    counts[:] = 0
    m0 = 0
    f0 = 0
    for k in range(len(dilations)):
        d = np.int64(dilations[k])
        m1 = m0 + len(twos)
        for at in range(first[m0:m1].min(), end[m0:m1].max(), BLOCK):
            _minus_sums(x, live, at, BLOCK, d, sums)
            f = f0
            for kernel in range(len(twos)):
                m = m0 + kernel
                low = max(first[m] - at, 0)
                high = max(min(end[m] - at, BLOCK), low)
                if low == high:
                    f += per_dilation[k]
                    continue
                if _convolve(x, sums, leads[starts[m] : starts[m + 1]], live, at, BLOCK, d, twos[kernel], c):
                    c[:low] = NEVER
                    c[high:] = NEVER
                    for _ in range(per_dilation[k]):
                        counts[f] += _positives(c, biases[f])
                        f += 1
                else:
                    for _ in range(per_dilation[k]):
                        counts[f] += high - low if biases[f] < 0 else 0
                        f += 1
        m0 = m1
        f0 += len(twos) * per_dilation[k]


@njit(cache=True, nogil=True)
def slide(total, ring, newest, offsets_in_hops):  # type: ignore[no-untyped-def]
    """Move the window one hop on, now that the newest hop's counts stand in the ring.

    A feature counts from hop q of the window, behind its split, to the window's end. One hop on, what was hop q loses
    what stood behind its split, and what has become hop q loses what stands before it.

    Args:
        total: (f,) int32, changed.
        ring: (hops + 1, 2, f) uint16 positives before and after the split; the oldest slot has just left the window.
        newest: slot of the newest hop.
        offsets_in_hops: (f,) int64, q.
    """
    slots = ring.shape[0]
    for f in range(len(total)):
        left = newest + 1 + offsets_in_hops[f]
        left = left - slots if left >= slots else left
        begin = left + 1 if left + 1 < slots else 0
        total[f] += np.int32(ring[newest, 0, f]) + ring[newest, 1, f] - ring[left, 1, f] - ring[begin, 0, f]
