# Completion for coracle in fish: source it, or install it as
# /usr/share/fish/vendor_completions.d/coracle.fish.

function __coracle_complete
    set -l before (commandline -opc)
    set -l typed (commandline -ct)
    set -l program $before[1]
    set -e before[1]
    set -l answer ($program completion fish -- $before "$typed" 2> /dev/null)
    set -l flag (string match -r -- '^--[^=]*=' "$typed")
    set -l value (string replace -- "$flag" '' "$typed")
    switch "$answer[1]"
        case :files
            printf '%s\n' "$flag"(__fish_complete_path "$value")
        case :directories
            printf '%s\n' "$flag"(__fish_complete_directories "$value" '')
        case '*'
            printf '%s\n' $answer
    end
end

complete -c coracle -f -a '(__coracle_complete)'
