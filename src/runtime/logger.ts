// The daemon's log: pino, one line for each thing said, as JSON or for people on a terminal. Nothing leaves it that has not
// passed the redaction.
import { writeSync } from "node:fs";
import { isatty } from "node:tty";
import { pino, stdTimeFunctions } from "pino";
import { LOG_LEVELS, type LogFields, type Logger, type LogLevel } from "../sync/logger.ts";
import type { LogFile } from "./log-file.ts";
import { LogStream } from "./log-stream.ts";
import { prettyLines } from "./pretty.ts";
import { Redaction } from "./redaction.ts";

export interface LoggerOptions {
  readonly level: LogLevel;
  /** `auto`: pretty on a terminal, else JSON. */
  readonly format: "auto" | "json" | "pretty";
  /** Of the pretty format. */
  readonly colour: boolean;
  /** Texts that are hidden wherever they appear: the passwords that the process knows. */
  readonly secrets: readonly string[];
  /** A descriptor; stdout by default. */
  readonly fd?: number;
  /** A file instead. */
  readonly file?: LogFile | null;
  /** Called before each line that goes to the descriptor. */
  beforeLine?(): void;
}

/** The logger that all others are children of. Lines are written before its calls return. */
export function createLogger(options: LoggerOptions): Logger {
  const { level, format, colour, secrets, fd = 1, file = null } = options;
  const stream = new LogStream(fd, {
    write: file === null ? writeSync : (_fd, bytes) => file.write(bytes),
    onLost: (count) => lines.warn({ lines: count }, "lines of this log were lost: nobody could take them"),
  });
  const isPretty = format === "auto" ? file === null && isatty(fd) : format === "pretty";
  const pretty = isPretty ? prettyLines(colour) : null;
  const lines: Lines = pino(
    {
      level: "trace",
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      // What is logged as an error has been made plain before.
      serializers: { error: (error: unknown) => error, err: (error: unknown) => error },
      formatters: { level: (label) => ({ level: label }) },
    },
    {
      write: (line) => {
        if (file === null) options.beforeLine?.();
        stream.write(pretty === null ? line : pretty(line));
      },
    },
  );
  return new PinoLogger(lines, { least: LOG_LEVELS.indexOf(level), redaction: new Redaction(secrets) });
}

/** What all loggers of a process share. */
interface Shared {
  /** Index of the least level that is said. */
  least: number;
  readonly redaction: Redaction;
}

/** The part of pino that is used, whose children have their own levels; these share one. */
type Lines = Pick<pino.Logger, LogLevel> & { child(fields: LogFields): Lines };

class PinoLogger implements Logger {
  readonly #lines: Lines;
  readonly #shared: Shared;

  constructor(lines: Lines, shared: Shared) {
    this.#lines = lines;
    this.#shared = shared;
  }

  trace(fields: LogFields, message: string): void {
    this.#say("trace", fields, message);
  }

  debug(fields: LogFields, message: string): void {
    this.#say("debug", fields, message);
  }

  info(fields: LogFields, message: string): void {
    this.#say("info", fields, message);
  }

  warn(fields: LogFields, message: string): void {
    this.#say("warn", fields, message);
  }

  error(fields: LogFields, message: string): void {
    this.#say("error", fields, message);
  }

  fatal(fields: LogFields, message: string): void {
    this.#say("fatal", fields, message);
  }

  child(fields: LogFields): Logger {
    return new PinoLogger(this.#lines.child(this.#shared.redaction.fields(fields)), this.#shared);
  }

  get level(): LogLevel {
    return LOG_LEVELS[this.#shared.least]!;
  }

  set level(level: LogLevel) {
    this.#shared.least = LOG_LEVELS.indexOf(level);
  }

  #say(level: LogLevel, fields: LogFields, message: string): void {
    const { least, redaction } = this.#shared;
    if (LOG_LEVELS.indexOf(level) < least) return;
    this.#lines[level](redaction.fields(fields), redaction.text(message));
  }
}
