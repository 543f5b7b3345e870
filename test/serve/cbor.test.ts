import fc from "fast-check";
import { CborCodec, Duration, RecordId, Uuid } from "surrealdb";
import { describe, expect, test } from "vitest";
import { asText, asUuid, elements, entries, first, readEnvelope } from "../../src/serve/cbor.ts";
import { RpcFailure } from "../../src/serve/failure.ts";
import { encodeMap } from "../../src/serve/format.ts";

const codec = CborCodec.DEFAULT;

const values = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    fc.string(),
    fc.integer(),
    fc.double({ noNaN: true, min: -1e15, max: 1e15 }),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.boolean(),
    fc.constant(null),
    fc.constant(undefined),
    fc.uint8Array({ maxLength: 300 }),
    fc.nat().map((seconds) => new Duration([BigInt(seconds), 999_999_999n])),
    fc.string().map((id) => new RecordId("thing", id)),
    fc.constant(Uuid.v4()),
    fc.array(tie("value"), { maxLength: 30 }),
    fc.dictionary(fc.string({ maxLength: 30 }), tie("value")),
  ),
})).value;

test("reads any request that the SDK writes, and hands its values on as they came", () => {
  fc.assert(
    fc.property(
      fc.string(),
      fc.array(values),
      fc.option(fc.uuid()),
      fc.option(fc.uuid()),
      (method, params, session, txn) => {
        const frame = codec.encode({
          id: "x1",
          method,
          params,
          session: session === null ? undefined : new Uuid(session),
          txn: txn === null ? null : new Uuid(txn),
          other: params,
        });
        const envelope = readEnvelope(frame);
        expect(envelope).toMatchObject({ method: method.toWellFormed(), session, txn, refusal: null });
        expect(Buffer.from(envelope.params).equals(codec.encode(params))).toBe(true);
        expect(Buffer.from(envelope.id!).equals(codec.encode("x1"))).toBe(true);
        expect(first(envelope.params)).toEqual(elements(envelope.params)[0]);
        expect(elements(envelope.params).map((element) => Buffer.from(element))).toEqual(
          params.map((param) => Buffer.from(codec.encode(param))),
        );
      },
    ),
  );
});

test("refuses every beginning of a request, and every request with something behind it", () => {
  fc.assert(
    fc.property(fc.array(values), fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 9 }), (params, at, more) => {
      const frame = codec.encode({ id: 1, method: "query", params });
      expect(() => readEnvelope(frame.subarray(0, at % frame.length))).toThrow(RpcFailure);
      expect(() => readEnvelope(Buffer.concat([frame, more]))).toThrow(RpcFailure);
    }),
  );
});

test("reads any bytes to an envelope or a failure, and nothing else", () => {
  const near = fc
    .tuple(fc.array(values), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 5 }))
    .map(([params, changes]) => {
      const frame = codec.encode({ id: 1, method: "query", params }).slice();
      for (const [at, byte] of changes) frame[at % frame.length] = byte;
      return frame;
    });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), near), (bytes) => {
      try {
        expect(readEnvelope(bytes)).toMatchObject({ method: expect.any(String) });
      } catch (thrown) {
        if (!(thrown instanceof RpcFailure)) throw thrown;
      }
    }),
    { numRuns: 2000 },
  );
});

describe("reads what other clients write", () => {
  const hex = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(" ", ""), "hex"));

  test("items of indefinite length", () => {
    // {_ "method": "query", "params": [_ (_ "a" "b"), {_ "k": 1.0 as a half}]}
    const frame = hex("bf 666d6574686f64 657175657279 66706172616d73 9f 7f61616162ff bf616bf93c00ff ff ff");
    const { method, params } = readEnvelope(frame);
    expect([method, elements(params).length]).toEqual(["query", 2]);
    expect(first(params)).toEqual(elements(params)[0]);
    for (const empty of ["80", "9fff", "9800"]) expect(first(hex(empty))).toBeUndefined();
  });

  test("uuids as text, as tagged text, and as bytes", () => {
    const uuid = "018d3f2c-0000-7000-8000-0000000000aa";
    const field = (value: Uint8Array) =>
      encodeMap([
        [codec.encode("method"), codec.encode("ping")],
        [codec.encode("session"), value],
      ]);
    for (const value of [
      codec.encode(uuid.toUpperCase()),
      Buffer.concat([hex("c9"), codec.encode(uuid)]),
      codec.encode(new Uuid(uuid)),
    ]) {
      expect(readEnvelope(field(value)).session).toBe(uuid);
    }
    for (const value of [codec.encode("018d"), codec.encode(1), hex("d825 41 00"), hex("d825 f6")]) {
      expect(() => readEnvelope(field(value))).toThrow("session and txn are uuids");
    }
  });

  test("nothing where a value is asked for", () => {
    expect(asUuid(undefined)).toBeNull();
    expect(asText(undefined)).toBeNull();
    expect(entries(codec.encode([]))).toEqual(new Map());
  });
});
