import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { configPath, type Flags, resolveSettings, type Settings } from "../../src/config/config.ts";
import { FIELD_NAMES, FIELDS } from "../../src/config/fields.ts";
import { RiffError } from "../../src/errors.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

afterAll(removeScratch);

let home: string;
let file: string;
beforeEach(() => {
  home = scratchFolder();
  vi.stubEnv("HOME", home);
  file = join(home, "etc/riffd.json");
  mkdirSync(join(home, "etc"));
});
afterEach(() => {
  vi.unstubAllEnvs();
});

/** Settings with a config file that holds `config`. */
function resolved(config: unknown, env: Record<string, string> = {}, flags: Flags = {}): Settings {
  writeFileSync(file, typeof config === "string" ? config : JSON.stringify(config));
  return resolveSettings(flags, { RIFFD_CONFIG: file, ...env }, "linux");
}

/** What is told of a configuration that is wrong, a line for each problem. */
function problems(config: unknown, env: Record<string, string> = {}, flags: Flags = {}): string[] {
  try {
    resolved(config, env, flags);
  } catch (error) {
    expect(error).toBeInstanceOf(RiffError);
    expect((error as RiffError).code).toBe("RIFF_CONFIG_INVALID");
    return (error as RiffError).message.split("\n  ").slice(1);
  }
  return [];
}

describe("resolveSettings", () => {
  test("needs no configuration", () => {
    const settings = resolveSettings({}, {}, "linux");
    expect(settings).toEqual({
      projects: [join(home, ".claude/projects")],
      include: [],
      exclude: [],
      operator: "cli",
      stateDir: join(home, ".local/state/riffd"),
      storeDir: join(home, ".local/share/riffd/store"),
      surrealdb: { url: null, user: null, pass: null, namespace: null, database: null, authLevel: null },
      serve: { user: null, pass: null },
      origins: Object.fromEntries(FIELD_NAMES.map((name) => [name, null])),
    });
  });

  test("takes every field from the file, with paths from the file's folder or from home", () => {
    writeFileSync(join(home, "etc/password"), "s3cret\nrest\n", { mode: 0o600 });
    const settings = resolved({
      projects: ["mine", "~/theirs", "/all"],
      include: ["-home-*"],
      exclude: ["*-secret"],
      operator: "mira",
      state_dir: "state",
      store_dir: "~/store",
      surrealdb_url: "wss://store.example.org",
      surrealdb_user: "riffd",
      surrealdb_pass_file: "password",
      surrealdb_namespace: "team",
      surrealdb_database: "talk",
      surrealdb_auth_level: "database",
      serve_user: "ada",
      serve_pass_file: "password",
    });
    expect(settings).toMatchObject({
      projects: [join(home, "etc/mine"), join(home, "theirs"), "/all"],
      include: ["-home-*"],
      exclude: ["*-secret"],
      operator: "mira",
      stateDir: join(home, "etc/state"),
      storeDir: join(home, "store"),
      surrealdb: {
        url: "wss://store.example.org",
        user: "riffd",
        pass: "s3cret",
        namespace: "team",
        database: "talk",
        authLevel: "database",
      },
      serve: { user: "ada", pass: "s3cret" },
    });
    const given = Object.entries(settings.origins).filter(([, origin]) => origin === file);
    expect(given.map(([name]) => name)).toEqual(FIELD_NAMES.filter((name) => FIELDS[name].inFile));
  });

  test.each(FIELD_NAMES)("takes %s from its variable before the file", (name) => {
    const { kind, env, inFile } = FIELDS[name];
    const [first, second] = {
      level: ["root", "namespace"],
      url: ["ws://a", "ws://b"],
      file: [join(home, "etc/a"), join(home, "etc/b")],
    }[kind as string] ?? ["/a", "/b"];
    for (const text of [first!, second!]) if (kind === "file") writeFileSync(text, `${text}\n`, { mode: 0o600 });
    const isList = kind === "folders" || kind === "patterns";
    const inside = inFile ? { [name]: isList ? [first] : first } : {};
    const settings = resolved(inside, { [env]: second! });
    expect(settings.origins[name]).toBe(env);
    expect(JSON.stringify({ ...settings, origins: null })).toContain(second);
    expect(JSON.stringify({ ...settings, origins: null })).not.toContain(`"${first}"`);
    expect(resolved(inside, { [env]: "" }).origins[name]).toBe(inFile ? file : null);
  });

  test("takes flags before all else, and lists whole", () => {
    const flags = { projects: ["here"], exclude: ["c"], operator: "flag", surrealdb_url: "ws://flag" };
    const env = { RIFFD_PROJECTS: "/env", RIFFD_INCLUDE: "a:b", RIFFD_EXCLUDE: "d:e", RIFFD_OPERATOR: "env" };
    const settings = resolved({ operator: "file", include: ["f"] }, env, flags);
    expect(settings).toMatchObject({
      projects: [resolve("here")],
      include: ["a", "b"],
      exclude: ["c"],
      operator: "flag",
    });
    expect(settings.surrealdb.url).toBe("ws://flag");
    expect(settings.origins).toMatchObject({
      projects: "--projects",
      include: "RIFFD_INCLUDE",
      exclude: "--exclude",
      surrealdb_url: "--surrealdb-url",
    });
    expect(resolved({}, env, { exclude: [], operator: undefined }).exclude).toEqual(["d", "e"]);
  });

  test("takes the password of the environment before that of a file", () => {
    writeFileSync(join(home, "etc/password"), "from-file\n", { mode: 0o600 });
    const config = { surrealdb_pass_file: "password" };
    expect(resolved(config).surrealdb.pass).toBe("from-file");
    expect(resolved(config, { SURREALDB_PASS: "from-env" }).surrealdb.pass).toBe("from-env");
  });

  test("takes the file's folders before systemd's and Claude's", () => {
    const env = { STATE_DIRECTORY: "/var/lib/riffd", CLAUDE_CONFIG_DIR: "/claude" };
    expect(resolved({ state_dir: "/s", projects: ["/p"] }, env)).toMatchObject({
      stateDir: "/s",
      storeDir: "/s/store",
    });
    expect(resolved({}, env)).toMatchObject({ stateDir: "/var/lib/riffd", projects: ["/claude/projects"] });
  });
});

