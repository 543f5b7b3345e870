// Asks for a secret on the terminal without showing it.
import { StringDecoder } from "node:string_decoder";
import { RiffError } from "../errors.ts";

const ENTER = new Set(["\r", "\n", "\u0004"]);
const ERASE = new Set(["\b", "\u007f"]);
const INTERRUPT = "\u0003";

/** What was typed, up to Enter. Throws RIFF_INTERRUPTED on Ctrl-C. Needs a terminal. */
export function askSecret(question: string, input = process.stdin, output = process.stderr): Promise<string> {
  // Before the question, so that nothing of the answer is echoed.
  input.setRawMode(true).resume();
  output.write(question);
  const decoder = new StringDecoder("utf8");
  return new Promise((resolve, reject) => {
    let typed: string[] = [];
    const finish = (settle: () => void) => {
      input.off("data", read).setRawMode(false).pause();
      output.write("\n");
      settle();
    };
    const read = (bytes: Buffer) => {
      for (const char of decoder.write(bytes)) {
        if (ENTER.has(char)) return finish(() => resolve(typed.join("")));
        if (char === INTERRUPT) {
          return finish(() => reject(new RiffError("RIFF_INTERRUPTED", "Interrupted.", "Run the same command again.")));
        }
        if (ERASE.has(char)) typed = typed.slice(0, -1);
        else typed.push(char);
      }
    };
    input.on("data", read);
  });
}
