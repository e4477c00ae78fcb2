# SPDX-License-Identifier: Apache-2.0
# A host with BTF: what the installer refuses, the packages, and the least rights. Runs as root in
# the guest; what it finds is judged by test_packages.py. VERSION is replaced by the release's.
. /test/common.sh
cd /test || exit 1
tar xf tetrapy-VERSION-amd64.tar.gz
list_files before

step refusals <<'END'
release=tetrapy-VERSION-amd64
refused() { # WHY COMMAND...
	why=$1
	shift
	said=$("$@" 2>&1) && code=0 || code=$?
	echo "$why: $code $said"
}
cp -a $release damaged
cp -a $release other-architecture
echo >> damaged/usr/local/bin/tetrapy
echo other > other-architecture/usr/local/lib/tetrapy/tetrapy
(cd other-architecture && find usr -type f | sort | xargs sha256sum > SHA256SUMS)
refused damaged damaged/install.sh
refused nobody sudo -u nobody $release/install.sh
refused architecture other-architecture/install.sh
mount --bind /dev/null /usr/lib/python3.11/typing.py
refused lacking $release/install.sh
umount /usr/lib/python3.11/typing.py
mv /bin/systemctl /test
refused no-systemd $release/install.sh
mv /test/systemctl /bin
mount --bind /usr/lib/systemd /usr/lib/systemd
mount -o remount,bind,ro /usr/lib/systemd
refused read-only $release/install.sh
umount /usr/lib/systemd
mkdir -p /usr/local/lib/tetrapy/tetrapy.conf.d
echo mine > /usr/local/lib/tetrapy/tetrapy.conf.d/log-level
refused foreign $release/install.sh
rm -r /usr/local/lib/tetrapy
END
step pythons <<'END'
took() {
	tetrapy-VERSION-amd64/install.sh --no-start
	tetrapy --version
	tetrapy-VERSION-amd64/uninstall.sh
}
mount --bind old-python /usr/bin/python3.11
took
umount /usr/bin/python3.11
mount -t tmpfs tmpfs /usr/lib/python3.11/ctypes
took
umount /usr/lib/python3.11/ctypes
END
list_files refused

step deb <<'END'
. /test/common.sh
sudo dpkg -i tetrapy_VERSION_amd64.deb
systemctl is-enabled tetrapy
systemctl is-active tetrapy
tell_rights
/bin/true marked-by-the-test
wait_for has_event marked-by-the-test
dpkg --verify tetrapy
before=$(main_pid)
sudo dpkg -i tetrapy_VERSION_amd64.deb
is_another "$before" && echo another process
tetrapy-VERSION-amd64/install.sh
mv /usr/bin/python3 /test
sudo systemctl restart tetrapy
tell_program
/bin/true without-python
wait_for has_event without-python && echo an event without Python
mv /test/python3 /usr/bin
sudo systemctl restart tetrapy
END
# Hooks of each kind that perf events are needed for, and a stack of the kernel's functions.
step policy <<'END'
. /test/common.sh
directory=/etc/tetrapy/tetrapy.tp.d
mkdir $directory
policy() { # NAME: the spec is the standard input
	echo 'apiVersion: cilium.io/v1alpha1'
	echo 'kind: TracingPolicy'
	echo "metadata: {name: $1}"
	echo 'spec:'
	cat
}
policy kernel-function <<'SPEC' > $directory/function.yaml
  kprobes:
  - call: sys_getpgid
    syscall: true
    return: true
    returnArg: {index: 0, type: int}
    selectors:
    - matchActions: [{action: Post, kernelStackTrace: true}]
SPEC
policy tracepoint <<'SPEC' > $directory/tracepoint.yaml
  tracepoints:
  - {subsystem: syscalls, event: sys_enter_getpgid}
SPEC
policy program <<'SPEC' > $directory/program.yaml
  uprobes:
  - {path: /usr/bin/python3, symbols: [PyObject_Repr]}
SPEC
wait_for has_policies 3
tetrapy policy list
python3 -c 'import os; os.getpgid(0); repr(3)'
for name in kernel-function tracepoint program; do
	wait_for has_policy_event $name
done
grep -F '"policy_name":"kernel-function"' /var/log/tetrapy/tetrapy.log | head -n 1
rm -r $directory
wait_for has_policies 0
END
step deb_remove <<'END'
echo debug | sudo tee /etc/tetrapy/tetrapy.conf.d/log-level
sudo dpkg --remove tetrapy
ls -d /etc/tetrapy /var/log/tetrapy
sudo dpkg --purge tetrapy
END
list_files deb

