# SPDX-License-Identifier: Apache-2.0
# Completion of `rondo` for bash.
_rondo() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  local chat='--listen --data --classic --classic-room --lines --public-url --tls-cert --tls-key
    --node-name --guests --send-limit --console --config --help'
  local join='--room --name --classic --ca --config --help'
  local serve='--listen --tls-cert --tls-key --no-list --compress --spa --live --hidden --access-log
    --config --help'
  local fetch='-o --output --concurrency --per-host --timeout --depth --no-robots --resume --sequential
    --waterfall --user-agent --ca --json --quiet --config --help'
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    mapfile -t COMPREPLY < <(compgen -W 'chat join fetch serve --help --version' -- "$current")
    return
  fi
  case $previous in
    --data | -o | --output) mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
    --config | --tls-cert | --tls-key | --ca | --access-log | --waterfall) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    --guests) mapfile -t COMPREPLY < <(compgen -W 'on off' -- "$current"); return ;;
  esac
  case ${COMP_WORDS[1]} in
    chat) mapfile -t COMPREPLY < <(compgen -W "$chat" -- "$current") ;;
    join) mapfile -t COMPREPLY < <(compgen -W "$join" -- "$current") ;;
    fetch) mapfile -t COMPREPLY < <(compgen -W "$fetch" -- "$current") ;;
    serve) mapfile -t COMPREPLY < <(compgen -d -W "$serve" -- "$current") ;;
  esac
}
complete -o default -F _rondo rondo
