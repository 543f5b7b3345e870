// The commands for transcripts: what comes in, what goes out, what happened to them.
import { type Command, Option } from "commander";
import { FIELDS } from "../config/fields.ts";
import { EVENT_TYPES } from "../sync/store.ts";
import { addExamples, many, oneOf, projectOptions, SESSION, SESSIONS, STORE } from "./options.ts";
import type { Run } from "./run.ts";

export function addTranscriptCommands(program: Command, run: Run): void {
  program.commandsGroup("Transcripts:");
  addSync(program, run);
  addExport(program, run);
  addEvents(program, run);
  addForget(program, run);
}

function addSync(program: Command, run: Run): void {
  const sync = program
    .command("sync")
    .alias("sync:surrealdb")
    .description("bring the store up to date with transcripts")
    .argument("[session...]", SESSIONS)
    .option("--all", "every transcript in the projects folders", false)
    .option("--since <when>", "only sessions whose transcript was last written then or later: 2026-11-01, 2d, 12h, 30m")
    .option("--until <when>", "only sessions whose transcript was last written then or before; a date is its whole day")
    .option("--force", "read everything again, also what has not changed", false)
    .option("--dry-run", "write nothing, and say what would be written", false)
    .option("--watch", "go on: be the daemon for these sessions, or for all, until Ctrl-C", false)
    .option("--operator <name>", "who stands on the commits and events (default: cli)");
  for (const option of projectOptions()) sync.addOption(option);
  sync
    .addOption(
      oneOf(new Option("--log-format <format>", "with --watch: auto, json or pretty"), FIELDS.log_format.choices),
    )
    .option("--json", "one JSON object a line for each session, then a summary", false)
    .option("--quiet", "tell only what failed", false)
    .option(...STORE)
    .action(async (sessions: string[], options) => {
      if (options.watch) {
        const { watchCommand } = await import("../commands/start.ts");
        run.exitCode = await watchCommand(sessions, options, run);
        return;
      }
      const { syncCommand } = await import("../commands/sync.ts");
      run.exitCode = await syncCommand(sessions, options, run.output, run.interrupt);
    });
  addExamples(sync, [
    ["riffd sync --all", "every transcript, once"],
    ["riffd sync f92beda8", "one session, telling each step"],
    ["riffd sync --all --dry-run", "what would be written"],
    ["riffd sync --all --since 2d --json", "the sessions of the last two days, for programs"],
    ["riffd sync --all --force", "read all again, and heal the store's rows"],
  ]);
}

function addExport(program: Command, run: Run): void {
  const command = program
    .command("export")
    .description("give back a transcript as it was, byte for byte")
    .argument("<session>", SESSION)
    .option("-o, --output <file>", "write to this file, which appears only when it is whole, instead of stdout")
    .option("--generation <n>", "as it was before it was rewritten: 1 is the first")
    .option("--force", "replace the file if there is one", false)
    .option(...STORE)
    .action(async (session: string, options) => {
      const { exportCommand } = await import("../commands/export.ts");
      run.exitCode = await exportCommand(session, options, run.output, run.interrupt);
    });
  addExamples(command, [
    ["riffd export f92beda8 -o teapot.jsonl", "the file, as it was last read"],
    ["riffd export f92beda8 --generation 1", "as it was before it was first rewritten"],
    ["riffd export f92beda8 | jq .type", "its lines, for programs"],
  ]);
}

function addEvents(program: Command, run: Run): void {
  const types = `only events of this type (${EVENT_TYPES.join(", ")})`;
  const events = program
    .command("events")
    .description("tell what happened to transcripts: the last 50 events of the audit log, the newest last")
    .argument("[session]", "only of this session: its id, a unique beginning of it, or the path of its .jsonl file")
    .option("--follow", "go on with those to come, until it is stopped", false)
    .option("--since <when>", "only events from then on: 2026-11-01, 2026-11-01T09:30, 2d, 12h, 30m")
    .option("--until <when>", "only events up to then; a date is its whole day")
    .addOption(oneOf(many("--type <type>", types), EVENT_TYPES))
    .option("--operator <name>", "only events that this operator stands on")
    .option("--limit <n>", "as many of the latest events, instead of 50")
    .option("--json", "one JSON object a line for each event (docs/events.md)", false)
    .option(...STORE)
    .action(async (session: string | undefined, options) => {
      const { eventsCommand } = await import("../commands/events.ts");
      run.exitCode = await eventsCommand(session, options, run.output, run.interrupt);
    });
  addExamples(events, [
    ["riffd events", "what happened last"],
    ["riffd events f92beda8 --limit 500", "to one session"],
    ["riffd events --type message_removed --since 2d", "what vanished since the day before yesterday"],
    ["riffd events --follow --json | jq .session_id", "as it happens, for programs"],
  ]);
}

function addForget(program: Command, run: Run): void {
  const forget = program
    .command("forget")
    .description("destroy what the store holds of a session or a message, and never take it in again")
    .argument("<session|message>", "a session (id, unique beginning, path of its file) or the uuid of a message")
    .requiredOption("--reason <text>", "why; it stands in the log for ever")
    .option("--yes", "do not ask", false)
    .option("--operator <name>", "who stands on the commits (default: cli)")
    .option("--json", "one JSON object a line for each session, then a summary", false)
    .option(...STORE)
    .action(async (query: string, options) => {
      const { forgetCommand } = await import("../commands/forget.ts");
      run.exitCode = await forgetCommand(query, options, run.output, run.interrupt);
    });
  addExamples(forget, [
    ["riffd forget f92beda8 --reason 'a password in it'", "a session with its subagents; asks first"],
    ["riffd forget 27942d21-5d09-48ec-ba4c-e7d3019f18ed --reason 'a key' --yes", "one message; does not ask"],
  ]);
}
