// The users that may sign in to the served store. They are SurrealDB's own: it keeps their passwords as argon2 hashes.
import { toSurqlString } from "surrealdb";
import { RiffError } from "../errors.ts";

export const ROLES = ["viewer", "editor", "owner"] as const;
export const LEVELS = ["database", "namespace", "root"] as const;

export interface NewUser {
  readonly name: string;
  readonly password: string;
  readonly role: (typeof ROLES)[number];
  /** What the user's rights reach: riffd's database, its namespace, or everything in the store. */
  readonly level: (typeof LEVELS)[number];
}

/** Runs SurrealQL in riffd's database as the store's owner; throws where a statement fails. */
export type Query = (text: string) => Promise<unknown[]>;

/** Whether it can stand between angle brackets as it is. */
export function isUserName(name: string): boolean {
  return /^[^\p{Cc}\p{Cs}⟨⟩`\\]{1,100}$/u.test(name);
}

/** Makes a user, or gives the one of that name and level another password and role. */
export async function defineUser(query: Query, { name, password, role, level }: NewUser): Promise<void> {
  if (!isUserName(name)) throw new Error(`no name for a user: ${name}`);
  // The grammar has no place for parameters here.
  await query(
    `DEFINE USER OVERWRITE ⟨${name}⟩ ON ${level.toUpperCase()} PASSWORD ${toSurqlString(password)} ROLES ${role.toUpperCase()}`,
  );
}

/** Throws RIFF_SERVE_FAILED where nobody could sign in. */
export async function requireUsers(query: Query): Promise<void> {
  if (await hasUsers(query)) return;
  throw new RiffError(
    "RIFF_SERVE_FAILED",
    "The store has no users, so nobody could sign in.",
    "Make one: `riffd serve --user NAME` asks for a password, makes the user, and serves; with --no-listen it only makes the user.",
  );
}

/** Whether anybody could sign in: there is a user, or another way of access, at some level. */
async function hasUsers(query: Query): Promise<boolean> {
  const levels = (await query("INFO FOR ROOT; INFO FOR NS; INFO FOR DB")) as Record<"users" | "accesses", object>[];
  return levels.some(({ users, accesses }) => Object.keys({ ...users, ...accesses }).length > 0);
}
