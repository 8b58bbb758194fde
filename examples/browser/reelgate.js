/**
 * A gateway as a page uses it: with a token of a few minutes, which is minted anew before it ends.
 *
 * The token is kept in memory alone, and only ever sent in the Authorization header.
 */

import { eventsOf } from "./events.js";

const CREATE_PATH = "/v1/videos/generations";
const FINAL = ["completed", "failed"];
/** So often a create is sent before its failure is told. */
const ATTEMPTS = 4;
const LONGEST_PAUSE_S = 30;
const LONG_POLL_S = 30;
const BETWEEN_QUESTIONS_MS = 500;
const NOT_MODIFIED = 304;
/** The gateway says something every 15 s, be it a heartbeat; a line that is silent is dead. */
const SILENCE_MS = 40_000;
/** So many streams in a row may tell nothing until the task is asked for instead. */
const SILENT_STREAMS = 2;
/** A token is replaced when a quarter of its life is left. */
const RENEWED_AFTER = 0.75;

/** A server said no, and why. */
export class Refusal extends Error {
  constructor(status, error, retryAfter) {
    super(error.message ?? `The server answered with ${status}`);
    this.reason = error.reason ?? "";
    this.requestId = error.request_id ?? "";
    this.isFinal = retryAfter === null && status < 500;
    this.retryAfterS = Number(retryAfter) || null;
  }

  static async of(answer) {
    const body = await answer.json().catch(() => ({}));
    return new Refusal(answer.status, body.error ?? {}, answer.headers.get("Retry-After"));
  }
}

export class Gateway {
  #mint;
  #token = null;
  #minting = null;

  /** `mint` asks the application's own server for `{gateway, token, expires_in_s}`. */
  constructor(mint) {
    this.#mint = mint;
  }

  /** Create a task. However often the request has to be sent, its name makes it one task. */
  async create(request, signal) {
    const headers = { "Content-Type": "application/json", "Idempotency-Key": randomName() };
    const body = JSON.stringify(request);
    return (await this.#insist(CREATE_PATH, { headers, body, signal })).json();
  }

  /** Take back a task that the gateway still holds. */
  async cancel(taskId, signal) {
    return (await this.#insist(`/v1/tasks/${taskId}/cancel`, { signal })).json();
  }

  /**
   * Yield a task as it is and whenever it changes, to its end: told by events, else asked for.
   *
   * `onWay` hears how it is followed: "live", "asking", or "waiting" for the line to come back.
   */
  async *follow(taskId, { signal, onWay }) {
    const stand = { lastId: "", retryMs: 1_000, silent: 0 };
    while (stand.silent < SILENT_STREAMS) {
      stand.silent += 1;
      stand.isRenewal = false;
      try {
        for await (const task of this.#told(taskId, stand, signal, onWay)) {
          yield task;
          if (FINAL.includes(task.status)) return;
        }
      } catch (trouble) {
        if (signal.aborted || trouble.isFinal) throw trouble;
      }
      if (!stand.isRenewal) {
        onWay("waiting");
        await pause(stand.retryMs, signal);
      }
    }
    yield* this.#askedFor(taskId, signal, onWay);
  }

  /** Yield what one stream tells. It is cut when its line is dead and when its token is old. */
  async *#told(taskId, stand, signal, onWay) {
    const { renewAtMs } = await this.#living();
    const cut = new AbortController();
    const renewal = setTimeout(() => {
      stand.isRenewal = true;
      cut.abort();
    }, renewAtMs - performance.now());
    let watch;
    const listen = () => {
      clearTimeout(watch);
      watch = setTimeout(() => cut.abort(), SILENCE_MS);
    };
    listen();
    try {
      const answer = await this.#ask(`/v1/tasks/${taskId}/events`, {
        headers: stand.lastId ? { "Last-Event-ID": stand.lastId } : {},
        signal: AbortSignal.any([signal, cut.signal]),
      });
      onWay("live");
      for await (const event of eventsOf(answer.body, listen)) {
        stand.silent = 0;
        stand.lastId = event.id ?? stand.lastId;
        stand.retryMs = event.retry ?? stand.retryMs;
        if (event.event === "closed") this.#token = null;
        else if (event.data) yield JSON.parse(event.data);
      }
    } finally {
      clearTimeout(renewal);
      clearTimeout(watch);
    }
  }

  /** Yield a task each time it has changed; asked for ever, until it has ended or is refused. */
  async *#askedFor(taskId, signal, onWay) {
    let known = null;
    for (let failures = 0; ; ) {
      try {
        const answer = await this.#askFor(taskId, known, signal);
        onWay("asking");
        failures = 0;
        known = answer.headers.get("ETag");
        if (answer.status !== NOT_MODIFIED) {
          const task = await answer.json();
          yield task;
          if (FINAL.includes(task.status)) return;
        }
        await pause(BETWEEN_QUESTIONS_MS, signal);
      } catch (trouble) {
        if (signal.aborted || trouble.isFinal) throw trouble;
        onWay("waiting");
        failures += 1;
        // What the gateway cannot wait for it may still answer at once.
        known = null;
        await pause(pauseMs(trouble, failures), signal);
      }
    }
  }

  /** Ask for a task; where it is known, the answer may wait for it to differ. */
  async #askFor(taskId, known, signal) {
    const path = `/v1/tasks/${taskId}`;
    if (known === null) return this.#ask(path, { signal });
    const headers = { "If-None-Match": known };
    return this.#ask(`${path}?wait=${LONG_POLL_S}`, { headers, signal });
  }

  /** Send something that may be repeated, as long as that may help. */
  async #insist(path, options) {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#ask(path, { method: "POST", ...options });
      } catch (trouble) {
        if (options.signal.aborted || trouble.isFinal || attempt === ATTEMPTS) throw trouble;
        await pause(pauseMs(trouble, attempt), options.signal);
      }
    }
  }

  /** Ask once; with a new token once more, where the gateway does not take the old one. */
  async #ask(path, options, isRepeated = false) {
    const held = await this.#living();
    const answer = await fetch(held.gateway + path, {
      ...options,
      headers: { ...options.headers, Authorization: `Bearer ${held.token}` },
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
    });
    if (answer.ok || answer.status === NOT_MODIFIED) return answer;
    if (answer.status !== 401 || isRepeated) throw await Refusal.of(answer);
    if (this.#token === held) this.#token = null;
    return this.#ask(path, options, true);
  }

  /** Return a token that is not about to end; all who need a new one at a time get the same. */
  async #living() {
    if (this.#token !== null && performance.now() < this.#token.renewAtMs) return this.#token;
    this.#minting ??= this.#minted().finally(() => {
      this.#minting = null;
    });
    return this.#minting;
  }

  async #minted() {
    const askedMs = performance.now();
    const { gateway, token, expires_in_s: lifeS } = await this.#mint();
    // Reckoned from here on, for this machine's idea of the time may be wrong.
    this.#token = { gateway, token, renewAtMs: askedMs + lifeS * 1_000 * RENEWED_AFTER };
    return this.#token;
  }
}

/** Return a name for one create; crypto.randomUUID would exist on https pages only. */
function randomName() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Return how long to wait after failures in a row: as long as was asked for, else ever longer. */
function pauseMs(trouble, failures) {
  return Math.min(trouble.retryAfterS ?? 2 ** (failures - 1), LONGEST_PAUSE_S) * 1_000;
}

function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
}
