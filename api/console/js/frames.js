/** The wave frame: what arrives on `/ws/waves`, little-endian (docs: asyncapi.json). */

const VERSION = 1;
const HEADER_BYTES = 32;
const MISSING = -32768;

/**
 * @typedef {object} WaveFrame
 * @property {string} bed
 * @property {number} epoch Unix milliseconds of sample 0
 * @property {number} first index of the first sample in the epoch, at 125 Hz
 * @property {number} count samples per lead
 * @property {Uint8Array} leads lead indices, 0..11
 * @property {number} uvPerBit microvolts per count
 * @property {number} sentAt Unix milliseconds at which the monitor sent it
 * @property {Int16Array} counts lead-major, leads × count; -32768 where nothing was measured
 */

const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * @param {ArrayBuffer} data
 * @returns {WaveFrame}
 * @throws {RangeError} the frame is none of ours; the message quotes what was wrong
 */
export function decodeFrame(data) {
  if (data.byteLength < HEADER_BYTES) throw new RangeError(`wave frame of ${data.byteLength} bytes has no header`);
  const view = new DataView(data);
  const version = view.getUint8(0);
  if (version !== VERSION) throw new RangeError(`wave frame of version ${version}, expected ${VERSION}`);
  const leadCount = view.getUint8(1);
  const count = view.getUint16(2, true);
  const bedBytes = view.getUint8(4);
  const epoch = view.getFloat64(8, true);
  const leadsAt = HEADER_BYTES + bedBytes;
  const samplesAt = (leadsAt + leadCount + 1) & ~1;
  const expected = samplesAt + 2 * leadCount * count;
  if (data.byteLength !== expected) {
    throw new RangeError(`wave frame of ${data.byteLength} bytes, expected ${expected} for ${leadCount} × ${count}`);
  }
  const leads = new Uint8Array(data, leadsAt, leadCount);
  for (const lead of leads) if (lead > 11) throw new RangeError(`wave frame names lead ${lead}, expected 0..11`);
  return {
    bed: utf8.decode(new Uint8Array(data, HEADER_BYTES, bedBytes)),
    epoch,
    first: view.getFloat64(16, true),
    count,
    leads,
    uvPerBit: view.getFloat32(24, true),
    sentAt: epoch + view.getUint32(28, true),
    counts: new Int16Array(data, samplesAt, leadCount * count),
  };
}

/** @param {number} count @param {number} uvPerBit @returns {number} µV, NaN where nothing was measured */
export function microvolts(count, uvPerBit) {
  return count === MISSING ? NaN : count * uvPerBit;
}
