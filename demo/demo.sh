#!/usr/bin/env bash
# demo.sh PAILFS: back a real tree up into a bucket through a mount, and restore
# it. The bucket is a directory, so that it needs no account and no server.
set -euo pipefail

pailfs=$(realpath "$1")
cd "$(dirname "$0")/.."

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
show() { printf '  $ %s\n' "$*"; }
fail() { printf 'demo: %s\n' "$*" >&2; exit 1; }
digest() { sha256sum | cut -d' ' -f1; }

if ! command -v fusermount3 >/dev/null; then
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		say "Installing fuse3"
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends fuse3 >/dev/null
	elif [ "$(id -u)" != 0 ]; then
		fail "fusermount3 is missing: install the package fuse3"
	fi
fi
if [ ! -e /dev/fuse ] && [ "$(id -u)" = 0 ]; then
	modprobe fuse 2>/dev/null || mknod -m 666 /dev/fuse c 10 229 2>/dev/null || true
fi
[ -e /dev/fuse ] || fail "no /dev/fuse: load the module (modprobe fuse), or start the container with --device /dev/fuse --cap-add SYS_ADMIN"

work=$(mktemp -d "${TMPDIR:-/tmp}/pailfs-demo.XXXXXX")
bucket=$work/bucket mnt=$work/mnt restored=$work/restored
mkdir "$bucket" "$mnt" "$restored"
export PAILFS_RUN_DIR=$work/run PAILFS_STATE_DIR=$work/state

finish() {
	code=$?
	trap - EXIT
	cd /
	if mountpoint -q "$mnt" 2>/dev/null || grep -qs " $mnt fuse" /proc/self/mountinfo; then
		"$pailfs" umount --lazy "$mnt" || umount -l "$mnt" || fusermount3 -uz "$mnt" || true
	fi
	if [ $code -ne 0 ]; then
		cat "$work"/state/*.log >&2 2>/dev/null || true
		echo "demo: failed, exit code $code; nothing is left mounted" >&2
	fi
	rm -rf --one-file-system "$work"
	exit $code
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say "1. Mount a bucket (here: a directory)"
show "pailfs mount file://$bucket $mnt"
"$pailfs" mount "file://$bucket" "$mnt"
grep " $mnt fuse" /proc/self/mounts | sed 's/^/  /' | cut -c1-110

tree=$(go env GOROOT 2>/dev/null)/src/cmd/compile
[ -d "$tree" ] || tree=$PWD
files=$(find "$tree" -type f | wc -l)
say "2. Back up a real tree: $tree, $files files"
show "tar -C $tree -cf $mnt/backups/tree.tar ."
mkdir "$mnt/backups"
tar -C "$tree" -cf "$mnt/backups/tree.tar" .
want=$(tar -C "$tree" -cf - . | digest)
ls -l "$mnt/backups" | sed 's/^/  /'
small=$tree/internal/types2
[ -d "$small" ] || small=$PWD/mountopts
show "cp -r $small $mnt/source"
cp -r "$small" "$mnt/source"

database=""
if command -v pg_dump >/dev/null && database=$(psql -XAtqc 'select current_database()' 2>/dev/null || psql -XAtq -d postgres -c 'select current_database()' 2>/dev/null); then
	say "3. Dump the PostgreSQL database $database"
	show "pg_dump -Fc -f $mnt/backups/$database.dump $database"
	pg_dump -Fc -f "$mnt/backups/$database.dump" -d "$database"
	show "pg_dump $database | gzip > $mnt/backups/$database.sql.gz"
	pg_dump -d "$database" | gzip >"$mnt/backups/$database.sql.gz"
else
	say "3. No PostgreSQL server answers here: pg_dump is left out"
fi

say "4. What is in the bucket: one plain object for each file, as any other tool reads it"
show "find $bucket -type f"
objects=$(find "$bucket" -type f -not -path '*/.pailfs*' | wc -l)
find "$bucket" -type f -not -path '*/.pailfs*' -printf '  %10s  %P\n' | sort -k2 | head -8
echo "  ... $objects objects"
[ "$(digest <"$bucket/backups/tree.tar")" = "$want" ] || fail "the object differs from what tar wrote"

say "5. Unmount: returns when everything is committed; then mount again, read-only, and restore"
show "pailfs umount $mnt"
"$pailfs" umount "$mnt"
show "pailfs mount -o ro file://$bucket $mnt"
"$pailfs" mount -o ro "file://$bucket" "$mnt"
show "tar -C $restored -xf $mnt/backups/tree.tar"
tar -C "$restored" -xf "$mnt/backups/tree.tar"

say "6. Compare"
sums() { (cd "$1" && find . -type f -print0 | sort -z | xargs -0 sha256sum | digest); }
a=$(sums "$tree") b=$(sums "$restored")
echo "  original $a"
echo "  restored $b"
[ "$a" = "$b" ] || fail "the restored tree differs"
diff -r "$small" "$mnt/source" >/dev/null || fail "the copied files differ"
if [ -n "$database" ]; then
	entries=$(pg_restore -l "$mnt/backups/$database.dump" | grep -vc '^;' || true)
	gzip -t "$mnt/backups/$database.sql.gz"
	echo "  dump of $database: readable, $entries entries"
fi
"$pailfs" umount "$mnt"
echo "  the same, byte for byte"

cat <<EOT

Next, the same on S3. Credentials come from where the aws command takes them:
  $pailfs mount s3://BUCKET/backups /mnt/backups
  pg_dump -Fc -f /mnt/backups/db.dump DATABASE
  $pailfs umount /mnt/backups
and on a server of your own:
  $pailfs mount 's3://BUCKET?endpoint=https://minio.example:9000&path-style=true' /mnt/backups
EOT
