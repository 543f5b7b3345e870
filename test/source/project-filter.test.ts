import { homedir } from "node:os";
import { describe, expect, test } from "vitest";
import { projectFilter } from "../../src/source/project-filter.ts";

const NAMES = ["-home-me-app", "-home-me-app-two", "-home-me-secret", "-home-me-secret-plans", "-srv-app", "C--work"];

function wanted(include: readonly string[], exclude: readonly string[]): string[] {
  return NAMES.filter(projectFilter(include, exclude));
}

describe("projectFilter", () => {
  test.each<[string, string[], string[], string[]]>([
    ["everything, without patterns", [], [], NAMES],
    ["what is included", ["-home-me-app*"], [], ["-home-me-app", "-home-me-app-two"]],
    ["a whole name only", ["-home-me-app", "app", "-srv"], [], ["-home-me-app"]],
    ["all but what is excluded", [], ["-home-*"], ["-srv-app", "C--work"]],
    ["nothing that is both", ["-home-me-*"], ["*secret*"], ["-home-me-app", "-home-me-app-two"]],
    ["any of several patterns", ["-srv-*", "C--*"], [], ["-srv-app", "C--work"]],
    ["alternatives", ["-{srv,home-me}-app"], [], ["-home-me-app", "-srv-app"]],
    ["nothing, where all is excluded", ["*"], ["**"], []],
    [
      "paths, by the names they get",
      [],
      ["/home/me/secret*", "/srv/app/"],
      ["-home-me-app", "-home-me-app-two", "C--work"],
    ],
    ["all below a path", ["/home/me/**"], [], NAMES.filter((name) => name.startsWith("-home-me-"))],
    ["a path with a dot as one with a dash", ["/home/me/app.two"], [], ["-home-me-app-two"]],
  ])("takes %s", (_, include, exclude, expected) => {
    expect(wanted(include, exclude)).toEqual(expected);
  });

  test("takes ~/ for the home folder", () => {
    const name = `${homedir()}/app`.replaceAll(/[^A-Za-z0-9]/g, "-");
    expect(projectFilter(["~/app"], [])(name)).toBe(true);
    expect(projectFilter(["~/other"], [])(name)).toBe(false);
  });

  test("takes names that begin with a dot, and patterns that are no patterns, as they are", () => {
    expect(projectFilter(["*"], [])(".hidden")).toBe(true);
    expect(projectFilter(["[-broken"], [])("[-broken")).toBe(true);
  });
});
