/** Which modules a run of riffd loads. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { riffd } from "./riffd.ts";
import { scratchFolder } from "./workbench.ts";

/** In the loader's thread: notes each module that is imported. */
const HOOK = `
  import { appendFileSync } from "node:fs";
  export async function resolve(specifier, context, next) {
    const found = await next(specifier, context);
    appendFileSync(process.env.RIFFD_TEST_LOADED, found.url + "\\n");
    return found;
  }`;

/** In riffd's own: notes at the end what was required. */
const PRELOAD = `
  import { appendFileSync } from "node:fs";
  import { createRequire, register } from "node:module";
  register(${JSON.stringify(dataUrl(HOOK))});
  const { cache } = createRequire("file:///");
  process.on("exit", () => {
    for (const path of Object.keys(cache)) appendFileSync(process.env.RIFFD_TEST_LOADED, path + "\\n");
  });`;

export interface Loaded {
  readonly code: number | null;
  /** Files, or addresses of them. */
  readonly modules: readonly string[];
  /** Names of those that are packages. */
  readonly packages: ReadonlySet<string>;
}

/** Runs `riffd …args` with its state below `stateDir`. */
export async function modulesOf(stateDir: string, args: readonly string[]): Promise<Loaded> {
  const file = join(scratchFolder(), "loaded");
  const env = { RIFFD_TEST_LOADED: file, NODE_OPTIONS: `--import=${dataUrl(PRELOAD)}` };
  const { code } = await riffd(stateDir, args, { env });
  const modules = [...new Set(readFileSync(file, "utf8").split("\n").filter(Boolean))];
  const packages = modules.flatMap((path) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? []);
  return { code, modules, packages: new Set(packages) };
}

function dataUrl(text: string): string {
  return `data:text/javascript,${encodeURIComponent(text)}`;
}
