// Made-up transcripts: the same bytes for the same seed, on any machine. Shaped like real ones: mostly user, assistant
// and progress records of 0.3 to 20 KB (mean 2.2 KB), a few sessions holding most of the bytes, subagents in files of
// their own, and some sessions whose first record hangs on a record of another file, or on none at all.
import { closeSync, mkdirSync, openSync, readdirSync, statSync, utimesSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { Random } from "./random.ts";

const KIB = 1024;
const MIB = 1024 * 1024;

/** Long before any run, so that every file counts as quiet. */
const WRITTEN_AT = new Date("2025-06-01T12:00:00Z");

const MIN_RECORD_BYTES = 300;
const MAX_RECORD_BYTES = 20 * 1000;
/** Of the lognormal sizes of records; with the bounds above the mean is 2.2 KB. */
const MEDIAN_RECORD_BYTES = 1_180;
const SIGMA_RECORD_BYTES = 1.15;
/** Of the sizes of sessions: the largest of 90 holds about a tenth of all bytes. */
const SIGMA_SESSION_BYTES = 1.2;

const WORDS = (
  "the a of and to in is it that for on with as are this by be or from at which an file test error function value " +
  "return const import async await type string number undefined null true false path line column module server " +
  "client request response commit branch merge diff hash index table query schema session message record parent " +
  "child graph node edge queue worker timer stream buffer offset length segment archive restore verify rebuild " +
  "config option flag default override environment variable directory folder process thread memory latency budget " +
  "naïve café größe 東京 🚀"
).split(" ");

/** Texts of many lengths, cut from a few long ones: real transcripts repeat themselves too. */
class Prose {
  readonly #random: Random;
  readonly #text: string;

  constructor(random: Random) {
    this.#random = random;
    const lines: string[] = [];
    for (let size = 0; size < 512 * KIB; ) {
      const words = Array.from({ length: 4 + random.int(12) }, () => random.pick(WORDS));
      const line = random.int(6) === 0 ? `  ${words[0]}("${words[1]}", ${random.int(1000)});` : words.join(" ");
      lines.push(line);
      size += line.length + 1;
    }
    this.#text = lines.join("\n");
  }

  take(chars: number): string {
    const start = this.#random.int(Math.max(1, this.#text.length - chars));
    return this.#text.slice(start, start + chars).toWellFormed();
  }
}

/** Writes lines to a file in large pieces, and gives it an old modification time. */
class LineWriter {
  readonly #path: string;
  readonly #handle: number;
  #lines: string[] = [];
  #pending = 0;
  bytes = 0;

  constructor(path: string) {
    mkdirSync(dirname(path), { recursive: true });
    this.#path = path;
    this.#handle = openSync(path, "w");
  }

  line(text: string): void {
    this.#lines.push(text);
    const size = Buffer.byteLength(text) + 1;
    this.#pending += size;
    this.bytes += size;
    if (this.#pending >= 4 * MIB) this.#flush();
  }

  close(): void {
    this.#flush();
    closeSync(this.#handle);
    utimesSync(this.#path, WRITTEN_AT, WRITTEN_AT);
  }

  #flush(): void {
    if (this.#lines.length > 0) writeSync(this.#handle, `${this.#lines.join("\n")}\n`);
    this.#lines = [];
    this.#pending = 0;
  }
}

export interface SessionPlan {
  readonly sessionId: string;
  /** The session that its records claim; a subagent's file claims its parent's. */
  readonly claims?: string;
  readonly bytes: number;
  /** What the first record hangs on; null: nothing. */
  readonly headParent?: string | null;
}

/** Writes one session of about `bytes` bytes; returns the uuid of its last message. */
export function writeSession(path: string, plan: SessionPlan, random: Random, prose = new Prose(random)): string {
  const file = new LineWriter(path);
  const recent: string[] = [];
  let parent = plan.headParent ?? null;
  let time = Date.UTC(2025, 4, 1) + random.int(20 * 24 * 3600) * 1000;
  let toolUse = "";
  for (let n = 0; file.bytes < plan.bytes; n++) {
    time += 1 + random.int(20_000);
    const timestamp = new Date(time).toISOString();
    const size = Math.min(
      MAX_RECORD_BYTES,
      Math.max(MIN_RECORD_BYTES, random.logNormal(MEDIAN_RECORD_BYTES, SIGMA_RECORD_BYTES)),
    );
    if (random.int(14) === 0) {
      file.line(JSON.stringify(sideRecord(random, prose, timestamp, size)));
      continue;
    }
    const uuid = random.uuid();
    if (random.int(200) === 0 && recent.length > 10) parent = recent[recent.length - 10]!; // a fork
    const base = {
      parentUuid: parent,
      isSidechain: plan.claims !== undefined,
      userType: "external",
      cwd: "/home/dev/project",
      sessionId: plan.claims ?? plan.sessionId,
      version: "2.1.0",
      gitBranch: "main",
      uuid,
      timestamp,
    };
    const text = Math.max(20, Math.round(size) - 420);
    const kind = random.int(10);
    if (kind < 2) {
      const data = { type: "bash_progress", output: prose.take(text), elapsedTimeSeconds: random.int(100) };
      file.line(JSON.stringify({ ...base, type: "progress", data, toolUseID: toolUse }));
    } else if (kind < 6) {
      const content =
        toolUse === ""
          ? prose.take(text)
          : [{ type: "tool_result", tool_use_id: toolUse, content: prose.take(text), is_error: false }];
      file.line(JSON.stringify({ ...base, type: "user", message: { role: "user", content } }));
      toolUse = "";
    } else {
      toolUse = `toolu_${uuid.replaceAll("-", "").slice(0, 24)}`;
      const blocks = [
        { type: "text", text: prose.take(Math.round(text / 3)) },
        { type: "tool_use", id: toolUse, name: "Bash", input: { command: prose.take(Math.round((text * 2) / 3)) } },
      ];
      const usage = { input_tokens: random.int(50_000), output_tokens: random.int(4_000) };
      const message = { id: `msg_${n}`, role: "assistant", model: "model-x", content: blocks, usage };
      file.line(JSON.stringify({ ...base, type: "assistant", requestId: `req_${n}`, message }));
    }
    parent = uuid;
    recent.push(uuid);
    if (recent.length > 20) recent.shift();
  }
  file.close();
  return parent ?? "";
}

function sideRecord(random: Random, prose: Prose, timestamp: string, size: number): object {
  switch (random.int(3)) {
    case 0:
      return { type: "summary", summary: prose.take(120), leafUuid: random.uuid() };
    case 1:
      return { type: "queue-operation", operation: "enqueue", timestamp, content: prose.take(Math.round(size / 4)) };
    default:
      return {
        type: "file-history-snapshot",
        messageId: random.uuid(),
        snapshot: { trackedFileBackups: { [prose.take(30)]: { version: random.int(9) } }, timestamp },
      };
  }
}

export interface Tree {
  readonly projects: string;
  readonly files: number;
}

/** Writes a projects folder of `sessions` transcripts with about `bytes` bytes in all. */
export function writeTree(dir: string, sessions: number, bytes: number, seed = 1): Tree {
  const random = new Random(seed);
  const weights = Array.from({ length: sessions }, () => random.logNormal(1, SIGMA_SESSION_BYTES));
  const whole = weights.reduce((sum, weight) => sum + weight, 0);
  const lastUuids: string[] = [];
  let owner = { project: "", sessionId: "" };
  for (const [i, weight] of weights.entries()) {
    const size = (bytes * weight) / whole;
    const isAgent = i > 0 && i % 5 === 4;
    const project = `-home-dev-project-${1 + (i % 7)}`;
    // Every sixth begins in another session (resumed), every twelfth in one that is nowhere.
    const headParent = i > 0 && i % 6 === 3 ? (i % 12 === 3 ? random.uuid() : random.pick(lastUuids)) : null;
    if (isAgent) {
      const agent = random.uuid().slice(0, 8);
      const path = join(dir, owner.project, owner.sessionId, "subagents", `agent-${agent}.jsonl`);
      lastUuids.push(
        writeSession(path, { sessionId: agent, claims: owner.sessionId, bytes: size, headParent }, random),
      );
    } else {
      const sessionId = random.uuid();
      lastUuids.push(
        writeSession(join(dir, project, `${sessionId}.jsonl`), { sessionId, bytes: size, headParent }, random),
      );
      owner = { project, sessionId };
    }
  }
  return { projects: dir, files: sessions };
}

/** Writes a projects folder of many small sessions of about `bytes` bytes each, in folders of a hundred. */
export function writeManySessions(dir: string, sessions: number, bytes = 2_000): void {
  const random = new Random(5);
  const prose = new Prose(random);
  for (let i = 0; i < sessions; i++) {
    const sessionId = random.uuid();
    const path = join(dir, `-home-dev-project-${Math.floor(i / 100)}`, `${sessionId}.jsonl`);
    writeSession(path, { sessionId, bytes }, random, prose);
  }
}

/** A plain user record, as Claude Code would append it. */
export function userLine(sessionId: string, uuid: string, parent: string | null, text: string): string {
  return JSON.stringify({
    parentUuid: parent,
    isSidechain: false,
    sessionId,
    type: "user",
    message: { role: "user", content: text },
    uuid,
    timestamp: "2025-06-01T12:00:00.000Z",
  });
}

/** Files and bytes of the transcripts below a folder. */
export function transcriptBytes(dir: string): { files: number; bytes: number } {
  const names = readdirSync(dir, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".jsonl"));
  return { files: names.length, bytes: names.reduce((sum, name) => sum + statSync(join(dir, name)).size, 0) };
}

/** A session of three records, the middle one a line of `bytes` bytes. */
export function writeLongLine(path: string, sessionId: string, letters: "ascii" | "unicode", bytes: number): void {
  const random = new Random(2);
  const file = new LineWriter(path);
  const [first, second, third] = [random.uuid(), random.uuid(), random.uuid()] as const;
  const block = Array.from({ length: 64 * KIB }, () => random.pick(LETTERS[letters])).join("");
  const room = bytes - Buffer.byteLength(userLine(sessionId, second, first, ""));
  const blocks = Math.floor(room / Buffer.byteLength(block));
  const rest = room - blocks * Buffer.byteLength(block);
  file.line(userLine(sessionId, first, null, "before"));
  file.line(userLine(sessionId, second, first, block.repeat(blocks) + "x".repeat(rest)));
  file.line(userLine(sessionId, third, second, "after"));
  file.close();
}

const LETTERS = {
  ascii: [..."abcdefghijklmnopqrstuvwxyz0123456789 "],
  unicode: [..."abcdefghijklmnop éüñ東京語🚀🎉"],
} as const;

/** A session of `count` small records, each the child of the one before. */
export function writeChain(path: string, sessionId: string, count: number): void {
  const random = new Random(3);
  const file = new LineWriter(path);
  let parent: string | null = null;
  for (let i = 0; i < count; i++) {
    const uuid = random.uuid();
    file.line(userLine(sessionId, uuid, parent, `message ${i}`));
    parent = uuid;
  }
  file.close();
}

/** A session with a tool's input that is nested `depth` deep. */
export function writeDeepLine(path: string, sessionId: string, depth: number): void {
  const random = new Random(4);
  const file = new LineWriter(path);
  const [first, second] = [random.uuid(), random.uuid()] as const;
  file.line(userLine(sessionId, first, null, "before"));
  const nested = `${'{"a":['.repeat(depth / 2)}0${"]}".repeat(depth / 2)}`;
  const line = JSON.stringify({
    parentUuid: first,
    sessionId,
    type: "assistant",
    message: { role: "assistant", content: [{ type: "tool_use", id: "toolu_1", name: "Deep", input: "@" }] },
    uuid: second,
    timestamp: "2025-06-01T12:00:01.000Z",
  });
  file.line(line.replace('"@"', nested));
  file.line(userLine(sessionId, random.uuid(), second, "after"));
  file.close();
}
