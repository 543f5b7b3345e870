// riffd events as a real process: what it tells of the log, and of what comes.
import { appendFileSync, existsSync, mkdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EXIT_CODES } from "../../src/errors.ts";
import { chain, type Json, jsonl, lineOf, userMessage, uuid } from "../support/builders.ts";
import { type Ended, killRunning, riffd, startRiffd } from "../support/riffd.ts";
import { PASSWORD, TestServer, USER } from "../support/server.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

afterAll(async () => {
  killRunning();
  await removeScratch();
});

/** Sessions are uuids, as Claude's are. */
const GEAR = "9ea70000-0000-4000-8000-000000000001";
const SPOKE = "5b0ce000-0000-4000-8000-000000000001";

/** A projects folder whose transcripts were last written an hour ago. */
class Tree {
  readonly projects = scratchFolder();

  write(session: string, values: readonly Json[]): void {
    mkdirSync(join(this.projects, "-p"), { recursive: true });
    writeFileSync(this.path(session), jsonl(...values));
    this.#settle(session);
  }

  append(session: string, value: Json): void {
    appendFileSync(this.path(session), jsonl(value));
    this.#settle(session);
  }

  path(session: string): string {
    return join(this.projects, "-p", `${session}.jsonl`);
  }

  #settle(session: string): void {
    const hourAgo = Date.now() / 1000 - 3600;
    utimesSync(this.path(session), hourAgo, hourAgo);
  }
}

const [first, second, third] = chain(3) as [Json, Json, Json];
const answer = { ...third, parentUuid: uuid(1) };
const changed = userMessage({
  uuid: uuid(1),
  text: "Why does the third gear slip?",
  timestamp: String(first.timestamp),
});
const orphan = userMessage({ uuid: uuid(50), parent: uuid(49) });

/**
 * `GEAR`: two messages, then one more, then rewritten: the first with another text, the second gone, the third with
 * another parent. `SPOKE`: the child of nothing, then its parent before it.
 */
async function history(state: string, env: Readonly<Record<string, string>> = {}): Promise<Tree> {
  const tree = new Tree();
  const sync = async (operator: string) => {
    const run = await riffd(state, ["sync", "--all", "--projects", tree.projects, "--operator", operator], { env });
    expect(run.code).toBe(0);
  };
  const prompt = userMessage({ uuid: uuid(60) });
  tree.write(GEAR, [first, second]);
  tree.write(SPOKE, [prompt, orphan]);
  await sync("cli");
  tree.append(GEAR, third);
  await sync("ada");
  tree.write(GEAR, [changed, answer]);
  await sync("cli");
  tree.write(SPOKE, [prompt, userMessage({ uuid: uuid(49), parent: uuid(60) }), orphan]);
  await sync("cli");
  return tree;
}

let state: string;
let tree: Tree;

beforeAll(async () => {
  state = scratchFolder();
  tree = await history(state);
});

const events = (...args: readonly string[]): Promise<Ended> => riffd(state, ["events", ...args]);

const json = ({ stdout }: Ended) =>
  stdout
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);

