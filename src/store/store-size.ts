import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";

/** Bytes of an embedded store's files, as they are while it may be written to. Throws where there is none. */
export async function storeSize(dir: string): Promise<number> {
  const names = await readdir(dir);
  const sizes = await Promise.all(
    names.map((name) =>
      stat(join(dir, name)).then(
        ({ size }) => size,
        () => 0, // compacted away meanwhile
      ),
    ),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
