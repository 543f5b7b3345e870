// docs/querying.md: every query on the page runs, gives rows, and reads no more than the page says.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { removeScratch, Workbench } from "./support/workbench.ts";

afterAll(removeScratch);

const PROJECTS = fileURLToPath(new URL("../examples/projects/", import.meta.url));
const TEAPOT = "f92beda8-4559-4dbd-bf46-9ea1d5fcbb23";
const TIDEWATCH = "c27df708-781b-4b0e-8fa7-96756fc21ca4";
const TEAPOT_FILE = `-home-mira-code-teapot/${TEAPOT}.jsonl`;

interface Documented {
  /** The sentence before the query. */
  readonly title: string;
  readonly reads: string;
  readonly text: string;
}

const page = readFileSync(new URL("../docs/querying.md", import.meta.url), "utf8");
const documented: Documented[] = [...page.matchAll(/^((?:.+\n)+)\n```surql\n([^`]+)\n```$/gm)].map(
  ([, title, text]) => ({
    title: title!.trim(),
    reads: /^-- reads: (.+)$/m.exec(text!)?.[1] ?? "not told",
    text: text!,
  }),
);

let bench: Workbench;

/** The sample, and what then happens to its damaged session: every type of event. */
beforeAll(async () => {
  bench = await Workbench.create();
  for (const name of readdirSync(PROJECTS, { recursive: true }) as string[]) {
    if (name.endsWith(".jsonl")) bench.write(name, readFileSync(join(PROJECTS, name)));
  }
  bench.operator = "cli";
  await bench.sync();
  let lines = readFileSync(join(PROJECTS, TEAPOT_FILE), "utf8").trimEnd().split("\n");
  const edit = async (operator: string, change: (lines: string[]) => string[]) => {
    lines = change(lines);
    bench.operator = operator;
    bench.write(TEAPOT_FILE, Buffer.from(`${lines.join("\n")}\n`));
    await bench.sync();
  };
  // The parent that a hook's record lost is the record before it.
  await edit("mira", (all) => all.map((line) => line.replace(LOST_PARENT, "a415df52-d7bc-4eca-bff3-3816c90a015e")));
  await edit("mira", (all) => all.map((line) => line.replace("you went quiet. did it work?", "you went quiet?")));
  await edit("tidy", (all) => all.filter((line) => !line.includes('"uuid":"2db76cc7-a88f-46ac-8954-d124bbd18e82"')));
  await edit("cli", (all) => [...all, JSON.stringify(PRAISE)]);
});

const LOST_PARENT = "64c02d88-8396-4acc-b6cd-03696a427320";
const PRAISE = {
  parentUuid: "9d3c5c81-90dd-487f-92c6-66a261f79a51",
  type: "user",
  sessionId: TEAPOT,
  message: { role: "user", content: "Now refuse decaf as well." },
  uuid: "5d0e5a1c-1f6e-4d0c-9d53-0b7a2f1f4b11",
  timestamp: "2026-02-04T08:00:00.000Z",
};

type Row = Readonly<Record<string, unknown>>;

/** The rows of the query's last statement. */
async function rowsOf(text: string): Promise<Row[]> {
  const results = await bench.store.db.query(text).collect();
  return results.at(-1) as Row[];
}

/** The documented query under the sentence that begins so. */
function under(beginning: string): string {
  const found = documented.filter(({ title }) => title.startsWith(beginning));
  expect(found.map(({ title }) => title)).toHaveLength(1);
  return found[0]!.text;
}

test("the latest sessions are the latest also where there are more of them", async () => {
  const all = await rowsOf(under("The latest sessions"));
  expect(all.length).toBeGreaterThan(1);
  expect(await rowsOf(under("The latest sessions").replace("LIMIT 20", "LIMIT 1"))).toEqual(all.slice(0, 1));
  const times = all.map((row) => String(row.last_message_at));
  expect(times).toEqual([...times].sort().reverse());
});

test("the page has queries, and each says what it does", () => {
  expect(documented.length).toBeGreaterThan(20);
  expect(documented.length).toBe(page.split("```surql").length - 1);
});

