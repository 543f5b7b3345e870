// Numbers in words, and how far clocks may differ.

/** Clocks of machines on a network differ by less. */
export const TOLERATED_MS = 2 * 60_000;

/** "1 session", "12,345 sessions". */
export function inCount(count: number, noun: string): string {
  return `${count.toLocaleString("en-US")} ${noun}${count === 1 ? "" : "s"}`;
}

export function inBytes(bytes: number): string {
  const units = ["B", "KB", "MB", "GB", "TB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  return `${power === 0 ? bytes : (bytes / 1000 ** power).toFixed(1)} ${units[power]}`;
}
