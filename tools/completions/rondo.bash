# SPDX-License-Identifier: Apache-2.0
# Completion of `rondo` for bash.
_rondo() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  local chat='--listen --data --classic --classic-room --lines --public-url --node-name --guests
    --send-limit --console --config --help'
  local join='--room --name --classic --config --help'
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    mapfile -t COMPREPLY < <(compgen -W 'chat join --help --version' -- "$current")
    return
  fi
  case $previous in
    --data) mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    --config) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    --guests) mapfile -t COMPREPLY < <(compgen -W 'on off' -- "$current"); return ;;
  esac
  case ${COMP_WORDS[1]} in
    chat) mapfile -t COMPREPLY < <(compgen -W "$chat" -- "$current") ;;
    join) mapfile -t COMPREPLY < <(compgen -W "$join" -- "$current") ;;
  esac
}
complete -o default -F _rondo rondo
