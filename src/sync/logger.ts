// What a part says of its work, for whoever runs it. Implemented by runtime/logger.ts.

/** From the most talkative on: each says what it says and all behind it. */
export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal"] as const;

export type LogLevel = (typeof LOG_LEVELS)[number];

/**
 * What a line is about, by name: `session` an id, `path` a file, `error` whatever was thrown; not `level`, `time` or `msg`,
 * which are the line's own. Never what a message says, nor a credential.
 */
export type LogFields = Readonly<Record<string, unknown>>;

/** Says things in order, at once, and never throws. */
export interface Logger {
  trace(fields: LogFields, message: string): void;
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  /** A bug, or the end of the process. */
  fatal(fields: LogFields, message: string): void;
  /** One that has these fields in each of its lines. */
  child(fields: LogFields): Logger;
  /** What is said from now on, by this one, its children and its parents alike. */
  level: LogLevel;
}
