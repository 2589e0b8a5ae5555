package mountopts

import (
	"errors"
	"fmt"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// The types below are pflag.Values over fields of Options.

type stringValue string

func (v *stringValue) String() string     { return string(*v) }
func (v *stringValue) Type() string       { return "string" }
func (v *stringValue) Set(s string) error { *v = stringValue(s); return nil }

// secretValue is a string that is not shown.
type secretValue string

func (v *secretValue) String() string {
	if *v == "" {
		return ""
	}
	return hidden
}
func (v *secretValue) Type() string       { return "string" }
func (v *secretValue) Set(s string) error { *v = secretValue(s); return nil }

// raw is what a value holds, secret or not.
func raw(v pflag.Value) string {
	if s, ok := v.(*secretValue); ok {
		return string(*s)
	}
	return v.String()
}

type boolValue bool

func (v *boolValue) String() string { return strconv.FormatBool(bool(*v)) }
func (v *boolValue) Type() string   { return "bool" }
func (v *boolValue) Set(s string) error {
	switch strings.ToLower(s) {
	case "", "1", "true", "yes", "on":
		*v = true
	case "0", "false", "no", "off":
		*v = false
	default:
		return errors.New("must be true or false")
	}
	return nil
}

type intValue int

func (v *intValue) String() string { return strconv.Itoa(int(*v)) }
func (v *intValue) Type() string   { return "number" }
func (v *intValue) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil {
		return errors.New("must be a number")
	}
	*v = intValue(n)
	return nil
}

type sizeValue int64

func (v *sizeValue) String() string {
	if *v == unsetSize {
		return ""
	}
	return FormatSize(int64(*v))
}
func (v *sizeValue) Type() string { return "size" }
func (v *sizeValue) Set(s string) error {
	n, err := ParseSize(s)
	if err != nil {
		return err
	}
	*v = sizeValue(n)
	return nil
}

type durationValue time.Duration

func (v *durationValue) String() string {
	if *v == unsetWait {
		return ""
	}
	return time.Duration(*v).String()
}
func (v *durationValue) Type() string { return "duration" }

// Set takes what Go writes (90s, 1h30m), and a bare number as seconds, as
// fstab does.
func (v *durationValue) Set(s string) error {
	d, err := time.ParseDuration(s)
	if err != nil {
		n, nerr := strconv.ParseUint(s, 10, 31)
		if nerr != nil {
			return errors.New("must be a duration such as 30s or 5m")
		}
		d = time.Duration(n) * time.Second
	}
	if d < 0 {
		return errors.New("must not be negative")
	}
	*v = durationValue(d)
	return nil
}

type octalValue uint32

func (v *octalValue) String() string {
	if *v == unset {
		return ""
	}
	return fmt.Sprintf("%#o", uint32(*v))
}
func (v *octalValue) Type() string { return "mode" }
func (v *octalValue) Set(s string) error {
	n, err := strconv.ParseUint(strings.TrimPrefix(s, "0o"), 8, 32)
	if err != nil || n > 0o7777 {
		return errors.New("must be an octal mode such as 0644")
	}
	*v = octalValue(n)
	return nil
}

type choiceValue struct {
	field   *string
	choices []string
}

func (v *choiceValue) String() string { return *v.field }
func (v *choiceValue) Type() string   { return "word" }
func (v *choiceValue) Set(s string) error {
	if !slices.Contains(v.choices, s) {
		named := slices.DeleteFunc(slices.Clone(v.choices), func(c string) bool { return c == "" })
		return fmt.Errorf("must be %s", strings.Join(named, " or "))
	}
	*v.field = s
	return nil
}

type ownerValue struct {
	field  *uint32
	lookup func(name string) (string, error)
}

func (v *ownerValue) String() string { return strconv.FormatUint(uint64(*v.field), 10) }
func (v *ownerValue) Type() string   { return "owner" }
func (v *ownerValue) Set(s string) error {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		id, lerr := v.lookup(s)
		if lerr != nil {
			return errors.New("must be a number or a name that this machine knows")
		}
		if n, err = strconv.ParseUint(id, 10, 32); err != nil {
			return err
		}
	}
	// (uid_t)-1 means "leave it" to chown(2) and is nobody's number.
	if n == unset {
		return errors.New("is not a valid number")
	}
	*v.field = uint32(n)
	return nil
}

func lookupUser(name string) (string, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return "", err
	}
	return u.Uid, nil
}

func lookupGroup(name string) (string, error) {
	g, err := user.LookupGroup(name)
	if err != nil {
		return "", err
	}
	return g.Gid, nil
}
