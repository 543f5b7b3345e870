// The clock of this machine. Its timers do not keep the process alive.
import type { Clock } from "../sync/clock.ts";

/** The longest time that a timer of Node.js can count. */
const LONGEST_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => new Date(),
  after(ms, run) {
    const timer = setTimeout(run, Math.min(ms, LONGEST_MS));
    timer.unref();
    return () => clearTimeout(timer);
  },
};
