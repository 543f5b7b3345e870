// Whatever bytes come, before signin and after: the server answers or cuts, and goes on serving others.
import fc from "fast-check";
import { Duration, RecordId, Uuid } from "surrealdb";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { RpcPeer } from "../../src/store/rpc-engine.ts";
import { codec, credentials, inDatabase, OWNER, openServedEngine, Serving, VIEWER } from "../support/serving.ts";
import { removeScratch } from "../support/workbench.ts";

let peer: RpcPeer;
let serving: Serving;

beforeAll(async () => {
  ({ peer } = await openServedEngine());
  serving = await Serving.start(peer, { limits: { refusedSignins: 1e9 } });
});

afterAll(async () => {
  await serving.close();
  await removeScratch();
});

const METHODS = `ping info use signup authenticate invalidate reset kill live set let unset query version begin commit
  cancel sessions attach detach select insert create upsert update merge patch delete relate run insert_relation revoke
  refresh nothing`.split(/\s+/);

const value = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.constantFrom<unknown>("thing", "thing:1", "nabi", "conversations", "main", "", "x", "CREATE thing", "RETURN $x"),
    fc.string(),
    fc.constantFrom(undefined, null, true, 0, -1, 2 ** 31, -(2 ** 53), Number.NaN, Number.POSITIVE_INFINITY),
    fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n - 1n }),
    fc.double({ noInteger: true }),
    fc.constant(new RecordId("thing", 1)),
    fc.constant(new Duration("1h")),
    fc.uuid().map((uuid) => new Uuid(uuid)),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(fc.constantFrom("user", "pass", "ns", "db", "ac", "op", "path", "value", "id", "x"), tie("value")),
  ),
})).value;

/** Items with every tag that the engine knows, and some that it does not, around anything. */
const tagged = fc.tuple(
  fc.constantFrom(0, 1, 6, 7, 8, 9, 10, 12, 13, 14, 15, 37, 49, 50, 51, 55, 56, 88, 89, 90, 91, 94),
  value,
);

const request = fc.record({
  id: fc.constant(1),
  method: fc.constantFrom(...METHODS),
  params: fc.oneof(fc.array(value, { maxLength: 4 }), value),
  session: fc.constantFrom(undefined, null, 1, Uuid.v4()),
  txn: fc.constantFrom(undefined, null, Uuid.v4()),
});

const frame = fc.oneof(
  { weight: 6, arbitrary: request.map((fields) => codec.encode(fields)) },
  {
    weight: 3,
    arbitrary: fc
      .tuple(request, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }))
      .map(([fields, changes]) => {
        const bytes = codec.encode(fields).slice();
        for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
        return bytes;
      }),
  },
  { weight: 3, arbitrary: tagged.map(([tag, content]) => withTag(tag, codec.encode(content))) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 100 }) },
);

/** A query with one tagged parameter. */
function withTag(tag: number, content: Uint8Array): Uint8Array {
  const head = tag < 24 ? [0xc0 | tag] : [0xd8, tag];
  const [id, method, params] = [{ id: 1 }, { method: "query" }, { params: 0 }].map((part) =>
    codec.encode(part).subarray(1),
  );
  const query = Buffer.concat([codec.encode("RETURN $v"), Uint8Array.of(0xa1), codec.encode("v")]);
  return Buffer.concat([
    Uint8Array.of(0xa3),
    ...[id!, method!, params!.subarray(0, -1)],
    Uint8Array.of(0x82),
    query,
    Uint8Array.from(head),
    content,
  ]);
}

async function survives(signIn: boolean): Promise<void> {
  const neighbour = await serving.client(inDatabase(OWNER));
  await fc.assert(
    fc.asyncProperty(fc.array(frame, { minLength: 1, maxLength: 30 }), async (frames) => {
      const client = await serving.raw();
      if (signIn) await client.call("signin", [credentials(VIEWER)]);
      for (const bytes of frames) client.socket.send(bytes);
      client.send({ id: "last", method: "ping" });
      // Each is answered, until one that is none cuts the connection.
      for (;;) {
        const reply = await client.next().catch(() => null);
        if (reply === null || reply.id === "last") break;
      }
      client.socket.terminate();
      expect(await neighbour.query("RETURN 1").collect()).toEqual([1]);
      expect(await neighbour.query("SELECT VALUE n FROM thing").collect()).toEqual([[1]]);
    }),
    { numRuns: 60 },
  );
}

test("hostile bytes before signin do no harm", () => survives(false));

test("hostile bytes of a user who may only read do no harm", () => survives(true));
