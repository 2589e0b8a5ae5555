package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/pailfs/pailfs/mountopts"
	"github.com/pailfs/pailfs/objstore"
	"golang.org/x/sys/unix"
)

// reason takes the path out of an error: the message around it names it.
func reason(err error) error {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return p.Err
	}
	return err
}

// explainOpen names the store that cannot be opened. What to do about it, the
// error itself says, but for what only we know: who ended the waiting.
func explainOpen(ctx context.Context, o *mountopts.Options, err error) error {
	source := mountopts.Redact(o.Source)
	if i := (*interruptError)(nil); errors.As(context.Cause(ctx), &i) {
		return fmt.Errorf("%s: %w", source, i)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%s: no answer within %s; check the endpoint and the network, or wait longer with --connect-timeout (%w)", source, o.ConnectTimeout, err)
	}
	if errors.Is(err, objstore.ErrNotFound) && strings.HasPrefix(source, "file:") {
		return fmt.Errorf("%s: no such directory; create it (--create-bucket does), or correct the path (%w)", source, err)
	}
	return fmt.Errorf("%s: %w", source, err)
}

// explainMount says what to do about a mount that the kernel refused.
func explainMount(o *mountopts.Options, err error) error {
	switch {
	case errors.Is(err, unix.EPERM), strings.Contains(err.Error(), "not permitted"):
		return fmt.Errorf("mount at %s: not permitted; a container needs --cap-add SYS_ADMIN (%w)", o.Mountpoint, err)
	}
	return fmt.Errorf("mount at %s: %w", o.Mountpoint, err)
}

// scrubbed hides the secrets of the source URL in an error of somebody else.
func scrubbed(o *mountopts.Options, err error) error {
	text := err.Error()
	if clean := o.Scrub(text); clean != text {
		return errors.New(clean)
	}
	return err
}
