// The acts of the demo, one after the other. Each does something, waits until the daemon has it, and reads from the store
// what came of it; and what that must be.
import type { ActName, DemoFacts, Wrong } from "./facts.ts";
import type { EventFacts, Snapshot } from "./reader.ts";
import { DAMAGED, WHOLE } from "./script.ts";
import { findSession, type Stage } from "./stage.ts";

export interface Played<Facts> {
  readonly facts: Facts;
  readonly wrong: readonly Wrong[];
}

/** In the order in which they are played, each on the stage as the one before has left it. */
export const ACTS: { readonly [Name in ActName]: (stage: Stage) => Promise<Played<DemoFacts[Name]>> } = {
  live: playLive,
  torn: playTorn,
  completed: playCompleted,
  broken: playBroken,
  repaired: playRepaired,
  killed: playKilled,
  deleted: playDeleted,
  proved: playProved,
};

async function playLive(stage: Stage): Promise<Played<DemoFacts["live"]>> {
  await stage.startDaemon();
  const typed = async (whole: number, damaged: number) => {
    await Promise.all([stage.whole.type(whole), stage.damaged.type(damaged)]);
    await Promise.all([stage.taken(WHOLE.id, stage.whole, 1), stage.taken(DAMAGED.id, stage.damaged, 1)]);
  };
  await typed(1, 1); // what is there when a file is first seen is imported; what comes later is logged
  await typed(WHOLE.torn - 1, DAMAGED.calm);
  const snapshot = await stage.reader.snapshot();
  const sessions = [WHOLE, DAMAGED].map(({ id }) => {
    const { prompt, message_count } = findSession(snapshot, id);
    return { session_id: id, prompt, messages: message_count };
  });
  const added = ofType(snapshot, "message_added");
  const facts = {
    sessions,
    messages: sum(sessions.map(({ messages }) => messages)),
    message_added: added.length,
    median_ms: median(added.flatMap((event) => delayOf(event, snapshot))),
  };
  const checks = new Checks("live");
  checks.equal("messages of the first session", sessions[0]!.messages, WHOLE.before);
  checks.equal("messages of the second session", sessions[1]!.messages, DAMAGED.before);
  checks.equal("events message_added", added.length, WHOLE.before + DAMAGED.before - DAMAGED.first);
  return { facts, wrong: checks.wrong };
}

async function playTorn(stage: Stage): Promise<Played<DemoFacts["torn"]>> {
  const torn = await stage.whole.tear();
  await stage.taken(WHOLE.id, stage.whole, 1);
  const session = findSession(await stage.reader.snapshot(), WHOLE.id);
  const facts = {
    session_id: session.session_id,
    messages: session.message_count,
    unreadable: session.unreadable_count,
    unreadable_bytes: session.unreadable_bytes,
    corruption_score: session.corruption_score,
  };
  const checks = new Checks("torn");
  checks.equal("messages", facts.messages, WHOLE.before);
  checks.equal("unreadable pieces", facts.unreadable, 1);
  checks.equal("unreadable bytes", facts.unreadable_bytes, torn);
  checks.equal("corruption score", facts.corruption_score, 1 / (WHOLE.conversation.torn + 1));
  return { facts, wrong: checks.wrong };
}

async function playCompleted(stage: Stage): Promise<Played<DemoFacts["completed"]>> {
  await stage.whole.complete();
  await stage.whole.type();
  await stage.taken(WHOLE.id, stage.whole, 1);
  const snapshot = await stage.reader.snapshot();
  const session = findSession(snapshot, WHOLE.id);
  const fixed = ofType(snapshot, "corruption_fixed").at(-1);
  const facts = {
    title: session.title ?? null,
    messages: session.message_count,
    unreadable: session.unreadable_count,
    score_before: Number(fixed?.old_value),
    score_after: Number(fixed?.new_value),
  };
  const checks = new Checks("completed");
  checks.equal("messages", facts.messages, WHOLE.messages);
  checks.equal("unreadable pieces", facts.unreadable, 0);
  checks.equal("corruption score before", facts.score_before, 1 / (WHOLE.conversation.torn + 1));
  checks.equal("corruption score after", facts.score_after, 0);
  return { facts, wrong: checks.wrong };
}

async function playBroken(stage: Stage): Promise<Played<DemoFacts["broken"]>> {
  await stage.whole.replaceParent(WHOLE.parent, WHOLE.missing);
  await stage.taken(WHOLE.id, stage.whole, 2);
  const session = findSession(await stage.decided(WHOLE.id), WHOLE.id);
  const facts = {
    generation: session.generation,
    cut_off: session.cut_off_count,
    conversation: session.conversation_count,
    corruption_score: session.corruption_score,
  };
  const checks = new Checks("broken");
  checks.equal("generation", facts.generation, 2);
  checks.equal("records cut off", facts.cut_off, WHOLE.cutOff);
  checks.equal("records of the conversation", facts.conversation, WHOLE.conversation.whole);
  checks.equal("corruption score", facts.corruption_score, WHOLE.cutOff / WHOLE.conversation.whole);
  return { facts, wrong: checks.wrong };
}

