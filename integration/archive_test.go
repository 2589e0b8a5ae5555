package integration

import "testing"

// TestRsync: rsync in the ways backups use it.
func TestRsync(t *testing.T) {
	needs := []string{"rsync"}
	runPrograms(t, []program{
		{
			name:  "twice",
			needs: needs,
			script: `
rsync -a "$SRC/" tree/
is "" "$(rsync -ai --delete "$SRC/" tree/)" "what the second run did"
rsync -a --stats "$SRC/" tree/ | grep -q 'Number of regular files transferred: 0$'`,
			check: `
diff -r --no-dereference "$SRC" tree
is "" "$(rsync -ai --delete "$SRC/" tree/)" "what a run through another mount did"`,
		},
		{
			name:  "update",
			needs: needs,
			script: `
cp -a "$SRC" "$T/tree"; rsync -a "$T/tree/" tree/
echo changed >> "$T/tree/page"; rm "$T/tree/one"; cp "$SRC/page" "$T/tree/fresh"; printf X | dd of="$T/tree/big" conv=notrunc status=none
rsync -a --delete "$T/tree/" tree/`,
			check: `diff -r --no-dereference "$T/tree" tree; is "" "$(rsync -ai --delete "$T/tree/" tree/)"`,
		},
		{
			name:  "inplace",
			needs: needs,
			script: `
cp "$SRC/big" "$T/f"; rsync -a --inplace "$T/f" .
printf patched | dd of="$T/f" conv=notrunc oflag=seek_bytes seek=9000000 status=none; touch -d tomorrow "$T/f"
rsync -a --inplace --no-whole-file "$T/f" .; same "$T/f" f
truncate -s 10000000 "$T/f"; rsync -a --inplace --no-whole-file "$T/f" .`,
			check: `same "$T/f" f; is "" "$(rsync -ai "$T/f" .)"`,
		},
		{
			name:  "append",
			needs: needs,
			script: `
head -c 10M "$SRC/big" > "$T/f"; rsync -a "$T/f" .; cp "$SRC/big" "$T/f"; rsync -a --append "$T/f" .
head -c 1M "$SRC/big" > "$T/g"; rsync -a "$T/g" .; head -c 2M "$SRC/big" > "$T/g"; rsync -a --append-verify "$T/g" .`,
			check: `same "$T/f" f; same "$T/g" g`,
		},
		{
			name:  "sparse and preallocate",
			needs: needs,
			script: `
truncate -s 20M "$T/s"; printf x | dd of="$T/s" conv=notrunc oflag=seek_bytes seek=15000000 status=none
rsync -aS "$T/s" .; rsync -a --preallocate "$SRC/big" .; rsync -a --fsync "$SRC/page" .`,
			check: `same "$T/s" s; same "$SRC/big" big; same "$SRC/page" page`,
		},
		{
			// Without hard links rsync copies instead, and says nothing.
			name:   "link-dest",
			needs:  needs,
			script: `rsync -a "$SRC/" day1/; rsync -a --link-dest=../day1 "$SRC/" day2/`,
			check:  `diff -r --no-dereference "$SRC" day1; diff -r --no-dereference "$SRC" day2; is "" "$(rsync -ani "$SRC/" day2/)"`,
		},
	})
}

// TestArchive: tar, gzip, zip.
func TestArchive(t *testing.T) {
	runPrograms(t, []program{
		{
			name:   "tar create",
			script: `tar -cf a.tar -C "$SRC" .; tar -cf - -C "$SRC" . | cat > b.tar; tar -dC "$SRC" -f a.tar`,
			check: `
mkdir "$T/a" "$T/b"; tar -xpf a.tar -C "$T/a"; tar -xpf - -C "$T/b" < b.tar
diff -r --no-dereference "$SRC" "$T/a"; diff -r --no-dereference "$SRC" "$T/b"; tar -dC "$SRC" -f a.tar`,
		},
		{
			name:   "tar compressed",
			heavy:  true,
			script: `tar -czf a.tar.gz -C "$SRC" .; tar -c -C "$SRC" . | gzip -1 > b.tar.gz`,
			check:  `gzip -t a.tar.gz b.tar.gz; tar -dzC "$SRC" -f a.tar.gz; tar -dzC "$SRC" -f b.tar.gz`,
		},
		{
			name: "tar append",
			script: `
tar -cf a.tar -C "$SRC" big page; tar -rf a.tar -C "$SRC" bin readonly; tar -rf a.tar -C "$SRC" link one
is "big page bin/ bin/tool readonly link one" "$(echo $(tar -tf a.tar))"`,
			check: `tar -dC "$SRC" -f a.tar; is "big page bin/ bin/tool readonly link one" "$(echo $(tar -tf a.tar))"`,
		},
		{
			name:   "tar extract",
			script: `tar -cf "$T/a.tar" -C "$SRC" .; mkdir x; tar -xpf "$T/a.tar" -C x; tar -dC x -f "$T/a.tar"`,
			check:  `diff -r --no-dereference "$SRC" x; tar -dC x -f "$T/a.tar"`,
		},
		{
			name:  "gzip",
			heavy: true,
			script: `
cp -p "$SRC/big" f; gzip f; [ ! -e f ]; is "$(stat -c %Y "$SRC/big")" "$(stat -c %Y f.gz)" "time of f.gz"
cp "$SRC/page" g; gzip -k g; gzip -dc f.gz > back; gzip < "$SRC/big" > piped.gz
cp "$SRC/page" h; gzip h; gunzip h.gz`,
			check: `gzip -dc f.gz | cmp - "$SRC/big"; same "$SRC/big" back; gzip -dc piped.gz | cmp - "$SRC/big"; same "$SRC/page" g h; gzip -t g.gz`,
		},
		{
			name:   "zip",
			needs:  []string{"zip", "unzip"},
			script: `here=$PWD; (cd "$SRC"; zip -qry "$here/a.zip" .); (cd "$SRC"; zip -q "$here/b.zip" page); (cd "$SRC"; zip -q "$here/b.zip" big one)`,
			check: `
unzip -qt a.zip; mkdir "$T/x"; (here=$PWD; cd "$T/x"; unzip -q "$here/a.zip"); diff -r --no-dereference "$SRC" "$T/x"
unzip -p b.zip big | cmp - "$SRC/big"; unzip -p b.zip page | cmp - "$SRC/page"`,
		},
		{
			name:  "python zipfile and tarfile",
			heavy: true,
			needs: []string{"/usr/bin/python3"},
			script: `
/usr/bin/python3 -m zipfile -c a.zip "$SRC/big" "$SRC/page"; /usr/bin/python3 -m tarfile -c a.tar.gz "$SRC/big" "$SRC/deep"`,
			check: `/usr/bin/python3 -m zipfile -t a.zip; unzip -p a.zip big | cmp - "$SRC/big"; tar -tzf a.tar.gz > /dev/null`,
		},
	})
}
