// Whether there is a daemon at all: what every command asks first, so it costs a connection and loads nothing.
import { existsSync } from "node:fs";
import { connect } from "node:net";
import { systemCode } from "../errors.ts";

/** A local connection is there at once or not at all; a machine that stands still is not waited for. */
const PATIENCE_MS = 1_000;

/** Whether somebody listens at a socket. Never rejects. */
export async function isDaemonRunning(socketPath: string): Promise<boolean> {
  if (!existsSync(socketPath)) return false;
  return await new Promise((resolve) => {
    const socket = connect(socketPath);
    const settle = (isRunning: boolean) => {
      socket.destroy();
      resolve(isRunning);
    };
    socket.setTimeout(PATIENCE_MS, () => settle(false));
    socket.on("connect", () => settle(true));
    // EAGAIN: so many wait to be let in that there is no room for another.
    socket.on("error", (error) => settle(systemCode(error) === "EAGAIN"));
  });
}
