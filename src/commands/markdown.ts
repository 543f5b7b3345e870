// Markdown for a terminal: as much of it as riffd's own pages use.
import { wrap } from "./columns.ts";
import type { Style } from "./style.ts";

/** The lines of a page, none longer than the terminal but for code. */
export function* renderMarkdown(text: string, style: Style, columns: number): Iterable<string> {
  let isFirst = true;
  for (const block of blocksOf(text)) {
    const lines = [...renderBlock(block, style, columns)];
    if (lines.length === 0) continue;
    if (!isFirst) yield "";
    isFirst = false;
    yield* lines;
  }
}

type Block =
  | { readonly kind: "heading" | "text" | "table"; readonly lines: readonly string[] }
  | { readonly kind: "code"; readonly lines: readonly string[] }
  | { readonly kind: "list"; readonly lines: readonly string[] };

/** What stands together, without empty lines and comments. */
function* blocksOf(text: string): Iterable<Block> {
  let lines: string[] = [];
  let fence = false;
  const end = function* (): Iterable<Block> {
    if (lines.length > 0) yield { kind: kindOf(lines[0]!), lines };
    lines = [];
  };
  for (const line of text.replaceAll(/<!--.*?-->/gs, "").split("\n")) {
    if (line.startsWith("```")) {
      if (fence) {
        yield { kind: "code", lines };
        lines = [];
      } else yield* end();
      fence = !fence;
    } else if (fence) lines.push(line);
    else if (line.trim() === "") yield* end();
    else if (kindOf(line) === "heading") {
      yield* end();
      yield { kind: "heading", lines: [line] };
    } else {
      if (lines.length > 0 && kindOf(line) !== kindOf(lines[0]!) && kindOf(line) !== "text") yield* end();
      lines.push(line);
    }
  }
  yield* end();
}

function kindOf(line: string): "heading" | "table" | "list" | "text" {
  if (/^#{1,6} /.test(line)) return "heading";
  if (line.startsWith("|")) return "table";
  return /^\s*(-|\d+\.) /.test(line) ? "list" : "text";
}

function* renderBlock({ kind, lines }: Block, style: Style, columns: number): Iterable<string> {
  switch (kind) {
    case "heading":
      yield style.heading(plainWords(lines[0]!.replace(/^#+ /, "")));
      return;
    case "text":
      yield* wrap(styled(lines.join(" "), style), columns, "", "");
      return;
    case "code":
      for (const line of lines) yield `    ${line}`.trimEnd();
      return;
    case "list":
      for (const item of itemsOf(lines)) yield* wrap(styled(item, style), columns, "• ", "  ");
      return;
    case "table":
      yield* renderTable(lines.map(cellsOf), style, columns);
      return;
    default:
      kind satisfies never;
  }
}

function itemsOf(lines: readonly string[]): string[] {
  const items: string[] = [];
  for (const line of lines) {
    if (kindOf(line) === "list") items.push(line.replace(/^\s*(-|\d+\.) /, ""));
    else items.push(`${items.pop() ?? ""} ${line.trim()}`);
  }
  return items;
}

function cellsOf(line: string): string[] {
  return line
    .replace(/^\||\|\s*$/g, "")
    .split("|")
    .map((cell) => cell.trim());
}

/** Side by side where that fits; else each row as an entry, its first cell above what the others say. */
function* renderTable([titles = [], , ...rows]: readonly string[][], style: Style, columns: number): Iterable<string> {
  const plain = [titles, ...rows].map((row) => titles.map((_, i) => plainWords(row[i] ?? "")));
  const widths = titles.map((_, i) => Math.max(...plain.map((row) => row[i]!.length)));
  const fits = widths.reduce((sum, width) => sum + width + 2, 0) <= columns + 2;
  for (const [n, row] of plain.entries()) {
    if (fits) {
      const line = row
        .map((cell, i) => cell.padEnd(widths[i]!))
        .join("  ")
        .trimEnd();
      yield n === 0 ? style.heading(line) : line;
    } else if (n > 0) yield* renderEntry(row, plain[0]!, style, columns);
  }
}

function* renderEntry(
  row: readonly string[],
  titles: readonly string[],
  style: Style,
  columns: number,
): Iterable<string> {
  const told = row.map((cell, i) => ({ cell, title: titles[i] ?? "" })).filter(({ cell }) => cell !== "");
  const [first, ...others] = told;
  if (first === undefined) return;
  yield* wrap(style.heading(first.cell), columns, "", "  ");
  for (const { cell, title } of others) yield* wrap(`${style.quiet(`${title}:`)} ${cell}`, columns, "  ", "    ");
}

/** Code, emphasis and links in a line. Links to other pages are told by their names alone. */
function styled(text: string, style: Style): string {
  return withoutLinks(text)
    .replaceAll(/\*\*(.+?)\*\*/g, (_, words: string) => style.heading(words))
    .replaceAll(/(?<![\w*])[*_](\S.*?)[*_](?![\w*])/g, "$1");
}

function plainWords(text: string): string {
  return withoutLinks(text)
    .replaceAll(/\*\*(.+?)\*\*/g, "$1")
    .replaceAll("`", "");
}

function withoutLinks(text: string): string {
  return text.replaceAll(/\[([^\]]+)\]\(([^)]+)\)/g, (_, words: string, target: string) =>
    target.startsWith("http") && words !== target ? `${words} (${target})` : words,
  );
}
