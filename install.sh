#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs tetrapy from the unpacked release as a service of systemd, or upgrades it in place.
# Nothing is changed unless all that can be known beforehand is right.
set -efu
umask 022
export LC_ALL=C
# The system's own programs and the directories that are meant, whatever the environment names.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:$PATH
unset CDPATH

usage() {
	cat <<'END'
Usage: ./install.sh [--no-start] [--tetra] [--root DIR]

  --no-start   install, but neither enable nor start the service
  --tetra      have Tetragon's client too, as the link /usr/local/bin/tetra; it stays in upgrades
  --root DIR   install below DIR and leave systemd alone; for images and packages
  --help       this text

Settings in /etc/tetrapy are never changed. uninstall.sh removes what was installed.
END
}

die() {
	echo "install.sh: $*" >&2
	exit 1
}

# What the service gets, so that Python is looked for where it will be.
SERVICE_PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
MANIFEST=/usr/local/lib/tetrapy/manifest
# The program by the name of Tetragon's client; its commands are then all there is.
TETRA=/usr/local/bin/tetra
# A line of the manifest until all files are there.
INCOMPLETE='# incomplete'
# The administrator's directories; they are made, and their content is nobody else's business.
OWN_DIRECTORIES='/etc/tetrapy /etc/tetrapy/tetrapy.conf.d'

