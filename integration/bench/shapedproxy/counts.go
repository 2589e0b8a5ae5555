package shapedproxy

import (
	"maps"
	"net/url"
	"strings"
	"sync"
)

// Counts is what a proxy forwarded.
type Counts struct {
	Connections int
	Requests    int
	Delays      int            // answers held back
	ByKind      map[string]int // see Kind
}

// Sub is what came after before.
func (c Counts) Sub(before Counts) Counts {
	d := Counts{
		Connections: c.Connections - before.Connections,
		Requests:    c.Requests - before.Requests,
		Delays:      c.Delays - before.Delays,
		ByKind:      map[string]int{},
	}
	for kind, n := range c.ByKind {
		if n -= before.ByKind[kind]; n != 0 {
			d.ByKind[kind] = n
		}
	}
	return d
}

// Kind names a request of S3, of the JSON API of Cloud Storage or of Blob
// Storage: LIST, CREATE, PART, COMMIT, COMPOSE, ABORT for what the method does
// not tell, else the method. A look at an object is HEAD, an object written in
// one request PUT.
func Kind(method, target string) string {
	path, raw, _ := strings.Cut(target, "?")
	query, _ := url.ParseQuery(raw)
	switch {
	case strings.HasPrefix(path, "/storage/v1/") || strings.HasPrefix(path, "/upload/"):
		return gcsKind(method, path, query)
	case query.Has("comp"):
		return azureKind(method, query.Get("comp"))
	case method == "GET" && (query.Has("list-type") || query.Has("prefix") || query.Has("delimiter") || query.Has("max-keys")):
		return "LIST"
	case method == "POST" && query.Has("uploads"):
		return "CREATE"
	case method == "PUT" && query.Has("partNumber"):
		return "PART"
	case method == "POST" && query.Has("uploadId"):
		return "COMMIT"
	case method == "DELETE" && query.Has("uploadId"):
		return "ABORT"
	}
	return method
}

func gcsKind(method, path string, query url.Values) string {
	switch {
	case query.Get("uploadType") == "multipart":
		return "PUT"
	case method == "POST" && query.Get("uploadType") == "resumable" && !query.Has("upload_id"):
		return "CREATE"
	case strings.HasPrefix(path, "/upload/"):
		return "PART"
	case strings.HasSuffix(path, "/compose"):
		return "COMPOSE"
	case method == "GET" && strings.HasSuffix(path, "/o"):
		return "LIST"
	case method == "GET" && query.Get("alt") != "media":
		return "HEAD"
	}
	return method
}

func azureKind(method, comp string) string {
	switch {
	case comp == "list":
		return "LIST"
	case method == "PUT" && comp == "block":
		return "PART"
	case method == "PUT" && comp == "blocklist":
		return "COMMIT"
	}
	return method
}

type counter struct {
	mu    sync.Mutex
	total Counts
}

func (c *counter) connection() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total.Connections++
}

func (c *counter) delay() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total.Delays++
}

func (c *counter) request(method, target string) {
	kind := Kind(method, target)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.total.ByKind == nil {
		c.total.ByKind = map[string]int{}
	}
	c.total.Requests++
	c.total.ByKind[kind]++
}

func (c *counter) snapshot() Counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.total
	s.ByKind = maps.Clone(s.ByKind)
	return s
}
