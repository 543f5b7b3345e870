/**
 * Generators of transcripts and of what happens to them: written to, torn, rewritten, deleted, moved.
 *
 * Everything is drawn as a plain description (drafts and edits) and carried out afterwards, so that a failing case
 * shrinks to few files, few edits and short text.
 */
import fc from "fast-check";
import type { FileLook, Snapshot } from "../model/model.ts";
import {
  assistantMessage,
  attachment,
  compactBoundary,
  type Json,
  lineOf,
  progress,
  queueOperation,
  snapshot,
  summary,
  system,
  textBlock,
  thinkingBlock,
  timestampAt,
  toolResult,
  toolUseBlock,
  userMessage,
  uuid,
} from "./builders.ts";

const BOM = Buffer.from([0xef, 0xbb, 0xbf]);

const textArb: fc.Arbitrary<string> = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom("a", "gear", "two words") },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      "",
      "⚙️ 🦊",
      "歯車",
      "e\u0301",
      "\ud83d",
      "line\u2028break",
      "nul\u0000inside",
      'quote " brace } {',
      '{"type":"user","sessionId":"quoted"}',
      "back\\slash",
      "new\nline",
    ),
  },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 6 }) },
);

const messageKinds = [
  "user",
  "assistant",
  "thinking",
  "tool_use",
  "tool_result",
  "progress",
  "attachment",
  "system",
  "compact_boundary",
  "unheard-of",
  "untyped",
] as const;
const recordKinds = ["summary", "snapshot", "queue", "last-prompt", "no uuid"] as const;

/** Which uuid a record names as its parent, told by where that record stands. */
type ParentPick =
  | { readonly at: "previous" | "none" | "itself" }
  | { readonly at: "earlier" | "later" | "missing"; readonly by: number }
  | { readonly at: "other file"; readonly by: number };

/** A record that has no uuid and no parent yet; both follow from the file it is written to. */
interface Draft {
  readonly kind: (typeof messageKinds)[number] | (typeof recordKinds)[number];
  readonly parent: ParentPick;
  readonly text: string;
  readonly seconds: number;
  readonly extra: Json;
}

