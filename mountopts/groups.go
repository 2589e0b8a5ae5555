package mountopts

import "github.com/spf13/pflag"

// groups are the headings of help, each with the first option below it.
var groups = []struct{ first, title string }{
	{"endpoint", "Where the bucket is"},
	{"access-key-id", "Credentials; better from where the provider's own tools take them"},
	{"create-bucket", "What may be done, and by whom"},
	{"memory", "Budgets"},
	{"commit", "What a file is worth"},
	{"upload-limit", "Network"},
	{"foreground", "The server process"},
}

// Group is the options under one heading.
type Group struct {
	Title string
	Flags *pflag.FlagSet
}

// Groups are all options in the order of the table, under headings.
func (o *Options) Groups() []Group {
	var out []Group
	for _, r := range o.rows {
		for _, g := range groups {
			if g.first == r.name || len(out) == 0 {
				fs := pflag.NewFlagSet(g.title, pflag.ContinueOnError)
				fs.SortFlags = false
				out = append(out, Group{g.title, fs})
				break
			}
		}
		r.addTo(out[len(out)-1].Flags)
	}
	return out
}
