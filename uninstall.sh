#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Removes what install.sh installed: the files and directories that its manifest names.
set -efu
export LC_ALL=C
# The system's own programs and the directories that are meant, whatever the environment names.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:$PATH
unset CDPATH

usage() {
	cat <<'END'
Usage: uninstall.sh [--purge] [--root DIR]

  --purge      remove settings, logs and stored kernel types too: /etc/tetrapy, /var/log/tetrapy,
               /var/lib/tetrapy
  --root DIR   remove what is installed below DIR and leave systemd alone
  --help       this text
END
}

die() {
	echo "uninstall.sh: $*" >&2
	exit 1
}

MANIFEST=/usr/local/lib/tetrapy/manifest
KEPT='/etc/tetrapy /var/log/tetrapy /var/lib/tetrapy'

main() {
	root='' purge=no
	while [ $# -gt 0 ]; do
		case $1 in
			--purge) purge=yes ;;
			--root) [ $# -gt 1 ] || die "--root needs a directory"; shift; root=$1 ;;
			--root=*) root=${1#--root=} ;;
			--help | -h) usage; exit 0 ;;
			*) usage >&2; die "unknown option: $1" ;;
		esac
		shift
	done
	case $root in
		'' | /*) ;;
		*) die "--root $root: name an absolute directory" ;;
	esac
	if [ -n "$root" ]; then
		root=$(cd -P "$root" && pwd -P) || die "--root: no such directory"
	fi
	root=${root%/}
	[ -n "$root" ] || [ "$(id -u)" = 0 ] || die "tetrapy is removed by root: sudo ./uninstall.sh"

	if [ -n "$root" ] && [ -h "$root$MANIFEST" ]; then
		die "$root$MANIFEST is a link: install.sh has not made it"
	elif [ -f "$root$MANIFEST" ]; then
		[ -n "$root" ] || stop_service
		remove_pinned
		remove_files
		if [ -z "$root" ]; then
			systemctl daemon-reload
			systemctl reset-failed tetrapy.service 2> /dev/null || :
		fi
	elif [ "$purge" = no ]; then
		die "no $root$MANIFEST: install.sh has installed nothing here"
	fi
	for directory in $KEPT; do
		[ -d "$root${directory%/*}" ] || continue
		if [ "$purge" = yes ]; then
			(enter "${directory%/*}" && rm -rf "./${directory##*/}")
		elif [ -d "$root$directory" ] &&
			! (enter "${directory%/*}" && rmdir "./${directory##*/}" 2> /dev/null); then
			echo "kept: $root$directory"
		fi
	done
	echo 'tetrapy removed.'
}

stop_service() {
	systemctl disable --quiet --now tetrapy.service 2> /dev/null || :
	if systemctl is-active --quiet tetrapy.service; then
		die "the service does not stop: systemctl status tetrapy"
	fi
}

# Policies that --keep-sensors-on-exit has left in the kernel: they go with the last pin. The agent
# knows the name of their directory; one of another version may not answer.
remove_pinned() {
	[ -d "$root/sys/fs/bpf" ] || return 0
	name=tetrapy
	if [ -z "$root" ]; then
		name=$(/usr/local/bin/tetrapy config 2> /dev/null | sed -n 's/^bpf-dir  *\([^ ]*\) .*/\1/p') || :
	fi
	case $name in
		'' | *[!A-Za-z0-9_-]*) name=tetrapy ;;
	esac
	(enter /sys/fs/bpf && rm -rf "./$name")
}

remove_files() {
	files=$(sed '/^\//!d' "$root$MANIFEST")
	# The deepest first. What others have put files into stays.
	directories=$(sed -n 's/^dir //p' "$root$MANIFEST" | sort -r)
	IFS='
'
	for path in $files $directories; do
		ours "$path" || die "$root$MANIFEST names $path, which install.sh installs nowhere"
	done
	for path in $files; do
		[ ! -d "$root${path%/*}" ] || (enter "${path%/*}" && rm -f "./${path##*/}")
	done
	for path in $directories; do
		[ ! -d "$root${path%/*}" ] ||
			(enter "${path%/*}" && rmdir "./${path##*/}" 2> /dev/null) || :
	done
	unset IFS
}

# Whether a line of a manifest can be ours: below --root it may be anybody's.
ours() {
	case $1 in
		*[!A-Za-z0-9/._@+-]* | *//* | *[!/]/ | */. | */./* | */.. | */../*) return 1 ;;
		/usr | /usr/* | /lib | /lib/* | /etc | /etc/tetrapy | /etc/tetrapy/*) return 0 ;;
	esac
	return 1
}

# Go to a directory below the root; a link in a tree that somebody else made must not lead out of it.
enter() {
	cd -P "$root$1/" || exit 1
	case $(pwd -P)/ in
		"$root"/*) ;;
		*) die "$root$1 leads out of $root, to $(pwd -P); nothing is done there" ;;
	esac
}

main "$@"
exit 0
