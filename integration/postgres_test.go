package integration

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

// postgresEnv starts the PostgreSQL server of this run, with a database shop to
// back up, and returns the environment of its clients. $ROWS is a file with all
// that a restored database must hold.
func postgresEnv(t testing.TB) []string {
	t.Helper()
	env, err := postgres(t)
	if err != nil {
		t.Fatal(err)
	}
	return env
}

var postgresOnce struct {
	sync.Once
	env []string
	err error
}

func postgres(t testing.TB) ([]string, error) {
	postgresOnce.Do(func() { postgresOnce.env, postgresOnce.err = startPostgres(t) })
	return postgresOnce.env, postgresOnce.err
}

func postgresBin() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if len(found) == 0 {
		return "", errors.New("no PostgreSQL server is installed")
	}
	slices.Sort(found)
	return found[len(found)-1], nil
}

func startPostgres(t testing.TB) ([]string, error) {
	bin, err := postgresBin()
	if err != nil {
		return nil, err
	}
	db, err := newDatabase(t, "postgres")
	if err != nil {
		return nil, err
	}
	at := filepath.Join(db.dir, "data")
	if err := db.do(filepath.Join(bin, "initdb"), "-D", at, "-U", "suite", "-A", "trust", "-E", "UTF8", "--no-locale", "-N"); err != nil {
		return nil, err
	}
	err = db.serve(func() error {
		return db.do(filepath.Join(bin, "pg_isready"), "-q", "-h", db.dir, "-U", "suite", "-d", "postgres")
	},
		filepath.Join(bin, "postgres"), "-D", at, "-k", db.dir, "-c", "listen_addresses=", "-c", "fsync=off",
		"-c", "wal_level=replica", "-c", "wal_keep_size=256MB", "-c", "max_wal_senders=10", "-c", "autovacuum=off", "-c", "max_connections=60")
	if err != nil {
		return nil, err
	}
	env := []string{
		"PGHOST=" + db.dir, "PGUSER=suite", "ROWS=" + filepath.Join(db.dir, "rows"),
		"PATH=" + bin + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	}
	s := shell{dir: db.dir, env: environ(db.dir, env...)}
	if out, err := s.try(postgresRows + "createdb shop; psql -Xq -v ON_ERROR_STOP=1 -d shop <<'SQL'\n" + postgresShop + "SQL\nrows shop > \"$ROWS\""); err != nil {
		return nil, fmt.Errorf("fill the database: %w\n%s", err, out)
	}
	return env, nil
}

// postgresShop makes tables of every awkward kind; accounts alone dumps to more
// than one part and does not compress well.
const postgresShop = `
CREATE SCHEMA old; CREATE TYPE mood AS ENUM ('calm', 'not calm');
CREATE TABLE accounts (id serial PRIMARY KEY, name text NOT NULL, balance numeric(12,2) CHECK (balance > -1000), opened timestamptz, tags text[]);
INSERT INTO accounts (name, balance, opened, tags)
  SELECT md5(i::text) || md5((i + 1)::text) || md5((i + 2)::text), i * 0.37, '2020-01-01'::timestamptz + i * interval '7 min', ARRAY[i::text, NULL]
  FROM generate_series(1, 100000) i;
CREATE INDEX ON accounts (name);
CREATE TABLE notes (id int PRIMARY KEY, account int REFERENCES accounts, body text, m mood, j jsonb);
INSERT INTO notes SELECT i, i, CASE WHEN i % 7 = 0 THEN NULL WHEN i % 5 = 0 THEN E'tab\there\nand \\ "quote"' ELSE 'ünï ' || repeat('x', i) END,
  'not calm', jsonb_build_object('i', i, 'n', NULL) FROM generate_series(1, 2000) i;
CREATE TABLE old.bytes (id int PRIMARY KEY, b bytea);
INSERT INTO old.bytes SELECT i, decode(string_agg(md5((i * 1000 + k)::text), ''), 'hex') FROM generate_series(1, 50) i, generate_series(1, 500) k GROUP BY i;
CREATE TABLE nothing (a int, b text);
CREATE VIEW rich AS SELECT id, balance FROM accounts WHERE balance > 36000;
SELECT lo_from_bytea(70000 + i, decode(repeat(md5(i::text), 3000), 'hex')) FROM generate_series(1, 5) i;
ANALYZE;
`

