// What travels between the daemon and its clients, where it is not the same as what it stands for.
import { type ErrorCode, EXIT_CODES, RiffError, toError } from "../errors.ts";
import type { FedCommit } from "../sync/feed.ts";
import type { SessionReport } from "../sync/sync.ts";
import type { DaemonStatus, SyncMessage, WireError, WireReport } from "./protocol.ts";

export function toWireError(thrown: unknown): WireError {
  const error = toError(thrown);
  if (error instanceof RiffError) return { code: error.code, message: error.message, hint: error.hint };
  return { code: null, message: error.stack ?? error.message, hint: null };
}

/** The RiffError that it was; an Error for a bug, or for a code of a newer daemon's. */
export function fromWireError({ code, message, hint }: WireError): Error {
  if (code !== null && isErrorCode(code)) return new RiffError(code, message, hint ?? "");
  return new Error(message);
}

export function toWireReport(report: SessionReport): WireReport {
  return { ...report, error: report.error === null ? null : toWireError(report.error) };
}

export function fromWireReport(report: WireReport): SessionReport {
  return { ...report, error: report.error === null ? null : fromWireError(report.error) };
}

/** The name of every field that is a Date in anything that travels: the compiler knows them. */
const DATES: Readonly<Record<DateField<DaemonStatus | SyncMessage | FedCommit>, true>> = {
  started_at: true,
  since: true,
  changed_at: true,
  failed_at: true,
  at: true,
  time: true,
  first_message_at: true,
  last_message_at: true,
  created_at: true,
  last_updated: true,
  forgotten_at: true,
};

/** Reads JSON with its dates. Throws SyntaxError. */
export function parseWire(text: string): unknown {
  return JSON.parse(text, (key, value: unknown) => {
    if (!Object.hasOwn(DATES, key) || typeof value !== "string") return value;
    const date = new Date(value);
    if (Number.isNaN(date.getTime())) throw new SyntaxError(`${key} is no time`);
    return date;
  });
}

type DateField<T> = T extends Date | string | number | boolean | null | undefined
  ? never
  : T extends readonly (infer Item)[]
    ? DateField<Item>
    : { [Key in keyof T & string]: (Date extends T[Key] ? Key : never) | DateField<T[Key]> }[keyof T & string];

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(EXIT_CODES, code);
}
