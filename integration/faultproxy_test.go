package integration

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// faultProxy is a way to a server on which things go wrong.
type faultProxy struct {
	addr  string
	pass  http.Handler
	fault atomic.Pointer[fault]
	met   atomic.Int64 // requests that a fault was done to
	names *nameServer  // who knows the name of the proxy; nil where it has none

	mu     sync.Mutex
	server *http.Server // nil while connections are refused
	lifted chan struct{}
}

// fault is something that goes wrong with a request. pass hands it on.
type fault func(w http.ResponseWriter, r *http.Request, pass http.Handler, lifted <-chan struct{})

func newFaultProxy(t testing.TB, to string) *faultProxy {
	t.Helper()
	target, err := url.Parse(to)
	check(t, err)
	p := &faultProxy{addr: "127.0.0.1:0", lifted: make(chan struct{})}
	p.pass = &httputil.ReverseProxy{
		// The Host header stays: it is signed.
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host
			r.Out.Header.Del("Expect")
		},
		Transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			reset(w) // the server has gone away, as far as the client can tell
		},
	}
	check(t, p.listen())
	t.Cleanup(func() {
		p.lift(t)
		p.refuse()
	})
	return p
}

func (p *faultProxy) listen() error {
	l, err := net.Listen("tcp", p.addr)
	if err != nil {
		return err
	}
	p.addr = l.Addr().String()
	p.server = &http.Server{Handler: p}
	go p.server.Serve(l)
	return nil
}

// nameless makes the name of the proxy unknown. Connections that are there end.
func (p *faultProxy) nameless() {
	p.names.gone.Store(true)
	p.refuse()
}

// refuse ends all connections; new ones are refused until the fault is lifted.
func (p *faultProxy) refuse() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.server != nil {
		p.server.Close()
		p.server = nil
	}
}

// begin makes every request meet the fault from now on.
func (p *faultProxy) begin(f fault) {
	p.mu.Lock()
	p.lifted = make(chan struct{})
	p.mu.Unlock()
	p.fault.Store(&f)
}

// lift ends the fault.
func (p *faultProxy) lift(t testing.TB) {
	p.fault.Store(nil)
	if p.names != nil {
		p.names.gone.Store(false)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.lifted:
	default:
		close(p.lifted)
	}
	if p.server == nil {
		check(t, p.listen())
	}
}

func (p *faultProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := p.fault.Load()
	if f == nil {
		p.pass.ServeHTTP(w, r)
		return
	}
	p.met.Add(1)
	p.mu.Lock()
	lifted := p.lifted
	p.mu.Unlock()
	(*f)(w, r, p.pass, lifted)
}

// reset ends the connection with a TCP reset.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	conn.(*net.TCPConn).SetLinger(0)
	conn.Close()
}

func faultReset(w http.ResponseWriter, _ *http.Request, _ http.Handler, _ <-chan struct{}) { reset(w) }

// faultLost does what was asked, and loses the answer.
func faultLost(w http.ResponseWriter, r *http.Request, pass http.Handler, _ <-chan struct{}) {
	pass.ServeHTTP(&nowhere{http.Header{}}, r.WithContext(context.WithoutCancel(r.Context())))
	reset(w)
}

type nowhere struct{ header http.Header }

