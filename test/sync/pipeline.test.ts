import { appendFileSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, test, vi } from "vitest";
import { systemClock } from "../../src/runtime/system-clock.ts";
import { discover, transcriptAt } from "../../src/source/discover.ts";
import { localFiles } from "../../src/source/transcript-file.ts";
import { Chosen } from "../../src/sync/chosen.ts";
import type { Clock } from "../../src/sync/clock.ts";
import { Pipeline, type PipelineListener, type PipelineOptions, type Timing } from "../../src/sync/pipeline.ts";
import type { SessionReport } from "../../src/sync/sync.ts";
import { Model, type ModelSession, type Snapshot } from "../model/model.ts";
import { historyArb } from "../support/arbitraries.ts";
import { assistantMessage, chain, type Json, jsonl, userMessage, uuid } from "../support/builders.ts";
import { dumpStore } from "../support/dump.ts";
import { dyingStore } from "../support/dying-store.ts";
import { verifyAll } from "../support/verifying.ts";
import { removeScratch, Workbench } from "../support/workbench.ts";

afterAll(removeScratch);

/** Raise it for a longer search: RIFFD_TEST_SEED=random RIFFD_TEST_RUNS=500 npx vitest run test/sync/pipeline.test.ts */
const RUNS = Number(process.env.RIFFD_TEST_RUNS ?? 15);

const TIMING: Timing = {
  debounceMs: 5,
  debounceMaxMs: 50,
  rescanMs: 3_600_000,
  graceMs: 5,
  settleMs: 3_600_000,
  retryMs: 5,
  retryMaxMs: 20,
  retries: 2,
};

/** A pipeline over a workbench, and what it told. */
class Running implements PipelineListener {
  readonly pipeline: Pipeline;
  readonly interrupt = new AbortController();
  readonly reports: SessionReport[] = [];
  readonly failures: { path: string; error: Error; nextMs: number | null }[] = [];
  readonly recoveries: string[] = [];
  plannedPaths: string[] = [];
  readonly triedPaths: string[] = [];
  readonly caughtUps: (readonly string[])[] = [];
  fatalError: Error | null = null;
  readonly #bench: Workbench;

  constructor(
    bench: Workbench,
    timing: Partial<Timing> = {},
    quietMs = 60_000,
    others: Partial<Pick<PipelineOptions, "clock" | "chosen">> = {},
  ) {
    this.#bench = bench;
    this.pipeline = new Pipeline({
      context: { ...bench.context, quietMs, signal: this.interrupt.signal, operator: "daemon" },
      files: localFiles,
      clock: systemClock,
      listener: this,
      discover: () => discover([bench.root]),
      transcriptAt: (path) => transcriptAt(bench.root, path),
      chosen: null,
      timing: { ...TIMING, ...timing },
      forceSessions: new Set(),
      ...others,
    });
  }

  static async start(bench: Workbench, timing: Partial<Timing> = {}, quietMs?: number): Promise<Running> {
    const running = new Running(bench, timing, quietMs);
    await running.pipeline.start();
    return running;
  }

  planned(files: readonly { path: string }[]): void {
    this.plannedPaths = files.map(({ path }) => path);
  }
  synced(report: SessionReport): void {
    this.reports.push(report);
  }
  failed({ path }: { path: string }, error: Error, nextMs: number | null): void {
    this.failures.push({ path, error, nextMs });
  }
  recovered({ path }: { path: string }): void {
    this.recoveries.push(path);
  }
  tried(path: string): void {
    this.triedPaths.push(path);
  }
  caughtUp(unread: readonly string[]): void {
    this.caughtUps.push(unread);
  }
  fatal(error: Error): void {
    this.fatalError = error;
  }

  /** All is done that can be done; throws what stopped it. */
  async idle(): Promise<void> {
    await Promise.race([
      this.pipeline.whenIdle(),
      vi.waitUntil(() => this.fatalError !== null, { timeout: 100_000, interval: 20 }),
    ]);
    if (this.fatalError !== null) throw this.fatalError;
  }

  /** Tells what the watcher would of one file, and waits for what comes of it. */
  async change(path: string): Promise<void> {
    this.pipeline.changed(path);
    await this.idle();
  }

  statusesOf(path: string): string[] {
    return this.reports.filter((report) => report.path === path).map(({ status }) => status);
  }

  get bench(): Workbench {
    return this.#bench;
  }
}

/** What waits for something that a test says. */
function gate(): { opened: Promise<void>; open: () => void } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}