const parentPickArb: fc.Arbitrary<ParentPick> = fc.oneof(
  { weight: 16, arbitrary: fc.constant<ParentPick>({ at: "previous" }) },
  { weight: 2, arbitrary: fc.constant<ParentPick>({ at: "none" }) },
  { weight: 3, arbitrary: fc.record({ at: fc.constant("earlier" as const), by: fc.integer({ min: 2, max: 6 }) }) },
  { weight: 2, arbitrary: fc.record({ at: fc.constant("later" as const), by: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 2, arbitrary: fc.record({ at: fc.constant("missing" as const), by: fc.nat(2) }) },
  { weight: 2, arbitrary: fc.record({ at: fc.constant("other file" as const), by: fc.nat(8) }) },
  { weight: 1, arbitrary: fc.constant<ParentPick>({ at: "itself" }) },
);

/** Members that replace those a builder wrote. */
const extraArb: fc.Arbitrary<Json> = fc.oneof(
  { weight: 20, arbitrary: fc.constant({}) },
  {
    weight: 3,
    arbitrary: fc.constantFrom<Json>(
      { timestamp: "yesterday" },
      { timestamp: 1_748_779_200 },
      { timestamp: "2025-06-01T14:00:00+02:00" },
      { toolUseResult: nested(50) },
      { message: null },
      { isMeta: true, numbers: [0.1, 1e21, -0, 1e-7] },
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Json>(
      { uuid: "" },
      { uuid: 7 },
      { uuid: "msg_01" },
      { uuid: "a\u0000b" },
      { uuid: "\ud83d" },
      { parentUuid: "" },
      { parentUuid: 7 },
      { sessionId: 7 },
    ),
  },
);

const draftArb: fc.Arbitrary<Draft> = fc.record({
  kind: fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom<Draft["kind"]>("user", "assistant") },
    { weight: 4, arbitrary: fc.constantFrom<Draft["kind"]>(...messageKinds) },
    { weight: 1, arbitrary: fc.constantFrom<Draft["kind"]>(...recordKinds) },
  ),
  parent: parentPickArb,
  text: textArb,
  seconds: fc.integer({ min: -3, max: 60 }),
  extra: extraArb,
});

function nested(depth: number): unknown {
  let value: unknown = "deep";
  for (let i = 0; i < depth; i += 1) value = i % 2 === 0 ? [value] : { in: value };
  return value;
}

interface Place {
  readonly uuid: string;
  readonly parent: string | null;
  readonly session: string;
  readonly agent: string | null;
}

function recordOf(draft: Draft, place: Place): Json {
  const { text, extra } = draft;
  const options = {
    uuid: place.uuid,
    parent: place.parent,
    session: place.session,
    timestamp: timestampAt(draft.seconds),
    ...(place.agent === null ? {} : { agent: place.agent }),
    extra,
  };
  switch (draft.kind) {
    case "user":
      return userMessage({ ...options, text });
    case "assistant":
      return assistantMessage({ ...options, text });
    case "thinking":
      return assistantMessage({ ...options, blocks: [thinkingBlock(text), textBlock(text)] });
    case "tool_use":
      return assistantMessage({ ...options, blocks: [toolUseBlock("toolu_01", { command: text })] });
    case "tool_result":
      return toolResult({ ...options, toolUse: "toolu_01", output: text });
    case "progress":
      return progress(options);
    case "attachment":
      return attachment({ ...options, text });
    case "system":
      return system(options);
    case "compact_boundary":
      return compactBoundary(options);
    case "unheard-of":
      return userMessage({ ...options, text, extra: { type: "unheard-of", ...extra } });
    case "untyped":
      return userMessage({ ...options, text, extra: { type: null, ...extra } });
    case "summary":
      return summary({ leaf: place.parent ?? place.uuid, text });
    case "snapshot":
      return snapshot({ message: place.parent ?? place.uuid });
    case "queue":
      return queueOperation({ content: text, session: place.session });
    case "last-prompt":
      return { type: "last-prompt", lastPrompt: text, leafUuid: place.uuid, sessionId: place.session };
    case "no uuid":
      return { content: text };
  }
}

/** A text that stands in every record of a history that has this uuid, and nowhere else. */
export function markOf(own: string): string {
  return `mark-${own}`;
}

/** A whole record with a uuid and a parent out of the first few, so that they repeat and meet. */
export const recordArb: fc.Arbitrary<Json> = fc
  .record({ draft: draftArb, n: fc.integer({ min: 1, max: 9 }), parent: fc.nat(11) })
  .map(({ draft, n, parent }) =>
    recordOf(draft, { uuid: uuid(n), parent: parent === 0 ? null : uuid(parent), session: "claimed", agent: null }),
  );

/** A stretch of bytes that may stand in a line, without 0x0A. */
const stretchArb: fc.Arbitrary<Buffer> = fc.oneof(
  { weight: 4, arbitrary: recordArb.map(lineOf) },
  {
    weight: 3,
    arbitrary: fc
      .record({ record: recordArb, share: fc.integer({ min: 0, max: 99 }), fromStart: fc.boolean() })
      .map(({ record, share, fromStart }) => {
        const bytes = lineOf(record);
        const at = Math.floor((bytes.length * share) / 100);
        return fromStart ? bytes.subarray(0, at) : bytes.subarray(at);
      }),
  },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 12 }).map((length) => Buffer.alloc(length)) },
  {
    weight: 2,
    arbitrary: recordArb.map((record) => lineOf({ type: "progress", data: { message: record } }).subarray(0, -1)),
  },
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      ...' |\t \r|}{|{}|{|}|[]|"|tru|{"a":1}|{"a":01}|{"a":-|{"a":"\\u12|[{"a":{}}]|{"type":"text","text":"x"}'
        .split("|")
        .map((text) => Buffer.from(text)),
      Buffer.from('{"type":"user","sessionId":"inner","a":[1,2,{"b":null}]}'),
      Buffer.from('{"a":{"type":"user","sessionId":"inner"}}'),
      Buffer.from([0xff, 0xfe]),
      Buffer.from([0x7b, 0x22, 0xf0, 0x9f, 0x22, 0x3a, 0x31, 0x7d]),
      BOM,
    ),
  },
  {
    weight: 1,
    arbitrary: fc.uint8Array({ maxLength: 8 }).map((bytes) => Buffer.from(bytes.filter((b) => b !== 0x0a))),
  },
);

/** One line without its 0x0A: whole records, torn ones, NUL runs and stray bytes, glued in any order. */
export const lineArb: fc.Arbitrary<Buffer> = fc
  .array(stretchArb, { minLength: 0, maxLength: 4 })
  .map((stretches) => Buffer.concat(stretches));

