// What the project's pages say: command lines, links and headings.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const REPOSITORY = fileURLToPath(new URL("../../", import.meta.url));

/** A command line in a block, and what the page says that it prints. */
interface Line {
  readonly command: string;
  readonly output: string;
}

/** A fenced block of `sh` or `console`. */
export interface Block {
  readonly page: string;
  /** The heading it stands under. */
  readonly heading: string;
  readonly lines: readonly Line[];
}

/** README.md, what stands beside it, and the pages of docs/ and docker/. */
export function pages(): string[] {
  const folders = ["", "docs/", "docker/"];
  return folders.flatMap((folder) =>
    readdirSync(`${REPOSITORY}${folder}`)
      .filter((name) => name.endsWith(".md"))
      .map((name) => `${folder}${name}`),
  );
}

export function readPage(page: string): string {
  return readFileSync(`${REPOSITORY}${page}`, "utf8");
}

export function blocksOf(page: string): Block[] {
  const text = readPage(page);
  return [...text.matchAll(/^```(sh|console)\n([\s\S]*?)^```$/gm)].map((match) => ({
    page,
    heading: headingsOf(text.slice(0, match.index)).at(-1) ?? "",
    lines: match[1] === "sh" ? typed(match[2]!) : shown(match[2]!),
  }));
}

/** What was typed after a `$`, each with what follows it. */
function shown(body: string): Line[] {
  return body
    .split(/^\$ /m)
    .slice(1)
    .map((part) => {
      const end = part.indexOf("\n");
      return { command: part.slice(0, end), output: part.slice(end + 1) };
    });
}

function typed(body: string): Line[] {
  return body
    .split("\n")
    .map((line) => ({ command: line.replace(/(^| +)#.*$/, ""), output: "" }))
    .filter(({ command }) => command !== "");
}

/** `riffd …` in running text, each once; ` \| ` between words stands for several. */
export function inlineCommands(page: string): string[] {
  const prose = readPage(page).replace(/^```[\s\S]*?^```$/gm, "");
  const spans = [...prose.matchAll(/`(riffd [^`\n]+)`/g)].map((match) => match[1]!);
  return [...new Set(spans.flatMap(alternatives))];
}

/** "riffd config show \| path" → both. */
function alternatives(span: string): string[] {
  const [first, ...others] = span.split(/ \\?\| /);
  const before = first!.slice(0, first!.lastIndexOf(" "));
  return [first!, ...others.map((other) => `${before} ${other}`)];
}

/** What each of the command lines gives riffd: its arguments, for as often as it is called. The shell splits them. */
export function argumentsOf(commands: readonly string[]): string[][][] {
  const script = `
    PATH=/nowhere
    riffd() { printf '%s\\037' "$@" >&3; printf '\\036' >&3; }
    npx() { shift; riffd "$@"; }
    cd() { :; }
    jq() { :; }
    command_not_found_handle() { :; }
    for command in "$@"; do eval "$command" < /dev/null > /dev/null; printf '\\035' >&3; done`;
  const told = execFileSync("bash", ["-c", `exec 3>&1; ${script}`, "bash", ...commands], {
    cwd: REPOSITORY,
    encoding: "utf8",
  });
  const calls = told.split("\x1d").slice(0, -1);
  return calls.map((text) =>
    text
      .split("\x1e")
      .slice(0, -1)
      .map((call) => call.split("\x1f").slice(0, -1)),
  );
}

export function headingsOf(text: string): string[] {
  const prose = text.replace(/^```[\s\S]*?^```$/gm, "");
  return [...prose.matchAll(/^#+ (.+)$/gm)].map((match) => match[1]!);
}

/** As it stands in a link. */
export function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, "")
    .replaceAll(" ", "-");
}

export interface Link {
  /** From the project's folder on. */
  readonly file: string;
  readonly anchor: string;
}

/** Links to files of the project, and files that are named in running text: `docs/errors.md`. */
export function linksOf(page: string): Link[] {
  const named = [...readPage(page).matchAll(/(?<![\w/.~-])((?:docs|docker|schema|examples)\/[\w./-]*\.\w+)/g)];
  return [...followedLinksOf(page), ...named.map((match) => ({ file: match[1]!, anchor: "" }))];
}

/** Links to files of the project that a reader can follow. */
export function followedLinksOf(page: string): Link[] {
  const text = readPage(page);
  const folder = page.includes("/") ? `${page.slice(0, page.lastIndexOf("/"))}/` : "";
  return [...text.matchAll(/\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]*))?\)/g)].map(([, file, anchor]) => ({
    file: file === "" ? page : new URL(file!, `file:///${folder}`).pathname.slice(1),
    anchor: anchor ?? "",
  }));
}
