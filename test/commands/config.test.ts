import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { FIELD_NAMES } from "../../src/config/fields.ts";
import { type Ended, riffd } from "../support/riffd.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

afterAll(removeScratch);

let home: string;
let file: string;
beforeEach(() => {
  home = scratchFolder();
  mkdirSync(join(home, "riffd"));
  file = join(home, "riffd/config.json");
});

/** `riffd config …args`, with its config file below `home`. */
function config(args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  return riffd(home, ["config", ...args], { env });
}

describe("riffd config show", () => {
  test("tells every field's value and where it came from", async () => {
    writeFileSync(file, JSON.stringify({ exclude: ["-a", "-b"], debounce_ms: 50, poll: true }));
    const { code, stdout, stderr } = await config(["show"], { RIFFD_LOG_LEVEL: "debug" });
    expect([code, stderr]).toEqual([0, ""]);
    const rows = stdout
      .split("\n")
      .slice(0, -1)
      .map((line) => line.split(/ {2,}/));
    expect(rows.map(([name]) => name)).toEqual(FIELD_NAMES);
    const told = new Map(rows.map(([name, ...rest]) => [name, rest]));
    expect(told.get("exclude")).toEqual(["-a, -b", file]);
    expect(told.get("debounce_ms")).toEqual(["50", file]);
    expect(told.get("poll")).toEqual(["true", file]);
    expect(told.get("log_level")).toEqual(["debug", "RIFFD_LOG_LEVEL"]);
    expect(told.get("state_dir")).toEqual([home, "RIFFD_STATE_DIR"]);
    expect(told.get("rescan_s")).toEqual(["60", "default"]);
    expect(told.get("socket")).toEqual(["(in the state folder)", "default"]);
    expect(told.get("surrealdb_pass")).toEqual(["-", "default"]);
  });

  test("gives the same as JSON", async () => {
    const { stdout } = await config(["show", "--json"], { RIFFD_RESCAN_S: "30" });
    const told = JSON.parse(stdout);
    expect(Object.keys(told)).toEqual(FIELD_NAMES);
    expect(told.rescan_s).toEqual({ value: 30, origin: "RIFFD_RESCAN_S" });
    expect(told.include).toEqual({ value: [], origin: null });
    expect(told.socket).toEqual({ value: null, origin: null });
  });

  test.each([[[]], [["--json"]]])("never shows a password, only that there is one (%j)", async (options) => {
    writeFileSync(join(home, "riffd/password"), "planted-1\n", { mode: 0o600 });
    writeFileSync(file, JSON.stringify({ serve_pass_file: "password" }));
    const env = { SURREALDB_PASS: "planted-2", SURREALDB_URL: "ws://user:planted:3@host:8000/rpc" };
    const { code, stdout, stderr } = await config(["show", ...options], env);
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).not.toContain("planted");
    expect(stdout).toContain("ws://user:(set)@host:8000/rpc");
    expect(stdout.match(/\(set\)/g)).toHaveLength(3);
    // Of the password's file, and of the password that is in it.
    expect(stdout.split(file)).toHaveLength(3);
  });
});

describe("riffd config path", () => {
  test("tells where the file is looked for, and whether there is one", async () => {
    const absent = await config(["path"]);
    expect([absent.code, absent.stdout]).toEqual([0, `${file}\n`]);
    expect(absent.stderr).toContain("no file there");
    expect(JSON.parse((await config(["path", "--json"])).stdout)).toEqual({ path: file, exists: false });
    writeFileSync(file, "{");
    expect(await config(["path"])).toMatchObject({ code: 0, stdout: `${file}\n`, stderr: "" });
    const named = await config(["path", "--json"], { RIFFD_CONFIG: join(home, "other.json") });
    expect(JSON.parse(named.stdout)).toEqual({ path: join(home, "other.json"), exists: false });
  });
});

describe("riffd config check", () => {
  test("tells that all is well, and what it looked at", async () => {
    const none = await config(["check"]);
    expect([none.code, none.stdout]).toEqual([0, "The configuration is valid, with RIFFD_STATE_DIR; no file.\n"]);
    writeFileSync(file, '{ "rescan_s": 30 }');
    const { code, stdout } = await config(["check"]);
    expect([code, stdout]).toEqual([0, `${file} is valid, with RIFFD_STATE_DIR.\n`]);
  });

  test("fails with 78 and everything that is wrong, each with its field and where it stands", async () => {
    writeFileSync(file, '{ "rescan_s": 0, "exclud": [] }');
    const { code, stdout, stderr } = await config(["check"], { RIFFD_LOG_LEVEL: "loud" });
    expect([code, stdout]).toEqual([78, ""]);
    expect(stderr).toContain("The configuration has 3 problems:");
    expect(stderr).toContain(`exclud (${file}) is not a field; there is exclude`);
    expect(stderr).toContain(`rescan_s (${file}) is "0"`);
    expect(stderr).toContain(`log_level (RIFFD_LOG_LEVEL) is "loud"`);
  });

  test("looks at the file that is named instead", async () => {
    writeFileSync(file, "{");
    writeFileSync(join(home, "new.json"), "{}");
    expect(await config(["check", join(home, "new.json")])).toMatchObject({ code: 0 });
    expect(await config(["check"])).toMatchObject({ code: 78 });
    const missing = await config(["check", join(home, "none.json")]);
    expect(missing.code).toBe(78);
    expect(missing.stderr).toContain("cannot be read: ENOENT");
  });
});

test("riffd config has examples in its help", async () => {
  const { code, stdout } = await config(["--help"]);
  expect(code).toBe(0);
  expect(stdout).toContain("riffd config check new.json");
});
