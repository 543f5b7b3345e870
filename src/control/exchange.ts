// One request to the daemon, whose failures are told apart: there is no daemon, it does not answer, or it refuses.
import { type IncomingMessage, type RequestOptions, request } from "node:http";
import { isAbsent } from "../absent.ts";
import { RiffError, systemCode, toError } from "../errors.ts";
import type { WireError } from "./protocol.ts";
import { fromWireError } from "./wire.ts";

export interface Asked {
  readonly socketPath: string;
  readonly method: "GET" | "POST";
  readonly path: string;
  /** JSON. */
  readonly body?: string;
  /** Until the answer begins, and then between any two pieces of it. */
  readonly silenceMs: number;
  readonly signal?: AbortSignal | undefined;
}

export interface Answer {
  readonly status: number;
  /** Throws RIFF_DAEMON_UNRESPONSIVE where it is cut off or nothing comes; the signal's reason once that is aborted. */
  readonly text: AsyncGenerator<string, void>;
}

/** Nothing came for as long as that was waited for. */
export class Overdue extends Error {
  constructor(ms: number) {
    super(`nothing came for ${ms / 1000} s`);
  }
}

/** No answer that is read as a whole is longer. */
const MAX_ANSWER_CHARS = 64 * 1024 * 1024;

/** Returns when the answer begins. Throws RIFF_DAEMON_NOT_RUNNING, RIFF_DAEMON_UNRESPONSIVE, the signal's reason. */
export async function ask(asked: Asked): Promise<Answer> {
  const { socketPath, method, path, body, silenceMs, signal } = asked;
  signal?.throwIfAborted();
  const headers = body === undefined ? {} : { "Content-Type": "application/json" };
  const options: RequestOptions = { socketPath, method, path, headers, agent: false };
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const outgoing = request(options, resolve);
    const interrupt = () => outgoing.destroy();
    signal?.addEventListener("abort", interrupt, { once: true });
    outgoing.on("close", () => signal?.removeEventListener("abort", interrupt));
    outgoing.on("error", reject);
    const late = setTimeout(() => outgoing.destroy(new Overdue(silenceMs)), silenceMs);
    outgoing.on("response", () => clearTimeout(late));
    outgoing.on("close", () => clearTimeout(late));
    outgoing.end(body);
  }).catch((thrown: unknown) => {
    signal?.throwIfAborted();
    throw failure(socketPath, toError(thrown));
  });
  return { status: response.statusCode ?? 0, text: pieces(response, asked) };
}

/** The whole of an answer's text. */
export async function wholeText({ text }: Answer): Promise<string> {
  let whole = "";
  for await (const piece of text) {
    whole += piece;
    if (whole.length > MAX_ANSWER_CHARS) throw unresponsive("its answer does not end");
  }
  return whole;
}

/** What a refusal says of itself. */
export async function refusal(answer: Answer): Promise<Error> {
  const text = await wholeText(answer);
  const error = errorIn(text);
  return error === null
    ? unresponsive(`it answered ${answer.status}, and nothing that can be read`)
    : fromWireError(error);
}

export function unresponsive(why: string, cause?: unknown): RiffError {
  return new RiffError(
    "RIFF_DAEMON_UNRESPONSIVE",
    `The daemon does not answer as it should: ${why}.`,
    "Look at its log. What was committed is safe; the same command can be run again.",
    cause,
  );
}

async function* pieces(
  response: IncomingMessage,
  { silenceMs, signal, socketPath }: Asked,
): AsyncGenerator<string, void> {
  const text = response.setEncoding("utf8")[Symbol.asyncIterator]() as AsyncIterator<string>;
  try {
    for (;;) {
      // Only while something is waited for: whoever reads may take its time.
      const late = setTimeout(() => response.destroy(new Overdue(silenceMs)), silenceMs);
      const next = await text.next().finally(() => clearTimeout(late));
      if (next.done) return;
      yield next.value;
    }
  } catch (thrown) {
    signal?.throwIfAborted();
    throw failure(socketPath, toError(thrown));
  } finally {
    response.destroy();
  }
}

function failure(socketPath: string, error: Error): RiffError {
  if (isAbsent(error) || ["ECONNREFUSED", "ENOTSOCK"].includes(systemCode(error) ?? "")) {
    return new RiffError(
      "RIFF_DAEMON_NOT_RUNNING",
      `No daemon listens at ${socketPath}.`,
      "Start it with `riffd start`.",
      error,
    );
  }
  return unresponsive(BROKEN_OFF.has(systemCode(error) ?? "") ? "it broke off" : error.message, error);
}

/** What a connection ends with whose other end has gone. */
const BROKEN_OFF = new Set(["ECONNRESET", "EPIPE"]);

function errorIn(text: string): WireError | null {
  try {
    const { error } = JSON.parse(text) as { error?: Partial<WireError> };
    const { code = null, message, hint = null } = error ?? {};
    return typeof message === "string" ? { code, message, hint } : null;
  } catch {
    return null;
  }
}
