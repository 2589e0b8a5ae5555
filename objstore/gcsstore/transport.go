package gcsstore

import "net/http"

// asStored asks that downloads come as they are stored: an object that is kept
// compressed would otherwise be unpacked on its way, with another length and
// checksum than its own. The SDK asks for it in one of its two ways to read.
type asStored struct{ base http.RoundTripper }

func (a asStored) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method == http.MethodGet && req.URL.Query().Get("alt") == "media" {
		req = req.Clone(req.Context())
		req.Header.Set("Accept-Encoding", "gzip")
	}
	return a.base.RoundTrip(req)
}

func (a asStored) CloseIdleConnections() {}