test.each(documented.map((one) => [one.title.split("\n")[0]!, one] as const))(
  "%s gives rows, and reads what it says",
  async (_, { text, reads }) => {
    const rows = await rowsOf(text);
    expect(Array.isArray(rows)).toBe(true);
    expect(rows.length).toBeGreaterThan(0);
    expect([...(await accessesOf(text))].join(", ")).toBe(reads);
  },
);

test("session status tells the score and what it comes from", async () => {
  const [session] = await rowsOf(under("What is known of a session"));
  expect(session).toMatchObject({
    session_id: TEAPOT,
    project: "-home-mira-code-teapot",
    title: "A teapot that refuses coffee",
    generation: 4,
    message_count: 19,
    cut_off_count: 3,
    unreadable_count: 1,
    corruption_score: (3 + 1) / (14 + 1),
    state: "live",
    event_count: 5,
  });
});

test("the event history is all of it, newest first", async () => {
  const events = await rowsOf(under("A session's event history"));
  expect(events.map((row) => [row.event_type, row.operator, row.message_uuid?.toString().slice(0, 8)])).toEqual([
    ["message_added", "cli", "5d0e5a1c"],
    ["message_removed", "tidy", "2db76cc7"],
    ["content_updated", "mira", "1cf1a816"],
    ["corruption_fixed", "mira", undefined],
    ["parent_repaired", "mira", "27942d21"],
  ]);
  expect(events.at(-1)).toMatchObject({ old_value: LOST_PARENT, new_value: "a415df52-d7bc-4eca-bff3-3816c90a015e" });
});

test("the corruption timeline tells the score before and after", async () => {
  const fixed = await rowsOf(under("How a session's corruption fell"));
  expect(fixed.map(({ old_value, new_value }) => [old_value, new_value])).toEqual([[(5 + 1) / (13 + 1), (2 + 1) / 14]]);
});

test("the audit counts by operator and type, with the latest time", async () => {
  const audit = await rowsOf(under("Who did what"));
  expect(audit.map(({ operator, event_type, events }) => [operator, event_type, events])).toEqual([
    ["cli", "message_added", 1],
    ["mira", "content_updated", 1],
    ["mira", "corruption_fixed", 1],
    ["mira", "parent_repaired", 1],
    ["tidy", "message_removed", 1],
  ]);
  const times = await rowsOf(`SELECT timestamp FROM repair_event WHERE event_type = 'message_added'`);
  expect(String(audit[0]?.latest)).toBe(String(times[0]?.timestamp));
});

test("damaged sessions tell what is cut off; orphans are named by the parent they miss", async () => {
  const damaged = await rowsOf(under("Damaged sessions"));
  expect(damaged.map(({ session_id }) => session_id)).toEqual([TEAPOT]);
  const missing = "0ec6239e-0ea7-487f-955b-961f470dcb7a";
  expect(damaged[0]?.faults).toMatchObject([
    { kind: "unreadable", cut_off: 0 },
    { kind: "phantom", parent_uuid: missing, cut_off: 3 },
  ]);
  const orphans = await rowsOf(under("Orphaned messages, everywhere"));
  expect(orphans.map((row) => [row.session_id, row.parent_uuid])).toEqual([[TEAPOT, missing]]);
  const told = await rowsOf(under("Orphaned messages of one session"));
  expect(told.map(({ content }) => content)).toEqual(["power's back. say that again?"]);
});

test("a session comes in the order of its file, and a page from the middle is a part of it", async () => {
  const whole = await rowsOf(under("A session in order"));
  const file = readFileSync(join(PROJECTS, `-home-mira-code-tidewatch/${TIDEWATCH}.jsonl`));
  const uuids = file
    .toString()
    .split("\n")
    .filter((line) => line.includes('"uuid":"'));
  expect(whole).toHaveLength(uuids.length);
  expect(whole.map(({ offset }) => offset)).toEqual(
    [...whole.map(({ offset }) => offset as number)].sort((a, b) => a - b),
  );
  const page = await rowsOf(under("A page from the middle"));
  const from = whole.findIndex(({ offset }) => (offset as number) >= 5000);
  expect(from).toBeGreaterThan(0);
  expect(page).toEqual(whole.slice(from, from + 5));
});

