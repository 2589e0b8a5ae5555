package shapedproxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const deadline = 60 * time.Second

// start puts a proxy before a server with this handler and returns a client
// that keeps connections alive.
func start(t *testing.T, shape Shape, handler http.HandlerFunc) (*Proxy, *http.Client) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	p, err := Start(server.Listener.Addr().String(), shape, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 16, ExpectContinueTimeout: deadline}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p, &http.Client{Transport: transport, Timeout: deadline}
}

func random(seed uint64, n int) []byte {
	b := make([]byte, n)
	src := rand.NewChaCha8([32]byte{byte(seed)})
	src.Read(b)
	return b
}

// echo answers with the body it got, chunked where the query says so.
func echo(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), 400)
		return
	}
	if !r.URL.Query().Has("chunked") {
		w.Header().Set("Content-Length", fmt.Sprint(len(b)))
		w.Write(b)
		return
	}
	for len(b) > 0 {
		n := min(len(b), 70_001)
		w.Write(b[:n])
		w.(http.Flusher).Flush()
		b = b[n:]
	}
}

func TestBodiesPassIntact(t *testing.T) {
	for _, shape := range []Shape{{}, {Latency: time.Millisecond, Rate: 1 << 30}} {
		p, client := start(t, shape, echo)
		requests := 0
		for _, size := range []int{0, 1, 10 << 10, 32<<10 - 1, 1<<20 + 17, 9 << 20} {
			for _, query := range []string{"", "?chunked"} {
				for _, sized := range []bool{true, false} {
					want := random(uint64(size), size)
					var body io.Reader = bytes.NewReader(want)
					if !sized {
						body = io.MultiReader(body) // hides the length: sent chunked
					}
					resp, err := client.Post("http://"+p.Addr()+"/"+query, "", body)
					if err != nil {
						t.Fatal(err)
					}
					got, err := io.ReadAll(resp.Body)
					resp.Body.Close()
					if err != nil || sha256.Sum256(got) != sha256.Sum256(want) {
						t.Errorf("%d bytes, %q, sized %v: got %d bytes, err %v", size, query, sized, len(got), err)
					}
					requests++
				}
			}
		}
		if c := p.Counts(); c.Requests != requests || c.Connections != 1 {
			t.Errorf("counted %d requests on %d connections, want %d on one that is kept alive", c.Requests, c.Connections, requests)
		}
	}
}

func TestParallelConnectionsPassIntact(t *testing.T) {
	p, client := start(t, Shape{Latency: time.Millisecond, Rate: 1 << 28}, echo)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			want := random(uint64(i), 1<<20+i)
			for range 4 {
				resp, err := client.Post("http://"+p.Addr()+"/", "", bytes.NewReader(want))
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("body %d: %d bytes, err %v", i, len(got), err)
				}
			}
		})
	}
	wg.Wait()
}

func TestHeadIsForwardedByteForByte(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	request := "PUT /b/a%2Fb+c%20d?x-id=PutObject&empty= HTTP/1.1\r\nHost: bucket.example:9000\r\n" +
		"x-AMZ-Odd:   spaced  value \r\nUser-Agent:\r\nTE: trailers\r\nContent-Length: 5\r\n\r\nhello"
	answer := "HTTP/1.1 200 OK\r\nx-Odd-Case:  1\r\nContent-Length: 2\r\n\r\nok"
	got := make(chan string, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			got <- err.Error()
			return
		}
		defer conn.Close()
		b := make([]byte, len(request))
		io.ReadFull(conn, b)
		got <- string(b)
		io.WriteString(conn, answer)
		io.Copy(io.Discard, conn)
	}()
	p, err := Start(l.Addr().String(), Shape{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	conn, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(deadline))
	io.WriteString(conn, request)
	b := make([]byte, len(answer))
	if _, err := io.ReadFull(conn, b); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(request, <-got); diff != "" {
		t.Errorf("request (-sent +received):\n%s", diff)
	}
	if diff := cmp.Diff(answer, string(b)); diff != "" {
		t.Errorf("answer (-sent +received):\n%s", diff)
	}
}

