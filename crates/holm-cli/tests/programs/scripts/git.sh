# The life of a repository.
set -e
export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
export GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z' GIT_PAGER=cat
git init -q -b main one && cd one
for n in $(seq 40); do seq "$n" >"file$n"; done; ln -s file1 link; printf '#!/bin/sh\n' >run; chmod 755 run
git add . && git commit -qm first && git ls-files -s | sha1sum
git checkout -qb side && echo side >>file1 && git commit -qam side
git checkout -q main && echo main >>file2 && git commit -qam main && git merge -q --no-edit side && git rev-parse HEAD
git stash list; echo dirty >>file3; git stash -q; git status --short; git stash pop -q; git diff --stat; git checkout -q .
git rebase -q side~1 && git log --oneline --graph | cat
git tag -a v1 -m v1 && git describe && git gc -q && git fsck --no-progress && git count-objects | cut -d, -f1
git worktree add -q ../tree side && ls ../tree | wc -l && git worktree remove ../tree && git worktree prune
cd .. && git clone -q one local && git clone -q --bare "file://$PWD/one" bare && git -C bare rev-parse main
git clone -q --depth 1 "file://$PWD/one" shallow && git -C shallow rev-list --count HEAD
cd local && echo more >more && git add more && git commit -qm more && git push -q ../bare main:pushed && git -C ../bare log --oneline pushed -1
git archive HEAD | tar t | wc -l && git bundle create -q ../all.bundle --all && git bundle verify -q ../all.bundle
git submodule--helper 2>/dev/null || true
git daemon --reuseaddr --listen=127.0.0.1 --port=19418 --base-path=.. --export-all ../bare 2>/dev/null & daemon=$!
for try in $(seq 200); do git ls-remote git://127.0.0.1:19418/bare >/dev/null 2>&1 && break; sleep 0.05; done
git ls-remote git://127.0.0.1:19418/bare main; kill "$daemon"
git grep -c main -- file2; git blame -s file2 | tail -n 1; git bisect start -q HEAD HEAD~1 >/dev/null; git bisect reset 2>/dev/null; echo done
