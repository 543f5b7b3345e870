// Stores as earlier riffds left them, kept under test/fixtures/stores: they open, migrate, verify, and go on. And stores
// of a later riffd are refused.
import { execFileSync } from "node:child_process";
import { appendFileSync, readdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { xxh64Hex } from "../src/core/hash.ts";
import { EXIT_CODES } from "../src/errors.ts";
import { label, readMigrations } from "../src/store/schema.ts";
import { MESSAGE_TO_FORGET, message, SESSION, TEAPOT } from "./fixtures/stores/history.ts";
import { listing } from "./support/listing.ts";
import { killRunning, riffd, startRiffd } from "./support/riffd.ts";
import { removeScratch, scratchFolder } from "./support/workbench.ts";

afterAll(async () => {
  killRunning();
  await removeScratch();
});

const STORES = fileURLToPath(new URL("fixtures/stores/", import.meta.url));
const EXAMPLES = fileURLToPath(new URL("../examples/projects/", import.meta.url));
const kept = readdirSync(STORES)
  .filter((name) => name.endsWith(".tar.gz"))
  .map((name) => name.slice(0, -".tar.gz".length))
  .sort();

interface KeptStore {
  readonly state: string;
  readonly projects: string;
  readonly backup: string;
}

/** A kept store, as if it had always been in this folder. */
function unpack(name: string): KeptStore {
  const folder = scratchFolder();
  execFileSync("tar", ["-xzf", join(STORES, `${name}.tar.gz`), "-C", folder]);
  const state = join(folder, "state");
  const heads = readdirSync(state).filter((file) => file.startsWith("heads-"));
  expect(heads).toHaveLength(1);
  // The file is named by where the store is.
  renameSync(
    join(state, heads[0]!),
    join(state, `heads-${xxh64Hex(Buffer.from(`rocksdb://${join(state, "store")}`))}`),
  );
  return { state, projects: join(folder, "projects"), backup: join(folder, "backup") };
}

/** Runs riffd, which is to succeed and to warn of nothing. */
async function succeeds(state: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await riffd(state, args);
  expect([args[0], code, stderr]).toEqual([args[0], 0, ""]);
  return stdout;
}

/** Asked as it is, whatever its schema. */
async function rows<T>(state: string, text: string): Promise<T[]> {
  const answers = JSON.parse(await succeeds(state, "query", text, "--json")) as [{ result: T[] }];
  return answers[0].result;
}

interface Schema {
  readonly state: string;
  readonly applied: readonly { readonly version: number }[];
  readonly missing: readonly unknown[];
}

async function schemaOf(state: string): Promise<Schema> {
  const { code, stdout } = await riffd(state, ["schema", "status", "--json"]);
  expect([EXIT_CODES.RIFF_SCHEMA_MISSING, 0]).toContain(code);
  return JSON.parse(stdout) as Schema;
}

interface KeptEvent {
  readonly event_type: string;
  readonly operator: string;
}

async function eventsOf(state: string): Promise<[string, string][]> {
  const lines = (await succeeds(state, "events", SESSION, "--json")).trimEnd().split("\n");
  return lines.map((line) => JSON.parse(line) as KeptEvent).map((event) => [event.event_type, event.operator]);
}

const EVENTS = [
  ["parent_repaired", "mira"],
  ["content_updated", "mira"],
  ["message_added", "mira"],
  ["message_removed", "mira"],
  ["corruption_fixed", "mira"],
];

test("a store of every schema there ever was is kept", () => {
  expect(kept).toEqual(readMigrations().map(label));
});

describe.each(kept)("a store of schema %s", (name) => {
  const version = Number(name.slice(0, 4));
  const hasBackup = version >= 2;
  const hasForgotten = version >= 3;

  test("proves whole and gives back all it had, and is left at its schema by whoever only reads", async () => {
    const { state, projects } = unpack(name);
    const before = await schemaOf(state);
    expect(before.missing).toHaveLength(kept.length - version);
    expect(await succeeds(state, "verify", "--all")).toMatch(/^✓ 4 sessions verified: 61 messages, .* 5 events/m);
    const exported = async (...args: string[]) => await succeeds(state, "export", ...args);
    expect(await exported(SESSION)).toBe(readFileSync(join(projects, TEAPOT), "utf8"));
    expect(await exported(SESSION, "--generation", "1")).toBe(readFileSync(join(EXAMPLES, TEAPOT), "utf8"));
    expect(await eventsOf(state)).toEqual(EVENTS);
    if (hasForgotten) expect(await rows<number>(state, "SELECT VALUE commit FROM forgotten")).toHaveLength(1);
    expect(await schemaOf(state)).toEqual(before);
  });

  test("is backed up as it is, so that the riffd that wrote it can be gone back to", async () => {
    const { state } = unpack(name);
    const before = await schemaOf(state);
    const backup = join(scratchFolder(), "before");
    await succeeds(state, "backup", backup, "--json");
    expect(await schemaOf(state)).toEqual(before);
    const header = /^riffd-backup (.*)$/m.exec(readFileSync(backup).toString("latin1"))!;
    const { schema } = JSON.parse(header[1]!) as { schema: Schema["applied"] };
    expect(schema.map((one) => one.version)).toEqual(before.applied.map((one) => one.version));
    const restored = scratchFolder();
    await succeeds(restored, "restore-store", backup, "--json");
    expect(await succeeds(restored, "verify", "--all")).toMatch(/^✓ 4 sessions verified: 61 messages/m);
  });

  test("goes on where it was: the same machine, the same heads, only what is new is written", async () => {
    const { state, projects } = unpack(name);
    const host = readFileSync(join(state, "host-id"), "utf8");
    appendFileSync(join(projects, TEAPOT), `${message(UUID, LAST_UUID)}\n`);
    const sync = ["sync", "--all", "--projects", projects];
    await succeeds(state, ...sync, "--operator", "ada");
    expect(await schemaOf(state)).toMatchObject({ state: "current", missing: [] });
    expect(await eventsOf(state)).toEqual([...EVENTS, ["message_added", "ada"]]);
    expect(await rows(state, "SELECT VALUE id FROM host")).toHaveLength(1);
    expect(readFileSync(join(state, "host-id"), "utf8")).toBe(host);
    expect(await succeeds(state, "verify", "--all")).toMatch(/^✓ 4 sessions verified: 62 messages/m);
    const commits = await rows(state, "SELECT VALUE n FROM commit");
    await succeeds(state, ...sync);
    expect(await rows(state, "SELECT VALUE n FROM commit")).toEqual(commits);
  });

  test.runIf(hasBackup)("restores from the backup that the earlier riffd wrote", async () => {
    const { backup, projects } = unpack(name);
    const state = scratchFolder();
    await succeeds(state, "restore-store", backup, "--json");
    expect(await succeeds(state, "verify", "--all")).toMatch(/^✓ 4 sessions verified: 61 messages/m);
    expect(await succeeds(state, "export", SESSION)).toBe(readFileSync(join(projects, TEAPOT), "utf8"));
  });

  test.runIf(hasForgotten)("never takes in again what was forgotten", async () => {
    const { state, projects } = unpack(name);
    await succeeds(state, "sync", "--all", "--force", "--projects", projects);
    const kept = await rows(state, `SELECT VALUE content FROM message WHERE message_uuid = '${MESSAGE_TO_FORGET}'`);
    expect(kept.filter((content) => content !== "")).toEqual([]);
  });
});

describe("the first store there ever was", () => {
  const name = kept[0]!;

  test("notices that commits are missing which the earlier riffd had written", async () => {
    const { state } = unpack(name);
    const heads = join(state, readdirSync(state).find((file) => file.startsWith("heads-"))!);
    const line = readFileSync(heads, "utf8")
      .split("\n")
      .find((text) => text.startsWith(`["${SESSION}"`))!;
    const [id, chain, hash] = JSON.parse(line) as [string, number, string];
    appendFileSync(heads, `${JSON.stringify([id, chain + 10, hash])}\n`);
    const { code, stderr } = await riffd(state, ["verify", "--all"]);
    expect(code).toBe(EXIT_CODES.RIFF_VERIFY_FAILED);
    expect(stderr).toContain(SESSION);
  });

  test("is taken over by the daemon, which tells its commits in an order", async () => {
    const { state, projects } = unpack(name);
    const daemon = startRiffd(state, ["start", "--projects", projects, "--log-format", "json"]);
    await expect.poll(() => isReady(state), { timeout: 60_000, interval: 200 }).toBe(true);
    await succeeds(state, "verify", "--all");
    await succeeds(state, "stop", "--json");
    expect((await daemon.ended).code).toBe(0);
    const [{ n }] = (await rows<{ n: number }>(state, "SELECT count() AS n FROM commit GROUP ALL")) as [{ n: number }];
    const placed = await rows<{ n: number }>(
      state,
      "SELECT count() AS n FROM (SELECT VALUE id FROM feed).concat(SELECT VALUE id FROM feed_waiting) GROUP ALL",
    );
    expect(placed).toEqual([{ n }]);
  });
});

const UUID = "6a1c7b52-9d0f-4d3a-8f25-1e0c4b7d9a10";
const LAST_UUID = "5d0e5a1c-1f6e-4d0c-9d53-0b7a2f1f4b11";

async function isReady(state: string): Promise<boolean> {
  const { code, stdout } = await riffd(state, ["status", "--json"]);
  return code === 0 && (JSON.parse(stdout) as { ready: boolean }).ready;
}

describe("a store of a later riffd", () => {
  const LATER =
    "INSERT INTO schema_version {id: 9000, version: 9000, name: 'later', sha256: '00', applied_at: time::now()}";
  const HINT =
    /^Error: The store has schema version 9000, which this riffd does not know\.\nTry: Update riffd.*RIFFD_STORE_DIR.*\n$/;

  /** A store that a later riffd has opened. */
  async function later(): Promise<KeptStore> {
    const store = unpack(kept.at(-1)!);
    await succeeds(store.state, "query", "--write", LATER);
    return store;
  }

  test("is refused by every command, with what to do, and is not touched", async () => {
    const { state, projects } = await later();
    const before = listing(projects);
    const commands = [
      ["sync", "--all", "--projects", projects],
      ["sync", "--all", "--dry-run", "--projects", projects],
      ["verify", "--all"],
      ["export", SESSION],
      ["events"],
      ["backup", join(state, "never")],
      ["forget", SESSION, "--reason", "none", "--yes"],
      ["serve", "--listen", "127.0.0.1:0"],
      ["schema", "apply"],
      ["start", "--projects", projects, "--log-format", "json"],
    ];
    for (const command of commands) {
      const { code, stderr } = await riffd(state, command);
      expect([...command, code]).toEqual([...command, EXIT_CODES.RIFF_SCHEMA_NEWER]);
      expect(stderr).toMatch(HINT);
    }
    const versions = await rows(state, "SELECT VALUE version FROM schema_version ORDER BY version");
    expect(versions).toEqual([...readMigrations().map(({ version }) => version), 9000]);
    expect(readdirSync(state)).not.toContain("never");
    expect(listing(projects)).toEqual(before);
  });

  test("is refused by the commands of this riffd while a later daemon has it", async () => {
    const { state, projects } = unpack(kept.at(-1)!);
    const daemon = startRiffd(state, ["start", "--projects", projects, "--log-format", "json"]);
    await expect.poll(() => isReady(state), { timeout: 60_000, interval: 200 }).toBe(true);
    await succeeds(state, "query", "--write", LATER);
    for (const command of [
      ["verify", "--all"],
      ["export", SESSION],
      ["backup", join(state, "never")],
    ]) {
      const { code, stderr } = await riffd(state, command);
      expect([...command, code]).toEqual([...command, EXIT_CODES.RIFF_SCHEMA_NEWER]);
      expect(stderr).toMatch(HINT);
    }
    await succeeds(state, "stop", "--json");
    await daemon.ended;
  });
});
