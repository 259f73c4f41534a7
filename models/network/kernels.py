"""The inner loops of the network without torch; what is a matrix product is left to NumPy.

Channels stand last, so that every inner loop runs over neighbours in memory. The narrow loops have constant lengths: of
a length known at run time alone LLVM would take 24 channels one by one. Each window is computed on its own and in the
same order whatever stands beside it, so that a replay in other batches says the same to the last bit.
"""

import numpy as np
from numba import njit

from models.inputs import SAMPLES, TOKENS
from models.network import config

DEFAULT = config.NetworkConfig()
NARROW = DEFAULT.narrow
D_STATE = DEFAULT.d_state
D_CONV = DEFAULT.d_conv
HEADDIM = DEFAULT.headdim
INNER = DEFAULT.d_inner
HEADS = DEFAULT.mamba_heads
CHANNELS = INNER + 2 * D_STATE  # x, B, C
PROJECTION = INNER + CHANNELS + HEADS  # z, xBC, dt
HALF = SAMPLES // 2  # positions after the first convolution, of stride 2
TAPS1, TAPS2, TAPS3 = 9, 7, 11  # of the tokenizer's convolutions
STRIDE3 = HALF // TOKENS
COLUMN = TAPS3 * NARROW  # numbers that one token is made of
EPS = np.float32(config.EPS)
FAST = {"contract", "reassoc", "nsz"}  # fused multiply-add, and sums in lanes; NaN and infinity stay what they are

