// A listening socket and its name in the file system. It gets its name when it has its rights and is listening, so there is
// no moment at which it has less.
import { chmodSync, lstatSync, renameSync, rmSync, type Stats } from "node:fs";
import type { Server } from "node:net";
import { basename, dirname, join } from "node:path";
import { RiffError, systemCode, toError } from "../errors.ts";
import { createSocketFolder } from "./socket-path.ts";

export class NamedSocket {
  readonly #path: string;
  readonly #file: Stats;

  private constructor(path: string, file: Stats) {
    this.#path = path;
    this.#file = file;
  }

  /**
   * Has the server listen at `path`, in a folder that only this user can enter. Whatever socket is there is taken for a dead
   * one's. Throws RIFF_STATE_UNWRITABLE; then the server is closed.
   */
  static async listen(server: Server, path: string): Promise<NamedSocket> {
    try {
      createSocketFolder(path);
      const unnamed = join(dirname(path), `${basename(path).slice(0, -1)}~`);
      removeSocket(unnamed);
      await bind(server, unnamed);
      chmodSync(unnamed, 0o600);
      const file = lstatSync(unnamed);
      removeSocket(path);
      renameSync(unnamed, path);
      return new NamedSocket(path, file);
    } catch (thrown) {
      server.close();
      throw thrown instanceof RiffError ? thrown : cannotListen(path, toError(thrown));
    }
  }

  /** Whether who connects to the path comes here. */
  get isInPlace(): boolean {
    try {
      const { ino, dev } = lstatSync(this.#path);
      return ino === this.#file.ino && dev === this.#file.dev;
    } catch {
      return false; // it is gone, or cannot be reached any more
    }
  }

  /** Removes the name, if it is its own: another daemon may have taken the place. */
  remove(): void {
    if (this.isInPlace) rmSync(this.#path, { force: true });
  }
}

function bind(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    // The socket is made before `listen` returns.
    const umask = process.umask(0o077);
    try {
      server.listen(path, () => {
        server.off("error", reject);
        resolve();
      });
    } finally {
      process.umask(umask);
    }
  });
}

/** Removes the socket at a path, and nothing else that may be there. */
function removeSocket(path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw new RiffError(
      "RIFF_STATE_UNWRITABLE",
      `The control socket cannot be made: ${path} is there, and is no socket.`,
      "Look at what it is, and move it away.",
    );
  }
  rmSync(path);
}

function cannotListen(path: string, error: Error): RiffError {
  const tooLong = systemCode(error) === "EINVAL" || systemCode(error) === "ENAMETOOLONG";
  return new RiffError(
    "RIFF_STATE_UNWRITABLE",
    `Cannot listen at ${path}: ${error.message}`,
    tooLong
      ? "Choose a state folder with a shorter path."
      : "Check the folder's rights and the free space of its disk.",
    error,
  );
}