func (n *nowhere) Header() http.Header         { return n.header }
func (n *nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (n *nowhere) WriteHeader(int)             {}

// faultStall answers nothing.
func faultStall(_ http.ResponseWriter, r *http.Request, _ http.Handler, lifted <-chan struct{}) {
	select {
	case <-r.Context().Done():
	case <-lifted:
	}
	panic(http.ErrAbortHandler)
}

// faultHalfUpload breaks off in the middle of what is sent.
func faultHalfUpload(w http.ResponseWriter, r *http.Request, pass http.Handler, _ <-chan struct{}) {
	if r.ContentLength <= 0 {
		pass.ServeHTTP(w, r)
		return
	}
	io.CopyN(io.Discard, r.Body, r.ContentLength/2)
	reset(w)
}

// faultStatus answers with an error of S3.
func faultStatus(status int, code string) fault {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler, _ <-chan struct{}) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>a fault of the test</Message><RequestId>1</RequestId></Error>`, code)
	}
}

// faultAnswers changes the bodies of answers; each gives the length of the whole.
func faultAnswers(change func(w io.Writer, size int64) io.Writer) fault {
	return func(w http.ResponseWriter, r *http.Request, pass http.Handler, _ <-chan struct{}) {
		pass.ServeHTTP(&answer{ResponseWriter: w, change: change}, r)
	}
}

type answer struct {
	http.ResponseWriter
	change func(w io.Writer, size int64) io.Writer
	body   io.Writer
}

func (a *answer) Write(b []byte) (int, error) {
	if a.body == nil {
		var size int64
		fmt.Sscan(a.Header().Get("Content-Length"), &size)
		a.body = a.change(a.ResponseWriter, size)
	}
	return a.body.Write(b)
}

// faultStallOnce passes one half of the first answer that is large; the rest of it
// does not come before the fault is lifted.
func faultStallOnce() fault {
	var met atomic.Bool
	return func(w http.ResponseWriter, r *http.Request, pass http.Handler, lifted <-chan struct{}) {
		stop := func(w io.Writer, size int64) io.Writer {
			if size < 256<<10 || met.Swap(true) {
				return w
			}
			return &stopper{w, size / 2, lifted}
		}
		pass.ServeHTTP(&answer{ResponseWriter: w, change: stop}, r)
	}
}

type stopper struct {
	w      io.Writer
	left   int64
	lifted <-chan struct{}
}

func (s *stopper) Write(b []byte) (int, error) {
	n, err := s.w.Write(b[:min(int64(len(b)), s.left)])
	s.left -= int64(n)
	if err == nil && s.left == 0 {
		http.NewResponseController(s.w.(http.ResponseWriter)).Flush()
		<-s.lifted
		return n, io.ErrClosedPipe
	}
	return n, err
}

// half passes the first half of an answer, then the connection ends.
func half(w io.Writer, size int64) io.Writer { return &halfWriter{w, size / 2} }

type halfWriter struct {
	w    io.Writer
	left int64
}

func (h *halfWriter) Write(b []byte) (int, error) {
	n, err := h.w.Write(b[:min(int64(len(b)), h.left)])
	h.left -= int64(n)
	if err == nil && h.left == 0 {
		panic(http.ErrAbortHandler)
	}
	return n, err
}

// drip passes an answer in drops of 1 KiB for a while.
func drip(w io.Writer, _ int64) io.Writer { return &dripWriter{w, 10} }

type dripWriter struct {
	w     io.Writer
	drops int
}

func (d *dripWriter) Write(b []byte) (int, error) {
	done := 0
	for ; d.drops > 0 && done < len(b); d.drops-- {
		n, err := d.w.Write(b[done:min(done+1024, len(b))])
		done += n
		if err != nil {
			return done, err
		}
		if err := http.NewResponseController(d.w.(http.ResponseWriter)).Flush(); err != nil {
			return done, err
		}
		time.Sleep(200 * time.Millisecond) // this is the fault
	}
	n, err := d.w.Write(b[done:])
	return done + n, err
}

// faultFlipDownload changes one byte of each object that is read.
func faultFlipDownload(w http.ResponseWriter, r *http.Request, pass http.Handler, _ <-chan struct{}) {
	if r.Method == http.MethodGet && r.URL.Query().Get("x-id") == "GetObject" {
		w = &answer{ResponseWriter: w, change: flip}
	}
	pass.ServeHTTP(w, r)
}

// flip changes one byte in the middle of an answer.
func flip(w io.Writer, size int64) io.Writer { return &flipper{w: w, at: size / 2} }

type flipper struct {
	w  io.Writer
	at int64
}

func (f *flipper) Write(b []byte) (int, error) {
	if f.at >= 0 && f.at < int64(len(b)) {
		b[f.at] ^= 1
	}
	f.at -= int64(len(b))
	return f.w.Write(b)
}

// faultFlipUpload changes one byte of the content of what is sent.
func faultFlipUpload(w http.ResponseWriter, r *http.Request, pass http.Handler, _ <-chan struct{}) {
	if r.Method == http.MethodPut && r.ContentLength > 0 {
		r.Body = &flippedBody{r.Body, 500}
	}
	pass.ServeHTTP(w, r)
}

type flippedBody struct {
	io.ReadCloser
	at int
}

func (f *flippedBody) Read(b []byte) (int, error) {
	n, err := f.ReadCloser.Read(b)
	if f.at >= 0 && f.at < n {
		b[f.at] ^= 1
	}
	f.at -= n
	return n, err
}
