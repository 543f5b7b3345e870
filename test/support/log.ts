/** A logger that writes to a file, and what it has written. */
import { openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createLogger, type LoggerOptions } from "../../src/runtime/logger.ts";
import type { Logger } from "../../src/sync/logger.ts";
import { scratchFolder } from "./workbench.ts";

export interface Log {
  readonly logger: Logger;
  text(): string;
  /** Each line of JSON. */
  lines(): Record<string, unknown>[];
}

export function openLog(options: Partial<LoggerOptions> = {}): Log {
  const path = join(scratchFolder(), "log");
  const logger = createLogger({
    level: "trace",
    format: "json",
    colour: false,
    secrets: [],
    fd: openSync(path, "a"),
    ...options,
  });
  const text = () => readFileSync(path, "utf8");
  const lines = () =>
    text()
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  return { logger, text, lines };
}
