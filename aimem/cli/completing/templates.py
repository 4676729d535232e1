"""The scripts, with `<<marks>>` where the tables go."""

from __future__ import annotations

from typing import Final

BASH: Final = r"""# Completion for bash: put it into ~/.local/share/bash-completion/completions/ai-memory,
# with a link aimem to it,
# or have ~/.bashrc run  eval "$(ai-memory completions bash)"
_ai_memory() {
    local word at="" option="" skip="" words="" i cur="${COMP_WORDS[COMP_CWORD]}"
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        word="${COMP_WORDS[i]}"
        if [[ $word == "=" ]]; then continue; fi
        if [[ -n $skip ]]; then skip=""; continue; fi
        case "$word" in
            <<valued>>) skip=1; option="$word"; continue ;;
        esac
        case "$at/$word" in
            <<verbs>>) at="${at:+$at }$word" ;;
        esac
    done
    if [[ $cur == "=" ]]; then cur=""; fi
    if [[ -n $skip ]]; then
        case "$at:$option" in
<<values>>
            <<files>>) _ai_memory_files ;;
        esac
        return
    fi
    case "$at" in
<<words>>
    esac
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
    case "$at" in
        <<takers>>) [[ $cur == -* ]] || _ai_memory_files ;;
    esac
}
_ai_memory_files() {
    compopt -o filenames 2>/dev/null
    mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$cur")
}
complete -F _ai_memory <<programs>>
"""

ZSH: Final = r"""#compdef <<programs>>
# Completion for zsh: put it as _ai-memory into a folder of $fpath,
# or have ~/.zshrc run, after compinit,  source <(ai-memory completions zsh)
_ai_memory() {
    local word at="" option="" skip="" i
    local -a spots
    for ((i = 2; i < CURRENT; i++)); do
        word="${words[i]}"
        if [[ -n $skip ]]; then skip=""; continue; fi
        case "$word" in
            (<<valued>>) skip=1; option="$word"; continue ;;
        esac
        case "$at/$word" in
            (<<verbs>>) at="${at:+$at }$word" ;;
        esac
    done
    if [[ -z $skip && $PREFIX == --*=* ]]; then
        skip=1; option="${PREFIX%%=*}"; compset -P "*="
    fi
    if [[ -n $skip ]]; then
        case "$at:$option" in
<<values>>
            (<<files>>) _files ;;
        esac
        return
    fi
    case "$at" in
<<words>>
    esac
    _describe ai-memory spots
    case "$at" in
        (<<takers>>) _files ;;
    esac
}
if [[ $funcstack[1] == _ai-memory ]]; then _ai_memory "$@"; else compdef _ai_memory <<programs>>; fi
"""

FISH: Final = r"""# Completion for fish: put it into ~/.config/fish/completions/ai-memory.fish,
# with a link aimem.fish to it,
# or have config.fish run  ai-memory completions fish | source
function __ai_memory_at
    set -l at
    set -l skip
    for word in (commandline -opc)[2..-1]
        if test -n "$skip"
            set skip
            continue
        end
        switch $word
            case <<valued>>
                set skip 1
                continue
        end
        switch "$at/$word"
            case <<verbs>>
                set at (string trim -- "$at $word")
        end
    end
    test "$at" = "$argv[1]"
end
complete -c <<program>> -f
<<places>>
<<others>>
"""

ELVISH: Final = r"""# Completion for elvish: have ~/.config/elvish/rc.elv run
# eval (ai-memory completions elvish | slurp)
set edit:completion:arg-completer[<<program>>] = {|@words|
  var valued = [<<valued>>]
  var verbs = [<<verbs>>]
  var files = [<<files>>]
  var takers = [<<takers>>]
  var values = [
<<values>>
  ]
  var spots = [
<<words>>
  ]
  var at = ''
  var option = ''
  for word $words[1..-1] {
    if (not-eq $option '') {
      set option = ''
    } elif (has-key $valued $word) {
      set option = $word
    } elif (has-key $verbs $at'/'$word) {
      if (eq $at '') { set at = $word } else { set at = $at' '$word }
    }
  }
  if (not-eq $option '') {
    var key = $at':'$option
    if (has-key $values $key) {
      all $values[$key]
    } elif (has-key $files $key) {
      edit:complete-filename $words[-1]
    }
  } else {
    all $spots[$at]
    if (has-key $takers $at) { edit:complete-filename $words[-1] }
  }
}
<<others>>
"""

POWERSHELL: Final = r"""# Completion for PowerShell: have $PROFILE run
# ai-memory completions powershell | Out-String | Invoke-Expression
Register-ArgumentCompleter -Native -CommandName <<programs>> -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $valued = @(<<valued>>)
    $verbs = @(<<verbs>>)
    $at = ''
    $option = ''
    foreach ($element in ($commandAst.CommandElements | Select-Object -Skip 1)) {
        if ($element.Extent.EndOffset -ge $cursorPosition) { break }
        $word = $element.ToString()
        if ($option) { $option = '' }
        elseif ($valued -ccontains $word) { $option = $word }
        elseif ($verbs -ccontains "$at/$word") { $at = "$at $word".Trim() }
    }
    # Where nothing is found PowerShell offers the names of files.
    if ($option) {
        $found = @(switch -CaseSensitive -Exact ("${at}:$option") {
<<values>>
        })
    } else {
        $found = @(switch -CaseSensitive -Exact ($at) {
<<words>>
        })
    }
    $found | Where-Object { $_ -clike "$wordToComplete*" } | ForEach-Object {
        [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
    }
}
"""
