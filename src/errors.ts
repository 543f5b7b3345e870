// Every failure that riffd expects, with what to do next and the exit code. docs/errors.md lists the same table, and a
// test keeps both equal. Anything else that is thrown is a bug and ends the process.

/** code → exit code. Exit codes are never reused. 0: done. 1: done, but some sessions failed. 2: wrong usage. */
export const EXIT_CODES = {
  RIFF_SESSIONS_FAILED: 1,
  RIFF_USAGE: 2,
  RIFF_SESSION_NOT_FOUND: 3,
  RIFF_SESSION_AMBIGUOUS: 4,
  RIFF_PROJECTS_MISSING: 5,
  RIFF_FILE_UNREADABLE: 6,
  RIFF_VERIFY_FAILED: 7,
  RIFF_EXPORT_FAILED: 8,
  RIFF_STORE_LOCKED: 10,
  RIFF_STORE_UNREACHABLE: 11,
  RIFF_STORE_IO: 12,
  RIFF_STORE_DAMAGED: 13,
  RIFF_SCHEMA_NEWER: 14,
  RIFF_SCHEMA_CHANGED: 15,
  RIFF_COMMIT_FAILED: 16,
  RIFF_STATE_UNWRITABLE: 17,
  RIFF_CREDENTIALS_REFUSED: 18,
  RIFF_SCHEMA_MISSING: 19,
  RIFF_PERMISSION_DENIED: 20,
  RIFF_DISK_FULL: 21,
  RIFF_SERVE_FAILED: 22,
  RIFF_QUERY_FAILED: 23,
  RIFF_BACKUP_FAILED: 24,
  RIFF_NOT_CONFIRMED: 25,
  RIFF_DAEMON_RUNNING: 26,
  RIFF_DAEMON_NOT_RUNNING: 27,
  RIFF_DAEMON_UNRESPONSIVE: 28,
  RIFF_DOCTOR_PROBLEMS: 29,
  RIFF_SERVICE_FAILED: 30,
  RIFF_CONFIG_INVALID: 78,
  RIFF_INTERRUPTED: 130,
} as const satisfies Record<string, number>;

export type ErrorCode = keyof typeof EXIT_CODES;

/** An expected failure: what was wrong and where (`message`), and what to do next (`hint`). */
export class RiffError extends Error {
  override readonly name = "RiffError";
  readonly code: ErrorCode;
  readonly hint: string;

  constructor(code: ErrorCode, message: string, hint: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.hint = hint;
  }

  get exitCode(): number {
    return EXIT_CODES[this.code];
  }
}

/** Turns whatever was thrown into an Error, once, where it enters. */
export function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

/** The `code` of a Node.js system error (`ENOENT`, …), or undefined. */
export function systemCode(thrown: unknown): string | undefined {
  return thrown instanceof Error && "code" in thrown && typeof thrown.code === "string" ? thrown.code : undefined;
}
