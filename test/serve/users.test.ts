import fc from "fast-check";
import { Uuid } from "surrealdb";
import { afterAll, expect, test } from "vitest";
import { defineUser, isUserName, LEVELS, type Query, ROLES } from "../../src/serve/users.ts";
import { run } from "../../src/store/transaction.ts";
import { codec, openServedEngine } from "../support/serving.ts";
import { removeScratch } from "../support/workbench.ts";

afterAll(removeScratch);

const PLACES = { root: {}, namespace: { ns: "nabi" }, database: { ns: "nabi", db: "conversations" } };

test("a user of any name and password may sign in, at the level and in the role that was said, and no other way", async () => {
  const { owner, peer } = await openServedEngine();
  const query: Query = (text) => run(owner, text);
  const signIn = async (session: Uuid, credentials: object) => {
    const request = codec.encode({ method: "signin", session, params: [credentials] });
    return typeof codec.decode(await peer.execute(request)) === "string";
  };
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(fc.string({ unit: "binary", maxLength: 20 }), fc.string({ maxLength: 20 })).filter(isUserName),
      fc.oneof(fc.string({ unit: "binary" }), fc.string()).filter((password) => password !== ""),
      fc.constantFrom(...ROLES),
      fc.constantFrom(...LEVELS),
      async (name, password, role, level) => {
        await defineUser(query, { name, password, role, level });
        const session = Uuid.v4();
        await peer.execute(codec.encode({ method: "attach", session }));
        expect(await signIn(session, { user: name, pass: `${password}x`, ...PLACES[level] })).toBe(false);
        expect(await signIn(session, { user: name, pass: password, ...PLACES[level] })).toBe(true);
        await peer.execute(codec.encode({ method: "detach", session }));
        const scope = level === "root" ? "ROOT" : level === "namespace" ? "NS" : "DB";
        const [info] = (await query(`INFO FOR ${scope}`)) as [{ users: Record<string, string> }];
        expect(info.users[name]).toMatch(new RegExp(`ROLES ${role.toUpperCase()} `));
      },
    ),
    { numRuns: 12 },
  );
}, 180_000);

test("a name that would end its quotes is none", async () => {
  for (const name of ["", "a⟩ ON ROOT", "⟨", "`", "\\", "a\nb", "\u0000", "\ud800", "x".repeat(101)]) {
    expect([name, isUserName(name)]).toEqual([name, false]);
    const user = { name, password: "x", role: "owner", level: "root" } as const;
    await expect(defineUser(() => Promise.resolve([]), user)).rejects.toThrow("no name");
  }
});