describe("a configuration that is wrong", () => {
  test("is told whole: each problem with its field and where it stands", () => {
    const told = problems(
      {
        exclud: ["x"],
        operator: 7,
        include: "x",
        projects: ["/a", 1],
        surrealdb_url: "http://u:p@host",
        frobnicate: 1,
      },
      { SURREALDB_AUTH_LEVEL: "admin", SURREALDB_URL: "localhost:8000", RIFFD_EXCLUDE: "!keep" },
      { operator: "\u001b[2J" },
    );
    expect(told).toEqual([
      `exclud (${file}) is not a field; there is exclude`,
      `frobnicate (${file}) is not a field`,
      `projects (${file}) is not a list of texts`,
      `include (${file}) is not a list of texts`,
      `operator (${file}) is not a text`,
      `surrealdb_url (${file}) holds a password; put that into a surrealdb_pass_file`,
      `exclude (RIFFD_EXCLUDE) has "!keep"; a pattern that keeps projects out belongs into exclude`,
      `surrealdb_url (SURREALDB_URL) begins with "localhost:", which is no way to a SurrealDB server; ws:, wss:, http: and https: are`,
      `surrealdb_auth_level (SURREALDB_AUTH_LEVEL) is "admin"; it is root, namespace or database`,
      "operator (--operator) has a control character in it",
    ]);
  });

  test.each<[string, unknown, string]>([
    ["is no JSON", "{", "the file (FILE) is not JSON: "],
    ["is no object", "[]", "the file (FILE) is not a JSON object"],
    ["is null", "null", "the file (FILE) is not a JSON object"],
    ["has the password in it", { surrealdb_pass: "s3cret" }, "surrealdb_pass (FILE) has no place in this file"],
    ["has an empty text", { state_dir: " " }, "state_dir (FILE) is empty"],
    ["has an empty pattern", { include: [""] }, "include (FILE) is empty"],
    ["has no URL", { surrealdb_url: "here" }, "surrealdb_url (FILE) is not a URL"],
    ["has a URL without a host", { surrealdb_url: "ws:" }, "surrealdb_url (FILE) is not a URL"],
    [
      "has a URL with more than a path",
      { surrealdb_url: "ws://u@h/rpc?x=s3cret" },
      'surrealdb_url (FILE) has a part after "?"',
    ],
    [
      "has a URL with a torn escape",
      { surrealdb_url: "ws://50%@h" },
      "surrealdb_url (FILE) has a user or a password that is not",
    ],
    ["has null for a text", { operator: null }, "operator (FILE) is not a text"],
    [
      "names a password file that is not there",
      { surrealdb_pass_file: "none" },
      "surrealdb_pass_file (FILE) cannot be read: ENOENT",
    ],
  ])("a file that %s", (_, config, expected) => {
    const told = problems(config);
    expect(told).toHaveLength(1);
    expect(told[0]!.replace(file, "FILE").slice(0, expected.length)).toBe(expected);
    expect(told[0]).not.toContain("s3cret");
  });

  test("a file that was named and is not there", () => {
    expect(() => resolveSettings({}, { RIFFD_CONFIG: join(home, "none.json") }, "linux")).toThrow(
      /cannot be read: ENOENT/,
    );
  });

  test("a password file that others can read, or that is empty", () => {
    const password = join(home, "etc/password");
    writeFileSync(password, "s3cret\n");
    chmodSync(password, 0o640);
    const told = problems({ surrealdb_pass_file: "password" });
    expect(told).toEqual([`surrealdb_pass_file (${file}) can be read by others (mode 640): chmod 600 ${password}`]);
    chmodSync(password, 0o600);
    writeFileSync(password, "\n");
    expect(problems({ surrealdb_pass_file: "password" })[0]).toContain("has no password on its first line");
  });
});

