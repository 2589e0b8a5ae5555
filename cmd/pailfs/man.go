package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/pailfs/pailfs/mountopts"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// manCommand writes the manual from the commands and their flags. `make install`
// calls it.
func manCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "man DIRECTORY",
		Short:  "Write the manual pages",
		Hidden: true,
		Args:   exactly(1, "man needs a directory to write to"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return writeManual(cmd.Root(), args[0])
		},
	}
}

func writeManual(root *cobra.Command, dir string) error {
	for _, section := range []string{"man1", "man8"} {
		if err := os.MkdirAll(filepath.Join(dir, section), 0o755); err != nil {
			return err
		}
	}
	write := func(name, text string) error {
		return os.WriteFile(filepath.Join(dir, "man"+name[len(name)-1:], name), []byte(text), 0o644)
	}
	errs := []error{
		write("pailfs.1", manPage(root)),
		// What mount(8) calls is documented where its options are.
		write("mount.pailfs.8", ".so man1/pailfs-mount.1\n"), write("mount.fuse.pailfs.8", ".so man1/pailfs-mount.1\n"),
		write("umount.pailfs.8", ".so man1/pailfs-umount.1\n"), write("umount.fuse.pailfs.8", ".so man1/pailfs-umount.1\n"),
	}
	for _, c := range root.Commands() {
		if documented(c) {
			errs = append(errs, write("pailfs-"+c.Name()+".1", manPage(c)))
		}
	}
	return errors.Join(errs...)
}

// documented leaves out what cobra adds.
func documented(c *cobra.Command) bool {
	return !c.Hidden && c.Name() != "help" && c.Name() != "completion"
}

func manPage(c *cobra.Command) string {
	var b strings.Builder
	name := strings.ReplaceAll(c.CommandPath(), " ", "-")
	fmt.Fprintf(&b, ".TH %s 1 \"\" \"%s\" \"User Commands\"\n", strings.ToUpper(name), roff(versionText()))
	short := strings.ToLower(c.Short[:1]) + c.Short[1:]
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n.SH SYNOPSIS\n.B %s\n", roff(name), roff(short), roff(c.UseLine()))
	fmt.Fprintf(&b, ".SH DESCRIPTION\n%s", paragraphs(c.Long+"."))
	if c.HasParent() {
		manOptions(&b, c)
	} else {
		b.WriteString(".SH COMMANDS\n")
		for _, sub := range c.Commands() {
			if documented(sub) {
				fmt.Fprintf(&b, ".TP\n.BR pailfs\\-%s (1)\n%s\n", roff(sub.Name()), roff(sub.Short))
			}
		}
	}
	if c.Example != "" {
		fmt.Fprintf(&b, ".SH EXAMPLES\n.nf\n%s\n.fi\n", roff(c.Example))
	}
	b.WriteString(manEnd)
	return b.String()
}

const manEnd = `.SH EXIT STATUS
.TP
0
done
.TP
1
failed; one line on stderr says what to do
.TP
2
wrong usage
.TP
3
unmounted, but something could not be saved; it is listed
.SH FILES
.TP
.I /etc/pailfs/pailfs.yaml
options of the mounts of pailfs@.service
.TP
.I /var/lib/pailfs
what must outlive the process; for users ~/.local/state/pailfs
.TP
.I /run/pailfs
control sockets; for users $XDG_RUNTIME_DIR/pailfs
.SH SEE ALSO
.BR pailfs (1),
.BR pailfs\-mount (1),
.BR pailfs\-status (1),
.BR mount (8),
.BR fstab (5),
.BR systemd.mount (5)
`

// manOptions writes the flags, those of a mount under the headings of its help.
func manOptions(b *strings.Builder, c *cobra.Command) {
	b.WriteString(".SH OPTIONS\n")
	if c.Name() != "mount" {
		manFlags(b, c.LocalFlags())
		return
	}
	for _, g := range mountopts.New().Groups() {
		fmt.Fprintf(b, ".SS %s\n", roff(g.Title))
		manFlags(b, g.Flags)
	}
	b.WriteString(".SS Other\n")
	other := pflag.NewFlagSet("", pflag.ContinueOnError)
	other.AddFlag(c.Flags().Lookup("options"))
	manFlags(b, other)
}

func manFlags(b *strings.Builder, flags *pflag.FlagSet) {
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		name := "\\-\\-" + roff(f.Name)
		if f.Shorthand != "" {
			name = "\\-" + f.Shorthand + "\\fR, \\fB" + name
		}
		fmt.Fprintf(b, ".TP\n\\fB%s\\fR", name)
		if value != "" && f.NoOptDefVal == "" {
			fmt.Fprintf(b, " \\fI%s\\fR", roff(value))
		}
		fmt.Fprintf(b, "\n%s", roff(usage))
		if d := f.DefValue; d != "" && d != "false" && d != "0" && d != "0s" && !machineDefaults[f.Name] {
			fmt.Fprintf(b, " (default %s)", roff(d))
		}
		b.WriteString("\n")
	})
}

// machineDefaults are the flags whose default depends on where and by whom the
// manual is made.
var machineDefaults = map[string]bool{"memory": true, "uid": true, "gid": true, "state-dir": true, "run-dir": true}

func paragraphs(text string) string {
	text = strings.TrimSuffix(strings.TrimSpace(text), ".")
	var b strings.Builder
	for p := range strings.SplitSeq(text, "\n\n") {
		fmt.Fprintf(&b, ".PP\n%s\n", roff(p))
	}
	return b.String()
}

// roff keeps a text from being read as requests and escapes.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "~", `\(ti`, "^", `\(ha`).Replace(text)
	return strings.ReplaceAll(strings.TrimPrefix("\n"+text, "\n"), "\n.", "\n\\&.")
}
