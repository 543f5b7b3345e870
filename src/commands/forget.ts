// riffd forget: destroys what the store holds of a message or a session, once it was told to do so.
import { createInterface } from "node:readline/promises";
import { resolveSettings } from "../config/config.ts";
import { RiffError } from "../errors.ts";
import type { OpenStore } from "../store/open.ts";
import type { SurrealStore } from "../store/surreal-store.ts";
import type { SyncContext } from "../sync/context.ts";
import { forgetIn, type Loss, type Order, survey } from "../sync/forget.ts";
import { formatBytes, type Output, plural } from "./output.ts";
import { resolveSession } from "./resolve.ts";
import { openChosenStore, type StoreOptions } from "./store.ts";

export interface ForgetOptions extends StoreOptions {
  readonly reason: string;
  readonly yes: boolean;
  readonly operator?: string;
  readonly json: boolean;
}

/** What was asked for, and where it is. */
interface Target {
  /** For people: what is meant. */
  readonly name: string;
  readonly order: Order;
  /** Sessions to look in, with the paths of their files. */
  readonly sessions: readonly { readonly id: string; readonly path: string }[];
}

/** Runs the command; returns its exit code. Throws RiffError. */
export async function forgetCommand(
  query: string,
  options: ForgetOptions,
  output: Output,
  signal: AbortSignal,
): Promise<number> {
  if (options.reason.trim() === "") {
    throw new RiffError("RIFF_USAGE", "riffd forget needs a reason.", "Say why: --reason 'a leaked key'.");
  }
  const { operator } = resolveSettings({ operator: options.operator }, process.env);
  const opened = await openChosenStore(options, output, signal);
  try {
    const { store } = opened;
    const target = await resolveTarget(query, store, options.reason);
    const losses: Loss[] = [];
    for (const { id } of target.sessions) {
      const loss = await survey(store, id, target.order);
      if (loss !== null) losses.push(loss);
    }
    if (losses.length === 0 && (await isForgotten(store, target))) output.note(`${target.name} is already forgotten.`);
    else {
      const copies = target.order.messages === null ? await copiesElsewhere(store, target) : [];
      for (const line of planLines(target, losses, copies)) output.note(line);
      if (!options.yes) await confirm();
      output.note("Destroying…");
    }
    const destroyed = await destroy(opened, target, losses, operator, signal);
    // Also when nothing was left to do: the one before may have been interrupted here.
    const compacted = await store.compact();
    report(target, destroyed, compacted, options.json, output);
    return 0;
  } finally {
    await opened.close();
  }
}

/** A session, or else a message by its uuid. Throws RIFF_SESSION_NOT_FOUND or RIFF_SESSION_AMBIGUOUS. */
async function resolveTarget(query: string, store: SurrealStore, reason: string): Promise<Target> {
  const [, only, named] = /^(session|message):(.*)$/s.exec(query) ?? [null, null, query];
  const uuid = named!;
  const paths = new Map((await store.summaries()).map(({ session_id, source }) => [session_id, source[1]]));
  const at = (id: string) => ({ id, path: paths.get(id) ?? "" });
  const holding = only === "session" ? [] : await store.sessionsHolding(uuid);
  const isMessage = holding.length > 0;
  let session: { sessionId: string } | null = null;
  if (only !== "message") {
    const candidates = [...paths].map(([sessionId, path]) => ({ sessionId, path }));
    try {
      const wanted = only === null ? "session and no message" : "session";
      session = resolveSession(uuid, candidates, `the store ${store.location}`, wanted);
    } catch (thrown) {
      const isUnknown = thrown instanceof RiffError && thrown.code === "RIFF_SESSION_NOT_FOUND";
      if (!isMessage || !isUnknown) throw thrown;
    }
  }
  if (session !== null && isMessage) {
    throw new RiffError(
      "RIFF_SESSION_AMBIGUOUS",
      `"${uuid}" is the session ${session.sessionId} and also a message.`,
      `Say which is meant: session:${uuid} or message:${uuid}.`,
    );
  }
  if (session !== null) {
    const { sessionId } = session;
    const ids = [...paths.keys()].filter((id) => id === sessionId || id.startsWith(`${sessionId}/`));
    return { name: `The session ${sessionId}`, order: { messages: null, reason }, sessions: ids.map(at) };
  }
  if (!isMessage) {
    throw new RiffError(
      "RIFF_SESSION_NOT_FOUND",
      `There is no message "${uuid}" in the store ${store.location}.`,
      "Give the whole uuid of the message.",
    );
  }
  const sessions = (await store.sessionsWithMessage(uuid)).map(at);
  return { name: `The message ${uuid}`, order: { messages: new Set([uuid]), reason }, sessions };
}

/** Whether nothing is left to be written; a session may have said nothing and still be read. */
async function isForgotten(store: SurrealStore, { order, sessions }: Target): Promise<boolean> {
  if (order.messages !== null) return true;
  const found = await store.findSessions(sessions.map(({ id }) => id));
  return found.every(({ session }) => session.forgotten_at !== null);
}

