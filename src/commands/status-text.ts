// What `riffd status` tells people: the daemon, its store and its work at a glance, then what is live, what happened, and
// what needs somebody. No line is longer than the terminal.
import { sep } from "node:path";
import type { Change, DaemonStatus, Problem } from "../control/protocol.ts";
import type { LiveFile, PipelineState, WorkState } from "../sync/pipeline-status.ts";
import { cut, wrap } from "./columns.ts";
import { formatBytes, formatCount, oneLine, plural } from "./output.ts";
import type { Style } from "./style.ts";
import { listEvents } from "./sync-summary.ts";

/** Files and changes told one by one. */
const MAX_TOLD = 8;
/** Columns of a session's name. */
const NAME = 28;

const STATES: Readonly<Record<PipelineState, string>> = {
  starting: "starting",
  "catching-up": "catching up",
  live: "live",
  draining: "stopping",
  stopped: "stopped",
};

/** In the order in which they are told. */
const WORK: readonly WorkState[] = ["syncing", "queued", "debouncing", "backing-off", "quarantined"];

/** Words for files in that state: "2 set aside". */
const WORK_WORDS: Readonly<Record<WorkState, string>> = {
  syncing: "syncing",
  queued: "queued",
  debouncing: "being written",
  "backing-off": "retrying",
  quarantined: "set aside",
};

export function statusLines(status: DaemonStatus, now: Date, style: Style, columns: number): string[] {
  const lines = [
    ...headLines(status, style),
    ...storeLines(status, now, style),
    ...workLines(status, now, style),
    ...liveLines(status.pipeline.live, now, style),
    ...changeLines(status.changes, style),
  ].map((line) => cut(line, columns));
  return [...lines, ...problemLines(status.problems, now, style, columns)];
}

function headLines(
  { version, pid, uptime_seconds, memory_bytes, ready, reasons, pipeline }: DaemonStatus,
  style: Style,
): string[] {
  const mark = ready ? style.good("●") : style.warn("●");
  const words = [
    style.heading(STATES[pipeline.state]),
    `up ${duration(uptime_seconds)}`,
    `process ${pid}`,
    formatBytes(memory_bytes),
  ];
  const why =
    ready || reasons.length === 0
      ? []
      : [row("Not ready", style.warn(reasons.map((reason) => oneLine(reason)).join("; ")))];
  return [`${mark} riffd ${version} · ${words.join(" · ")}`, ...why];
}

function storeLines({ store, rpc }: DaemonStatus, now: Date, style: Style): string[] {
  const { location, state, since, sessions, messages, size_bytes, archive_bytes } = store;
  const holds = [
    sessions === null ? "" : plural(sessions, "session"),
    messages === null ? "" : plural(messages, "message"),
    archive_bytes === null ? "" : `${formatBytes(archive_bytes)} archived`,
    size_bytes === null ? "" : `${formatBytes(size_bytes)} on disk`,
  ].filter(Boolean);
  const trouble = state === "open" ? "" : style.warn(`${state} for ${age(since, now)}`);
  const told = [trouble, ...holds].filter(Boolean).join(" · ");
  return [
    row("Store", location),
    ...(told === "" ? [] : [row("", told)]),
    ...(rpc.length === 0 ? [] : [row("Served", rpc.join(", "))]),
  ];
}

/** Nothing is known of the files before they are looked at. */
function workLines({ pipeline, watch }: DaemonStatus, now: Date, style: Style): string[] {
  const { backlog, lag, files, last_scan, state } = pipeline;
  if (state === "starting") return [];
  const waiting = WORK.filter((state) => backlog[state] > 0).map((state) => {
    const text = `${formatCount(backlog[state])} ${WORK_WORDS[state]}`;
    return state === "quarantined" || state === "backing-off" ? style.warn(text) : text;
  });
  const scan = last_scan === null ? "" : ` · last scan ${age(last_scan.at, now)} ago, ${ms(last_scan.duration_ms)}`;
  return [
    row("Files", `${plural(files, "transcript")}, ${watchWords(watch, style)}${scan}`),
    row("Backlog", waiting.length === 0 ? style.good("none") : waiting.join(", ")),
    ...(lag.bytes === 0 ? [] : [row("Behind", `${formatBytes(lag.bytes)}, for ${duration(lag.seconds)}`)]),
  ];
}

