// Lines that fit a terminal, whatever colours are in them.

// biome-ignore lint/suspicious/noControlCharactersInRegex: colours begin with one
const FORMAT = /(\x1b\[[\d;]*m)/;

/** The line, or as much of it as fits, with an ellipsis. */
export function cut(line: string, columns: number): string {
  if (widthOf(line) <= columns) return line;
  let room = Math.max(0, columns - 1);
  let wasCut = false;
  // Formats are kept to the end, so that none is left open.
  const parts = line.split(FORMAT).map((part, i) => {
    if (i % 2 === 1 || wasCut) return i % 2 === 1 ? part : "";
    const chars = [...part];
    if (chars.length <= room) {
      room -= chars.length;
      return part;
    }
    wasCut = true;
    return `${chars.slice(0, room).join("")}…`;
  });
  return parts.join("");
}

/** Lines of words, the first behind `first`, the others behind `rest`. Lines of the text stay lines. */
export function wrap(text: string, columns: number, first: string, rest: string): string[] {
  const lines: string[] = [];
  for (const paragraph of text.split("\n")) {
    let line = "";
    for (const word of paragraph.split(" ")) {
      const margin = lines.length === 0 ? first : rest;
      if (line !== "" && widthOf(`${margin}${line} ${word}`) > columns) {
        lines.push(margin + line);
        line = word;
      } else line = line === "" ? word : `${line} ${word}`;
    }
    lines.push((lines.length === 0 ? first : rest) + line);
  }
  return lines;
}

function widthOf(text: string): number {
  return [...text.replaceAll(new RegExp(FORMAT, "g"), "")].length;
}
