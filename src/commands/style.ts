// Colour, where it helps people and nowhere else.
import { styleText } from "node:util";

/** How to write words that matter. Gives them back as they are where there is to be no colour. */
export interface Style {
  good(text: string): string;
  bad(text: string): string;
  warn(text: string): string;
  heading(text: string): string;
  quiet(text: string): string;
}

/** Colour only on a terminal that can; NO_COLOR and FORCE_COLOR (0: none) win, in this order. */
export function styleFor(
  stream: { readonly isTTY?: boolean },
  env: Readonly<Record<string, string | undefined>>,
): Style {
  return wantsColour(stream, env) ? COLOURED : PLAIN;
}

/** Whether there is to be colour on a stream. */
export function wantsColour(
  stream: { readonly isTTY?: boolean },
  env: Readonly<Record<string, string | undefined>>,
): boolean {
  if (env.NO_COLOR) return false;
  if (env.FORCE_COLOR !== undefined) return !["0", "false"].includes(env.FORCE_COLOR);
  return stream.isTTY === true && env.TERM !== "dumb";
}

const asIs = (text: string): string => text;
const PLAIN: Style = { good: asIs, bad: asIs, warn: asIs, heading: asIs, quiet: asIs };

/** Node.js from 22.13 on would look at the stream once more; it has been decided. */
const inFormat = (format: Parameters<typeof styleText>[0]) => (text: string) =>
  styleText(format, text, { validateStream: false });

const COLOURED: Style = {
  good: inFormat("green"),
  bad: inFormat("red"),
  warn: inFormat("yellow"),
  heading: inFormat("bold"),
  quiet: inFormat("dim"),
};