# tanh(x) = x P(x²) / Q(x²) to 3 units in the last place of float32, for |x| < 7.9 (Eigen's ptanh): it takes no table
# and no branch, so that LLVM computes it in lanes, which it does not with exp.
P13, P11, P9 = np.float32(-2.76076847742355e-16), np.float32(2.00018790482477e-13), np.float32(-8.60467152213735e-11)
P7, P5, P3 = np.float32(5.12229709037114e-08), np.float32(1.48572235717979e-05), np.float32(6.37261928875436e-04)
P1 = np.float32(4.89352455891786e-03)
Q6, Q4 = np.float32(1.19825839466702e-06), np.float32(1.18534705686654e-04)
Q2, Q0 = np.float32(2.26843463243900e-03), np.float32(4.89352518554385e-03)
TANH_END = np.float32(7.90531110763549805)
SILU_END = np.float32(-16)  # below it silu is 0 to 2e-6; tanh's rounding times what is far below would not be
ZERO, ONE, ONE_HALF = np.float32(0), np.float32(1), np.float32(0.5)


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _silu(x):  # type: ignore[no-untyped-def]
    """x · sigmoid(x) = x (1 + tanh(x / 2)) / 2, float32."""
    half = ONE_HALF * (x if x > SILU_END else SILU_END)
    u = half
    u = TANH_END if u > TANH_END else u
    u = -TANH_END if u < -TANH_END else u
    s = u * u
    p = P1 + s * (P3 + s * (P5 + s * (P7 + s * (P9 + s * (P11 + s * P13)))))
    q = Q0 + s * (Q2 + s * (Q4 + s * Q6))
    return half + half * (u * p / q)


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def silu(x, bias):  # type: ignore[no-untyped-def]
    """In place: x (rows, channels) = silu(x + bias)."""
    for i in range(x.shape[0]):
        row = x[i]
        for c in range(len(row)):
            row[c] = _silu(row[c] + bias[c])


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def add_and_norm(x, added, out):  # type: ignore[no-untyped-def]
    """In place: x += added, and out = x / rms(x); all (rows, d)."""
    for i in range(x.shape[0]):
        row, more, to = x[i], added[i], out[i]
        squares = ZERO
        for c in range(len(row)):
            row[c] += more[c]
            squares += row[c] * row[c]
        by = ONE / np.sqrt(squares / np.float32(len(row)) + EPS)
        for c in range(len(row)):
            to[c] = row[c] * by


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def first_convolutions(signal, w1, b1, w2, b2, x, y):  # type: ignore[no-untyped-def]
    """The tokenizer of one lead up to its pointwise convolution.

    Args:
        signal: (1000,) int16.
        w1, b1: (9, 24), (24,); w2, b2: (7, 24), (24,).
        x: (3 + 500 + 3, 24), filled: first convolution, zero beyond the ends.
        y: (500, 24), filled: depthwise convolution of x.
    """
    pad = TAPS1 // 2
    samples = np.zeros(SAMPLES + 2 * pad, np.float32)
    for j in range(SAMPLES):
        samples[pad + j] = signal[j]
    x[: TAPS2 // 2] = ZERO
    x[HALF + TAPS2 // 2 :] = ZERO
    for t in range(HALF):
        s = samples[2 * t :][:TAPS1]
        s0, s1, s2, s3, s4, s5, s6, s7, s8 = s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8]
        to = x[t + TAPS2 // 2]
        for c in range(NARROW):
            early = b1[c] + w1[0, c] * s0 + w1[1, c] * s1 + w1[2, c] * s2 + w1[3, c] * s3 + w1[4, c] * s4
            to[c] = _silu(early + w1[5, c] * s5 + w1[6, c] * s6 + w1[7, c] * s7 + w1[8, c] * s8)
    for t in range(HALF):
        around = x[t : t + TAPS2]
        to = y[t]
        for c in range(NARROW):
            early = b2[c] + w2[0, c] * around[0, c] + w2[1, c] * around[1, c] + w2[2, c] * around[2, c]
            late = w2[4, c] * around[4, c] + w2[5, c] * around[5, c] + w2[6, c] * around[6, c]
            to[c] = early + w2[3, c] * around[3, c] + late


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def columns(x, y, bias, out):  # type: ignore[no-untyped-def]
    """What each token of a lead's last convolution is made of.

    Args:
        x: (506, 24) of ``first_convolutions``; y: (500, 24), pointwise convolution without its bias (24,).
        out: (100, 11 · 24), filled with x + silu(y + bias), the taps of a token side by side.
    """
    pad = TAPS3 // 2
    padded = np.zeros((HALF + 2 * pad, NARROW), np.float32)
    flat = padded.reshape(-1)
    for t in range(HALF):
        at, add, to = x[t + TAPS2 // 2], y[t], padded[t + pad]
        for c in range(NARROW):
            to[c] = at[c] + _silu(add[c] + bias[c])
    for t in range(TOKENS):
        out[t] = flat[t * STRIDE3 * NARROW :][:COLUMN]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def pool_leads(x, rows, bias, score, score_bias, out, share):  # type: ignore[no-untyped-def]
    """Leads of one window to one vector each token: their weighted means, one a look.

    Args:
        x: (12, t, wide), the first n without activation and bias (wide,), changed; rows: (n,) int64 which leads.
        score: (looks, wide), score_bias: (looks,) of the attention over leads.
        out: (t, looks · wide) zeros, filled; share: (t, 12) zeros, filled at the leads: the mean of the looks.
    """
    _, tokens, wide = x.shape
    n, looks = len(rows), len(score)
    scores = np.empty(n, np.float32)
    for t in range(tokens):
        for i in range(n):
            row = x[i, t]
            for c in range(wide):
                row[c] = _silu(row[c] + bias[c])
        for look in range(looks):
            highest = np.float32(-np.inf)
            for i in range(n):
                row, total = x[i, t], score_bias[look]
                for c in range(wide):
                    total += row[c] * score[look, c]
                scores[i] = total
                highest = max(highest, total)
            whole = ZERO
            for i in range(n):
                scores[i] = np.exp(scores[i] - highest)
                whole += scores[i]
            mean = out[t, look * wide : (look + 1) * wide]
            for i in range(n):
                row, by = x[i, t], scores[i] / whole
                share[t, rows[i]] += by / np.float32(looks)
                for c in range(wide):
                    mean[c] += by * row[c]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def mamba2(projected, side, conv, conv_bias, dt_bias, a, skip, out):  # type: ignore[no-untyped-def]
    """One Mamba-2 between its projections, the recurrence fused with all that surrounds it: one exp a head and token.

    What the inner loop touches stands in one array of constant shape: LLVM then knows that it does not overlap.

    Args:
        projected: (b, t, 2 · projection) of both sides: z, xBC, dt of each.
        side: 0 forwards; 1 backwards: the last token comes first.
        conv: (4, inner + 2 m), conv_bias: (inner + 2 m,).
        dt_bias, a, skip: (h,), a = −exp(A_log), skip = D.
        out: (b, t, 2 · inner), this side's half is filled: gated and divided by its rms.
    """
    b, tokens, _ = projected.shape
    raw = np.zeros((tokens + D_CONV - 1, CHANNELS), np.float32)
    taps = np.empty((D_CONV + 1, CHANNELS), np.float32)
    taps[:D_CONV] = conv
    taps[D_CONV] = conv_bias
    xbc = np.empty(CHANNELS, np.float32)
    work = np.empty((D_STATE + 3, INNER), np.float32)  # the state, then:
    decay, step, y = D_STATE, D_STATE + 1, D_STATE + 2
    for window in range(b):
        work[:D_STATE] = ZERO
        for i in range(tokens):
            at = tokens - 1 - i if side else i
            row = projected[window, at, side * PROJECTION :][:PROJECTION]
            z, dt, to = row[:INNER], row[INNER + CHANNELS :], out[window, at, side * INNER :]
            raw[i + D_CONV - 1] = row[INNER : INNER + CHANNELS]
            past = raw[i : i + D_CONV]
            for c in range(CHANNELS):
                early = taps[4, c] + taps[0, c] * past[0, c] + taps[1, c] * past[1, c]
                xbc[c] = _silu(early + taps[2, c] * past[2, c] + taps[3, c] * past[3, c])
            for h in range(HEADS):
                v = dt[h] + dt_bias[h]
                size = v if v > np.float32(20) else np.log1p(np.exp(v))  # softplus, as in torch
                by = np.exp(size * a[h])
                for c in range(h * HEADDIM, (h + 1) * HEADDIM):
                    work[decay, c] = by
                    work[step, c] = size * xbc[c]
                    work[y, c] = skip[h] * xbc[c]
            for m in range(0, D_STATE, 4):
                B, C = xbc[INNER + m :][:4], xbc[INNER + D_STATE + m :][:4]
                b0, b1, b2, b3 = B[0], B[1], B[2], B[3]
                c0, c1, c2, c3 = C[0], C[1], C[2], C[3]
                for c in range(INNER):
                    n0 = work[decay, c] * work[m, c] + b0 * work[step, c]
                    n1 = work[decay, c] * work[m + 1, c] + b1 * work[step, c]
                    n2 = work[decay, c] * work[m + 2, c] + b2 * work[step, c]
                    n3 = work[decay, c] * work[m + 3, c] + b3 * work[step, c]
                    work[m, c], work[m + 1, c], work[m + 2, c], work[m + 3, c] = n0, n1, n2, n3
                    work[y, c] += c0 * n0 + c1 * n1 + c2 * n2 + c3 * n3
            squares = ZERO
            for c in range(INNER):
                work[y, c] *= _silu(z[c])
                squares += work[y, c] * work[y, c]
            by = ONE / np.sqrt(squares / np.float32(INNER) + EPS)
            for c in range(INNER):
                to[c] = work[y, c] * by
