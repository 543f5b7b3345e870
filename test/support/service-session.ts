/** riffd service as somebody runs it on a machine of fakes, with a daemon that answers on a real socket. */
import type { Output } from "../../src/commands/output.ts";
import type { Place } from "../../src/commands/service-place.ts";
import type { ControlServer } from "../../src/control/server.ts";
import { startControl, TestDaemon } from "./controlling.ts";
import type { ServicePrograms } from "./service-programs.ts";

export class Session {
  readonly daemon = new TestDaemon();
  readonly place: Place;
  readonly lines: string[] = [];
  readonly notes: string[] = [];
  readonly output: Output = {
    line: (text) => void this.lines.push(text),
    note: (text) => void this.notes.push(text),
  };
  readonly signal = new AbortController().signal;
  #server: ControlServer | null = null;

  constructor(programs: ServicePrograms, platform: "linux" | "darwin", more: Partial<Place> = {}) {
    this.place = programs.place(platform, more);
  }

  /** From now on it listens where this user's daemon does, below `stateDir`. */
  async listen(stateDir = this.place.env.RIFFD_STATE_DIR!): Promise<void> {
    const { server } = await startControl({}, undefined, this.daemon, `${stateDir}/riffd.sock`);
    this.#server = server;
  }

  async close(): Promise<void> {
    await this.#server?.close();
  }
}
