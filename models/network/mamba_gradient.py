"""The gradient of ``models.network.kernels.mamba2``, for training on a CPU: the recurrence backwards, state by state.

With s_t = exp(a Δ_t) s_{t−1} + Δ_t x_t ⊗ B_t and y_t = C_t · s_t + D x_t, the adjoint of the state runs from the last
token to the first: G_t = C_t ⊗ ∂y_t + exp(a Δ_{t+1}) G_{t+1}. The states are computed anew and held for one window at a
time (1.6 MB, in the second cache), which costs less than to write those of a batch to memory.

Arrays that begin with ``d_`` are gradients of what the rest of the name says.
"""

import numpy as np
from numba import njit

from models.network.kernels import (
    CHANNELS,
    D_CONV,
    D_STATE,
    EPS,
    FAST,
    HEADDIM,
    HEADS,
    INNER,
    ONE,
    ZERO,
    _silu,
)

SMALL = np.float32(1e-6)  # of |x|, where sigmoid(x) is not silu(x) / x


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _silu_slope(x):  # type: ignore[no-untyped-def]
    """The derivative of silu: σ (1 + x (1 − σ))."""
    sigmoid = _silu(x) / x if abs(x) > SMALL else np.float32(0.5)
    return sigmoid * (ONE + x * (ONE - sigmoid))


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def mamba2_gradient(projected, conv, conv_bias, dt_bias, a, skip, d_out, d_projected, d_channels, d_heads):  # type: ignore[no-untyped-def]
    """Gradients of one Mamba-2 between its projections, forwards in time.

    Args:
        projected: (b, t, inner + (inner + 2 m) + h): z, xBC, dt.
        conv: (4, inner + 2 m), conv_bias: (inner + 2 m,); dt_bias, a, skip: (h,), as ``mamba2`` takes them.
        d_out: (b, t, inner), of what ``mamba2`` fills.
        d_projected: as projected, filled.
        d_channels: (4 + 1, inner + 2 m), added to: of conv and of conv_bias.
        d_heads: (3, h), added to: of dt_bias, a and skip.
    """
    b, tokens, _ = projected.shape
    raw = np.zeros((tokens + D_CONV - 1, CHANNELS), np.float32)
    d_pre = np.zeros((tokens + D_CONV - 1, CHANNELS), np.float32)  # none beyond the last token
    d_taps = np.zeros((D_CONV + 1, CHANNELS), np.float32)
    taps = np.empty((D_CONV + 1, CHANNELS), np.float32)
    taps[:D_CONV] = conv
    taps[D_CONV] = conv_bias
    pre, xbc = np.empty((tokens, CHANNELS), np.float32), np.empty((tokens, CHANNELS), np.float32)
    before, size = np.empty((tokens, HEADS), np.float32), np.empty((tokens, HEADS), np.float32)
    decays = np.empty((tokens, HEADS), np.float32)
    states = np.empty((tokens + 1, D_STATE, INNER), np.float32)
    ys = np.empty((tokens, INNER), np.float32)
    d_xbc = np.empty(CHANNELS, np.float32)
    work = np.empty((D_STATE + 6, INNER), np.float32)  # the state's adjoint, then:
    decay, step, dy = D_STATE, D_STATE + 1, D_STATE + 2  # dy: at first y
    d_step, d_decay, gated = D_STATE + 3, D_STATE + 4, D_STATE + 5
    for window in range(b):
        states[0] = ZERO
        for i in range(tokens):
            row = projected[window, i]
            dt = row[INNER + CHANNELS :]
            raw[i + D_CONV - 1] = row[INNER : INNER + CHANNELS]
            past, to = raw[i : i + D_CONV], pre[i]
            for c in range(CHANNELS):
                early = taps[4, c] + taps[0, c] * past[0, c] + taps[1, c] * past[1, c]
                to[c] = early + taps[2, c] * past[2, c] + taps[3, c] * past[3, c]
            x = xbc[i]
            for c in range(CHANNELS):
                x[c] = _silu(to[c])
            for h in range(HEADS):
                v = dt[h] + dt_bias[h]
                before[i, h] = v
                size[i, h] = v if v > np.float32(20) else np.log1p(np.exp(v))
                decays[i, h] = np.exp(size[i, h] * a[h])
                for c in range(h * HEADDIM, (h + 1) * HEADDIM):
                    work[decay, c] = decays[i, h]
                    work[step, c] = size[i, h] * x[c]
                    work[dy, c] = skip[h] * x[c]
            old, new = states[i], states[i + 1]
            for m in range(0, D_STATE, 2):
                b0, c0, b1, c1 = x[INNER + m], x[INNER + D_STATE + m], x[INNER + m + 1], x[INNER + D_STATE + m + 1]
                for c in range(INNER):
                    n0 = work[decay, c] * old[m, c] + b0 * work[step, c]
                    n1 = work[decay, c] * old[m + 1, c] + b1 * work[step, c]
                    new[m, c], new[m + 1, c] = n0, n1
                    work[dy, c] += c0 * n0 + c1 * n1
            ys[i] = work[dy]
        work[:D_STATE] = ZERO
        for back in range(tokens):
            i = tokens - 1 - back
            row, to, d_o = projected[window, i], d_projected[window, i], d_out[window, i]
            z, dz, y, x = row[:INNER], to[:INNER], ys[i], xbc[i]
            squares, along = ZERO, ZERO
            for c in range(INNER):
                work[gated, c] = y[c] * _silu(z[c])
                squares += work[gated, c] * work[gated, c]
                along += work[gated, c] * d_o[c]
            by = ONE / np.sqrt(squares / np.float32(INNER) + EPS)
            along *= by * by / np.float32(INNER)
            for c in range(INNER):
                d_gated = by * (d_o[c] - along * work[gated, c])
                work[dy, c] = d_gated * _silu(z[c])
                dz[c] = d_gated * y[c] * _silu_slope(z[c])
                work[d_step, c] = ZERO
                work[d_decay, c] = ZERO
            for h in range(HEADS):
                for c in range(h * HEADDIM, (h + 1) * HEADDIM):
                    work[decay, c] = decays[i, h]
                    work[step, c] = size[i, h] * x[c]
            old, new = states[i], states[i + 1]
            for m in range(0, D_STATE, 2):
                b0, c0, b1, c1 = x[INNER + m], x[INNER + D_STATE + m], x[INNER + m + 1], x[INNER + D_STATE + m + 1]
                d_b0, d_c0, d_b1, d_c1 = ZERO, ZERO, ZERO, ZERO
                for c in range(INNER):
                    g0 = work[m, c] + c0 * work[dy, c]
                    g1 = work[m + 1, c] + c1 * work[dy, c]
                    d_c0 += work[dy, c] * new[m, c]
                    d_c1 += work[dy, c] * new[m + 1, c]
                    d_b0 += work[step, c] * g0
                    d_b1 += work[step, c] * g1
                    work[d_step, c] += b0 * g0 + b1 * g1
                    work[d_decay, c] += g0 * old[m, c] + g1 * old[m + 1, c]
                    work[m, c], work[m + 1, c] = work[decay, c] * g0, work[decay, c] * g1
                d_xbc[INNER + m], d_xbc[INNER + m + 1] = d_b0, d_b1
                d_xbc[INNER + D_STATE + m], d_xbc[INNER + D_STATE + m + 1] = d_c0, d_c1
            for h in range(HEADS):
                d_size, d_by, d_skip = ZERO, ZERO, ZERO
                for c in range(h * HEADDIM, (h + 1) * HEADDIM):
                    d_size += work[d_step, c] * x[c]
                    d_by += work[d_decay, c]
                    d_skip += work[dy, c] * x[c]
                d_by *= decays[i, h]
                d_dt = (d_size + d_by * a[h]) / (ONE + np.exp(-before[i, h]))
                to[INNER + CHANNELS + h] = d_dt
                d_heads[0, h] += d_dt
                d_heads[1, h] += d_by * size[i, h]
                d_heads[2, h] += d_skip
            for h in range(HEADS):
                for c in range(h * HEADDIM, (h + 1) * HEADDIM):
                    d_xbc[c] = work[d_step, c] * size[i, h] + skip[h] * work[dy, c]
            p, d_p = pre[i], d_pre[i]
            for c in range(CHANNELS):
                d_p[c] = d_xbc[c] * _silu_slope(p[c])
        for i in range(tokens):
            after, to = d_pre[i : i + D_CONV], d_projected[window, i, INNER:]
            for c in range(CHANNELS):
                early = taps[3, c] * after[0, c] + taps[2, c] * after[1, c]
                to[c] = early + taps[1, c] * after[2, c] + taps[0, c] * after[3, c]
            past, d_p = raw[i : i + D_CONV], d_pre[i]
            for c in range(CHANNELS):
                d_taps[0, c] += d_p[c] * past[0, c]
                d_taps[1, c] += d_p[c] * past[1, c]
                d_taps[2, c] += d_p[c] * past[2, c]
                d_taps[3, c] += d_p[c] * past[3, c]
                d_taps[4, c] += d_p[c]
    d_channels += d_taps
