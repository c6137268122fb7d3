# Completion of marcelctl for bash(1), with the functions of bash-completion.
#
# What only marceld knows, the numbers of conversations and the names of responders, is asked of it,
# on the socket or bus that the command line names so far; without an answer nothing is offered, and
# nothing is said.

# What marceld says to the verb $1 and options $2..., on the way that the command line names.
_marcelctl_ask()
{
	local -a way=()
	local i

	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
			--bus) way+=(--bus) ;;
			--control)
				# bash gives '--control=PATH' as three words.
				if [[ ${COMP_WORDS[i + 1]-} == "=" ]]; then
					way+=("--control=${COMP_WORDS[i + 2]-}")
				else
					way+=("--control=${COMP_WORDS[i + 1]-}")
				fi
				;;
		esac
	done
	timeout 2 "${COMP_WORDS[0]}" "$@" --json "${way[@]}" 2>/dev/null </dev/null
}

_marcelctl_numbers()
{
	_marcelctl_ask list | sed -n 's/^{"number":\([0-9]*\),.*/\1/p'
}

_marcelctl_responders()
{
	_marcelctl_ask status | sed -n 's/.*"responders":\[\([^]]*\)\].*/\1/p' | tr -d '"' | tr , ' '
}

# The place of the verb, behind general options.
_marcelctl_place()
{
	local i

	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
			--control)
				((i++))
				[[ ${COMP_WORDS[i]-} == "=" ]] && ((i++))
				;;
			-*) ;;
			*) break ;;
		esac
	done
	echo "$i"
}

# How many words that are no options stand behind the verb at place $1, before the present one.
_marcelctl_arguments()
{
	local i n=0

	for ((i = $1 + 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
			--control | --turn | --textfile | --directory | --file | --output | --listen)
				((i++))
				[[ ${COMP_WORDS[i]-} == "=" ]] && ((i++))
				;;
			-*) ;;
			*) ((n++)) ;;
		esac
	done
	echo "$n"
}

# Offers the words in $1 that begin as the present one does.
_marcelctl_offer()
{
	mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur")
}

# The arguments of $verb, whose place is $place.
_marcelctl_argument()
{
	local n

	n=$(_marcelctl_arguments "$place")
	case $verb in
		show | follow | say)
			((n == 0)) && _marcelctl_offer "$(_marcelctl_numbers)"
			;;
		close | take)
			_marcelctl_offer "$(_marcelctl_numbers)"
			;;
		give)
			((n == 0)) && _marcelctl_offer "$(_marcelctl_numbers)"
			((n == 1)) && _marcelctl_offer "$(_marcelctl_responders)"
			;;
		"script check" | "script try")
			_filedir script
			;;
		"script test")
			if ((n == 0)); then _filedir script; else _filedir transcript; fi
			;;
	esac
}

_marcelctl()
{
	local cur prev words cword split
	local -A options=(
		[status]="--json --control --bus"
		[reload]="--control --bus"
		[metrics]="--textfile --control --bus"
		[list]="--waiting --json --control --bus"
		[show]="--json --control --bus"
		[follow]="--json --control --bus"
		[take]="--control --bus"
		[say]="--turn --control --bus"
		[give]="--control --bus"
		[close]="--control --bus"
		[desk]="--plain --no-bell --control --bus"
		["script check"]="--strict"
		["script try"]="--explain --fast"
		["script test"]="--tap"
		["script from-journal"]="--directory --file --output"
		["script record"]="--listen --once --output"
	)
	local verbs="status reload metrics list show follow take say give close desk script"
	local verb place

	_init_completion -s || return
	case $prev in
		--control | --textfile | --file | --output)
			_filedir
			return
			;;
		--directory)
			_filedir -d
			return
			;;
		--turn | --listen) return ;;
	esac
	$split && return
	place=$(_marcelctl_place)
	verb=${COMP_WORDS[place]-}
	if ((place >= COMP_CWORD)); then
		_marcelctl_offer "$verbs help --help --version --control --bus"
		return
	fi
	if [[ $verb == script ]]; then
		if ((place + 1 == COMP_CWORD)); then
			_marcelctl_offer "check try test from-journal record"
			return
		fi
		((place++))
		verb="script ${COMP_WORDS[place]}"
	fi
	if [[ $cur == -* ]]; then
		_marcelctl_offer "${options[$verb]-} --help"
	else
		_marcelctl_argument
	fi
} && complete -F _marcelctl marcelctl
