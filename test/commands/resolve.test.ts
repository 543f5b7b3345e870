import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { type Candidate, resolveSession } from "../../src/commands/resolve.ts";
import { RiffError } from "../../src/errors.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

afterAll(removeScratch);

const root = scratchFolder();
const FIRST = "1f2e3d4c-0000-4000-8000-000000000001";
const SECOND = "1f2e9999-0000-4000-8000-000000000002";
const THIRD = "abcdef01-0000-4000-8000-000000000003";

function at(path: string): string {
  return join(root, path);
}

const candidates: Candidate[] = [
  { sessionId: FIRST, path: at(`-a/${FIRST}.jsonl`) },
  { sessionId: `${FIRST}@-b`, path: at(`-b/${FIRST}.jsonl`) },
  { sessionId: SECOND, path: at(`-a/${SECOND}.jsonl`) },
  { sessionId: THIRD, path: at(`-a/${THIRD}.jsonl`) },
  { sessionId: `${THIRD}/agent-a1b2c3d`, path: at(`-a/${THIRD}/subagents/agent-a1b2c3d.jsonl`) },
  { sessionId: `${SECOND}/agent-a1b2c3d`, path: at(`-a/${SECOND}/subagents/agent-a1b2c3d.jsonl`) },
  { sessionId: `${SECOND}/agent-ffff`, path: at(`-a/${SECOND}/subagents/agent-ffff.jsonl`) },
];

function resolved(query: string): string {
  return resolveSession(query, candidates, root).sessionId;
}

function failure(query: string, among: readonly Candidate[] = candidates): RiffError {
  try {
    resolveSession(query, among, root);
  } catch (thrown) {
    if (thrown instanceof RiffError) return thrown;
    throw thrown;
  }
  throw new Error("it was resolved");
}

describe("resolveSession", () => {
  test.each([
    ["a whole id", SECOND, SECOND],
    ["a beginning that only one id has", "1f2e9", SECOND],
    ["a beginning that a session shares with its subagents alone", "abc", THIRD],
    ["an id that had to take its project", `${FIRST}@-b`, `${FIRST}@-b`],
    ["a subagent's whole id", `${THIRD}/agent-a1b2c3d`, `${THIRD}/agent-a1b2c3d`],
    ["a subagent by the beginning of its whole id", `${SECOND}/agent-f`, `${SECOND}/agent-ffff`],
    ["a subagent by its own name", "agent-ffff", `${SECOND}/agent-ffff`],
  ])("takes %s", (_, query, expected) => {
    expect(resolved(query)).toBe(expected);
  });

  test("takes the path of a file: absolute, relative, or through a link", () => {
    const file = at(`-b/${FIRST}.jsonl`);
    mkdirSync(at("-b"), { recursive: true });
    writeFileSync(file, "");
    symlinkSync(file, at("link.jsonl"));
    for (const query of [file, relative(process.cwd(), file), at("link.jsonl")]) {
      expect(resolved(query)).toBe(`${FIRST}@-b`);
    }
  });

  test("takes the path of a file that is no longer there", () => {
    expect(resolved(at(`-a/${THIRD}.jsonl`))).toBe(THIRD);
  });

  test("names every session that a bare id may mean, when two files share it", () => {
    const { code, message } = failure(FIRST);
    expect(code).toBe("RIFF_SESSION_AMBIGUOUS");
    expect(message).toContain(`"${FIRST}" may mean 2 sessions`);
    expect(message).toContain(at(`-a/${FIRST}.jsonl`));
    expect(message).toContain(at(`-b/${FIRST}.jsonl`));
  });

  test("names every session that a beginning may mean", () => {
    const { code, message } = failure("1f2e");
    expect(code).toBe("RIFF_SESSION_AMBIGUOUS");
    for (const id of [FIRST, `${FIRST}@-b`, SECOND]) expect(message).toContain(`  ${id}  `);
    expect(message).not.toContain("agent-");
  });

  test("names every session that has a subagent of that name", () => {
    const { code, message } = failure("agent-a1b2c3d");
    expect(code).toBe("RIFF_SESSION_AMBIGUOUS");
    expect(message).toContain(`${THIRD}/agent-a1b2c3d`);
    expect(message).toContain(`${SECOND}/agent-a1b2c3d`);
  });

  test("tells no more than ten of many", () => {
    const many = Array.from({ length: 25 }, (_, i) => ({ sessionId: `same-${i}`, path: at(`${i}.jsonl`) }));
    const { message } = failure("same", many);
    expect(message).toContain("may mean 25 sessions");
    expect(message.split("\n")).toHaveLength(12);
    expect(message).toContain("… and 15 more");
  });

  test("says what comes near an id that is not there, and where it was looked for", () => {
    const { code, message, hint } = failure("abcdef02-0000");
    expect(code).toBe("RIFF_SESSION_NOT_FOUND");
    expect(message).toContain(`There is no session "abcdef02-0000" in ${root}.`);
    expect(message).toContain("Coming near:");
    expect(message).toContain(THIRD);
    expect(hint).not.toBe("");
  });

  test("finds what comes near in the middle of an id", () => {
    expect(failure("000000000003").message).toContain(`  ${THIRD}  `);
  });

  test("says nothing of what is far", () => {
    expect(failure("zzz").message).not.toContain("Coming near");
  });

  test("finds nothing among nothing", () => {
    expect(failure("abc", []).code).toBe("RIFF_SESSION_NOT_FOUND");
  });
});
