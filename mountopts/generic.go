package mountopts

import (
	"slices"
	"strings"
)

// ignored are options of mount(8) and systemd that say when and by whom a file
// system is mounted, or that have no meaning for FUSE: the kernel keeps no
// access times of a FUSE file system, so the atime family changes nothing.
var ignored = []string{
	"nofail", "fail", "auto", "noauto", "user", "nouser", "users", "owner", "group", "defaults",
	"atime", "noatime", "diratime", "nodiratime", "relatime", "norelatime", "strictatime", "nostrictatime",
	"lazytime", "nolazytime", "async", "iversion", "noiversion", "mand", "nomand", "silent", "loud",
	"comment", "uhelper", "helper", "fsname", "subtype", "sloppy",
}

// opposites are the pairs that the kernel must see; the last one given wins.
var opposites = [][2]string{{"exec", "noexec"}, {"dev", "nodev"}, {"suid", "nosuid"}, {"symfollow", "nosymfollow"}}

// flags are passed on as they are.
var flags = []string{"sync", "dirsync"}

// labels are SELinux contexts, passed on with their value.
var labels = []string{"context", "fscontext", "defcontext", "rootcontext"}

// setGeneric takes an option that belongs to mount(8), not to us. It says
// whether the option is one.
func (o *Options) setGeneric(name string, hasValue bool, item string) (bool, error) {
	switch {
	case name == "_netdev":
		o.network = true
		return true, nil
	case strings.HasPrefix(name, "x-"), strings.HasPrefix(name, "X-"), slices.Contains(ignored, name):
		return true, nil
	case slices.Contains(labels, name) && hasValue:
		o.generic = append(o.generic, item)
		return true, nil
	case hasValue:
		return false, nil
	case name == "ro":
		o.ReadOnly = true
		return true, nil
	case name == "rw":
		o.ReadOnly = false
		return true, nil
	case name == "remount":
		o.remount = true
		return true, nil
	case slices.Contains(flags, name):
		o.generic = append(o.generic, name)
		return true, nil
	}
	for _, pair := range opposites {
		if name == pair[0] || name == pair[1] {
			o.generic = append(o.generic, name)
			return true, nil
		}
	}
	return false, nil
}

// Remount says whether a mount that is there is to change between read-only and
// read-write, as `mount -o remount,ro` asks.
func (o *Options) Remount() bool { return o.remount }

// kernelOptions are the generic options the kernel must see, each once. Unless
// they are allowed by name, device files and set-user-id programs stay off:
// who can write to the bucket must not become root here.
func (o *Options) kernelOptions() []string {
	all := append([]string{"nodev", "nosuid"}, o.generic...)
	var out []string
	for i, item := range all {
		rest := all[i+1:]
		if !slices.Contains(rest, item) && !slices.Contains(rest, opposite(item)) {
			out = append(out, quoteCommas(item))
		}
	}
	return out
}

func opposite(name string) string {
	for _, pair := range opposites {
		switch name {
		case pair[0]:
			return pair[1]
		case pair[1]:
			return pair[0]
		}
	}
	return "no" + name
}

func quoteCommas(item string) string {
	name, value, ok := strings.Cut(item, "=")
	if ok && strings.Contains(value, ",") {
		return name + `="` + value + `"`
	}
	return item
}
