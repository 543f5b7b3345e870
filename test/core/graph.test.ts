import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Added, type GraphMessage, type ParentState, SessionGraph } from "../../src/core/graph.ts";

/** A message by its uuid, its parent's, and what it is: a conversation record, a border, or neither. */
type Sketch = readonly [uuid: string, parent: string | null, kind?: "talk" | "boundary" | "other"];

function messageOf([uuid, parent, kind = "talk"]: Sketch, index: number): GraphMessage {
  return {
    offset: index * 10,
    uuid,
    parent,
    conversation: kind === "talk",
    subtype: kind === "boundary" ? "compact_boundary" : null,
  };
}

/** The graph of the messages, every absent parent decided as `verdict`. */
function graphOf(
  sketches: readonly Sketch[],
  verdict: "pending" | "external" | "phantom" = "phantom",
): { graph: SessionGraph; added: Added[] } {
  const graph = new SessionGraph();
  const added = sketches.map((sketch, i) => graph.add(messageOf(sketch, i)));
  for (const { index } of graph.unresolved()) graph.decide(index, verdict, null);
  return { graph, added };
}

/** Faults as `kind@offset cuts n`, notes as `kind@offset note`. */
function faultsOf(graph: SessionGraph, spareOrphans = false): string[] {
  return graph
    .analyse(spareOrphans)
    .faults.map(({ kind, offset, cut_off, note }) => `${kind}@${offset} ${note ? "note" : `cuts ${cut_off}`}`);
}

function statesOf(graph: SessionGraph): ParentState[] {
  return Array.from({ length: graph.size }, (_, i) => graph.stateOf(i));
}

