package integration

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// gate is a way to a server that can be closed: connections end, new ones are
// refused.
type gate struct {
	listener net.Listener
	to       string

	mu    sync.Mutex
	shut  bool
	conns []net.Conn
}

func newGate(t testing.TB, to string) *gate {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	g := &gate{listener: l, to: to}
	go g.serve()
	t.Cleanup(func() {
		g.close()
		l.Close()
	})
	return g
}

func (g *gate) serve() {
	for {
		in, err := g.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", g.to)
		if err != nil {
			in.Close()
			continue
		}
		g.mu.Lock()
		g.conns = append(g.conns, in, out)
		shut := g.shut
		g.mu.Unlock()
		if shut {
			in.Close()
			out.Close()
			continue
		}
		pipe := func(dst, src net.Conn) {
			io.Copy(dst, src)
			dst.Close()
			src.Close()
		}
		go pipe(out, in)
		go pipe(in, out)
	}
}

func (g *gate) set(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = shut
	if shut {
		for _, c := range g.conns {
			c.Close()
		}
		g.conns = nil
	}
}

func (g *gate) close() { g.set(true) }
func (g *gate) open()  { g.set(false) }

// TestP1OutageIsAnError: when the store cannot be reached, close and fsync
// return an error in time, the old object stays, and the mount works again when
// the store is back.
func TestP1OutageIsAnError(t *testing.T) {
	onTargets(t, func(t *testing.T, p *place) {
		g := newGate(t, strings.TrimPrefix(p.bucket.endpoint.URL, "http://"))
		p.source = p.bucket.source("http://" + g.listener.Addr().String())
		m := p.mount(t, "--timeout=5s")
		at := func(name string) string { return filepath.Join(m.dir, name) }
		small, big := noise(1, 1000), noise(2, 3*partSize)
		check(t, os.WriteFile(at("small"), small, 0o644))
		check(t, os.WriteFile(at("big"), big, 0o644))
		for name, content := range map[string][]byte{"small": noise(3, 1000), "big": noise(4, 3*partSize)} {
			f, err := os.OpenFile(at(name), os.O_WRONLY|os.O_TRUNC, 0)
			check(t, err)
			_, err = f.Write(content)
			check(t, err)
			g.close()
			synced, closed := f.Sync(), f.Close()
			g.open()
			if synced == nil || closed == nil {
				t.Errorf("%s: without a store fsync returned %v and close %v", name, synced, closed)
			}
			t.Logf("%s: fsync: %v, close: %v", name, synced, closed)
		}
		p.holds(t, "small", small, "after the outage")
		p.holds(t, "big", big, "after the outage")
		check(t, os.WriteFile(at("small"), big, 0o644))
		p.holds(t, "small", big, "when the store is back")
		// What could not be saved was told by close; umount may tell it again.
		if err := m.unmount(); err != nil {
			t.Logf("umount: %v", err)
		}
		m.kill()
		p.leftovers(t)
	}, "s3")
}
