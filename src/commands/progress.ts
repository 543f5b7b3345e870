// How far a long command has come, on a terminal.
import { Presets, SingleBar } from "cli-progress";

/** A bar that counts to `total`; null where nobody would see it. Stop it in the end. */
export function startProgress(total: number, noun: string): SingleBar | null {
  if (!process.stderr.isTTY) return null;
  const bar = new SingleBar(
    {
      format: `{bar} {percentage}% · {value}/{total} ${noun} · {duration_formatted}`,
      hideCursor: true,
      clearOnComplete: true,
      stopOnComplete: true,
      stream: process.stderr,
    },
    Presets.shades_classic,
  );
  bar.start(total, 0);
  return bar;
}
