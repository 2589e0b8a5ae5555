package mountopts

import (
	"fmt"
	"strings"
)

// OptionError is an option that cannot be taken. Its text names the option and
// says what to do; it holds no value that could be a secret.
type OptionError struct {
	Name  string
	Value string
	Err   error
}

func (e *OptionError) Error() string {
	if e.Value == "" {
		return fmt.Sprintf("option %s: %v", e.Name, e.Err)
	}
	return fmt.Sprintf("option %s=%s: %v", e.Name, Redact(e.Value), e.Err)
}

func (e *OptionError) Unwrap() error { return e.Err }

// Parse takes a list as it stands after -o and in the fourth field of fstab.
// Commas inside double quotes, or after a backslash, belong to the value.
func (o *Options) Parse(list string) error {
	items, err := split(list)
	if err != nil {
		return err
	}
	for _, item := range items {
		if err := o.set(item); err != nil {
			return err
		}
	}
	return nil
}

func (o *Options) set(item string) error {
	name, value, hasValue := strings.Cut(item, "=")
	if name == "" {
		if hasValue {
			return fmt.Errorf("option %q has no name", Redact(item))
		}
		return nil
	}
	key := normal(name)
	if r, ok := o.row(key); ok {
		if !hasValue && !r.isBool() {
			return &OptionError{Name: name, Err: fmt.Errorf("needs a value: %s=...", name)}
		}
		if err := r.value.Set(value); err != nil {
			return &OptionError{Name: name, Value: value, Err: err}
		}
		return nil
	}
	if r, ok := o.negated(key); ok && !hasValue {
		return r.value.Set("false")
	}
	if ok, err := o.setGeneric(name, hasValue, item); ok {
		return err
	}
	return &OptionError{Name: name, Err: fmt.Errorf("unknown%s", o.Suggest(key))}
}

// negated finds the boolean that noNAME or no-NAME switches off.
func (o *Options) negated(key string) (row, bool) {
	rest, ok := strings.CutPrefix(key, "no")
	if !ok {
		return row{}, false
	}
	r, ok := o.row(strings.TrimPrefix(rest, "-"))
	return r, ok && r.isBool()
}

func split(list string) ([]string, error) {
	var items []string
	var item strings.Builder
	quoted := false
	for i := 0; i < len(list); i++ {
		switch c := list[i]; {
		case c == '\\' && i+1 < len(list) && strings.IndexByte(`,"\`, list[i+1]) >= 0:
			i++
			item.WriteByte(list[i])
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			items = append(items, item.String())
			item.Reset()
		default:
			item.WriteByte(c)
		}
	}
	if quoted {
		return nil, fmt.Errorf("options end inside a double quote")
	}
	return append(items, item.String()), nil
}

// Suggest ends a message about an unknown option: it names the known one that
// may have been meant.
func (o *Options) Suggest(name string) string {
	key := normal(name)
	best, bestDist := "", 3
	for _, r := range o.rows {
		d := distance(key, r.name)
		if len(key) >= 4 && (strings.HasPrefix(r.name, key) || strings.HasPrefix(key, r.name)) {
			d = min(d, 1)
		}
		if d < bestDist {
			best, bestDist = r.name, d
		}
	}
	if best == "" {
		return "; `pailfs mount --help` lists what there is"
	}
	return fmt.Sprintf("; did you mean %s?", best)
}

// distance is how many letters must change to make a into b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diag := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next := min(row[j+1]+1, row[j]+1, diag+cost)
			diag, row[j+1] = row[j+1], next
		}
	}
	return row[len(b)]
}
