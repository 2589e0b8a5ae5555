package main

import (
	"context"
	"io"
	"time"

	"github.com/pailfs/pailfs/integration/servers"
)

// store is a kind of bucket server and the raw SDK that speaks to it.
type store interface {
	// start starts a server. What it says of its own address is public
	// (host:port), or its own where that is "".
	start(public string) (access, servers.Own, error)

	// namesItself says whether answers hold the address of the server, so that
	// each way to it wants a server of its own.
	namesItself() bool

	// client is the raw SDK, with as many connections as it has requests in flight.
	client(a access, parallel int) (client, error)

	// pailfs is the environment, the options and the source of a mount.
	pailfs(a access, bucket string) (env, options []string, source string)
}

// stores by the name that --store takes.
var stores = map[string]store{"s3": s3Store{}, "gcs": gcsStore{}, "azure": azureStore{}}

// access says how to reach a server and as whom. Not every store has all of it.
type access struct {
	Store           string
	Endpoint        string // URL
	Region          string
	Account, Secret string
}

func (a access) at(endpoint string) access {
	a.Endpoint = endpoint
	return a
}

func (a access) client(parallel int) (client, error) { return stores[a.Store].client(a, parallel) }

// client is what a benchmark asks of an SDK. Small objects have the checksum that
// the SDK chooses by itself.
type client interface {
	makeBucket(ctx context.Context, bucket string) error
	put(ctx context.Context, bucket, key string, body *io.SectionReader) error
	upload(ctx context.Context, bucket, key string, parts int) (upload, error)
	get(ctx context.Context, bucket, key string, off, n int64) (io.ReadCloser, error) // n < 0: to the end
	size(ctx context.Context, bucket, key string) (int64, error)                      // errNotStored where it is not
	list(ctx context.Context, bucket string, each func(key string, size int64)) error
	remove(ctx context.Context, bucket, key string) error
}

// upload is an object that is put together from parts, which may be sent side by
// side: each is checked by the checksum that pailfs sends too.
type upload interface {
	part(ctx context.Context, i int, body *io.SectionReader) error // from 0
	commit(ctx context.Context) error
}

// server is a running server.
type server struct {
	access // without a link
	client
	pid int
}

// cpu is what the server has used so far.
func (s *server) cpu() time.Duration {
	used, _ := processCPU(s.pid) // 0 where it has ended, which the requests tell
	return used
}
