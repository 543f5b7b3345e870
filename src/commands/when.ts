// What people type for a point in time → milliseconds since 1970: a date, a date and time, or an age.
import { RiffError } from "../errors.ts";

/** From when to when; null: no limit. Both ends belong to it. */
export interface Period {
  readonly since: number | null;
  readonly until: number | null;
}

/** null: everything is meant. Throws RIFF_USAGE. */
export function parsePeriod(since: string | undefined, until: string | undefined, now: Date): Period | null {
  if (since === undefined && until === undefined) return null;
  const period = {
    since: since === undefined ? null : parseWhen("--since", since, now).first,
    until: until === undefined ? null : parseWhen("--until", until, now).last,
  };
  if (period.since !== null && period.until !== null && period.since > period.until) {
    throw new RiffError(
      "RIFF_USAGE",
      `--since ${since} is later than --until ${until}: nothing can lie between them.`,
      "Exchange them, or leave one out.",
    );
  }
  return period;
}

export function isIn({ since, until }: Period, time: number): boolean {
  return (since === null || time >= since) && (until === null || time <= until);
}

/** What lies outside of it: "before 2026-11-01 00:00:00 or after …", in local time. */
export function describeOutside({ since, until }: Period): string {
  const ends = [since === null ? "" : `before ${localTime(since)}`, until === null ? "" : `after ${localTime(until)}`];
  return ends.filter(Boolean).join(" or ");
}

/** "2026-11-01 09:30:00". */
export function localTime(time: number): string {
  const date = new Date(time);
  const two = (n: number) => String(n).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** A day has a first and a last moment; anything else is one moment. */
interface Moment {
  readonly first: number;
  readonly last: number;
}

const MINUTE = 60_000;
const UNITS: Readonly<Record<string, number>> = {
  m: MINUTE,
  h: 60 * MINUTE,
  d: 24 * 60 * MINUTE,
  w: 7 * 24 * 60 * MINUTE,
};

function parseWhen(option: string, text: string, now: Date): Moment {
  const moment = parseAge(text, now) ?? parseDay(text) ?? parseDateTime(text);
  if (moment !== null) return moment;
  throw new RiffError(
    "RIFF_USAGE",
    `${option} ${JSON.stringify(text)} is no point in time.`,
    "Give a date (2026-11-01), a date and time (2026-11-01T09:30, 2026-11-01T09:30:00Z), or an age (30m, 12h, 2d, 1w).",
  );
}

/** "2d": that long ago. */
function parseAge(text: string, now: Date): Moment | null {
  const [, count, unit] = /^(\d{1,6})([mhdw])$/.exec(text) ?? [];
  if (count === undefined || unit === undefined) return null;
  const time = now.getTime() - Number(count) * UNITS[unit]!;
  return { first: time, last: time };
}

/** "2026-11-01": the local day, also one that is not 24 hours long. */
function parseDay(text: string): Moment | null {
  const [, year, month, day] = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text) ?? [];
  if (year === undefined || !isDay(Number(year), Number(month), Number(day))) return null;
  const first = new Date(Number(year), Number(month) - 1, Number(day)).getTime();
  return { first, last: new Date(Number(year), Number(month) - 1, Number(day) + 1).getTime() - 1 };
}

/** "2026-11-01T09:30": local time, unless it names its zone. */
function parseDateTime(text: string): Moment | null {
  const pattern = /^(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?$/;
  const [, year, month, day] = pattern.exec(text) ?? [];
  if (year === undefined || !isDay(Number(year), Number(month), Number(day))) return null;
  const time = new Date(text.replace(" ", "T")).getTime();
  return Number.isNaN(time) ? null : { first: time, last: time };
}

/** `Date` takes 2026-02-30 for the second of March. */
function isDay(year: number, month: number, day: number): boolean {
  return month >= 1 && month <= 12 && day >= 1 && day <= new Date(Date.UTC(year, month, 0)).getUTCDate();
}
