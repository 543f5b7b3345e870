// Completion for bash, from 3.2 (macOS) on.
import { allCommands, type Named, type Values } from "./words.ts";

export function bashScript(program: Named): string {
  const commands = allCommands(program);
  return `# Completion of ${program.name} for bash: a file ${program.name} of ~/.local/share/bash-completion/completions, or the end of ~/.bashrc.
_riffd() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} at=${program.path} i
  COMPREPLY=()
  # bash takes --option=value apart.
  if [[ $cur == = ]]; then cur=; elif [[ $prev == = ]]; then prev=\${COMP_WORDS[COMP_CWORD-2]}; fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$at \${COMP_WORDS[i]}" in
${commands.slice(1).map(pathCase).join("\n")}
    esac
  done
  case "$at $prev" in
${commands.flatMap(optionCases).join("\n")}
  esac
  if [[ $cur == -* ]]; then
    case $at in
${commands.map(optionsCase).join("\n")}
    esac
    return
  fi
  case $at in
${commands.flatMap(wordCases).join("\n")}
  esac
}
_riffd_words() {
  local IFS=$'\\n'
  COMPREPLY=($(compgen -W "\${1// /$IFS}" -- "$cur"))
}
_riffd_files() {
  local IFS=$'\\n'
  compopt -o filenames 2>/dev/null
  COMPREPLY+=($(compgen "$1" -- "$cur"))
}
_riffd_sessions() {
  local IFS=$'\\n'
  COMPREPLY=($(${program.name} complete sessions "$cur" 2>/dev/null | cut -f 1))
  if [[ $cur == */* || $cur == .* || $cur == '~'* ]]; then _riffd_files -f; fi
}
complete -F _riffd ${program.name}
`;
}

function pathCase({ path, otherPaths }: Named): string {
  return `      ${[path, ...otherPaths].map(quoted).join("|")}) at=${quoted(path)} ;;`;
}

function optionCases({ path, options }: Named): string[] {
  return options.flatMap(({ names, values }) =>
    values === null
      ? []
      : [`    ${names.map((name) => quoted(`${path} ${name}`)).join("|")}) ${completed(values)}; return ;;`],
  );
}

function optionsCase({ path, options }: Named): string {
  const names = options.flatMap((option) => option.names.filter((name) => name.startsWith("--")));
  return `      ${quoted(path)}) _riffd_words ${quoted(names.join(" "))} ;;`;
}

function wordCases({ path, commands, values }: Named): string[] {
  const words: Values | null =
    commands.length > 0 ? { kind: "choices", choices: commands.map(({ name }) => name) } : values;
  return words === null ? [] : [`    ${quoted(path)}) ${completed(words)} ;;`];
}

function completed(values: Values): string {
  switch (values.kind) {
    case "choices":
      return `_riffd_words ${quoted(values.choices.join(" "))}`;
    case "sessions":
      return "_riffd_sessions";
    case "files":
      return "_riffd_files -f";
    case "folders":
      return "_riffd_files -d";
    case "free":
      return ":";
    default:
      return values satisfies never;
  }
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
