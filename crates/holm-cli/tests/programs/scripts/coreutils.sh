# Every program of coreutils at its usual work: a name, and after the colon what is run in an empty directory.
[: [ 1 -lt 2 ] && [ -d . ] && [ . -ef "$PWD" ]
arch: arch
b2sum: echo x | b2sum
base32: echo text | base32 | base32 -d
base64: head -c 9 /dev/zero | base64
basename: basename /a/b.c .c
basenc: echo text | basenc --base16
cat: seq 3 >f; cat -n f - </dev/null
chcon: chcon --version | head -n 1
chgrp: : >f; chgrp "$(id -g)" f && stat -c %g f
chmod: : >f; chmod u=rwx,go=rx f; stat -c %a f; mkdir -p d/e; chmod -R 700 d; stat -c %a d/e
chown: : >f; chown "$(id -u):$(id -g)" f && stat -c %u:%g f
chroot: chroot --version | head -n 1
cksum: echo x | cksum; echo x | cksum -a sm3
comm: seq 4 >a; seq 3 6 >b; comm a b
cp: mkdir d; seq 9 >d/f; ln -s f d/l; ln d/f d/h; cp -a d e; ls -A e; readlink e/l; cp --reflink=auto --sparse=always d/f g; cmp d/f g; truncate -s 1M s; cp --preserve=all s t; stat -c %s t
csplit: seq 9 | csplit -s - 4 7; cat xx01
cut: echo a:b:c | cut -d: -f2-
date: date -u -d @86400 +%F; TZ=UTC date -r /proc/self/exe +%Z
dd: dd if=/dev/zero of=f bs=1k count=4 conv=fsync,notrunc oflag=nonblock status=none; dd if=f bs=4k count=1 status=none iflag=fullblock | wc -c; dd if=/dev/null of=f seek=1 status=none; stat -c %s f
df: df --output=fstype /proc | tail -n 1; df -i . >/dev/null && df -a >/dev/null
dir: : >f; dir
dircolors: dircolors -p | head -n 1
dirname: dirname /a/b/c
du: head -c 5000 /dev/zero >f; du -b --apparent-size f; mkdir d; du --inodes d
echo: echo -e 'a\tb'
env: env -i A=1 env; env -u HOME sh -c 'echo ${HOME-none}'; env --chdir=/usr pwd; env --ignore-signal=INT sh -c 'kill -INT $$; echo ignored'; env --block-signal=TERM sh -c 'kill $$; echo blocked'
expand: printf 'a\tb\n' | expand -t 4
expr: expr 6 \* 7; expr text : 'te'
factor: factor 360 18446744073709551557
false: false; echo $?
fmt: echo a b c d e f g | fmt -w 6
fold: echo abcdefgh | fold -w 3
groups: groups | grep -c .
head: seq 99 | head -n 3 | head -c 4
hostid: hostid | grep -cE '^[0-9a-f]{8}$'
id: id -u; id -g; id -un
install: seq 3 >f; install -D -m 640 -p f a/b/g; stat -c %a a/b/g; install -d x/y; ls -d x/y; cp /usr/bin/true t; install -s t u && ./u
join: printf '1 a\n2 b\n' >a; printf '1 x\n2 y\n' >b; join a b
link: : >a; link a b; stat -c %h a
ln: : >a; ln -s a b; ln -sfn /usr b; readlink b; ln -sr a c; ln -P a d; stat -c %h a
logname: logname 2>&1 | head -c 0
ls: mkdir d; seq 9 >f; ln -s f l; mkfifo p; ls -1FA; ls -lnd --time-style=+ f | cut -c1-10; ls -i f | wc -w; ls -Z f | wc -w; ls --color=always d | wc -c; ls -lR /proc/self/ns | wc -l | grep -c .
md5sum: echo x | md5sum | md5sum; echo x >f; md5sum f >s; md5sum -c s
md5sum.textutils: echo x | md5sum.textutils
mkdir: mkdir -p -m 711 a/b; stat -c %a a/b a
mkfifo: mkfifo -m 600 p; stat -c '%F %a' p
mknod: mknod p p && stat -c %F p
mktemp: f=$(mktemp -p . t.XXXX); stat -c %a "$f"; d=$(mktemp -d --tmpdir); rmdir "$d"
mv: seq 3 >a; mv a b; mkdir d; mv -t d b; ls d; mv -n d/b c; cp c /dev/shm/holm-of-coreutils-$$; mv /dev/shm/holm-of-coreutils-$$ e; cmp c e; mv --backup c e; ls; : >x; : >y; mv -v x y
nice: nice -n 5 nice; nice
nl: seq 3 | nl -ba
nohup: nohup sh -c 'echo on' 2>/dev/null </dev/null | cat; (nohup sleep 0 </dev/null >o 2>&1; cat o)
nproc: nproc; nproc --all | grep -c .
numfmt: numfmt --to=iec 1048576
od: printf '\1\2' | od -An -tx1; od -N4 -An -tu4 /dev/urandom | wc -w
paste: seq 4 | paste - -
pathchk: pathchk -p a/b; pathchk "$(printf %0300d 0)" 2>&1 | head -c 9
pinky: pinky >/dev/null; pinky -l root | head -n 1
pr: seq 4 | pr -2 -t -l 2
printenv: A=x printenv A
printf: printf '%q %5.2f %b\n' 'a b' 3.14159 'x\ty'
ptx: echo a b | ptx
pwd: cd /usr/bin; pwd; pwd -P
readlink: ln -s a b; readlink b; readlink -f /bin/../usr; readlink -e nowhere; readlink -m /x/../y
realpath: mkdir a; realpath --relative-to=a .; realpath -s /usr/../bin; realpath -e nowhere 2>&1
rm: mkdir -p a/b; : >a/b/f; chmod 400 a/b/f; rm -rf a; ls; : >f; rm -v f; rm nowhere 2>&1; mkdir d; rm d 2>&1; rm -d d; (cd /; rm -rf --one-file-system "$OLDPWD/x")
rmdir: mkdir -p a/b; rmdir -p a/b; ls; mkdir c; : >c/f; rmdir c 2>&1
runcon: runcon --version | head -n 1
seq: seq -s, 1 2 9; seq -w 8 10
sha1sum: echo x | sha1sum
sha224sum: echo x | sha224sum
sha256sum: echo x | sha256sum
sha384sum: echo x | sha384sum
sha512sum: echo x | sha512sum
shred: echo secret >f; shred -u f; ls; echo secret >g; shred -n 1 -z g; stat -c %s g
shuf: shuf -i 1-9 | sort | tr -d '\n'; shuf -i 1-9 --random-source=/dev/zero | head -n 2
sleep: sleep 0.01; sleep 0.001s 0
sort: seq 200000 | sort -R | sort -n -S 1M -T . --parallel=2 | sha1sum; seq 9 | sort -k1,1nr | head -n 1; seq 3 | sort -o f; sort -c f; sort -mu f f | wc -l; seq 5000 | sort --compress-program=gzip -S 20K -n | tail -n 1
split: seq 9 | split -l 4 - p; ls; seq 9 >f; split -n l/2 f q; split -b 4 --filter='wc -c' f
stat: : >f; chmod 604 f; stat -c '%a %F %s %h' f; stat -f -c %T /proc; stat -c %w . | wc -l; stat nowhere 2>&1
stdbuf: stdbuf -oL seq 2
stty: stty 2>&1 </dev/null | head -n 1
sum: echo x | sum
sync: : >f; sync f; sync -d f; sync -f .
tac: seq 3 | tac; seq 3 >f; tac f
tail: seq 9 >f; tail -n 2 f; tail -c +17 f; (sleep 0.2; echo more >>f) & tail -f --pid=$! -n 1 f; timeout 5 tail -F f 2>&1 | head -n 1
tee: echo x | tee a b; cat a b; seq 9 | tee -p >(cat >/dev/null) | tail -n 1
test: test -f /etc/passwd -a -x /bin/sh && test ! -t 0 && test -r . && test -w . && test -k /tmp && echo yes; test -S /nowhere; echo $?
timeout: timeout 0.05 sleep 9; echo $?; timeout -s INT 0.05 sleep 9; echo $?; timeout --foreground 5 true; echo $?; timeout 5 sh -c 'kill $$'; echo $?; timeout 0.05 sh -c 'trap "" TERM; sleep 0.2; exit 3'; echo $?
touch: touch -d 2001-02-03T04:05:06Z f; TZ=UTC stat -c %y f; touch -r f g; touch -h -c nowhere; touch -a -m -t 200001010000 g; ln -s g l; touch -h -d @1 l; stat -c %Y l g | head -n 1
tr: echo abc | tr a-c A-C
true: true && true --version | head -n 1
truncate: truncate -s 1G f; stat -c '%s %b' f; truncate -r f g; truncate -s -1M g; stat -c %s g; truncate -o -s 1 g
tsort: printf 'a b\nb c\n' | tsort
tty: tty </dev/null; echo $?
uname: uname -srmo
unexpand: printf '        a\n' | unexpand | od -c | head -n 1
uniq: printf 'a\na\nb\n' | uniq -c
unlink: : >f; unlink f; ls; unlink nowhere 2>&1
users: users >/dev/null
vdir: : >f; vdir | wc -l
wc: seq 9 | wc; wc -L </etc/passwd | grep -c .; seq 9 >f; wc --files0-from=- </dev/null 2>&1
who: who -b >/dev/null; who >/dev/null
whoami: whoami
yes: yes | head -n 2; timeout 0.05 yes >/dev/null; echo $?
