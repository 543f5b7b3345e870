// What shells complete: real ones, with the script that riffd prints, and riffd on their PATH.
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startDaemon } from "../support/daemon.ts";
import { killRunning, riffd, startWithStore } from "../support/riffd.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

const CLI = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));
const EXAMPLES = fileURLToPath(new URL("../../examples/projects/", import.meta.url));
const TEAPOT = "f92beda8-4559-4dbd-bf46-9ea1d5fcbb23";

const PARENT = "c27df708-781b-4b0e-8fa7-96756fc21ca4";
const AGENT = "agent-a50b72215cf34136f";

const state = scratchFolder();
const folder = scratchFolder();

beforeAll(async () => {
  mkdirSync(join(folder, "bin"));
  writeFileSync(join(folder, "bin/riffd"), `#!/bin/sh\nexec '${process.execPath}' '${CLI}' "$@"\n`);
  chmodSync(join(folder, "bin/riffd"), 0o755);
  writeFileSync(join(folder, "notes one.txt"), "");
  mkdirSync(join(folder, "notes"));
  await riffd(state, ["sync", "--all", "--projects", EXAMPLES]);
});

afterAll(async () => {
  killRunning();
  await removeScratch();
});

/** What a shell says that runs `body`, with the script in `$SCRIPT`. */
function inShell(shell: string, args: readonly string[], body: string, input: readonly string[]): string[] {
  const env = { ...process.env, PATH: `${join(folder, "bin")}:${process.env.PATH}`, RIFFD_STATE_DIR: state };
  const script = spawnSync(process.execPath, [CLI, "completion", shell], { encoding: "utf8" }).stdout;
  writeFileSync(join(folder, `completion.${shell}`), script);
  const { stdout, stderr, status } = spawnSync(shell, [...args, body, ...input], {
    cwd: folder,
    encoding: "utf8",
    env: { ...env, HOME: folder, SCRIPT: join(folder, `completion.${shell}`) },
  });
  expect([status, stderr]).toEqual([0, ""]);
  return stdout.split("\n").filter(Boolean);
}

/** The words that bash offers for the last of these. */
function bash(...words: string[]): string[] {
  const body = `. "$SCRIPT"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _riffd; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return inShell("bash", ["--norc", "-c"], body, ["bash", ...words]);
}

/** What zsh is told to offer: the completion system is not part of the shell, so its functions say what they are given. */
function zsh(...words: string[]): string[] {
  const body = `
    compdef() { :; }
    _describe() { print -rl -- "\${list[@]}"; }
    _files() { print -rl -- files "$@"; }
    compadd() { [[ $1 == -V ]] && print -rl -- "\${ids[@]}" "\${texts[@]}" || print -rl -- "\${@:2}"; }
    . "$SCRIPT"; words=("$@"); CURRENT=$#; _riffd`;
  return inShell("zsh", ["-f", "-c"], body, ["zsh", ...words]);
}

/** What fish offers, each with a tab and what it says of it. */
function fish(...words: string[]): string[] {
  return inShell("fish", ["--no-config", "-c"], `source $SCRIPT; complete -C "$argv"`, [words.join(" ")]);
}

const has = (shell: string) => spawnSync(shell, ["--version"]).status === 0;
const offered = (lines: readonly string[]) => lines.map((line) => line.split("\t")[0]);

describe.skipIf(!has("bash"))("bash", () => {
  test("completes commands, and those below them", () => {
    expect(bash("riffd", "")).toEqual(expect.arrayContaining(["start", "sync", "doctor", "help", "completion"]));
    expect(bash("riffd", "")).not.toContain("complete");
    expect(bash("riffd", "re")).toEqual(["restore-store"]);
    expect(bash("riffd", "config", "")).toEqual(["show", "path", "check"]);
  });

  test("completes options, and the values of those that have a closed set of them", () => {
    expect(bash("riffd", "sync", "--dr")).toEqual(["--dry-run"]);
    expect(bash("riffd", "schema", "apply", "--s")).toEqual(["--surrealdb-url"]);
    expect(bash("riffd", "start", "--log-format", "")).toEqual(["auto", "json", "pretty"]);
    expect(bash("riffd", "start", "--log-format", "=", "p")).toEqual(["pretty"]);
    expect(bash("riffd", "events", "--type", "message_")).toEqual(["message_added", "message_removed"]);
    expect(bash("riffd", "serve", "--role", "=")).toEqual(["viewer", "editor", "owner"]);
    expect(bash("riffd", "sync", "--operator", "")).toEqual([]);
    expect(bash("riffd", "completion", "f")).toEqual(["fish"]);
    expect(bash("riffd", "help", "exit")).toEqual(["exit-codes"]);
    expect(bash("riffd", "help", "con")).toEqual(["config"]); // a topic and a command
    expect(bash("riffd", "help", "config", "")).toEqual(["show", "path", "check"]);
    expect(bash("riffd", "help", "privacy", "")).toEqual([]);
  });

  test("completes sessions and files", () => {
    expect(bash("riffd", "export", "f92")).toEqual([TEAPOT]);
    expect(bash("riffd", "sync", "--force", "f92")).toEqual([TEAPOT]);
    expect(bash("riffd", "verify", "")).toHaveLength(4);
    expect(bash("riffd", "export", "agent-")).toEqual([AGENT]);
    expect(bash("riffd", "export", PARENT)).toEqual([PARENT, `${PARENT}/${AGENT}`]);
    expect(bash("riffd", "export", "./no").sort()).toEqual(["./notes", "./notes one.txt"]);
    expect(bash("riffd", "export", TEAPOT, "-o", "notes o")).toEqual(["notes one.txt"]);
    expect(bash("riffd", "sync", "--projects", "no")).toEqual(["notes"]);
  });
});

