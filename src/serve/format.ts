// The two ways a request and its reply are written: CBOR and JSON. Inside, values are CBOR as the engine has them.
import { CborCodec, Uuid } from "surrealdb";
import { type Envelope, entries, readEnvelope } from "./cbor.ts";
import { invalidParams, invalidRequest, parseError, RpcFailure } from "./failure.ts";
import { toJson } from "./json.ts";

/** What came of a request: the value of `result` or of `error`, in CBOR. */
export interface Outcome {
  readonly kind: "result" | "error";
  readonly value: Uint8Array;
}

export interface Format {
  /** The subprotocol of a WebSocket, and the last part of the media type. */
  readonly name: "cbor" | "json";
  /** Reads a frame. Throws as `readEnvelope` does. */
  read(frame: Uint8Array): Envelope;
  /** Writes the reply to a request; without one, to a frame that was none. */
  reply(to: Pick<Envelope, "id" | "session"> | null, outcome: Outcome): Uint8Array;
  /** Writes a live query's notification. */
  notification(value: Uint8Array): Uint8Array;
}

const codec = CborCodec.DEFAULT;
const utf8 = new TextDecoder("utf-8", { fatal: true });

/** A value in CBOR. */
export function encode(value: unknown): Uint8Array {
  return codec.encode(value);
}

export function decode(value: Uint8Array): unknown {
  return codec.decode(value);
}

const KEY = { id: encode("id"), session: encode("session"), result: encode("result"), error: encode("error") };

/** A map of the fields that have a value, in this order; the values are CBOR already. */
export function encodeMap(fields: readonly (readonly [key: Uint8Array, value: Uint8Array | null])[]): Uint8Array {
  const present = fields.filter((field): field is readonly [Uint8Array, Uint8Array] => field[1] !== null);
  return Buffer.concat([Uint8Array.of(0xa0 | present.length), ...present.flat()]);
}

export const cborFormat: Format = {
  name: "cbor",
  read: readEnvelope,
  reply: (to, { kind, value }) =>
    encodeMap([
      [KEY.id, to?.id ?? null],
      [KEY.session, to?.session ? encode(new Uuid(to.session)) : null],
      [KEY[kind], value],
    ]),
  notification: (value) => encodeMap([[KEY.result, value]]),
};

export const jsonFormat: Format = {
  name: "json",
  read(frame) {
    const { params, ...rest } = parseJson(frame);
    const envelope = readEnvelope(encode(rest));
    if (!Array.isArray(params)) return envelope;
    try {
      return readEnvelope(encode({ ...rest, params }));
    } catch (thrown) {
      if (thrown instanceof RpcFailure) throw thrown;
      return { ...envelope, refusal: invalidParams(`A value cannot be written: ${(thrown as Error).message}`) };
    }
  },
  reply(to, { kind, value }) {
    const id = to?.id ? `"id":${toJson(decode(to.id))},` : "";
    const session = to?.session ? `"session":${toJson(to.session)},` : "";
    return Buffer.from(`{${id}${session}"${kind}":${toJson(decode(value))}}`);
  },
  notification: (value) => Buffer.from(`{"result":${toJson(decode(value))}}`),
};

/** The engine answers with a bare result, or with a map whose only key is `error`. */
export function readReply(reply: Uint8Array): Outcome {
  const failed = reply[0] === 0xa1 && Buffer.compare(reply.subarray(1, 1 + KEY.error.length), KEY.error) === 0;
  if (!failed) return { kind: "result", value: reply };
  const value = reply.subarray(1 + KEY.error.length);
  return entries(value).has("message") ? { kind: "error", value } : { kind: "result", value: reply };
}

function parseJson(frame: Uint8Array): Record<string, unknown> {
  const request = parseText(frame);
  if (typeof request === "object" && request !== null && !Array.isArray(request)) return { ...request };
  throw invalidRequest("it is no object");
}

function parseText(frame: Uint8Array): unknown {
  try {
    return JSON.parse(utf8.decode(frame));
  } catch {
    throw parseError("it is no JSON");
  }
}