describe("riffd events", () => {
  test("tells people one line for each event, the newest last", async () => {
    const { code, stdout, stderr } = await events();
    expect([code, stderr]).toEqual([0, ""]);
    const at = "\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d";
    const lines = stdout.trimEnd().split("\n");
    const [offset, length] = [jsonl(first, second).length, lineOf(third).length];
    expect(lines.map((line) => line.replace(new RegExp(`^${at}  `), "").replaceAll(/ {2,}/g, " | "))).toEqual([
      `ada | message_added | 9ea70000 | a0000000 | ${length} bytes at ${offset} | appended to the transcript`,
      expect.stringMatching(
        /^cli \| content_updated \| 9ea70000 \| a0000000 \| digest [0-9a-f]{8} → [0-9a-f]{8}, \d+ bytes at 0, generation 2 \| content changed in the file$/,
      ),
      "cli | parent_repaired | 9ea70000 | a0000000 | parent a0000000 → a0000000 | parentUuid changed in the file",
      expect.stringMatching(
        /^cli \| message_removed \| 9ea70000 \| a0000000 \| was \d+ bytes at \d+ \| no longer in the transcript$/,
      ),
      expect.stringMatching(/^cli \| message_added \| 5b0ce000 \| .* \| added by a rewrite of the transcript$/),
      expect.stringMatching(/^cli \| corruption_fixed \| 5b0ce000 \| - \| score 50.00% → 0.00% \| 1 of 1 records/),
    ]);
  });

  test("colours the types on a terminal, and nothing else gets there", async () => {
    const { stdout } = await riffd(state, ["events", "--type", "message_removed"], { env: { FORCE_COLOR: "1" } });
    expect(stdout).toContain("\u001b[31mmessage_removed\u001b[39m");
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    expect((await events()).stdout).not.toMatch(/\u001b/);
  });

  test("tells programs one object for each, with all there is", async () => {
    const found = json(await events("--json"));
    expect(found[0]).toEqual({
      session_id: GEAR,
      n: 1,
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      event_type: "message_added",
      operator: "ada",
      message_uuid: uuid(3),
      old_value: null,
      new_value: expect.stringMatching(/^[0-9a-f]{16}$/),
      before: null,
      after: { generation: 1, offset: jsonl(first, second).length, length: lineOf(third).length },
      reason: "appended to the transcript",
    });
    expect(found.map(({ session_id, n }) => [session_id, n])).toEqual([
      ...[1, 2, 3, 4].map((n) => [GEAR, n]),
      ...[1, 2].map((n) => [SPOKE, n]),
    ]);
    expect(found.at(-1)).toMatchObject({ message_uuid: null, old_value: 0.5, new_value: 0, before: null, after: null });
    expect(found[2]).toMatchObject({ old_value: uuid(2), new_value: uuid(1) });
  });

  test("takes a session, types, an operator, times and a number", async () => {
    const numbers = async (...args: readonly string[]) => json(await events("--json", ...args)).map(({ n }) => n);
    expect(await numbers("9ea7")).toEqual([1, 2, 3, 4]);
    expect(await numbers(tree.path(SPOKE))).toEqual([1, 2]);
    expect(await numbers("9ea7", "--limit", "2")).toEqual([3, 4]);
    expect(await numbers("--limit", "3")).toEqual([4, 1, 2]);
    expect(await numbers("--type", "parent_repaired", "--type", "content_updated")).toEqual([2, 3]);
    expect(await numbers("--operator", "ada")).toEqual([1]);
    expect(await numbers("--until", "1h")).toEqual([]);
    expect(await numbers("--since", "1h", "9ea7")).toEqual([1, 2, 3, 4]);
    const times = json(await events("--json", "9ea7")).map(({ timestamp }) => String(timestamp));
    expect(await numbers("9ea7", "--since", times[1]!)).toEqual([2, 3, 4]);
    expect(await numbers("9ea7", "--until", times[0]!)).toEqual([1]);
  });

  test("says where there is none, and where there are more than it tells", async () => {
    expect(await events("--operator", "nobody")).toMatchObject({
      code: 0,
      stdout: "",
      stderr: "There are no such events.\n",
    });
    const other = scratchFolder();
    const many = new Tree();
    many.write(GEAR, chain(2));
    await riffd(other, ["sync", "--all", "--projects", many.projects]);
    many.write(GEAR, chain(62));
    await riffd(other, ["sync", "--all", "--projects", many.projects]);
    const told = await riffd(other, ["events"]);
    expect(told.stdout.trimEnd().split("\n")).toHaveLength(50);
    expect(told.stderr).toBe("These are the last 50; --limit shows more of them.\n");
    expect((await riffd(other, ["events", "--limit", "60"])).stderr).toBe("");
    expect(json(await riffd(other, ["events", "--json", "--limit", "5"])).map(({ n }) => n)).toEqual([
      56, 57, 58, 59, 60,
    ]);
  });

  test.each([
    [
      ["--type", "gear"],
      "RIFF_USAGE",
      "message_added, parent_repaired, content_updated, corruption_fixed, message_removed",
    ],
    [["--limit", "many"], "RIFF_USAGE", "no number of events"],
    [["--since", "soon"], "RIFF_USAGE", "no point in time"],
    [["--follow", "--until", "1h"], "RIFF_USAGE", "not both at once"],
    [["ffff"], "RIFF_SESSION_NOT_FOUND", 'There is no session "ffff"'],
  ] as const)("refuses %j and says why", async (args, code, why) => {
    const { code: exit, stdout, stderr } = await events(...args);
    expect([exit, stdout]).toEqual([EXIT_CODES[code], ""]);
    expect(stderr).toContain(why);
  });

  test("follows the embedded store only with a daemon, and makes none", async () => {
    const fresh = join(scratchFolder(), "state");
    const { code, stderr } = await riffd(fresh, ["events", "--follow"]);
    expect(code).toBe(EXIT_CODES.RIFF_DAEMON_NOT_RUNNING);
    expect(stderr).toContain("Try: Start it with `riffd start`.");
    expect(existsSync(join(fresh, "store"))).toBe(false);
  });
});

describe("riffd events --follow, on a server", () => {
  let env: Record<string, string>;

  beforeAll(async () => {
    const server = await TestServer.start(scratchFolder());
    env = {
      SURREALDB_URL: `ws://127.0.0.1:${server.port}`,
      SURREALDB_USER: USER,
      SURREALDB_PASS: PASSWORD,
      SURREALDB_DB: await server.newDatabase(),
    };
  });

  test("tells what was, then what others write, each event once, until it is stopped", async () => {
    const writer = scratchFolder();
    const there = await history(writer, env);
    const sync = () => riffd(writer, ["sync", "--all", "--projects", there.projects], { env });
    const all = startRiffd(scratchFolder(), ["events", "--follow", "--json", "--limit", "2"], { env });
    const added = startRiffd(
      scratchFolder(),
      ["events", "9ea7", "--follow", "--json", "--limit", "1", "--type", "message_added"],
      { env },
    );
    await Promise.all([all.told(/corruption_fixed/), added.told(new RegExp(uuid(3)))]);
    there.append(GEAR, userMessage({ uuid: uuid(70), parent: uuid(3) }));
    there.append(SPOKE, userMessage({ uuid: uuid(71), parent: uuid(60) }));
    expect((await sync()).code).toBe(0);
    await all.told(new RegExp(uuid(70)));
    await all.told(new RegExp(uuid(71)));
    there.append(GEAR, userMessage({ uuid: uuid(72), parent: uuid(70) }));
    expect((await sync()).code).toBe(0);
    await Promise.all([all.told(new RegExp(uuid(72))), added.told(new RegExp(uuid(72)))]);
    for (const { child } of [all, added]) child.kill("SIGINT");
    const [ofAll, ofGear] = await Promise.all([all.ended, added.ended]);
    expect([ofAll, ofGear].map(({ code, stderr }) => [code, stderr])).toEqual([
      [0, ""],
      [0, ""],
    ]);
    const told = json(ofAll).map(({ session_id, n }) => `${session_id} ${n}`);
    expect([...told].sort()).toEqual(
      [1, 2, 3]
        .map((n) => `${SPOKE} ${n}`)
        .concat([`${GEAR} 5`, `${GEAR} 6`])
        .sort(),
    );
    expect(json(ofGear).map(({ message_uuid }) => message_uuid)).toEqual([uuid(3), uuid(70), uuid(72)]);
  });
});
