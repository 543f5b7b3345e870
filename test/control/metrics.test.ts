import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { Metrics } from "../../src/control/metrics.ts";
import type { DaemonStatus } from "../../src/control/protocol.ts";
import { STATUS } from "../support/controlling.ts";

const NO_EVENTS = { message_added: 0, parent_repaired: 0, content_updated: 0, corruption_fixed: 0, message_removed: 0 };
const metrics = new Metrics('1.2.3-"quoted"\\\n');

interface Described {
  readonly name: string;
  readonly type: string;
  readonly labels: readonly string[];
  readonly help: string;
}

/** Reads Prometheus's text format: every line is a sample behind its description, and no sample comes twice. */
function parse(text: string): { described: Described[]; samples: Map<string, number> } {
  const described: (Described & { labels: string[] })[] = [];
  const samples = new Map<string, number>();
  const label = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"/;
  const sample = new RegExp(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\\{(${label.source}(?:,${label.source})*)\\})? (\\S+)$`);
  expect(text.endsWith("\n")).toBe(true);
  for (const line of text.split("\n").filter((line) => line !== "")) {
    const [, help, helped] = /^# HELP (\S+) (.+)$/.exec(line)?.slice(0, 3) ?? [];
    const [, typed, type] = /^# TYPE (\S+) (counter|gauge|histogram|summary)$/.exec(line) ?? [];
    const last = described.at(-1);
    if (help !== undefined) described.push({ name: help, help: helped!, type: "", labels: [] });
    else if (typed !== undefined) {
      expect(last).toMatchObject({ name: typed, type: "" });
      described[described.length - 1] = { ...last!, type: type! };
    } else {
      const [, name, labels = ""] = sample.exec(line) ?? [];
      expect([line, name?.replace(/_(bucket|sum|count)$/, "")]).toEqual([
        line,
        last?.name.replace(/_(bucket|sum|count)$/, ""),
      ]);
      for (const [, key] of labels.matchAll(new RegExp(label.source, "g"))) {
        if (key !== "le" && !last!.labels.includes(key!)) last!.labels.push(key!);
      }
      const text = line.slice(line.lastIndexOf(" ") + 1);
      // Of the event loop, when it was not sampled since the last time. Prometheus reads it whatever its case.
      const value = Number(name!.startsWith("nodejs_eventloop_") ? text.replace("Nan", "0") : text);
      expect([line, Number.isNaN(value)]).toEqual([line, false]);
      expect([line, samples.has(`${name}{${labels}}`)]).toEqual([line, false]);
      samples.set(`${name}{${labels}}`, value);
    }
  }
  return { described, samples };
}

async function read(changes: Partial<DaemonStatus> = {}) {
  const { contentType, text } = await metrics.read({ ...STATUS, ...changes });
  expect(contentType).toBe("text/plain; version=0.0.4; charset=utf-8");
  const { described, samples } = parse(text);
  return { described, of: (sample: string) => samples.get(sample.includes("{") ? sample : `${sample}{}`) };
}

test("docs/metrics.md lists exactly the names that there are, with their types, labels and meanings", async () => {
  metrics.reported({ status: "appended", events: { ...NO_EVENTS }, durationMs: 1 });
  metrics.failed("RIFF_STORE_UNREACHABLE");
  const { described } = await read();
  const documented = readFileSync(new URL("../../docs/metrics.md", import.meta.url), "utf8")
    .split("\n")
    .filter((line) => line.startsWith("| `riffd_") && line.split("|").length === 6)
    .map((line) => line.split("|").map((cell) => cell.trim()))
    .map(([, name, type, labels, help]) => ({
      name: name!.replaceAll("`", ""),
      type: type!,
      labels: [...labels!.matchAll(/`(\w+)`/g)].map(([, label]) => label!),
      help: help!,
    }));
  expect(described.filter(({ name }) => name.startsWith("riffd_"))).toEqual(documented);
  for (const { name } of described) expect(name).toMatch(/^(riffd|process|nodejs)_/);
});

test("names follow Prometheus's conventions", async () => {
  const { described } = await read();
  for (const { name, type } of described.filter(({ name }) => name.startsWith("riffd_"))) {
    expect([name, name.endsWith("_total")]).toEqual([name, type === "counter"]);
    expect(name).not.toMatch(/_(ms|milliseconds|minutes|kb|mb|count|bucket|sum)(_|$)/);
  }
});

