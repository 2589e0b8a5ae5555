package integration

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"
)

// serverName is a name that nameServer knows, and nobody else.
const serverName = "s3.pailfs.test"

// nameServer tells the address of serverName until it is gone.
type nameServer struct {
	conn  net.PacketConn
	gone  atomic.Bool
	asked atomic.Int64 // while it was gone
}

// newNameServer listens at an address of this machine that nobody else uses: a
// resolver asks port 53 only.
func newNameServer(t *testing.T) *nameServer {
	t.Helper()
	var s nameServer
	var err error
	for range 10 {
		at := fmt.Sprintf("127.%d.%d.%d:53", 1+rand.IntN(250), rand.IntN(250), 1+rand.IntN(250))
		if s.conn, err = net.ListenPacket("udp", at); err == nil {
			break
		}
	}
	check(t, err)
	t.Cleanup(func() { s.conn.Close() })
	go s.serve()
	return &s
}

func (s *nameServer) serve() {
	for b := make([]byte, 4096); ; {
		n, from, err := s.conn.ReadFrom(b)
		if err != nil {
			return // closed
		}
		if answer := s.answer(b[:n]); answer != nil {
			s.conn.WriteTo(answer, from)
		}
	}
}

func (s *nameServer) answer(query []byte) []byte {
	var m dnsmessage.Message
	if m.Unpack(query) != nil || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	m.Response, m.Authoritative, m.Additionals = true, true, nil
	switch {
	case s.gone.Load():
		s.asked.Add(1)
		m.RCode = dnsmessage.RCodeNameError
	case q.Name.String() != serverName+".":
		m.RCode = dnsmessage.RCodeNameError
	case q.Type == dnsmessage.TypeA:
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
			Body:   &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
		}}
	}
	answer, err := m.Pack()
	if err != nil {
		return nil
	}
	return answer
}

// resolving makes pailfs run where names are asked of s: in a mount namespace with
// a resolv.conf of its own. What is mounted at m is seen outside all the same.
func (m *mounted) resolving(t *testing.T, s *nameServer) {
	t.Helper()
	top := filepath.Dir(m.dir)
	file := filepath.Join(tempDir(t), "resolv.conf")
	host, _, err := net.SplitHostPort(s.conn.LocalAddr().String())
	check(t, err)
	check(t, os.WriteFile(file, []byte("nameserver "+host+"\noptions timeout:1 attempts:1\n"), 0o644))
	check(t, unix.Mount(top, top, "", unix.MS_BIND, ""))
	t.Cleanup(func() { unix.Unmount(top, unix.MNT_DETACH) })
	check(t, unix.Mount("", top, "", unix.MS_SHARED, ""))
	m.place.wrap = []string{"unshare", "--mount", "--propagation", "unchanged", "sh", "-ec", `
		mount --make-private /
		mount --make-private /etc/resolv.conf 2>/dev/null || :
		mount --bind "$0" /etc/resolv.conf
		exec "$@"`, file}
}
