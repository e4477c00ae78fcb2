#!/bin/sh
# Removes what install.sh installed: the files and directories that its manifest names.
set -eu
export LC_ALL=C

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
	root=${root%/}
	[ -n "$root" ] || [ "$(id -u)" = 0 ] || die "tetrapy is removed by root: sudo ./uninstall.sh"

	if [ -f "$root$MANIFEST" ]; then
		[ -n "$root" ] || stop_service
		remove_files
		if [ -z "$root" ]; then
			systemctl daemon-reload
			systemctl reset-failed tetrapy.service 2> /dev/null || :
		fi
	elif [ "$purge" = no ]; then
		die "no $root$MANIFEST: install.sh has installed nothing here"
	fi
	for directory in $KEPT; do
		if [ "$purge" = yes ]; then
			rm -rf "$root$directory"
		elif [ -d "$root$directory" ] && ! rmdir "$root$directory" 2> /dev/null; then
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

remove_files() {
	files=$(sed '/^\//!d' "$root$MANIFEST")
	# The deepest first. What others have put files into stays.
	directories=$(sed -n 's/^dir //p' "$root$MANIFEST" | sort -r)
	for path in $files; do
		rm -f "$root$path"
	done
	for path in $directories; do
		rmdir "$root$path" 2> /dev/null || :
	done
}

main "$@"
exit 0