main() {
	root='' start=yes tetra=no
	while [ $# -gt 0 ]; do
		case $1 in
			--no-start) start=no ;;
			--tetra) tetra=yes ;;
			--root) [ $# -gt 1 ] || die "--root needs a directory"; shift; root=$1 ;;
			--root=*) root=${1#--root=} ;;
			--help | -h) usage; exit 0 ;;
			*) usage >&2; die "unknown option: $1" ;;
		esac
		shift
	done
	cd "$(dirname "$0")"
	case $root in
		'' | /*) ;;
		*) die "--root $root: name an absolute directory" ;;
	esac
	if [ -n "$root" ]; then
		root=$(mkdir -p "$root" && cd -P "$root" && pwd -P) || die "--root: no directory"
	fi
	root=${root%/}

	unfinished=''
	trap '[ -z "$unfinished" ] || rm -f "$unfinished"' EXIT
	check_release
	runs='python3 of 3.8 or newer where a start finds one, else by a Python of its own'
	[ -n "$root" ] || check_host
	old=''
	if [ -n "$root" ] && [ -h "$root$MANIFEST" ]; then
		die "$root$MANIFEST is a link: no install.sh has made it; move it away"
	elif [ -f "$root$MANIFEST" ]; then
		old=$(cat "$root$MANIFEST")
	fi
	check_manifest
	if owned "$TETRA"; then
		tetra=yes
	fi
	check_targets
	check_tetra
	install_files
	echo "tetrapy runs by $runs"
	if [ -z "$root" ]; then
		run_service
	fi
	echo 'tetrapy installed successfully!'
}

check_release() {
	# What anybody can change now could be changed once more behind the check of the sums.
	if command -v find > /dev/null; then
		place=$(pwd -P) others=$(find . ! -type l -perm -0002 | head -n 1)
		[ -z "$others" ] || die "$place/$others can be written by anybody:" \
			"unpack the release anew, where nobody else writes"
		while [ -n "$place" ]; do
			place=${place%/*}
			[ -z "$(find "$place/" -prune -perm -0002 ! -perm -1000)" ] ||
				die "anybody can write to $place/: unpack the release elsewhere"
		done
	fi
	[ -f SHA256SUMS ] || die "SHA256SUMS is not beside install.sh: unpack the whole release"
	command -v sha256sum > /dev/null || die "sha256sum is not here: install coreutils"
	sha256sum --check --quiet --strict SHA256SUMS > /dev/null 2>&1 ||
		die "files differ from SHA256SUMS ($(damaged)): download and unpack the release again"
	version=$(cat VERSION)
}

damaged() {
	sha256sum --check --quiet SHA256SUMS 2> /dev/null | cut -d: -f1 | tr '\n' ' ' | sed 's/ $//'
}

check_host() {
	[ "$(id -u)" = 0 ] || die "tetrapy is installed by root: sudo ./install.sh"
	case $(uname -s)/$(uname -m) in
		Linux/x86_64 | Linux/aarch64) ;;
		*) die "tetrapy runs on Linux on x86_64 and aarch64; this is $(uname -s) on $(uname -m)" ;;
	esac
	if ! [ -d /run/systemd/system ] || ! command -v systemctl > /dev/null; then
		die "systemd does not run here; tetrapy.pyz runs without: see docs/install.md"
	fi
	# The machine that the executable is for, as its ELF header has it.
	case $(uname -m)/$(od -A n -t x1 -j 18 -N 1 usr/local/lib/tetrapy/tetrapy 2> /dev/null) in
		x86_64/*3e | aarch64/*b7) ;;
		*) die "this release is for another architecture than $(uname -m)" ;;
	esac
	choose_python
	if [ -e /usr/bin/tetrapy ]; then
		die "tetrapy is installed from a package; remove it first (apt remove tetrapy," \
			"or rpm -e tetrapy), or upgrade the package"
	fi
}

# Says which Python the installed command takes, which decides it at each start in the same words.
choose_python() {
	needed=$(sed -n "s/^needed='\(.*\)'\$/\1/p" usr/local/bin/tetrapy)
	if ! python=$(PATH=$SERVICE_PATH command -v python3); then
		runs="a Python of its own: there is no python3 in $SERVICE_PATH"
	elif said=$("$python" -IS -c "$needed" 2>&1); then
		runs="$python, $("$python" --version 2>&1)"
		# All that a start imports, out of the very file that is installed.
		said=$("$python" -IS -c 'import sys
sys.path.insert(0, sys.argv[1])
import tetrapy.cli.main, tetrapy.daemon.agent, tetrapy.kernel.libbpf' \
			usr/local/lib/tetrapy/tetrapy.pyz 2>&1) ||
			die "$python lacks a part of its library: $(echo "$said" | tail -n 1)"
	elif [ "$said" = old ]; then
		runs="a Python of its own: $python is $("$python" --version 2>&1), older than 3.8"
	else
		runs="a Python of its own: $python does not serve ($(echo "$said" | tail -n 1))"
	fi
}

# What is to be installed: the files of the release below usr/.
release_files() {
	sed -n 's|^[0-9a-f]*  usr/|/usr/|p' SHA256SUMS
}

# Files of an earlier installation are removed where a release lacks them.
check_manifest() {
	IFS='
'
	for path in $(echo "$old" | sed -n 's/^dir //; /^\//p'); do
		ours "$path" || die "$root$MANIFEST names $path, which no install.sh installs; move it away"
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

# A path can be written if the deepest directory of it that is there can be.
check_targets() {
	for path in $(release_files) $OWN_DIRECTORIES $MANIFEST; do
		directory=${path%/*}
		until [ -e "$root$directory" ] || [ -h "$root$directory" ] || [ -z "$directory" ]; do
			directory=${directory%/*}
		done
		if ! [ -d "$root$directory/" ] || ! [ -w "$root$directory/" ]; then
			die "${root}${directory:-/} is no directory that can be written, for $path"
		fi
		(enter "$directory") || exit 1
		if [ -h "$root$path" ] && [ -n "$root" ]; then
			die "$root$path is a link, and no install.sh put it there; move it away"
		elif [ -d "$root$path" ] && ! owned "dir $path"; then
			case " $OWN_DIRECTORIES " in
				*" $path "*) ;;
				*) die "$path is a directory; move it away" ;;
			esac
		elif [ -e "$root$path" ] && [ -f "$root$path" ] && ! owned "$path" &&
			! cmp -s ".$path" "$root$path"; then
			die "$root$path is there already and no install.sh put it there; move it away"
		fi
	done
}

# Another program of that name is not replaced.
check_tetra() {
	[ "$tetra" = yes ] || return 0
	if [ -d "$root$TETRA" ] && ! [ -h "$root$TETRA" ]; then
		die "$root$TETRA is a directory; move it away"
	elif ! owned "$TETRA" && { [ -e "$root$TETRA" ] || [ -h "$root$TETRA" ]; }; then
		die "$root$TETRA is there already and no install.sh put it there; move it away," \
			"or install without --tetra"
	fi
}

# Whether the last install.sh wrote this line into the manifest.
owned() {
	has_line "$old" "$1"
}

has_line() { # TEXT LINE
	case "
$1
" in
		*"
$2
"*) return 0 ;;
	esac
	return 1
}

install_files() {
	# An installation that was interrupted has never been started.
	fresh=no
	if [ -z "$old" ] || has_line "$old" "$INCOMPLETE"; then
		fresh=yes
	fi
	# Before the files, so that an end in between leaves nothing that uninstall.sh does not know.
	new=$(new_manifest)
	make_directory "${MANIFEST%/*}"
	old_files=$(echo "$old" | sed '/^\//!d')
	mark=''
	[ "$fresh" = no ] || mark=$INCOMPLETE
	write_manifest "$mark
$new
$old_files"
	for path in $(release_files); do
		make_directory "${path%/*}"
		if [ -x ".$path" ]; then mode=755; else mode=644; fi
		# A file appears whole, and one that runs is not written to.
		unfinished=$root$path.new
		(
			source=$(pwd -P)$path
			enter "${path%/*}"
			rm -f "./${path##*/}.new"
			install -m "$mode" "$source" "./${path##*/}.new"
			mv -f "./${path##*/}.new" "./${path##*/}"
		)
	done
	if [ "$tetra" = yes ]; then
		unfinished=$root$TETRA.new
		(
			enter "${TETRA%/*}"
			rm -f ./tetra.new
			ln -s tetrapy ./tetra.new
			mv -f ./tetra.new ./tetra
		)
	fi
	for path in $OWN_DIRECTORIES; do
		make_directory "$path"
	done
	for path in $old_files; do
		has_line "$new" "$path" || [ ! -d "$root${path%/*}" ] ||
			(enter "${path%/*}" && rm -f "./${path##*/}")
	done
	write_manifest "$new"
}

