# bash completion for ocinet: commands, and the names of networks and containers.

_ocinet() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    local group=${COMP_WORDS[1]} command=${COMP_WORDS[2]} words=
    if [ "$COMP_CWORD" -eq 1 ]; then
        words="attach detach plan ps inspect exec publish unpublish network ipam reservation \
            hooks runtime watch wait gc events version help"
    elif [ "$before" = --net ] || [ "$before" = --network ]; then
        words=$(ocinet network ls -q 2>/dev/null)
    elif [ "$COMP_CWORD" -eq 2 ] && [[ $word != -* ]]; then
        case $group in
        network) words="create ls inspect rm exists prune" ;;
        ipam) words="ls release" ;;
        reservation | reserve) words="add ls rm" ;;
        hooks) words="add remove install uninstall verify" ;;
        runtime) words="install uninstall" ;;
        wait | attach | detach | plan | inspect | exec | publish | unpublish)
            words="$(ocinet ps --all --noheading 2>/dev/null | awk '{ print $2 }') pid: netns:" ;;
        esac
    elif [[ $word != -* ]]; then
        case "$group $command" in
        "network inspect" | "network rm" | "network exists" | ipam\ * | reserv*\ *)
            words=$(ocinet network ls -q 2>/dev/null) ;;
        esac
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}

complete -o default -F _ocinet ocinet
