import { describe, expect, test } from "vitest";
import { type ContentKind, codePoints, contentOf } from "../../src/core/content.ts";
import {
  assistantMessage,
  attachment,
  compactBoundary,
  type Json,
  progress,
  queueOperation,
  snapshot,
  summary,
  system,
  textBlock,
  thinkingBlock,
  toolResult,
  toolUseBlock,
  userMessage,
  uuid,
} from "../support/builders.ts";

const place = { uuid: uuid(2), parent: uuid(1) };

/** A record's parts as kind and text, cut out of the whole text by their lengths in code points. */
function partsOf(record: Json): [ContentKind, string][] {
  const { text, parts } = contentOf(record);
  const points = [...text];
  let at = 0;
  const told = parts.map(({ kind, length }): [ContentKind, string] => {
    const part = points.slice(at, at + length).join("");
    at += length + 1;
    return [kind, part];
  });
  expect(at).toBe(parts.length === 0 ? 0 : points.length + 1);
  return told;
}

function userBlocks(...content: readonly unknown[]): Json {
  return userMessage({ ...place, extra: { message: { role: "user", content } } });
}

function assistantBlocks(...content: readonly unknown[]): Json {
  return assistantMessage({ ...place, extra: { message: { role: "assistant", content } } });
}

function attached(body: Json): Json {
  return attachment({ ...place, extra: { attachment: body } });
}

function progressing(data: Json): Json {
  return progress({ ...place, extra: { data } });
}

function systemOf(subtype: string, rest: Json): Json {
  return system({ ...place, subtype, extra: rest });
}

