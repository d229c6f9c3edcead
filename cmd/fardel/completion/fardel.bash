# Completion of fardel for bash. It works with and without bash-completion.

_fardel() {
	local words=() word i cur reply line
	# Bash divides words at = and :, which stand within flags and paths here.
	for ((i = 1; i <= COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		if ((${#words[@]})) && [[ $word == = || $word == : || ${words[-1]} == *[=:] && ${words[-1]} == -* ]]; then
			words[-1]+=$word
		else
			words+=("$word")
		fi
	done
	((${#words[@]})) || words=("")
	cur=${words[-1]}
	COMPREPLY=()
	while IFS= read -r line; do
		reply=${line%%$'\t'*}
		case $reply in
		:files) compopt -o default 2>/dev/null; _fardel_paths -f "$cur" ;;
		:folders) compopt -o nospace 2>/dev/null; _fardel_paths -d "$cur" ;;
		*)
			# Only what follows the = is replaced.
			[[ $cur == -*=* && $COMP_WORDBREAKS == *=* ]] && reply=${reply#*=}
			COMPREPLY+=("$reply")
			;;
		esac
	done < <("${COMP_WORDS[0]}" __complete "${words[@]}" 2>/dev/null)
}

_fardel_paths() {
	local path
	while IFS= read -r path; do
		[[ -d $path ]] && path+=/
		COMPREPLY+=("$path")
	done < <(compgen "$1" -- "${2#-*=}")
	compopt -o filenames 2>/dev/null
}

complete -F _fardel fardel
