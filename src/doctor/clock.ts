// Files from the future: which transcripts changed last, and which are old, is told by their times.
import { stat } from "node:fs/promises";
import { type Check, ok, warning } from "./check.ts";
import { inCount, TOLERATED_MS } from "./measures.ts";
import type { Patient } from "./patient.ts";

export async function checkClock(patient: Patient): Promise<Check[]> {
  const { transcripts } = await patient.transcripts();
  const times = await Promise.all(
    transcripts.map(async ({ path }) => ({
      path,
      time: await stat(path).then(
        ({ mtime }) => mtime,
        () => null,
      ),
    })),
  );
  const limit = patient.now.getTime() + TOLERATED_MS;
  const ahead = times.filter(({ time }) => time !== null && time.getTime() > limit);
  const [first] = ahead;
  if (first === undefined) return [ok("clock.files", "no transcript is of a time yet to come")];
  return [
    warning(
      "clock.files",
      `${inCount(ahead.length, "transcript")} of a time yet to come, such as ${first.path} (${first.time!.toISOString()}).`,
      "Check this machine's clock (timedatectl), and that of the machine the files are on. Everything in them is kept all the same; what goes by time (--since, --until, the latest first) is not to be trusted.",
    ),
  ];
}
