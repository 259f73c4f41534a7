/** The access token: it comes in by the link's fragment, lives in this tab's session storage, and leaves the address bar. */

const KEY = "wardbeat.token";

/**
 * Moves a token from `#token=…` to the session storage and out of the address.
 *
 * @returns {string|null} the token of this tab
 */
export function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given !== null) {
    sessionStorage.setItem(KEY, given);
    history.replaceState(null, "", location.pathname + location.search);
  }
  return sessionStorage.getItem(KEY);
}

/** Forgets a token that the server refused. */
export function dropToken() {
  sessionStorage.removeItem(KEY);
}

/**
 * Whether the token says itself that it has run out. Only the server verifies it; this spares a useless attempt.
 *
 * @param {string} token
 * @param {number} nowMs Unix milliseconds
 * @returns {boolean}
 */
export function isExpired(token, nowMs) {
  const claims = claimsOf(token);
  return claims !== null && typeof claims.exp === "number" && claims.exp * 1000 <= nowMs;
}

/** @param {string} token @returns {{exp?: unknown}|null} null where it is no JWT: the server will refuse it */
function claimsOf(token) {
  const body = token.split(".")[1] ?? "";
  try {
    return JSON.parse(atob(body.replaceAll("-", "+").replaceAll("_", "/")));
  } catch {
    return null;
  }
}

/** @param {string} token @returns {string[]} WebSocket subprotocols that carry it */
export function subprotocols(token) {
  return ["wardbeat", `bearer.${token}`];
}
