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

interface Word {
  readonly text: string;
  readonly about: string | null;
}

/** Prints the ids of sessions that begin so, one a line, with a tab and the title where the daemon tells it. Never throws. */
export async function completeCommand(kind: string, prefix: string, output: Output): Promise<number> {
  if (kind !== "sessions") return 0;
  for (const { text, about } of await findSessions(prefix)) {
    output.line(about === null ? text : `${text}\t${oneLine(about)}`);
  }
  return 0;
}

async function findSessions(prefix: string): Promise<Word[]> {
  try {
    const settings = resolveSettings({}, process.env);
    return await askDaemon(settings, prefix).catch(() => fromHeads(settings, prefix));
  } catch {
    return [];
  }
}

/** The latest first. Throws where no daemon tells it in time. */
async function askDaemon({ stateDir, daemon }: Settings, prefix: string): Promise<Word[]> {
  const signal = AbortSignal.timeout(ANSWER_MS);
  const query = `USE NS ${NAMESPACE} DB ${DATABASE};
    SELECT session_id, title FROM (SELECT session_id, title, last_updated FROM session
      WHERE string::starts_with(session_id, $prefix) ORDER BY last_updated DESC) LIMIT ${MOST}`;
  const answer = await ask({
    socketPath: socketPath(stateDir, daemon.socket),
    method: "POST",
    path: ROUTES.rpc,
    body: JSON.stringify({ id: 1, method: "query", params: [query, { prefix }] }),
    silenceMs: ANSWER_MS,
    signal,
  });
  const { result } = JSON.parse(await wholeText(answer)) as { result: { result: SessionRow[] }[] };
  return result[1]!.result.map(({ session_id, title }) => ({ text: session_id, about: title }));
}

interface SessionRow {
  readonly session_id: string;
  readonly title: string | null;
}

/** What this machine has written to the store, whoever has that open. */
function fromHeads(settings: Settings, prefix: string): Word[] {
  const heads = Heads.read(settings.stateDir, headsKey(resolveTarget(settings)));
  const ids = [...heads.sessions()].filter((id) => id.startsWith(prefix)).sort();
  return ids.slice(0, MOST).map((text) => ({ text, about: null }));
}
