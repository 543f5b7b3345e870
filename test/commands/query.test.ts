// riffd query as a real process: what it prints, and how it exits.
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EXIT_CODES } from "../../src/errors.ts";
import { type Ended, killRunning, riffd, startRiffd } from "../support/riffd.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

afterAll(async () => {
  killRunning();
  await removeScratch();
});

const SAMPLE = fileURLToPath(new URL("../../examples/projects/", import.meta.url));
const TEAPOT = "f92beda8-4559-4dbd-bf46-9ea1d5fcbb23";

let state: string;
beforeAll(async () => {
  state = scratchFolder();
  expect((await riffd(state, ["sync", "--all", "--projects", SAMPLE])).code).toBe(0);
});

function query(...args: readonly string[]): Promise<Ended> {
  return riffd(state, ["query", ...args]);
}

describe("for people", () => {
  test("prints a table where it fits", async () => {
    const text = "SELECT message_count, title FROM session WHERE kind = 'main' ORDER BY message_count";
    expect((await query(text)).stdout.split("\n")).toEqual([
      "message_count  title",
      "─────────────  ────────────────────────────",
      "14             Changelog for tidewatch 1.4",
      "19             A teapot that refuses coffee",
      "22             The flaky tide test",
      "(3 rows)",
      "",
    ]);
  });

  test("prints one record after the other where not, with nothing cut", async () => {
    const { stdout } = await query(
      "SELECT id, content FROM message WHERE message_uuid IN ['2db76cc7-a88f-46ac-8954-d124bbd18e82', '0d882f4a-63ed-433d-8c99-4c2ce740fc32']",
    );
    const lines = stdout.split("\n");
    expect(lines.filter((line) => /^── \d ──$/.test(line))).toEqual(["── 1 ──", "── 2 ──"]);
    expect(lines).toContain("content  type: hook_progress");
    expect(lines).toContain("         hookEvent: PostToolUse");
    expect(stdout).toContain("The file /home/mira/code/teapot/src/pot.ts has been updated");
    expect(lines.filter((line) => line.startsWith(`id       message:['${TEAPOT}', 1, `))).toHaveLength(2);
  });

  test("prints values as they are, and leaves out the statements that give none", async () => {
    const { stdout } = await query(`LET $s = session:⟨${TEAPOT}⟩; RETURN $s.title; RETURN [1, 'two']; RETURN $s`);
    expect(stdout).toBe(`A teapot that refuses coffee\n\n1\ntwo\n(2 values)\n\nsession:⟨${TEAPOT}⟩\n`);
    expect((await query("LET $x = 1")).stdout).toBe("NONE\n");
  });
});

describe("--json", () => {
  test("is one document with the result of each statement, and times, ids and bytes are text", async () => {
    const { stdout, code } = await query(
      "--json",
      `LET $x = 1; SELECT id, last_message_at, cut_off_count FROM session:⟨${TEAPOT}⟩; RETURN <bytes>'gear'; RETURN 9223372036854775807; SELECT * FROM session WHERE false`,
    );
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual([
      { status: "OK", result: null },
      {
        status: "OK",
        result: [{ id: `session:⟨${TEAPOT}⟩`, last_message_at: "2026-02-03T23:15:42.276Z", cut_off_count: 5 }],
      },
      { status: "OK", result: "Z2Vhcg==" },
      { status: "OK", result: "9223372036854775807" },
      { status: "OK", result: [] },
    ]);
  });

  test("is whole also where a statement failed, and the exit code tells", async () => {
    const { stdout, stderr, code } = await query("--json", "RETURN 1; SELECT * FROM nowhere");
    expect(code).toBe(EXIT_CODES.RIFF_QUERY_FAILED);
    expect(JSON.parse(stdout)).toEqual([
      { status: "OK", result: 1 },
      { status: "ERR", result: "The table 'nowhere' does not exist" },
    ]);
    expect(stderr).toContain("Error: Statement 2 of 2 failed: The table 'nowhere' does not exist\nTry: ");
  });

  test("takes a result of a hundred thousand rows, and one of thirty megabytes", async () => {
    const many = await query(
      "--json",
      "array::flatten(array::range(0, 100).map(|$n| array::range(0, 1000).map(|$m| { n: $n * 1000 + $m })))",
    );
    const [answer] = JSON.parse(many.stdout) as [{ result: { n: number }[] }];
    expect([many.code, answer.result.length, answer.result.at(-1)?.n]).toEqual([0, 100_000, 99_999]);
    const large = await query("array::range(0, 30).map(|$n| string::repeat('x', 1000000))");
    expect([large.code, large.stdout.length]).toEqual([0, 30 * 1_000_001 + "(30 values)\n".length]);
  });
});

describe("riffd query", () => {
  test("takes the query from stdin", async () => {
    const running = startRiffd(state, ["query", "-"]);
    running.child.stdin?.end("RETURN\n1 + 1;");
    expect(await running.ended).toMatchObject({ code: 0, stdout: "2\n", stderr: "" });
  });

  test("tells the place of a mistake", async () => {
    const { code, stderr, stdout } = await query("SELECT * FRM session");
    expect([code, stdout]).toEqual([EXIT_CODES.RIFF_QUERY_FAILED, ""]);
    expect(stderr).toContain(" --> [1:10]\n  |\n1 | SELECT * FRM session\n  |          ^^^\nTry: ");
  });

  test("needs a query", async () => {
    expect((await query(" ")).code).toBe(EXIT_CODES.RIFF_USAGE);
  });

  test("writes with --write only, and never what is append-only", async () => {
    const change = `UPDATE session:⟨${TEAPOT}⟩ SET title = 'Tea' RETURN VALUE title`;
    const refused = await query(change);
    expect([refused.code, refused.stdout]).toEqual([EXIT_CODES.RIFF_QUERY_FAILED, ""]);
    expect(refused.stderr).toContain(
      "Error: The query writes (UPDATE). Nothing of it was run.\nTry: Let it write with --write.",
    );
    expect((await query("--write", change)).stdout).toBe("Tea\n(1 value)\n");
    expect((await query(`RETURN session:⟨${TEAPOT}⟩.title`)).stdout).toBe("Tea\n");
    const proof = await query("--write", "DELETE commit");
    expect(proof.code).toBe(EXIT_CODES.RIFF_QUERY_FAILED);
    expect(proof.stderr).toContain("commit is append-only");
    expect(proof.stderr).toContain("Try: Commits, events and archived bytes are never changed");
  });
});
