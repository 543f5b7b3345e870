// Properties are tried on the same cases in every run of the suite, so that what passes once passes always. A search for
// new cases draws its own: RIFFD_TEST_SEED=random RIFFD_TEST_RUNS=2000 npx vitest run test/sync/model.test.ts
// A search shrinks what it finds; the suite tells it as it is, as shrinking takes longer than a test may.
import fc from "fast-check";

const { RIFFD_TEST_SEED: chosen = "4" } = process.env;

if (chosen !== "random") fc.configureGlobal({ seed: Number(chosen), endOnFailure: true });
