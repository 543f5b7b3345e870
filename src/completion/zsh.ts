// Completion for zsh: to be sourced, or to lie in a folder of $fpath as _riffd.
import { allCommands, type Named, type NamedOption, type Values } from "./words.ts";

export function zshScript(program: Named): string {
  const commands = allCommands(program);
  return `#compdef ${program.name}
# Completion of ${program.name} for zsh: a file _${program.name} in a folder of $fpath, or the end of ~/.zshrc.
_riffd() {
  local at=${program.path} i
  local -a list
  for ((i = 2; i < CURRENT; i++)); do
    case "$at $words[i]" in
${commands.slice(1).map(pathCase).join("\n")}
    esac
  done
  case "$at $words[CURRENT-1]" in
${commands.flatMap(optionCases).join("\n")}
  esac
  if [[ $words[CURRENT] == -* ]]; then
    case $at in
${commands.map(optionsCase).join("\n")}
    esac
    _describe -o option list
    return
  fi
  case $at in
${commands.flatMap(wordCases).join("\n")}
  esac
}
_riffd_sessions() {
  local -a found ids texts
  found=("\${(@f)$(${program.name} complete sessions "$words[CURRENT]" 2>/dev/null)}")
  found=(\${found:#})
  ids=(\${found%%$'\\t'*})
  texts=(\${found/$'\\t'/  })
  compadd -V sessions -l -d texts -a ids
  if [[ $words[CURRENT] == */* || $words[CURRENT] == [.~]* ]]; then _files; fi
}
if [[ $funcstack[1] == _riffd ]]; then _riffd "$@"; else compdef _riffd ${program.name}; fi
`;
}

function pathCase({ path, otherPaths }: Named): string {
  return `      (${[path, ...otherPaths].map(quoted).join("|")}) at=${quoted(path)} ;;`;
}

function optionCases({ path, options }: Named): string[] {
  return options.flatMap(({ names, values }) =>
    values === null
      ? []
      : [`    (${names.map((name) => quoted(`${path} ${name}`)).join("|")}) ${completed(values)}; return ;;`],
  );
}

function optionsCase({ path, options }: Named): string {
  const lines = options.map(({ names, about }: NamedOption) => described(names.at(-1) ?? "", about));
  return `      (${quoted(path)}) list=(${lines.join(" ")}) ;;`;
}

function wordCases({ path, commands, values }: Named): string[] {
  if (commands.length > 0) {
    const lines = commands.map(({ name, about }) => described(name, about));
    return [`    (${quoted(path)}) list=(${lines.join(" ")}); _describe command list ;;`];
  }
  return values === null ? [] : [`    (${quoted(path)}) ${completed(values)} ;;`];
}

function completed(values: Values): string {
  switch (values.kind) {
    case "choices":
      return `compadd -- ${values.choices.map(quoted).join(" ")}`;
    case "sessions":
      return "_riffd_sessions";
    case "files":
      return "_files";
    case "folders":
      return "_files -/";
    case "free":
      return ":";
    default:
      return values satisfies never;
  }
}

/** What stands before the first colon is completed. */
function described(name: string, about: string): string {
  return quoted(`${name.replaceAll(":", "\\:")}:${about}`);
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
