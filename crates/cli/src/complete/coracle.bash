# Completion for coracle in bash: source it, or install it as
# /usr/share/bash-completion/completions/coracle.

_coracle() {
    mapfile -t COMPREPLY < <("$1" completion bash -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2> /dev/null)
    case ${COMPREPLY[0]} in
        :files)
            COMPREPLY=()
            compopt -o default
            ;;
        :directories)
            COMPREPLY=()
            compopt -o dirnames
            ;;
    esac
}

complete -F _coracle coracle
