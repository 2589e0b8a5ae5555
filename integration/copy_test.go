package integration

import "testing"

// TestCopy: cp, mv and install, into, within and over.
func TestCopy(t *testing.T) {
	runPrograms(t, []program{
		{
			name:   "cp new",
			script: `cp "$SRC/big" big; cp "$SRC/empty" "$SRC/page+1" .; mkdir d; cp "$SRC/one" d/`,
			check:  `same "$SRC/big" big; same "$SRC/empty" empty; same "$SRC/page+1" page+1; same "$SRC/one" d/one`,
		},
		{
			name: "cp over",
			script: `
cp "$SRC/big" shrinks; cp "$SRC/page" shrinks; same "$SRC/page" shrinks
cp "$SRC/page" grows; cp "$SRC/big" grows; same "$SRC/big" grows
cp "$SRC/big" empties; cp "$SRC/empty" empties
for i in 1 2 3 4 5; do head -c $((i * 1000)) "$SRC/big" > "$T/v"; cp "$T/v" often; same "$T/v" often; done`,
			check: `same "$SRC/page" shrinks; same "$SRC/big" grows; same "$SRC/empty" empties; same "$T/v" often`,
		},
		{
			name:   "cp -a",
			needs:  []string{"rsync"},
			script: `cp -a "$SRC" tree; cp -p "$SRC/readonly" again; cp -p "$SRC/big" big`,
			check: `
diff -r --no-dereference "$SRC" tree
is "" "$(rsync -anci --delete "$SRC/" tree/)" "what rsync would change"
for f in readonly:again big:big; do
  is "$(stat -c '%a %u %g %s %Y' "$SRC/${f%:*}")" "$(stat -c '%a %u %g %s %Y' "${f#*:}")" "attributes of $f"
done`,
		},
		{
			name: "cp sparse",
			script: `
truncate -s 20M "$T/s"; printf head | dd of="$T/s" conv=notrunc status=none
printf middle | dd of="$T/s" conv=notrunc oflag=seek_bytes seek=10485760 status=none
cp --sparse=always "$T/s" always; cp --sparse=auto "$T/s" auto; cp --sparse=never "$T/s" never
truncate -s 12M "$T/h"; printf tail | dd of="$T/h" conv=notrunc oflag=seek_bytes seek=12582908 status=none
cp --sparse=always "$T/h" hole-first`,
			check: `same "$T/s" always auto never; same "$T/h" hole-first`,
		},
		{
			name: "cp within",
			script: `
cp "$SRC/big" a; cp a b; cp --reflink=auto -p a c; mkdir d; cp a d/; cp "$SRC/page" e; cp a e
same "$SRC/big" a b c d/a e`,
			check: `same "$SRC/big" a b c d/a e`,
		},
		{
			name: "mv into",
			script: `
cp -a "$SRC" "$T/tree"; mkdir keep; mv "$T/tree" keep/; [ ! -e "$T/tree" ]
cp "$SRC/big" "$T/big"; mv "$T/big" .; [ ! -e "$T/big" ]`,
			check: `diff -r --no-dereference "$SRC" keep/tree; same "$SRC/big" big`,
		},
		{
			name: "mv within",
			script: `
mkdir d; cp "$SRC/big" a; mv a b; mv b d/c; [ ! -e a ] && [ ! -e b ]
cp "$SRC/page" old; cp "$SRC/page+1" new; mv new old; [ ! -e new ]
cp "$SRC/one" x; cp "$SRC/page" y; mv -n x y || true; same "$SRC/one" x; same "$SRC/page" y
ln -s d/c l; mv l m
exec 5< d/c; mv d/c d/e; cmp - "$SRC/big" <&5`,
			check: `
same "$SRC/big" d/e m || same "$SRC/big" d/e
same "$SRC/page+1" old; same "$SRC/one" x; same "$SRC/page" y; is d/c "$(readlink m)"
is "d m old x y" "$(echo *)"; is "e" "$(cd d && echo *)"`,
		},
		{
			name: "mv directory",
			script: `
cp -a "$SRC" one; mkdir -p in/side; mv one two; mv two in/side/three
[ ! -e one ] && [ ! -e two ]
mkdir empty; mv -T in/side/three empty; mkdir full; touch full/f
errs mv -T empty full; diff -r --no-dereference "$SRC" empty
errs mv empty empty/deep`,
			check: `diff -r --no-dereference "$SRC" empty; is "" "$(ls -A in/side)"; is f "$(ls full)"; is "empty full in" "$(echo *)"`,
		},
		{
			name: "install",
			script: `
install -m 0640 -o nobody -g nogroup "$SRC/bin/tool" tool; install -d -m 0711 d; install -t d "$SRC/page"
install -m 0600 "$SRC/page" tool2; install -m 0755 -b "$SRC/one" tool2`,
			check: `
is "640 nobody nogroup" "$(stat -c '%a %U %G' tool)"; same "$SRC/bin/tool" tool
is 711 "$(stat -c %a d)"; is 755 "$(stat -c %a d/page)"; same "$SRC/one" tool2; same "$SRC/page" tool2~`,
		},
		{
			name: "attributes",
			script: `
cp "$SRC/page" f; chmod 2750 f; chown nobody:nogroup f; touch -d '2001-02-03 04:05:06 UTC' f
mkdir d; chmod 1777 d; chown nobody d
cp "$SRC/big" g; chmod 600 g; touch -r "$SRC/page" g
( exec > h; printf early; touch -d '2003-01-01 UTC' h; chmod 711 h )`,
			check: `
is "nobody nogroup 981173106" "$(stat -c '%U %G %Y' f)"; same "$SRC/page" f
case "$(stat -c %a f)" in 2750|750) ;; *) fail "mode $(stat -c %a f)";; esac
is "1777 nobody" "$(stat -c '%a %U' d)"
is "600 $(stat -c %Y "$SRC/page")" "$(stat -c '%a %Y' g)"; same "$SRC/big" g
is early "$(cat h)"; is "711 1041379200" "$(stat -c '%a %Y' h)"`,
		},
		{
			name:  "xattr",
			needs: []string{"setfattr", "getfattr"},
			script: `
cp "$SRC/page" f; setfattr -n user.comment -v 'nightly dump' f; setfattr -n user.gone -v x f; setfattr -x user.gone f
setfattr -n user.comment -v changed f; is changed "$(getfattr --only-values -n user.comment f)"
errs getfattr -n user.gone f`,
			check: `is changed "$(getfattr --only-values -n user.comment f)"; errs getfattr -n user.gone f; same "$SRC/page" f`,
		},
		{
			name: "unlink",
			script: `
cp "$SRC/big" f; exec 5< f; rm f; [ ! -e f ]; cmp - "$SRC/big" <&5; exec 5<&-
exec 6> g; echo one >&6; rm g; echo two >&6; exec 6>&-; [ ! -e g ]
mkdir -p d/e; touch d/e/f; errs rmdir d; rm -r d; [ ! -e d ]
mkdir k; touch k/f; rm k/f; [ -d k ]; mkdir gone; rmdir gone`,
			check: `is k "$(echo *)"; is "" "$(ls -A k)"`,
		},
	})
}
