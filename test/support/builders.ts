/**
 * Records in the shape that Claude Code writes them, with every value fixed, so that equal calls give equal bytes.
 *
 * Each builder gives a plain object; `jsonl` makes a file of them. Whatever a test is not about has a default.
 */

/** The session all records claim to be of, unless told otherwise. */
export const SESSION = "5e551000-0000-4000-8000-000000000001";
/** A project folder as Claude Code names it. */
export const PROJECT = "-home-ada-engine";

/** A uuid v4, the same for the same number. */
export function uuid(n: number): string {
  return `a0000000-0000-4000-8000-${n.toString(16).padStart(12, "0")}`;
}

/** An ISO timestamp `seconds` after a fixed moment. */
export function timestampAt(seconds: number): string {
  return new Date(Date.UTC(2025, 5, 1, 12) + seconds * 1000).toISOString();
}

export type Json = Record<string, unknown>;

/** What every record with a uuid has. */
export interface Common {
  readonly uuid: string;
  /** None if left out: the record is a root. */
  readonly parent?: string | null;
  readonly session?: string;
  readonly timestamp?: string;
  readonly cwd?: string;
  /** Marks the record as one of this agent's file. */
  readonly agent?: string;
  readonly sidechain?: boolean;
  /** Further members, written last; they replace those of the same name. */
  readonly extra?: Json;
}

function common(options: Common): Json {
  return {
    parentUuid: options.parent ?? null,
    isSidechain: options.sidechain ?? options.agent !== undefined,
    userType: "external",
    cwd: options.cwd ?? "/home/ada/engine",
    sessionId: options.session ?? SESSION,
    version: "2.1.49",
    gitBranch: "main",
    ...(options.agent === undefined ? {} : { agentId: options.agent }),
  };
}

function finish(record: Json, options: Common): Json {
  return { ...record, uuid: options.uuid, timestamp: options.timestamp ?? timestampAt(0), ...options.extra };
}

/** A prompt. */
export function userMessage(options: Common & { readonly text?: string }): Json {
  const message = { role: "user", content: options.text ?? "Why does the second gear slip?" };
  return finish({ ...common(options), type: "user", message }, options);
}

/** A content block of an assistant record. */
export type Block =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "thinking"; readonly thinking: string; readonly signature: string }
  | { readonly type: "tool_use"; readonly id: string; readonly name: string; readonly input: Json };

export function textBlock(text: string): Block {
  return { type: "text", text };
}

export function thinkingBlock(thinking: string): Block {
  return { type: "thinking", thinking, signature: "c2ln" };
}

export function toolUseBlock(id: string, input: Json = { command: "ls" }, name = "Bash"): Block {
  return { type: "tool_use", id, name, input };
}

/** One block of an answer; Claude Code writes a record for each. */
export function assistantMessage(
  options: Common & { readonly text?: string; readonly blocks?: readonly Block[] },
): Json {
  const message = {
    model: "claude-sonnet-4-5-20250929",
    id: `msg_${options.uuid.slice(-4)}`,
    type: "message",
    role: "assistant",
    content: options.blocks ?? [textBlock(options.text ?? "It has lost a tooth.")],
    stop_reason: null,
    stop_sequence: null,
    usage: { input_tokens: 10, output_tokens: 5 },
  };
  const requestId = `req_${options.uuid.slice(-4)}`;
  return finish({ ...common(options), message, requestId, type: "assistant" }, options);
}

/** What a tool gave back to the `tool_use` block with the id `toolUse`. */
export function toolResult(options: Common & { readonly toolUse: string; readonly output?: string }): Json {
  const output = options.output ?? "gear.ts";
  const content = [{ tool_use_id: options.toolUse, type: "tool_result", content: output, is_error: false }];
  const message = { role: "user", content };
  return finish({ ...common(options), type: "user", message, toolUseResult: { stdout: output, stderr: "" } }, options);
}

