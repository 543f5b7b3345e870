// Chance that is the same in every run of the suite, unless a search for new cases draws its own: see seed.ts.
import fc from "fast-check";

export const seed = fc.readConfigureGlobal()?.seed ?? Date.now() % 1_000_000;
let drawn = seed >>> 0;

/** The next of a row of numbers in [0, 1) that follows from the seed. */
export function random(): number {
  drawn = (Math.imul(drawn, 1_664_525) + 1_013_904_223) >>> 0;
  return drawn / 2 ** 32;
}

export function pick(count: number): number {
  return Math.floor(random() * count);
}
