#!/usr/bin/env node
// riffd: argv → command → exit code. The only place that ends the process.
import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { formatError, terminal } from "./commands/output.ts";
import { EXIT_CODES, RiffError, toError } from "./errors.ts";

// Whatever riffd and the engine write is for its owner alone, from the moment it is there.
process.umask(0o077);

const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
  version: string;
};

const interrupt = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    // The first asks to stop after the step in flight, the second ends at once: the store survives both.
    if (interrupt.signal.aborted) process.exit(EXIT_CODES.RIFF_INTERRUPTED);
    interrupt.abort();
  });
}

// A reader that goes away (`riffd … | head`) is no failure: the work goes on, and nobody is told of it.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });
}

const program = new Command("riffd")
  .description("Keeps Claude Code transcripts safe in SurrealDB: whole, exactly once, byte for byte.")
  .version(version)
  .configureHelp({ optionDescription: ({ description }) => description })
  .showHelpAfterError("(riffd --help tells what there is)")
  .exitOverride();

let exitCode = 0;

program
  .command("sync")
  .alias("sync:surrealdb")
  .description("bring the store up to date with transcripts")
  .argument("[session...]", "session ids, unique beginnings of them, or paths of .jsonl files")
  .option("--all", "every transcript in the projects folders", false)
  .option("--since <when>", "only sessions whose transcript was last written then or later: 2026-11-01, 2d, 12h, 30m")
  .option("--until <when>", "only sessions whose transcript was last written then or before; a date is its whole day")
  .option("--force", "read everything again, also what has not changed", false)
  .option("--dry-run", "write nothing, and say what would be written", false)
  .option("--operator <name>", "who stands on the commits and events (default: cli)")
  .option("--projects <dir>", "a projects folder; may be given several times", collect, [])
  .option("--include <glob>", "only projects with such a folder name, or path; may be given several times", collect, [])
  .option("--exclude <glob>", "no projects with such a folder name, or path; may be given several times", collect, [])
  .option("--json", "one JSON object a line for each session, then a summary", false)
  .option("--quiet", "tell only what failed", false)
  .option("--surrealdb-url <url>", "a SurrealDB server instead of the embedded store (also SURREALDB_URL)")
  .action(async (sessions: string[], options) => {
    const { syncCommand } = await import("./commands/sync.ts");
    exitCode = await syncCommand(sessions, options, terminal, interrupt.signal);
  });

program
  .command("verify")
  .description("prove that the store is what riffd wrote: commits, events, rows, bytes, and the files that exist")
  .argument("[session...]", "session ids, unique beginnings of them, or paths of .jsonl files; none: all")
  .option("--all", "everything in the store, also what belongs to no session", false)
  .option("--json", "one JSON object a line for each session, then a summary", false)
  .option("--surrealdb-url <url>", "a SurrealDB server instead of the embedded store (also SURREALDB_URL)")
  .action(async (sessions: string[], options) => {
    const { verifyCommand } = await import("./commands/verify.ts");
    exitCode = await verifyCommand(options.all ? [] : sessions, options, terminal, interrupt.signal);
  });

program
  .command("export")
  .description("give back a transcript as it was, byte for byte")
  .argument("<session>", "a session id, a unique beginning of one, or the path of a .jsonl file")
  .option("-o, --output <file>", "write to this file, which appears only when it is whole, instead of stdout")
  .option("--generation <n>", "as it was before it was rewritten: 1 is the first")
  .option("--force", "replace the file if there is one", false)
  .option("--surrealdb-url <url>", "a SurrealDB server instead of the embedded store (also SURREALDB_URL)")
  .action(async (session: string, options) => {
    const { exportCommand } = await import("./commands/export.ts");
    exitCode = await exportCommand(session, options, terminal, interrupt.signal);
  });

program
  .command("query")
  .description("ask the store in SurrealQL; nothing is written unless --write is given")
  .argument("<surrealql>", "one or more statements, or - to read them from stdin")
  .option("--write", "let it write; commits, events and archived bytes stay append-only", false)
  .option("--json", "one JSON document: an array with the result of each statement", false)
  .option("--surrealdb-url <url>", "a SurrealDB server instead of the embedded store (also SURREALDB_URL)")
  .action(async (surrealql: string, options) => {
    const { queryCommand } = await import("./commands/query.ts");
    exitCode = await queryCommand(surrealql, options, terminal, interrupt.signal);
  });

const schema = program.command("schema").description("the tables in the database: set them up, or tell what is there");

