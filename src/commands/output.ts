// What commands write: results to stdout, everything else to stderr. Numbers and words for people.
import type { RiffError } from "../errors.ts";

/** Where a command writes. */
export interface Output {
  /** One line of result. */
  line(text: string): void;
  /** One line for people only: progress, warnings. */
  note(text: string): void;
}

export const terminal: Output = {
  line: (text) => process.stdout.write(`${text}\n`),
  note: (text) => process.stderr.write(`${text}\n`),
};

/** `Error:` what was wrong and where, `Try:` what to do next. */
export function formatError(error: RiffError): string {
  return `Error: ${error.message}\nTry: ${error.hint}`;
}

/** 12345 → "12,345". */
export function formatCount(count: number): string {
  return count.toLocaleString("en-US");
}

/** "1 session", "2 sessions". */
export function plural(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** Text that a transcript claims, which may hold anything, as one short line without control characters. */
export function oneLine(text: string, most = 60): string {
  const line = text.replaceAll(/\p{Cc}+/gu, " ").trim();
  return line.length > most ? `${line.slice(0, most - 1)}…` : line;
}

export function formatBytes(bytes: number): string {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

export function formatScore(score: number): string {
  return `${(score * 100).toFixed(score > 0 && score < 0.0001 ? 4 : 2)}%`;
}