async function playRepaired(stage: Stage): Promise<Played<DemoFacts["repaired"]>> {
  await stage.whole.replaceParent(WHOLE.missing, WHOLE.parent);
  await stage.taken(WHOLE.id, stage.whole, 3);
  const snapshot = await stage.decided(WHOLE.id);
  const session = findSession(snapshot, WHOLE.id);
  const [broke, repaired] = ofType(snapshot, "parent_repaired").slice(-2);
  const fixed = ofType(snapshot, "corruption_fixed").at(-1);
  const facts = {
    generation: session.generation,
    message_uuid: repaired?.message_uuid ?? null,
    parent_before: String(repaired?.old_value),
    parent_after: String(repaired?.new_value),
    score_before: Number(fixed?.old_value),
    score_after: Number(fixed?.new_value),
  };
  const checks = new Checks("repaired");
  checks.equal("generation", facts.generation, 3);
  checks.equal("parent before", facts.parent_before, WHOLE.missing);
  checks.equal("parent after", facts.parent_after, WHOLE.parent);
  checks.equal("the same as it was", broke?.old_value, WHOLE.parent);
  checks.equal("corruption score before", facts.score_before, WHOLE.cutOff / WHOLE.conversation.whole);
  checks.equal("corruption score after", facts.score_after, 0);
  checks.equal("records cut off", session.cut_off_count, 0);
  return { facts, wrong: checks.wrong };
}

async function playKilled(stage: Stage): Promise<Played<DemoFacts["killed"]>> {
  const [pidBefore] = await Promise.all([stage.reader.pid(), stage.damaged.type(DAMAGED.killed)]);
  await stage.killDaemon();
  await stage.damaged.type();
  await stage.startDaemon();
  await stage.taken(DAMAGED.id, stage.damaged, 1);
  const [snapshot, pid] = await Promise.all([stage.decided(DAMAGED.id), stage.reader.pid()]);
  const session = findSession(snapshot, DAMAGED.id);
  const facts = {
    pid_before: pidBefore,
    pid,
    messages: session.message_count,
    distinct: new Set(session.uuids).size,
    cut_off: session.cut_off_count,
    conversation: session.conversation_count,
    unreadable: session.unreadable_count,
    corruption_score: session.corruption_score,
  };
  const checks = new Checks("killed");
  checks.equal("another process", facts.pid !== facts.pid_before, true);
  checks.equal("messages", facts.messages, DAMAGED.messages);
  checks.equal("rows of messages", session.uuids.length, DAMAGED.messages);
  checks.equal("different messages", facts.distinct, DAMAGED.messages);
  checks.equal("records cut off", facts.cut_off, DAMAGED.cutOff);
  checks.equal("records of the conversation", facts.conversation, DAMAGED.conversation);
  checks.equal("unreadable pieces", facts.unreadable, DAMAGED.unreadable);
  const damage = DAMAGED.cutOff + DAMAGED.unreadable;
  checks.equal("corruption score", facts.corruption_score, damage / (DAMAGED.conversation + DAMAGED.unreadable));
  return { facts, wrong: checks.wrong };
}

async function playDeleted(stage: Stage): Promise<Played<DemoFacts["deleted"]>> {
  await stage.whole.delete();
  const [givenBack, earlier] = await Promise.all([
    stage.reader.export(WHOLE.id),
    stage.reader.export(WHOLE.id, 2),
    stage.gone(WHOLE.id, 3),
  ]);
  const { state } = findSession(await stage.reader.snapshot(), WHOLE.id);
  const facts = { state, given_back: givenBack, earlier };
  const [, whileBroken, atLast] = stage.whole.sha256s;
  const checks = new Checks("deleted");
  checks.equal("state of the session", facts.state, "gone");
  checks.equal("SHA-256 of what is given back", givenBack.sha256, atLast);
  checks.equal("SHA-256 of how it was while it was broken", earlier.sha256, whileBroken);
  return { facts, wrong: checks.wrong };
}

async function playProved(stage: Stage): Promise<Played<DemoFacts["proved"]>> {
  const [proof, events] = await Promise.all([stage.reader.verify(), stage.reader.eventTypes()]);
  const exitCode = await stage.stopDaemon();
  const checks = new Checks("proved");
  checks.equal("all is as it was written", proof.ok, true);
  checks.equal("sessions", proof.sessions, 2);
  checks.equal("messages", proof.messages, WHOLE.messages + DAMAGED.messages);
  checks.equal("events that were proved", proof.events, sum(Object.values(events)));
  checks.equal("exit code of the daemon", exitCode, 0);
  return { facts: { proof, events }, wrong: checks.wrong };
}

class Checks {
  readonly #act: ActName;
  readonly #wrong: Wrong[] = [];

  constructor(act: ActName) {
    this.#act = act;
  }

  equal(what: string, found: unknown, expected: unknown): void {
    if (found !== expected) this.#wrong.push({ act: this.#act, what, found, expected });
  }

  get wrong(): readonly Wrong[] {
    return this.#wrong;
  }
}

function ofType({ events }: Snapshot, type: string): EventFacts[] {
  return events.filter(({ event_type }) => event_type === type);
}

/** Milliseconds from when a message was written until it was logged; none where it does not say when that was. */
function delayOf(event: EventFacts, { written }: Snapshot): number[] {
  const message = written.find(
    ({ session_id, message_uuid }) => session_id === event.session_id && message_uuid === event.message_uuid,
  );
  return message === undefined ? [] : [Date.parse(event.timestamp) - Date.parse(message.timestamp)];
}

/** 0 of none. */
function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
