// What the store holds, as other processes read it: riffd's own commands, over the daemon's socket.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { sha256Hex } from "../core/hash.ts";
import { EXIT_CODES } from "../errors.ts";
import type { Programs } from "./programs.ts";

/** A session, as `riffd query` gives it. */
export interface SessionFacts {
  readonly session_id: string;
  /** Absent: it has none. */
  readonly title?: string;
  readonly state: "live" | "gone";
  /** Whether nothing of it is left to be decided. */
  readonly decided: boolean;
  readonly generation: number;
  readonly message_count: number;
  /** What the rows of its messages have as uuids. */
  readonly uuids: readonly string[];
  /** What its user asked first. */
  readonly prompt: string;
  readonly conversation_count: number;
  readonly cut_off_count: number;
  readonly unreadable_count: number;
  /** Bytes of what is unreadable. */
  readonly unreadable_bytes: number;
  readonly corruption_score: number;
}

/** An event, as `riffd query` gives it. */
export interface EventFacts {
  readonly session_id: string;
  readonly timestamp: string;
  readonly event_type: string;
  readonly message_uuid: string | null;
  readonly old_value: string | number | null;
  readonly new_value: string | number | null;
}

/** When a message says that it was written. */
interface Written {
  readonly session_id: string;
  readonly message_uuid: string;
  readonly timestamp: string;
}

/** All that the store holds, at one moment. Events of a session are in their order. */
export interface Snapshot {
  readonly sessions: readonly SessionFacts[];
  readonly events: readonly EventFacts[];
  readonly written: readonly Written[];
}

/** The last line of `riffd verify --json`. */
export interface Proof {
  readonly ok: boolean;
  readonly sessions: number;
  readonly failed: number;
  readonly commits: number;
  readonly events: number;
  readonly messages: number;
  readonly bytes: number;
}

export interface Exported {
  readonly bytes: number;
  readonly sha256: string;
}

const OF_IT = "WHERE session_id = $parent.session_id AND record::id(id)[1] = $parent.generation";
const SNAPSHOT = `
  SELECT session_id, title, state, generation, message_count, conversation_count, cut_off_count, unreadable_count,
    corruption_score, source.settled AND !source.verdicts_due AS decided,
    (SELECT VALUE message_uuid FROM message ${OF_IT} AND removed_at IS NONE) AS uuids,
    (SELECT VALUE content FROM message ${OF_IT} AND role = 'user' AND content_kind = 'text')[0] AS prompt,
    math::sum((SELECT VALUE length FROM quarantine ${OF_IT})) AS unreadable_bytes
    FROM session;
  SELECT * FROM repair_event;
  SELECT session_id, message_uuid, timestamp FROM message WHERE timestamp IS NOT NONE`;
/** More than there are. */
const LIMIT = "1000";

export class Reader {
  readonly #programs: Programs;
  readonly #exports: string;

  /** Files that are given back go to the folder `exports`. */
  constructor(programs: Programs, exports: string) {
    this.#programs = programs;
    this.#exports = exports;
  }

  async snapshot(): Promise<Snapshot> {
    const answers = JSON.parse(await this.#programs.run(["query", "--json", SNAPSHOT])) as { result: unknown[] }[];
    const [sessions, events, written] = answers.map(({ result }) => result);
    return { sessions, events, written } as Snapshot;
  }

  /** How many events of each type `riffd events` tells. */
  async eventTypes(): Promise<Record<string, number>> {
    const lines = (await this.#programs.run(["events", "--json", "--limit", LIMIT])).split("\n").filter(Boolean);
    const types = lines.map((line) => (JSON.parse(line) as EventFacts).event_type);
    return Object.fromEntries([...new Set(types)].map((type) => [type, types.filter((each) => each === type).length]));
  }

  /** The process of the daemon that answers. */
  async pid(): Promise<number> {
    return (JSON.parse(await this.#programs.run(["status", "--json"])) as { pid: number }).pid;
  }

  /** The transcript as the store gives it back; as it was in an earlier generation, if one is named. */
  async export(session: string, generation?: number): Promise<Exported> {
    const file = join(this.#exports, `${session}${generation === undefined ? "" : `.${generation}`}.jsonl`);
    const which = generation === undefined ? [] : ["--generation", String(generation)];
    await this.#programs.run(["export", session, "-o", file, ...which]);
    const bytes = await readFile(file);
    return { bytes: bytes.length, sha256: sha256Hex(bytes) };
  }

  /** Of everything in the store. */
  async verify(): Promise<Proof> {
    const text = await this.#programs.run(["verify", "--json"], [0, EXIT_CODES.RIFF_VERIFY_FAILED]);
    return JSON.parse(text.trimEnd().split("\n").at(-1)!) as Proof;
  }
}
