import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { readHostId, resolvePaths, resolveProjects } from "../../src/config/paths.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

afterAll(removeScratch);

let home: string;
beforeEach(() => {
  home = scratchFolder();
  vi.stubEnv("HOME", home);
  expect(homedir()).toBe(home);
});
afterEach(() => {
  vi.unstubAllEnvs();
});

describe("resolveProjects", () => {
  const env = { RIFFD_PROJECTS: "/a:/b", CLAUDE_CONFIG_DIR: "/c" };

  test("takes what is asked for before all else", () => {
    expect(resolveProjects(["/x", "y"], env)).toEqual(["/x", resolve("y")]);
  });

  test("takes RIFFD_PROJECTS, separated by colons, before CLAUDE_CONFIG_DIR", () => {
    expect(resolveProjects([], env)).toEqual(["/a", "/b"]);
    expect(resolveProjects([], { RIFFD_PROJECTS: ":/a::b:" })).toEqual(["/a", resolve("b")]);
  });

  test("takes the projects of CLAUDE_CONFIG_DIR before the usual places", () => {
    mkdirSync(join(home, ".claude/projects"), { recursive: true });
    expect(resolveProjects([], { CLAUDE_CONFIG_DIR: "/c" })).toEqual(["/c/projects"]);
  });

  test("takes empty variables for absent ones", () => {
    expect(resolveProjects([], { RIFFD_PROJECTS: "", CLAUDE_CONFIG_DIR: "" })).toEqual([
      join(home, ".claude/projects"),
    ]);
  });

  test("takes all of the usual places that exist", () => {
    mkdirSync(join(home, ".config/claude/projects"), { recursive: true });
    expect(resolveProjects([], {})).toEqual([join(home, ".config/claude/projects")]);
    mkdirSync(join(home, ".claude/projects"), { recursive: true });
    expect(resolveProjects([], {})).toEqual([join(home, ".claude/projects"), join(home, ".config/claude/projects")]);
  });

  test("names Claude Code's first place where none exists", () => {
    expect(resolveProjects([], {})).toEqual([join(home, ".claude/projects")]);
  });
});

describe("resolvePaths", () => {
  test("takes RIFFD_STATE_DIR before systemd's folder, with the store inside", () => {
    expect(resolvePaths({ RIFFD_STATE_DIR: "/r", STATE_DIRECTORY: "/var/lib/riffd" })).toEqual({
      stateDir: "/r",
      storeDir: "/r/store",
    });
  });

  test("takes the first of systemd's folders before the platform's", () => {
    const env = { STATE_DIRECTORY: "/var/lib/riffd:/var/lib/other", XDG_STATE_HOME: "/xdg" };
    expect(resolvePaths(env, "linux")).toEqual({ stateDir: "/var/lib/riffd", storeDir: "/var/lib/riffd/store" });
  });

  test("takes the XDG folders on Linux: one for state, one for data", () => {
    expect(resolvePaths({ XDG_STATE_HOME: "/s", XDG_DATA_HOME: "/d" }, "linux")).toEqual({
      stateDir: "/s/riffd",
      storeDir: "/d/riffd/store",
    });
    expect(resolvePaths({}, "linux")).toEqual({
      stateDir: join(home, ".local/state/riffd"),
      storeDir: join(home, ".local/share/riffd/store"),
    });
  });

  test("takes the Library on macOS, whatever XDG says", () => {
    const library = join(home, "Library/Application Support/riffd");
    expect(resolvePaths({ XDG_STATE_HOME: "/s" }, "darwin")).toEqual({
      stateDir: join(library, "state"),
      storeDir: join(library, "store"),
    });
  });

  test.each([
    ["with the platform's state folder", {}],
    ["with a chosen state folder", { RIFFD_STATE_DIR: "/r" }],
    ["with systemd's", { STATE_DIRECTORY: "/var/lib/riffd" }],
  ])("takes the store's own folder before all else, %s", (_, env) => {
    expect(resolvePaths({ ...env, RIFFD_STORE_DIR: "/big/disk" }, "linux").storeDir).toBe("/big/disk");
    expect(resolvePaths({ ...env, RIFFD_STORE_DIR: "relative" }, "linux").storeDir).toBe(resolve("relative"));
  });

  test("takes empty variables for absent ones", () => {
    const empty = {
      RIFFD_STATE_DIR: "",
      STATE_DIRECTORY: "",
      RIFFD_STORE_DIR: "",
      XDG_STATE_HOME: "",
      XDG_DATA_HOME: "",
    };
    expect(resolvePaths(empty, "linux")).toEqual(resolvePaths({}, "linux"));
    expect(resolvePaths({ ...empty, STATE_DIRECTORY: "/var/lib/riffd" }, "linux").stateDir).toBe("/var/lib/riffd");
  });

  test("makes relative folders absolute", () => {
    expect(resolvePaths({ RIFFD_STATE_DIR: "state" }).stateDir).toBe(resolve("state"));
  });
});

describe("readHostId", () => {
  test("makes a random id once, in a file that only its owner can read", () => {
    const stateDir = join(home, "deep/state");
    const id = readHostId(stateDir);
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(readHostId(stateDir)).toBe(id);
    expect(statSync(join(stateDir, "host-id")).mode & 0o777).toBe(0o600);
    expect(statSync(stateDir).mode & 0o777).toBe(0o700);
    expect(readHostId(join(home, "other"))).not.toBe(id);
  });

  test("makes a new one where a crash left the file empty", () => {
    writeFileSync(join(home, "host-id"), "");
    const id = readHostId(home);
    expect(readFileSync(join(home, "host-id"), "utf8")).toBe(`${id}\n`);
  });
});