test("the way up from a message is its chain of parents to the root", async () => {
  const chain = await rowsOf(under("The way up from a message"));
  expect(chain.map(({ message_uuid }) => String(message_uuid).slice(0, 8))).toEqual([
    "cce3215e",
    "2dcf90de",
    "2b9d9d08",
    "15039237",
    "bd8eea37",
    "14be59a2",
    "8dc886df",
  ]);
});

test("the way up ends in a cycle and at a missing parent", async () => {
  const member = (uuid: string, parentUuid: string) => JSON.stringify({ ...PRAISE, uuid, parentUuid });
  bench.write(
    "-p/round.jsonl",
    Buffer.from(`${member("up", "down")}\n${member("down", "up")}\n${member("off", "nowhere")}\n`),
  );
  await bench.sync();
  const from = (uuid: string) => rowsOf(under("The way up from a message").replace(/'cce3215e[^']*'/, `'${uuid}'`));
  expect((await from("up")).map(({ message_uuid }) => message_uuid)).toEqual(["up", "down"]);
  expect((await from("off")).map(({ message_uuid }) => message_uuid)).toEqual(["off"]);
});

test("a large text comes whole", async () => {
  const text = `${"⚙️ gear ".repeat(60_000)}end`;
  const message = { ...PRAISE, uuid: "1a29e000-0000-4000-8000-000000000001", message: { role: "user", content: text } };
  bench.write("-p/large.jsonl", Buffer.from(`${JSON.stringify({ ...message, parentUuid: null })}\n`));
  await bench.sync();
  const query = under("The whole text of a message").replace(/'9d3c5c81[^']*'/, `'${message.uuid}'`);
  expect(await rowsOf(query)).toEqual([text]);
  expect(await rowsOf(query.replace("VALUE fn::content(id)", "VALUE content"))).toEqual([""]);
});

interface Plan {
  readonly operator: string;
  readonly attributes?: Readonly<Record<string, string>>;
  readonly children?: readonly Plan[];
}

/** What the selects of a query read, by the engine's own plan. */
async function accessesOf(text: string): Promise<Set<string>> {
  const accesses = new Set<string>();
  // What the fold binds; any values give the same plan.
  const bound = [...text.matchAll(/^LET [^(]+;$/gm), "LET $uuid = 'x'; LET $start = { session_id: 'x' };"].join("\n");
  for (const { index } of text.matchAll(/SELECT /g)) {
    const results = await bench.store.db.query(`${bound} ${selectAt(text, index)} EXPLAIN;`).collect();
    collect(results.at(-1) as Plan, accesses);
  }
  return accesses;
}

/** The select that begins there, to its semicolon or the parenthesis around it. */
function selectAt(text: string, start: number): string {
  let depth = 0;
  for (let at = start; at < text.length; at++) {
    if (text[at] === "(") depth++;
    else if (text[at] === ")" && --depth < 0) return text.slice(start, at);
    else if (text[at] === ";" && depth === 0) return text.slice(start, at);
  }
  throw new Error(`a select without an end: ${text}`);
}

function collect({ operator, attributes, children }: Plan, accesses: Set<string>): void {
  if (operator === "TableScan") accesses.add(`all of ${attributes?.table}`);
  if (operator === "IndexScan") accesses.add(`index ${attributes?.index}`);
  if (operator === "RecordIdScan") {
    const record = attributes?.record_id ?? "";
    accesses.add(`${record.includes("]..[") ? "a range" : "one record"} of ${record.slice(0, record.indexOf(":"))}`);
  }
  for (const child of children ?? []) collect(child, accesses);
}
