import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { fillerAt, replaceIn, skeletonAt } from "../../src/core/skeleton.ts";
import { forgetIn, type Order } from "../../src/sync/forget.ts";
import { Model, type ModelSession, readContents } from "../model/model.ts";
import { historyArb, markOf } from "../support/arbitraries.ts";
import { dumpStore } from "../support/dump.ts";
import { type Death, dyingStore } from "../support/dying-store.ts";
import { allBytes, allRows } from "../support/secrets.ts";
import { vandalise, vandalismArb } from "../support/vandalism.ts";
import { verifyAll } from "../support/verifying.ts";
import { removeScratch, Workbench } from "../support/workbench.ts";

afterAll(removeScratch);

/** Raise it for a longer search: RIFFD_TEST_SEED=random RIFFD_TEST_RUNS=500 npx vitest run test/sync/forget-model.test.ts */
const RUNS = Number(process.env.RIFFD_TEST_RUNS ?? 15);

/** What is forgotten after a look: a message or a session, counted round. */
interface Act {
  readonly look: number;
  readonly what: "message" | "session";
  readonly pick: number;
  /** Where the first try dies, if it does. */
  readonly death: Death | null;
  /** Where the look dies before which this is done, if it does: what it had read by then is in the store. */
  readonly lookDies: Death | null;
}

const actArb: fc.Arbitrary<Act> = fc.record({
  look: fc.nat(4),
  what: fc.constantFrom("message" as const, "message" as const, "session" as const),
  pick: fc.nat(50),
  death: fc.option(fc.record({ writes: fc.nat(3), done: fc.boolean() })),
  lookDies: fc.option(fc.record({ writes: fc.nat(5), done: fc.boolean() })),
});

const limitsArb = fc.record({ bytes: fc.integer({ min: 200, max: 3000 }), rows: fc.integer({ min: 1, max: 6 }) });

test("whatever is forgotten whenever: it is gone, all else is as the model says, and the store verifies", async () => {
  await fc.assert(
    fc.asyncProperty(
      historyArb,
      fc.array(actArb, { minLength: 1, maxLength: 3 }),
      limitsArb,
      async (history, acts, limits) => {
        const bench = await Workbench.create();
        bench.stepLimits = limits;
        const model = new Model();
        const gone = new Gone();
        gone.isPartlySeen = acts.some(({ lookDies }) => lookDies !== null);
        for (const [look, snapshot] of history.entries()) {
          bench.lay(snapshot);
          for (const act of acts.filter((one) => one.look === look && one.lookDies !== null)) {
            const sessions = gone.sessions.size;
            bench.faults = dyingStore(act.lookDies!);
            await bench.sync().catch((error: Error) => expect(error.message).toBe("died"));
            bench.faults = (store) => store;
            await carryOut(bench, model, gone, act);
            expect((await verifyAll(bench)).problems).toEqual([]);
            await expectGone(bench, gone);
            // A session that stays in the middle of a look for ever is nothing that the model knows.
            if (gone.sessions.size > sessions) return;
          }
          await bench.sync();
          model.see(snapshot);
          await expectAll(bench, model, gone);
          for (const act of acts.filter((one) => one.look === look && one.lookDies === null)) {
            await carryOut(bench, model, gone, act);
            await expectAll(bench, model, gone);
          }
        }
      },
    ),
    { numRuns: RUNS },
  );
});

test("whatever is done to rows after that, a forced sync heals them, and brings nothing back", async () => {
  await fc.assert(
    fc.asyncProperty(
      historyArb,
      fc.array(actArb, { minLength: 1, maxLength: 3 }),
      vandalismArb,
      limitsArb,
      async (history, acts, vandalism, limits) => {
        const bench = await Workbench.create();
        bench.stepLimits = limits;
        const model = new Model();
        const gone = new Gone();
        // Every verdict follows from what is there once all files are quiet.
        const last = history.at(-1)!.map((look) => ({ ...look, quiet: true }));
        for (const [look, snapshot] of [...history, last].entries()) {
          bench.lay(snapshot);
          await bench.sync();
          model.see(snapshot);
          for (const act of acts.filter((one) => one.look === look)) await carryOut(bench, model, gone, act);
        }
        await expectAll(bench, model, gone);
        await vandalise(bench, vandalism);
        await bench.sync({ force: true });
        await expectAll(bench, model, gone);
      },
    ),
    { numRuns: RUNS },
  );
});

