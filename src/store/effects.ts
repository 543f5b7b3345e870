// What a query text would do besides reading, by its words. Writes of rows are told so that nobody takes a result that
// was rolled back for one that was kept. What no rollback undoes (index builders, sequences, the network, scripts) is
// told so that it never runs: there this file is the guard, and prefers a false alarm.

/**
 * The first thing in `text` that a read-only query must not do, in words for people; null where it only reads. A name
 * that is also such a word counts as one, unless it stands in backticks, behind a dot or `::`, or before the colon of
 * an object's key.
 */
export function findEffect(text: string): string | null {
  const tokens = tokenize(text);
  for (const [i, { kind, text: word, isCertain }] of tokens.entries()) {
    const [beforeLast, before] = [tokens[i - 2]?.text, tokens[i - 1]?.text];
    const [next, third] = [tokens[i + 1]?.text, tokens[i + 2]?.text];
    const beginsPath = next === ":" && third === ":";
    if (beginsPath && OUTSIDE.has(word)) return `calls ${word}::, whose effects cannot be undone`;
    if (kind !== "word") continue;
    if (word === "function" && next === "(") return "runs a script";
    const isName = next === ":" || (before === "." && beforeLast !== ".") || (before === ":" && beforeLast === ":");
    if (WRITES.has(word) && !(isName && isCertain)) return `writes (${word.toUpperCase()})`;
    const isStatement = (before === undefined || before === ";") && (next === undefined || /^[a-z;]/.test(next));
    if (CONTROLS.has(word) && isStatement) return `has a statement ${word.toUpperCase()}`;
  }
  return null;
}

/** Words that begin a statement or an expression that writes. SurrealQL does not take them for names there. */
const WRITES = new Set([
  "create",
  "insert",
  "update",
  "upsert",
  "delete",
  "relate",
  "define",
  "remove",
  "alter",
  "rebuild",
]);

/** Statements that make no sense in a transaction that is rolled back, or would leave it. */
const CONTROLS = new Set(["begin", "commit", "cancel", "option", "live", "kill", "access"]);

/** Functions that act outside of the transaction. */
const OUTSIDE = new Set(["sequence", "http", "file", "api"]);

interface Token {
  readonly kind: "word" | "quoted" | "sign";
  /** In lower case; of a quoted name, what stands between the quotes. */
  readonly text: string;
  /** It is code, and not the inside of a regular expression or of a string behind one. */
  readonly isCertain: boolean;
}

// As the engine's lexer: comments do not nest, and end at any of five line ends.
const LEXEMES = /\s+|(?:--|\/\/|#)[^\n\r\u2028\u2029\u0085]*|\/\*[\s\S]*?\*\/|\$\w+|(?<word>\w+)|(?<sign>[\s\S])/y;

/** Behind a slash that may begin a regular expression, quotes can mean anything: everything counts as code. */
const DOUBTFUL_LEXEMES = /\s+|(?<word>\w+)|(?<sign>[\s\S])/y;

/** Of texts, which say nothing here, and of names. */
const CLOSING_QUOTES: Readonly<Record<string, string>> = { "'": "'", '"': '"', "`": "`", "⟨": "⟩" };

function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let isCertain = true;
  for (let at = 0; at < text.length; ) {
    const quote = text[at]!;
    const closing = isCertain ? CLOSING_QUOTES[quote] : undefined;
    if (closing !== undefined) {
      const end = endOfQuoted(text, at + 1, closing);
      const isName = quote === "`" || quote === "⟨";
      if (isName) tokens.push({ kind: "quoted", text: text.slice(at + 1, end - 1).toLowerCase(), isCertain });
      at = end;
      continue;
    }
    const lexemes = isCertain ? LEXEMES : DOUBTFUL_LEXEMES;
    lexemes.lastIndex = at;
    const { word, sign } = lexemes.exec(text)!.groups!;
    at = lexemes.lastIndex;
    if (word !== undefined) tokens.push({ kind: "word", text: word.toLowerCase(), isCertain });
    if (sign !== undefined) tokens.push({ kind: "sign", text: sign, isCertain });
    if (sign === "/") isCertain = false;
  }
  return tokens;
}

/** A backslash escapes any character. What is never closed ends with the text, which the engine then refuses. */
function endOfQuoted(text: string, start: number, closing: string): number {
  for (let at = start; at < text.length; at++) {
    if (text[at] === closing) return at + 1;
    if (text[at] === "\\") at++;
  }
  return text.length;
}
