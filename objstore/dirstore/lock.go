package dirstore

import (
	"context"
	"fmt"
	"hash/fnv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// locks serialise the changes of one key, in this process by a channel and
// between processes by flock(2) on a file. Keys share a fixed number of both,
// which therefore need no removal. They are held while files are renamed, not
// while bytes are written; a second lock is taken in order only (lockTwo).
type locks struct {
	once  sync.Once
	slots [256]chan struct{}
}

func slot(key string) int {
	h := fnv.New32a()
	h.Write([]byte(key))
	return int(h.Sum32() % 256)
}

// lock locks key until the returned function is called.
func (s *Store) lock(ctx context.Context, key string) (unlock func(), err error) {
	return s.lockSlot(ctx, slot(key))
}

// lockTwo locks two keys.
func (s *Store) lockTwo(ctx context.Context, a, b string) (unlock func(), err error) {
	i, j := slot(a), slot(b)
	if i == j {
		return s.lockSlot(ctx, i)
	}
	first, err := s.lockSlot(ctx, min(i, j))
	if err != nil {
		return nil, err
	}
	second, err := s.lockSlot(ctx, max(i, j))
	if err != nil {
		first()
		return nil, err
	}
	return func() { second(); first() }, nil
}

func (s *Store) lockSlot(ctx context.Context, n int) (unlock func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	dirs, err := s.dirs(true)
	if err != nil {
		return nil, err
	}
	s.locks.once.Do(func() {
		for i := range s.locks.slots {
			s.locks.slots[i] = make(chan struct{}, 1)
		}
	})
	held := s.locks.slots[n]
	select {
	case held <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	fd, err := flock(ctx, dirs.lock, fmt.Sprintf("%02x", n))
	if err != nil {
		<-held
		return nil, err
	}
	return func() {
		unix.Close(fd)
		<-held
	}, nil
}

// flock opens and locks a file. It asks again and again, since a wait in the
// kernel could not be cancelled.
func flock(ctx context.Context, dir int, name string) (int, error) {
	fd, err := openat(dir, name, unix.O_RDWR|unix.O_CREAT|unix.O_NOFOLLOW, 0o666)
	if err != nil {
		return -1, err
	}
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return fd, nil
		}
		if err != unix.EWOULDBLOCK && err != unix.EINTR {
			unix.Close(fd)
			return -1, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			unix.Close(fd)
			return -1, ctx.Err()
		}
	}
}
