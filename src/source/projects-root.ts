// Whether a projects folder is there and can be read, and which one it is.
import { opendir, realpath, stat } from "node:fs/promises";
import { identityOf } from "./identity.ts";

export interface PresentRoot {
  /** Its path without links, as in the paths of transcripts. */
  readonly real: string;
  readonly identity: string;
}

/** Throws what the system says. */
export async function findRoot(path: string): Promise<PresentRoot> {
  const real = await realpath(path);
  const identity = identityOf(await stat(real, { bigint: true }));
  await (await opendir(real)).close();
  return { real, identity };
}
