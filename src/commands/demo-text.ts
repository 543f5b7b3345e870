// What the demo says: before an act what happens, after it what was found in the store, and why that matters.
import { join } from "node:path";
import type { ActName, DemoFacts, Wrong } from "../demo/facts.ts";
import { formatBytes, formatCount, formatScore, oneLine, plural } from "./output.ts";
import { shellWord } from "./shell.ts";
import type { Style } from "./style.ts";

interface Text<Facts> {
  before(style: Style): string[];
  after(facts: Facts, style: Style): string[];
}

/** Characters of a first prompt that fit. */
const PROMPT = 48;

export const TEXTS: { readonly [Name in ActName]: Text<DemoFacts[Name]> } = {
  live: {
    before: ({ heading }) => ["", heading("Claude writes two sessions, line by line.")],
    after: ({ sessions, message_added, median_ms }, style) => [
      ...sessions.map(({ session_id, messages, prompt }) =>
        good(
          style,
          `${short(session_id)}  ${plural(messages, "message")}  ${style.quiet(`“${oneLine(prompt, PROMPT)}”`)}`,
        ),
      ),
      why(
        style,
        `${formatCount(message_added)} were logged as they came, ${formatCount(median_ms)} ms after they were written (median).`,
      ),
    ],
  },
  torn: {
    before: ({ heading }) => ["", heading("A line is torn: half of it is there, and nothing more comes.")],
    after: ({ messages, unreadable, unreadable_bytes, corruption_score }, style) => [
      bad(
        style,
        `${plural(messages, "message")}, and ${plural(unreadable, "unreadable piece")} of ${plural(unreadable_bytes, "byte")} · corruption ${formatScore(corruption_score)}`,
      ),
      why(style, "It is kept as it is: half a line is no message, but it may become one."),
    ],
  },
  completed: {
    before: ({ heading }) => [heading("The other half comes, and the end of the session.")],
    after: ({ title, messages, score_before, score_after }, style) => [
      good(style, `${plural(messages, "message")} · corruption_fixed ${change(score_before, score_after)}`),
      why(style, `Nothing of “${oneLine(title ?? "", PROMPT)}” was lost, and the log tells of it.`),
    ],
  },
  broken: {
    before: ({ heading }) => ["", heading("A tool rewrites the file, and a message's parent is not there any more.")],
    after: ({ cut_off, conversation, corruption_score }, style) => [
      bad(
        style,
        `${formatCount(cut_off)} of ${plural(conversation, "record")} cut off · corruption ${formatScore(corruption_score)}`,
      ),
      why(style, "`claude --resume` cannot reach them; riffd has them, and names them."),
    ],
  },
  repaired: {
    before: ({ heading }) => [heading("It is repaired.")],
    after: ({ parent_before, parent_after, score_before, score_after }, style) => [
      good(style, `parent_repaired ${short(parent_before)} → ${short(parent_after)}`),
      good(style, `corruption_fixed ${change(score_before, score_after)}`),
      why(style, "Immutable events: who, when, from what, to what, with the bytes of both."),
    ],
  },
  killed: {
    before: ({ heading }) => ["", heading("kill -9: the daemon dies in the middle of a session. Claude writes on.")],
    after: ({ messages, cut_off, conversation, unreadable, corruption_score }, style) => [
      good(style, `started again: ${plural(messages, "message")}, none missing, none twice`),
      bad(
        style,
        `${formatCount(cut_off)} of ${plural(conversation, "record")} cut off, ${plural(unreadable, "unreadable piece")} · corruption ${formatScore(corruption_score)}`,
      ),
      why(style, "The kill did no harm. Claude left this file so, and riffd names the damage."),
    ],
  },
  deleted: {
    before: ({ heading }) => ["", heading("The first transcript is deleted. riffd gives it back.")],
    after: ({ given_back, earlier }, style) => [
      good(style, `the last version:   ${exported(given_back)}`),
      good(style, `the broken version: ${exported(earlier)}`),
      why(style, "Byte for byte: the same SHA-256 as the files had."),
    ],
  },
  proved: {
    before: ({ heading }) => ["", heading("riffd verify proves all of it, from the first commit on.")],
    after: ({ proof: { sessions, messages, bytes, commits, events } }, style) => [
      good(
        style,
        [
          plural(sessions, "session"),
          plural(messages, "message"),
          formatBytes(bytes),
          plural(commits, "commit"),
          plural(events, "event"),
        ].join(", "),
      ),
      why(style, "Hash chain, events, rows and archived bytes are what riffd wrote."),
    ],
  },
};

export function openingLines(folder: string, keep: boolean, { heading, quiet }: Style): string[] {
  return [
    heading("riffd demo: the real daemon, two sessions, and what can happen to them."),
    quiet(`It happens in ${folder}, ${keep ? "which is kept" : "which is removed at the end"}.`),
    quiet("Every number is read back from the store by another process."),
  ];
}

/** Where it is, and how to look at what is in it. */
export function keptLines(folder: string, program: string): string[] {
  return [
    `Kept: ${folder}`,
    `Look at its store: RIFFD_STATE_DIR=${shellWord(join(folder, "state"))} ${program} events`,
  ];
}

export function closingLines(program: string, { heading }: Style): string[] {
  return ["", `Now with your own sessions: ${heading(`${program} start`)}`];
}

export function wrongLines(wrong: readonly Wrong[], { bad }: Style): string[] {
  return wrong.map(
    ({ what, found, expected }) =>
      `  ${bad("✗")} ${what}: ${JSON.stringify(found)}, and must be ${JSON.stringify(expected)}`,
  );
}

function good({ good: green }: Style, text: string): string {
  return `  ${green("✓")} ${text}`;
}

function bad({ warn }: Style, text: string): string {
  return `  ${warn("!")} ${text}`;
}

function why({ quiet }: Style, text: string): string {
  return quiet(`    ${text}`);
}

function change(before: number, after: number): string {
  return `${formatScore(before)} → ${formatScore(after)}`;
}

function exported({ bytes, sha256 }: DemoFacts["deleted"]["earlier"]): string {
  return `${plural(bytes, "byte")}, sha256 ${sha256.slice(0, 16)}…`;
}

/** What names a session, or a message, wherever riffd asks for one. */
function short(uuid: string): string {
  return uuid.slice(0, 8);
}
