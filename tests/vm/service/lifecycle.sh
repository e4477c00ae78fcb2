# SPDX-License-Identifier: Apache-2.0
# A host without BTF and network gets tetrapy from the tarball. Runs as root in the guest; what it
# finds is judged by test_lifecycle.py. VERSION is replaced by the release's.
. /test/common.sh
cd /test || exit 1
list_files before

# An administrator was here before.
mkdir -p /etc/tetrapy/tetrapy.conf.d
echo unix > /etc/tetrapy/tetrapy.conf.d/username-metadata

step install <<'END'
sha256sum --check tetrapy-VERSION-amd64.tar.gz.sha256sum
tar xf tetrapy-VERSION-amd64.tar.gz
cd tetrapy-VERSION-amd64
sudo ./install.sh
END
list_files installed
step status <<'END'
. /test/common.sh
/bin/true marked-by-the-test
wait_for has_event marked-by-the-test
wait_for tells_rate
sudo systemctl status tetrapy
echo @@
sudo tail -n 3 /var/log/tetrapy/tetrapy.log
echo @@
sudo journalctl -u tetrapy
echo @@
systemctl is-enabled tetrapy
stat -c '%a %U:%G %n' /run/tetrapy /run/tetrapy/* /var/log/tetrapy /var/log/tetrapy/* /var/lib/tetrapy
tell_rights
END
step settings <<'END'
. /test/common.sh
echo true | sudo tee /etc/tetrapy/tetrapy.conf.d/enable-process-cred
sudo systemctl restart tetrapy
tetrapy config --changed
/bin/true with-credentials
wait_for has_event with-credentials
END
step reload <<'END'
. /test/common.sh
before=$(main_pid)
echo debug | sudo tee /etc/tetrapy/tetrapy.conf.d/log-level
sudo systemctl reload tetrapy
wait_for has_logged 'Settings are read again'
[ "$(main_pid)" = "$before" ] && echo same process
sudo rm /etc/tetrapy/tetrapy.conf.d/log-level
sudo systemctl reload tetrapy
wait_for has_reloaded_twice
systemctl is-active tetrapy
END
step look <<'END'
. /test/common.sh
sudo journalctl -u tetrapy -n 50
echo @@
sudo tetrapy btf which
echo @@
sudo cat /run/tetrapy/tetrapy-info.json
echo
echo @@
sudo systemctl kill --signal=USR1 tetrapy
wait_for has_logged 'Log level is now debug'
sudo systemctl kill --signal=USR1 tetrapy
wait_for has_logged 'Log level is now info'
END
step upgrade <<'END'
. /test/common.sh
before=$(main_pid)
# A later release: one file more, one less, another default.
cp -a tetrapy-VERSION-amd64 later
cd later
echo warn > usr/local/lib/tetrapy/tetrapy.conf.d/log-level
echo 20 > usr/local/lib/tetrapy/tetrapy.conf.d/export-file-max-size-mb
rm usr/local/share/zsh/site-functions/_tetrapy
find usr -type f | sort | xargs sha256sum > SHA256SUMS
(while [ ! -e /test/enough ]; do /bin/true under-load; sleep 0.3; done) &
sudo ./install.sh
touch /test/enough
wait
is_another "$before" && echo another process
tetrapy config --changed
ls /usr/local/share/zsh/site-functions
/bin/true after-the-upgrade
wait_for has_event after-the-upgrade
END
step killed <<'END'
. /test/common.sh
before=$(main_pid)
kill -9 "$before"
wait_for is_another "$before" && echo another process
/bin/true after-the-kill
wait_for has_event after-the-kill
systemctl show -P NRestarts tetrapy
END
step without_python <<'END'
. /test/common.sh
tell_program
mv /usr/bin/python3 /test
sudo systemctl restart tetrapy
tell_program
/bin/true without-python
wait_for has_event without-python
wait_for tells_rate
systemctl show -P StatusText tetrapy
mv /test/python3 /usr/bin
sudo systemctl restart tetrapy
tell_program
END
cp -a /var/log/tetrapy /result/export
step uninstall <<'END'
cd later
sudo ./uninstall.sh
systemctl status tetrapy
sudo ./uninstall.sh
END
list_files kept
step purge <<'END'
cd later
sudo ./uninstall.sh --purge
grep tetrapy /proc/net/unix
ls -d /run/tetrapy /sys/fs/cgroup/system.slice/tetrapy* /run/systemd/generator/tetrapy*
END
list_files after
exit 0
