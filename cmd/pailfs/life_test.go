package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/pailfs/pailfs/cmd/pailfs/internal/control"
	"github.com/pailfs/pailfs/mountopts"
	"github.com/pailfs/pailfs/objstore/countstore"
	"github.com/pailfs/pailfs/objstore/memstore"
	"golang.org/x/sys/unix"
)

// fakeServer is a file system that is unmounted when it is not busy.
type fakeServer struct {
	busy    bool
	unsaved []control.Unsaved
	files   func() []control.File     // what is uncommitted, when set
	drain   func(ctx context.Context) // called in Drain, when set

	once sync.Once
	gone chan struct{}
}

func (s *fakeServer) Wait() { <-s.gone }

func (s *fakeServer) Unmount() error {
	if s.busy {
		return unix.EBUSY
	}
	s.end()
	return nil
}

func (s *fakeServer) end() { s.once.Do(func() { close(s.gone) }) }

func (s *fakeServer) Drain(ctx context.Context) []control.Unsaved {
	if s.drain != nil {
		s.drain(ctx)
	}
	return s.unsaved
}

func newTestLife(t *testing.T, s *fakeServer) *life {
	s.gone = make(chan struct{})
	t.Cleanup(s.end)
	o := mountopts.New()
	o.Mountpoint = t.TempDir()
	store, counter := countstore.Wrap(memstore.New(memstore.Options{}))
	out := &logOutput{log: slog.New(slog.DiscardHandler), level: new(slog.LevelVar)}
	l := newLife(s, &opened{Store: store, counter: counter}, o, out, nil)
	l.grace = time.Millisecond
	l.findUser = func(string, int) []string { return []string{"pid 7 (cat) has it open"} }
	return l
}

func (s *fakeServer) Unsaved() []control.Unsaved { return s.unsaved }

func (s *fakeServer) Uncommitted() []control.File {
	if s.files == nil {
		return nil
	}
	return s.files()
}

// ask is l.answer for those who need no progress.
func ask(l *life, req control.Request) control.Answer {
	return l.answer(context.Background(), req, func(control.Progress) {})
}

var lost = []control.Unsaved{{Key: "k", Size: 1, Err: "no"}}

func TestControlWaitsForTheDrain(t *testing.T) {
	draining, finish := make(chan struct{}), make(chan struct{})
	s := &fakeServer{unsaved: lost, drain: func(context.Context) { close(draining); <-finish }}
	l := newTestLife(t, s)
	ended := make(chan []control.Unsaved, 1)
	go func() { ended <- l.run(t.Context(), nil, nil) }()
	answers := make(chan control.Answer, 2)
	go func() { answers <- ask(l, control.Request{Unmount: true}) }()
	<-draining
	// Somebody who comes later waits for the same end.
	go func() { answers <- ask(l, control.Request{Unmount: true}) }()
	select {
	case a := <-answers:
		t.Fatalf("answered %+v before everything was saved", a)
	default:
	}
	close(finish)
	for range 2 {
		if a := <-answers; a.Err != "" || !reflect.DeepEqual(a.Unsaved, lost) {
			t.Errorf("answer %+v", a)
		}
	}
	if got := <-ended; !reflect.DeepEqual(got, lost) {
		t.Errorf("run ended with %+v", got)
	}
}

func TestControlBusyStaysMounted(t *testing.T) {
	s := &fakeServer{busy: true}
	l := newTestLife(t, s)
	a := ask(l, control.Request{Unmount: true})
	if a.Err == "" || len(a.Busy) != 1 {
		t.Errorf("answer %+v", a)
	}
	select {
	case <-l.over:
		t.Error("the mount ended")
	default:
	}
	if a := ask(l, control.Request{}); a.Err == "" {
		t.Errorf("an empty request was answered with %+v", a)
	}
}

func TestControlLazyEndsWithFilesOpen(t *testing.T) {
	l := newTestLife(t, &fakeServer{busy: true, unsaved: lost})
	go l.run(t.Context(), nil, nil)
	if a := ask(l, control.Request{Unmount: true, Lazy: true}); a.Err != "" || !reflect.DeepEqual(a.Unsaved, lost) {
		t.Errorf("answer %+v", a)
	}
}

func TestSignalEndsBusyMount(t *testing.T) {
	l := newTestLife(t, &fakeServer{busy: true, unsaved: lost})
	signals := make(chan os.Signal, 1)
	signals <- unix.SIGTERM
	if got := l.run(t.Context(), signals, nil); !reflect.DeepEqual(got, lost) {
		t.Errorf("run ended with %+v", got)
	}
}

func TestUnmountBySomebodyElseDrains(t *testing.T) {
	s := &fakeServer{unsaved: lost}
	l := newTestLife(t, s)
	s.end()
	if got := l.run(t.Context(), nil, nil); !reflect.DeepEqual(got, lost) {
		t.Errorf("run ended with %+v", got)
	}
}

func TestSecondSignalEndsTheDrain(t *testing.T) {
	signals := make(chan os.Signal, 2)
	s := &fakeServer{drain: func(ctx context.Context) {
		signals <- unix.SIGTERM
		<-ctx.Done()
	}}
	l := newTestLife(t, s)
	signals <- unix.SIGTERM
	l.run(t.Context(), signals, nil)
}

func TestDrainTimeoutEndsTheDrain(t *testing.T) {
	var cause error
	s := &fakeServer{drain: func(ctx context.Context) { <-ctx.Done(); cause = ctx.Err() }}
	l := newTestLife(t, s)
	l.opts.DrainTimeout = 1
	s.end()
	l.run(t.Context(), nil, nil)
	if !errors.Is(cause, context.DeadlineExceeded) {
		t.Errorf("drain ended with %v", cause)
	}
}

func TestStopLeavesLaterSignals(t *testing.T) {
	signals := make(chan os.Signal, 1)
	ctx, stop := cancelOn(t.Context(), signals)
	stop()
	signals <- unix.SIGTERM
	if len(signals) != 1 || ctx.Err() == nil {
		t.Error("a signal after stop was taken")
	}
	ctx, stop = cancelOn(t.Context(), signals)
	<-ctx.Done()
	stop()
	if i := (*interruptError)(nil); !errors.As(context.Cause(ctx), &i) {
		t.Errorf("cause %v", context.Cause(ctx))
	}
}
