// The streams of the control socket, for clients that read, that do not, and that vanish.
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { connect } from "node:net";
import { createParser, type EventSourceMessage } from "eventsource-parser";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { ROUTES, type SyncMessage } from "../../src/control/protocol.ts";
import type { ControlServer } from "../../src/control/server.ts";
import { ask, open, REQUEST, startControl as start, type TestFeed } from "../support/controlling.ts";
import { removeScratch } from "../support/workbench.ts";

const servers: ControlServer[] = [];
const WAIT = { timeout: 60_000 };

async function startControl(...given: Parameters<typeof start>) {
  const control = await start(...given);
  servers.push(control.server);
  return control;
}

afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});
afterAll(removeScratch);

const wrote = (session_id: string, messages: number): SyncMessage => ({
  kind: "wrote",
  session_id,
  messages,
  records: 1,
  bytes: 10,
});
const planned = (...paths: string[]): SyncMessage => ({
  kind: "planned",
  targets: paths.map((path) => ({ path, session_id: "s", archived: null })),
});

/** What a stream has told so far. */
class Reading {
  text = "";
  readonly events: EventSourceMessage[] = [];
  readonly comments: string[] = [];
  readonly ended: Promise<unknown>;

  constructor(response: IncomingMessage) {
    const parser = createParser({
      onEvent: (event) => this.events.push(event),
      onComment: (comment) => this.comments.push(comment),
    });
    response.setEncoding("utf8").on("data", (piece: string) => {
      this.text += piece;
      parser.feed(piece);
    });
    response.on("error", () => {});
    this.ended = new Promise((resolve) => response.on("close", resolve));
  }

  get messages(): SyncMessage[] {
    return this.text
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as SyncMessage);
  }

  /** Of the commits that it has told. */
  get cursors(): (string | undefined)[] {
    return this.events.filter(({ event }) => event === "commit").map(({ id }) => id);
  }
}

const sync = (path: string) => open(path, ROUTES.sync, "POST", {}, JSON.stringify(REQUEST));

describe("a sync", () => {
  test("tells what happens as it happens, in order, and that it is still there while nothing does", async () => {
    const { path, daemon } = await startControl({ heartbeatMs: 20 });
    let goOn: () => void = () => {};
    daemon.syncing = async (tell) => {
      tell(planned("/p/a"));
      await new Promise<void>((resolve) => {
        goOn = resolve;
      });
      tell(wrote("a", 1));
      tell({ kind: "done" });
    };
    const response = await sync(path);
    expect([response.statusCode, response.headers["content-type"]]).toEqual([200, "application/x-ndjson"]);
    const reading = new Reading(response);
    await expect.poll(() => reading.text, WAIT).toMatch(/planned.*\n\n\n/);
    expect(reading.messages).toEqual([planned("/p/a")]);
    goOn();
    await reading.ended;
    expect(reading.messages).toEqual([planned("/p/a"), wrote("a", 1), { kind: "done" }]);
  });

  test("that ends before its client has read anything is told whole", async () => {
    const { path, daemon } = await startControl();
    daemon.syncing = async (tell) => {
      for (let n = 0; n < 2000; n++) tell(planned(`/p/${n}`.padEnd(1000, "x")));
      tell({ kind: "done" });
    };
    const response = await sync(path);
    await expect.poll(() => response.readableLength, WAIT).toBeGreaterThan(0);
    const reading = new Reading(response);
    await reading.ended;
    expect(reading.messages).toHaveLength(2001);
    expect(reading.messages.at(-1)).toEqual({ kind: "done" });
  });

  test("does not grow with its steps while nobody reads", async () => {
    const { path, daemon } = await startControl({ unreadBytes: 300_000 });
    let steps = 0;
    daemon.syncing = async (tell, signal) => {
      while (steps < 300_000 && !signal.aborted) {
        tell(wrote(`s${steps % 3}`, 1));
        if (++steps % 1000 === 0) await new Promise(setImmediate);
      }
      tell(planned("/between"));
      tell(wrote("s0", 7));
      tell({ kind: "done" });
    };
    const response = await sync(path);
    await expect.poll(() => steps, WAIT).toBe(300_000);
    const reading = new Reading(response);
    await reading.ended;
    const { messages } = reading;
    expect(messages.slice(-3)).toEqual([planned("/between"), wrote("s0", 7), { kind: "done" }]);
    const counted = messages
      .slice(0, -3)
      .reduce((sum, message) => sum + (message.kind === "wrote" ? message.messages : 0), 0);
    expect(counted).toBe(300_000);
    expect(messages.length).toBeLessThan(3_000);
  });

  test("gives a client up that leaves too much unread", async () => {
    const { path, daemon } = await startControl({ unreadBytes: 1_000_000 });
    let told = 0;
    daemon.syncing = async (tell, signal) => {
      for (; told < 100_000 && !signal.aborted; told++) {
        tell(planned(`/p/${told}`.padEnd(1000, "x")));
        await new Promise(setImmediate);
      }
    };
    const response = await sync(path);
    await expect.poll(() => daemon.signals[0]?.aborted, WAIT).toBe(true);
    expect(told).toBeLessThan(20_000);
    const reading = new Reading(response);
    await reading.ended;
    expect(response.complete).toBe(false);
  });

  test("begins nothing new once its client has gone, at whatever moment", async () => {
    const { path, daemon } = await startControl();
    daemon.syncing = async (tell, signal) => {
      tell(planned("/p/a"));
      await once(signal, "abort");
      tell(wrote("a", 1));
      tell({ kind: "done" });
    };
    (await sync(path)).destroy();
    await expect.poll(() => daemon.signals.map(({ aborted }) => aborted), WAIT).toEqual([true]);
    for (let n = 0; n < 20; n++) {
      const body = JSON.stringify(REQUEST);
      const socket = connect(path);
      socket.on("error", () => {});
      socket.write(`POST ${ROUTES.sync} HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`, () =>
        setImmediate(() => socket.destroy()),
      );
    }
    expect(await ask(path, ROUTES.live)).toMatchObject({ status: 200 });
    await expect.poll(() => daemon.signals.every(({ aborted }) => aborted), WAIT).toBe(true);
  });

  test("that breaks its word and throws is told as failed", async () => {
    const { path, daemon } = await startControl();
    daemon.syncing = () => Promise.reject(new TypeError("a bug"));
    const reading = new Reading(await sync(path));
    await reading.ended;
    expect(reading.messages).toEqual([
      { kind: "failed", error: { code: null, message: expect.stringContaining("TypeError: a bug"), hint: null } },
    ]);
  });

  test("is asked to end when the server closes, and its client is told how it did", async () => {
    const { path, daemon, server } = await startControl();
    daemon.syncing = async (tell, signal) => {
      tell(planned("/p/a"));
      await once(signal, "abort");
      tell({ kind: "failed", error: { code: "RIFF_INTERRUPTED", message: "m", hint: "h" } });
    };
    const reading = new Reading(await sync(path));
    await expect.poll(() => reading.messages, WAIT).toHaveLength(1);
    await server.close();
    await reading.ended;
    expect(reading.messages.at(-1)).toMatchObject({ kind: "failed", error: { code: "RIFF_INTERRUPTED" } });
  });
});

