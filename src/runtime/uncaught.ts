// Errors that nobody expected: told with what the process was doing, and the end of it. What was committed is complete in
// itself, so going on from there is safer than going on in a state that nobody knows.
import { RiffError } from "../errors.ts";
import type { LogFields, Logger } from "../sync/logger.ts";

/** The exit code of a bug. */
const BUG = 70;

/**
 * From now on, whatever is thrown or rejected and not caught is logged as fatal, with what `context` gives, and ends the
 * process with 70. Returns what stops that.
 */
export function endOnUncaught(
  logger: Logger,
  context: () => LogFields,
  exit: (code: number) => void = (code) => process.exit(code),
): () => void {
  let isEnding = false;
  const end = (thrown: unknown, origin: string) => {
    if (isEnding) return;
    isEnding = true;
    try {
      // An expected failure has no stack in the log, but one that nobody expected here.
      const where = thrown instanceof RiffError ? { stack: thrown.stack } : {};
      logger.fatal(
        { ...fieldsOf(context), origin, error: thrown, ...where },
        "riffd has failed in a way it does not know",
      );
    } finally {
      exit(BUG);
    }
  };
  const onException = (error: unknown) => end(error, "uncaughtException");
  const onRejection = (reason: unknown) => end(reason, "unhandledRejection");
  process.on("uncaughtException", onException);
  process.on("unhandledRejection", onRejection);
  return () => {
    process.off("uncaughtException", onException);
    process.off("unhandledRejection", onRejection);
  };
}

/** The state may be what failed. */
function fieldsOf(context: () => LogFields): LogFields {
  try {
    return context();
  } catch {
    return {};
  }
}
