// What a benchmark tells: tables for people, and one object for `--json`.
import { availableParallelism, loadavg } from "node:os";

export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
}

export interface Report {
  readonly tables: readonly Table[];
  /** Lines below the tables. */
  readonly notes: readonly string[];
  readonly result: Readonly<Record<string, unknown>>;
}

/** What a benchmark is asked to do. */
export interface BenchOptions {
  /** A projects folder to measure on; null: made-up transcripts. */
  readonly projects: string | null;
  readonly rounds: number;
  /** The sizes that take minutes too. */
  readonly large: boolean;
  /** Names of the cases to run; empty: all. */
  readonly only: readonly string[];
  /** Progress, for people. */
  readonly note: (text: string) => void;
}

export function formatTable({ title, columns, rows }: Table): string {
  const cells = [columns, ...rows].map((row) => row.map(formatCell));
  const widths = columns.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
  const lines = cells.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join("  "),
  );
  lines.splice(1, 0, widths.map((width) => "─".repeat(width)).join("  "));
  return [title, ...lines].map((line) => line.trimEnd()).join("\n");
}

function formatCell(cell: string | number): string {
  if (typeof cell === "string") return cell;
  return cell.toLocaleString("en-US", { maximumFractionDigits: Math.abs(cell) < 10 ? 2 : 0 });
}

/** The middle one; of an even number the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** The smallest that is not exceeded by this share of them. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

export function rounded(value: number, digits = 2): number {
  return Number(value.toFixed(digits));
}

/** How busy the machine is before anything is measured. */
export function loadNote(): string {
  return `the machine's load when it began: ${loadavg()[0]!.toFixed(1)}, on ${availableParallelism()} cores`;
}
