package integration

import "testing"

// TestSQLite: backups of a database into the mount, and databases that live there.
func TestSQLite(t *testing.T) {
	const fill = `
fill() { sqlite3 -bail -batch "$1" "CREATE TABLE t (id INTEGER PRIMARY KEY, x BLOB); CREATE INDEX i ON t (x);
  WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) INSERT INTO t SELECT i, randomblob(200) FROM n;"; }
`
	const rows = `
rows() { sqlite3 -bail "$1" 'SELECT id, hex(x) FROM t ORDER BY id' | sha256sum; }
ok() { is ok "$(sqlite3 -bail "$1" 'PRAGMA integrity_check')" "integrity of $1"; }
`
	// live runs two writers at once on one database in the given journal mode.
	live := func(mode string) string {
		return `
sqlite3 -bail live.db "PRAGMA journal_mode=` + mode + `; CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT)" > /dev/null
for w in 1 2; do
  ( for i in $(seq 1 15); do sqlite3 -bail -cmd '.timeout 60000' live.db "INSERT INTO t (x) VALUES ('$w $i')"; done ) & workers="${workers:-} $!"
done
for w in $workers; do wait $w; done
sqlite3 -bail live.db "BEGIN; DELETE FROM t; ROLLBACK; UPDATE t SET x = x || '!'; VACUUM"`
	}
	const lived = rows + `
ok live.db; is 30 "$(sqlite3 live.db "SELECT count(*) FROM t WHERE x LIKE '%!'")"
is 30 "$(sqlite3 live.db 'SELECT count(DISTINCT x) FROM t')"`

	cases := []program{
		{
			name: "backup",
			script: fill + rows + `
fill "$T/a.db"; sqlite3 -bail "$T/a.db" '.backup b.db' "VACUUM INTO 'v.db'"; sqlite3 "$T/a.db" .dump > dump.sql
rows "$T/a.db" > "$T/want"; ok b.db`,
			check: rows + `
for f in b.db v.db; do ok $f; rows $f | cmp - "$T/want"; done; sqlite3 "$T/c.db" < dump.sql; rows "$T/c.db" | cmp - "$T/want"
is "b.db dump.sql v.db" "$(echo $(ls -A))"`,
		},
		{name: "backup over the last", heavy: true, script: fill + rows + `
fill "$T/a.db"; sqlite3 "$T/a.db" '.backup b.db'; sqlite3 "$T/a.db" 'DELETE FROM t WHERE id % 3 = 0'; sqlite3 "$T/a.db" '.backup b.db'
rows "$T/a.db" > "$T/want"`, check: rows + `ok b.db; rows b.db | cmp - "$T/want"`},
		{name: "live", heavy: true, script: live("delete"), check: lived + `; is live.db "$(echo *)"`},
		{name: "live wal", heavy: true, script: live("wal"), check: lived},
		{name: "live truncate", script: live("truncate"), check: lived},
	}
	for i := range cases {
		cases[i].needs = []string{"sqlite3"}
	}
	runPrograms(t, cases)
}
