# SPDX-License-Identifier: Apache-2.0
# Read by the scripts of the guests. `step NAME` runs the commands of its standard input in a shell,
# and keeps what they print in /result/NAME and their exit code in /result/NAME.code.
step() {
	cat > /test/step.sh
	echo "@@ $1 $(cut -d' ' -f1 /proc/uptime)" > /dev/ttyS0
	sh /test/step.sh > "/result/$1" 2>&1 < /dev/null
	echo $? > "/result/$1.code"
}

# Every file and directory but the guest's own, the journal and what package managers remember.
list_files() {
	find / -xdev \( -path /result -o -path /test -o -path /var/log/journal -o -path /var/lib/dpkg \
		-o -path /var/log/dpkg.log -o -path /root/.rpmdb \) -prune -o -type d -printf 'd %m %u:%g %p\n' -o \
		-printf '%y %m %u:%g %s %p %l\n' | sort > "/result/files.$1"
}

# What may take a moment: try a command until it succeeds, for about a minute.
wait_for() {
	tries=0
	until "$@"; do
		tries=$((tries + 1))
		[ $tries -lt 60 ] || return 1
		sleep 1
	done
}

main_pid() {
	systemctl show -P MainPID tetrapy
}

tell_program() {
	readlink "/proc/$(main_pid)/exe"
}

is_another() { # PID: the service has come up as another process
	# Asked at once: between two questions it could end.
	systemctl show -P ActiveState -P MainPID tetrapy | tr '\n' ' ' > /test/now
	grep -q '\<active\>' /test/now && ! grep -q -w "$1" /test/now
}

tells_rate() {
	systemctl show -P StatusText tetrapy | grep -q 'events/s'
}

has_event() { # ARGUMENTS: the export file has an event of a program that got them
	grep -qF "\"arguments\":\"$1\"" /var/log/tetrapy/tetrapy.log
}

has_policies() { # COUNT: so many are loaded
	[ "$(tetrapy policy list | grep -c ' enabled ')" = "$1" ]
}

has_policy_event() { # NAME
	grep -qF "\"policy_name\":\"$1\"" /var/log/tetrapy/tetrapy.log
}

has_logged() { # TEXT
	journalctl -u tetrapy -o cat | grep -qF "$1"
}

has_reloaded_twice() {
	[ "$(journalctl -u tetrapy -o cat | grep -c 'Settings are read again')" = 2 ]
}

# The service as it runs now: exposure, rights, the drop-ins in force.
tell_rights() {
	systemd-analyze security --no-pager tetrapy | tail -n 2
	grep -E '^(CapBnd|CapEff|NoNewPrivs|Seccomp):' "/proc/$(main_pid)/status"
	systemctl show -P DropInPaths tetrapy
}