describe("the text of a record, by kind", () => {
  test.each<[string, Json, [ContentKind, string][]]>([
    ["a prompt", userMessage({ ...place, text: "Why does it slip?" }), [["text", "Why does it slip?"]]],
    [
      "a prompt of blocks",
      userBlocks(textBlock("one"), textBlock("two")),
      [
        ["text", "one"],
        ["text", "two"],
      ],
    ],
    [
      "a prompt with an image",
      userBlocks(textBlock("look"), { type: "image", source: { type: "base64", data: "iVBORw0KGgo=" } }),
      [["text", "look"]],
    ],
    [
      "a prompt with a text document",
      userBlocks({ type: "document", source: { type: "text", data: "the manual" } }),
      [["other", "the manual"]],
    ],
    ["a prompt with a PDF", userBlocks({ type: "document", source: { type: "base64", data: "JVBERi0=" } }), []],
    [
      "an isMeta caveat",
      userMessage({ ...place, text: "Caveat: …", extra: { isMeta: true } }),
      [["text", "Caveat: …"]],
    ],
    [
      "a compaction's summary",
      userMessage({ ...place, text: "Before: gears.", extra: { isCompactSummary: true } }),
      [["text", "Before: gears."]],
    ],
    ["an answer", assistantMessage({ ...place, text: "A tooth." }), [["text", "A tooth."]]],
    [
      "thinking",
      assistantMessage({ ...place, blocks: [thinkingBlock("A tooth, perhaps.")] }),
      [["thinking", "A tooth, perhaps."]],
    ],
    ["empty thinking", assistantMessage({ ...place, blocks: [thinkingBlock("")] }), []],
    ["encrypted thinking", assistantBlocks({ type: "redacted_thinking", data: "EuYB" }), []],
    [
      "a tool call",
      assistantMessage({ ...place, blocks: [toolUseBlock("t1", { command: "ls -l", timeout: 5 })] }),
      [["tool_use", "Bash\ncommand: ls -l\ntimeout: 5"]],
    ],
    [
      "a tool call with a deep input",
      assistantMessage({ ...place, blocks: [toolUseBlock("t1", { edits: [{ old: "a", new: "b" }] }, "Edit")] }),
      [["tool_use", 'Edit\nedits: [{"old":"a","new":"b"}]']],
    ],
    [
      "a tool call without input",
      assistantBlocks({ type: "tool_use", id: "t1", name: "ExitPlanMode", input: {} }),
      [["tool_use", "ExitPlanMode"]],
    ],
    [
      "a server's tool call",
      assistantBlocks({ type: "server_tool_use", name: "web_search", input: { query: "gear" } }),
      [["tool_use", "web_search\nquery: gear"]],
    ],
    [
      "a fallback block",
      assistantBlocks({ type: "fallback", reason: "refusal" }),
      [["other", "type: fallback\nreason: refusal"]],
    ],
    [
      "text beside a call",
      assistantMessage({ ...place, blocks: [textBlock("I look."), toolUseBlock("t1")] }),
      [
        ["text", "I look."],
        ["tool_use", "Bash\ncommand: ls"],
      ],
    ],
    [
      "a tool's result",
      toolResult({ ...place, toolUse: "t1", output: "gear.ts\ncog.ts" }),
      [["tool_result", "gear.ts\ncog.ts"]],
    ],
    [
      "a tool's result of blocks",
      userBlocks({
        type: "tool_result",
        tool_use_id: "t1",
        content: [textBlock("one"), { type: "image", source: {} }, textBlock("two")],
      }),
      [["tool_result", "one\ntwo"]],
    ],
    ["a tool's empty result", userBlocks({ type: "tool_result", tool_use_id: "t1", content: "" }), []],
    ["a tool's result without content", userBlocks({ type: "tool_result", tool_use_id: "t1" }), []],
    [
      "a web search's result",
      assistantBlocks({ type: "web_search_tool_result", content: [{ type: "web_search_result", title: "Gears" }] }),
      [["tool_result", "type: web_search_result\ntitle: Gears"]],
    ],
    [
      "a call rejected by the person",
      userBlocks(
        { type: "tool_result", content: "doesn't want to proceed", is_error: true },
        textBlock("[Request interrupted by user for tool use]"),
      ),
      [
        ["tool_result", "doesn't want to proceed"],
        ["text", "[Request interrupted by user for tool use]"],
      ],
    ],
    [
      "an API error",
      assistantMessage({ ...place, text: "API Error: 529", extra: { isApiErrorMessage: true } }),
      [["text", "API Error: 529"]],
    ],
    [
      "a hook's progress",
      progressing({ type: "hook_progress", hookEvent: "Stop", command: "./check.sh" }),
      [["progress", "type: hook_progress\nhookEvent: Stop\ncommand: ./check.sh"]],
    ],
    [
      "a command's progress",
      progressing({ type: "bash_progress", output: "3 passed", elapsedTimeSeconds: 2 }),
      [["progress", "type: bash_progress\noutput: 3 passed\nelapsedTimeSeconds: 2"]],
    ],
    [
      "a subagent's progress",
      progressing({ type: "agent_progress", agentId: "a1", message: { type: "user" } }),
      [["progress", 'type: agent_progress\nagentId: a1\nmessage: {"type":"user"}']],
    ],
    [
      "an MCP server's progress",
      progressing({ type: "mcp_progress", status: "started" }),
      [["progress", "type: mcp_progress\nstatus: started"]],
    ],
    [
      "a search's progress",
      progressing({ type: "query_update", query: "gear oil" }),
      [["progress", "type: query_update\nquery: gear oil"]],
    ],
    [
      "waiting for a task",
      progressing({ type: "waiting_for_task", taskDescription: "tests" }),
      [["progress", "type: waiting_for_task\ntaskDescription: tests"]],
    ],
    [
      "a hook's context",
      attached({ type: "hook_additional_context", content: ["Tests pass."] }),
      [["attachment", 'type: hook_additional_context\ncontent: ["Tests pass."]']],
    ],
    [
      "a task reminder",
      attached({ type: "task_reminder", itemCount: 0, content: [] }),
      [["attachment", "type: task_reminder\nitemCount: 0\ncontent: []"]],
    ],
    [
      "an edited file",
      attached({ type: "edited_text_file", filename: "a.ts", snippet: "1→x" }),
      [["attachment", "type: edited_text_file\nfilename: a.ts\nsnippet: 1→x"]],
    ],
    [
      "a queued command",
      attached({ type: "queued_command", prompt: "and then?" }),
      [["attachment", "type: queued_command\nprompt: and then?"]],
    ],
    [
      "a Stop hook's summary",
      systemOf("stop_hook_summary", { hookErrors: ["exit 2", "late"], stopReason: "blocked" }),
      [
        ["system", "exit 2\nlate"],
        ["system", "blocked"],
      ],
    ],
    ["a turn's duration", system(place), []],
    [
      "an API's error",
      systemOf("api_error", { error: { status: 529, headers: {} } }),
      [["system", "status: 529\nheaders: {}"]],
    ],
    ["a compaction's border", compactBoundary(place), [["system", "Conversation compacted"]]],
    [
      "a local command",
      systemOf("local_command", { content: "<command-name>/cost</command-name>" }),
      [["system", "<command-name>/cost</command-name>"]],
    ],
    [
      "a small compaction's border",
      systemOf("microcompact_boundary", { content: "Context microcompacted" }),
      [["system", "Context microcompacted"]],
    ],
    [
      "a model's fallback",
      systemOf("model_refusal_fallback", { content: "Switched the model" }),
      [["system", "Switched the model"]],
    ],
    [
      "a hook's saved context",
      { ...place, type: "saved_hook_context", content: ["one", "two"] },
      [["other", "one\ntwo"]],
    ],
    ["a snapshot of files", snapshot({ message: uuid(1) }), []],
    ["a queued prompt", queueOperation({ content: "and the third?" }), [["prompt", "and the third?"]]],
    [
      "a queued prompt of blocks",
      { ...queueOperation(), content: [textBlock("and the fourth?"), { type: "image" }] },
      [["prompt", "and the fourth?"]],
    ],
    ["a prompt taken from the queue", queueOperation({ operation: "dequeue" }), []],
    ["a summary", summary({ leaf: uuid(1), text: "The second gear" }), [["summary", "The second gear"]]],
    ["the last prompt", { type: "last-prompt", lastPrompt: "Oil it.", leafUuid: uuid(1) }, [["prompt", "Oil it."]]],
    ["a title", { type: "custom-title", customTitle: "Gears" }, [["title", "Gears"]]],
    ["a title that was made up", { type: "ai-title", aiTitle: "On gears" }, [["title", "On gears"]]],
    ["a mode", { type: "mode", mode: "plan" }, []],
    ["a permission mode", { type: "permission-mode", permissionMode: "default" }, []],
    ["a pull request", { type: "pr-link", prNumber: 7, prUrl: "https://example.org/7" }, []],
    ["a frame", { type: "frame-link", path: "/tmp/x", frameUrl: "https://example.org/f" }, []],
    ["a bridge's session", { type: "bridge-session" }, []],
    ["a kind that nobody knows yet", { type: "unheard-of", content: "hello" }, [["other", "hello"]]],
    ["no kind at all", {}, []],
    ["fields of the wrong kind", { type: 7, message: [1], content: null, summary: {}, lastPrompt: false }, []],
    ["a message without content", userMessage({ ...place, extra: { message: { role: "user" } } }), []],
    [
      "blocks that are none",
      userBlocks("plain", 7, null, ["list"], {}),
      [
        ["text", "plain"],
        ["other", "7"],
        ["other", "list"],
      ],
    ],
  ])("%s", (_, record, expected) => {
    expect(partsOf(record)).toEqual(expected);
  });
});