describe("the commits", () => {
  const follow = async (path: string, query = "", headers = {}) => {
    const response = await open(path, ROUTES.commits + query, "GET", headers);
    expect([response.statusCode, response.headers["content-type"]]).toEqual([200, "text/event-stream"]);
    return new Reading(response);
  };

  test("come from now on, each as an event with its cursor, once and in order", async () => {
    const { path, daemon } = await startControl();
    daemon.commit("before");
    const reading = await follow(path);
    await expect.poll(() => reading.events, WAIT).toEqual([{ id: "1", event: "position", data: "{}" }]);
    const commit = daemon.commit("a");
    for (let n = 0; n < 500; n++) daemon.commit("b");
    await expect.poll(() => reading.cursors.length, WAIT).toBe(501);
    expect(reading.events[1]).toEqual({ id: "2", event: "commit", data: JSON.stringify(commit) });
    expect(reading.cursors).toEqual(Array.from({ length: 501 }, (_, n) => String(n + 2)));
  });

  test("go on behind a cursor, and the header of one who comes back counts more than the address", async () => {
    const { path, daemon } = await startControl({ pageCommits: 2 });
    for (let n = 0; n < 7; n++) daemon.commit("a");
    const reading = await follow(path, "?cursor=3");
    await expect.poll(() => reading.cursors, WAIT).toEqual(["4", "5", "6", "7"]);
    const back = await follow(path, "?cursor=3", { "Last-Event-ID": "6" });
    await expect.poll(() => back.cursors, WAIT).toEqual(["7"]);
    daemon.commit("a");
    await expect.poll(() => [reading.cursors.at(-1), back.cursors], WAIT).toEqual(["8", ["7", "8"]]);
  });

  test("of one session come alone, and the cursor moves past the others", async () => {
    const { path, daemon } = await startControl({ pageCommits: 3 });
    const reading = await follow(path, "?cursor=0&session=a%2Fagent-1");
    for (const id of ["a", "a/agent-1", "b", "b", "b", "b", "a/agent-1", "c"]) daemon.commit(id);
    await expect.poll(() => reading.events.at(-1)?.id, WAIT).toBe("8");
    expect(reading.cursors).toEqual(["2", "7"]);
  });

  test("behind a cursor that is none are refused", async () => {
    const { path } = await startControl();
    for (const cursor of ["x", "999", "-1", "%0Adata:1", "x".repeat(300)]) {
      const { status, text } = await ask(path, `${ROUTES.commits}?cursor=${cursor}`);
      expect([status, JSON.parse(text)]).toEqual([400, { error: expect.objectContaining({ code: "RIFF_USAGE" }) }]);
    }
  });

  test("are refused while there is no store, and end when it goes away", async () => {
    const { path, daemon } = await startControl();
    const reading = await follow(path);
    await expect.poll(() => reading.events, WAIT).toHaveLength(1);
    daemon.feed!.read = () => Promise.reject(new Error("away"));
    daemon.commit("a");
    await reading.ended;
    daemon.feed = null;
    const { status, text } = await ask(path, ROUTES.commits);
    expect([status, JSON.parse(text)]).toEqual([
      503,
      { error: expect.objectContaining({ code: "RIFF_STORE_UNREACHABLE" }) },
    ]);
  });

  test("come with a sign of life while nothing does, also while the store is slow", async () => {
    const { path, daemon } = await startControl({ heartbeatMs: 20 });
    const reading = await follow(path);
    await expect.poll(() => reading.comments.length, WAIT).toBeGreaterThan(2);
    const { feed } = daemon;
    const read = feed!.read.bind(feed);
    let goOn: () => void = () => {};
    feed!.read = async (...given) => {
      await new Promise<void>((resolve) => {
        goOn = resolve;
      });
      return read(...given);
    };
    daemon.commit("a");
    const before = reading.comments.length;
    await expect.poll(() => reading.comments.length, WAIT).toBeGreaterThan(before + 3);
    goOn();
    await expect.poll(() => reading.cursors, WAIT).toEqual(["1"]);
  });

  test("are read only as fast as they are taken", async () => {
    const { path, daemon } = await startControl({ pageCommits: 100, heartbeatMs: 5 });
    // The operator is as long as a page is to be: 100 commits are a megabyte.
    for (let n = 0; n < 5_000; n++) daemon.feed!.add("a", "o".repeat(10_000));
    const response = await open(path, `${ROUTES.commits}?cursor=0`);
    const feed = daemon.feed as TestFeed;
    const reads: number[] = [];
    // It stands still: some heartbeats later nothing more was read.
    await expect
      .poll(() => reads.push(feed.reads) > 20 && reads.at(-1) === reads.at(-20), { ...WAIT, interval: 10 })
      .toBe(true);
    expect(feed.reads).toBeLessThan(10);
    const reading = new Reading(response);
    await expect.poll(() => reading.cursors.length, WAIT).toBe(5_000);
  });

  test("are read once for all who wait for them", async () => {
    const { path, daemon } = await startControl();
    const readings = await Promise.all(Array.from({ length: 200 }, () => follow(path)));
    await expect.poll(() => readings.every(({ events }) => events.length === 1), WAIT).toBe(true);
    const feed = daemon.feed as TestFeed;
    feed.reads = 0;
    for (let n = 0; n < 10; n++) {
      daemon.commit("a");
      await expect.poll(() => readings.every(({ cursors }) => cursors.length === n + 1), WAIT).toBe(true);
    }
    for (const { cursors } of readings) expect(cursors).toEqual(Array.from({ length: 10 }, (_, n) => String(n + 1)));
    expect(feed.reads).toBeLessThan(100);
    expect(await ask(path, ROUTES.live)).toMatchObject({ status: 200 });
  });

  test("are not kept for clients that vanished", async () => {
    const { path, daemon, server } = await startControl();
    const responses = await Promise.all(Array.from({ length: 50 }, () => open(path, ROUTES.commits)));
    for (const response of responses) response.destroy();
    for (let n = 0; n < 50; n++) {
      const socket = connect(path);
      socket.on("error", () => {});
      socket.write(`GET ${ROUTES.commits} HTTP/1.1\r\nHost: x\r\n\r\n`, () => setImmediate(() => socket.destroy()));
    }
    const feed = daemon.feed as TestFeed;
    await expect
      .poll(async () => {
        const before = feed.reads;
        daemon.commit("a");
        await new Promise(setImmediate);
        await ask(path, ROUTES.live);
        return feed.reads - before;
      }, WAIT)
      .toBe(0);
    await server.close();
  });

  test("end cleanly when the server closes", async () => {
    const { path, daemon, server } = await startControl();
    const responses = await Promise.all(Array.from({ length: 20 }, () => open(path, ROUTES.commits)));
    const readings = responses.map((response) => new Reading(response));
    daemon.commit("a");
    await expect.poll(() => readings.every(({ cursors }) => cursors.length === 1), WAIT).toBe(true);
    await server.close();
    await Promise.all(readings.map(({ ended }) => ended));
    expect(responses.every(({ complete }) => complete)).toBe(true);
  });
});