// postgresRows prints all that a database of the shop holds, row by row.
const postgresRows = `
rows() {
  local q
  for q in 'SELECT * FROM accounts ORDER BY id' 'SELECT * FROM notes ORDER BY id' 'SELECT * FROM old.bytes ORDER BY id' \
    'SELECT * FROM nothing' 'SELECT * FROM rich ORDER BY id' 'SELECT last_value FROM accounts_id_seq' \
    'SELECT oid, lo_get(oid) FROM pg_largeobject_metadata ORDER BY oid' \
    'SELECT indexrelid::regclass::text, indisunique FROM pg_index WHERE indrelid::regclass::text IN ($$accounts$$, $$notes$$) ORDER BY 1'
  do echo "== $q"; psql -Xq -d "$1" -c "COPY ($q) TO STDOUT"; done
}
# restored COMMAND...: a new database, filled by the command, holds every row.
restored() {
  local db="r$$"
  createdb -T template0 "$db"; "$@" -d "$db" > "$T/restore.out" 2>&1 || { cat "$T/restore.out"; fail "restore"; }
  rows "$db" > "$T/rows"; dropdb "$db"; cmp "$ROWS" "$T/rows"
}
`

// TestPostgres: a backup of a database through the mount, restored into another.
func TestPostgres(t *testing.T) {
	need(t, "psql")
	const plain, custom = "restored psql -Xq -v ON_ERROR_STOP=1 -f f", "restored pg_restore -e f"
	var cases []program
	for _, c := range []struct{ name, script, check string }{
		{"pg_dump -Fp -f", "pg_dump -Fp -f f shop", plain},
		{"pg_dump -Fp to stdout", "pg_dump -Fp shop > f", plain},
		{"pg_dump -Fp through cat", "pg_dump -Fp shop | cat > f", plain},
		{"pg_dump -Fc -f", "pg_dump -Fc -f f shop", "restored pg_restore -e -j2 f"},
		{"pg_dump -Fc to stdout", "pg_dump -Fc shop > f", custom},
		{"pg_dump -Fc through cat", "pg_dump -Fc shop | cat > f", custom},
		{"pg_dump -Fc -Z0 -f", "pg_dump -Fc -Z0 -f f shop", custom},
		{"pg_dump -Fd -j2", "pg_dump -Fd -j2 -f f shop", "restored pg_restore -e -j2 f"},
		{"pg_dump -Ft -f", "pg_dump -Ft -f f shop; tar -tf f > /dev/null", custom},
		{"pg_dump over the last", "pg_dump -Fc -Z0 -f f shop; pg_dump -Fc -Z1 -f f shop", custom},
		{"pg_dump to gzip", "pg_dump -Fp shop | gzip -1 > f", `gzip -dc f > "$T/f"; restored psql -Xq -v ON_ERROR_STOP=1 -f "$T/f"`},
		{"pg_basebackup -Ft", "pg_basebackup -D base -Ft -z -X fetch -c fast", restoreBase},
		{"pg_basebackup -Fp", "pg_basebackup -D base -Fp -X stream -c fast; pg_verifybackup -q -n base", "pg_verifybackup -q base"},
	} {
		cases = append(cases, program{
			name: c.name, needs: []string{"psql"}, env: postgresEnv,
			heavy:  c.name != "pg_dump -Fd -j2" && c.name != "pg_dump over the last",
			script: c.script, check: postgresRows + c.check,
		})
	}
	runPrograms(t, cases)
}

// restoreBase starts a second server from a base backup and compares the rows.
const restoreBase = `
mkdir "$T/r"; tar -xzf base/base.tar.gz -C "$T/r"; chmod 700 "$T/r"
as() { "$@"; }
if [ "$(id -u)" = 0 ]; then
  chown -R postgres "$T/r"; as() { setpriv --reuid=postgres --regid=postgres --init-groups "$@"; }
fi
cd /
trap 'as pg_ctl -s -D "$T/r" -m immediate stop' EXIT
as pg_ctl -s -D "$T/r" -w -t 120 -l "$T/r/log" -o "-k $T/r -c listen_addresses= -c fsync=off" start || { cat "$T/r/log"; fail start; }
PGHOST=$T/r rows shop > "$T/rows"; cmp "$ROWS" "$T/rows"
`