describe("contentOf", () => {
  test("cuts nothing, however long a text is", () => {
    const long = "gear ".repeat(500_000);
    expect(contentOf(userMessage({ ...place, text: long })).text).toBe(long);
    expect(contentOf(toolResult({ ...place, toolUse: "t", output: long })).text).toBe(long);
  });

  test("counts lengths in code points, so that parts with emoji are cut apart rightly", () => {
    const record = assistantBlocks(textBlock("🦊🦊"), textBlock("e\u0301"), thinkingBlock("歯車"));
    expect(contentOf(record)).toEqual({
      text: "🦊🦊\ne\u0301\n歯車",
      parts: [
        { kind: "text", length: 2 },
        { kind: "text", length: 2 },
        { kind: "thinking", length: 2 },
      ],
    });
  });

  test("is well-formed Unicode: lone surrogates become U+FFFD, in deep values as well", () => {
    const record = assistantBlocks(textBlock("a\ud83d"), toolUseBlock("t", { deep: { text: "\ude00b" }, "\ud83d": 1 }));
    const { text } = contentOf(record);
    expect(text.isWellFormed()).toBe(true);
    expect(text.startsWith("a\ufffd\nBash")).toBe(true);
  });

  test("keeps NUL and line separators as they are", () => {
    expect(contentOf(userMessage({ ...place, text: "a\u0000b\u2028c" })).text).toBe("a\u0000b\u2028c");
  });

  test("does not overflow the stack on input that is nested 100,000 deep", () => {
    let deep: unknown = "core";
    for (let i = 0; i < 100_000; i++) deep = [deep];
    const { text } = contentOf(assistantMessage({ ...place, blocks: [toolUseBlock("t", { deep })] }));
    expect(text).toContain('"core"');
  });
});

describe("codePoints", () => {
  test.each([
    ["", 0],
    ["abc", 3],
    ["🦊", 1],
    ["a🦊b", 3],
    ["\ufffd", 1],
  ])("of %j", (text, count) => {
    expect(codePoints(text)).toBe(count);
    expect(count).toBe([...text].length);
  });
});
