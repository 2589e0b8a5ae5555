package integration

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"
)

var mariadbOnce struct {
	sync.Once
	env []string
	err error
}

// mariadbEnv starts the MariaDB server of this run, with a database shop to back
// up. $ROWS is a file with all that a restored database must hold.
func mariadbEnv(t testing.TB) []string {
	t.Helper()
	mariadbOnce.Do(func() { mariadbOnce.env, mariadbOnce.err = startMariaDB(t) })
	if mariadbOnce.err != nil {
		t.Fatal(mariadbOnce.err)
	}
	return mariadbOnce.env
}

func startMariaDB(t testing.TB) ([]string, error) {
	db, err := newDatabase(t, "mysql")
	if err != nil {
		return nil, err
	}
	at, socket := filepath.Join(db.dir, "data"), filepath.Join(db.dir, "s")
	if err := db.do("mariadb-install-db", "--no-defaults", "--datadir="+at, "--auth-root-authentication-method=normal", "--skip-test-db"); err != nil {
		return nil, err
	}
	err = db.serve(func() error {
		return db.do("mariadb-admin", "--no-defaults", "--socket="+socket, "-u", "root", "--silent", "ping")
	}, "mariadbd", "--no-defaults", "--datadir="+at, "--socket="+socket, "--pid-file="+filepath.Join(db.dir, "pid"), "--skip-networking",
		"--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=64M", "--performance-schema=off", "--character-set-server=utf8mb4")
	if err != nil {
		return nil, err
	}
	env := []string{"SOCKET=" + socket, "ROWS=" + filepath.Join(db.dir, "rows")}
	s := shell{dir: db.dir, env: environ(db.dir, env...)}
	if out, err := s.try(mariadbRows + "sql mysql <<'SQL'\n" + mariadbShop + "SQL\nrows shop > \"$ROWS\""); err != nil {
		return nil, fmt.Errorf("fill the database: %w\n%s", err, out)
	}
	return env, nil
}

const mariadbShop = `
CREATE DATABASE shop; USE shop;
CREATE TABLE accounts (id int PRIMARY KEY AUTO_INCREMENT, name varchar(200) NOT NULL, balance decimal(12,2), opened datetime, KEY (name)) ENGINE=InnoDB;
INSERT INTO accounts SELECT seq, concat(md5(seq), md5(seq + 1), md5(seq + 2)), seq * 0.37, '2020-01-01' + INTERVAL seq MINUTE FROM seq_1_to_90000;
CREATE TABLE notes (id int PRIMARY KEY, body text, raw longblob, FOREIGN KEY (id) REFERENCES accounts (id)) ENGINE=InnoDB;
INSERT INTO notes SELECT seq, IF(seq % 7 = 0, NULL, concat('tab\there "quote" \\ ünï\n', repeat('x', seq))), unhex(repeat(md5(seq), 20)) FROM seq_1_to_1000;
CREATE VIEW rich AS SELECT id, balance FROM accounts WHERE balance > 33000;
CREATE TABLE nothing (a int);
`

const mariadbRows = `
sql() { mariadb --no-defaults --default-character-set=utf8mb4 -S "$SOCKET" -u root "$@"; }
dump() { mariadb-dump --no-defaults --default-character-set=utf8mb4 -S "$SOCKET" -u root --single-transaction --hex-blob "$@"; }
rows() {
  local q
  for q in 'SELECT * FROM accounts ORDER BY id' 'SELECT id, body, hex(raw) FROM notes ORDER BY id' 'SELECT * FROM rich ORDER BY id' 'SELECT * FROM nothing'
  do echo "== $q"; sql -N -B -e "$q" "$1"; done
}
# restored FILE: a new database, filled from the file, holds every row.
restored() {
  local db="r$$"
  sql -e "CREATE DATABASE $db"; sql "$db" < "$1"
  rows "$db" > "$T/rows"; sql -e "DROP DATABASE $db"; cmp "$ROWS" "$T/rows"
}
`

// TestMariaDB: a dump of a database through the mount, restored into another.
func TestMariaDB(t *testing.T) {
	needs := []string{"mariadbd", "mariadb-install-db", "mariadb-dump", "mariadb"}
	need(t, needs...)
	var cases []program
	for _, c := range []struct{ name, script, check string }{
		{"dump to stdout", `dump shop > f`, "restored f"},
		{"dump -r", `dump -r f shop`, "restored f"},
		{"dump through gzip", `dump shop | gzip -1 > f.gz`, `gzip -dc f.gz > "$T/f"; restored "$T/f"`},
	} {
		cases = append(cases, program{
			name: c.name, needs: needs, env: mariadbEnv, heavy: c.name != "dump -r",
			script: mariadbRows + c.script, check: mariadbRows + c.check,
		})
	}
	runPrograms(t, cases)
}
