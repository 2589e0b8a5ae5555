package integration

import "testing"

// TestRedirect: what shells do with a file that several processes share.
func TestRedirect(t *testing.T) {
	runPrograms(t, []program{
		{
			name:   "output",
			script: `seq 1 2000000 > f; : > empty; echo one > over; echo two > over; cat "$SRC/big" > big`,
			check:  `seq 1 2000000 | cmp - f; [ -e empty ] && [ ! -s empty ]; is two "$(cat over)"; same "$SRC/big" big`,
		},
		{
			name:   "group",
			script: `(echo head; seq 1 300000; cat "$SRC/big"; echo tail) > f; { echo a; /bin/echo b; echo c; } > g`,
			check:  `(echo head; seq 1 300000; cat "$SRC/big"; echo tail) | cmp - f; is "a b c" "$(echo $(cat g))"`,
		},
		{
			name: "exec 5",
			script: `
exec 5> f
echo one >&5; bash -c 'echo two' >&5; /bin/true; seq 1 400000 >&5; (echo three; echo four) >&5; cat "$SRC/big" >&5
exec 5>&-`,
			check: `(echo one; echo two; seq 1 400000; echo three; echo four; cat "$SRC/big") | cmp - f`,
		},
		{
			name: "exec log",
			script: `
( exec > log 2>&1
  for i in $(seq 1 20); do echo "line $i"; /bin/echo "child $i"; ls / > /dev/null; done; ls /nowhere || true; echo done )
is 42 "$(wc -l < log)"`,
			check: `is 42 "$(wc -l < log)"; is done "$(tail -n 1 log)"; is "line 1 child 1" "$(echo $(head -n 2 log))"`,
		},
		{
			name: "append",
			script: `
for i in $(seq 1 10); do echo $i >> small; done
cp "$SRC/big" big; echo tail >> big; seq 1 1000 >> big; cat "$SRC/page" >> big
exec 5>> both; exec 6>> both; echo a >&5; echo b >&6; echo c >&5; exec 5>&- 6>&-`,
			check: `
is "$(seq 1 10)" "$(cat small)"; is "a b c" "$(echo $(cat both))"
(cat "$SRC/big"; echo tail; seq 1 1000; cat "$SRC/page") | cmp - big`,
		},
		{
			// The upload begins long before the last write.
			name:   "slow writer",
			script: `(cat "$SRC/big"; sleep 4; cat "$SRC/big") > f; stat -c %Y f > "$T/mtime"`,
			check: `
cat "$SRC/big" "$SRC/big" | cmp - f; d=$(($(stat -c %Y f) - $(cat "$T/mtime")))
[ "${d#-}" -le 1 ] || fail "the time of f is $d s off what the writer's mount showed"`,
		},
		{
			name: "noclobber",
			script: `
set -C; echo first > f; errs eval 'echo second > f'; is first "$(cat f)"; echo third >| f
errs eval 'echo x > nowhere/f'`,
			check: `is third "$(cat f)"; is f "$(echo *)"`,
		},
		{
			name: "read and write",
			script: `
cp "$SRC/big" f; exec 5<> f; printf XXXX >&5; read -r -n 1 -u 5 _ || true; exec 5>&-
printf patch | dd of=f conv=notrunc oflag=seek_bytes seek=9000000 status=none
tee a b c < "$SRC/big" > d`,
			check: `
cp "$SRC/big" "$T/f"; printf XXXX | dd of="$T/f" conv=notrunc status=none
printf patch | dd of="$T/f" conv=notrunc oflag=seek_bytes seek=9000000 status=none
same "$T/f" f; same "$SRC/big" a b c d`,
		},
		{
			name:  "flock",
			needs: []string{"flock"},
			script: `
echo 0 > count
for w in 1 2 3 4; do
  ( for i in 1 2 3 4 5; do ( flock 9; n=$(cat count); echo $((n + 1)) > count ) 9> lock; done ) &
  workers="${workers:-} $!"
done
for w in $workers; do wait $w; done
is 20 "$(cat count)"
exec 7> held; flock 7; errs flock -n held true; exec 7>&-; flock -n held true`,
			check: `is 20 "$(cat count)"`,
		},
		{
			name: "dd",
			script: `
dd if="$SRC/big" of=fsync bs=64k conv=fsync status=none
dd if="$SRC/big" of=fdatasync bs=4k conv=fdatasync status=none
head -c 640k "$SRC/big" > "$T/some"; dd if="$T/some" of=sync bs=64k oflag=sync status=none
head -c 10M "$SRC/big" > "$T/even"; dd if="$T/even" of=direct bs=1M oflag=direct status=none
dd if=direct of="$T/back" bs=1M iflag=direct status=none; same "$T/even" "$T/back"
split -b 5M "$SRC/big" piece.`,
			check: `
same "$SRC/big" fsync fdatasync; same "$T/some" sync; same "$T/even" direct; cat piece.* | cmp - "$SRC/big"`,
		},
		{
			name: "truncate",
			script: `
cp "$SRC/big" cut; truncate -s 9000000 cut; cp "$SRC/big" short; truncate -s 100 short
cp "$SRC/page" grow; truncate -s 20M grow; truncate -s 1M new; cp "$SRC/big" none; truncate -s 0 none
cp "$SRC/page" there; truncate -s 0 there; truncate -s 4096 there
cp "$SRC/big" back; truncate -s 5 back; truncate -s 20000000 back; printf end >> back`,
			check: `
head -c 9000000 "$SRC/big" | cmp - cut; head -c 100 "$SRC/big" | cmp - short
(cat "$SRC/page"; head -c $((20*1024*1024-4096)) /dev/zero) | cmp - grow; head -c 1M /dev/zero | cmp - new
[ ! -s none ]; head -c 4096 /dev/zero | cmp - there
(head -c 5 "$SRC/big"; head -c 19999995 /dev/zero; printf end) | cmp - back`,
		},
		{
			name:  "fallocate",
			needs: []string{"fallocate"},
			script: `
fallocate -l 1M new; cp "$SRC/page" grow; fallocate -l 10M grow; cp "$SRC/page" keep; fallocate -n -l 1M keep
# A hole is a hole, or the program is told that there are none.
cp "$SRC/big" punch; cp "$SRC/big" "$T/punch"
if fallocate -p -o 8192 -l 1000000 punch 2> "$T/said"; then fallocate -p -o 8192 -l 1000000 "$T/punch"; else grep -q unsupported "$T/said"; fi
fallocate -l 2M filled; dd if="$SRC/page" of=filled conv=notrunc status=none`,
			check: `
head -c 1M /dev/zero | cmp - new; (cat "$SRC/page"; head -c $((10*1024*1024-4096)) /dev/zero) | cmp - grow
same "$SRC/page" keep
same "$T/punch" punch
(cat "$SRC/page"; head -c $((2*1024*1024-4096)) /dev/zero) | cmp - filled`,
		},
	})
}
