// Verifies the store of a workbench, as `riffd verify --all` does.
import { localFiles } from "../../src/source/transcript-file.ts";
import type { Heads } from "../../src/store/heads.ts";
import { VerifyReader } from "../../src/verify/reader.ts";
import type { SessionVerdict, VerifyContext } from "../../src/verify/session.ts";
import { listSessions, verifySessions, verifyStore } from "../../src/verify/verify.ts";
import type { Workbench } from "./workbench.ts";

export interface Verified {
  readonly verdicts: readonly SessionVerdict[];
  /** What is wrong, for people: of sessions as `<id>: <problem>`, then of the store as a whole. */
  readonly problems: readonly string[];
  readonly notes: readonly string[];
}

/** Proves all of it; `heads` replaces what the workbench remembers of its commits. */
export async function verifyAll(
  bench: Pick<Workbench, "store" | "heads" | "context">,
  heads: Pick<Map<string, Head>, "get"> = bench.heads,
): Promise<Verified> {
  const context: VerifyContext = {
    reader: new VerifyReader(bench.store),
    heads: { find: (id) => heads.get(id) },
    host: bench.context.host,
    files: localFiles,
    signal: new AbortController().signal,
  };
  const { ids, problems } = await listSessions(context);
  const verdicts: SessionVerdict[] = [];
  for await (const verdict of verifySessions(context, ids, [])) verdicts.push(verdict);
  const failed = verdicts.filter(({ problem }) => problem !== null);
  return {
    verdicts,
    problems: [
      ...failed.map(({ sessionId, problem }) => `${sessionId}: ${problem}`),
      ...problems,
      ...(await verifyStore(context)),
    ],
    notes: verdicts.flatMap(({ notes }) => notes),
  };
}

type Head = NonNullable<ReturnType<Heads["find"]>>;
