// The text of riffd's systemd units: the user's, the system's, and the example of systemd/ for one instance a user.
import { EXIT_CODES } from "../errors.ts";
import { type Program, stopSeconds } from "./program.ts";

export interface UnitOptions {
  /** systemd's version, where it is known: what it does not know yet is left out. */
  readonly version?: number;
  /** What ExecStart takes, instead of the program's own paths. */
  readonly command?: string;
}

/** Failures that starting again does not mend, on this machine: somebody has to change something, and starts it then. */
const LASTING = [
  EXIT_CODES.RIFF_USAGE,
  EXIT_CODES.RIFF_STORE_DAMAGED,
  EXIT_CODES.RIFF_SCHEMA_NEWER,
  EXIT_CODES.RIFF_SCHEMA_CHANGED,
  EXIT_CODES.RIFF_CREDENTIALS_REFUSED,
  EXIT_CODES.RIFF_CONFIG_INVALID,
] as const;

export function unitText(program: Program, { version = STEPS_SINCE, command }: UnitOptions = {}): string {
  const { user } = program;
  const sections = [
    ["[Unit]", "Description=riffd keeps Claude Code transcripts", ...(user === null ? [] : ORDER), ...NO_LIMIT],
    [
      "[Service]",
      "Type=notify",
      "# Node.js cannot send to systemd itself: systemd-notify does, a child.",
      "NotifyAccess=all",
      `ExecStart=${command ?? `${word(program.node)} ${word(program.riffd.replaceAll("$", "$$$$"))} start`}`,
      "ExecReload=/bin/kill -HUP $MAINPID",
      ...(user === null ? [] : [`User=${user}`]),
      ...Object.entries({ ...ALWAYS, ...program.variables })
        .sort(([one], [other]) => (one < other ? -1 : 1))
        .map(([name, value]) => `Environment=${word(`${name}=${value}`)}`),
      "UMask=0077",
      ...(user === null ? STATE : []),
      "",
      "# Ready comes after the first import.",
      "TimeoutStartSec=infinity",
      "# Fed only while work is getting on. A core would hold conversations.",
      "WatchdogSec=60",
      "LimitCORE=0",
      "LimitNOFILE=65536",
      "",
      ...restarts(version),
      "",
      "# The daemon finishes what it has begun; only then its children are killed.",
      "KillMode=mixed",
      `TimeoutStopSec=${stopSeconds(program)}`,
      "SuccessExitStatus=130 143",
      "",
      ...HARDENING,
      ...(user === null ? [] : SYSTEM_HARDENING),
    ],
    ["[Install]", `WantedBy=${user === null ? "default" : "multi-user"}.target`],
  ];
  return `${sections.map((lines) => lines.join("\n")).join("\n\n")}\n`;
}

/** The engine's threads would each keep memory of their own. */
const ALWAYS = { MALLOC_ARENA_MAX: "2" };

const ORDER = ["Wants=network-online.target", "After=network-online.target remote-fs.target"];

const NO_LIMIT = ["# However often it fails: a disk that is full today has space tomorrow.", "StartLimitIntervalSec=0"];

/** With UnsetEnvironment, riffd looks where it looks when it is run by hand, whatever systemd calls a user's state. */
const STATE = [
  "",
  "# riffd's own rules say where its state and store are, so that commands run by hand find them.",
  "StateDirectory=riffd",
  "StateDirectoryMode=0700",
  "UnsetEnvironment=STATE_DIRECTORY",
];

/** The first version with growing delays. */
const STEPS_SINCE = 254;

function restarts(version: number): string[] {
  const growing = ["RestartSec=2", "RestartSteps=8", "RestartMaxDelaySec=300"];
  return [
    "Restart=on-failure",
    ...(version < STEPS_SINCE ? ["RestartSec=10"] : growing),
    "# What only somebody can mend (docs/errors.md): the command line, the store, its schema, credentials, configuration.",
    `RestartPreventExitStatus=${LASTING.join(" ")}`,
  ];
}

/** What needs no rights, so that it works in user units too. Not MemoryDenyWriteExecute: V8 compiles what it runs. */
const HARDENING = [
  "NoNewPrivileges=yes",
  "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
  "RestrictNamespaces=yes",
  "RestrictRealtime=yes",
  "RestrictSUIDSGID=yes",
  "LockPersonality=yes",
  "SystemCallArchitectures=native",
  "SystemCallFilter=@system-service",
  "SystemCallErrorNumber=EPERM",
];

const SYSTEM_HARDENING = [
  "CapabilityBoundingSet=",
  "ProtectSystem=full",
  "PrivateDevices=yes",
  "ProtectClock=yes",
  "ProtectControlGroups=yes",
  "ProtectHostname=yes",
  "ProtectKernelLogs=yes",
  "ProtectKernelModules=yes",
  "ProtectKernelTunables=yes",
];

/** The variables that a unit sets, as `unitText` wrote them, without those it always sets. */
export function variablesOf(unit: string): Record<string, string> {
  const lines = unit.split("\n").filter((line) => line.startsWith("Environment="));
  const pairs = lines.map((line) => unquoted(line.slice("Environment=".length)));
  return Object.fromEntries(
    pairs
      .map((text) => [text.slice(0, text.indexOf("=")), text.slice(text.indexOf("=") + 1)] as const)
      .filter(isChosen),
  );
}

/** What a unit starts, word by word. */
export function commandOf(unit: string): string[] {
  const line = /^ExecStart=(.*)$/m.exec(unit)?.[1] ?? "";
  const words = line.match(/"(?:[^"\\]|\\.)*"|\S+/g) ?? [];
  return words.map(unquoted).map((text, i) => (i === 0 ? text : text.replaceAll("$$", "$")));
}

/** The user that a unit runs as; null: it does not say. */
export function userOf(unit: string): string | null {
  return /^User=(.+)$/m.exec(unit)?.[1] ?? null;
}

function isChosen([name]: readonly [string, string]): boolean {
  return !(name in ALWAYS);
}

/** One word, in which `%` stands for nothing else. */
function word(text: string): string {
  const plain = text.replaceAll("%", "%%");
  return /^[\w@%+=:,./$~*?{}[\]-]+$/.test(text) ? plain : `"${plain.replaceAll(/["\\]/g, "\\$&")}"`;
}

function unquoted(text: string): string {
  const plain = text.startsWith('"') ? text.slice(1, -1).replaceAll(/\\(["\\])/g, "$1") : text;
  return plain.replaceAll("%%", "%");
}