test("what a status knows is told as it is now", async () => {
  const { of } = await read();
  expect(of("riffd_ready")).toBe(1);
  expect(of("riffd_problems")).toBe(1);
  expect(of("riffd_store_up")).toBe(1);
  expect(of("riffd_store_size_bytes")).toBe(4096);
  expect(of("riffd_store_sessions")).toBe(3);
  expect(of("riffd_store_messages")).toBe(40);
  expect(of("riffd_store_archive_bytes")).toBe(5000);
  expect(of("riffd_transcripts")).toBe(7);
  expect(of("riffd_lag_bytes")).toBe(600);
  expect(of("riffd_lag_seconds")).toBe(0.7);
  expect(of("riffd_last_scan_timestamp_seconds")).toBe(STATUS.pipeline.last_scan!.at.getTime() / 1000);
  expect(of("riffd_last_scan_duration_seconds")).toBe(0.25);
  expect(of("riffd_watched_folders")).toBe(4);
  expect(of("riffd_quarantined_files")).toBe(5);
  const backlog = ["debouncing", "queued", "syncing", "backing-off", "quarantined"];
  expect(backlog.map((state) => of(`riffd_backlog_files{state="${state}"}`))).toEqual([1, 2, 3, 4, undefined]);
  expect(of(`riffd_build_info{version="1.2.3-\\"quoted\\"\\\\\\n",node="${process.version}"}`)).toBe(1);
  expect(of("process_resident_memory_bytes")).toBeGreaterThan(1e7);
});

test("a store that went away is down, and nothing is told that is not known any more", async () => {
  await read();
  const { of } = await read({
    ready: false,
    store: { ...STATUS.store, state: "away", size_bytes: null, sessions: null, messages: null, archive_bytes: null },
    pipeline: { ...STATUS.pipeline, state: "draining", last_scan: null },
    watch: { ...STATUS.watch, mode: "scanning" },
  });
  expect([of("riffd_ready"), of("riffd_store_up")]).toEqual([0, 0]);
  for (const name of ["store_size_bytes", "store_sessions", "store_messages", "store_archive_bytes"]) {
    expect([name, of(`riffd_${name}`)]).toEqual([name, undefined]);
  }
  expect(of("riffd_last_scan_timestamp_seconds")).toBeUndefined();
  expect(of('riffd_pipeline_state{state="draining"}')).toBe(1);
  expect(of('riffd_pipeline_state{state="live"}')).toBe(0);
  expect(of('riffd_watch_mode{mode="scanning"}')).toBe(1);
  expect(of('riffd_watch_mode{mode="watching"}')).toBe(0);
});

test("what happens is counted", async () => {
  const names = ["commits_total", "messages_total", "records_total", "archived_bytes_total", "sync_retries_total"];
  const before = await read();
  const more = async (name: string) => (await read()).of(`riffd_${name}`)! - (before.of(`riffd_${name}`) ?? 0);
  metrics.committed({ session_id: "a", messages: 3, records: 2, bytes: 100 });
  metrics.committed({ session_id: "b", messages: 1, records: 0, bytes: 50 });
  metrics.retried();
  expect(await Promise.all(names.map(more))).toEqual([2, 4, 2, 150, 1]);
  metrics.reported({
    status: "rewritten",
    events: { ...NO_EVENTS, message_added: 3, message_removed: 1 },
    durationMs: 40,
  });
  metrics.reported({ status: "rewritten", events: { ...NO_EVENTS, message_added: 1 }, durationMs: 1_500 });
  expect(await more('events_total{type="message_added"}')).toBe(4);
  expect(await more('events_total{type="message_removed"}')).toBe(1);
  expect(await more('events_total{type="corruption_fixed"}')).toBe(0);
  expect(await more('sync_duration_seconds_count{status="rewritten"}')).toBe(2);
  expect(await more('sync_duration_seconds_sum{status="rewritten"}')).toBeCloseTo(1.54);
  const { of } = await read();
  expect(of('riffd_sync_duration_seconds_bucket{le="0.05",status="rewritten"}')).toBe(1);
  metrics.failed(null);
  metrics.failed("RIFF_DISK_FULL");
  metrics.failed("RIFF_DISK_FULL");
  expect(await more('sync_failures_total{code="none"}')).toBe(1);
  expect(await more('sync_failures_total{code="RIFF_DISK_FULL"}')).toBe(2);
});

test("two daemons in one process count apart", async () => {
  const other = new Metrics("0");
  other.committed({ session_id: "a", messages: 1000, records: 0, bytes: 0 });
  const { of } = await read();
  expect(of("riffd_messages_total")).toBeLessThan(1000);
});
