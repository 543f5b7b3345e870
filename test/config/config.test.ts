import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { withFieldTable } from "../../scripts/field-table.ts";
import { diffSettings, resolveSettings, type Settings, secretsOf, withReloaded } from "../../src/config/config.ts";
import { configPath } from "../../src/config/config-file.ts";
import { FIELD_NAMES, FIELDS, type Field, separatorOf } from "../../src/config/fields.ts";
import { faultOf } from "../../src/config/problems.ts";
import type { Flags } from "../../src/config/values.ts";
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

/** Two values of a field, the second not its default, as a variable has them. */
function twoTexts(field: Field): [string, string] {
  switch (field.kind) {
    case "integer":
      return [String(field.most - 1), String(field.most)];
    case "boolean":
      return [String(field.default), String(!field.default)];
    case "choice":
      return field.choices.filter((choice) => choice !== field.default).slice(0, 2) as [string, string];
    case "url":
      return ["ws://a", "ws://b"];
    case "file":
      return [join(home, "etc/a"), join(home, "etc/b")];
    case "address":
      return ["8001", "localhost:8002"];
    case "origins":
      return ["http://a", "http://b"];
    default:
      return ["/a", "/b"];
  }
}

/** As the file has it. */
function inJson(field: Field, text: string): unknown {
  if (field.kind === "integer") return Number(text);
  if (field.kind === "boolean") return text === "true";
  return separatorOf(field) === null ? text : [text];
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
      surrealdb: { url: null, user: null, pass: null, namespace: "nabi", database: "conversations", authLevel: null },
      serve: { user: null, pass: null },
      daemon: {
        debounceMs: 100,
        debounceMaxMs: 1000,
        rescanMs: 60_000,
        settleMs: 5000,
        poll: false,
        pollMs: 1000,
        concurrency: Math.min(8, Math.max(2, availableParallelism())),
        drainMs: 20_000,
        logLevel: "info",
        logFormat: "auto",
        logFile: null,
        rpcListen: null,
        rpcAllowOrigin: [],
        socket: null,
      },
      values: expect.objectContaining({ debounce_ms: 100, poll: false, socket: null, rpc_listen: "none" }),
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
      debounce_ms: 50,
      debounce_max_ms: 500,
      rescan_s: 30,
      settle_s: 2,
      poll: true,
      poll_ms: 250,
      concurrency: 3,
      drain_s: 7,
      log_level: "debug",
      log_format: "json",
      log_file: "~/logs/riffd.log",
      rpc_listen: "[::1]:8001",
      rpc_allow_origin: ["https://a.example", "http://b.example:8080"],
      socket: "run/riffd.sock",
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
      daemon: {
        debounceMs: 50,
        debounceMaxMs: 500,
        rescanMs: 30_000,
        settleMs: 2000,
        poll: true,
        pollMs: 250,
        concurrency: 3,
        drainMs: 7000,
        logLevel: "debug",
        logFormat: "json",
        logFile: join(home, "logs/riffd.log"),
        rpcListen: { host: "::1", port: 8001 },
        rpcAllowOrigin: ["https://a.example", "http://b.example:8080"],
        socket: join(home, "etc/run/riffd.sock"),
      },
    });
    const given = Object.entries(settings.origins).filter(([, origin]) => origin === file);
    expect(given.map(([name]) => name)).toEqual(FIELD_NAMES.filter((name) => FIELDS[name].inFile));
  });

  test.each(FIELD_NAMES)("takes %s from its variable before the file", (name) => {
    const field: Field = FIELDS[name];
    const [first, second] = twoTexts(field);
    for (const text of [first, second]) {
      if (field.kind === "file") writeFileSync(text, `${text}\n`, { mode: 0o600 });
    }
    const inside = field.inFile ? { [name]: inJson(field, first) } : {};
    const settings = resolved(inside, { [field.env]: second });
    expect(settings.origins[name]).toBe(field.env);
    expect(settings.values[name]).toEqual(inJson(field, second));
    const unset = resolved(inside, { [field.env]: "" });
    expect(unset.origins[name]).toBe(field.inFile ? file : null);
    if (field.inFile) expect(unset.values[name]).toEqual(inJson(field, first));
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

describe("the daemon's fields", () => {
  test("take a flag of truth, and an address that a flag takes back", () => {
    const file = { rpc_listen: "8000", poll: false };
    const { daemon, origins } = resolved(file, {}, { poll: true, rpc_listen: "none" });
    expect([daemon.poll, daemon.rpcListen]).toEqual([true, null]);
    expect([origins.poll, origins.rpc_listen]).toEqual(["--poll", "--rpc-listen"]);
    expect(resolved(file).daemon.rpcListen).toEqual({ host: "127.0.0.1", port: 8000 });
    expect(resolved(file, { RIFFD_POLL: "1" }).daemon.poll).toBe(true);
    expect(resolved({ poll: true }, { RIFFD_POLL: "0" }).daemon.poll).toBe(false);
  });

  test("take origins with colons in them from a variable", () => {
    const env = { RIFFD_RPC_ALLOW_ORIGIN: "http://a.example:8080,tauri://localhost" };
    expect(resolved({}, env).daemon.rpcAllowOrigin).toEqual(["http://a.example:8080", "tauri://localhost"]);
  });

  test("let a long debounce take its longest with it, unless that was given", () => {
    expect(resolved({ debounce_ms: 3000 }).daemon).toMatchObject({ debounceMs: 3000, debounceMaxMs: 3000 });
    expect(problems({ debounce_max_ms: 2000 }, { RIFFD_DEBOUNCE_MS: "3000" })).toEqual([
      `debounce_max_ms (${file}) is 2000, which is less than debounce_ms (3000)`,
    ]);
  });

  test("are told whole where they are wrong", () => {
    const told = problems(
      {
        debounce_ms: "100",
        rescan_s: 0,
        settle_s: 2.5,
        poll: "yes",
        log_format: "xml",
        rpc_allow_origin: ["https://a.example/page"],
        socket: "x".repeat(200),
      },
      { RIFFD_CONCURRENCY: "65", RIFFD_POLL_MS: "soon", RIFFD_POLL: "yes", RIFFD_RPC_LISTEN: "nowhere" },
      { log_level: "loud" },
    );
    expect(told).toEqual([
      `debounce_ms (${file}) is not a number`,
      `rescan_s (${file}) is "0"; it is 1 to 86,400 s`,
      `settle_s (${file}) is "2.5"; it is 1 to 3,600 s`,
      `poll (${file}) is not true or false`,
      `log_format (${file}) is "xml"; it is auto, json or pretty`,
      `rpc_allow_origin (${file}) has "https://a.example/page"; an origin is one such as https://tools.example.org`,
      'poll (RIFFD_POLL) is "yes"; it is true or false',
      'poll_ms (RIFFD_POLL_MS) is "soon"; it is 100 to 600,000 ms',
      'concurrency (RIFFD_CONCURRENCY) is "65"; it is 1 to 64',
      'rpc_listen (RIFFD_RPC_LISTEN) is "nowhere"; it is an address such as 127.0.0.1:8000, or none',
      'log_level (--log-level) is "loud"; it is trace, debug, info, warn, error or fatal',
      `socket (${file}) has a path of ${join(home, "etc").length + 201} bytes; that of a socket may have 103`,
    ]);
  });

  test.each(FIELD_NAMES)("have a default that %s itself would take", (name) => {
    const field: Field = FIELDS[name];
    if (field.default !== undefined) expect(faultOf(field, String(field.default), false)).toBeNull();
  });
});

describe("diffSettings", () => {
  test("tells nothing of settings that are the same", () => {
    const config = { projects: ["/p"], debounce_ms: 50 };
    expect(diffSettings(resolved(config), resolved(config))).toEqual({ atOnce: [], atRestart: [] });
  });

  test("tells what counts at once from what does not", () => {
    const after = {
      log_level: "debug",
      concurrency: 3,
      exclude: ["x"],
      poll: true,
      state_dir: "/s",
      rpc_listen: "8000",
    };
    expect(diffSettings(resolved({}), resolved(after))).toEqual({
      atOnce: ["exclude", "concurrency", "log_level"],
      atRestart: ["state_dir", "store_dir", "poll", "rpc_listen"],
    });
  });

  test("sees another password in the same file", () => {
    const write = (password: string) => writeFileSync(join(home, "etc/password"), password, { mode: 0o600 });
    write("one");
    const before = resolved({ surrealdb_pass_file: "password" });
    write("two");
    const after = resolved({ surrealdb_pass_file: "password" });
    expect(diffSettings(before, after)).toEqual({ atOnce: [], atRestart: ["surrealdb_pass"] });
  });

  test("does not mind where a value was given", () => {
    const { atOnce, atRestart } = diffSettings(
      resolved({ debounce_ms: 50 }),
      resolved({}, { RIFFD_DEBOUNCE_MS: "50" }),
    );
    expect([...atOnce, ...atRestart]).toEqual([]);
  });

  test("takes at once what can be changed in a daemon that runs", () => {
    expect(FIELD_NAMES.filter((name) => FIELDS[name].reload)).toEqual([
      "projects",
      "include",
      "exclude",
      "debounce_ms",
      "debounce_max_ms",
      "rescan_s",
      "settle_s",
      "concurrency",
      "log_level",
    ]);
  });
});

describe("secretsOf", () => {
  test("knows every password, also that in a URL", () => {
    const env = { SURREALDB_URL: "ws://u:p%40ss@h", SURREALDB_PASS: "one", RIFFD_SERVE_PASS: "two" };
    expect(secretsOf(resolved({}, env))).toEqual(["p@ss", "one", "two"]);
    expect(secretsOf(resolved({}))).toEqual([]);
  });
});

describe("docs/configuration.md", () => {
  const page = readFileSync(new URL("../../docs/configuration.md", import.meta.url), "utf8");

  test("has the table that `npm run docs` writes", () => {
    expect(page).toBe(withFieldTable(page));
  });

  test("lists exactly the fields that there are, with their variables and options", () => {
    const rows = page
      .split("\n")
      .filter((line) => /^\|.*`(RIFFD|SURREALDB)_/.test(line))
      .map((line) => line.split("|").map((cell) => cell.trim().replaceAll("`", "")));
    expect(rows.map(([, field, env, flag, , live]) => [field, env, flag, live])).toEqual(
      FIELD_NAMES.map((name) => {
        const { inFile, env, flag, reload } = FIELDS[name];
        return [inFile ? name : "", env, flag ?? "", reload ? "yes" : ""];
      }),
    );
  });

  test("shows a file that is valid", () => {
    writeFileSync(join(home, "etc/password"), "s3cret\n", { mode: 0o600 });
    expect(problems(/```json\n([^`]+)```/.exec(page)![1])).toEqual([]);
  });
});

describe("withReloaded", () => {
  test("takes what counts at once; the rest stays as it runs, and is told again until it is as before", () => {
    const running = resolved({ debounce_ms: 50 });
    const next = resolved({ debounce_ms: 70, poll: true });
    const now = withReloaded(running, next);
    expect(now.daemon).toMatchObject({ debounceMs: 70, poll: false });
    expect([now.origins.debounce_ms, now.origins.poll]).toEqual([file, null]);
    expect(diffSettings(now, next)).toEqual({ atOnce: [], atRestart: ["poll"] });
    expect(diffSettings(now, resolved({ debounce_ms: 70 }))).toEqual({ atOnce: [], atRestart: [] });
  });
});
