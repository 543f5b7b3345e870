import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { serviceFiles } from "../../scripts/service-files.ts";
import {
  agentText,
  commandOf as commandOfAgent,
  variablesOf as variablesOfAgent,
} from "../../src/service/launchd-agent.ts";
import type { Program } from "../../src/service/program.ts";
import { commandOf, unitText, userOf, variablesOf } from "../../src/service/systemd-unit.ts";
import { removeScratch, scratchFolder } from "../support/workbench.ts";

afterAll(removeScratch);

const has = (program: string) => spawnSync(program, ["--version"]).status === 0;

const PROGRAM: Program = {
  node: process.execPath,
  riffd: "/opt/riffd/dist/cli.js",
  user: null,
  variables: {},
  drainSeconds: 20,
};

/** Texts that mean something to systemd, to a shell, or to XML. */
const AWKWARD = {
  RIFFD_STATE_DIR: `/s/100% "of" $HOME\\&<it>'s`,
  SURREALDB_URL: "wss://db.example.org",
  RIFFD_EXCLUDE: "a*:{b,c}",
};

const path = (file: string) => new URL(`../../${file}`, import.meta.url);

test("the service files that come with riffd are what `npm run docs` writes", () => {
  for (const [file, text] of Object.entries(serviceFiles()))
    expect([file, readFileSync(path(file), "utf8")]).toEqual([file, text]);
});

/** What systemd says of a unit; nothing: it is content. */
function verify(name: string, text: string, scope: "--user" | "--system", dropIn?: string): string {
  const folder = scratchFolder();
  writeFileSync(join(folder, name), dropIn === undefined ? text : `${text}\n${dropIn}`);
  const env = { ...process.env, XDG_RUNTIME_DIR: folder, HOME: folder };
  const { stdout, stderr, status } = spawnSync("systemd-analyze", ["verify", scope, "--man=no", join(folder, name)], {
    env,
    encoding: "utf8",
  });
  const said = `${stdout}${stderr}`.split("\n").filter((line) => line.includes("riffd"));
  return `${said.join("\n")}${status === 0 ? "" : ` status ${status}`}`;
}

const version = Number(
  /^systemd (\d+)/.exec(spawnSync("systemctl", ["--version"], { encoding: "utf8" }).stdout ?? "")?.[1] ?? 0,
);

describe.skipIf(!has("systemd-analyze"))("systemd has nothing to say of", () => {
  test("the user unit", () => {
    expect(verify("riffd.service", unitText({ ...PROGRAM, variables: AWKWARD }, { version }), "--user")).toBe("");
  });

  test("the user unit with its sandbox", () => {
    expect(
      verify(
        "riffd.service",
        unitText(PROGRAM, { version }),
        "--user",
        readFileSync(path("systemd/sandbox.conf"), "utf8"),
      ),
    ).toBe("");
  });

  test("the system unit", () => {
    expect(verify("riffd.service", unitText({ ...PROGRAM, user: "ada" }, { version }), "--system")).toBe("");
  });

  test("the units that come with riffd, but for what it does not know yet", () => {
    for (const [file, scope] of [
      ["systemd/riffd.service", "--user"],
      ["systemd/riffd@.service", "--system"],
    ] as const) {
      const said = verify(file.replace("systemd/", ""), readFileSync(path(file), "utf8"), scope);
      expect(
        said
          .split("\n")
          .filter((line) => !/Unknown key.* 'Restart(Steps|MaxDelaySec)'/.test(line))
          .join(""),
      ).toBe("");
    }
  });

  test("nothing, when there is a mistake in it", () => {
    expect(verify("riffd.service", unitText(PROGRAM, { version }).replace("UMask=", "UMusk="), "--user")).toContain(
      "UMusk",
    );
  });
});

