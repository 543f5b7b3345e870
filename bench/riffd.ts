// The built riffd, with the types of its source: what is measured is what is shipped.
import type * as SyncCommand from "../src/commands/sync.ts";
import type * as Open from "../src/store/open.ts";
import type * as Rows from "../src/store/rows.ts";
import type * as Store from "../src/store/surreal-store.ts";
import type * as Transaction from "../src/store/transaction.ts";

async function built<Module>(path: string): Promise<Module> {
  return (await import(new URL(`../dist/${path}`, import.meta.url).href)) as Module;
}

export const { openStore } = await built<typeof Open>("store/open.js");
export const { syncCommand } = await built<typeof SyncCommand>("commands/sync.js");
export const { SurrealStore } = await built<typeof Store>("store/surreal-store.js");
export const { run } = await built<typeof Transaction>("store/transaction.js");
export const rows = await built<typeof Rows>("store/rows.js");
