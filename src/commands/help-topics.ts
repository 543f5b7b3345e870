// What `riffd help` has to say beside the commands: pages of docs/, so that nothing is said twice.
import { readFileSync } from "node:fs";

interface Topic {
  readonly about: string;
  /** In docs/. */
  readonly page: string;
}

export const TOPICS: Readonly<Record<string, Topic>> = {
  config: { about: "every setting: option, variable, field of the config file", page: "configuration.md" },
  daemon: { about: "what runs in the background, and what to ask of it", page: "daemon.md" },
  "exit-codes": { about: "every failure, with its exit code and what to do", page: "errors.md" },
  privacy: { about: "what is stored, who can read it, how to forget", page: "privacy.md" },
  queries: { about: "SurrealQL that one would really ask", page: "querying.md" },
  sessions: { about: "ids, files and subagents; how to name a session", page: "sessions.md" },
  stores: { about: "the embedded store, a server, and where things are", page: "stores.md" },
};

const DOCS = new URL("../../docs/", import.meta.url);

/** The Markdown of a topic; null: there is none of that name. */
export function readTopic(name: string): string | null {
  if (!Object.hasOwn(TOPICS, name)) return null;
  const { page } = TOPICS[name]!;
  return readFileSync(new URL(page, DOCS), "utf8");
}