describe("configPath", () => {
  test("is RIFFD_CONFIG, else in the platform's folder for configuration", () => {
    expect(configPath({ RIFFD_CONFIG: "here.json", XDG_CONFIG_HOME: "/x" }, "linux")).toBe(resolve("here.json"));
    expect(configPath({ XDG_CONFIG_HOME: "/x" }, "linux")).toBe("/x/riffd/config.json");
    expect(configPath({ XDG_CONFIG_HOME: "relative" }, "linux")).toBe(join(home, ".config/riffd/config.json"));
    expect(configPath({ XDG_CONFIG_HOME: "/x" }, "darwin")).toBe(
      join(home, "Library/Application Support/riffd/config.json"),
    );
  });

  test("is read from there without being named", () => {
    mkdirSync(join(home, ".config/riffd"), { recursive: true });
    writeFileSync(join(home, ".config/riffd/config.json"), '{ "operator": "mira" }');
    expect(resolveSettings({}, {}, "linux").operator).toBe("mira");
  });
});

describe("docs/configuration.md", () => {
  const page = readFileSync(new URL("../../docs/configuration.md", import.meta.url), "utf8");
  const rows = page
    .split("\n")
    .filter((line) => /^\|.*`(RIFFD|SURREALDB)_/.test(line))
    .map((line) => line.split("|").map((cell) => cell.trim().replaceAll("`", "")));

  test("lists exactly the fields that there are, with their variables and options", () => {
    expect(rows.map(([, field, env, flag]) => [field, env, flag])).toEqual(
      FIELD_NAMES.map((name) => [FIELDS[name].inFile ? name : "", FIELDS[name].env, FIELDS[name].flag ?? ""]),
    );
    for (const row of rows) expect([row[1], row[4]!.length > 10]).toEqual([row[1], true]);
  });

  test("shows a file that is valid", () => {
    writeFileSync(join(home, "etc/password"), "s3cret\n", { mode: 0o600 });
    expect(problems(/```json\n([^`]+)```/.exec(page)![1])).toEqual([]);
  });
});