/** What was forgotten so far. */
class Gone {
  readonly messages = new Set<string>();
  readonly sessions = new Set<string>();

  /** A look that died may have logged its changes before something was forgotten; the model sees it afterwards. */
  isPartlySeen = false;

  mayHaveSeen({ event_type, message_uuid }: ModelSession["events"][number]): boolean {
    return this.isPartlySeen && event_type === "content_updated" && this.messages.has(message_uuid ?? "");
  }
}

async function carryOut(bench: Workbench, model: Model, gone: Gone, act: Act): Promise<void> {
  const left = model.sessions().filter(({ session_id }) => !gone.sessions.has(session_id));
  if (act.what === "session") {
    const chosen = left[act.pick % left.length]?.session_id;
    if (chosen === undefined) return;
    const ids = left.map(({ session_id }) => session_id).filter((id) => id === chosen || id.startsWith(`${chosen}/`));
    await forget(bench, ids, { messages: null, reason: "a wish" }, act.death);
    model.forgetSession(chosen);
    for (const id of ids) gone.sessions.add(id);
  } else {
    const uuids = left.flatMap(({ messages }) => messages.map(({ message_uuid }) => message_uuid));
    const chosen = uuids[act.pick % uuids.length];
    if (chosen === undefined || gone.messages.has(chosen)) return;
    const ids = await bench.store.sessionsWithMessage(chosen);
    await forget(bench, ids, { messages: new Set([chosen]), reason: "a leak" }, act.death);
    model.forget(chosen);
    gone.messages.add(chosen);
  }
}

/** With a death, the first try ends with it; what was done until then verifies. Doing it a last time does nothing. */
async function forget(bench: Workbench, ids: readonly string[], order: Order, death: Death | null): Promise<void> {
  const inAll = async () => {
    for (const id of ids) await forgetIn(bench.context, id, order);
  };
  if (death !== null) {
    bench.faults = dyingStore(death);
    await inAll().catch((error: Error) => expect(error.message).toBe("died"));
    bench.faults = (store) => store;
    expect((await verifyAll(bench)).problems).toEqual([]);
  }
  await inAll();
  const heads = await bench.store.chainHeads();
  await inAll();
  expect(await bench.store.chainHeads()).toEqual(heads);
}

async function expectAll(bench: Workbench, model: Model, gone: Gone): Promise<void> {
  const found = await dumpStore(bench.store);
  const left = (id: string) =>
    model.leftOf(id, (kind, offset, bytes) =>
      replaceIn(bytes, offset, [kind === "value" ? skeletonAt(offset, bytes) : fillerAt(offset, bytes.length)]),
    );
  const told = (session: ModelSession, archived: Buffer) => ({
    ...session,
    archived: archived.toString("latin1"),
    events: session.events.filter((event) => !gone.mayHaveSeen(event)),
  });
  expect(found.map((session) => told(session, session.archived))).toEqual(
    model.sessions().map((session) => told(session, left(session.session_id))),
  );
  expect((await verifyAll(bench)).problems).toEqual([]);
  await expectGone(bench, gone);
}

/** In no row, and in no bytes but unreadable ones of sessions that were not forgotten. */
async function expectGone(bench: Workbench, { messages, sessions }: Gone): Promise<void> {
  const marks = [...messages].map(markOf);
  const rows = await allRows(bench);
  const isMarked = (text: string) => marks.some((mark) => text.includes(mark));
  expect(rows.filter(isMarked)).toEqual([]);
  for (const { sessionId, bytes } of await allBytes(bench)) {
    if (sessions.has(sessionId)) expect(bytes.includes("mark-")).toBe(false);
    const { values } = readContents(bytes);
    const texts = values.map(({ offset, length }) => bytes.toString("utf8", offset, offset + length));
    expect(texts.filter(isMarked)).toEqual([]);
  }
}
