// Log lines for people: time, level, the session it is about, what was said, and the rest, on one line. Only what an error
// lists follows on lines of their own, and of a bug the stack. Numbers are for programs: what was said names those that matter.
import { prettyFactory } from "pino-pretty";

const INDENT = "    ";
const NOT_SHOWN = new Set(["level", "time", "msg", "error", "session", "stack", "status"]);

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
      return line + (isBug(log) ? stackLines(log.error) : "") + stackLines(log);
    },
  });
}

function errorTexts(error: unknown): string[] {
  if (error === undefined) return [];
  if (typeof error !== "object" || error === null) return [shown(error)];
  const { code, type, message, hint } = error as Record<string, unknown>;
  const [said = "", ...listed] = String(message).split("\n");
  const text = [`${code ?? type ?? "error"}: ${plain(said)}`, ...listed.map((one) => INDENT + plain(one).trim())].join(
    "\n",
  );
  if (typeof hint !== "string") return [text];
  return listed.length === 0 ? [text, `Try: ${plain(hint)}`] : [`${text}\n${INDENT}Try: ${plain(hint)}`];
}

/** What the system refuses says all that is to be known, and what is only warned of goes on. */
function isBug({ error, level }: Record<string, unknown>): boolean {
  const code = typeof error === "object" && error !== null && "code" in error ? String(error.code) : "";
  return level === "fatal" || (level === "error" && !/^E[A-Z\d]+$/.test(code));
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
