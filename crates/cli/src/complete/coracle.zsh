#compdef coracle
# Completion for coracle in zsh: source it after compinit, or install it as
# /usr/share/zsh/vendor-completions/_coracle.

_coracle() {
    local -a answer
    answer=("${(@f)$("${(Q)words[1]}" completion zsh -- "${(@Q)words[2,CURRENT-1]}" "$PREFIX" 2> /dev/null)}")
    case $answer[1] in
        '') return 1 ;;
        :files)
            [[ $PREFIX == --*=* ]] && compset -P 1 '*='
            _files
            ;;
        :directories)
            [[ $PREFIX == --*=* ]] && compset -P 1 '*='
            _files -/
            ;;
        *) _describe coracle answer ;;
    esac
}

if [[ $funcstack[1] == _coracle ]]; then
    _coracle "$@"
else
    compdef _coracle coracle
fi
