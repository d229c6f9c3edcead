#compdef fardel
# Completion of fardel for zsh.

_fardel() {
	local -a proposals
	local line
	while IFS= read -r line; do
		case $line in
		:files) compset -P '-*='; _files ;;
		:folders) compset -P '-*='; _files -/ ;;
		*) proposals+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}") ;;
		esac
	done < <("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
	(( ${#proposals} )) && _describe fardel proposals
}

if [[ $funcstack[1] == _fardel ]]; then
	_fardel "$@"
else
	compdef _fardel fardel
fi