/** Bytes as text, so that a difference can be read. */
function readable(sessions: readonly ModelSession[]) {
  return sessions.map((session) => ({ ...session, archived: session.archived.toString("latin1") }));
}

async function expectModel(bench: Workbench, model: Model): Promise<void> {
  expect(readable(await dumpStore(bench.store))).toEqual(readable(model.sessions()));
}

function isContested(history: readonly Snapshot[]): boolean {
  const model = new Model();
  for (const snapshot of history) model.see(snapshot);
  return model.sessions().some(({ session_id }) => session_id.includes("@"));
}

/** Paths that differ between two snapshots. */
function differing(bench: Workbench, before: Snapshot, after: Snapshot): string[] {
  const told = (snapshot: Snapshot) =>
    new Map(snapshot.map(({ path, bytes, quiet }) => [path, `${quiet} ${bytes.toString("latin1")}`]));
  const [was, is] = [told(before), told(after)];
  const paths = new Set([...was.keys(), ...is.keys()]);
  return [...paths].filter((path) => was.get(path) !== is.get(path)).map((path) => join(bench.root, path));
}

describe("any history of files", () => {
  test("leaves the store as the model says, where scans find what has changed", async () => {
    await fc.assert(
      fc.asyncProperty(historyArb, async (history) => {
        const bench = await Workbench.create();
        const model = new Model();
        const [first, ...others] = history;
        bench.lay(first!);
        const running = await Running.start(bench);
        await running.idle();
        model.see(first!);
        await expectModel(bench, model);
        for (const snapshot of others) {
          bench.lay(snapshot);
          await running.pipeline.rescan();
          await running.idle();
          model.see(snapshot);
          await expectModel(bench, model);
        }
        await running.pipeline.drain();
        expect((await verifyAll(bench)).problems).toEqual([]);
      }),
      { numRuns: RUNS },
    );
  });

  test("leaves the store as the model says, where the watcher tells what has changed", async () => {
    await fc.assert(
      fc.asyncProperty(historyArb, async (history) => {
        // Ids of files with one stem go to those who came first: here that is nobody's choice.
        if (isContested(history)) return;
        const bench = await Workbench.create();
        const model = new Model();
        const running = await Running.start(bench);
        let before: Snapshot = [];
        for (const snapshot of history) {
          bench.lay(snapshot);
          for (const path of differing(bench, before, snapshot).sort()) running.pipeline.changed(path);
          await running.idle();
          model.see(snapshot);
          await expectModel(bench, model);
          before = snapshot;
        }
        await running.pipeline.drain();
        expect((await verifyAll(bench)).problems).toEqual([]);
      }),
      { numRuns: RUNS },
    );
  });

  test("is taken up where a process that died has left it", async () => {
    const deathArb = fc.array(fc.record({ writes: fc.nat(8), done: fc.boolean() }), { minLength: 1, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(historyArb, deathArb, async (history, deaths) => {
        const bench = await Workbench.create();
        const last = history.at(-1)!;
        for (const [i, snapshot] of history.entries()) {
          bench.lay(snapshot);
          const death = deaths[i];
          if (death !== undefined) bench.faults = dyingStore(death);
          const dying = new Running(bench);
          await dying.pipeline.start().catch(() => {});
          await dying.idle().catch(() => {});
          await dying.pipeline.drain();
          bench.faults = (store) => store;
          const next = await Running.start(bench);
          await next.idle();
          await next.pipeline.drain();
        }
        const present = (await dumpStore(bench.store)).filter(({ state }) => state === "live");
        const model = new Model();
        for (const snapshot of history) model.see(snapshot);
        const expected = model.sessions().filter(({ state }) => state === "live");
        const bytes = (sessions: readonly ModelSession[]) =>
          sessions.map(({ session_id, archived, messages, session_hash }) => [
            session_id,
            archived.toString("latin1"),
            messages.length,
            session_hash,
          ]);
        expect(last.length).toBeGreaterThanOrEqual(0);
        expect(bytes(present)).toEqual(bytes(expected));
        expect((await verifyAll(bench)).problems).toEqual([]);
      }),
      { numRuns: RUNS },
    );
  });
});

describe("a live file", () => {
  const path = (bench: Workbench, name = "s") => join(bench.root, "-p", `${name}.jsonl`);
  const [a, b, c] = chain(3);

  /** Appends without a pause, and tells it. */
  function append(file: string, ...records: Json[]): void {
    mkdirSync(dirname(file), { recursive: true });
    appendFileSync(file, jsonl(...records));
  }

  test("is read as soon as it has been quiet for the time of the debounce, and settled when it is quiet", async () => {
    const bench = await Workbench.create();
    const running = await Running.start(bench, {}, 300);
    append(path(bench), a!);
    await running.change(path(bench));
    expect(running.statusesOf(path(bench))).toEqual(["imported"]);
    append(path(bench), b!, c!);
    await running.change(path(bench));
    expect(running.statusesOf(path(bench)).slice(0, 2)).toEqual(["imported", "appended"]);
    await vi.waitFor(() => expect(running.statusesOf(path(bench))).toContain("settled"), { timeout: 20_000 });
    expect(running.pipeline.status().live).toEqual([]);
    await running.pipeline.drain();
  });

  test("that is written to without a pause is read all the same", async () => {
    const bench = await Workbench.create();
    const running = await Running.start(bench, { debounceMs: 60_000, debounceMaxMs: 20 });
    append(path(bench), a!);
    running.pipeline.changed(path(bench));
    await vi.waitFor(() => {
      running.pipeline.changed(path(bench));
      expect(running.statusesOf(path(bench))).toEqual(["imported"]);
    });
    await running.pipeline.drain();
  });

  test("that moves to another project stays the same session", async () => {
    const bench = await Workbench.create();
    const running = await Running.start(bench, { graceMs: 1_000 });
    const [from, to] = [path(bench), join(bench.root, "-q", "s.jsonl")];
    append(from, a!, b!);
    await running.change(from);
    mkdirSync(dirname(to));
    renameSync(from, to);
    running.pipeline.changed(from);
    await running.change(to);
    const [session] = await dumpStore(bench.store);
    expect(session).toMatchObject({ session_id: "s", project: "-q", state: "live", message_count: 2, generation: 1 });
    expect(running.statusesOf(to)).toEqual(["moved"]);
    expect(running.statusesOf(from)).toEqual(["imported"]);
    await running.pipeline.drain();
  });

  test("that is deleted is marked as gone, and all of it is kept", async () => {
    const bench = await Workbench.create();
    const running = await Running.start(bench);
    append(path(bench), a!, b!);
    await running.change(path(bench));
    rmSync(path(bench));
    await running.change(path(bench));
    expect(running.statusesOf(path(bench))).toEqual(["imported", "gone"]);
    expect(await dumpStore(bench.store)).toMatchObject([{ state: "gone", message_count: 2 }]);
    append(path(bench), a!, b!);
    await running.change(path(bench));
    expect(await dumpStore(bench.store)).toMatchObject([{ state: "live", message_count: 2, generation: 1 }]);
    await running.pipeline.drain();
  });

  test("is not gone where the projects folder itself is not there", async () => {
    const bench = await Workbench.create();
    const running = await Running.start(bench);
    append(path(bench), a!);
    await running.change(path(bench));
    renameSync(bench.root, `${bench.root}-away`);
    await running.change(path(bench));
    await running.pipeline.rescan();
    await running.idle();
    expect(await dumpStore(bench.store)).toMatchObject([{ state: "live" }]);
    renameSync(`${bench.root}-away`, bench.root);
    await running.pipeline.drain();
  });

  test("comes before those that only have to be caught up with", async () => {
    const bench = await Workbench.create();
    for (let i = 0; i < 40; i++) append(path(bench, `old${i}`), userMessage({ uuid: uuid(100 + i) }));
    const running = new Running(bench, { debounceMs: 0, debounceMaxMs: 0 });
    const started = running.pipeline.start();
    await vi.waitFor(() => expect(running.reports.length).toBeGreaterThan(0), { interval: 1 });
    append(path(bench, "live"), a!);
    running.pipeline.changed(path(bench, "live"));
    await started;
    await running.idle();
    const order = running.reports.map((report) => report.path);
    expect(order.indexOf(path(bench, "live"))).toBeLessThan(order.length - 1);
    expect(new Set(order).size).toBe(41);
    await running.pipeline.drain();
  });
});

describe("where only some sessions are meant", () => {
  /** A session, another of that name, a third one, and subagents of two of them, which only their records tell. */
  async function scene() {
    const bench = await Workbench.create();
    const path = (place: string) => join(bench.root, `${place}.jsonl`);
    const claims = (sessionId: string, from: number) =>
      jsonl(...chain(2, { from }).map((one) => ({ ...one, sessionId })));
    bench.write("-p/mine.jsonl", jsonl(...chain(2, { from: 10 })));
    bench.write("-q/mine.jsonl", jsonl(...chain(2, { from: 20 })));
    bench.write("-p/other.jsonl", jsonl(...chain(2, { from: 30 })));
    bench.write("-p/agent-1.jsonl", claims("mine", 40));
    bench.write("-p/agent-2.jsonl", claims("other", 50));
    const running = (place: string) => new Running(bench, {}, 60_000, { chosen: new Chosen(new Set([path(place)])) });
    const states = async () => {
      const sessions = await dumpStore(bench.store);
      return Object.fromEntries(sessions.map(({ session_id, state }) => [session_id, state]));
    };
    return { bench, path, running, states };
  }

  test("these and their subagents are read, whatever else is written", async () => {
    const { bench, path, running, states } = await scene();
    const some = running("-p/mine");
    await some.pipeline.start();
    await some.idle();
    expect(await states()).toEqual({ mine: "live", "mine/agent-1": "live" });
    for (const place of ["-q/mine", "-p/other", "-p/agent-2"]) {
      appendFileSync(path(place), jsonl(userMessage({ uuid: uuid(70) })));
      some.pipeline.changed(path(place));
    }
    bench.write("-p/mine/subagents/agent-3.jsonl", jsonl(...chain(1, { from: 80 })));
    await some.pipeline.rescan();
    await some.idle();
    expect(await states()).toEqual({ mine: "live", "mine/agent-1": "live", "mine/agent-3": "live" });
    await some.pipeline.drain();
  });

  test("the others are not gone when their files are, though one of them has the same name", async () => {
    const { bench, path, running, states } = await scene();
    await bench.sync();
    const before = await states();
    expect(before).toMatchObject({ mine: "live", "mine@-q": "live", other: "live" });
    const some = running("-q/mine");
    await some.pipeline.start();
    for (const place of ["-p/mine", "-q/mine", "-p/other"]) rmSync(path(place));
    some.pipeline.changed(path("-p/mine"));
    await some.pipeline.rescan();
    await some.idle();
    expect(await states()).toEqual({ ...before, "mine@-q": "gone" });
    await some.pipeline.drain();
  });
});

describe("a file that cannot be read", () => {
  test("is tried again, set aside after a while, and taken up when it changes; the others go on", async () => {
    const bench = await Workbench.create();
    const [bad, good] = [join(bench.root, "-p", "bad.jsonl"), join(bench.root, "-p", "good.jsonl")];
    mkdirSync(dirname(bad));
    writeFileSync(bad, jsonl(...chain(2)));
    const store = bench.faults;
    bench.faults = (inner) =>
      new Proxy(store(inner), {
        get(target, name, receiver) {
          const value = Reflect.get(target, name, receiver) as unknown;
          if (name !== "commit" || typeof value !== "function")
            return typeof value === "function" ? value.bind(target) : value;
          return async (step: { session: { session_id: string } }) => {
            if (step.session.session_id === "bad" && isBad) throw new TypeError("a bug");
            return value.call(target, step);
          };
        },
      });
    let isBad = true;
    const running = await Running.start(bench);
    writeFileSync(good, jsonl(assistantMessage({ uuid: uuid(50) })));
    await running.change(good);
    await vi.waitFor(() => expect(running.failures).toHaveLength(3));
    expect(running.failures.map(({ nextMs }) => nextMs === null)).toEqual([false, false, true]);
    expect(running.statusesOf(good)).toEqual(["imported"]);
    expect(running.triedPaths).toEqual([bad]);
    expect(running.caughtUps).toEqual([[bad]]);
    const { files, backlog, live, lag } = running.pipeline.status();
    expect(files).toBe(2);
    expect(lag).toEqual({ bytes: jsonl(...chain(2)).length, seconds: expect.any(Number) });
    expect(lag.seconds).toBeGreaterThan(0);
    expect(backlog).toMatchObject({ quarantined: 1, queued: 0 });
    const aside = { attempts: 3, failed_at: expect.any(Date), error: { message: "a bug" } };
    expect(live.find(({ path }) => path === bad)).toMatchObject(aside);
    await running.pipeline.rescan();
    await running.idle();
    expect(running.failures).toHaveLength(3); // as long as it is what it was, it is left alone
    isBad = false;
    appendFileSync(bad, jsonl(userMessage({ uuid: uuid(9) })));
    await running.pipeline.rescan();
    await running.idle();
    expect(running.statusesOf(bad)).toEqual(["imported"]);
    expect(running.recoveries).toEqual([bad]);
    await running.pipeline.drain();
  });
});

test("work is stuck when nothing of it begins, ends or is written for long, however long there was none before", async () => {
  const bench = await Workbench.create();
  let hours = 0;
  const clock: Clock = { now: () => new Date(Date.now() + hours * 3_600_000), after: systemClock.after };
  const { pipeline } = new Running(bench, {}, 60_000, { clock });
  await pipeline.start();
  await pipeline.whenIdle();
  hours++;
  expect(pipeline.stalledMs).toBe(0);
  const { opened, open } = gate();
  const begun = vi.fn<() => Promise<void>>(() => opened);
  const work = pipeline.runExclusive("/x", begun);
  await vi.waitFor(() => expect(begun).toHaveBeenCalled());
  expect(pipeline.stalledMs).toBeLessThan(3_600_000);
  hours++;
  expect(pipeline.stalledMs).toBeGreaterThanOrEqual(3_600_000);
  pipeline.progressed();
  expect(pipeline.stalledMs).toBeLessThan(3_600_000);
  open();
  await work;
  expect(pipeline.stalledMs).toBe(0);
  await pipeline.drain();
});

test("a file that was found and not read yet is counted once, also when somebody else reads it first", async () => {
  const bench = await Workbench.create();
  const { pipeline } = await Running.start(bench);
  pipeline.reconfigure({ concurrency: 1 });
  const { opened, open } = gate();
  const held = pipeline.runExclusive("/x", () => opened);
  const names = ["a", "b", "c"];
  for (const [i, name] of names.entries()) bench.write(`-p/${name}.jsonl`, jsonl(...chain(2, { from: 10 * i + 1 })));
  await pipeline.rescan();
  expect(pipeline.status()).toMatchObject({ files: 3, backlog: { queued: 3 } });
  const jobs: Promise<void>[] = [];
  let counted: Promise<void> | null = null;
  const synced = bench.sync({
    runJob: (path, work) => {
      jobs.push(pipeline.runExclusive(path, work));
      if (jobs.length === names.length) {
        counted = pipeline.runExclusive("/y", async () =>
          expect(pipeline.status()).toMatchObject({ files: 3, backlog: { queued: 3 } }),
        );
        open();
      }
      return jobs.at(-1)!;
    },
  });
  await Promise.all([held, synced]);
  expect(jobs).toHaveLength(names.length);
  await counted;
  await pipeline.whenIdle();
  expect(pipeline.status().files).toBe(3);
  await pipeline.drain();
});

describe("draining", () => {
  test("finishes what is in work, begins nothing new, and may be asked for twice", async () => {
    const bench = await Workbench.create();
    for (let i = 0; i < 20; i++) bench.write(`-p/s${i}.jsonl`, jsonl(...chain(5, { from: 10 * i + 1 })));
    const running = new Running(bench);
    const started = running.pipeline.start();
    await vi.waitFor(() => expect(running.reports.length).toBeGreaterThan(0), { interval: 1 });
    await Promise.all([running.pipeline.drain(), running.pipeline.drain()]);
    await started;
    const told = running.reports.length;
    running.pipeline.changed(join(bench.root, "-p/s0.jsonl"));
    await running.pipeline.rescan();
    expect(running.pipeline.status().state).toBe("stopped");
    expect(running.reports).toHaveLength(told);
    expect((await verifyAll(bench)).problems).toEqual([]);
    const next = await Running.start(bench);
    await next.idle();
    expect(await dumpStore(bench.store)).toHaveLength(20);
    await next.pipeline.drain();
  });

  test("ends the wait of work that others have asked for", async () => {
    const bench = await Workbench.create();
    const running = await Running.start(bench);
    let release = () => {};
    let isHeld = false;
    const held = running.pipeline.runExclusive("/x", async () => {
      isHeld = true;
      await new Promise<void>((resolve) => {
        release = resolve;
      });
    });
    const others = Array.from({ length: 8 }, () => running.pipeline.runExclusive("/x", async () => {}));
    const outcomes = Promise.allSettled(others);
    await vi.waitFor(() => expect(isHeld).toBe(true));
    const drained = running.pipeline.drain();
    release();
    await held;
    await drained;
    expect((await outcomes).some(({ status }) => status === "rejected")).toBe(true);
  });
});
