package azstore

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/pailfs/pailfs/objstore"
	"github.com/pailfs/pailfs/objstore/internal/wire"
)

// firstDelay is the pause before the second try; each further one is double.
const firstDelay = 250 * time.Millisecond

func retryOptions(r objstore.Retry) policy.RetryOptions {
	retries := int32(r.Attempts - 1)
	if retries == 0 {
		retries = -1 // 0 is the SDK's default
	}
	return policy.RetryOptions{
		MaxRetries:    retries,
		RetryDelay:    min(firstDelay, r.MaxDelay),
		MaxRetryDelay: r.MaxDelay,
		ShouldRetry:   again,
	}
}

// again says whether another try may end otherwise.
func again(resp *http.Response, err error) bool {
	if err != nil {
		return !errors.Is(err, errBody) && !wire.Untrusted(err)
	}
	switch resp.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// tries watches the tries of one call. Where one got no answer the service may
// have carried it out, so that the next one meets its own doing.
type tries struct{ lost atomic.Bool }

type triesKey struct{}

// watch returns a context in which the tries of a call are watched.
func watch(ctx context.Context) (context.Context, *tries) {
	t := new(tries)
	return context.WithValue(ctx, triesKey{}, t), t
}

// watcher is the policy that does so.
type watcher struct{}

func (watcher) Do(req *policy.Request) (*http.Response, error) {
	resp, err := req.Next()
	if t, ok := req.Raw().Context().Value(triesKey{}).(*tries); ok {
		if err != nil || resp.StatusCode >= 500 && resp.StatusCode != http.StatusServiceUnavailable {
			t.lost.Store(true)
		}
	}
	return resp, err
}
