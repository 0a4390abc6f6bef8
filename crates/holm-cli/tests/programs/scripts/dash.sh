# What POSIX has of the same, by dash.
cat <<END
here $((6 * 7))
END
seq 5 | while read -r n; do echo $((n * n)); done | tail -n 1
trap 'echo usr1' USR1; kill -USR1 $$; trap - USR1
(kill -KILL "$(sh -c 'echo $PPID')"; true) 2>/dev/null; echo "killed $?"
sleep 60 & kill $!; wait $!; echo "waited $?"
(exit 7) & wait $!; echo "waited $?"
mkfifo fifo; echo through >fifo & cat fifo; wait
umask 027; : >masked; stat -c %a masked; umask 022
ulimit -n 64; ulimit -n
set -C; : >kept; (: >kept) 2>/dev/null || echo "noclobber"; set +C
exec 3>file; echo written >&3; exec 3>&-; cat file
printf '%s|%05d|%x\n' text 42 255
for f in *; do test -f "$f" && echo "$f"; done
cd /usr/bin && pwd; cd - >/dev/null
( cd /; exec pwd )
command -v nowhere || echo "none $?"
/nowhere 2>/dev/null; echo "not found $?"
: >plain; ./plain 2>/dev/null; echo "not executable $?"
trap 'echo exit trap' EXIT
exit 5
