/** Server-sent events read off the body of a fetch, for EventSource cannot send a header. */

const LINE_END = /\r\n|\n|\r(?!$)/;

/**
 * Yield `{event, data, id}` for each event, and `{retry}` for each order to wait.
 *
 * `touched` is called whenever anything arrives, be it a heartbeat.
 */
export async function* eventsOf(body, touched) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let event = {};
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      touched();
      const lines = (rest + value).split(LINE_END);
      // The last line is not whole yet, or empty.
      rest = lines.pop();
      for (const line of lines) {
        if (line === "") {
          if (Object.keys(event).length) yield event;
          event = {};
        } else {
          readLine(line, event);
        }
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function readLine(line, event) {
  const colon = line.indexOf(":");
  if (colon === 0) return;
  const name = colon < 0 ? line : line.slice(0, colon);
  const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
  if (name === "data") event.data = event.data === undefined ? value : `${event.data}\n${value}`;
  else if (name === "event" || name === "id") event[name] = value;
  else if (name === "retry" && /^\d+$/.test(value)) event.retry = Number(value);
}