step rpm <<'END'
. /test/common.sh
# dpkg's Python is not in rpm's database.
sudo rpm -i --nodeps tetrapy-VERSION-1.x86_64.rpm
sudo systemctl enable --now tetrapy
systemctl is-active tetrapy
rpm -V --nodeps tetrapy
/bin/true marked-by-the-test
wait_for has_event marked-by-the-test
before=$(main_pid)
sudo rpm -U --nodeps --force tetrapy-VERSION-1.x86_64.rpm
is_another "$before" && echo another process
sudo rpm -e tetrapy
rm -r /var/log/tetrapy
END
list_files rpm

step watchdog <<'END'
. /test/common.sh
tetrapy-VERSION-amd64/install.sh --no-start
sudo dpkg -i tetrapy_VERSION_amd64.deb
sudo rpm -i --nodeps tetrapy-VERSION-1.x86_64.rpm
systemctl is-enabled tetrapy
systemctl is-active tetrapy
mkdir -p /etc/systemd/system/tetrapy.service.d
printf '[Service]\nWatchdogSec=6\nRestartSec=1\n' > /etc/systemd/system/tetrapy.service.d/test.conf
systemctl daemon-reload
systemctl start tetrapy
before=$(main_pid)
# It answers for longer than the interval, and is ended when its main loop stands still.
sleep 15
[ "$(main_pid)" = "$before" ] && echo same process
kill -STOP "$before"
wait_for is_another "$before" && echo another process
has_logged 'Watchdog timeout' && echo the watchdog did it
END
step connector <<'END'
. /test/common.sh
echo connector | sudo tee /etc/tetrapy/tetrapy.conf.d/sensor
sudo systemctl restart tetrapy
wait_for tells_rate
systemctl show -P StatusText tetrapy
/bin/sleep 1.234
wait_for has_event 1.234
sudo rm /etc/tetrapy/tetrapy.conf.d/sensor
END
step scanned <<'END'
. /test/common.sh
# As a kernel without BTF that no archive has.
mount -t tmpfs tmpfs /sys/kernel/btf
echo /test/empty.xz > /etc/tetrapy/tetrapy.conf.d/btf-archive
echo ebpf > /etc/tetrapy/tetrapy.conf.d/sensor
systemctl daemon-reload
systemctl restart tetrapy
systemctl show -P StatusText tetrapy
has_logged 'inferred from the memory of the running kernel' && echo scanned
tell_rights
umount /sys/kernel/btf
rm /etc/tetrapy/tetrapy.conf.d/btf-archive /etc/tetrapy/tetrapy.conf.d/sensor
systemctl daemon-reload
END
step elsewhere <<'END'
. /test/common.sh
echo /srv/logs/events.json | sudo tee /etc/tetrapy/tetrapy.conf.d/export-filename
sudo mkdir -p /srv/logs /etc/systemd/system/tetrapy.service.d
printf '[Service]\nReadWritePaths=/srv/logs\n' | sudo tee /etc/systemd/system/tetrapy.service.d/logs.conf
sudo systemctl daemon-reload
sudo systemctl restart tetrapy
wait_for test -s /srv/logs/events.json
ls /srv/logs
sudo rm /etc/tetrapy/tetrapy.conf.d/export-filename
printf '[Service]\nGroup=adm\n' | sudo tee /etc/systemd/system/tetrapy.service.d/group.conf
echo 640 | sudo tee /etc/tetrapy/tetrapy.conf.d/export-file-perm
sudo rm /var/log/tetrapy/tetrapy.log
sudo systemctl daemon-reload
sudo systemctl restart tetrapy
/bin/true readable-by-adm
wait_for has_event readable-by-adm
stat -c '%a %U:%G %n' /var/log/tetrapy /var/log/tetrapy/tetrapy.log
END
step does_not_start <<'END'
echo loud | sudo tee /etc/tetrapy/tetrapy.conf.d/log-level
tetrapy-VERSION-amd64/install.sh
echo "exit code $?"
sudo rm /etc/tetrapy/tetrapy.conf.d/log-level
sudo systemctl reset-failed tetrapy
sudo systemctl restart tetrapy
systemctl is-active tetrapy
END
step remove_all <<'END'
sudo /usr/local/lib/tetrapy/uninstall.sh --purge
rm -r /srv/logs /etc/systemd/system/tetrapy.service.d
END
list_files after
exit 0