/** A hook's progress, as written up to version 2.1.62. */
export function progress(options: Common & { readonly event?: string }): Json {
  const hookEvent = options.event ?? "PostToolUse";
  const data = { type: "hook_progress", hookEvent, hookName: `${hookEvent}:Bash`, command: "callback" };
  const ids = { toolUseID: "toolu_01", parentToolUseID: "toolu_01" };
  return finish({ ...common(options), type: "progress", data, ...ids }, options);
}

/** Context that was attached to a prompt. */
export function attachment(options: Common & { readonly text?: string }): Json {
  const body = { type: "hook_additional_context", content: [options.text ?? "Tests pass."], hookName: "Stop" };
  return finish({ ...common(options), attachment: body, type: "attachment" }, options);
}

/** A system record: `turn_duration`, `stop_hook_summary`, `api_error`, `local_command`, … */
export function system(options: Common & { readonly subtype?: string }): Json {
  const subtype = options.subtype ?? "turn_duration";
  return finish({ ...common(options), type: "system", subtype, isMeta: false, durationMs: 1200 }, options);
}

/** The border a compaction leaves; `logicalParent` is what came before it. */
export function compactBoundary(options: Common & { readonly logicalParent?: string }): Json {
  const rest = {
    logicalParentUuid: options.logicalParent ?? null,
    content: "Conversation compacted",
    compactMetadata: { trigger: "auto", preTokens: 155_000 },
  };
  return finish({ ...common(options), type: "system", subtype: "compact_boundary", ...rest }, options);
}

/** A title for the conversation that ends with the record `leaf`. */
export function summary(options: { readonly leaf: string; readonly text?: string }): Json {
  return { type: "summary", summary: options.text ?? "The second gear", leafUuid: options.leaf };
}

/** The `file-history-snapshot` for the prompt `message`. */
export function snapshot(options: { readonly message: string; readonly isUpdate?: boolean }): Json {
  return {
    type: "file-history-snapshot",
    messageId: options.message,
    snapshot: { messageId: options.message, trackedFileBackups: {}, timestamp: timestampAt(0) },
    isSnapshotUpdate: options.isUpdate ?? false,
  };
}

/** A prompt that was put into the queue, or taken from it. */
export function queueOperation(
  options: {
    readonly operation?: "enqueue" | "dequeue" | "remove" | "popAll";
    readonly content?: string;
    readonly session?: string;
  } = {},
): Json {
  return {
    type: "queue-operation",
    operation: options.operation ?? "enqueue",
    timestamp: timestampAt(0),
    ...(options.content === undefined ? {} : { content: options.content }),
    sessionId: options.session ?? SESSION,
  };
}

/**
 * A healthy conversation of `length` records, each the child of the one before: prompt, answer, prompt, …
 * Its uuids are `uuid(from)`, `uuid(from + 1)`, …; the first is a root unless `parent` is given.
 */
export function chain(
  length: number,
  options: { readonly from?: number; readonly parent?: string | null; readonly session?: string } = {},
): Json[] {
  const from = options.from ?? 1;
  const session = options.session ?? SESSION;
  return Array.from({ length }, (_, i) => {
    const parent = i === 0 ? (options.parent ?? null) : uuid(from + i - 1);
    const place = { uuid: uuid(from + i), parent, session, timestamp: timestampAt(from + i) };
    return i % 2 === 0
      ? userMessage({ ...place, text: `prompt ${from + i}` })
      : assistantMessage({ ...place, text: `answer ${from + i}` });
  });
}

/** One line for each value, the last one ended too. Strings and buffers are written as they are, for broken lines. */
export function jsonl(...values: readonly (Json | string | Buffer)[]): Buffer {
  return Buffer.concat(values.flatMap((value) => [lineOf(value), Buffer.from("\n")]));
}

/** The bytes of one value, without a line's end. */
export function lineOf(value: Json | string | Buffer): Buffer {
  if (Buffer.isBuffer(value)) return value;
  return Buffer.from(typeof value === "string" ? value : JSON.stringify(value));
}