describe.skipIf(!has("zsh"))("zsh", () => {
  test("completes commands, options and their values, with what they are", () => {
    expect(zsh("riffd", "")).toContain("stop:have the daemon finish what it has begun, and end");
    expect(zsh("riffd", "config", "s")).toHaveLength(3);
    expect(zsh("riffd", "help", "service", "i")).toContain(
      "stop:have the daemon finish what it has begun, and end until the next session",
    );
    expect(zsh("riffd", "help", "").filter((line) => line.startsWith("config:"))).toHaveLength(1);
    expect(zsh("riffd", "stop", "-")).toContain("--timeout:how long to wait until it has ended");
    expect(zsh("riffd", "start", "--log-format", "")).toEqual(["auto", "json", "pretty"]);
    expect(zsh("riffd", "export", "-o", "")).toEqual(["files"]);
    expect(zsh("riffd", "sync", "--projects", "")).toEqual(["files", "-/"]);
    expect(zsh("riffd", "sync", "--operator", "")).toEqual([]);
  });

  test("completes sessions", () => {
    expect(zsh("riffd", "export", "f92")).toEqual([TEAPOT, TEAPOT]);
    expect(zsh("riffd", "export", "nothing")).toEqual([]);
    expect(zsh("riffd", "export", "agent-")).toEqual([AGENT, AGENT]);
  });
});

describe.skipIf(!has("fish"))("fish", () => {
  test("completes commands, options and their values, with what they are", () => {
    expect(fish("riffd", "sto")).toEqual(["stop\thave the daemon finish what it has begun, and end"]);
    expect(offered(fish("riffd", "config", "")).sort()).toEqual(["check", "path", "show"]);
    expect(offered(fish("riffd", "help", "config", "")).sort()).toEqual(["check", "path", "show"]);
    expect(offered(fish("riffd", "help", "con"))).toEqual(["config"]);
    expect(offered(fish("riffd", "stop", "--ti"))).toEqual(["--timeout"]);
    expect(offered(fish("riffd", "start", "--log-format", ""))).toEqual(["auto", "json", "pretty"]);
    expect(offered(fish("riffd", "start", "--log-format=p"))).toEqual(["--log-format=pretty"]);
    expect(offered(fish("riffd", "export", "-o", "notes\\ o"))).toEqual(["notes one.txt"]);
    expect(fish("riffd", "sync", "--operator", "")).toEqual([]);
  });

  test("completes sessions", () => {
    expect(offered(fish("riffd", "export", "f92"))).toEqual([TEAPOT]);
    expect(offered(fish("riffd", "export", "agent-"))).toEqual([AGENT]);
  });
});

describe("riffd complete", () => {
  const complete = (stateDir: string, prefix: string) => riffd(stateDir, ["complete", "sessions", prefix]);

  test("tells sessions while another process has the store open", async () => {
    const holder = startWithStore(state, "");
    await holder.told(/ready/);
    const { code, stdout, stderr } = await complete(state, "f9");
    expect([code, stdout, stderr]).toEqual([0, `${TEAPOT}\n`, ""]);
    holder.child.stdin?.end();
    await holder.ended;
  });

  test("tells a subagent's own name as long as no other session's subagent has it, else its whole id", async () => {
    const copied = scratchFolder();
    cpSync(EXAMPLES, copied, { recursive: true });
    const project = join(copied, "-home-mira-code-tidewatch");
    cpSync(join(project, PARENT), join(project, TEAPOT), { recursive: true });
    const twice = scratchFolder();
    await riffd(twice, ["sync", "--all", "--projects", copied]);
    expect((await complete(twice, "agent-")).stdout).toBe(`${PARENT}/${AGENT}\n${TEAPOT}/${AGENT}\n`);
    expect((await complete(twice, `${TEAPOT}/`)).stdout).toBe(`${TEAPOT}/${AGENT}\n`);
  });

  test("tells titles where a daemon knows them", async () => {
    const daemon = await startDaemon(state);
    const { code, stdout, stderr } = await complete(state, "f9");
    expect([code, stdout, stderr]).toEqual([0, `${TEAPOT}\tA teapot that refuses coffee\n`, ""]);
    expect((await complete(state, "'; DELETE session; '")).stdout).toBe("");
    expect((await complete(state, "")).stdout.split("\n")).toHaveLength(5);
    expect((await complete(state, "agent-a5")).stdout).toMatch(new RegExp(`^${AGENT}(\t.+)?\n$`));
    await riffd(state, ["stop"]);
    await daemon.ended;
  });

  test("does not wait for a daemon that says nothing", async () => {
    const server = createServer((socket) => socket.resume()).listen(join(state, "riffd.sock"));
    const { code, stdout, stderr } = await complete(state, "f9");
    expect([code, stdout, stderr]).toEqual([0, `${TEAPOT}\n`, ""]);
    await new Promise((done) => server.close(done));
  });

  test("says nothing where it knows nothing, or where something is wrong", async () => {
    const empty = scratchFolder();
    const wrong = { env: { RIFFD_POLL_MS: "never" } };
    for (const ended of [
      await complete(empty, ""),
      await riffd(state, ["complete", "sessions", ""], wrong),
      await riffd(state, ["complete", "operators", ""]),
    ]) {
      expect([ended.code, ended.stdout, ended.stderr]).toEqual([0, "", ""]);
    }
  });
});
