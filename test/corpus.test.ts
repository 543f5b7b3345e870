// Real transcripts, where they are at hand: healthy ones score 0, real breaks are found, and a second opinion agrees.
import { execFileSync } from "node:child_process";
import { appendFileSync, readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ModelSession } from "./model/model.ts";
import { CORPUS, hasCorpus, makeHome } from "./support/corpus.ts";
import { dumpSession } from "./support/dump.ts";
import { removeScratch, scratchFolder, Workbench } from "./support/workbench.ts";

afterAll(removeScratch);

const COUNT = fileURLToPath(new URL("./support/corpus-count.mjs", import.meta.url));

/** What the counting script says of a file. */
interface Counted {
  readonly path: string;
  readonly messages: number;
  readonly records: number;
  readonly conversation: number;
  readonly pieces: number;
  readonly phantoms: readonly {
    readonly uuid: string;
    /** A later occurrence, which hangs nowhere. */
    readonly later: boolean;
    readonly cutOff?: number;
    readonly hook?: string | null;
    readonly below?: number;
  }[];
  readonly cutOff: number;
  readonly clean: boolean;
}

/** The counts of a session in the script's terms. */
function counted(path: string, session: ModelSession): object {
  return {
    path,
    messages: session.message_count,
    records: session.record_count,
    conversation: session.conversation_count,
    pieces: session.unreadable_count,
    phantoms: session.messages.filter(({ is_orphaned }) => is_orphaned).map(({ message_uuid }) => message_uuid),
    cutOff: session.cut_off_count,
  };
}

test("there are real transcripts to test with", ({ skip }) => {
  skip(!hasCorpus, `there are none at ${CORPUS}`);
  expect(readdirSync(CORPUS).length).toBeGreaterThan(0);
});

describe.runIf(hasCorpus)("real transcripts", () => {
  const sessions = new Map<string, ModelSession>();
  let files: Counted[] = [];

  beforeAll(async () => {
    const projects = makeHome(scratchFolder());
    const counts = execFileSync(process.execPath, [COUNT, projects], { maxBuffer: 1 << 28 });
    files = JSON.parse(counts.toString()) as Counted[];
    const bench = await Workbench.create({ root: projects });
    await bench.sync();
    for (const { path, session_id } of await bench.store.sources("host")) {
      const session = await dumpSession(bench.store, session_id);
      const bytes = readFileSync(path);
      // The bytes are compared here, so that no failure can ever print them.
      expect([session_id, session.archived.equals(bytes)]).toEqual([session_id, true]);
      sessions.set(path.slice(projects.length + 1), { ...session, archived: Buffer.alloc(0) });
    }
  }, 300_000);

  test("are all there, one session for each file", () => {
    expect([...sessions.keys()].sort()).toEqual(files.map(({ path }) => path).sort());
  });

  test("hold the messages, records, phantoms, cut off records and pieces that a second opinion counts", () => {
    for (const { path, messages, records, conversation, pieces, phantoms, cutOff } of files) {
      const uuids = phantoms.map(({ uuid }) => uuid);
      expect(counted(path, sessions.get(path)!)).toEqual({
        path,
        messages,
        records,
        conversation,
        pieces,
        phantoms: uuids,
        cutOff,
      });
    }
  });

  test("score exactly 0 where they are clean, and above 0 where they are not", () => {
    const clean = files.filter((file) => file.clean);
    expect(clean.length).toBeGreaterThan(files.length / 2);
    for (const { path, clean: isClean } of files) {
      const score = sessions.get(path)!.corruption_score;
      expect([path, isClean ? score : score > 0]).toEqual([path, isClean ? 0 : true]);
    }
  });

  test("that broke at a Stop hook name the break and how many records it cuts off", () => {
    const breaks = files.flatMap(({ path, phantoms }) =>
      phantoms.filter(({ hook, below }) => hook === "Stop" && (below ?? 0) > 0).map((phantom) => ({ path, phantom })),
    );
    expect(breaks.length).toBeGreaterThan(0);
    for (const { path, phantom } of breaks) {
      const session = sessions.get(path)!;
      expect(session.corruption_score).toBeGreaterThan(0);
      expect(session.faults.find(({ message_uuid }) => message_uuid === phantom.uuid)).toMatchObject({
        kind: "phantom",
        cut_off: phantom.below,
        note: false,
      });
    }
  });

  test("in which a hook alone lost its parent have a note of it and no score for it", () => {
    const leaves = files.flatMap(({ path, phantoms }) =>
      phantoms.filter(({ hook, below }) => hook != null && below === 0).map(({ uuid }) => ({ path, uuid })),
    );
    expect(leaves.length).toBeGreaterThan(0);
    for (const { path, uuid } of leaves) {
      const session = sessions.get(path)!;
      const fault = session.faults.find(({ message_uuid }) => message_uuid === uuid);
      expect([path, fault?.kind, fault?.cut_off, fault?.note]).toEqual([path, "phantom", 0, true]);
      expect(session.messages.find(({ message_uuid }) => message_uuid === uuid)?.corruption_score).toBe(0);
    }
  });
});

describe.runIf(hasCorpus)("a session that was saved at several moments", () => {
  const grown = !hasCorpus
    ? []
    : (readdirSync(CORPUS, { recursive: true }) as string[])
        .filter((name) => name.split(sep).includes("_growth") && name.endsWith(".jsonl"))
        .reduce((bySession, name) => {
          const folder = name.slice(0, name.lastIndexOf(sep));
          return bySession.set(folder, [...(bySession.get(folder) ?? []), join(CORPUS, name)].sort());
        }, new Map<string, string[]>());

  test.each([...grown])(
    "%s: reading each stage as it came ends as reading the last at once",
    async (folder, stages) => {
      const path = `-p/${folder.slice(folder.lastIndexOf(sep) + 1)}.jsonl`;
      const bytes = stages.map((stage) => readFileSync(stage));
      const step = await Workbench.create();
      const file = step.write(path, Buffer.alloc(0), false);
      writeFileSync(file, bytes[0]!);
      for (const [i, stage] of bytes.entries()) {
        if (i > 0) appendFileSync(file, stage.subarray(bytes[i - 1]!.length));
        if (i === bytes.length - 1) {
          const hourAgo = Date.now() / 1000 - 3600;
          utimesSync(file, hourAgo, hourAgo);
        }
        await step.sync();
      }
      const once = await Workbench.create();
      once.write(path, bytes.at(-1)!);
      await once.sync();
      const [id] = await once.store.sessionIds();
      const [stepped, whole] = [await dumpSession(step.store, id!), await dumpSession(once.store, id!)];
      expect(stepped.archived.equals(whole.archived)).toBe(true);
      const comparable = ({ events: _, archived: __, ...rest }: ModelSession) => rest;
      expect(comparable(stepped)).toEqual(comparable(whole));
      expect(stepped.generation).toBe(1);
      expect(whole.events).toEqual([]);
      // What the first stage held is import, also what of it was read later because its last line was not ended.
      const added = whole.messages.filter(({ offset, length }) => offset + length > bytes[0]!.length);
      expect(stepped.events.map(({ event_type, message_uuid }) => [event_type, message_uuid])).toEqual(
        added.map(({ message_uuid }) => ["message_added", message_uuid]),
      );
    },
  );
});