/** A file of healthy and weird lines, with LF or CRLF, with or without a BOM and a 0x0A at the end. */
export const fileArb: fc.Arbitrary<Buffer> = fc
  .record({
    lines: fc.array(fc.oneof(recordArb.map(lineOf), lineArb), { maxLength: 8 }),
    end: fc.constantFrom("\n", "\n", "\r\n"),
    bom: fc.boolean(),
    isEnded: fc.boolean(),
  })
  .map(({ lines, end, bom, isEnded }) => {
    const ended = lines.flatMap((line) => [line, Buffer.from(end)]);
    return Buffer.concat([...(bom ? [BOM] : []), ...(isEnded ? ended : ended.slice(0, -1))]);
  });

/** Ways to write `bytes` in several appends, some of them empty; put together they are `bytes`. */
export function splitsArb(bytes: Buffer): fc.Arbitrary<Buffer[]> {
  return fc.array(fc.nat(bytes.length), { maxLength: 6 }).map((cuts) => {
    const borders = [0, ...cuts.toSorted((a, b) => a - b), bytes.length];
    return borders.slice(1).map((border, i) => bytes.subarray(borders[i]!, border));
  });
}

/** Places for files: sessions, subagents, two projects with the same stem, and one file that is no transcript. */
const SLOTS = [
  { path: "-home-ada/5e551001.jsonl", session: "5e551001", agent: null },
  { path: "-home-ada/5e551001/subagents/agent-a1b2c3d.jsonl", session: "5e551001", agent: "a1b2c3d" },
  { path: "-home-ada/5e551002.jsonl", session: "5e551002", agent: null },
  { path: "-home-bob/5e551001.jsonl", session: "5e551001", agent: null },
  { path: "-home-ada/5e551001/subagents/agent-acompact-4d5e6f.jsonl", session: "5e551001", agent: "acompact-4d5e6f" },
  { path: "-home-bob/5e551003.jsonl", session: "5e551003", agent: null },
  { path: "-home-ada/5e551001/subagents/workflows/wf1/agent-a1b2c3d.jsonl", session: "5e551001", agent: "a1b2c3d" },
  { path: "-home-ada/5e551001/subagents/workflows/wf1/journal.jsonl", session: "5e551001", agent: null },
] as const;

type Form = "reversed" | "spaced" | "escaped";

/** What happens to one file between two snapshots. Lines are counted round, so that any number names one. */
type Edit =
  | { readonly do: "append"; readonly drafts: readonly Draft[]; readonly isEnded: boolean }
  | { readonly do: "append raw"; readonly bytes: Buffer; readonly isEnded: boolean }
  | { readonly do: "cut tail"; readonly by: number }
  | { readonly do: "complete" }
  | { readonly do: "change text"; readonly line: number; readonly text: string }
  | { readonly do: "change parent"; readonly line: number; readonly parent: ParentPick }
  | { readonly do: "write anew"; readonly line: number; readonly form: Form }
  | { readonly do: "remove line"; readonly line: number }
  | { readonly do: "put line back"; readonly line: number }
  | { readonly do: "swap lines"; readonly line: number; readonly other: number }
  | { readonly do: "repeat line"; readonly line: number; readonly parent: ParentPick | null }
  | { readonly do: "shrink"; readonly percent: number }
  | { readonly do: "delete" | "bring back" | "move" };

const lineNumberArb = fc.nat(24);

const editArb: fc.Arbitrary<Edit> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("append" as const),
      drafts: fc.array(draftArb, { minLength: 1, maxLength: 3 }),
      isEnded: fc.oneof({ weight: 4, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("append raw" as const), bytes: lineArb, isEnded: fc.boolean() }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("cut tail" as const), by: fc.integer({ min: 1, max: 300 }) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("complete" as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("change text" as const), line: lineNumberArb, text: textArb }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("change parent" as const), line: lineNumberArb, parent: parentPickArb }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("write anew" as const),
      line: lineNumberArb,
      form: fc.constantFrom<Form>("reversed", "spaced", "escaped"),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("remove line" as const), line: lineNumberArb }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("put line back" as const), line: lineNumberArb }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("swap lines" as const), line: lineNumberArb, other: lineNumberArb }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("repeat line" as const),
      line: lineNumberArb,
      parent: fc.option(parentPickArb),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("shrink" as const), percent: fc.nat(99) }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constantFrom("delete" as const, "bring back" as const, "move" as const) }),
  },
);

interface OpeningDraft {
  readonly slot: number;
  readonly drafts: readonly Draft[];
  readonly crlf: boolean;
  readonly bom: boolean;
  readonly exists: boolean;
}

interface StepDraft {
  readonly edits: readonly { readonly file: number; readonly edit: Edit }[];
  /** Whether the first, second, … file is quiet. */
  readonly quiet: readonly boolean[];
}

