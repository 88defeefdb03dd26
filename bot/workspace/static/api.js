// Calls to the workspace, as the person this page acts as.

async function call(path, options) {
  try {
    const answer = await fetch(path, options);
    return await answer.json();
  } catch {
    return { ok: false, error: "offline", message: "The workspace does not answer. Is it still running?" };
  }
}

/** Read something. */
export function get(path, params = {}) {
  const query = new URLSearchParams(Object.entries(params).filter(([, value]) => value !== undefined && value !== null));
  return call(`${path}?${query}`);
}

/** Do something. */
export function post(path, body = {}) {
  return call(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
}

/** Undo something. */
export function remove(path, params = {}) {
  return call(`${path}?${new URLSearchParams(params)}`, { method: "DELETE" });
}
