package integration

import "testing"

// TestEditor: programs that change files in place or by rename.
func TestEditor(t *testing.T) {
	runPrograms(t, []program{
		{
			name:  "vim",
			needs: []string{"vim"},
			script: `
seq 1 5000 > f; chmod 640 f
vim -u NONE -N -es -c 'set swapfile' -c '%s/^4999$/changed/' -c 'wq' f < /dev/null
vim -u NONE -N -es -c 'set backup backupskip= backupcopy=no' -c '1d' -c 'wq' f < /dev/null
vim -u NONE -N -es -c 'set backupcopy=yes' -c '1d' -c 'wq' f < /dev/null
vim -u NONE -N -es -c 'call setline(1, "new file")' -c 'wq' g < /dev/null`,
			check: `
(seq 3 4998; echo changed; echo 5000) | cmp - f; is 640 "$(stat -c %a f)"; (seq 1 4998; echo changed; echo 5000) | cmp - f~
is "new file" "$(cat g)"; is "f f~ g" "$(ls -A | tr '\n' ' ' | sed 's/ $//')"`,
		},
		{
			name: "sed -i",
			script: `
seq 1 100000 > f; chmod 750 f; chown nobody f; sed -i 's/^50000$/changed/' f; sed -i.bak '1d' f`,
			check: `
(seq 2 49999; echo changed; seq 50001 100000) | cmp - f; is "750 nobody" "$(stat -c '%a %U' f)"
(seq 1 49999; echo changed; seq 50001 100000) | cmp - f.bak; is "f f.bak" "$(echo *)"`,
		},
		{
			name:  "logrotate",
			needs: []string{"logrotate"},
			script: `
printf '%s {\n rotate 3\n compress\n create 0640 nobody nogroup\n missingok\n}\n' "$PWD/app.log" > "$T/conf"
printf '%s {\n rotate 3\n copytruncate\n}\n' "$PWD/open.log" >> "$T/conf"
chmod 644 "$T/conf"; chmod 755 .
exec 7>> open.log
for day in 1 2 3; do
  seq 1 ${day}0000 > app.log; echo "day $day" >&7
  logrotate -f -s "$T/state" "$T/conf"
done
echo after >&7; exec 7>&-
seq 1 7 > app.log`,
			check: `
is "app.log app.log.1.gz app.log.2.gz app.log.3.gz open.log open.log.1 open.log.2 open.log.3" "$(echo *)"
for n in 1 2 3; do gzip -dc app.log.$n.gz | cmp - <(seq 1 $((4 - n))0000); is "day $((4 - n))" "$(cat open.log.$n)"; done
is after "$(cat open.log)"; seq 1 7 | cmp - app.log; is "640 nobody" "$(stat -c '%a %U' app.log)"`,
		},
		{
			name:  "git",
			needs: []string{"git"},
			script: `
git init -q -b main "$T/origin"; cp -a "$SRC/." "$T/origin/"; git -C "$T/origin" add -A; git -C "$T/origin" commit -qm one
for i in 1 2 3; do echo $i > "$T/origin/page"; git -C "$T/origin" commit -qam "change $i"; done
git clone -q --no-local "$T/origin" work; cd work
git fsck --full --strict; echo more > more; git add more; git commit -qm more; git gc -q; is "" "$(git status --porcelain)"
git clone -q --bare --no-hardlinks "$T/origin" ../bare.git; git push -q ../bare.git HEAD:refs/heads/other`,
			check: `
git -C work fsck --full --strict; git -C bare.git fsck --full --strict; is "" "$(git -C work status --porcelain)"
is 5 "$(git -C work rev-list --count HEAD)"; is "$(git -C work rev-parse HEAD)" "$(git -C bare.git rev-parse other)"`,
		},
	})
}
