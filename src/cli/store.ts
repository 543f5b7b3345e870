// The commands of the store: proving it, asking it, keeping it safe, letting others in.
import { type Command, Option } from "commander";
import { addExamples, many, oneOf, SESSIONS, STORE } from "./options.ts";
import type { Run } from "./run.ts";

export function addStoreCommands(program: Command, run: Run): void {
  program.commandsGroup("The store:");
  addVerify(program, run);
  addQuery(program, run);
  addBackup(program, run);
  addRestore(program, run);
  addServe(program, run);
  addSchema(program, run);
}

function addVerify(program: Command, run: Run): void {
  const verify = program
    .command("verify")
    .description("prove that the store is what riffd wrote: commits, events, rows, bytes, and the files that exist")
    .argument("[session...]", `${SESSIONS}; none: all`)
    .option("--all", "everything in the store, also what belongs to no session", false)
    .option("--json", "one JSON object a line for each session, then a summary", false)
    .option(...STORE)
    .action(async (sessions: string[], options) => {
      const { verifyCommand } = await import("../commands/verify.ts");
      run.exitCode = await verifyCommand(options.all ? [] : sessions, options, run.output, run.interrupt);
    });
  addExamples(verify, [
    ["riffd verify", "all of it"],
    ["riffd verify f92beda8", "one session"],
    ["riffd verify --json | jq 'select(.ok == false)'", "what is not as it was written, for programs"],
  ]);
}

function addQuery(program: Command, run: Run): void {
  const query = program
    .command("query")
    .description("ask the store in SurrealQL; nothing is written unless --write is given")
    .argument("<surrealql>", "one or more statements, or - to read them from stdin")
    .option("--write", "let it write; commits, events and archived bytes stay append-only", false)
    .option("--json", "one JSON document: an array with the result of each statement", false)
    .option(...STORE)
    .action(async (surrealql: string, options) => {
      const { queryCommand } = await import("../commands/query.ts");
      run.exitCode = await queryCommand(surrealql, options, run.output, run.interrupt);
    });
  addExamples(query, [
    ["riffd query 'SELECT title, message_count FROM session LIMIT 5'", "a table"],
    ["riffd query --json 'SELECT * FROM session' | jq length", "for programs"],
    ["riffd query - < report.surql", "statements of a file"],
    ["riffd help queries", "more to ask, and what the tables hold"],
  ]);
}

function addBackup(program: Command, run: Run): void {
  const backup = program
    .command("backup")
    .description("write all of the store into one file, as it is at this moment, while others go on writing to it")
    .argument("<target>", "an existing folder, where the file is named by the time; or the file itself")
    .option("--force", "replace the file if there is one", false)
    .option("--json", "one JSON object that tells what was written", false)
    .option(...STORE)
    .action(async (target: string, options) => {
      const { backupCommand } = await import("../commands/backup.ts");
      run.exitCode = await backupCommand(target, { ...options, version: run.version }, run.output, run.interrupt);
    });
  addExamples(backup, [
    ["riffd backup /mnt/backups", "a file named by the time, in this folder"],
    ["riffd backup today.riffd --force", "this file, whatever is there"],
  ]);
}

function addRestore(program: Command, run: Run): void {
  const restore = program
    .command("restore-store")
    .description("write a backup into an empty store")
    .argument("<file>", "a file that riffd backup has written")
    .option("--check", "only prove that the file is whole", false)
    .option("--json", "one JSON object that tells what was restored", false)
    .option(...STORE)
    .action(async (file: string, options) => {
      const { restoreStoreCommand } = await import("../commands/restore-store.ts");
      run.exitCode = await restoreStoreCommand(file, options, run.output, run.interrupt);
    });
  addExamples(restore, [
    ["riffd restore-store --check today.riffd", "whether the file is whole"],
    ["RIFFD_STORE_DIR=/srv/restored riffd restore-store today.riffd", "into a store beside the one you have"],
  ]);
}

function addServe(program: Command, run: Run): void {
  const level = new Option("--level <level>", "what the user's rights reach: database, namespace, root");
  const role = new Option("--role <role>", "what the user may do: viewer, editor, owner");
  const serve = program
    .command("serve")
    .description("serve the embedded store to SurrealDB's clients, until it is stopped")
    .option("--listen <address>", "where, as host:port or port; port 0 takes a free one", "127.0.0.1:8000")
    .option("--no-listen", "only make the user")
    .option("--user <name>", "make this user, or change it; the password is asked for, or is RIFFD_SERVE_PASS")
    .addOption(oneOf(role.default("editor"), ["viewer", "editor", "owner"]))
    .addOption(oneOf(level.default("database"), ["database", "namespace", "root"]))
    .addOption(many("--allow-origin <origin>", "a web page that may connect"))
    .option("--json", "tell the address as a JSON object", false)
    .action(async (options) => {
      const { serveCommand } = await import("../commands/serve.ts");
      run.exitCode = await serveCommand(options, run.output, run.interrupt);
    });
  addExamples(serve, [
    ["riffd serve --user ada", "at ws://127.0.0.1:8000/rpc; asks for a password"],
    ["riffd serve --no-listen --user eve --role viewer", "only make a user who may read"],
    ["riffd serve --allow-origin https://surrealist.app", "for Surrealist in a browser"],
  ]);
}

function addSchema(program: Command, run: Run): void {
  const schema = program
    .command("schema")
    .description("the tables in the database: set them up, or tell what is there")
    .helpCommand(false);
  addExamples(schema, [
    ["riffd schema status", "which versions the database has"],
    ["riffd schema apply", "bring it to this riffd's"],
    ["riffd schema print", "one file for `surreal import`"],
  ]);
  const apply = schema
    .command("apply")
    .description("set up the schema, or bring it to this riffd's version")
    .option("--json", "one JSON object", false)
    .option(...STORE)
    .action(async (options) => {
      const { schemaApply } = await import("../commands/schema.ts");
      run.exitCode = await schemaApply(options, run.output, run.interrupt);
    });
  addExamples(apply, [["riffd schema apply --surrealdb-url wss://db.example.org", "on a server, as its owner"]]);
  const status = schema
    .command("status")
    .description("tell which versions the database has; fails where it is not this riffd's")
    .option("--json", "one JSON object", false)
    .option(...STORE)
    .action(async (options) => {
      const { schemaShow } = await import("../commands/schema.ts");
      run.exitCode = await schemaShow(options, run.output, run.interrupt);
    });
  addExamples(status, [["riffd schema status --json | jq .missing", "what is to be applied, for programs"]]);
  const print = schema
    .command("print")
    .description("print the schema as one file for `surreal import`")
    .action(async () => {
      const { schemaPrint } = await import("../commands/schema.ts");
      run.exitCode = schemaPrint(run.output);
    });
  addExamples(print, [["riffd schema print > riffd.surql", "a file to read, or to import"]]);
}