func TestHeadAndEmptyAnswersHaveNoBody(t *testing.T) {
	p, client := start(t, Shape{}, func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case "HEAD":
			w.Header().Set("Content-Length", "1000000")
		case "DELETE":
			w.WriteHeader(204)
		default:
			w.WriteHeader(304)
		}
	})
	for _, method := range []string{"HEAD", "DELETE", "GET", "HEAD"} {
		req, _ := http.NewRequest(method, "http://"+p.Addr()+"/k", nil)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatalf("%s: %v", method, err)
		}
		resp.Body.Close()
	}
	if c := p.Counts(); c.Connections != 1 {
		t.Errorf("%d connections, want 1", c.Connections)
	}
}

func TestLatencyIsAddedOncePerRequest(t *testing.T) {
	const latency = 30 * time.Millisecond
	for _, body := range []int{0, 3 << 20} {
		p, client := start(t, Shape{Latency: latency}, echo)
		const n = 5
		begin := time.Now()
		for range n {
			req, _ := http.NewRequest("PUT", "http://"+p.Addr()+"/k", bytes.NewReader(random(1, body)))
			if body > 0 {
				req.Header.Set("Expect", "100-continue") // an interim answer costs nothing more
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		if took := time.Since(begin); took < n*latency {
			t.Errorf("%d requests with %d bytes took %v, want at least %v", n, body, took, n*latency)
		}
		// Only a floor can be asserted on a loaded machine; what was asked to be
		// waited for is exact.
		if c := p.Counts(); c.Delays != n {
			t.Errorf("%d delays for %d requests", c.Delays, n)
		}
	}
}

func TestLatencyIsNotSharedBetweenConnections(t *testing.T) {
	const clients, latency = 8, 300 * time.Millisecond
	waiting, release := make(chan struct{}, clients), make(chan struct{})
	p, client := start(t, Shape{Latency: latency}, func(w http.ResponseWriter, r *http.Request) {
		waiting <- struct{}{}
		<-release
	})
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			resp, err := client.Get("http://" + p.Addr() + "/")
			if err != nil {
				t.Error(err)
				return
			}
			resp.Body.Close()
		})
	}
	for range clients {
		select {
		case <-waiting:
		case <-time.After(deadline):
			t.Fatal("the requests do not reach the server side by side")
		}
	}
	close(release)
	wg.Wait()
}

// The rate is held on a fake clock, where it is exact, and in TestRateOnTheWire
// on a real connection.
func TestPacerHoldsItsRate(t *testing.T) {
	testRate(t, func(p *pacer, total int64) {
		p.begin()
		for sent := int64(0); sent < total; {
			n := min(p.step(), total-sent)
			if err := p.sent(context.Background(), n); err != nil {
				t.Fatal(err)
			}
			sent += n
		}
	})
}

func TestRateOnTheWire(t *testing.T) {
	const rate, size = 32 << 20, 16 << 20
	p, client := start(t, Shape{Rate: rate}, echo)
	want := random(3, size)
	for _, direction := range []string{"up", "down"} {
		begin := time.Now()
		resp, err := client.Post("http://"+p.Addr()+"/", "", bytes.NewReader(want))
		if err != nil {
			t.Fatal(err)
		}
		up := time.Since(begin) // echo answers when it has read the whole body
		begin = time.Now()
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes, err %v", len(got), err)
		}
		took := up
		if direction == "down" {
			took = time.Since(begin)
		}
		// The upper bound of the time depends on the load of the machine, the
		// lower one does not.
		if seconds, want := took.Seconds(), float64(size)/rate; seconds < 0.9*want {
			t.Errorf("%s: %.3f s for %d bytes, want %.3f s", direction, seconds, size, want)
		} else {
			t.Logf("%s: %.1f %% of the rate", direction, 100*want/seconds)
		}
	}
}