describe("the graph of a session", () => {
  test("a chain is one thread without faults", () => {
    const { graph } = graphOf([
      ["a", null],
      ["b", "a"],
      ["c", "b"],
    ]);
    expect(graph.analyse(false)).toEqual({ threadCount: 1, orphanCount: 0, cutOff: 0, faults: [] });
    expect(statesOf(graph)).toEqual(["root", "resolved", "resolved"]);
  });

  test("an empty session has no threads", () => {
    expect(new SessionGraph().analyse(false)).toEqual({ threadCount: 0, orphanCount: 0, cutOff: 0, faults: [] });
  });

  test("forks are no damage", () => {
    const { graph } = graphOf([
      ["a", null],
      ["b", "a"],
      ["c", "a"],
      ["d", "a"],
      ["e", "c"],
    ]);
    expect(graph.analyse(false)).toMatchObject({ threadCount: 1, faults: [] });
  });

  test("several roots are several threads and no damage", () => {
    const { graph } = graphOf([
      ["a", null],
      ["b", null],
      ["c", "b"],
    ]);
    expect(graph.analyse(false)).toMatchObject({ threadCount: 2, faults: [] });
  });

  test("a compaction's border continues the thread before it", () => {
    const { graph } = graphOf([
      ["a", null],
      ["b", "a"],
      ["c", null, "boundary"],
      ["d", "c"],
    ]);
    expect(graph.analyse(false)).toMatchObject({ threadCount: 1, faults: [] });
  });

  test("a compaction's border at the head begins a thread", () => {
    const { graph } = graphOf([
      ["a", null, "boundary"],
      ["b", "a"],
      ["c", null, "boundary"],
    ]);
    expect(graph.analyse(false)).toMatchObject({ threadCount: 1 });
  });

  test("a border with a parent is a message like any other", () => {
    const { graph } = graphOf([
      ["a", null],
      ["b", "nowhere", "boundary"],
      ["c", "b"],
    ]);
    expect(graph.analyse(false)).toMatchObject({ threadCount: 2 });
    expect(faultsOf(graph)).toEqual(["phantom@10 cuts 1"]);
  });

  test("a phantom parent cuts off the conversation at and below it", () => {
    const { graph } = graphOf([
      ["a", null],
      ["b", "lost", "other"],
      ["c", "b"],
      ["d", "c", "other"],
      ["e", "c"],
      ["f", "a"],
    ]);
    expect(faultsOf(graph)).toEqual(["phantom@10 cuts 2"]);
    expect(graph.analyse(false)).toMatchObject({ threadCount: 2, orphanCount: 1, cutOff: 2 });
  });

  test("a phantom with no conversation below is a note", () => {
    const { graph } = graphOf([
      ["a", null],
      ["b", "lost", "other"],
      ["c", "b", "other"],
    ]);
    expect(faultsOf(graph)).toEqual(["phantom@10 note"]);
    expect(graph.analyse(false)).toMatchObject({ orphanCount: 1, cutOff: 0 });
  });

  test("a phantom at the head is a note, whatever hangs below", () => {
    const { graph } = graphOf([
      ["a", "before"],
      ["b", "a"],
      ["c", "lost"],
    ]);
    expect(faultsOf(graph)).toEqual(["phantom@0 note", "phantom@20 cuts 1"]);
    expect(graph.analyse(false).faults[0]).toMatchObject({ is_head: true, message_uuid: "a", parent_uuid: "before" });
  });

  test("a service agent's phantoms are notes as long as the session it serves is not known", () => {
    const { graph } = graphOf([
      ["a", null],
      ["b", "there"],
      ["c", "there too"],
      ["d", "d"],
    ]);
    expect(faultsOf(graph, true)).toEqual(["phantom@10 note", "phantom@20 note", "cycle@30 cuts 1"]);
    expect(faultsOf(graph, false)).toEqual(["phantom@10 cuts 1", "phantom@20 cuts 1", "cycle@30 cuts 1"]);
    expect(graph.analyse(true)).toMatchObject({ orphanCount: 2, cutOff: 1 });
  });

  test.each(["pending", "external"] as const)("a %s parent is no fault", (verdict) => {
    const { graph } = graphOf(
      [
        ["a", null],
        ["b", "elsewhere"],
        ["c", "b"],
      ],
      verdict,
    );
    expect(graph.analyse(false)).toEqual({ threadCount: 2, orphanCount: 0, cutOff: 0, faults: [] });
  });

  test("a parent that stands after its child is resolved, once it is there", () => {
    const { graph, added } = graphOf([
      ["a", null],
      ["b", "c"],
      ["c", "a"],
    ]);
    expect(added.map(({ state }) => state)).toEqual(["root", "pending", "resolved"]);
    expect(statesOf(graph)).toEqual(["root", "resolved", "resolved"]);
    expect(graph.takeLate()).toEqual([{ index: 1, offset: 10, uuid: "b", parent: "c" }]);
    expect(graph.takeLate()).toEqual([]);
    expect(graph.unresolved()).toEqual([]);
    expect(graph.forwardLinks).toBe(1);
    expect(graph.analyse(false)).toMatchObject({ threadCount: 1, faults: [] });
  });

  test("a message that is its own parent is a cycle", () => {
    const { graph } = graphOf([
      ["a", null],
      ["b", "b"],
      ["c", "b"],
    ]);
    expect(statesOf(graph)).toEqual(["root", "resolved", "resolved"]);
    expect(faultsOf(graph)).toEqual(["cycle@10 cuts 2"]);
    expect(graph.analyse(false).faults[0]).toMatchObject({ message_uuid: "b", parent_uuid: "b" });
  });

  test("a cycle is told once, at its member with the lowest offset, with all that hangs below", () => {
    const { graph } = graphOf([
      ["x", "y"],
      ["b", "d"],
      ["c", "b"],
      ["d", "c"],
      ["e", "d"],
      ["y", "x"],
    ]);
    expect(faultsOf(graph)).toEqual(["cycle@0 cuts 2", "cycle@10 cuts 4"]);
    expect(graph.analyse(false)).toMatchObject({ threadCount: 2, orphanCount: 0, cutOff: 6 });
    expect(graph.analyse(false).faults[1]).toMatchObject({ message_uuid: "b", parent_uuid: "d" });
  });

  test("a cycle without conversation is a note", () => {
    const { graph } = graphOf([
      ["a", null],
      ["b", "c", "other"],
      ["c", "b", "other"],
    ]);
    expect(faultsOf(graph)).toEqual(["cycle@10 note"]);
  });

  test("a uuid that comes again with the same parent is another occurrence and no fault", () => {
    const { graph, added } = graphOf([
      ["a", null],
      ["b", "a"],
      ["b", "a"],
      ["b", "a"],
      ["a", null],
    ]);
    expect(added.map(({ occurrence }) => occurrence)).toEqual([1, 1, 2, 3, 2]);
    expect(graph.analyse(false)).toEqual({ threadCount: 1, orphanCount: 0, cutOff: 0, faults: [] });
  });

  test("a uuid that comes again with another parent is a fault that cuts off itself alone", () => {
    const { graph } = graphOf([
      ["a", null],
      ["b", "a"],
      ["c", "b"],
      ["b", "c"],
      ["b", null, "other"],
      ["d", "b"],
    ]);
    expect(faultsOf(graph)).toEqual(["repeated_uuid@30 cuts 1", "repeated_uuid@40 note"]);
    expect(graph.analyse(false)).toMatchObject({ threadCount: 1, cutOff: 1 });
    expect(graph.analyse(false).faults[0]).toMatchObject({ message_uuid: "b", parent_uuid: "c" });
  });

  test("compares the parents of occurrences also where they are absent", () => {
    const { graph } = graphOf([
      ["a", null],
      ["b", "lost"],
      ["b", "lost"],
      ["b", "other"],
      ["b", null],
    ]);
    expect(faultsOf(graph)).toEqual(["phantom@10 cuts 1", "repeated_uuid@30 cuts 1", "repeated_uuid@40 cuts 1"]);
    expect(graph.analyse(false).orphanCount).toBe(3);
  });

  test("compares the parents of occurrences also where the parent came in between", () => {
    const { graph } = graphOf([
      ["a", null],
      ["b", "late"],
      ["late", "a"],
      ["b", "late"],
      ["b", "a"],
    ]);
    expect(faultsOf(graph)).toEqual(["repeated_uuid@40 cuts 1"]);
  });

  test("children hang under the first occurrence of their parent", () => {
    const { graph } = graphOf([
      ["a", null],
      ["b", "a"],
      ["b", "lost"],
      ["c", "b"],
    ]);
    expect(faultsOf(graph)).toEqual(["repeated_uuid@20 cuts 1"]);
  });

  test("tells the top of each chain while messages are added", () => {
    const { added } = graphOf([
      ["a", null],
      ["b", "a"],
      ["c", "lost"],
      ["d", "c"],
      ["e", "b"],
      ["f", "f"],
    ]);
    expect(added.map(({ rootOffset }) => rootOffset)).toEqual([0, 0, 20, 20, 0, 50]);
  });

  test("finds messages by their offset", () => {
    const { graph } = graphOf([
      ["a", null],
      ["b", "a"],
      ["c", "b"],
    ]);
    expect([0, 10, 20, 5, -1, 30].map((offset) => graph.indexAt(offset))).toEqual([0, 1, 2, -1, -1, -1]);
  });

  test("keeps the verdict on an absent parent, with where it was found, until the parent comes", () => {
    const graph = new SessionGraph();
    graph.add(messageOf(["a", null], 0));
    graph.add(messageOf(["b", "late"], 1));
    graph.decide(1, "phantom", "other-session");
    graph.decide(0, "phantom", "nonsense");
    expect(graph.unresolved()).toEqual([
      { index: 1, offset: 10, uuid: "b", parent: "late", isHead: false, state: "phantom", foundIn: "other-session" },
    ]);
    expect(graph.analyse(false).faults).toMatchObject([{ kind: "phantom", found_in: "other-session" }]);
    graph.add(messageOf(["late", "a"], 2));
    graph.decide(1, "phantom", "too late");
    expect(statesOf(graph)).toEqual(["root", "resolved", "resolved"]);
    expect(graph.analyse(false).faults).toEqual([]);
  });

  test("uuids are opaque: empty-looking, long and strange ones are told apart", () => {
    const names = ["msg_1", "msg_2", " ", "\0", "\u2028", "é", "e\u0301", "x".repeat(10_000), `${"x".repeat(10_000)}y`];
    const { graph } = graphOf(names.map((name, i): Sketch => [name, names[i - 1] ?? null]));
    expect(graph.analyse(false)).toMatchObject({ threadCount: 1, faults: [] });
  });
});

