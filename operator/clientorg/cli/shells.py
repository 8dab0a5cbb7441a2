"""`completion`: the scripts that make a shell complete `kubectl-clientorg`, and how kubectl itself does."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from clientorg.cli.app import command
from clientorg.cli.options import Target
from clientorg.cli.terminal import say


class Shell(StrEnum):
    """Shells that there is a script for."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"
    POWERSHELL = "powershell"


@command(
    "completion",
    examples="""
    # bash: for good (needs the package bash-completion), or for this shell only
    $ bash > ~/.local/share/bash-completion/completions/kubectl-clientorg
    source <(kubectl-clientorg completion bash)
    # zsh, fish, PowerShell
    $ zsh > "${fpath[1]}/_kubectl-clientorg"
    $ fish > ~/.config/fish/completions/kubectl-clientorg.fish
    $ powershell >> $PROFILE
    """,
)
async def completion(
    target: Target, shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh, fish or powershell.")]
) -> None:
    """Print a shell's completion script.

    It completes `kubectl-clientorg`.

    `kubectl clientorg …` is completed by kubectl's own script (kubectl completion --help), which runs
    kubectl_complete-clientorg: keep that executable on the PATH, next to kubectl-clientorg.
    """
    say(SCRIPTS[shell].strip("\n"))


_BASH = r"""
# bash completion for kubectl-clientorg
__kubectl_clientorg() {
    local cur words cword out directive line
    COMPREPLY=()
    if declare -F _get_comp_words_by_ref >/dev/null 2>&1; then
        _get_comp_words_by_ref -n "=:" cur words cword
    else
        words=("${COMP_WORDS[@]}"); cword=$COMP_CWORD; cur="${COMP_WORDS[COMP_CWORD]}"
    fi
    out=$(kubectl-clientorg __complete "${words[@]:1:cword}" 2>/dev/null) || return
    directive=${out##*:}
    out=${out%:*}
    [[ $cur == -*=* ]] && cur=${cur#*=}
    while IFS='' read -r line; do
        line=${line%%$'\t'*}
        [[ -n $line && $line == "$cur"* ]] && COMPREPLY+=("$(printf '%q' "$line")")
    done <<<"$out"
    (( directive & 2 )) && compopt -o nospace
    (( directive & 4 )) || { (( ${#COMPREPLY[@]} )) || compopt -o default; }
    declare -F __ltrim_colon_completions >/dev/null 2>&1 && __ltrim_colon_completions "$cur"
}
complete -F __kubectl_clientorg kubectl-clientorg
"""

_ZSH = r"""
#compdef kubectl-clientorg
# zsh completion for kubectl-clientorg
_kubectl-clientorg() {
    local out directive line value text prefix
    local -a candidates options
    out=$(kubectl-clientorg __complete "${(@)words[2,CURRENT]}" 2>/dev/null) || return 1
    directive=${out##*:}
    out=${out%:*}
    for line in "${(@f)out}"; do
        [[ -z $line ]] && continue
        value=${line%%$'\t'*}
        text=${line#*$'\t'}
        value=${value//:/\\:}
        [[ $line == *$'\t'* ]] && candidates+=("$value:$text") || candidates+=("$value")
    done
    setopt local_options BASH_REMATCH
    [[ $words[CURRENT] =~ ^(-[^=]+=) ]] && prefix="-P ${BASH_REMATCH[1]}"
    (( directive & 2 )) && options+=(-S '')
    if (( ! (directive & 4) && ${#candidates} == 0 )); then
        _files
    else
        eval _describe -V 'kubectl-clientorg' candidates $prefix '"${options[@]}"'
    fi
}
if [[ $funcstack[1] == _kubectl-clientorg ]]; then
    _kubectl-clientorg
else
    compdef _kubectl-clientorg kubectl-clientorg
fi
"""

_FISH = r"""
# fish completion for kubectl-clientorg
function __kubectl_clientorg
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l prefix (string match -r -- '^-[^=]+=' $current)
    for line in (kubectl-clientorg __complete $words[2..-1] $current 2>/dev/null)
        string match -qr '^:\d+$' -- $line; and continue
        printf '%s%s\n' "$prefix" $line
    end
end
complete -c kubectl-clientorg -f -a '(__kubectl_clientorg)'
complete -c kubectl-clientorg -l kubeconfig -r -F
"""

_POWERSHELL = r"""
# PowerShell completion for kubectl-clientorg
Register-ArgumentCompleter -Native -CommandName 'kubectl-clientorg' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $words = @($commandAst.CommandElements | Select-Object -Skip 1 | ForEach-Object { "$_" })
    if ($wordToComplete -eq '') { $words += '' }
    $prefix = if ($wordToComplete -match '^(-[^=]+=)') { $Matches[1] } else { '' }
    kubectl-clientorg __complete @words 2>$null | Where-Object { $_ -notmatch '^:\d+$' } | ForEach-Object {
        $value, $text = $_ -split "`t", 2
        if (-not $text) { $text = $value }
        [System.Management.Automation.CompletionResult]::new("$prefix$value", $value, 'ParameterValue', $text)
    }
}
"""

SCRIPTS = {Shell.BASH: _BASH, Shell.ZSH: _ZSH, Shell.FISH: _FISH, Shell.POWERSHELL: _POWERSHELL}
