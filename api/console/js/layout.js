/** How many columns and rows let every bed stand on one screen, as large as can be. */

/** A sector reads best at about this width to height: a few seconds of trace and the digits beside it. */
const ASPECT = 2.5;
export const GAP = 4;

/**
 * @param {number} beds
 * @param {number} width room, CSS pixels
 * @param {number} height room, CSS pixels
 * @returns {{columns: number, rows: number, cellWidth: number, cellHeight: number}} whole CSS pixels
 */
export function chooseGrid(beds, width, height) {
  let best = { columns: 1, rows: Math.max(1, beds), cellWidth: width, cellHeight: height, size: -1 };
  for (let columns = 1; columns <= Math.max(1, beds); columns += 1) {
    const rows = Math.ceil(beds / columns) || 1;
    const cellWidth = Math.floor((width - GAP * (columns - 1)) / columns);
    const cellHeight = Math.floor((height - GAP * (rows - 1)) / rows);
    const size = Math.min(cellWidth / ASPECT, cellHeight);
    if (size > best.size) best = { columns, rows, cellWidth, cellHeight, size };
  }
  return { columns: best.columns, rows: best.rows, cellWidth: best.cellWidth, cellHeight: best.cellHeight };
}
