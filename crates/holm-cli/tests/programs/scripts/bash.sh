# Features of bash that ask something of the kernel; job control is off.
set +m
shopt -s extglob globstar nullglob lastpipe
echo "here" | { read -r word; echo "pipe $word"; }
cat <<<"here string"
cat <<-END
	here document $((6 * 7))
	END
paste <(seq 3) <(seq 4 6)
seq 5 | tee >(wc -l >counted) | tail -n 1
for try in {1..500}; do [ -s counted ] && break; sleep 0.01; done
tr -d ' ' <counted
coproc TWICE { while read -r n; do echo $((n * 2)); done; }
echo 21 >&"${TWICE[1]}"; read -r answer <&"${TWICE[0]}"; echo "coproc $answer"
exec {gone}>&"${TWICE[1]}" {gone}>&-; eval "exec ${TWICE[1]}>&-"; wait "$TWICE_PID"; echo "coproc ended $?"
exec {file}<>both; echo written >&"$file"; cat both; exec {file}>&-
mapfile -t lines < <(printf '%s\n' a 'b c' d); echo "${#lines[@]} ${lines[1]}"
trap 'echo usr1' USR1; kill -USR1 $$; trap - USR1
(trap '' TERM; kill -TERM "$BASHPID"; echo ignored)
{ (kill -KILL "$BASHPID"); } 2>/dev/null; echo "killed $?"
{ sleep 60 & kill $!; wait $!; } 2>/dev/null; echo "waited $?"
(exit 3) & one=$!; (exit 4) & wait $!; two=$?; wait "$one"; echo $(($? + two))
timeout 0.1 sleep 60; echo "timeout $?"
read -r -t 0.05 nothing < <(sleep 1); [ $? -gt 128 ] && echo "read timed out"
mkfifo fifo; echo through >fifo & cat fifo; wait
ulimit -n 64; ulimit -n; (ulimit -f 1; trap '' XFSZ; head -c 4096 /dev/zero >big) 2>&-; stat -c %s big
umask 027; : >masked; stat -c %a masked; umask 022
mkdir -p deep/er/est; : >deep/er/est/file; echo **/file
[[ -p fifo && ! -e nowhere && deep -nt /proc/1/nowhere ]] && echo tests
{ printf 'GET\n' >/dev/tcp/127.0.0.1/1; } 2>&1 | grep -o 'Connection refused'
declare -A map=([a]=1 [b]=2); printf -v shown '%(%Y)T' 0; echo "${map[b]} $shown"
set -o pipefail; false | true; echo "pipefail $?"; set +o pipefail
echo out; echo err >&2; { echo both >&2; } 2>&1 | cat
times | wc -l
trap 'echo exit trap' EXIT; (exit); trap - EXIT
exec -a other bash -c 'echo "$0"; command -v exec; test -n "$BASHPID" && echo replaced'
