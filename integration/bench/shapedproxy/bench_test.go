package shapedproxy

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
)

// BenchmarkUnshaped is the proxy's own ceiling: one stream through it, against
// the same without it.
func BenchmarkUnshaped(b *testing.B) {
	const size = 64 << 20
	payload := random(1, size)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Write(payload)
	}))
	defer server.Close()
	p, err := Start(server.Listener.Addr().String(), Shape{}, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	for name, addr := range map[string]string{"direct": server.Listener.Addr().String(), "proxy": p.Addr()} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				resp, err := http.Get("http://" + addr)
				if err != nil {
					b.Fatal(err)
				}
				if n, err := io.Copy(io.Discard, resp.Body); n != size || err != nil {
					b.Fatal(n, err)
				}
				resp.Body.Close()
			}
		})
	}
}