schema
  .command("apply")
  .description("set up the schema, or bring it to this riffd's version")
  .option("--json", "one JSON object", false)
  .option("--surrealdb-url <url>", "a SurrealDB server instead of the embedded store (also SURREALDB_URL)")
  .action(async (options) => {
    const { schemaApply } = await import("./commands/schema.ts");
    exitCode = await schemaApply(options, terminal, interrupt.signal);
  });

schema
  .command("status")
  .description("tell which versions the database has; fails where it is not this riffd's")
  .option("--json", "one JSON object", false)
  .option("--surrealdb-url <url>", "a SurrealDB server instead of the embedded store (also SURREALDB_URL)")
  .action(async (options) => {
    const { schemaShow } = await import("./commands/schema.ts");
    exitCode = await schemaShow(options, terminal, interrupt.signal);
  });

schema
  .command("print")
  .description("print the schema as one file for `surreal import`")
  .action(async () => {
    const { schemaPrint } = await import("./commands/schema.ts");
    exitCode = schemaPrint(terminal);
  });

program
  .command("serve")
  .description("serve the embedded store to SurrealDB's clients, until it is stopped")
  .option("--listen <address>", "where, as host:port or port; port 0 takes a free one", "127.0.0.1:8000")
  .option("--no-listen", "only make the user")
  .option("--user <name>", "make this user, or change it; the password is asked for, or is RIFFD_SERVE_PASS")
  .option("--role <role>", "what the user may do: viewer, editor, owner", "editor")
  .option("--level <level>", "what the user's rights reach: database, namespace, root", "database")
  .option("--allow-origin <origin>", "a web page that may connect; may be given several times", collect, [])
  .option("--json", "tell the address as a JSON object", false)
  .action(async (options) => {
    const { serveCommand } = await import("./commands/serve.ts");
    exitCode = await serveCommand(options, terminal, interrupt.signal);
  });

program
  .command("backup")
  .description("write all of the store into one file, as it is at this moment, while others go on writing to it")
  .argument("<target>", "an existing folder, where the file is named by the time; or the file itself")
  .option("--force", "replace the file if there is one", false)
  .option("--json", "one JSON object that tells what was written", false)
  .option("--surrealdb-url <url>", "a SurrealDB server instead of the embedded store (also SURREALDB_URL)")
  .action(async (target: string, options) => {
    const { backupCommand } = await import("./commands/backup.ts");
    exitCode = await backupCommand(target, { ...options, version }, terminal, interrupt.signal);
  });

program
  .command("restore-store")
  .description("write a backup into an empty store")
  .argument("<file>", "a file that riffd backup has written")
  .option("--check", "only prove that the file is whole", false)
  .option("--json", "one JSON object that tells what was restored", false)
  .option("--surrealdb-url <url>", "a SurrealDB server instead of the embedded store (also SURREALDB_URL)")
  .action(async (file: string, options) => {
    const { restoreStoreCommand } = await import("./commands/restore-store.ts");
    exitCode = await restoreStoreCommand(file, options, terminal, interrupt.signal);
  });

program
  .command("forget")
  .description("destroy what the store holds of a session or a message, and never take it in again")
  .argument("<session|message>", "a session (id, unique beginning, path of its file) or the uuid of a message")
  .requiredOption("--reason <text>", "why; it stands in the log for ever")
  .option("--yes", "do not ask", false)
  .option("--operator <name>", "who stands on the commits (default: cli)")
  .option("--json", "one JSON object a line for each session, then a summary", false)
  .option("--surrealdb-url <url>", "a SurrealDB server instead of the embedded store (also SURREALDB_URL)")
  .action(async (query: string, options) => {
    const { forgetCommand } = await import("./commands/forget.ts");
    exitCode = await forgetCommand(query, options, terminal, interrupt.signal);
  });

function collect(value: string, previous: string[]): string[] {
  return [...previous, value];
}

try {
  await program.parseAsync();
} catch (thrown) {
  const error = toError(thrown);
  if (error instanceof CommanderError) {
    exitCode = error.exitCode === 0 ? 0 : EXIT_CODES.RIFF_USAGE;
  } else if (error instanceof RiffError) {
    terminal.note(formatError(error));
    exitCode = error.exitCode;
  } else {
    terminal.note(`riffd has failed in a way it does not know. Please report this:\n${error.stack}`);
    exitCode = 70;
  }
}
// The embedded engine's threads would keep the process alive; what was written must have gone out before.
await Promise.all([process.stdout, process.stderr].map((stream) => new Promise((done) => stream.write("", done))));
process.exit(exitCode);
