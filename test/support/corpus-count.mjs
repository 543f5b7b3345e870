#!/usr/bin/env node
// Counts what is in a tree of transcripts, plainly and slowly, with nothing of riffd's own code: the second opinion that
// the corpus test compares riffd with. Usage: corpus-count.mjs PROJECTS_DIR → JSON, one entry for each .jsonl file.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join, relative, sep } from "node:path";

const root = process.argv[2];
const files = readdirSync(root, { recursive: true })
  .map((name) => join(root, name))
  .filter((path) => path.endsWith(".jsonl") && basename(path) !== "journal.jsonl" && statSync(path).isFile())
  .sort()
  .map(readTranscript);

/** uuid → paths of the files that hold it. */
const holders = new Map();
for (const file of files) {
  for (const { uuid } of file.messages) {
    if (!holders.has(uuid)) holders.set(uuid, new Set());
    holders.get(uuid).add(file.path);
  }
}
const stems = new Set(files.filter((file) => !file.isAgent).map((file) => file.stem));
process.stdout.write(`${JSON.stringify(files.map(judge))}\n`);

function readTranscript(path) {
  const messages = [];
  let records = 0;
  let pieces = 0;
  // One byte, one character: U+2028 and broken UTF-8 do not matter to where a line or an object ends.
  for (const line of readFileSync(path, "latin1").split("\n")) {
    const { objects, torn } = objectsOf(line);
    pieces += torn;
    for (const object of objects) {
      if (typeof object.uuid !== "string" || object.uuid === "") records++;
      else messages.push({ uuid: object.uuid, parent: object.parentUuid || null, json: object });
    }
  }
  const parts = relative(root, path).split(sep);
  const stem = basename(path, ".jsonl");
  const subagents = parts.indexOf("subagents");
  return {
    path,
    stem,
    isAgent: stem.startsWith("agent-"),
    isService: /^agent-[A-Za-z_]+-/.test(stem),
    parent: subagents > 0 ? parts[subagents - 1] : null,
    messages,
    records,
    pieces,
  };
}

/** The whole objects on a line, and how many stretches of it belong to none. */
function objectsOf(line) {
  const text = line.trim();
  if (text === "") return { objects: [], torn: 0 };
  try {
    const value = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return { objects: [value], torn: 0 };
  } catch {
    // more, or less, than one object
  }
  const objects = [];
  let torn = 0;
  let inTorn = false;
  for (let at = 0; at < text.length; ) {
    if (!inTorn && /\s/.test(text[at])) {
      at++;
      continue;
    }
    const end = text[at] === "{" ? endOfObject(text, at) : -1;
    const object = end < 0 ? null : parse(text.slice(at, end));
    if (object !== null && (!inTorn || looksLikeRecord(object))) {
      objects.push(object);
      inTorn = false;
      at = end;
      continue;
    }
    if (!inTorn) torn++;
    inTorn = true;
    at++;
  }
  return { objects, torn };
}

/** Past the brace that closes the one at `start`, by counting braces outside of strings; -1: none does. */
function endOfObject(text, start) {
  let depth = 0;
  let inString = false;
  for (let at = start; at < text.length; at++) {
    const char = text[at];
    if (inString) {
      if (char === "\\") at++;
      else if (char === '"') inString = false;
    } else if (char === '"') inString = true;
    else if (char === "{" || char === "[") depth++;
    else if (char === "}" || char === "]") {
      depth--;
      if (depth === 0) return at + 1;
    }
  }
  return -1;
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function looksLikeRecord({ type, sessionId, leafUuid, uuid, parentUuid, messageId }) {
  if (typeof type !== "string") return false;
  if (typeof sessionId === "string" || typeof leafUuid === "string") return true;
  return (
    (typeof uuid === "string" && parentUuid !== undefined) ||
    (type === "file-history-snapshot" && typeof messageId === "string")
  );
}

function judge(file) {
  const first = new Map();
  let repeatedConversation = 0;
  let repeated = 0;
  for (const message of file.messages) {
    const before = first.get(message.uuid);
    if (before === undefined) first.set(message.uuid, message);
    else if (before.parent !== message.parent) {
      repeated++;
      if (talks(message)) repeatedConversation++;
    }
  }
  // A phantom's parent is nowhere, or in another session that this one has no right to point into.
  const isPhantom = (message) => {
    if (message.parent === null || first.has(message.parent)) return false;
    const elsewhere = [...(holders.get(message.parent) ?? [])].some((path) => path !== file.path);
    return !(elsewhere && (message === file.messages[0] || file.isAgent));
  };
  const excused = file.isService && (file.parent === null || !stems.has(file.parent));
  const phantoms = [];
  let cutOff = repeatedConversation;
  for (const message of file.messages) {
    if (!isPhantom(message)) continue;
    if (first.get(message.uuid) !== message) {
      phantoms.push({ uuid: message.uuid, later: true });
      continue;
    }
    const below = conversationBelow(message, first);
    const cuts = message === file.messages[0] || excused ? 0 : below;
    cutOff += cuts;
    const { data } = message.json;
    phantoms.push({ uuid: message.uuid, later: false, cutOff: cuts, hook: data?.hookEvent ?? null, below });
  }
  const cycles = cyclesOf(first);
  for (const cycle of cycles) cutOff += conversationBelow(cycle, first);
  return {
    path: relative(root, file.path),
    messages: file.messages.length,
    records: file.records,
    conversation: file.messages.filter(talks).length,
    pieces: file.pieces,
    phantoms,
    cutOff,
    clean:
      file.pieces === 0 && repeated === 0 && cycles.length === 0 && phantoms.every((phantom) => phantom.cutOff === 0),
  };
}

function talks({ json }) {
  return json.type === "user" || json.type === "assistant";
}

/** Conversation records among a message and its descendants, told by walking down from it. */
function conversationBelow(top, first) {
  const children = new Map();
  for (const message of first.values()) {
    if (!children.has(message.parent)) children.set(message.parent, []);
    children.get(message.parent).push(message);
  }
  const seen = new Set();
  const waiting = [top];
  let count = 0;
  while (waiting.length > 0) {
    const message = waiting.pop();
    if (seen.has(message)) continue;
    seen.add(message);
    if (talks(message)) count++;
    waiting.push(...(children.get(message.uuid) ?? []));
  }
  return count;
}

/** One message of each cycle. */
function cyclesOf(first) {
  const found = [];
  const done = new Set();
  for (const start of first.values()) {
    const path = new Set();
    let message = start;
    while (message !== undefined && !path.has(message) && !done.has(message)) {
      path.add(message);
      message = first.get(message.parent);
    }
    if (message !== undefined && path.has(message)) found.push(message);
    for (const passed of path) done.add(passed);
  }
  return found;
}
