package integration

import "testing"

// TestBackupProgram: the programs that keep a repository of their own.
func TestBackupProgram(t *testing.T) {
	runPrograms(t, []program{
		{
			name:  "restic",
			needs: []string{"restic"},
			env:   fixedEnv("RESTIC_PASSWORD=secret", "RESTIC_REPOSITORY=repo", "RESTIC_PROGRESS_FPS=0"),
			script: `
cp -a "$SRC" "$T/tree"; restic --no-cache -q init; restic --no-cache -q backup "$T/tree"
rm "$T/tree/big"; cp "$SRC/page" "$T/tree/fresh"; restic --no-cache -q backup "$T/tree"
restic --no-cache -q forget --keep-last 1 --prune; restic --no-cache -q check --read-data`,
			check: `
restic --no-cache -q check --read-data; restic --no-cache -q restore latest --target "$T/out"
diff -r --no-dereference "$T/tree" "$T/out$T/tree"; is "" "$(find repo/locks -type f)" "locks left"`,
		},
		{
			name:  "borg",
			heavy: true,
			needs: []string{"borg"},
			env:   fixedEnv("BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes", "BORG_RELOCATED_REPO_ACCESS_IS_OK=yes"),
			script: `
cp -a "$SRC" "$T/tree"; borg init -e none repo; (repo=$PWD/repo; cd "$T"; borg create "$repo::one" tree)
rm "$T/tree/big"; cp "$SRC/page" "$T/tree/fresh"; (repo=$PWD/repo; cd "$T"; borg create "$repo::two" tree)
borg prune --keep-last 1 repo; borg compact repo; borg check --verify-data repo`,
			check: `
borg check --verify-data repo; is two "$(borg list --short repo)"
(repo=$PWD/repo; mkdir "$T/out"; cd "$T/out"; borg extract "$repo::two"); diff -r --no-dereference "$T/tree" "$T/out/tree"
[ ! -e repo/lock.exclusive ]`,
		},
		{
			name:  "rsnapshot",
			needs: []string{"rsnapshot", "rsync"},
			flags: []string{"--hard-links=copy"},
			script: `
cp -a "$SRC" "$T/tree"
printf 'config_version\t1.2\nsnapshot_root\t%s/\nno_create_root\t1\ncmd_rsync\t/usr/bin/rsync\ncmd_cp\t/bin/cp\ncmd_rm\t/bin/rm\nlockfile\t%s/lock\nretain\talpha\t3\nbackup\t%s/tree/\there/\n' \
  "$PWD" "$T" "$T" > "$T/conf"
for i in 1 2 3 4; do echo $i > "$T/tree/one"; touch -d "$i days ago" "$T/tree/one"; rsnapshot -c "$T/conf" alpha; done`,
			check: `
is "alpha.0 alpha.1 alpha.2" "$(echo *)"
for n in 0 1 2; do
  is $((4 - n)) "$(cat "alpha.$n/here$T/tree/one")"
  echo $((4 - n)) > "$T/tree/one"; diff -r --no-dereference "$T/tree" "alpha.$n/here$T/tree"
done`,
		},
		{
			name:   "cp -al",
			flags:  []string{"--hard-links=copy"},
			script: `cp -a "$SRC" one; cp -al one two`,
			check:  `diff -r --no-dereference "$SRC" two`,
		},
	})
}

func fixedEnv(env ...string) func(testing.TB) []string {
	return func(testing.TB) []string { return env }
}
