// What a client asks to be synced, read field by field.
import { isAbsolute } from "node:path";
import { RiffError } from "../errors.ts";
import type { SyncRequest } from "./protocol.ts";

type Problem = string | null;

const FIELDS: { readonly [Name in keyof SyncRequest]: (value: unknown) => Problem } = {
  roots: paths,
  include: texts,
  exclude: texts,
  outside: paths,
  only: (value) => (value === null ? null : paths(value)),
  force: (value) => (typeof value === "boolean" ? null : "is not true or false"),
  force_sessions: texts,
  operator: (value) => (isText(value) ? null : "is no text"),
};

/** Throws RIFF_USAGE that tells everything that is wrong. Fields that are not known are left out. */
export function parseSyncRequest(body: string): SyncRequest {
  const given = parseObject(body);
  const names = Object.keys(FIELDS) as (keyof SyncRequest)[];
  const problems = names.flatMap((name) => {
    const problem = Object.hasOwn(given, name) ? FIELDS[name](given[name]) : "is missing";
    return problem === null ? [] : [`${name} ${problem}`];
  });
  if (problems.length > 0) throw wrong(problems.join("; "));
  // Each field was checked just now.
  return Object.fromEntries(names.map((name) => [name, given[name]])) as unknown as SyncRequest;
}

function parseObject(body: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw wrong("it is no JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong("it is no object");
  return value as Record<string, unknown>;
}

function paths(value: unknown): Problem {
  const problem = texts(value);
  return problem === null && !(value as string[]).every(isAbsolute) ? "has a path that is not absolute" : problem;
}

function texts(value: unknown): Problem {
  return Array.isArray(value) && value.every(isText) ? null : "is no list of texts";
}

function isText(value: unknown): boolean {
  return typeof value === "string" && value !== "" && !value.includes("\0");
}

function wrong(what: string): RiffError {
  return new RiffError(
    "RIFF_USAGE",
    `The request to sync is not one that the daemon knows: ${what}.`,
    "Are the command and the daemon of the same version? `riffd status` tells the daemon's.",
  );
}