# The files, and the directories that this or an earlier run had to make, parents first.
new_manifest() {
	{
		for path in $(release_files) $MANIFEST $OWN_DIRECTORIES/.; do
			directory=${path%/*}
			while [ -n "$directory" ]; do
				[ -d "$root$directory" ] && ! owned "dir $directory" || echo "dir $directory"
				directory=${directory%/*}
			done
		done
		echo "$old" | sed -n '/^dir /p'
	} | sort -u
	release_files
	[ "$tetra" = no ] || echo "$TETRA"
	echo "$MANIFEST"
}

write_manifest() {
	unfinished=$root$MANIFEST.new
	(
		enter "${MANIFEST%/*}"
		rm -f ./manifest.new
		# A new file, and nothing that a link leads to.
		set -C
		echo "$1" | sed '/^$/d' > ./manifest.new
		mv -f ./manifest.new ./manifest
	)
}

# Each directory is made inside the one above it, which was entered.
make_directory() {
	(
		enter ''
		missing=$1/ made=''
		while [ -n "${missing#/}" ]; do
			missing=${missing#/}
			made=$made/${missing%%/*}
			[ -d "./${missing%%/*}" ] || mkdir "./${missing%%/*}"
			missing=${missing#*/}
			enter "$made"
		done
	)
}

run_service() {
	systemctl daemon-reload
	if [ "$start" = no ]; then
		echo "not started: systemctl enable --now tetrapy"
		return
	fi
	if [ "$fresh" = yes ]; then
		systemctl enable --quiet tetrapy.service
	elif [ "$(systemctl is-active tetrapy.service || :)" = inactive ]; then
		echo "the service is stopped, as it was before: systemctl start tetrapy"
		return
	fi
	systemctl reset-failed tetrapy.service 2> /dev/null || :
	# Comes back when the agent listens, or has ended.
	if ! systemctl restart tetrapy.service 2> /dev/null; then
		echo "The last lines of the log:" >&2
		journalctl --unit tetrapy.service --no-pager --output cat --lines 12 >&2 || :
		die "tetrapy $version is installed, but it does not start; see above and" \
			"docs/troubleshooting.md, then: systemctl restart tetrapy"
	fi
}

main "$@"