function watchWords({ mode, folders, roots }: DaemonStatus["watch"], style: Style): string {
  const missing = roots.filter(({ present }) => !present).length;
  const absent = missing === 0 ? "" : style.warn(`, ${plural(missing, "projects folder")} missing`);
  switch (mode) {
    case "watching":
      return `${plural(folders, "folder")} watched${absent}`;
    case "polling":
      return `polled${absent}`;
    case "scanning":
      return `${style.warn("found by scans only")}${absent}`;
    default:
      return mode satisfies never;
  }
}

function liveLines(live: readonly LiveFile[], now: Date, style: Style): string[] {
  if (live.length === 0) return [];
  const lines = live.slice(0, MAX_TOLD).flatMap((file) => {
    const { path, session_id, state, lag_bytes, changed_at, attempts, error } = file;
    const words = state === null ? "up to date" : WORK_WORDS[state];
    const isTrouble = state === "quarantined" || state === "backing-off";
    const cells = [
      (session_id === null ? nameOfFile(path) : nameOf(session_id)).padEnd(NAME),
      (isTrouble ? style.warn : style.good)(words.padEnd(13)),
      (lag_bytes === 0 ? "" : formatBytes(lag_bytes)).padStart(9),
      `  ${age(changed_at, now)} ago`,
    ];
    const failure = error === null ? [] : [`    ${plural(attempts, "attempt")}: ${oneLine(error.message)}`];
    return [`  ${cells.join(" ")}`, ...failure.map(style.quiet)];
  });
  return ["", style.heading("Live"), ...lines, ...more(live.length)];
}

function changeLines(changes: readonly Change[], style: Style): string[] {
  if (changes.length === 0) return [];
  const lines = changes.slice(0, MAX_TOLD).map(({ time, session_id, status, messages, bytes, events }) => {
    const what = [
      messages === 0 ? "" : plural(messages, "message"),
      bytes === 0 ? "" : formatBytes(bytes),
      // That messages were added has been told.
      listEvents({ ...events, message_added: 0 }),
    ].filter(Boolean);
    const mark = status === "failed" ? style.bad : style.good;
    return `  ${clock(time)} ${nameOf(session_id).padEnd(NAME)} ${mark(status.padEnd(9))} ${what.join(", ")}`.trimEnd();
  });
  return ["", style.heading("Last changes"), ...lines, ...more(changes.length)];
}

function problemLines(problems: readonly Problem[], now: Date, style: Style, columns: number): string[] {
  if (problems.length === 0) return [];
  const lines = problems.flatMap(({ message, hint, since }) => [
    ...wrap(`${style.bad("!")} ${message} (for ${age(since, now)})`, columns, "  ", "    "),
    ...wrap(`Try: ${hint}`, columns, "    ", "    "),
  ]);
  return ["", style.heading("Problems"), ...lines];
}

function row(label: string, value: string): string {
  return `  ${label.padEnd(11)}${value}`;
}

function more(count: number): string[] {
  return count > MAX_TOLD ? [`  … and ${formatCount(count - MAX_TOLD)} more`] : [];
}

const UUID = /\b([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g;

/** What names a session in a command as a rule: of uuids the beginning. */
function nameOf(sessionId: string): string {
  const name = oneLine(sessionId.replaceAll(UUID, "$1"));
  return name.length <= NAME ? name : `${name.slice(0, NAME - 1)}…`;
}

/** The end of its path, with the folder it is in. */
function nameOfFile(path: string): string {
  return nameOf(
    path
      .split(sep)
      .slice(-2)
      .join(sep)
      .replace(/\.jsonl$/, ""),
  );
}

function age(since: Date, now: Date): string {
  return duration((now.getTime() - since.getTime()) / 1000);
}

/** "0.3 s", "42 s", "7 min", "3 h 20 min", "5 d 2 h". */
function duration(given: number): string {
  const seconds = Math.max(0, given);
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.floor(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

function ms(milliseconds: number): string {
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : duration(milliseconds / 1000);
}

/** "09:30:00", local time. */
function clock(time: Date): string {
  return [time.getHours(), time.getMinutes(), time.getSeconds()].map((n) => String(n).padStart(2, "0")).join(":");
}