describe("a session of a million records", () => {
  const COUNT = 1_000_000;

  test("is one chain, parents first", () => {
    const graph = new SessionGraph();
    for (let i = 0; i < COUNT; i++) {
      graph.add({ offset: i, uuid: `u${i}`, parent: i === 0 ? null : `u${i - 1}`, conversation: true, subtype: null });
    }
    expect(graph.analyse(false)).toEqual({ threadCount: 1, orphanCount: 0, cutOff: 0, faults: [] });
  });

  test("hangs below one phantom, children first", () => {
    const graph = new SessionGraph();
    for (let i = COUNT; i > 0; i--) {
      graph.add({ offset: COUNT - i, uuid: `u${i}`, parent: `u${i - 1}`, conversation: true, subtype: null });
    }
    graph.decide(COUNT - 1, "phantom", null);
    expect(graph.analyse(false)).toMatchObject({ threadCount: 1, orphanCount: 1, cutOff: COUNT });
    expect(graph.forwardLinks).toBe(COUNT - 1);
  });

  test("is one cycle", () => {
    const graph = new SessionGraph();
    for (let i = 0; i < COUNT; i++) {
      graph.add({ offset: i, uuid: `u${i}`, parent: `u${(i + 1) % COUNT}`, conversation: i % 2 === 0, subtype: null });
    }
    expect(graph.analyse(false)).toMatchObject({ threadCount: 1, orphanCount: 0, cutOff: COUNT / 2 });
  });
});

