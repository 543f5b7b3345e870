// Log lines for people: time, level, the session it is about, what was said, and the rest, on one line. Only of a bug the
// stack follows. Numbers are for programs: what was said names those that matter.
import { prettyFactory } from "pino-pretty";

const NOT_SHOWN = new Set(["level", "time", "msg", "error", "session", "status"]);

/** What turns a line of JSON into one for people. */
export function prettyLines(colour: boolean): (line: string) => string {
  return prettyFactory({
    colorize: colour,
    translateTime: "SYS:HH:MM:ss",
    hideObject: true,
    errorLikeObjectKeys: [],
    customPrettifiers: { time: (time) => String(time) },
    messageFormat: (log, messageKey, _label, { colors }) => {
      const about = Object.entries(log).filter(([name, value]) => !NOT_SHOWN.has(name) && typeof value !== "number");
      const fields = about.map(([name, value]) => colors.dim(`${name}=${shown(value)}`));
      const session = typeof log.session === "string" ? [colors.cyan(plain(shortened(log.session)))] : [];
      const line = [...session, plain(String(log[messageKey])), ...fields, ...errorTexts(log.error)].join("  ");
      return line + stackLines(log.error);
    },
  });
}

function errorTexts(error: unknown): string[] {
  if (error === undefined) return [];
  if (typeof error !== "object" || error === null) return [shown(error)];
  const { code, type, message, hint } = error as Record<string, unknown>;
  const texts = [`${code ?? type ?? "error"}: ${plain(String(message))}`];
  if (typeof hint === "string") texts.push(`Try: ${plain(hint)}`);
  return texts;
}

function stackLines(error: unknown): string {
  const stack = typeof error === "object" && error !== null && "stack" in error ? String(error.stack) : "";
  return stack === "" ? "" : `\n${stack.split("\n").map(plain).join("\n")}`;
}

/** A session's uuid by its beginning, as commands take it. */
function shortened(session: string): string {
  return session.replace(/^([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f-]{22}/, "$1");
}

/** Quoted only where it would be read wrongly otherwise. */
function shown(value: unknown): string {
  const isWord = typeof value === "string" && /^[^\s"=\p{C}]+$/u.test(value);
  return isWord ? value : plain(JSON.stringify(value) ?? "");
}

/** A terminal obeys control characters. */
function plain(text: string): string {
  return text.replaceAll(/\p{Cc}+/gu, " ");
}
