package integration

import (
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/pailfs/pailfs/integration/servers"
)

// TestBackupsInTheCloud is the life of backups on Cloud Storage and on Azure, as
// a script has it that knows nothing of either: two databases are backed up,
// listed, verified and restored; a large file goes in parts; old ones are
// removed.
func TestBackupsInTheCloud(t *testing.T) {
	needs := []string{"psql", "pg_dump", "mariadbd", "mariadb-install-db", "mariadb-dump", "mariadb"}
	need(t, needs...)
	onTargets(t, func(t *testing.T, p *place) {
		pg, maria := environ(tempDir(t), postgresEnv(t)...), environ(tempDir(t), mariadbEnv(t)...)
		m := p.mount(t)
		at := func(env []string) shell { return shell{dir: m.dir, env: env} }
		again := func() {
			t.Helper()
			m.umount(t)
			m = p.mount(t)
		}
		size := map[string]string{"gcs": "200", "azure": "300"}[p.kind]
		local := shell{dir: tempDir(t), env: environ(tempDir(t))}
		large := filepath.Join(local.dir, "large")
		local.run(t, "head -c "+size+"M /dev/urandom > large")

		for _, step := range []struct {
			name string
			run  func(t *testing.T)
		}{
			{"PostgreSQL backup", func(t *testing.T) {
				at(pg).run(t, "mkdir -p db/pg; pg_dump -Fc -f db/pg/shop.dump shop; pg_dump -Fp shop | gzip -1 > db/pg/shop.sql.gz")
			}},
			{"MariaDB backup", func(t *testing.T) {
				at(maria).run(t, mariadbRows+"mkdir -p db/maria; dump shop > db/maria/shop.sql; dump shop | gzip -1 > db/maria/shop.sql.gz")
			}},
			{"list", func(t *testing.T) {
				again()
				at(pg).run(t, `is "maria pg" "$(echo $(ls db))"; is "shop.sql shop.sql.gz" "$(echo $(ls db/maria))"
is "shop.dump shop.sql.gz" "$(echo $(ls db/pg))"; find db -type f -size +1k | wc -l | grep -qx 4`)
				for _, key := range []string{"db/pg/shop.dump", "db/pg/shop.sql.gz", "db/maria/shop.sql", "db/maria/shop.sql.gz"} {
					if _, ok := p.object(t, key); !ok {
						t.Errorf("%s is no object", key)
					}
				}
			}},
			{"verify integrity", func(t *testing.T) {
				at(pg).run(t, "gzip -t db/*/*.gz; pg_restore -l db/pg/shop.dump | grep -q 'TABLE DATA public accounts'; sha256sum db/*/* > SHA256SUMS")
				again()
				at(pg).run(t, "sha256sum --quiet -c SHA256SUMS")
				p.audit(t, at(pg).tree(t))
			}},
			{"restore and compare rows", func(t *testing.T) {
				at(pg).run(t, postgresRows+"restored pg_restore -e -j2 db/pg/shop.dump")
				at(maria).run(t, mariadbRows+"restored db/maria/shop.sql")
			}},
			{"large file", func(t *testing.T) {
				most := p.watchParts(t, func() {
					if out, err := at(local.env).try("cp '" + large + "' large"); err != nil {
						t.Errorf("cp: %v\n%s", err, out)
					}
				})
				if p.kind == "azure" {
					most = blocks(t, p, "large")
				}
				if most < 10 {
					t.Errorf("it was sent in %d parts", most)
				}
				again()
				at(local.env).run(t, "cmp '"+large+"' large")
				at(local.env).run(t, "echo more >> large; echo more >> '"+large+"'; cmp '"+large+"' large")
			}},
			{"delete", func(t *testing.T) {
				at(pg).run(t, "rm large SHA256SUMS; rm -r db/maria; is db \"$(echo *)\"; is pg \"$(echo db/*  | xargs -n1 basename)\"")
				for _, o := range p.objects(t) {
					if !strings.HasPrefix(o.Key, "db/") && !strings.HasPrefix(o.Key, ".pailfs/") || strings.HasPrefix(o.Key, "db/maria") {
						t.Errorf("%q is still there", o.Key)
					}
				}
			}},
			{"clean-up of old backups", func(t *testing.T) {
				at(pg).run(t, `for d in 1 6 8 30; do echo $d > db/pg/daily-$d; touch -d "$d days ago" db/pg/daily-$d; done`)
				again()
				at(pg).run(t, `find db/pg -name 'daily-*' -mtime +7 -delete; is "daily-1 daily-6 shop.dump shop.sql.gz" "$(cd db/pg; echo *)"`)
				if _, ok := p.object(t, "db/pg/daily-30"); ok {
					t.Error("the object of an old backup is still there")
				}
			}},
		} {
			if !t.Run(step.name, step.run) {
				return
			}
		}
		m.umount(t)
		p.leftovers(t)
	}, cloudTargets...)
}

// watchParts runs f, and says how many temporary objects were there at most.
func (p *place) watchParts(t testing.TB, f func()) (most int) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	for {
		parts, err := p.cloudUploads(t.Context())
		check(t, err)
		most = max(most, len(parts))
		select {
		case <-done:
			return most
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// blocks is how many blocks a blob has.
func blocks(t testing.TB, p *place, key string) int {
	t.Helper()
	u, err := url.Parse(p.source)
	check(t, err)
	client, err := servers.Azure(t).Client()
	check(t, err)
	list, err := client.NewContainerClient(u.Host).NewBlockBlobClient(key).GetBlockList(t.Context(), blockblob.BlockListTypeCommitted, nil)
	check(t, err)
	return len(list.CommittedBlocks)
}
