// riffd export: gives back the archived bytes of a session, exactly.
import { resolve } from "node:path";
import type { Writable } from "node:stream";
import { RiffError, systemCode, toError } from "../errors.ts";
import type { SurrealStore } from "../store/surreal-store.ts";
import { interrupted } from "../sync/look.ts";
import { formatBytes, formatCount, type Output, plural } from "./output.ts";
import { resolveSession } from "./resolve.ts";
import { openChosenStore, type StoreOptions } from "./store.ts";
import { type FileKind, refuseToReplace, writeWholeFile } from "./whole-file.ts";

export interface ExportOptions extends StoreOptions {
  /** A file; else the bytes go to `stdout`. */
  readonly output?: string;
  /** As typed; the one that readers see if left out. */
  readonly generation?: string;
  readonly force: boolean;
}

const EXPORTED: FileKind = { code: "RIFF_EXPORT_FAILED", otherName: "name with -o" };

/** Runs the command; returns its exit code. Throws RiffError. */
export async function exportCommand(
  query: string,
  options: ExportOptions,
  output: Output,
  signal: AbortSignal,
): Promise<number> {
  const target = options.output === undefined ? null : resolve(options.output);
  if (target !== null) refuseToReplace(target, options.force, EXPORTED);
  const opened = await openChosenStore(options, output, signal, { readOnly: true });
  try {
    const { store } = opened;
    const candidates = (await store.summaries()).map(({ session_id, source }) => ({
      sessionId: session_id,
      path: source[1],
    }));
    const { sessionId } = resolveSession(query, candidates, `the store ${store.location}`);
    const { generation, archived } = await chooseGeneration(store, sessionId, options.generation);
    const bytes = untilAborted(store.readArchive(sessionId, generation, 0, archived), signal);
    if (target === null) await writeTo(process.stdout, bytes);
    else {
      await writeWholeFile(target, bytes, options.force, EXPORTED);
      output.note(`✓ ${sessionId}: ${formatCount(archived)} bytes (${formatBytes(archived)}) → ${target}`);
    }
    return 0;
  } finally {
    await opened.close();
  }
}

/** The generation to export. Throws RIFF_EXPORT_FAILED for one that there is not, and names those there are. */
async function chooseGeneration(
  store: SurrealStore,
  sessionId: string,
  asked: string | undefined,
): Promise<{ generation: number; archived: number }> {
  const generations = await store.generations(sessionId);
  const visible = (await store.findSession(sessionId))?.generation;
  const wanted = asked === undefined ? visible : Number(asked);
  const found = generations.find(({ generation }) => generation === wanted);
  if (found !== undefined) return found;
  const list = generations.map(
    ({ generation, archived }) =>
      `  ${generation}  ${plural(archived, "byte")}${generation === visible ? " (the current one)" : ""}`,
  );
  throw new RiffError(
    "RIFF_EXPORT_FAILED",
    `Session ${sessionId} has no generation ${asked ?? visible}. It has:\n${list.join("\n")}`,
    "Name one of these with --generation, or leave it out for the current one.",
  );
}

/** The chunks, until asked to stop. What the store cannot read is told as damage to it. */
async function* untilAborted(chunks: AsyncIterable<Buffer>, signal: AbortSignal): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of chunks) {
      if (signal.aborted) throw interrupted();
      yield chunk;
    }
  } catch (thrown) {
    if (thrown instanceof RiffError) throw thrown;
    throw new RiffError(
      "RIFF_STORE_DAMAGED",
      `The archived bytes cannot be read: ${toError(thrown).message}`,
      "Run `riffd verify` to see all that is damaged, and restore the store from a backup.",
      thrown,
    );
  }
}

/** Writes no faster than the reader takes it. A reader that goes away ends it without an error. */
async function writeTo(stdout: Writable, chunks: AsyncIterable<Buffer>): Promise<void> {
  const ignore = () => {}; // each write is told of its own error
  stdout.on("error", ignore);
  try {
    for await (const chunk of chunks) {
      await new Promise<void>((done, failed) => stdout.write(chunk, (error) => (error ? failed(error) : done())));
    }
  } catch (thrown) {
    if (systemCode(thrown) === "EPIPE") return;
    if (thrown instanceof RiffError) throw thrown;
    throw new RiffError(
      "RIFF_EXPORT_FAILED",
      `Cannot write to the standard output: ${toError(thrown).message}`,
      "Check where it goes, or name a file with -o.",
      thrown,
    );
  } finally {
    stdout.off("error", ignore);
  }
}
