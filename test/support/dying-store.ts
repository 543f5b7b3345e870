// A store whose process dies: what kill -9 leaves of a pass, without ending the test.
import fc from "fast-check";
import { RiffError } from "../../src/errors.ts";
import type { SurrealStore } from "../../src/store/surreal-store.ts";
import type { Store } from "../../src/sync/store.ts";

export interface Death {
  /** How many writes are done before. */
  readonly writes: number;
  /** Whether the last one was done, and only its answer lost. */
  readonly done: boolean;
}

/** The deaths before each look of a history, one after another; none for looks beyond. */
export const deathsArb: fc.Arbitrary<Death[][]> = fc.array(
  fc.array(fc.record({ writes: fc.integer({ min: 0, max: 8 }), done: fc.boolean() }), { maxLength: 2 }),
  { minLength: 1, maxLength: 8 },
);

const WRITES = new Set<string | symbol>(["commit", "updateSource", "clearVerdictsDue", "removeSuperseded"]);

/** They give pages, not promises. */
const STREAMS = new Set<string | symbol>([
  "readArchive",
  "segments",
  "storedSegments",
  "tombstones",
  "commits",
  "events",
]);

/** From some write on, no call is answered any more but with an error. */
export function dyingStore(death: Death): (store: SurrealStore) => Store {
  return (store) => {
    let left = death.writes;
    return new Proxy<Store>(store, {
      get(target, name) {
        const value = target[name as keyof Store];
        if (typeof value !== "function") return value;
        if (STREAMS.has(name)) return value.bind(target);
        return async (...args: never[]) => {
          const call = value as (...all: never[]) => unknown;
          if (left < 0) throw new RiffError("RIFF_STORE_IO", "died", "");
          if (!WRITES.has(name) || left-- > 0) return call.apply(target, args);
          if (death.done) await call.apply(target, args);
          throw new RiffError("RIFF_STORE_IO", "died", "");
        };
      },
    });
  };
}