/** Messages that are looked for in other sessions; of a longer session, evenly spread. */
const MAX_LOOKED_FOR = 500;

/** Other sessions that hold messages of these. */
async function copiesElsewhere(store: SurrealStore, { sessions }: Target): Promise<string[]> {
  const own = new Set(sessions.map(({ id }) => id));
  const elsewhere = new Set<string>();
  for (const { session } of await store.findSessions([...own])) {
    const every = Math.ceil(session.message_count / MAX_LOOKED_FOR);
    const uuids: string[] = [];
    let n = 0;
    for await (const page of store.messageUuids(session.session_id, session.generation)) {
      for (const uuid of page) if (n++ % every === 0) uuids.push(uuid);
    }
    for (const { session_id } of await store.findMessages(uuids)) if (!own.has(session_id)) elsewhere.add(session_id);
  }
  return [...elsewhere].sort();
}

/** Sessions told by name. */
const MAX_TOLD = 10;

function planLines({ name, order, sessions }: Target, losses: readonly Loss[], copies: readonly string[]): string[] {
  const lines = [`${name} will be destroyed in the store, for ever:`];
  const pathOf = new Map(sessions.map(({ id, path }) => [id, path]));
  for (const loss of losses.slice(0, MAX_TOLD)) {
    lines.push(`  ${loss.sessionId}: ${lossText(loss)}`, `    its file is not touched: ${pathOf.get(loss.sessionId)}`);
  }
  if (losses.length > MAX_TOLD) lines.push(`  … and ${losses.length - MAX_TOLD} more sessions`);
  if (order.messages === null) lines.push("Its file will not be read any more.");
  else lines.push("It will not be taken in again, from whatever file.");
  if (copies.length > 0) {
    const told = copies.slice(0, MAX_TOLD).join(", ");
    const more = copies.length > MAX_TOLD ? ", …" : "";
    lines.push(`Copies of its messages stay in ${plural(copies.length, "other session")}: ${told}${more}`);
  }
  return lines;
}

function lossText({ messages, records, pieces, bytes, generations }: Loss): string {
  const what = [
    messages > 0 ? plural(messages, "message") : "",
    records > 0 ? plural(records, "record") : "",
    pieces > 0 ? plural(pieces, "unreadable piece") : "",
  ].filter(Boolean);
  const where = generations.length === 1 ? "" : `, in ${generations.length} generations of its file`;
  return `${what.join(", ")} (${formatBytes(bytes)})${where}`;
}

/** Throws RIFF_NOT_CONFIRMED unless the answer is yes. */
async function confirm(): Promise<void> {
  let answer = "";
  if (process.stdin.isTTY) {
    const lines = createInterface({ input: process.stdin, output: process.stderr });
    answer = await lines.question('Type "yes" to destroy this for ever: ').catch(() => "");
    lines.close();
  }
  if (answer.trim() === "yes") return;
  throw new RiffError(
    "RIFF_NOT_CONFIRMED",
    "Nothing was destroyed: nobody said yes to it.",
    "Answer with yes, or give --yes where nobody can be asked.",
  );
}

async function destroy(
  { store, heads, host }: OpenStore,
  { order, sessions }: Target,
  losses: readonly Loss[],
  operator: string,
  signal: AbortSignal,
): Promise<Loss[]> {
  const context: SyncContext = {
    store,
    heads,
    host,
    operator,
    quietMs: 0,
    stepLimits: store.stepLimits,
    concurrency: 1,
    now: () => new Date(),
    signal,
  };
  const doomed = new Set(losses.map(({ sessionId }) => sessionId));
  const destroyed: Loss[] = [];
  for (const { id } of sessions) {
    // Of a session that said nothing it is still to be written that it is not read any more.
    if (!doomed.has(id) && order.messages !== null) continue;
    const loss = await forgetIn(context, id, order);
    if (loss !== null) destroyed.push(loss);
  }
  return destroyed;
}

function report(
  { name, sessions }: Target,
  destroyed: readonly Loss[],
  compacted: boolean,
  json: boolean,
  output: Output,
): void {
  const messages = destroyed.reduce((sum, loss) => sum + loss.messages, 0);
  const bytes = destroyed.reduce((sum, loss) => sum + loss.bytes, 0);
  if (json) {
    const pathOf = new Map(sessions.map(({ id, path }) => [id, path]));
    for (const { sessionId, ...loss } of destroyed) {
      output.line(
        JSON.stringify({ session_id: sessionId, source: pathOf.get(sessionId), status: "forgotten", ...loss }),
      );
    }
    output.line(JSON.stringify({ summary: true, sessions: destroyed.length, messages, bytes, compacted }));
  } else if (destroyed.length > 0) {
    const what = `${plural(messages, "message")}, ${formatBytes(bytes)} in ${plural(destroyed.length, "session")}`;
    output.line(`✓ ${name} is forgotten: ${what}`);
  }
  if (!compacted) {
    output.note("The server keeps what was destroyed on its disk until it compacts its files: ALTER SYSTEM COMPACT.");
  }
}