/** What docs/semantics.md says, each message on its own, as slowly as can be. */
function judge(messages: readonly GraphMessage[], states: readonly ParentState[], spareOrphans: boolean) {
  const firstOf = (uuid: string) => messages.findIndex((message) => message.uuid === uuid);
  const topOf = (index: number): number => {
    const path = [index];
    for (;;) {
      const last = path.at(-1)!;
      if (states[last] !== "resolved") return last;
      const parent = firstOf(messages[last]!.parent!);
      const met = path.indexOf(parent);
      if (met >= 0) return Math.min(...path.slice(met));
      path.push(parent);
    }
  };
  const nodes = messages.map((_, i) => i).filter((i) => firstOf(messages[i]!.uuid) === i);
  const tops = new Map(nodes.map((node) => [node, topOf(node)]));
  const faults: string[] = [];
  let cutOff = 0;
  let threadCount = 0;
  for (const top of new Set(tops.values())) {
    const { offset, subtype } = messages[top]!;
    if (!(states[top] === "root" && subtype === "compact_boundary" && top > 0)) threadCount++;
    if (states[top] !== "phantom" && states[top] !== "resolved") continue;
    const below = nodes.filter((node) => tops.get(node) === top && messages[node]!.conversation).length;
    const isNote = states[top] === "phantom" && (top === 0 || spareOrphans);
    const cut = isNote ? 0 : below;
    cutOff += cut;
    faults.push(`${states[top] === "phantom" ? "phantom" : "cycle"}@${offset} ${cut === 0 ? "note" : `cuts ${cut}`}`);
  }
  messages.forEach(({ uuid, parent, conversation, offset }) => {
    if (messages[firstOf(uuid)]!.parent === parent) return;
    cutOff += conversation ? 1 : 0;
    faults.push(`repeated_uuid@${offset} ${conversation ? "cuts 1" : "note"}`);
  });
  const byOffset = (fault: string) => Number(/@(\d+)/.exec(fault)![1]);
  faults.sort((a, b) => byOffset(a) - byOffset(b));
  return { threadCount, orphanCount: states.filter((state) => state === "phantom").length, cutOff, faults };
}

const sketchArb: fc.Arbitrary<Sketch> = fc.tuple(
  fc.constantFrom(..."abcdefghij"),
  fc.option(fc.constantFrom(..."abcdefghijklm"), { nil: null, freq: 5 }),
  fc.constantFrom("talk", "talk", "boundary", "other"),
);

describe("any graph", () => {
  test("is judged as by the slow reading of the rules, after every message", () => {
    fc.assert(
      fc.property(
        fc.array(sketchArb, { maxLength: 14 }),
        fc.infiniteStream(fc.constantFrom("pending" as const, "external" as const, "phantom" as const)),
        fc.boolean(),
        (sketches, verdicts, spareOrphans) => {
          const graph = new SessionGraph();
          const messages: GraphMessage[] = [];
          for (const [i, sketch] of sketches.entries()) {
            messages.push(messageOf(sketch, i));
            graph.add(messages[i]!);
            for (const { index } of graph.unresolved()) {
              graph.decide(index, verdicts.next().value, null);
            }
            const states = statesOf(graph);
            messages.forEach(({ parent }, at) => {
              const known = messages.some(({ uuid }) => uuid === parent);
              if (parent === null) expect(states[at]).toBe("root");
              else if (known) expect(states[at]).toBe("resolved");
              else expect(["pending", "external", "phantom"]).toContain(states[at]);
            });
            const { threadCount, orphanCount, cutOff } = graph.analyse(spareOrphans);
            const expected = judge(messages, states, spareOrphans);
            expect({ threadCount, orphanCount, cutOff, faults: faultsOf(graph, spareOrphans) }).toEqual(expected);
          }
        },
      ),
      { numRuns: 1500 },
    );
  });

  test("tells each late parent once, and exactly those children whose parent came after them", () => {
    fc.assert(
      fc.property(fc.array(sketchArb, { maxLength: 14 }), (sketches) => {
        const graph = new SessionGraph();
        const told: number[] = [];
        const expected: number[] = [];
        for (const [i, sketch] of sketches.entries()) {
          const before = sketches.slice(0, i);
          graph.add(messageOf(sketch, i));
          const isFirst = !before.some(([uuid]) => uuid === sketch[0]); // nobody's parent else
          before.forEach(([, parent], at) => {
            if (isFirst && parent === sketch[0]) expected.push(at);
          });
          told.push(...graph.takeLate().map(({ index }) => index));
        }
        expect(told).toEqual(expected);
      }),
    );
  });
});