const mostly = (value: boolean): fc.Arbitrary<boolean> =>
  fc.oneof({ weight: 7, arbitrary: fc.constant(value) }, { weight: 1, arbitrary: fc.constant(!value) });

const openingArb: fc.Arbitrary<OpeningDraft> = fc.record({
  slot: fc.nat(SLOTS.length - 1),
  drafts: fc.array(draftArb, { maxLength: 8 }),
  crlf: mostly(false),
  bom: mostly(false),
  exists: mostly(true),
});

const stepArb: fc.Arbitrary<StepDraft> = fc.record({
  edits: fc.array(fc.record({ file: fc.nat(3), edit: editArb }), { maxLength: 4 }),
  quiet: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
});

/**
 * One to five snapshots of one to four files. Each follows from the one before by a few edits: appends, torn and glued
 * lines, rewrites, deletions, moves. A history prints as its files' text.
 */
export const historyArb: fc.Arbitrary<Snapshot[]> = fc
  .record({
    files: fc.uniqueArray(openingArb, { minLength: 1, maxLength: 4, selector: ({ slot }) => slot }),
    steps: fc.array(stepArb, { minLength: 1, maxLength: 5 }),
  })
  .map(({ files, steps }) => {
    const writer = new Writer(files);
    return printable(
      steps.map((step) => {
        for (const { file, edit } of step.edits) writer.apply(file, edit);
        return writer.snapshot(step.quiet);
      }),
    );
  });

function printable(history: Snapshot[]): Snapshot[] {
  const text = () => history.map((looks, i) => [`\nsnapshot ${i + 1}`, ...looks.map(lookText)].join("\n  ")).join("");
  Object.defineProperty(history, fc.toStringMethod, { value: text, enumerable: false });
  return history;
}

function lookText({ path, bytes, quiet }: FileLook): string {
  return `${path} (${quiet ? "quiet" : "live"}, ${bytes.length} bytes) ${JSON.stringify(bytes.toString())}`;
}

interface WrittenFile {
  path: string;
  readonly session: string;
  readonly agent: string | null;
  readonly lineEnd: Buffer;
  exists: boolean;
  bytes: Buffer;
  /** Of all records ever written to it. */
  readonly uuids: string[];
  /** What was last cut from its end. */
  cut: Buffer;
  /** Lines that were removed. */
  readonly taken: Buffer[];
}

/** Carries out drafts and edits on files in memory. */
class Writer {
  readonly #files: WrittenFile[];
  #lastUuid = 0;

