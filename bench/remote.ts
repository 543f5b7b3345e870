// An import into a store behind a WebSocket, as it is and with 20 ms of delay in each direction, beside the same import
// into the embedded store. The server is riffd itself, in a process of its own; so each side has its own CPU time.
import { join } from "node:path";
import { FaultyProxy } from "../test/support/faulty-proxy.ts";
import { transcriptBytes, writeTree } from "./data.ts";
import { runCli, serve, withFolder } from "./processes.ts";
import { type BenchOptions, median, type Report, rounded } from "./report.ts";

const SESSIONS = 90;
const BYTES = 60_000_000;
const DELAYS_MS = [0, 20] as const;

interface Run {
  readonly ms: number;
  readonly cpuMs: number;
  readonly messages: number;
}

export async function benchRemote(options: BenchOptions): Promise<Report> {
  return withFolder(async (dir) => {
    const projects = options.projects ?? writeTree(join(dir, "projects"), SESSIONS, BYTES).projects;
    const { bytes, files } = transcriptBytes(projects);
    options.note(`${files} transcripts, ${rounded(bytes / 1e6, 1)} MB`);
    const embedded: Run[] = [];
    const remote = new Map<number, Run[]>(DELAYS_MS.map((delay) => [delay, []]));
    for (let round = 1; round <= options.rounds; round++) {
      options.note(`round ${round} of ${options.rounds}`);
      embedded.push(await importInto(projects, {}));
      for (const delay of DELAYS_MS) remote.get(delay)!.push(await importOverNetwork(projects, delay));
    }
    return reportOf({ bytes, files, embedded, remote });
  });
}

function importOverNetwork(projects: string, delayMs: number): Promise<Run> {
  return withFolder(async (stateDir) => {
    const server = await serve(stateDir);
    const proxy = await FaultyProxy.listen(server.port);
    proxy.delayMs = delayMs;
    try {
      return await importInto(projects, {
        SURREALDB_URL: `ws://127.0.0.1:${proxy.port}`,
        SURREALDB_USER: server.user,
        SURREALDB_PASS: server.password,
      });
    } finally {
      await proxy.close();
      await server.stop();
    }
  });
}

function importInto(projects: string, env: Readonly<Record<string, string>>): Promise<Run> {
  return withFolder(async (stateDir) => {
    const { usage, lines } = await runCli(stateDir, ["sync", "--all", "--json", "--projects", projects], env);
    const summary = lines.at(-1)!;
    return { ms: Number(summary.duration_ms), cpuMs: usage.cpuMs, messages: Number(summary.messages) };
  });
}

interface Measured {
  readonly bytes: number;
  readonly files: number;
  readonly embedded: readonly Run[];
  readonly remote: ReadonlyMap<number, readonly Run[]>;
}

function reportOf({ bytes, files, embedded, remote }: Measured): Report {
  const messages = embedded[0]!.messages;
  for (const run of [...remote.values()].flat()) {
    if (run.messages !== messages) throw new Error(`${run.messages} of ${messages} messages were imported`);
  }
  const base = median(embedded.map(({ ms }) => ms));
  const row = (what: string, runs: readonly Run[]) => {
    const ms = median(runs.map((run) => run.ms));
    const cpuMs = median(runs.map((run) => run.cpuMs));
    return [what, ms, cpuMs, Math.round((1000 * messages) / ms), (base / ms).toFixed(2)];
  };
  const result = Object.fromEntries(
    [...remote].map(([delay, runs]) => [
      `ratio_to_embedded_${delay}_ms`,
      rounded(base / median(runs.map((r) => r.ms))),
    ]),
  );
  return {
    tables: [
      {
        title: "import over a WebSocket",
        columns: ["", "ms", "CPU ms of the client", "messages/s", "of embedded"],
        rows: [
          row("embedded", embedded),
          ...[...remote].map(([delay, runs]) => row(`WebSocket, ${delay} ms added each way`, runs)),
        ],
      },
    ],
    notes: [`${files} files, ${rounded(bytes / 1e6, 1)} MB, ${messages} messages; the server is on the same machine`],
    result: {
      ...result,
      embedded_ms: Math.round(base),
      remote_ms: Object.fromEntries([...remote].map(([delay, runs]) => [delay, runs.map((run) => Math.round(run.ms))])),
      data: { files, bytes, messages },
    },
  };
}
