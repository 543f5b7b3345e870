// All text of a record, never cut, with what each part of it is: so that what people wrote and were answered can be
// told apart from tool output and thinking. What is no text (images, encrypted thinking) stays in the archived bytes.
import { compactJson } from "./canonical.ts";

/** `text`: prompts and answers. `thinking`, `tool_use`, `tool_result`: as Claude Code's blocks. The rest: by record. */
export type ContentKind =
  | "text"
  | "thinking"
  | "tool_use"
  | "tool_result"
  | "summary"
  | "title"
  | "prompt"
  | "system"
  | "progress"
  | "attachment"
  | "other";

export interface Content {
  /** The parts joined with one newline. */
  readonly text: string;
  /** The parts in order; `length` in Unicode code points, as SurrealQL's `string::slice` counts. */
  readonly parts: readonly { readonly kind: ContentKind; readonly length: number }[];
}

type Json = Readonly<Record<string, unknown>>;
type Part = readonly [ContentKind, string];

const NO_CONTENT: Content = { text: "", parts: [] };

/** The content of a record of any type. Well-formed Unicode: lone surrogates become U+FFFD. */
export function contentOf(record: Json): Content {
  const parts = partsOf(record).filter(([, text]) => text !== "");
  if (parts.length === 0) return NO_CONTENT;
  return {
    text: parts.map(([, text]) => text).join("\n"),
    parts: parts.map(([kind, text]) => ({ kind, length: codePoints(text) })),
  };
}

function partsOf(record: Json): Part[] {
  const { message, content, type } = record;
  if (isObject(message)) return blocks(message.content);
  if (type === "system") {
    if (typeof content === "string") return [["system", wellFormed(content)]];
    return ["error", "hookErrors", "stopReason"].map((key): Part => ["system", textOf(record[key])]);
  }
  if (isObject(record.data)) return [["progress", textOf(record.data)]];
  if (isObject(record.attachment)) return [["attachment", textOf(record.attachment)]];
  return [
    ["summary", stringOf(record.summary)],
    ["title", stringOf(record.customTitle ?? record.aiTitle)],
    ["prompt", stringOf(record.lastPrompt)],
    [type === "queue-operation" ? "prompt" : "other", resultText(content)],
  ];
}

function blocks(content: unknown): Part[] {
  if (typeof content === "string") return [["text", wellFormed(content)]];
  if (!Array.isArray(content)) return [];
  return content.map(block);
}

function block(value: unknown): Part {
  if (typeof value === "string") return ["text", wellFormed(value)];
  if (!isObject(value)) return ["other", textOf(value)];
  switch (value.type) {
    case "text":
      return ["text", stringOf(value.text)];
    case "thinking":
      return ["thinking", stringOf(value.thinking)];
    case "image":
    case "redacted_thinking":
      return ["other", ""];
    case "document":
      return ["other", stringOf(isObject(value.source) && value.source.type === "text" ? value.source.data : "")];
    default:
      break;
  }
  if (typeof value.type === "string" && value.type.endsWith("tool_use")) {
    return ["tool_use", join([stringOf(value.name), textOf(value.input)])];
  }
  if (typeof value.type === "string" && value.type.endsWith("tool_result")) {
    return ["tool_result", resultText(value.content)];
  }
  return ["other", textOf(value)];
}

function resultText(content: unknown): string {
  if (!Array.isArray(content)) return textOf(content);
  return join(content.map((item) => (isObject(item) ? block(item)[1] : textOf(item))));
}

/** Text for people and for search: an object as lines `key: value`, strings as they are, what lies deeper as JSON. */
function textOf(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "string") return wellFormed(value);
  if (Array.isArray(value)) {
    return value.every((item) => typeof item === "string")
      ? wellFormed(value.join("\n"))
      : wellFormed(compactJson(value));
  }
  if (!isObject(value)) return String(value);
  const lines = Object.entries(value).map(
    ([key, item]) => `${key}: ${typeof item === "string" ? item : compactJson(item)}`,
  );
  return wellFormed(lines.join("\n"));
}

function stringOf(value: unknown): string {
  return typeof value === "string" ? wellFormed(value) : "";
}

function wellFormed(text: string): string {
  return text.isWellFormed() ? text : text.toWellFormed();
}

function join(texts: string[]): string {
  return texts.filter((text) => text !== "").join("\n");
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** How many code points a well-formed string has. */
export function codePoints(text: string): number {
  let pairs = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 0xd800 && unit <= 0xdbff) pairs++;
  }
  return text.length - pairs;
}