  constructor(openings: readonly OpeningDraft[]) {
    this.#files = openings.map(({ slot, crlf, bom, exists }) => ({
      ...SLOTS[slot]!,
      lineEnd: Buffer.from(crlf ? "\r\n" : "\n"),
      exists,
      bytes: bom ? BOM : Buffer.alloc(0),
      uuids: [],
      cut: Buffer.alloc(0),
      taken: [],
    }));
    openings.forEach(({ drafts }, i) => {
      this.#append(this.#files[i]!, { do: "append", drafts, isEnded: true });
    });
  }

  snapshot(quiet: readonly boolean[]): Snapshot {
    return this.#files.flatMap(({ path, bytes, exists }, i) => (exists ? [{ path, bytes, quiet: quiet[i]! }] : []));
  }

  apply(fileNumber: number, edit: Edit): void {
    const file = this.#files[fileNumber % this.#files.length]!;
    switch (edit.do) {
      case "append":
        this.#append(file, edit);
        return;
      case "append raw":
        file.bytes = Buffer.concat([file.bytes, edit.bytes, ...(edit.isEnded ? [file.lineEnd] : [])]);
        return;
      case "cut tail": {
        const at = Math.max(0, file.bytes.length - edit.by);
        file.cut = file.bytes.subarray(at);
        file.bytes = file.bytes.subarray(0, at);
        return;
      }
      case "complete":
        file.bytes = Buffer.concat([file.bytes, file.cut]);
        file.cut = Buffer.alloc(0);
        return;
      case "change text":
        this.#changeRecord(file, edit.line, (record) => ({ ...record, content: edit.text }));
        return;
      case "change parent":
        this.#changeRecord(file, edit.line, (record) => ({
          ...record,
          parentUuid: this.#pickParent(file, edit.parent, String(record.uuid)),
        }));
        return;
      case "write anew":
        changeLine(file, edit.line, (line) => [writtenAnew(line, edit.form)]);
        return;
      case "remove line":
        changeLine(file, edit.line, (line) => {
          file.taken.push(line);
          return [];
        });
        return;
      case "put line back": {
        const [line] = file.taken.splice(0, 1);
        if (line !== undefined) changeLine(file, edit.line, (other) => [line, other]);
        return;
      }
      case "swap lines": {
        const lines = linesOf(file.bytes);
        const [a, b] = [edit.line % lines.length, edit.other % lines.length];
        file.bytes = joinLines(lines.with(a, lines[b]!).with(b, lines[a]!));
        return;
      }
      case "repeat line": {
        const lines = linesOf(file.bytes);
        const line = lines[edit.line % lines.length]!;
        const parent = edit.parent;
        const record = parseRecord(line);
        const copy =
          parent === null || record === null
            ? line
            : lineOf({ ...record, parentUuid: this.#pickParent(file, parent, String(record.uuid)) });
        file.bytes = Buffer.concat([file.bytes, copy, file.lineEnd]);
        return;
      }
      case "shrink":
        file.bytes = file.bytes.subarray(0, Math.floor((file.bytes.length * edit.percent) / 100));
        return;
      case "delete":
        file.exists = false;
        return;
      case "bring back":
        file.exists = !this.#isTaken(file.path, file);
        return;
      case "move": {
        const path = file.path.startsWith("-home-ada/")
          ? file.path.replace("-home-ada/", "-home-bob/")
          : file.path.replace("-home-bob/", "-home-ada/");
        if (!this.#isTaken(path, file)) file.path = path;
        return;
      }
    }
  }

  #isTaken(path: string, by: WrittenFile): boolean {
    return this.#files.some((file) => file !== by && file.exists && file.path === path);
  }

  #append(file: WrittenFile, { drafts, isEnded }: Edit & { do: "append" }): void {
    const lines = drafts.flatMap((draft) => {
      this.#lastUuid += 1;
      const own = uuid(this.#lastUuid);
      const parent = this.#pickParent(file, draft.parent, own);
      const record = recordOf(draft, { uuid: own, parent, session: file.session, agent: file.agent });
      if (typeof record.uuid === "string") {
        file.uuids.push(record.uuid);
        record.gitBranch = markOf(record.uuid);
      }
      return [lineOf(record), file.lineEnd];
    });
    file.bytes = Buffer.concat([file.bytes, ...(isEnded ? lines : lines.slice(0, -1))]);
  }

  #pickParent(file: WrittenFile, pick: ParentPick, own: string): string | null {
    switch (pick.at) {
      case "none":
        return null;
      case "itself":
        return own;
      case "previous":
        return file.uuids.at(-1) ?? null;
      case "earlier":
        return file.uuids.at(-pick.by) ?? file.uuids[0] ?? null;
      case "later":
        return uuid(this.#lastUuid + pick.by);
      case "missing":
        return uuid(0xdead00 + pick.by);
      case "other file": {
        const others = this.#files.filter((other) => other !== file).flatMap(({ uuids }) => uuids);
        return others[pick.by % Math.max(1, others.length)] ?? uuid(0xdead00);
      }
    }
  }

  #changeRecord(file: WrittenFile, line: number, change: (record: Json) => Json): void {
    changeLine(file, line, (bytes) => {
      const record = parseRecord(bytes);
      return [record === null ? bytes : lineOf(change(record))];
    });
  }
}

function linesOf(bytes: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  let from = 0;
  for (;;) {
    const newline = bytes.indexOf(0x0a, from);
    if (newline === -1) return [...lines, bytes.subarray(from)];
    lines.push(bytes.subarray(from, newline));
    from = newline + 1;
  }
}

function joinLines(lines: readonly Buffer[]): Buffer {
  return Buffer.concat(lines.flatMap((line, i) => (i === 0 ? [line] : [Buffer.from("\n"), line])));
}

function changeLine(file: WrittenFile, number: number, change: (line: Buffer) => Buffer[]): void {
  const lines = linesOf(file.bytes);
  const at = number % lines.length;
  file.bytes = joinLines(lines.flatMap((line, i) => (i === at ? change(line) : [line])));
}

function parseRecord(line: Buffer): Json | null {
  try {
    const value: unknown = JSON.parse(line.toString());
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : null;
  } catch {
    return null;
  }
}

/** The same record in other bytes. */
function writtenAnew(line: Buffer, form: Form): Buffer {
  const record = parseRecord(line);
  if (record === null) return line;
  switch (form) {
    case "reversed":
      return lineOf(Object.fromEntries(Object.entries(record).reverse()));
    case "spaced":
      return lineOf(JSON.stringify(record, null, 1).replaceAll("\n", " "));
    case "escaped":
      return lineOf(
        JSON.stringify(record).replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`),
      );
  }
}
