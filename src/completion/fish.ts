// Completion for fish, from 3.0 on.
import { allCommands, type Named, type NamedOption, type Values } from "./words.ts";

export function fishScript(program: Named): string {
  const commands = allCommands(program);
  const { name } = program;
  return `# Completion of ${name} for fish: ~/.config/fish/completions/${name}.fish.
function __riffd_at
    set -l at ${program.path}
    for word in (commandline -opc)[2..-1]
        switch "$at $word"
${commands.slice(1).map(pathCase).join("\n")}
        end
    end
    test "$at" = "$argv"
end
complete -c ${name} -f
${commands.flatMap((command) => linesOf(program, command)).join("\n")}
`;
}

function pathCase({ path, otherPaths }: Named): string {
  return `            case ${[path, ...otherPaths].map(quoted).join(" ")}\n                set at ${quoted(path)}`;
}

function linesOf(program: Named, command: Named): string[] {
  const { path, commands, values, options } = command;
  const begin = `complete -c ${program.name} -n ${quoted(`__riffd_at ${path}`)}`;
  return [
    ...commands.map(({ name, about }) => `${begin} -a ${quoted(name)} -d ${quoted(about)}`),
    ...(commands.length > 0 || values === null ? [] : [`${begin} ${completed(program, values)}`]),
    ...options.map((option) => `${begin} ${optionWords(program, option)}`),
  ];
}

function optionWords(program: Named, { names, about, values }: NamedOption): string {
  const flags = names.map((name) => (name.startsWith("--") ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`));
  const taken = values === null ? [] : [`${values.kind === "files" ? "-r" : "-x"} ${completed(program, values)}`];
  return [...flags, ...taken, `-d ${quoted(about)}`].join(" ");
}

function completed(program: Named, values: Values): string {
  switch (values.kind) {
    case "choices":
      return `-a ${quoted(values.choices.join(" "))}`;
    case "sessions":
      return `-k -a ${quoted(`(${program.name} complete sessions (commandline -ct) 2>/dev/null)`)}`;
    case "files":
      return "-F";
    case "folders":
      return `-a ${quoted("(__fish_complete_directories (commandline -ct))")}`;
    case "free":
      return "";
    default:
      return values satisfies never;
  }
}

function quoted(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
