// riffd schema as a real process: what it prints, and how it exits.
import { readFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { EXIT_CODES } from "../../src/errors.ts";
import { readMigrations } from "../../src/store/schema.ts";
import { killRunning, query, riffd } from "../support/riffd.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

afterAll(async () => {
  killRunning();
  await removeScratch();
});

const FILES = readMigrations().map(({ version, name, sha256 }) => ({ version, name, sha256 }));

describe("riffd schema", () => {
  test("status fails on a database without the schema, apply sets it up, and says so", async () => {
    const state = scratchFolder();
    const before = await riffd(state, ["schema", "status"]);
    expect(before.code).toBe(EXIT_CODES.RIFF_SCHEMA_MISSING);
    expect(before.stdout).toContain("• 0001-core");
    expect(before.stderr).toContain("Try: Run `riffd schema apply`");

    const applied = await riffd(state, ["schema", "apply"]);
    expect(applied).toMatchObject({ code: 0, stderr: "" });
    expect(applied.stdout).toBe(
      [...FILES.map(({ name }, i) => `✓ applied 000${i + 1}-${name}`), `Store: rocksdb://${state}/store`, ""].join(
        "\n",
      ),
    );
    const again = await riffd(state, ["schema", "apply"]);
    expect(again.stdout).toContain("✓ nothing to apply");

    const after = await riffd(state, ["schema", "status"]);
    expect(after).toMatchObject({ code: 0, stderr: "" });
    expect(after.stdout).toMatch(new RegExp(`✓ 0001-core +${FILES[0]!.sha256.slice(0, 12)}  applied 20`));
    expect(after.stdout).toContain(`Schema: current, ${FILES.length} version`);
  });

  test("--json tells the same to programs", async () => {
    const state = scratchFolder();
    const missing = await riffd(state, ["schema", "status", "--json"]);
    expect(missing.code).toBe(EXIT_CODES.RIFF_SCHEMA_MISSING);
    const store = `rocksdb://${state}/store`;
    expect(JSON.parse(missing.stdout)).toEqual({ store, state: "fresh", applied: [], missing: FILES });
    const applied = await riffd(state, ["schema", "apply", "--json"]);
    expect(JSON.parse(applied.stdout)).toEqual({ store, applied: FILES });
    const current = await riffd(state, ["schema", "status", "--json"]);
    expect(JSON.parse(current.stdout)).toEqual({
      store,
      state: "current",
      applied: FILES.map((file) => ({ ...file, applied_at: expect.stringMatching(/^20\d\d-.*Z$/) })),
      missing: [],
    });
  });

  test("status tells a store that a newer riffd has written", async () => {
    const state = scratchFolder();
    await query(
      state,
      "CREATE schema_version:9000 SET version = 9000, name = 'later', sha256 = 'x', applied_at = time::now()",
    );
    for (const command of ["status", "apply"]) {
      const { code, stderr } = await riffd(state, ["schema", command]);
      expect(code).toBe(EXIT_CODES.RIFF_SCHEMA_NEWER);
      expect(stderr).toContain("schema version 9000");
    }
  });

  test("print gives the file for `surreal import`, and opens no store", async () => {
    const state = scratchFolder();
    const { code, stdout } = await riffd(state, ["schema", "print"], {
      env: { RIFFD_STORE_DIR: "/dev/null/none" },
    });
    expect(code).toBe(0);
    expect(stdout).toBe(readFileSync(new URL("../../schema/riffd.surql", import.meta.url), "utf8"));
  });
});
