# Licensed under the Apache License, Version 2.0: see LICENSE.
# bash completion for resthooksctl(1)

# The options of a command.
_resthooksctl_options() {
    local api='--url --user --header --tenant --cacert --timeout --json'
    case $1 in
    'subscriptions list' | subscriptions) echo "$api --limit --before --event --active" ;;
    'subscriptions create')
        echo "$api --event --description --format --ordered --secret"
        ;;
    'subscriptions test') echo "$api --type" ;;
    'subscriptions rotate') echo "$api --overlap" ;;
    'subscriptions '*) echo "$api" ;;
    'deliveries list' | deliveries)
        echo "$api --limit --before --subscription --state --status --event --from --to"
        ;;
    'deliveries show') echo "$api" ;;
    redeliver) echo "$api" ;;
    replay) echo "$api --from --to --state --dry-run" ;;
    'events list' | events) echo "$api --limit --before --type --from --to" ;;
    'events show') echo "$api" ;;
    event-types) echo "$api" ;;
    publish) echo "$api --key --id --time" ;;
    health) echo "$api" ;;
    listen)
        echo '--port --secret --tolerance --fail --delay --save --count --timeout --json'
        ;;
    verify) echo '--secret --tolerance --json' ;;
    query) echo '--paths' ;;
    rules) echo '--prefix --observe --save' ;;
    'schema check') echo '--db' ;;
    'schema upgrade') echo '--db --plan' ;;
    'schema print') ;;
    'spool list' | spool) echo '--json' ;;
    'spool '*) ;;
    esac
}

_resthooksctl() {
    local all=("${COMP_WORDS[@]}") at=$COMP_CWORD current previous
    local i word skip='' words=() choices=''

    # bash takes URLs and --name=value apart; bash-completion puts them together again.
    if declare -F _get_comp_words_by_ref >/dev/null; then
        _get_comp_words_by_ref -n =: -w all -i at
    fi
    current=${all[at]} previous=${all[at - 1]}
    # The words that are neither options nor their values.
    for ((i = 1; i < at; i++)); do
        word=${all[i]}
        if [[ $skip ]]; then
            skip=''
        elif [[ $word == --json || $word == --ordered || $word == --dry-run || $word == --paths || \
            $word == --observe || $word == --help || $word == --version || $word == --*=* ]]; then
            :
        elif [[ $word == --* ]]; then
            skip=1
        else
            words+=("$word")
        fi
    done
    COMPREPLY=()
    if [[ $skip ]]; then
        case $previous in
        --cacert) compopt -o filenames && mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
        --save) compopt -o filenames && mapfile -t COMPREPLY < <(compgen -d -- "$current") ;;
        --state) choices='pending delivered failed cancelled any' ;;
        --format)
            choices=$("${COMP_WORDS[0]}" subscriptions create --help 2>/dev/null |
                sed -n 's/^ *--format FORMAT *//p' | sed 's/ (default)//; s/,//g')
            ;;
        --active) choices='true false' ;;
        --db) choices='pgsql: sqlite3:' ;;
        esac
    elif [[ $current == -* ]]; then
        choices="$(_resthooksctl_options "${words[*]:0:2}") --help"
        [[ ${words[0]} && ${words[0]} != spool && ${words[1]} && $choices == ' --help' ]] &&
            choices="$(_resthooksctl_options "${words[0]}") --help"
        [[ ${words[0]} ]] || choices='--help --version'
    elif [[ ${#words[@]} == 0 ]]; then
        choices='subscriptions deliveries redeliver replay events event-types publish health
            listen verify query rules schema spool'
    elif [[ ${#words[@]} == 1 ]]; then
        case ${words[0]} in
        subscriptions) choices='list show create pause revive delete test secret rotate end-overlap' ;;
        deliveries | events) choices='list show' ;;
        schema) choices='check upgrade print' ;;
        spool) choices='list show retry drop' ;;
        rules | verify) compopt -o filenames && mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
        esac
    elif [[ "${words[*]}" == 'schema print' ]]; then
        choices='pgsql sqlite3'
    fi
    [[ $choices ]] && mapfile -t COMPREPLY < <(compgen -W "$choices" -- "$current")
    return 0
}

complete -F _resthooksctl resthooksctl