func TestAnEarlyAnswerEndsTheUpload(t *testing.T) {
	p, client := start(t, Shape{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		http.Error(w, "no", http.StatusForbidden)
	})
	resp, err := client.Post("http://"+p.Addr()+"/", "", io.LimitReader(zeros{}, 1<<40))
	if err == nil {
		resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("status %d", resp.StatusCode)
		}
	}
	// Whether the client sees the answer or the reset is a race of its own; that
	// Close returns shows that nothing hangs.
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestAServerThatBreaksOffBreaksOff(t *testing.T) {
	p, client := start(t, Shape{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		w.Write(make([]byte, 10))
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	resp, err := client.Get("http://" + p.Addr() + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadAll(resp.Body); err == nil {
		t.Error("a body of 10 bytes of 1000 was read without an error")
	}
}

func TestCloseEndsConnections(t *testing.T) {
	entered := make(chan struct{})
	p, client := start(t, Shape{}, func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	})
	failed := make(chan error, 1)
	go func() {
		_, err := client.Get("http://" + p.Addr() + "/")
		failed <- err
	}()
	<-entered
	p.cancel() // as Close does; start closes it again
	select {
	case err := <-failed:
		if err == nil {
			t.Error("a request in flight succeeded")
		}
	case <-time.After(deadline):
		t.Fatal("a request in flight outlives the proxy")
	}
}

func TestKind(t *testing.T) {
	for _, c := range []struct{ method, target, want string }{
		{"GET", "/b?list-type=2&prefix=", "LIST"},
		{"GET", "/b?delimiter=/&prefix=a", "LIST"},
		{"GET", "/b/k?x-id=GetObject", "GET"},
		{"POST", "/b/k?uploads", "CREATE"},
		{"PUT", "/b/k?partNumber=1&uploadId=x", "PART"},
		{"POST", "/b/k?uploadId=x", "COMMIT"},
		{"DELETE", "/b/k?uploadId=x", "ABORT"},
		{"HEAD", "/b/k", "HEAD"},
		{"POST", "/upload/storage/v1/b/b/o?name=k&uploadType=multipart", "PUT"},
		{"POST", "/upload/storage/v1/b/b/o?name=k&uploadType=resumable", "CREATE"},
		{"POST", "/upload/storage/v1/b/b/o?name=k&uploadType=resumable&upload_id=1", "PART"},
		{"PUT", "/upload/resumable/1", "PART"},
		{"POST", "/storage/v1/b/b/o/k/compose?alt=json", "COMPOSE"},
		{"GET", "/storage/v1/b/b/o?prefix=a", "LIST"},
		{"GET", "/storage/v1/b/b/o/k?alt=media", "GET"},
		{"GET", "/storage/v1/b/b/o/k?alt=json", "HEAD"},
		{"DELETE", "/storage/v1/b/b/o/k", "DELETE"},
		{"GET", "/account/c?comp=list&restype=container", "LIST"},
		{"PUT", "/account/c/k?blockid=x&comp=block", "PART"},
		{"PUT", "/account/c/k?comp=blocklist", "COMMIT"},
		{"PUT", "/account/c/k", "PUT"},
	} {
		if got := Kind(c.method, c.target); got != c.want {
			t.Errorf("Kind(%s %s) = %s, want %s", c.method, c.target, got, c.want)
		}
	}
}

func TestCountsSub(t *testing.T) {
	before := Counts{Connections: 1, Requests: 3, ByKind: map[string]int{"GET": 2, "PUT": 1}}
	after := Counts{Connections: 1, Requests: 5, Delays: 2, ByKind: map[string]int{"GET": 4, "PUT": 1}}
	want := Counts{Requests: 2, Delays: 2, ByKind: map[string]int{"GET": 2}}
	if diff := cmp.Diff(want, after.Sub(before)); diff != "" {
		t.Error(diff)
	}
}

func TestHeadsThatCannotBeForwarded(t *testing.T) {
	for _, raw := range []string{
		"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
		"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a",
		"GET / HTTP/1.1\r\nX: " + strings.Repeat("a", maxHead) + "\r\n\r\n",
	} {
		if _, err := readHead(bufio.NewReader(strings.NewReader(raw))); err == nil || err == io.EOF {
			t.Errorf("readHead(%.40q) = %v", raw, err)
		}
	}
	if _, err := readHead(bufio.NewReader(strings.NewReader(""))); err != io.EOF {
		t.Errorf("a connection that ends between messages: %v", err)
	}
}
