package servers

import (
	"sync"
	"testing"
)

// keep is set by Main before any test: servers outlive their users.
var keep bool

// shared is a server that all tests of this process use: started by the first,
// stopped with the last, unless Main keeps it.
type shared[E any] struct {
	name  string
	start func() (E, *process, func(), error)

	mu       sync.Mutex
	users    int
	endpoint E
	process  *process
	stop     func() // nil while it does not run
}

// hold returns the server, started if need be, until the test ends.
func (s *shared[E]) hold(t testing.TB) E {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop == nil {
		var err error
		if s.endpoint, s.process, s.stop, err = s.start(); err != nil {
			s.stop = nil
			t.Fatalf("start a server of %s: %v", s.name, err)
		}
	}
	s.users++
	t.Cleanup(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if t.Failed() && s.process != nil {
			t.Logf("the output of the server of %s ends:\n%s", s.name, s.process.tail())
		}
		s.users--
		if !keep {
			s.end()
		}
	})
	return s.endpoint
}

// close stops a server that nobody uses any more.
func (s *shared[E]) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end()
}

func (s *shared[E]) end() {
	if s.users == 0 && s.stop != nil {
		s.stop()
		s.stop, s.process = nil, nil
	}
}

// Main runs the tests of a package that use servers, with one of each kind for
// all of them: func TestMain(m *testing.M) { os.Exit(servers.Main(m)) }.
func Main(m *testing.M) int {
	keep = true
	defer sharedS3.close()
	defer sharedGCS.close()
	defer sharedAzure.close()
	return m.Run()
}
