// JSON text with a fixed form, so that re-serialised but equal records compare equal and hashes can cover records.
// Iterative: a transcript may hold values nested deeper than the call stack allows.

/**
 * The canonical JSON of a value that came out of `JSON.parse` (or is made of such values): keys sorted by UTF-16 code
 * units, no spaces, numbers as JavaScript prints them, lone surrogates as U+FFFD. `omit` names a key of the top level
 * that is left out. Members that are `undefined` are left out.
 */
export function canonicalJson(value: unknown, omit?: string): string {
  return write(value, true, omit);
}

/** JSON text of a parsed value with its keys in their own order; never overflows the stack. */
export function compactJson(value: unknown): string {
  try {
    return JSON.stringify(value) ?? "";
  } catch {
    return write(value, false, undefined);
  }
}

interface Frame {
  readonly close: string;
  readonly keys: readonly string[] | null; // null: an array
  readonly container: Readonly<Record<string, unknown>> | readonly unknown[];
  readonly length: number;
  next: number;
  empty: boolean;
}

function write(root: unknown, sorted: boolean, omit: string | undefined): string {
  const out: string[] = [];
  const stack: Frame[] = [];
  const open = (value: unknown, skip: string | undefined) => {
    if (Array.isArray(value)) {
      out.push("[");
      stack.push({ close: "]", keys: null, container: value, length: value.length, next: 0, empty: true });
    } else if (typeof value === "object" && value !== null) {
      const container = value as Record<string, unknown>;
      const keys = Object.keys(container).filter((key) => key !== skip && container[key] !== undefined);
      if (sorted) keys.sort();
      out.push("{");
      stack.push({ close: "}", keys, container, length: keys.length, next: 0, empty: true });
    } else out.push(scalar(value));
  };
  open(root, omit);
  while (stack.length > 0) {
    const frame = stack[stack.length - 1]!;
    if (frame.next === frame.length) {
      out.push(frame.close);
      stack.pop();
      continue;
    }
    if (!frame.empty) out.push(",");
    frame.empty = false;
    const index = frame.next++;
    if (frame.keys === null) {
      open((frame.container as readonly unknown[])[index], undefined);
    } else {
      const key = frame.keys[index]!;
      out.push(scalar(key), ":");
      open((frame.container as Record<string, unknown>)[key], undefined);
    }
  }
  return out.join("");
}

function scalar(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.toWellFormed());
  return JSON.stringify(value) ?? "null";
}
