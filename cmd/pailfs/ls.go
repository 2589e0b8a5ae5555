package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/pailfs/pailfs/objstore"
	"github.com/spf13/cobra"
)

// entry is a line of `pailfs ls --json`.
type entry struct {
	Key          string     `json:"key"`
	Prefix       bool       `json:"prefix,omitempty"` // a directory: the rest is empty
	Size         int64      `json:"size"`
	Modified     *time.Time `json:"modified,omitempty"`
	Version      string     `json:"version,omitempty"`
	StorageClass string     `json:"storage_class,omitempty"`
}

func lsCommand() *cobra.Command {
	var long, recursive, asJSON bool
	cmd := &cobra.Command{
		Use:     "ls [-l] [-r] URL",
		Short:   "List objects without mounting",
		Long:    "List what is at a URL, by name; directories end in a slash. " + locationHelp,
		Example: "  pailfs ls -l s3://backups/db/\n  pailfs ls -r --json gs://media | jq -r .key",
		Args:    exactly(1, "ls needs a URL: pailfs ls s3://bucket/prefix/"),
		RunE: func(cmd *cobra.Command, args []string) error {
			out := cmd.OutOrStdout()
			lines := json.NewEncoder(out)
			return list(cmd.Context(), args[0], recursive, func(e entry) error {
				if asJSON {
					return lines.Encode(e)
				}
				return printEntry(out, e, long)
			})
		},
	}
	cmd.Flags().BoolVarP(&long, "long", "l", false, "sizes, times and storage classes too")
	cmd.Flags().BoolVarP(&recursive, "recursive", "r", false, "everything below, too")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, an object a line")
	return cmd
}

func printEntry(w io.Writer, e entry, long bool) error {
	if !long {
		_, err := fmt.Fprintln(w, shownKey(e.Key))
		return err
	}
	size, at := "", ""
	if !e.Prefix {
		size, at = fmt.Sprint(e.Size), e.Modified.Format(time.DateTime)
	}
	_, err := fmt.Fprintf(w, "%15s  %-19s  %-10s %s\n", size, at, e.StorageClass, shownKey(e.Key))
	return err
}

// list shows what is at a URL. A name that is both an object and a directory
// shows both.
func list(ctx context.Context, raw string, recursive bool, show func(entry) error) error {
	at, err := locate(raw)
	if err != nil {
		return usage(err)
	}
	s, o, err := openLocation(ctx, at, true, false)
	if err != nil {
		return err
	}
	defer s.Close()
	n := 0
	if !at.isDirectory() {
		obj, err := s.Stat(ctx, at.key)
		if err == nil {
			n++
			err = show(objectEntry(obj))
		}
		if err != nil && !errors.Is(err, objstore.ErrNotFound) {
			return scrubbed(o, fmt.Errorf("%s: %w", at, err))
		}
	}
	below, err := listPrefix(ctx, s, at.prefix(), recursive, show)
	n += below
	switch {
	case err != nil:
		return scrubbed(o, fmt.Errorf("%s: %w", at, err))
	case n == 0 && at.key != "":
		return fmt.Errorf("%s: there is no such object or prefix", at)
	}
	return nil
}

// listPrefix shows what is below a prefix, but for its own marker.
func listPrefix(ctx context.Context, s objstore.Store, prefix string, recursive bool, show func(entry) error) (n int, err error) {
	req := objstore.ListRequest{Prefix: prefix, Delim: "/"}
	if recursive {
		req.Delim = ""
	}
	for page, err := range objstore.ListPages(ctx, s, req) {
		if err != nil {
			return n, err
		}
		for _, e := range entries(page) {
			n++
			if e.Key == prefix {
				continue
			}
			if err := show(e); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

func objectEntry(o objstore.Object) entry {
	at := o.ModTime.UTC()
	return entry{Key: o.Key, Size: o.Size, Modified: &at, Version: string(o.Version), StorageClass: o.StorageClass}
}

// entries are objects and prefixes of a page, in order.
func entries(page objstore.ListPage) []entry {
	var out []entry
	prefixes := page.Prefixes
	for _, o := range page.Objects {
		for len(prefixes) > 0 && prefixes[0] < o.Key {
			out = append(out, entry{Key: prefixes[0], Prefix: true})
			prefixes = prefixes[1:]
		}
		out = append(out, objectEntry(o))
	}
	for _, p := range prefixes {
		out = append(out, entry{Key: p, Prefix: true})
	}
	return out
}

func duCommand() *cobra.Command {
	var summary, exact bool
	cmd := &cobra.Command{
		Use:     "du [-s] URL",
		Short:   "Sum up the sizes of objects without mounting",
		Long:    "Sum up sizes and numbers of objects, for each directory at a URL and in all. " + locationHelp,
		Example: "  pailfs du s3://backups",
		Args:    exactly(1, "du needs a URL: pailfs du s3://bucket"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return diskUsage(cmd.Context(), cmd.OutOrStdout(), args[0], summary, exact)
		},
	}
	cmd.Flags().BoolVarP(&summary, "summarize", "s", false, "the sum alone")
	cmd.Flags().BoolVarP(&exact, "bytes", "b", false, "sizes in bytes")
	return cmd
}

type usageSum struct {
	name         string
	bytes, count int64
}

func diskUsage(ctx context.Context, w io.Writer, raw string, summary, exact bool) error {
	at, err := locate(raw)
	if err != nil {
		return usage(err)
	}
	all := usageSum{name: at.String()}
	var parts []usageSum
	err = list(ctx, raw, true, func(e entry) error {
		all.bytes += e.Size
		all.count++
		first, _, deeper := strings.Cut(strings.TrimPrefix(e.Key, at.prefix()), "/")
		if !deeper {
			return nil
		}
		if len(parts) == 0 || parts[len(parts)-1].name != first+"/" {
			parts = append(parts, usageSum{name: first + "/"})
		}
		parts[len(parts)-1].bytes += e.Size
		parts[len(parts)-1].count++
		return nil
	})
	if err != nil {
		return err
	}
	if summary {
		parts = nil
	}
	for _, p := range append(parts, all) {
		size := readable(p.bytes)
		if exact {
			size = fmt.Sprint(p.bytes)
		}
		if _, err := fmt.Fprintf(w, "%12s %10d objects  %s\n", size, p.count, shownKey(p.name)); err != nil {
			return err
		}
	}
	return nil
}

const locationHelp = "A URL is as in mount, with a key\nafter the bucket; credentials and endpoint come from the URL's query, the environment, or the provider's own files.\nA local path is file://."

func exactly(n int, message string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != n {
			return usage(errors.New(message))
		}
		return nil
	}
}
