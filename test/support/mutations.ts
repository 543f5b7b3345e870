/** Small damage to bytes: what a bad disk, a bad tool or a torn write may leave. */
import fc from "fast-check";

type Mutation =
  | { readonly do: "flip"; readonly at: number; readonly to: number }
  | { readonly do: "insert"; readonly at: number; readonly bytes: Buffer }
  | { readonly do: "delete"; readonly at: number; readonly length: number }
  | { readonly do: "copy"; readonly at: number; readonly length: number; readonly to: number };

const JSON_BYTES = Buffer.from('{}[]",:\\/u0123456789abfnrteE+-. \t\rtruefalsn\0\x01\x80\xff', "latin1");

const positionArb = fc.nat(0xffff);

const mutationArb: fc.Arbitrary<Mutation> = fc.oneof(
  fc.record({ do: fc.constant("flip" as const), at: positionArb, to: fc.constantFrom(...JSON_BYTES) }),
  fc.record({
    do: fc.constant("insert" as const),
    at: positionArb,
    bytes: fc.array(fc.constantFrom(...JSON_BYTES), { minLength: 1, maxLength: 4 }).map((list) => Buffer.from(list)),
  }),
  fc.record({ do: fc.constant("delete" as const), at: positionArb, length: fc.integer({ min: 1, max: 40 }) }),
  fc.record({
    do: fc.constant("copy" as const),
    at: positionArb,
    length: fc.integer({ min: 1, max: 40 }),
    to: positionArb,
  }),
);

/** The bytes with up to three mutations, none of which brings in a 0x0A. Positions are counted round. */
export function mutatedArb(bytes: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> {
  return fc
    .tuple(bytes, fc.array(mutationArb, { minLength: 1, maxLength: 3 }))
    .map(([original, mutations]) => mutations.reduce(mutate, original));
}

function mutate(bytes: Buffer, mutation: Mutation): Buffer {
  const at = mutation.at % (bytes.length + 1);
  switch (mutation.do) {
    case "flip":
      return splice(bytes, at, 1, Buffer.from([mutation.to]));
    case "insert":
      return splice(bytes, at, 0, mutation.bytes);
    case "delete":
      return splice(bytes, at, mutation.length, Buffer.alloc(0));
    case "copy":
      return splice(bytes, mutation.to % (bytes.length + 1), 0, bytes.subarray(at, at + mutation.length));
  }
}

function splice(bytes: Buffer, at: number, removed: number, added: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, at), added, bytes.subarray(at + removed)]);
}
