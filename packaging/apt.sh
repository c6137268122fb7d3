# What build-deb and quickstart share: words, rights and apt. To be sourced by a POSIX shell.
# shellcheck shell=sh

say() {
	echo "${0##*/}: $*" >&2
}

die() {
	say "$*"
	exit 1
}

# as_root COMMAND...: runs it as root, with sudo's help if need be.
as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		say "asks sudo to run: $*"
		sudo "$@"
	else
		die "that takes root's rights, and there is no sudo: run this, or apt-get, as root"
	fi
}

# apt_get ARGUMENT...: apt-get without questions, its chatter on standard error.
apt_get() {
	as_root env DEBIAN_FRONTEND=noninteractive DEB_BUILD_PROFILES="${DEB_BUILD_PROFILES-}" \
		apt-get -q -y --no-install-recommends "$@" >&2
}

# apt_ready WHAT: says that WHAT is missing and gets fresh package lists.
apt_ready() {
	say "missing: $*"
	command -v apt-get >/dev/null || die "no apt-get here; please install it another way"
	apt_get update || die "apt-get update failed"
}
