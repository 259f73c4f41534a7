/** The strip of AF evidence: one bar a second, the newest at the right edge. */

/** Seconds that the strip is wide. */
export const STRIP_S = 60;
/** A judged second with no evidence at all still leaves a mark, device pixels: it is not the same as not judged. */
const LEAST = 2;

/**
 * @typedef {object} Ink
 * @property {string} ground
 * @property {string} line half height
 * @property {string} bar
 * @property {string} blank what was not judged
 */

/**
 * @param {CanvasRenderingContext2D} ctx
 * @param {readonly number[]} evidence 0 to 1, -1 where not judged; newest last
 * @param {Ink} ink
 */
export function drawEvidence(ctx, evidence, ink) {
  const { width, height } = ctx.canvas;
  ctx.fillStyle = ink.ground;
  ctx.fillRect(0, 0, width, height);
  const last = evidence.slice(-STRIP_S);
  const edge = (/** @type {number} */ second) => Math.round((second * width) / STRIP_S);
  ctx.fillStyle = ink.line;
  ctx.fillRect(0, Math.round(height / 2), width, 1);
  last.forEach((value, i) => {
    const second = STRIP_S - last.length + i;
    const x = edge(second);
    const wide = edge(second + 1) - x - 1;
    if (value < 0) {
      ctx.fillStyle = ink.blank;
      ctx.fillRect(x, 0, wide + 1, height);
      return;
    }
    const tall = Math.max(LEAST, Math.round(value * height));
    ctx.fillStyle = ink.bar;
    ctx.fillRect(x, height - tall, wide, tall);
  });
}
