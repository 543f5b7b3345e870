// npm run bench -- <name> [--json] [--projects DIR] [--rounds N] [--large] [--only CASE]: measures the built riffd.
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { benchAppend } from "./append.ts";
import { benchIdle } from "./idle.ts";
import { benchImport } from "./import.ts";
import { benchLatency } from "./latency.ts";
import { benchMemory } from "./memory.ts";
import { benchRemote } from "./remote.ts";
import { type BenchOptions, formatTable, type Report } from "./report.ts";
import { benchStart } from "./start.ts";
import { benchStartup } from "./startup.ts";
import { benchUnchanged } from "./unchanged.ts";

const BENCHES: Readonly<
  Record<string, { readonly run: (options: BenchOptions) => Promise<Report>; readonly what: string }>
> = {
  import: { run: benchImport, what: "speed of an import, beside the engine's own and one CREATE a message" },
  append: { run: benchAppend, what: "bytes and rows that one appended line moves, by the session's size" },
  memory: { run: benchMemory, what: "peak memory of imports that are hard on it" },
  remote: { run: benchRemote, what: "an import over a WebSocket, also with a delay, beside the embedded store" },
  idle: { run: benchIdle, what: "what the daemon takes when nothing happens, and during the import before that" },
  latency: { run: benchLatency, what: "from an appended line to its message, seen by another client of the daemon" },
  start: { run: benchStart, what: "from the start of the daemon to its being ready, over unchanged transcripts" },
  startup: { run: benchStartup, what: "what a command costs before it does anything, beside an empty program" },
  unchanged: { run: benchUnchanged, what: "a second run over files that have not changed" },
};

const USAGE = `npm run bench -- <name> [options]

${Object.entries(BENCHES)
  .map(([name, { what }]) => `  ${name.padEnd(10)} ${what}`)
  .join("\n")}

  --json           one JSON object
  --projects DIR   measure on these transcripts (idle, import, memory, remote, unchanged); without it, on made-up ones
  --rounds N       how often each alternative is measured; the medians count (default 3)
  --large          also the sizes that take many minutes
  --only CASE      only this case (append: a size in MB; start: a number of files; latency: 1, 20, 100 or import; idle:
                   default or arenas; memory: a name); may be given several times`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: "boolean", default: false },
    projects: { type: "string" },
    rounds: { type: "string", default: "3" },
    large: { type: "boolean", default: false },
    only: { type: "string", multiple: true, default: [] },
    help: { type: "boolean", default: false },
  },
});
const bench = BENCHES[positionals[0] ?? ""];
const rounds = Number(values.rounds);
if (values.help || bench === undefined || positionals.length > 1 || !Number.isInteger(rounds) || rounds < 1) {
  console.error(USAGE);
  process.exit(values.help ? 0 : 2);
}

const report = await bench.run({
  projects: values.projects === undefined ? null : resolve(values.projects),
  rounds,
  large: values.large,
  only: values.only,
  note: (text) => process.stderr.write(`${text}\n`),
});
if (values.json) {
  console.log(JSON.stringify({ bench: positionals[0], ...report.result }));
} else {
  for (const table of report.tables) console.log(`\n${formatTable(table)}`);
  console.log(`\n${report.notes.join("\n")}`);
}
process.exit(0);
