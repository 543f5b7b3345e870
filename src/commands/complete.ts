// riffd complete: words for the shells' completion. It is asked at each press of a key: it is quick, says nothing but the words,
// and opens no store.
import { resolveSettings, type Settings } from "../config/config.ts";
import { DATABASE, NAMESPACE, resolveTarget } from "../config/store-target.ts";
import { ask, wholeText } from "../control/exchange.ts";
import { ROUTES } from "../control/protocol.ts";
import { socketPath } from "../control/socket-path.ts";
import { Heads, headsKey } from "../store/heads.ts";
import { type Output, oneLine } from "./output.ts";

/** How long the daemon may take; then what the state folder knows must do. */
const ANSWER_MS = 700;
/** More than these no one chooses from. */
const MOST = 200;

interface Session {
  readonly id: string;
  readonly title: string | null;
}

/**
 * Prints the sessions whose id, or for subagents whose own name, begins so: one a line, with a tab and the title where the
 * daemon tells it. Never throws.
 */
export async function completeCommand(kind: string, prefix: string, output: Output): Promise<number> {
  if (kind !== "sessions") return 0;
  const found = await findSessions(prefix);
  for (const { id, title } of found) {
    const word = wordFor(id, prefix, found);
    output.line(title === null ? word : `${word}\t${oneLine(title)}`);
  }
  return 0;
}

/** What begins as it was typed, as shells want it, and names no other session: the id, or a subagent's own name. */
function wordFor(id: string, prefix: string, found: readonly Session[]): string {
  if (id.startsWith(prefix)) return id;
  const isShared = found.filter((other) => ownName(other.id) === ownName(id)).length > 1;
  return isShared ? id : ownName(id);
}

function ownName(id: string): string {
  return id.slice(id.lastIndexOf("/") + 1);
}

async function findSessions(prefix: string): Promise<Session[]> {
  try {
    const settings = resolveSettings({}, process.env);
    return await askDaemon(settings, prefix).catch(() => fromHeads(settings, prefix));
  } catch {
    return [];
  }
}

/** The latest first. Throws where no daemon tells it in time. */
async function askDaemon({ stateDir, daemon }: Settings, prefix: string): Promise<Session[]> {
  const signal = AbortSignal.timeout(ANSWER_MS);
  const query = `USE NS ${NAMESPACE} DB ${DATABASE};
    SELECT session_id, title FROM (SELECT session_id, title, last_updated FROM session
      WHERE string::starts_with(session_id, $prefix) OR string::contains(session_id, $behind)
      ORDER BY last_updated DESC) LIMIT ${MOST}`;
  const answer = await ask({
    socketPath: socketPath(stateDir, daemon.socket),
    method: "POST",
    path: ROUTES.rpc,
    body: JSON.stringify({ id: 1, method: "query", params: [query, { prefix, behind: `/${prefix}` }] }),
    silenceMs: ANSWER_MS,
    signal,
  });
  const { result } = JSON.parse(await wholeText(answer)) as { result: { result: SessionRow[] }[] };
  return result[1]!.result.map(({ session_id, title }) => ({ id: session_id, title }));
}

interface SessionRow {
  readonly session_id: string;
  readonly title: string | null;
}

/** What this machine has written to the store, whoever has that open. */
function fromHeads(settings: Settings, prefix: string): Session[] {
  const heads = Heads.read(settings.stateDir, headsKey(resolveTarget(settings)));
  const ids = [...heads.sessions()].filter((id) => id.startsWith(prefix) || id.includes(`/${prefix}`)).sort();
  return ids.slice(0, MOST).map((id) => ({ id, title: null }));
}
