/** A daemon for the commands to talk to, in a process of its own. */
import { fileURLToPath } from "node:url";
import type { RemoteTarget } from "../../src/config/store-target.ts";
import { type Running, startNode } from "./riffd.ts";

const PROCESS = fileURLToPath(new URL("daemon-process.ts", import.meta.url));

export interface DaemonOptions {
  /** The store that it works on; null: the embedded one below its state folder. */
  readonly server?: RemoteTarget | null;
  /** It does not end when it was asked to. */
  readonly lingers?: boolean;
}

/** Starts it with its state below `stateDir`; it answers when this returns. */
export async function startDaemon(stateDir: string, options: DaemonOptions = {}): Promise<Running> {
  const running = startNode(["--import", "tsx", PROCESS, stateDir, JSON.stringify(options)], stateDir);
  await running.told(/ready/);
  return running;
}
