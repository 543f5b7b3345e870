// Commands that are told to people must work when they are pasted.
import { execFileSync } from "node:child_process";
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { RecordId } from "surrealdb";
import { afterAll, describe, expect, test } from "vitest";
import { programCommand, sessionLiteral, shellWord } from "../../src/commands/shell.ts";
import { removeScratch, scratchFolder, Workbench } from "../support/workbench.ts";

afterAll(removeScratch);

const HOME = fileURLToPath(new URL("../..", import.meta.url));
const CLI = join(HOME, "dist/cli.js");

/** Names that files can have, and that mean something to a shell or to SurrealQL. */
const NAMES = [
  "1e0816ef-6f89-4f05-b331-dab09bb14485",
  "1e0816ef-6f89-4f05-b331-dab09bb14485/agent-a1",
  "it's",
  "''",
  "a b\tc\nd",
  "$HOME `id` $(id) !! \\ \\\\ \\n",
  "⟨id⟩",
  "\\⟩; REMOVE TABLE session; --",
  'a`b"c',
  "⚙️ 🦊 歯車 e\u0301",
  "*?[a]{b,c}~#&|;<>()",
  "123",
  "\u2028\u0001\u001b",
];
const nameArb = fc.oneof(
  fc.constantFrom(...NAMES),
  fc.string({ unit: fc.constantFrom(..."⟨⟩\\'`\"$u{27E9} ab\n"), maxLength: 12 }).filter((name) => name !== ""),
);

test("the shell gives a command the words that were meant", () => {
  fc.assert(
    fc.property(fc.array(nameArb, { minLength: 1, maxLength: 4 }), (words) => {
      const script = `printf '%s\\0' ${words.map(shellWord).join(" ")}`;
      expect(execFileSync("sh", ["-c", script]).toString()).toBe(words.map((word) => `${word}\0`).join(""));
    }),
    { numRuns: 60 },
  );
});

test("plain words need no quotes", () => {
  expect(shellWord("1e0816ef")).toBe("1e0816ef");
  expect(shellWord("/a/b-c_d.jsonl")).toBe("/a/b-c_d.jsonl");
  expect(shellWord("ws://localhost:8000/rpc")).toBe("ws://localhost:8000/rpc");
});

test("the database finds the session that was meant, and no other", async () => {
  const { store } = await Workbench.create();
  await store.db.query("REMOVE TABLE session; DEFINE TABLE session SCHEMALESS").collect();
  await fc.assert(
    fc.asyncProperty(nameArb, async (id) => {
      await store.db.query("UPSERT $id RETURN NONE", { id: new RecordId("session", id) }).collect();
      const found = await store.db.query<[{ id: RecordId }[]]>(`SELECT id FROM ${sessionLiteral(id)}`).collect();
      expect(found.map((rows) => rows.map((row) => row.id.id))).toEqual([[id]]);
    }),
    { numRuns: 100 },
  );
});

describe("riffd is called", () => {
  test("through npx in its own folder", () => {
    expect(programCommand({}, HOME)).toBe("npx .");
  });

  test("by its name where a riffd in PATH is this one", () => {
    const bin = scratchFolder();
    symlinkSync(CLI, join(bin, "riffd"));
    expect(programCommand({ PATH: `/nowhere::${bin}` }, "/")).toBe("riffd");
  });

  test("by its path where that riffd is another one, or is only there for this run", () => {
    const other = scratchFolder();
    symlinkSync(process.execPath, join(other, "riffd"));
    const bin = join(scratchFolder(), "node_modules", ".bin");
    mkdirSync(bin, { recursive: true });
    symlinkSync(CLI, join(bin, "riffd"));
    expect(programCommand({ PATH: `${other}:${bin}` }, "/")).toBe(`node ${shellWord(CLI)}`);
    expect(programCommand({}, "/")).toBe(`node ${shellWord(CLI)}`);
  });
});