describe("a unit", () => {
  test("starts the daemon by absolute paths, which may hold anything", () => {
    const riffd = "/home/ada/my apps/100%/$riffd/cli.js";
    expect(unitText({ ...PROGRAM, node: "/n/node", riffd })).toContain(
      '\nExecStart=/n/node "/home/ada/my apps/100%%/$$riffd/cli.js" start\n',
    );
  });

  test("gives the daemon more time to end than it takes", () => {
    expect(unitText({ ...PROGRAM, drainSeconds: 300 })).toContain("\nTimeoutStopSec=340\n");
  });

  test("is not started again where only somebody can mend it, and else ever more slowly, without end", () => {
    const lines = unitText(PROGRAM).split("\n");
    expect(lines).toEqual(
      expect.arrayContaining([
        "StartLimitIntervalSec=0",
        "Restart=on-failure",
        "RestartSteps=8",
        "RestartMaxDelaySec=300",
        "RestartPreventExitStatus=2 13 14 15 18 78",
      ]),
    );
  });

  test("has nothing that an older systemd does not know", () => {
    const text = unitText(PROGRAM, { version: 253 });
    expect(text).not.toMatch(/RestartSteps|RestartMaxDelaySec/);
    expect(text).toContain("\nRestartSec=10\n");
  });

  test("of the system runs as its user, with more taken from it", () => {
    const text = unitText({ ...PROGRAM, user: "ada" });
    expect(userOf(text)).toBe("ada");
    expect(text).toContain("\nCapabilityBoundingSet=\n");
    expect(text).toContain("\nWantedBy=multi-user.target\n");
    expect(userOf(unitText(PROGRAM))).toBe(null);
  });

  test("never forbids memory that is written and run, which V8 needs", () => {
    for (const user of [null, "ada"]) expect(unitText({ ...PROGRAM, user })).not.toContain("MemoryDenyWriteExecute");
  });
});

const variables = fc.dictionary(
  fc.stringMatching(/^[A-Z][A-Z_]{0,8}$/),
  fc.string({ unit: fc.constantFrom(..."abc /%$\\\"'&<>;#=ä*") }),
  { noNullPrototype: true },
);

test("what a unit or an agent runs can be read back from it", () => {
  const path = fc.string({ unit: fc.constantFrom(..."abc /%$\\\"'&<>;#=ä*") }).map((text) => `/${text}`);
  fc.assert(
    fc.property(path, path, (node, riffd) => {
      expect(commandOf(unitText({ ...PROGRAM, node, riffd }))).toEqual([node, riffd, "start"]);
      expect(commandOfAgent(agentText({ ...PROGRAM, node, riffd }, "/l"))).toEqual([node, riffd, "start"]);
    }),
  );
});

test("what variables a unit or an agent was given can be read back from it", () => {
  fc.assert(
    fc.property(variables, (given) => {
      expect(variablesOf(unitText({ ...PROGRAM, variables: given }))).toEqual(given);
      expect(variablesOfAgent(agentText({ ...PROGRAM, variables: given }, "/l"))).toEqual(given);
    }),
  );
});

/** A property list, read by Python's own library. */
function parsePlist(text: string): Record<string, unknown> {
  const script = "import json, plistlib, sys; print(json.dumps(plistlib.loads(sys.stdin.buffer.read())))";
  const { stdout, stderr, status } = spawnSync("python3", ["-c", script], { input: text, encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Record<string, unknown>;
}

test.skipIf(!has("python3"))("the agent is a property list with all that launchd is to know", () => {
  const text = agentText({ ...PROGRAM, variables: AWKWARD }, "/logs/errors.log");
  expect(parsePlist(text)).toEqual({
    Label: "local.riffd.daemon",
    ProgramArguments: [PROGRAM.node, PROGRAM.riffd, "start"],
    EnvironmentVariables: AWKWARD,
    RunAtLoad: true,
    KeepAlive: { SuccessfulExit: false },
    ThrottleInterval: 10,
    ExitTimeOut: 60,
    Umask: 0o077,
    SoftResourceLimits: { Core: 0, NumberOfFiles: 65_536 },
    StandardOutPath: "/logs/errors.log",
    StandardErrorPath: "/logs/errors.log",
  });
  expect(() => parsePlist(text.replace("</dict>", ""))).toThrow();
});
