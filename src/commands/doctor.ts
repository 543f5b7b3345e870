// riffd doctor: looks at everything riffd depends on, and says what is as it should be, what is not, and what to do.
import { examineSettings } from "../config/config.ts";
import type { Check, CheckState } from "../doctor/check.ts";
import { examine } from "../doctor/examine.ts";
import { Patient } from "../doctor/patient.ts";
import { EXIT_CODES } from "../errors.ts";
import { interrupted } from "../sync/look.ts";
import { wrap } from "./columns.ts";
import { type Output, plural } from "./output.ts";
import { serviceFacts } from "./service-facts.ts";
import { thisPlace } from "./service-place.ts";
import { type Style, styleFor } from "./style.ts";

export interface DoctorOptions {
  readonly json: boolean;
}

/** Where the output is no terminal, or one that does not know its size. */
const USUAL_COLUMNS = 100;

/** Runs the command. Returns its exit code: that of RIFF_DOCTOR_PROBLEMS where there are any. Throws RIFF_INTERRUPTED. */
export async function doctorCommand(
  options: DoctorOptions,
  version: string,
  output: Output,
  signal: AbortSignal,
): Promise<number> {
  const { env, platform } = process;
  const { settings, problems } = examineSettings({}, env, platform);
  const patient = new Patient({
    version,
    env,
    platform,
    now: new Date(),
    settings,
    configProblems: problems,
    signal,
    findService: () => serviceFacts(thisPlace()),
  });
  const style = styleFor(process.stdout, env);
  const columns = process.stdout.columns || USUAL_COLUMNS;
  const checks: Check[] = [];
  for await (const check of examine(patient)) {
    checks.push(check);
    if (!options.json) for (const line of checkLines(check, style, columns)) output.line(line);
  }
  if (signal.aborted) throw interrupted();
  const counts = countStates(checks);
  if (options.json) output.line(JSON.stringify({ version, ...counts, checks }));
  else output.line(`\n${summary(counts, style)}`);
  return counts.problems === 0 ? 0 : EXIT_CODES.RIFF_DOCTOR_PROBLEMS;
}

const MARKS: Readonly<Record<CheckState, string>> = { ok: "✓", warning: "!", problem: "✗" };
/** Columns of a check's name. */
const NAME = 18;

function checkLines({ id, state, message, hint }: Check, style: Style, columns: number): string[] {
  const paint = { ok: style.good, warning: style.warn, problem: style.bad }[state];
  const first = `${paint(MARKS[state])} ${style.quiet(id.padEnd(NAME))} `;
  const rest = " ".repeat(NAME + 3);
  const told = wrap(message, columns, first, rest);
  return hint === null ? told : [...told, ...wrap(`${style.heading("Try:")} ${hint}`, columns, rest, rest)];
}

interface Counts {
  readonly ok: number;
  readonly warnings: number;
  readonly problems: number;
}

function countStates(checks: readonly Check[]): Counts {
  const count = (wanted: CheckState) => checks.filter(({ state }) => state === wanted).length;
  return { ok: count("ok"), warnings: count("warning"), problems: count("problem") };
}

function summary({ ok, warnings, problems }: Counts, style: Style): string {
  const good = `${plural(ok, "check")} ok`;
  if (problems > 0) return style.bad(`✗ ${plural(problems, "problem")}, ${plural(warnings, "warning")}, ${good}`);
  return warnings > 0 ? style.warn(`! ${plural(warnings, "warning")}, ${good}`) : style.good(`✓ ${good}`);
}
